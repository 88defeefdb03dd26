"""The official SDK over Socket Mode: commands, clicks, modals, redelivery, reconnecting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.workspace.workspace_stage import (
    ANA,
    BEN,
    DEPLOYS,
    App,
    boxes,
    button,
    connected,
    modal,
    option,
    stage,
    until,
)

Json = dict[str, Any]
ADAPTERS = ["aiohttp", "websockets"]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_command_is_answered_and_posts(adapter: str) -> None:
    async with stage() as opened:
        app = App(opened)
        heard: list[Json] = []

        @app.hears("command", "/greet")
        async def greet(ack: Any, body: Json, respond: Any, client: Any) -> None:
            await ack("Hello")
            heard.append(body)
            await client.chat_postMessage(channel=body["channel_id"], text="Everyone, hello")
            await respond("Just for you")

        async with connected(opened, app, adapter):
            ana = opened.person(ANA)
            assert await ana.types("/greet @ben in #deploys & <friends>") == {"ok": True}
            seen = await until(lambda: _three(ana))
        # Bolt sends the ack while the listener already goes on, so the order is anybody's guess.
        whispered = {m["text"]: bool(m.get("ephemeral")) for m in seen}
        assert whispered == {"Hello": True, "Everyone, hello": False, "Just for you": True}
        assert heard[0]["text"] == f"<@{BEN}|ben> in <#{DEPLOYS}|deploys> &amp; &lt;friends&gt;"
        assert len(await opened.person(BEN).sees()) == 1


async def _three(person: Any) -> list[Json] | None:
    found: list[Json] = await person.sees()
    return found if len(found) == 3 else None


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_modal_refuses_then_accepts(adapter: str) -> None:
    async with stage() as opened:
        app = App(opened)
        submitted: list[Json] = []

        @app.hears("command", "/greet")
        async def greet(ack: Any, body: Json, client: Any) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=modal())

        @app.hears("view", "form")
        async def form(ack: Any, view: Json) -> None:
            name = view["state"]["values"]["name"]["name"]["value"]
            if name == "Ben":
                await ack(response_action="errors", errors={"name": "Not Ben"})
                return
            submitted.append(view)
            await ack()

        async with connected(opened, app, adapter):
            ana = opened.person(ANA)
            await ana.types("/greet")
            view = (await until(lambda: _views(opened)))[0]

            async def send(value: str | None) -> Json:
                state = {"name": {"name": {"type": "plain_text_input", "value": value}}}
                return await ana.does("view_submit", view_id=view["id"], state=state)

            assert (await send(""))["errors"] == {"name": "Please complete this required field."}
            assert (await send("B"))["errors"] == {"name": "This must be at least 2 characters."}
            assert (await send("Ben"))["errors"] == {"name": "Not Ben"}
            assert await send("Ana") == {"ok": True}
        assert submitted[0]["state"]["values"]["name"]["name"] == {"type": "plain_text_input", "value": "Ana"}
        assert await _views(opened) == []


async def _views(opened: Any) -> list[Json]:
    found: list[Json] = (await opened.ask("state"))["views"]
    return found


async def test_a_click_from_a_stale_screen_carries_the_message_as_it_was_drawn() -> None:
    async with stage() as opened:
        app = App(opened)
        clicks: list[Json] = []

        @app.hears("action", "tick")
        async def tick(ack: Any, body: Json) -> None:
            await ack()
            clicks.append(body)

        async with connected(opened, app, "websockets"):
            posted = await opened.client.chat_postMessage(
                channel=DEPLOYS, text="r1", blocks=[boxes("r1", "a", "b")]
            )
            message: Json = {"channel": DEPLOYS, "ts": posted["ts"]}
            await opened.client.chat_update(
                **message, text="r2", blocks=[boxes("r2", "a", "b", ticked=("a",))]
            )
            ana = opened.person(ANA)
            chosen = {"selected_options": [{"value": "b"}]}
            assert (await ana.clicks(message, "r1", "tick", value=chosen))["ok"]
            assert (await ana.clicks(message, "r2", "tick", value={"selected_options": []}))["ok"]
            assert (await ana.clicks(message, "r0", "tick", value=chosen))["error"] == "element_not_found"
            wrong = {"selected_options": [{"value": "z"}]}
            assert (await ana.clicks(message, "r2", "tick", value=wrong))["error"] == "invalid_value"
            await until(lambda: len(clicks) == 2)
        stale, fresh = sorted(clicks, key=lambda body: float(body["actions"][0]["action_ts"]))
        assert stale["message"]["text"] == "r1"
        assert stale["actions"][0]["selected_options"] == [option("b")]
        assert stale["state"]["values"]["r1"]["tick"]["selected_options"] == [option("b")]
        assert fresh["message"]["blocks"][0]["block_id"] == "r2"
        assert fresh["actions"][0]["selected_options"] == []
        assert fresh["container"] == {
            "type": "message",
            "message_ts": posted["ts"],
            "channel_id": DEPLOYS,
            "is_ephemeral": False,
        }
        for key in ("user", "team", "api_app_id", "token", "trigger_id", "response_url"):
            assert fresh[key]
        assert fresh["enterprise"] is None
        assert fresh["is_enterprise_install"] is False


async def test_a_command_nobody_answers_shows_slacks_error() -> None:
    async with stage() as opened:
        app = App(opened)

        @app.hears("command", "/greet")
        async def greet() -> None:
            await asyncio.sleep(0)

        ana = opened.person(ANA)
        assert (await ana.types("/greet"))["error"] == "dispatch_failed"
        assert (await ana.types("/nothing"))["error"] == "unknown_command"
        root = await ana.types("hello")
        assert (await ana.types("/greet", thread_ts=root["ts"]))["error"] == "command_in_thread"
        await opened.control("limits", ack_seconds=0.3, enforce=False)
        async with connected(opened, app, "aiohttp"):
            answer = await ana.types("/greet")
        assert answer["error"] == "operation_timeout"
        assert answer["message"] == '/greet failed with the error "operation_timeout"'
        assert answer["message"] in [m["text"] for m in await ana.sees() if m.get("ephemeral")]


async def test_a_button_is_used_and_its_response_url_wears_out() -> None:
    async with stage() as opened:
        app = App(opened)
        urls: list[str] = []

        @app.hears("action", "go")
        async def go(ack: Any, body: Json) -> None:
            await ack()
            urls.append(body["response_url"])

        async with connected(opened, app, "aiohttp"):
            posted = await opened.client.chat_postMessage(channel=DEPLOYS, text="go?", blocks=[button()])
            message: Json = {"channel": DEPLOYS, "ts": posted["ts"]}
            ana = opened.person(ANA)
            await ana.clicks(message, "b1", "go")
            await ana.clicks(message, "b1", "go")
            await until(lambda: len(urls) == 2)

        async def respond(url: str, **body: Any) -> tuple[int, str]:
            async with opened.http.post(url, json=body) as answer:
                return answer.status, await answer.text()

        assert urls[0] != urls[1]
        for number in range(5):
            assert await respond(urls[0], replace_original=True, text=f"n{number}") == (200, "ok")
        assert (await respond(urls[0], text="six"))[0] == 404
        assert [m["text"] for m in await ana.sees()] == ["n4"]
        assert "blocks" not in (await ana.sees())[0]
        await ana.does("forward", seconds=31 * 60)
        status, text = await respond(urls[1], text="late")
        assert status == 404
        assert "expired_url" in text
