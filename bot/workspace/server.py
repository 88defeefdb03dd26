"""The workspace as one aiohttp server on loopback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientError, web

from bot.workspace import (
    api_chat,
    api_conversations,
    api_files,
    api_misc,
    api_oauth,
    api_pins,
    api_users,
    api_views,
)
from bot.workspace.audience import Audience
from bot.workspace.authorizing import Authorizing
from bot.workspace.base import Base
from bot.workspace.client import Client
from bot.workspace.clock import Clock
from bot.workspace.control import Control
from bot.workspace.faults import Faults
from bot.workspace.http import guard
from bot.workspace.leaving import uninstall
from bot.workspace.manifest import App, Installation, Manifest
from bot.workspace.network import Network
from bot.workspace.page_socket import PageSocket
from bot.workspace.parts import ForwardHook, Parts, wire
from bot.workspace.rate_limits import RateLimits
from bot.workspace.scheduled import Postman
from bot.workspace.state import FIRST_TEAM, SECOND_TEAM, State
from bot.workspace.store import Store
from bot.workspace.traffic import Traffic
from bot.workspace.web_api import WebApi, catalogue

Json = dict[str, Any]

log = logging.getLogger(__name__)

#: Where the workspace is found unless told otherwise.
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 3210
#: The families of Web API methods; a new method goes into one of them.
_FAMILIES = (
    api_chat,
    api_conversations,
    api_files,
    api_misc,
    api_oauth,
    api_pins,
    api_users,
    api_views,
)
#: Largest request body: an upload, base64 or not.
_MAX_BODY = 32_000_000
#: The page loads nothing from elsewhere; message images may come from anywhere.
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: https: http:; style-src 'self' 'unsafe-inline'; "
        "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Workspace:
    """A small Slack. Create it, `start` it, `install` an app from its manifest, `stop` it."""

    def __init__(
        self,
        *,
        state_path: Path | None = None,
        on_forward: ForwardHook | None = None,
        can_forward: bool | None = None,
        allowed_hosts: tuple[str, ...] = (),
        public_url: str = "",
        clock: Clock | None = None,
        beside: Workspace | None = None,
    ) -> None:
        """`state_path` keeps the workspace over restarts; `on_forward` moves an embedding app's clock along.

        `allowed_hosts` are names besides localhost and addresses that the page may be opened under;
        `public_url` is where apps and people reach the server if not where it listens (in a container).
        `beside` makes it a second team of the same Slack: other people and channels on a page of their own,
        the same apps and clock, and a Web API that goes by the token wherever it is asked. Stop it first.
        """
        first = beside._base if beside is not None else None
        self.clock = clock or (first.clock if first is not None else Clock())
        store = Store(state_path)
        self._base: Base = Base(
            clock=self.clock,
            store=store,
            state=State(store, FIRST_TEAM if first is None else SECOND_TEAM),
            limits=RateLimits(self.clock.monotonic),
            faults=Faults(),
            traffic=Traffic(self.clock),
            audience=Audience(),
            network=first.network if first is not None else Network(),
        )
        self._base.state.load()
        for _, kept in store.load("registered"):
            app = App.from_json(kept)
            self._base.network.apps[app.app_id] = app
        for app in self._base.state.apps.values():
            self._base.network.keep(app)
        if first is None:
            self.clock.forward(next((ahead for _, ahead in store.load("clock")), 0.0))
        self.clock.not_before(self._base.state.newest_stamp())
        store.commit_now()
        sockets = beside._parts.sockets if beside is not None else None
        self._owns_sockets = sockets is None
        self._parts: Parts = wire(self._base, on_forward, sockets=sockets)
        self._base.network.teams.append(self._parts)
        self._client = Client(
            self._parts, can_forward=on_forward is not None if can_forward is None else can_forward
        )
        self._allowed_hosts = frozenset(allowed_hosts)
        self._public_url = public_url.rstrip("/")
        self._runner: web.AppRunner | None = None
        self._page = Path(__file__).parent / "static"

    # Running

    async def start(self, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT) -> str:
        """Listen; port 0 takes a free one. Returns the base URL."""
        await self._parts.delivery.open()
        app = web.Application(middlewares=[guard(self._allowed_hosts)], client_max_size=_MAX_BODY)
        self._route(app)
        # Handlers that the peer left are not cancelled: a lost connection must not undo half a call.
        self._runner = web.AppRunner(app, handler_cancellation=False, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self.stop()
            raise
        bound = self._runner.addresses[0][1]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
        self._base.url = self._public_url or f"http://{shown}:{bound}"
        self._base.tasks.spawn(Postman(self._base, self._parts.messages).run())
        for installed in self._base.state.apps.values():
            self._greet(installed)
        log.info("The workspace listens on %s", self._base.url)
        return self._base.url

    async def stop(self) -> None:
        """Hang up on everybody and let go of the port and the file."""
        self._base.audience.hang_up()
        if self._owns_sockets:
            await self._parts.sockets.close_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._base.tasks.cancel()
        await self._parts.delivery.close()
        self._base.store.close()

    async def __aenter__(self) -> Workspace:
        await self.start(port=0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def forward(self, seconds: float) -> float:
        """Move the clock forward, as a person can on the page."""
        return await self._parts.forward(seconds)

    @property
    def url(self) -> str:
        """Where people open the page and apps find the API, without a slash at the end."""
        return self._base.url

    # Apps

    def install(self, manifest: Json) -> Installation:
        """Install an app from its manifest, or update it: one of the same name keeps its ids and tokens.

        Call it after `start`, so that `api_url` holds the real port.
        """
        app = self._base.state.install(self._registered(manifest))
        self._base.store.commit_now()
        if self._runner is not None:
            self._greet(app)
        return self._handed_out(app)

    def register(self, manifest: Json) -> Installation:
        """Make an app that is in no team yet: people install it through `/oauth/v2/authorize`."""
        app = self._registered(manifest)
        self._base.store.commit_now()
        if self._runner is not None:
            self._greet(app)
        return self._handed_out(app)

    def uninstall(self, name: str) -> bool:
        """Take the app of this name out of the team; False where it is not in it."""
        for app in self._base.state.apps.values():
            if app.manifest.name == name:
                uninstall(self._parts, app)
                self._base.store.commit_now()
                return True
        return False

    def _registered(self, manifest: Json) -> App:
        app = self._base.network.register(Manifest.read(manifest))
        self._base.store.put("registered", app.app_id, app.to_json())
        return app

    def _handed_out(self, app: App) -> Installation:
        return Installation(
            bot_token=app.bot_token,
            app_token=app.app_token,
            signing_secret=app.signing_secret,
            bot_user_id=app.bot_user_id,
            app_id=app.app_id,
            api_url=f"{self._base.url}/api/",
            bot_id=app.bot_id,
            team_id=self._base.state.team["id"],
            client_id=app.client_id,
            client_secret=app.client_secret,
        )

    def _greet(self, app: App) -> None:
        if app.manifest.events_url and not app.manifest.socket_mode:
            self._base.tasks.spawn(self._verify(app))

    async def _verify(self, app: App) -> None:
        try:
            await self._parts.delivery.verify_url(app)
        except (OSError, TimeoutError, ClientError) as error:
            # Tried again before the first event.
            log.info("The request URL of %s does not answer yet: %s", app.manifest.name, error)

    # Routes

    def _route(self, app: web.Application) -> None:
        api = WebApi(self._parts, catalogue(_FAMILIES))
        uploads = api_files.Uploads(self._parts)
        add: Callable[..., Any] = app.router.add_route
        add("GET", "/api/{method}", api.serve)
        add("POST", "/api/{method}", api.serve)
        add("GET", "/socket/{ticket}", self._parts.sockets.serve)
        add("POST", "/respond/{token}", self._parts.responder.serve)
        add("POST", "/upload/{id}", uploads.receive)
        add("GET", "/files/{id}/{name}", uploads.send)
        add("GET", "/client/ws", PageSocket(self._base).serve)
        app.router.add_routes(self._client.routes())
        app.router.add_routes(Control(self._parts).routes())
        app.router.add_routes(Authorizing(self._parts).routes())
        add("GET", "/", self._index)
        add("GET", "/archives/{channel}", self._index)
        add("GET", "/archives/{channel}/{message}", self._index)
        add("GET", "/page/{file:.+}", self._file)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return await self._serve("index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request.match_info["file"])

    async def _serve(self, name: str) -> web.StreamResponse:
        path = (self._page / name).resolve()
        found = await asyncio.to_thread(path.is_file)
        if not found or not path.is_relative_to(self._page.resolve()):
            return web.Response(status=404, text="not found")
        return web.FileResponse(path, headers=_PAGE_HEADERS)
