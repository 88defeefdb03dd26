"""Socket Mode: the WebSockets apps hold open, the envelopes sent on them and their acknowledgements.

Source of the protocol: Slack docs, "Using Socket Mode".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from bot.workspace.base import Base
from bot.workspace.faults import Fault
from bot.workspace.manifest import App

Json = dict[str, Any]

#: Open connections an app may have (Slack docs: Using Socket Mode).
MAX_CONNECTIONS = 10
#: What `hello` announces, in seconds.
CONNECTION_SECONDS = 3_600
#: How long before a refresh the warning comes, in seconds (Slack docs: about ten).
WARNING_SECONDS = 10.0
#: How often the server pings, in seconds.
PING_SECONDS = 10.0
#: How long a ticket from `apps.connections.open` can be used, in seconds (Slack docs give no number).
TICKET_SECONDS = 30.0


@dataclass(eq=False)
class Connection:
    """One open WebSocket of an app."""

    app_id: str
    ws: web.WebSocketResponse
    #: The request it was upgraded from.
    request: web.Request
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    #: Accepts frames, delivers and answers nothing.
    deaf: bool = False
    #: Still open, but gets no more envelopes.
    leaving: bool = False
    #: Envelopes sent on it and not yet acknowledged.
    waiting: dict[str, asyncio.Future[Json]] = field(default_factory=dict)


class SocketMode:
    """All connections of all apps."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._tickets: dict[str, tuple[str, float]] = {}
        self._connections: dict[str, list[Connection]] = {}
        self._turn = 0

    def issue_ticket(self, app: App) -> str:
        """A one-use WebSocket address."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = (app.app_id, self._base.clock.monotonic() + TICKET_SECONDS)
        return f"{self._base.url.replace('http', 'ws', 1)}/socket/{ticket}"

    def open_count(self, app_id: str) -> int:
        """How many connections of an app take envelopes."""
        return sum(1 for c in self._connections.get(app_id, ()) if not c.leaving and not c.ws.closed)

    def counts(self) -> dict[str, int]:
        """Open connections by app."""
        return {app_id: self.open_count(app_id) for app_id in self._connections}

    # Envelopes

    async def send(
        self,
        app: App,
        kind: str,
        payload: Json,
        *,
        accepts_response_payload: bool = False,
        retry: tuple[int, str] | None = None,
    ) -> Json | None:
        """Send an envelope on one connection and wait for its ack; `None` where there is no connection.

        Raises `TimeoutError` when no ack came in time.
        """
        live = [c for c in self._connections.get(app.app_id, ()) if not c.leaving and not c.ws.closed]
        if not live:
            return None
        self._turn += 1
        connection = live[self._turn % len(live)]
        envelope: Json = {
            "envelope_id": str(uuid.uuid4()),
            "type": kind,
            "payload": payload,
            "accepts_response_payload": accepts_response_payload,
        }
        if retry is not None:
            envelope["retry_attempt"], envelope["retry_reason"] = retry
        ack: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        connection.waiting[envelope["envelope_id"]] = ack
        try:
            if not connection.deaf:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await connection.ws.send_str(json.dumps(envelope, ensure_ascii=False))
            answer = await asyncio.wait_for(ack, self._base.ack_seconds)
        finally:
            connection.waiting.pop(envelope["envelope_id"], None)
        if not accepts_response_payload and answer:
            self._note(app.app_id, "ack", "response payload ignored: the envelope does not accept one")
            return {}
        return answer

    # Connections

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """`GET /socket/<ticket>`: one connection, until it ends."""
        ticket = request.match_info["ticket"]
        app_id, expires = self._tickets.get(ticket, ("", 0.0))
        fault = self._base.faults.take("socket", modes=frozenset({"refuse", "stale_url"}))
        if fault is not None and fault.get("mode") == "refuse":
            self._note(app_id, "refused", "fault: refuse")
            return web.Response(status=503, text="service unavailable")
        self._tickets.pop(ticket, None)
        if fault is not None or not app_id or expires < self._base.clock.monotonic():
            self._note(app_id, "refused", "the ticket was used, has expired or was never issued")
            return web.Response(status=408 if app_id else 404, text="this connection URL is no longer valid")
        if self.open_count(app_id) >= MAX_CONNECTIONS:
            self._note(app_id, "refused", "too_many_websockets")
            return web.Response(status=429, text="too_many_websockets")
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        connection = Connection(app_id, ws, request)
        self._connections.setdefault(app_id, []).append(connection)
        self._note(app_id, "connected", connection.id)
        pinging = asyncio.create_task(self._ping(connection))
        try:
            await self._hello(connection)
            self._tell_pages(app_id)
            await self._receive(connection)
        finally:
            pinging.cancel()
            self._connections[app_id].remove(connection)
            self._note(app_id, "disconnected", connection.id)
            self._tell_pages(app_id)
        return ws

    async def _hello(self, connection: Connection) -> None:
        await connection.ws.send_json(
            {
                "type": "hello",
                "num_connections": self.open_count(connection.app_id),
                "debug_info": {
                    "host": f"workspace-{connection.id}",
                    "build_number": 1,
                    "approximate_connection_time": CONNECTION_SECONDS,
                },
                "connection_info": {"app_id": connection.app_id},
            }
        )

    async def _receive(self, connection: Connection) -> None:
        async for frame in connection.ws:
            if connection.deaf:
                continue
            if frame.type is WSMsgType.PING:
                await connection.ws.pong(frame.data)
            elif frame.type is WSMsgType.TEXT:
                self._acknowledge(connection, frame.data)

    def _acknowledge(self, connection: Connection, text: str) -> None:
        try:
            frame = json.loads(text)
            envelope_id = frame["envelope_id"]
        except (ValueError, KeyError, TypeError):
            self._note(connection.app_id, "ack", "a frame that is no acknowledgement")
            return
        ack = connection.waiting.get(envelope_id)
        if ack is None:
            # Too late, twice, or on another connection than the envelope's: whether Slack takes the last
            # is not documented, so it is not taken here.
            self._note(connection.app_id, "ack", f"nothing waits for envelope {envelope_id} here")
        elif not ack.done():
            payload = frame.get("payload")
            ack.set_result(payload if isinstance(payload, dict) else {})

    async def _ping(self, connection: Connection) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not connection.ws.closed:
                if not connection.deaf:
                    await connection.ws.ping(b"Ping from the workspace")
                await asyncio.sleep(PING_SECONDS)

    # Trouble

    async def trouble(self, fault: Fault) -> None:
        """Do to the open connections what a socket fault asks for."""
        mode = fault.get("mode")
        for connection in [c for found in self._connections.values() for c in found]:
            if mode == "deaf":
                connection.deaf = True
                if fault.get("seconds"):
                    self._base.tasks.spawn(self._hear_again(connection, float(fault.get("seconds"))))
            elif mode == "abort":
                await self._abort(connection)
            elif mode == "disconnect":
                await self._refresh(connection, 0.0)
            elif mode == "warning":
                wait = float(fault.get("seconds", WARNING_SECONDS * self._base.limits.scale))
                self._base.tasks.spawn(self._refresh(connection, wait, warn=True))

    async def _hear_again(self, connection: Connection, seconds: float) -> None:
        await asyncio.sleep(seconds)
        connection.deaf = False

    async def _refresh(self, connection: Connection, wait: float, *, warn: bool = False) -> None:
        debug = {"host": f"workspace-{connection.id}"}
        with contextlib.suppress(ConnectionError, RuntimeError):
            if warn:
                await connection.ws.send_json(
                    {"type": "disconnect", "reason": "warning", "debug_info": debug}
                )
                await asyncio.sleep(wait)
            connection.leaving = True
            await connection.ws.send_json(
                {"type": "disconnect", "reason": "refresh_requested", "debug_info": debug}
            )
            self._tell_pages(connection.app_id)
            # The server hangs up a moment later, whether or not the app did.
            self._base.tasks.spawn(self._close(connection, 1.0))

    async def _close(self, connection: Connection, wait: float = 0.0) -> None:
        await asyncio.sleep(wait)
        with contextlib.suppress(ConnectionError, RuntimeError):
            await asyncio.wait_for(connection.ws.close(), 1.0)

    @staticmethod
    async def _abort(connection: Connection) -> None:
        connection.leaving = True
        transport = connection.request.transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    def hear_again(self) -> None:
        """No connection is deaf any more."""
        for connection in (c for found in self._connections.values() for c in found):
            connection.deaf = False

    async def close_all(self) -> None:
        """Hang up on every app."""
        connections = [c for found in self._connections.values() for c in found]
        await asyncio.gather(*(self._close(c) for c in connections), return_exceptions=True)

    def _note(self, app_id: str, name: str, note: str) -> None:
        self._base.traffic.record(
            direction="slack→bot", kind="socket", name=name, status="", note=note, request={"app_id": app_id}
        )

    def _tell_pages(self, app_id: str) -> None:
        app = self._base.state.apps.get(app_id)
        if app is not None:
            self._base.audience.tell_all(
                {"type": "app", "app": app_for_page(app, connected=self.open_count(app_id) > 0)}
            )


def app_for_page(app: App, *, connected: bool) -> Json:
    """An app as the page shows it."""
    manifest = app.manifest
    return {
        "bot_user_id": app.bot_user_id,
        "app_id": app.app_id,
        "name": manifest.bot_name,
        "commands": [
            {"command": c.name, "description": c.description, "usage_hint": c.usage_hint}
            for c in manifest.commands
        ],
        "shortcuts": [
            {"name": s.name, "type": s.type, "callback_id": s.callback_id, "description": s.description}
            for s in manifest.shortcuts
        ],
        "home": manifest.home_tab,
        "connected": connected,
    }
