"""The stage for plays: the local workspace and the bot in one process, with people who act through Slack's
client side. No browser; `tests/acceptance` plays through the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from bot.app import Application
from bot.config import Settings
from bot.services.ports import Clock, Watching
from bot.slack.manifest import manifest
from bot.workspace.manifest import Installation
from bot.workspace.server import Workspace
from tests.makers import ANA, BEN, CARLA, CHANNEL

CHECKLISTS = Path(__file__).parent.parent / "checklists"

Json = dict[str, Any]


class NotThere(AssertionError):
    """What was looked for is not on the screen; to somebody who waits: not yet."""


def settings_for(installed: Installation, database_url: str, **changed: Any) -> Settings:
    """Settings of a bot that talks to the workspace over Socket Mode."""
    values: Json = {
        "database_url": database_url,
        "slack_bot_token": SecretStr(installed.bot_token),
        "slack_app_token": SecretStr(installed.app_token),
        "slack_signing_secret": SecretStr(installed.signing_secret),
        "slack_api_url": installed.api_url,
        "checklists": CHECKLISTS,
        "host": "127.0.0.1",
        "port": 0,
    }
    return Settings(_env_file=None, **values | changed)  # type: ignore[call-arg]


class Person:
    """Somebody in the workspace, acting as a client would."""

    def __init__(self, client: httpx.AsyncClient, user: str) -> None:
        self._client = client
        self.user = user

    async def _do(self, action: str, **body: Any) -> Json:
        answer = await self._client.post(f"/client/{action}", json={"user": self.user, **body})
        return dict(answer.json())

    async def types(self, text: str, *, channel: str = CHANNEL, thread_ts: str | None = None) -> Json:
        """Type a message, or a slash command where the text begins with a slash."""
        place = {"channel": channel, "text": text} | ({"thread_ts": thread_ts} if thread_ts else {})
        return await self._do("command" if text.startswith("/") else "message", **place)

    async def history(self, channel: str = CHANNEL) -> list[Json]:
        """The channel as this person sees it."""
        params = {"user": self.user, "channel": channel}
        return list((await self._client.get("/client/history", params=params)).json()["messages"])

    async def thread(self, ts: str, channel: str = CHANNEL) -> list[Json]:
        """A thread as this person sees it, root first."""
        params = {"user": self.user, "channel": channel, "ts": ts}
        return list((await self._client.get("/client/thread", params=params)).json()["messages"])

    async def whispers(self, channel: str = CHANNEL, thread_ts: str | None = None) -> list[str]:
        """What only this person was told."""
        messages = await (self.thread(thread_ts, channel) if thread_ts else self.history(channel))
        return [message["text"] for message in messages if message.get("ephemeral")]

    async def clicks(
        self, message: Json, block_id: str, action_id: str, value: Json, *, channel: str = CHANNEL
    ) -> Json:
        """Click an element of a message as it was drawn."""
        return await self._do(
            "action",
            container={"channel": channel, "ts": message["ts"]},
            block_id=block_id,
            action_id=action_id,
            value=value,
            state={},
        )

    async def presses(self, message: Json, label: str, *, channel: str = CHANNEL) -> Json:
        """Press the button with this label."""
        for block in message["blocks"]:
            for element in [*block.get("elements", ()), block.get("accessory") or {}]:
                if element.get("type") == "button" and element["text"]["text"] == label:
                    return await self.clicks(
                        message, block["block_id"], element["action_id"], {}, channel=channel
                    )
        raise AssertionError(f"no button {label!r} in {message['text'][:80]!r}")

    async def opens_home(self, bot_user: str) -> Json:
        """Open the app's Home tab; what it showed before."""
        return await self._do("home", bot_user_id=bot_user)

    async def chooses(self, shortcut: str, message: Json | None = None, *, channel: str = CHANNEL) -> Json:
        """Choose a shortcut by its callback_id, from the menu or on a message."""
        place = {} if message is None else {"channel": channel, "ts": message["ts"]}
        return await self._do("shortcut", callback_id=shortcut, **place)

    async def ticks_at_home(self, view: Json, text: str) -> Json:
        """Click the box with this text in the Home tab."""
        block, element, option = find_box({**view, "text": "the home"}, text)
        before = element.get("initial_options", [])
        after = [o for o in before if o["value"] != option["value"]]
        return await self._do(
            "action",
            container={"view_id": view["id"]},
            block_id=block["block_id"],
            action_id=element["action_id"],
            value={"selected_options": after if len(after) < len(before) else [*before, option]},
            state={},
        )

    async def presses_at_home(self, view: Json, label: str) -> Json:
        """Press the button with this label in the Home tab."""
        for block in view["blocks"]:
            for element in block.get("elements", ()):
                if element.get("type") == "button" and element["text"]["text"] == label:
                    return await self._do(
                        "action",
                        container={"view_id": view["id"]},
                        block_id=block["block_id"],
                        action_id=element["action_id"],
                        value={},
                        state={},
                    )
        raise NotThere(f"no button {label!r} in the home")

    async def submits(self, view: Json, **values: str) -> Json:
        """Fill in a form's inputs and submit it."""
        state: Json = {}
        for block in view["blocks"]:
            if block["type"] != "input":
                continue
            element = block["element"]
            given = values.get(block["block_id"])
            filled: Json = {"type": element["type"]}
            if element["type"] == "conversations_select":
                filled["selected_conversation"] = given or element.get("initial_conversation")
            elif element["type"] in ("static_select", "radio_buttons"):
                groups = element.get("option_groups") or [{"options": element.get("options", [])}]
                options = [option for group in groups for option in group["options"]]
                chosen = [o for o in options if given in (o["value"], o["text"]["text"])]
                filled["selected_option"] = chosen[0] if chosen else element.get("initial_option")
            elif element["type"] == "users_select":
                filled["selected_user"] = given
            else:
                filled["value"] = element.get("initial_value") if given is None else given
            state[block["block_id"]] = {element["action_id"]: filled}
        return await self._do("view_submit", view_id=view["id"], state=state)


class Client:
    """One client's screen of a message: what it drew last, and what was clicked since."""

    def __init__(self, person: Person, message: Json) -> None:
        self._person = person
        self._message = message
        self._selected: dict[str, list[Json]] = {}

    async def toggles(self, text: str) -> Json:
        """Click the box with this text, as drawn on this screen."""
        return await self._toggle(*find_box(self._message, text))

    async def toggles_value(self, value: str) -> Json:
        """Click the box with this option value."""
        for block in self._message["blocks"]:
            for element in block.get("elements", ()):
                for option in element.get("options", ()):
                    if option["value"] == value:
                        return await self._toggle(block, element, option)
        raise AssertionError(f"no box with the value {value}")

    async def _toggle(self, block: Json, element: Json, option: Json) -> Json:
        block_id = block["block_id"]
        selected = self._selected.get(block_id, list(element.get("initial_options", [])))
        on = [o for o in selected if o["value"] != option["value"]]
        after = on if len(on) < len(selected) else [*selected, option]
        self._selected[block_id] = after
        return await self._person.clicks(
            self._message, block_id, element["action_id"], {"selected_options": after}
        )


def find_box(message: Json, text: str) -> tuple[Json, Json, Json]:
    """The block, the element and the option of the box with this text. Raises NotThere."""
    for block in message.get("blocks", ()):
        for element in [*block.get("elements", ()), block.get("accessory") or {}]:
            for option in element.get("options", ()) if element.get("type") == "checkboxes" else ():
                shown = option["text"]["text"]
                if block["type"] == "section":
                    shown = block["text"]["text"]
                if text in shown:
                    return block, element, option
    raise NotThere(f"no box {text!r} in {message['text'][:80]!r}")


def has_box(message: Json, text: str) -> bool:
    """Whether the message has a box with this text."""
    try:
        find_box(message, text)
    except NotThere:
        return False
    return True


class Stage:
    """The workspace, the bot, and the people."""

    def __init__(self, workspace: Workspace, installed: Installation, client: httpx.AsyncClient) -> None:
        self.workspace = workspace
        self.installed = installed
        self.client = client
        self.ana, self.ben, self.carla = (Person(client, user) for user in (ANA, BEN, CARLA))

    def person(self, user: str) -> Person:
        """Anybody."""
        return Person(self.client, user)

    async def root(self, index: int = -1, channel: str = CHANNEL) -> Json:
        """A card in the channel, the newest unless told otherwise. Raises NotThere."""
        cards = [
            m
            for m in await self.ana.history(channel)
            if m.get("bot_id") and not m.get("ephemeral") and m.get("thread_ts", m["ts"]) == m["ts"]
        ]
        if not -len(cards) <= index < len(cards):
            raise NotThere(f"{len(cards)} cards in the channel, none at {index}")
        return cards[index]

    async def thread(self, index: int = -1, channel: str = CHANNEL) -> list[Json]:
        """The card and its replies. Raises NotThere."""
        return await self.ana.thread((await self.root(index, channel))["ts"], channel)

    async def message_with(self, text: str) -> Json:
        """The message of the newest thread that has the box with this text. Raises NotThere."""
        for message in await self.thread():
            if has_box(message, text):
                return message
        raise NotThere(f"no box {text!r} in the thread")

    async def ticks(self, person: Person, text: str) -> Json:
        """The person clicks the box on a fresh screen."""
        return await Client(person, await self.message_with(text)).toggles(text)

    async def traffic(self, name: str = "", direction: str = "bot→slack") -> list[Json]:
        """The calls of this name, oldest first."""
        params: dict[str, str | int] = {"name": name, "limit": 2000} if name else {"limit": 2000}
        entries = (await self.client.get("/control/traffic", params=params)).json()["entries"]
        return [e for e in entries if e["direction"] == direction and (not name or e["name"] == name)]

    async def fault(self, **fault: Any) -> None:
        """Switch a fault on."""
        answer = (await self.client.post("/control/faults", json=fault)).json()
        assert answer["ok"], answer

    async def direct(self, user: str) -> list[Json]:
        """What the bot wrote to this person directly, oldest first. Raises NotThere."""
        state = (await self.client.get("/control/state")).json()
        channels = [c["id"] for c in state["channels"] if c["is_im"] and user in c["members"]]
        found = [m for one in channels for m in state["messages"].get(one, ()) if m.get("bot_id")]
        if not found:
            raise NotThere(f"no direct message to {user}")
        return [
            {**m, "channel": one} for one in channels for m in state["messages"].get(one, ()) if m in found
        ]

    async def views(self, user: str) -> list[Json]:
        """The forms this person has open, newest last."""
        state = (await self.client.get("/control/state")).json()
        return [v for v in state["views"] if v.get("user", v.get("user_id")) == user and v["type"] == "modal"]

    async def home(self, user: str) -> Json:
        """This person's Home tab. Raises NotThere."""
        state = (await self.client.get("/control/state")).json()
        for view in state["views"]:
            if view["type"] == "home" and view.get("user", view.get("user_id")) == user:
                return dict(view)
        raise NotThere(f"no home of {user}")

    async def home_says(self, user: str, *texts: str) -> Json:
        """The Home tab, once it says all this. Raises NotThere."""
        view = await self.home(user)
        shown = json.dumps(view["blocks"], ensure_ascii=False)
        missing = [text for text in texts if text not in shown]
        if missing:
            raise NotThere(f"{missing} not in {shown[:2000]}")
        return view

    async def until(self, true: Callable[[], Any], *, within: float = 10.0, what: str = "") -> Any:
        """Wait until the (async) condition holds; its value. What is not there yet is waited for, too.

        Raises AssertionError.
        """
        deadline = asyncio.get_running_loop().time() + within
        while True:
            missing: NotThere | None = None
            try:
                value = true()
                if asyncio.iscoroutine(value):
                    value = await value
                if value:
                    return value
            except NotThere as error:
                missing = error
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"did not happen within {within} s: {what or true}") from missing
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def open_stage(*, state_path: Path | None = None, http_port: int | None = None) -> AsyncIterator[Stage]:
    """A running workspace with the app installed, and no bot in it yet."""
    workspace = Workspace(state_path=state_path, can_forward=True)
    url = await workspace.start(port=0)
    made = manifest()
    if http_port is not None:
        made = manifest(url=f"http://127.0.0.1:{http_port}")
    installed = workspace.install(made)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield Stage(workspace, installed, client)
    finally:
        await workspace.stop()


@contextlib.asynccontextmanager
async def running_bot(
    stage: Stage,
    database_url: str,
    *,
    clock: Clock | None = None,
    process: Mapping[str, str] | None = None,
    watching: Watching | None = None,
    **changed: Any,
) -> AsyncIterator[Application]:
    """The bot, started and connected; `process` has the variables its checks are filled in with."""
    settings = settings_for(stage.installed, database_url, **changed)
    application = Application(settings, clock=clock, process=process, watching=watching)
    await application.start()
    try:
        await stage.until(application.connected, what="the bot connects")
        yield application
    finally:
        await application.stop()


def texts(messages: Sequence[Json]) -> str:
    """All they say, for `in`."""
    return "\n".join(message["text"] for message in messages)
