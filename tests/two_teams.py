"""A second stage beside the first: two teams of one Slack, one bot for both, and a browser that installs it.

Ana, Ben and Carla are in the first team; Dora deploys in the second, Emil is on her team.
"""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from pydantic import SecretStr

from bot.app import Application
from bot.example.programs import free_port
from bot.services.ports import Clock
from bot.slack.manifest import manifest
from bot.storage import installations
from bot.storage.installations import Installation as Kept
from bot.storage.sealing import new_key
from bot.workspace.manifest import Installation
from bot.workspace.server import Workspace
from tests.stage import Json, Person, Stage, settings_for

DORA, EMIL = "UDORA000011", "UEMIL000012"
SECOND_CHANNEL = "C1DEPLOYS11"


class Browser:
    """A person's browser: it keeps cookies, and goes from the bot to Slack and back."""

    def __init__(self, bot_url: str) -> None:
        self.bot_url = bot_url
        self.client = httpx.AsyncClient(timeout=30)

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.aclose()

    async def begins(self) -> str:
        """Open the install page; where its link leads."""
        shown = await self.client.get(f"{self.bot_url}/slack/install")
        assert shown.status_code == 200, shown.text
        found = re.search(r'href="([^"]+authorize[^"]+)"', shown.text)
        assert found is not None, shown.text
        return html.unescape(found[1])

    async def decides(self, url: str, who: str, *, decision: str = "allow") -> str:
        """Read Slack's page and press a button; where it sends the browser."""
        shown = await self.client.get(url)
        assert shown.status_code == 200, shown.text
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', shown.text))
        given = {key: html.unescape(value) for key, value in fields.items() if key != "decision"}
        decided = await self.client.post(
            str(httpx.URL(url).join("/client/authorize")), data={**given, "who": who, "decision": decision}
        )
        assert decided.status_code == 302, decided.text
        return decided.headers["location"]

    async def installs(self, who: str) -> httpx.Response:
        """The whole way; the page it ends on."""
        return await self.client.get(await self.decides(await self.begins(), who))


@dataclass(kw_only=True)
class TwoTeams:
    """Two stages, and what the bot for both is set up with."""

    first: Stage
    second: Stage
    registered: Installation
    folder: Path
    port: int
    keys: str = field(default_factory=new_key)

    @property
    def bot_url(self) -> str:
        """Where the bot's pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ana(self) -> str:
        """Ana of the first team, as Slack's page names her."""
        return f"{self.first.installed.team_id} UANA0000001"

    @property
    def dora_of_second(self) -> str:
        """Dora of the second team, likewise."""
        return f"{self.second.installed.team_id} {DORA}"

    @property
    def dora(self) -> Person:
        """Dora deploys in the second team."""
        return Person(self.second.client, DORA)

    def settings(self, database_url: str, **changed: Any) -> Json:
        """What the bot is started with."""
        return {
            "slack_client_id": self.registered.client_id,
            "slack_client_secret": SecretStr(self.registered.client_secret),
            "encryption_key": SecretStr(self.keys),
            "public_url": self.bot_url,
            "port": self.port,
            "checklists": self.folder,
            **changed,
        }

    @contextlib.asynccontextmanager
    async def bot(
        self, database_url: str, *, clock: Clock | None = None, **changed: Any
    ) -> AsyncIterator[Application]:
        """The bot for both, started and connected."""
        settings = settings_for(self.registered, database_url, **self.settings(database_url, **changed))
        application = Application(settings, clock=clock)
        await application.start()
        try:
            await self.first.until(application.connected, within=30, what="the bot connects")
            yield application
        finally:
            await application.stop()

    async def invites(self, stage: Stage, user: str, channel: str) -> None:
        """Bring the bot into a channel."""
        state = (await stage.client.get("/control/state")).json()
        answer = await stage.client.post(
            "/client/invite",
            json={"user": user, "channel": channel, "member": state["apps"][0]["bot_user_id"]},
        )
        assert answer.json()["ok"], answer.text

    async def joins_both(self, browser: Browser) -> None:
        """Install in both teams, and bring the bot into #deploys of each."""
        for who, stage, user, channel in (
            (self.ana, self.first, "UANA0000001", "C0DEPLOYS01"),
            (self.dora_of_second, self.second, DORA, SECOND_CHANNEL),
        ):
            page = await browser.installs(who)
            assert page.status_code == 200, page.text
            await self.invites(stage, user, channel)


async def kept(application: Application, team: str) -> Kept | None:
    """What is stored of a team's installation."""
    async with application.ports.database.read() as tx:
        return await installations.get(tx, team)


async def bot_messages(stage: Stage, channel: str) -> list[Json]:
    """What the bot wrote in a channel and its threads."""
    answer = await stage.client.get("/control/messages", params={"channel": channel})
    return [m for m in answer.json()["messages"] if m.get("bot_id")]


@contextlib.asynccontextmanager
async def open_two_teams(
    folder: Path, *, home: bool = False, http: bool = False, rotate_tokens: bool = False
) -> AsyncIterator[TwoTeams]:
    """Two teams with the app registered; with `home` it is installed in the first one by its developer."""
    port = free_port()
    (folder / "production.md").write_text("# Short\n\n## Only section\n\n- [ ] Say hello\n- [ ] Wave\n")
    url = f"http://127.0.0.1:{port}"
    made = manifest(url=url if http else None, install_url=url, rotate_tokens=rotate_tokens)
    first = Workspace(can_forward=True)
    first_url = await first.start(port=0)
    second = Workspace(beside=first, can_forward=True)
    second_url = await second.start(port=0)
    registered = first.install(made) if home else first.register(made)
    try:
        async with (
            httpx.AsyncClient(base_url=first_url, timeout=30) as one,
            httpx.AsyncClient(base_url=second_url, timeout=30) as other,
        ):
            yield TwoTeams(
                first=Stage(first, registered, one),
                second=Stage(second, second.register(made), other),
                registered=registered,
                folder=folder,
                port=port,
            )
    finally:
        await second.stop()
        await first.stop()
