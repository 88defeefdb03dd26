"""The Socket Mode connection: opened, watched and opened again until it is closed on purpose.

Built on the SDK's `websockets` client, which asks for a new address after every failure; the aiohttp one can
retry a dead address for ever. A connection that stops answering pings is closed by the library.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from slack_bolt.adapter.socket_mode.websockets import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.websockets import SocketModeClient

from bot.slack.inflight import InFlight

log = logging.getLogger(__name__)

#: Seconds between pings; after 20 s without an answer the library closes the connection.
PING_EVERY_S = 5.0
#: Seconds between looks at the connection, and the longest wait between tries.
LOOK_EVERY_S, LONGEST_WAIT_S = 1.0, 30.0


class _Handler(AsyncSocketModeHandler):
    """Bolt's adapter, with every delivery counted until its ack is sent."""

    def __init__(self, app: AsyncApp, app_token: str, in_flight: InFlight) -> None:
        super().__init__(app, app_token, ping_interval=PING_EVERY_S)
        self._in_flight = in_flight

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        with self._in_flight.request():
            await super().handle(client, req)


class SocketConnection:
    """Keeps one Socket Mode connection open."""

    def __init__(self, app: AsyncApp, app_token: str, in_flight: InFlight) -> None:
        self._handler = _Handler(app, app_token, in_flight)
        self._watch: asyncio.Task[None] | None = None
        #: What kept the last try from succeeding; empty while connected.
        self.problem = "not connected yet"

    async def start(self) -> None:
        """Connect, and stay connected from now on. Returns at once; `connected` tells when it is."""
        self._watch = asyncio.create_task(self._keep_connected(), name="socket mode")

    async def connected(self) -> bool:
        """Whether deliveries can reach us."""
        return bool(await self._handler.client.is_connected())

    async def stop(self) -> None:
        """Close the connection for good."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        with contextlib.suppress(Exception):  # already broken is as good as closed
            await self._handler.client.close()  # type: ignore[no-untyped-call]

    async def _keep_connected(self) -> None:
        client, wait = self._handler.client, LOOK_EVERY_S
        while True:
            if await client.is_connected():
                self.problem, wait = "", LOOK_EVERY_S
            else:
                try:
                    await client.connect_to_new_endpoint()
                    continue
                except Exception as error:  # whatever the network or the library thinks of
                    self.problem = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                    log.warning("Socket Mode is not connected: %s; next try in %.0f s", self.problem, wait)
                    wait = min(wait * 2, LONGEST_WAIT_S)
            await asyncio.sleep(wait if not await client.is_connected() else LOOK_EVERY_S)
