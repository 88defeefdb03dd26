"""Chromium's DevTools protocol over one WebSocket: calls with answers, and events as they come."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from bot.checks.kind import Broken

#: Receives the name of an event, its parameters, and the session it came from.
Listener = Callable[[str, dict[str, Any], str], None]


class DevToolsError(Exception):
    """DevTools refused a call; `str()` is its message."""


class DevTools:
    """One connection to a browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Hand every event on."""
        self._listeners.append(listener)

    async def call(self, method: str, *, session: str = "", **params: Any) -> dict[str, Any]:
        """Call a method and wait for its answer. Raises DevToolsError, Broken where the browser is gone."""
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message = {"id": number, "method": method, "params": params}
        try:
            await self._connection.send(json.dumps({**message, "sessionId": session} if session else message))
            return await answer
        except websockets.ConnectionClosed as closed:
            raise Broken("Chromium ended before the check did") from closed
        finally:
            self._waiting.pop(number, None)

    async def read(self) -> None:
        """Take in answers and events until the connection ends."""
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in self._connection:
                message = json.loads(text)
                answer = self._waiting.get(message.get("id", 0))
                if answer is not None and not answer.done():
                    if "error" in message:
                        answer.set_exception(DevToolsError(message["error"].get("message", "refused")))
                    else:
                        answer.set_result(message.get("result", {}))
                elif "method" in message:
                    for listener in self._listeners:
                        listener(message["method"], message.get("params", {}), message.get("sessionId", ""))
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Broken("Chromium ended before the check did"))


@contextlib.asynccontextmanager
async def connect(url: str) -> AsyncIterator[DevTools]:
    """A connection to the browser at this DevTools address."""
    # Proxies of the environment are not for loopback, and traces have no upper size.
    async with websockets.connect(url, max_size=None, proxy=None, ping_interval=None) as connection:
        devtools = DevTools(connection)
        reading = asyncio.create_task(devtools.read())
        try:
            yield devtools
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
