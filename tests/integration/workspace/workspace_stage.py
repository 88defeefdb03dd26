"""A workspace on a free port, an app on the official SDK, and people who use it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler as AiohttpHandler
from slack_bolt.adapter.socket_mode.websockets import AsyncSocketModeHandler as WebsocketsHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.workspace import Installation, Workspace

Json = dict[str, Any]
ListenerT = TypeVar("ListenerT", bound=Callable[..., Any])

ANA, BEN, CARLA = "UANA0000001", "UBEN0000002", "UCARLA00003"
DEPLOYS, GENERAL, RANDOM, RELEASE = "C0DEPLOYS01", "C0GENERAL01", "C0RANDOM001", "G0RELEASE01"


def manifest(*, socket: bool = True, url: str = "", **changes: Any) -> Json:
    """The manifest of a small app."""
    command: Json = {"command": "/greet", "description": "Say hello", "should_escape": True}
    settings: Json = {
        "socket_mode_enabled": socket,
        "interactivity": {"is_enabled": True},
        "event_subscriptions": {
            "bot_events": ["app_mention", "app_home_opened", "message.im", "member_joined_channel"]
        },
    }
    if not socket:
        command["url"] = url
        settings["interactivity"]["request_url"] = url
        settings["event_subscriptions"]["request_url"] = url
    scopes = [
        "app_mentions:read",
        "channels:history",
        "channels:read",
        "chat:write",
        "commands",
        "files:read",
        "files:write",
        "groups:history",
        "im:history",
        "im:write",
        "reactions:write",
        "usergroups:read",
        "users:read",
    ]
    return {
        "display_information": {"name": "Greeter"},
        "features": {
            "bot_user": {"display_name": "greeter"},
            "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
            "slash_commands": [command],
            "shortcuts": [
                {
                    "name": "Greet this",
                    "type": "message",
                    "callback_id": "greet_this",
                    "description": "Say hello to whoever wrote it",
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": changes.get("scopes", scopes)}},
        "settings": settings,
    }


@dataclass
class Person:
    """Somebody at the page."""

    http: aiohttp.ClientSession
    url: str
    user: str

    async def does(self, what: str, **fields: Any) -> Json:
        """Call `/client/<what>`."""
        async with self.http.post(f"{self.url}/client/{what}", json={"user": self.user, **fields}) as answer:
            body: Json = await answer.json()
            return body

    async def looks(self, what: str, **fields: Any) -> Json:
        """Read `/client/<what>`."""
        params = {"user": self.user, **fields}
        async with self.http.get(f"{self.url}/client/{what}", params=params) as answer:
            body: Json = await answer.json()
            return body

    async def types(self, text: str, channel: str = DEPLOYS, **fields: Any) -> Json:
        """A command or a message."""
        what = "command" if text.startswith("/") else "message"
        return await self.does(what, channel=channel, text=text, **fields)

    async def clicks(self, message: Json, block_id: str, action_id: str, **fields: Any) -> Json:
        """Use an element of a message."""
        container = {"channel": message["channel"], "ts": message["ts"]}
        return await self.does(
            "action",
            container=container,
            block_id=block_id,
            action_id=action_id,
            value=fields.get("value", {}),
            state=fields.get("state", {}),
        )

    async def sees(self, channel: str = DEPLOYS) -> list[Json]:
        """The messages of a channel."""
        found: list[Json] = (await self.looks("history", channel=channel))["messages"]
        return found


@dataclass
class Stage:
    """Everything a test needs."""

    workspace: Workspace
    installation: Installation
    client: AsyncWebClient
    http: aiohttp.ClientSession

    def person(self, user: str) -> Person:
        """Somebody at the page."""
        return Person(self.http, self.workspace.url, user)

    async def control(self, what: str, **fields: Any) -> Json:
        """Call `/control/<what>`."""
        async with self.http.post(f"{self.workspace.url}/control/{what}", json=fields) as answer:
            body: Json = await answer.json()
            return body

    async def ask(self, what: str, **fields: Any) -> Json:
        """Read `/control/<what>`."""
        async with self.http.get(f"{self.workspace.url}/control/{what}", params=fields) as answer:
            body: Json = await answer.json()
            return body

    async def traffic(self, name: str) -> list[Json]:
        """What went over the wire under this name."""
        entries: list[Json] = (await self.ask("traffic", name=name))["entries"]
        return entries


@asynccontextmanager
async def stage(
    state_path: Path | None = None, *, raw: Json | None = None, limits: bool = False
) -> AsyncIterator[Stage]:
    """A workspace with the app installed, nothing connected."""
    workspace = Workspace(state_path=state_path)
    await workspace.start(port=0)
    installation = workspace.install(raw or manifest())
    async with aiohttp.ClientSession() as http:
        client = AsyncWebClient(
            token=installation.bot_token, base_url=installation.api_url, retry_handlers=[]
        )
        opened = Stage(workspace, installation, client, http)
        await opened.control("limits", enforce=limits)
        try:
            yield opened
        finally:
            await workspace.stop()


class App:
    """Bolt's app, with decorators that keep a listener's type."""

    def __init__(self, opened: Stage) -> None:
        self.bolt = AsyncApp(client=opened.client, signing_secret=opened.installation.signing_secret)

    def hears(self, kind: str, what: str) -> Callable[[ListenerT], ListenerT]:
        """`@app.hears("action", "go")` is Bolt's `@app.action("go")`."""

        def register(listener: ListenerT) -> ListenerT:
            getattr(self.bolt, kind)(what)(listener)
            return listener

        return register


@asynccontextmanager
async def connected(opened: Stage, app: App, adapter: str) -> AsyncIterator[Any]:
    """The app's Socket Mode handler, connected."""
    kind: Any = AiohttpHandler if adapter == "aiohttp" else WebsocketsHandler
    handler = kind(app.bolt, opened.installation.app_token, ping_interval=0.3)
    await handler.connect_async()
    try:
        yield handler
    finally:
        await handler.close_async()


@asynccontextmanager
async def served(app: App, port: int) -> AsyncIterator[None]:
    """The app over HTTP, as Slack's request URL."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse = await to_aiohttp_response(
            await app.bolt.async_dispatch(await to_bolt_request(request))
        )
        return answer

    server = web.Application()
    server.router.add_post("/slack/events", handle)
    runner = web.AppRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        await asyncio.sleep(0.02)


def button(block_id: str = "b1", action_id: str = "go", text: str = "Go") -> Json:
    """A block with one button."""
    element = {"type": "button", "action_id": action_id, "text": {"type": "plain_text", "text": text}}
    return {"type": "actions", "block_id": block_id, "elements": [element]}


def option(value: str) -> Json:
    """An option of checkboxes."""
    # As Slack keeps it: with its defaults written out.
    return {"text": {"type": "mrkdwn", "text": f"*{value}*", "verbatim": False}, "value": value}


def boxes(block_id: str, *values: str, ticked: tuple[str, ...] = ()) -> Json:
    """A block with checkboxes."""
    element: Json = {"type": "checkboxes", "action_id": "tick", "options": [option(v) for v in values]}
    if ticked:
        element["initial_options"] = [option(v) for v in ticked]
    return {"type": "actions", "block_id": block_id, "elements": [element]}


def modal(**changes: Any) -> Json:
    """A modal with one required input."""
    return {
        "type": "modal",
        "callback_id": "form",
        "title": {"type": "plain_text", "text": "Form"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "block_id": "name",
                "label": {"type": "plain_text", "text": "Name"},
                "element": {"type": "plain_text_input", "action_id": "name", "min_length": 2},
            }
        ],
        **changes,
    }
