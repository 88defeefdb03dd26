"""Pins, shortcuts, homes and optional scopes, through the official client."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workspace.api_pins import MAX_PINS
from bot.workspace.manifest import Manifest, ManifestProblem
from tests.integration.workspace.test_workspace_web_api import refused
from tests.integration.workspace.workspace_stage import (
    ANA,
    DEPLOYS,
    RANDOM,
    App,
    Stage,
    connected,
    manifest,
    stage,
    until,
)

Json = dict[str, Any]


def with_pins(**changes: Any) -> Json:
    """A manifest with the scopes and events of pins, and a shortcut of each type."""
    raw = manifest()
    raw["oauth_config"]["scopes"]["bot"] += ["pins:read", "pins:write"]
    raw["oauth_config"]["scopes"]["bot_optional"] = ["pins:write"]
    raw["settings"]["event_subscriptions"]["bot_events"] += ["pin_added", "pin_removed"]
    greet = {"name": "Greet all", "type": "global", "callback_id": "greet_all", "description": "Say hello"}
    raw["features"]["shortcuts"] += [{**greet, **changes}]
    return raw


async def test_a_pin_is_added_once_listed_and_let_go_once() -> None:
    async with stage(raw=with_pins()) as opened:
        client, ana = opened.client, opened.person(ANA)
        first = (await client.chat_postMessage(channel=DEPLOYS, text="first"))["ts"]
        second = (await client.chat_postMessage(channel=DEPLOYS, text="second"))["ts"]
        for ts in (first, second):
            await client.pins_add(channel=DEPLOYS, timestamp=ts)
        assert (await refused(client.pins_add(channel=DEPLOYS, timestamp=first)))["error"] == "already_pinned"
        items: Any = (await client.pins_list(channel=DEPLOYS))["items"]
        assert [item["message"]["text"] for item in items] == ["second", "first"]
        assert {item["created_by"] for item in items} == {opened.installation.bot_user_id}
        shown = {m["ts"]: m for m in await ana.sees()}
        assert shown[first]["pinned_info"]["pinned_by"] == opened.installation.bot_user_id
        # A message that is changed stays pinned.
        await client.chat_update(channel=DEPLOYS, ts=first, text="first, again")
        assert {m["ts"]: m for m in await ana.sees()}[first]["pinned_info"]
        await client.pins_remove(channel=DEPLOYS, timestamp=first)
        assert (await refused(client.pins_remove(channel=DEPLOYS, timestamp=first)))["error"] == "no_pin"
        assert "pinned_info" not in {m["ts"]: m for m in await ana.sees()}[first]


async def test_what_slack_refuses_to_pin() -> None:
    async with stage(raw=with_pins()) as opened:
        client = opened.client
        for channel, ts, error in (
            (RANDOM, "1.000001", "not_in_channel"),
            ("C0NOWHERE00", "1.000001", "channel_not_found"),
            (DEPLOYS, "1.000001", "message_not_found"),
        ):
            assert (await refused(client.pins_add(channel=channel, timestamp=ts)))["error"] == error
        assert (await refused(client.pins_add(channel=DEPLOYS)))["error"] == "no_item_specified"
        for number in range(MAX_PINS + 1):
            ts = (await client.chat_postMessage(channel=DEPLOYS, text=f"{number}"))["ts"]
            if number < MAX_PINS:
                await client.pins_add(channel=DEPLOYS, timestamp=ts)
        assert (await refused(client.pins_add(channel=DEPLOYS, timestamp=ts)))["error"] == "too_many_pins"
        await opened.control("scopes", remove=["pins:write"])
        assert (await refused(client.pins_add(channel=DEPLOYS, timestamp=ts)))["error"] == "missing_scope"


async def test_apps_hear_of_pins_and_of_shortcuts() -> None:
    async with stage(raw=with_pins()) as opened:
        app, heard = App(opened), {}

        @app.hears("global_shortcut", "greet_all")
        async def greet_all(ack: Any, body: Json, client: Any) -> None:
            await ack()
            heard["shortcut"] = body
            view = {
                "type": "modal",
                "title": {"type": "plain_text", "text": "Hello"},
                "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "Hello"}}],
            }
            await client.views_open(trigger_id=body["trigger_id"], view=view)

        async with connected(opened, app, "websockets"):
            ts = (await opened.client.chat_postMessage(channel=DEPLOYS, text="look"))["ts"]
            await opened.client.pins_add(channel=DEPLOYS, timestamp=ts)
            await opened.client.pins_remove(channel=DEPLOYS, timestamp=ts)
            await opened.person(ANA).does("shortcut", callback_id="greet_all")
            await until(lambda: heard)
            # Bolt keeps an app's own deeds from its listeners: what was delivered is in the traffic.
            pinned = [await _events(opened, kind) for kind in ("pin_added", "pin_removed")]
            boot = await opened.person(ANA).looks("boot")
        [[added], [removed]] = pinned
        assert added["item"]["message"]["ts"] == ts
        assert (added["pin_count"], removed["pin_count"]) == (1, 0)
        # Slack says nothing of where somebody was when they chose it.
        assert not {"channel", "message", "response_url"} & heard["shortcut"].keys()
        shortcuts = boot["apps"][0]["shortcuts"]
        assert [(one["type"], one["description"]) for one in shortcuts] == [
            ("message", "Say hello to whoever wrote it"),
            ("global", "Say hello"),
        ]


async def _events(opened: Stage, kind: str) -> list[Json]:
    found = [entry["request"]["event"] for entry in await opened.traffic("events_api")]
    return [event for event in found if event["type"] == kind]


async def test_a_home_is_published_only_on_what_it_was() -> None:
    async with stage() as opened:
        client = opened.client
        blocks: Any = [{"type": "section", "text": {"type": "plain_text", "text": "Hello"}}]
        view: Any = {"type": "home", "blocks": blocks}
        first: Any = (await client.views_publish(user_id=ANA, view=view))["view"]
        second: Any = (await client.views_publish(user_id=ANA, view=view, hash=first["hash"]))["view"]
        assert second["id"] == first["id"]
        stale = await refused(client.views_publish(user_id=ANA, view=view, hash=first["hash"]))
        assert stale["error"] == "hash_conflict"
        many = {"type": "home", "blocks": blocks * 101}
        assert (await refused(client.views_publish(user_id=ANA, view=many)))["error"] == "invalid_arguments"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "A name of more than 24 letters"}, "name must have 1 to 24"),
        ({"name": ""}, "name must have"),
        ({"description": "x" * 151}, "description must have 1 to 150"),
        ({"description": ""}, "description must have"),
        ({"type": "channel"}, "needs a type"),
    ],
)
def test_a_shortcut_slack_would_refuse_is_refused(changes: Json, said: str) -> None:
    with pytest.raises(ManifestProblem, match=said):
        Manifest.read(with_pins(**changes))


def test_an_optional_scope_is_one_of_the_scopes() -> None:
    raw = with_pins()
    raw["oauth_config"]["scopes"]["bot_optional"] = ["pins:write", "canvases:write"]
    with pytest.raises(ManifestProblem, match=r"bot_optional: canvases:write"):
        Manifest.read(raw)
