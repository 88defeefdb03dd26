"""`/client/ws`: what happens in the workspace, told to an open page."""

from __future__ import annotations

import asyncio
import contextlib
import json

from aiohttp import WSMsgType, web

from bot.workspace.audience import Listener
from bot.workspace.base import Base

#: How often an idle page is pinged, in seconds.
HEARTBEAT = 20.0


class PageSocket:
    """The pages' WebSockets."""

    def __init__(self, base: Base) -> None:
        self._base = base
        base.traffic.listeners.add(
            lambda entry: base.audience.tell_inspectors({"type": "traffic", "entry": entry})
        )

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One page, until it is closed."""
        user = request.query.get("user", "")
        if user not in self._base.state.users:
            return web.Response(status=404, text="no such user")
        ws = web.WebSocketResponse(heartbeat=HEARTBEAT)
        await ws.prepare(request)
        listener = self._base.audience.join(user)
        writing = asyncio.create_task(self._write(ws, listener))
        try:
            async for frame in ws:
                if frame.type is WSMsgType.TEXT:
                    self._hear(listener, frame.data)
        finally:
            self._base.audience.leave(listener)
            writing.cancel()
        return ws

    @staticmethod
    def _hear(listener: Listener, text: str) -> None:
        with contextlib.suppress(ValueError, AttributeError):
            frame = json.loads(text)
            if frame.get("type") == "inspect":
                listener.inspecting = bool(frame.get("on"))

    @staticmethod
    async def _write(ws: web.WebSocketResponse, listener: Listener) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                frame = await listener.queue.get()
                if frame is None:
                    await ws.close()
                    return
                await ws.send_str(json.dumps(frame, ensure_ascii=False))
