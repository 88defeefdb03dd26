"""The web application and its server: health pages for whoever runs the bot, Slack's deliveries, hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp

from bot.web import install
from bot.web.ci_hooks import CiHooks, ci_routes
from bot.web.hooks import Hooks, routes
from bot.web.install import InstallPages

#: The truth about readiness: (ready?, the particulars).
Readiness = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]

#: One path for commands, interactivity and events.
SLACK_PATH = "/slack/events"


def application(
    *,
    readiness: Readiness,
    bolt: AsyncApp | None,
    hooks: Hooks | None = None,
    ci: CiHooks | None = None,
    pages: InstallPages | None = None,
) -> web.Application:
    """The web application; `bolt` only where Slack delivers over HTTP, `hooks` for alerts, `ci` for CI,
    `pages` where workspaces install the bot."""
    app = web.Application(client_max_size=4 * 1024 * 1024)

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        ready, particulars = await readiness()
        return web.json_response({"ready": ready, **particulars}, status=200 if ready else 503)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.add_routes([*routes(hooks), *ci_routes(ci), *install.routes(pages)])
    if bolt is not None:

        async def slack(request: web.Request) -> web.Response:
            answer = await bolt.async_dispatch(await to_bolt_request(request))
            return await to_aiohttp_response(answer)

        app.router.add_post(SLACK_PATH, slack)
    return app


class WebServer:
    """Serves an application until it is stopped."""

    def __init__(self, app: web.Application, *, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        self._host, self._port = host, port

    async def start(self) -> int:
        """Listen; the port, where any free one was asked for with 0. Raises OSError."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True)
        await site.start()
        addresses = self._runner.addresses
        return int(addresses[0][1]) if addresses else self._port

    async def stop(self) -> None:
        """Answer what is under way, then stop."""
        async with asyncio.timeout(10):
            await self._runner.cleanup()
