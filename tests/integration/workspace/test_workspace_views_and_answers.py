"""Stacks of modals, external selects, ephemeral answers, states of many elements."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.integration.workspace.workspace_stage import (
    ANA,
    BEN,
    DEPLOYS,
    App,
    button,
    connected,
    modal,
    stage,
    until,
)

Json = dict[str, Any]


def select(action_id: str, **more: Any) -> Json:
    return {"type": "actions", "block_id": action_id, "elements": [{"action_id": action_id, **more}]}


def plain_option(value: str) -> Json:
    return {"text": {"type": "plain_text", "text": value, "emoji": True}, "value": value}


async def test_modals_stack_three_high_and_pop_one_by_one() -> None:
    async with stage() as opened:
        await opened.control("limits", enforce=False, ack_seconds=0.5)
        app = App(opened)
        errors: list[str] = []

        @app.hears("command", "/greet")
        async def greet(ack: Any, body: Json, client: Any) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=_stacked(1))

        @app.hears("action", "go")
        async def go(ack: Any, body: Json, client: Any) -> None:
            await ack()
            number = int(body["view"]["private_metadata"]) + 1
            answer = await client.api_call(
                "views.push", json={"trigger_id": body["trigger_id"], "view": _stacked(number)}
            )
            assert answer["view"]["previous_view_id"] == body["view"]["id"]

        @app.hears("view", "form")
        async def form(ack: Any) -> None:
            await ack()

        @app.bolt.error
        async def failed(error: Any) -> None:
            errors.append(error.response["error"])

        async with connected(opened, app, "websockets"):
            ana = opened.person(ANA)
            await ana.types("/greet")
            views: list[Json] = []
            for height in (1, 2, 3):
                views = await until(partial(_views, opened, height))
                top = {"view_id": views[-1]["id"]}
                await ana.does("action", container=top, block_id="b1", action_id="go", value={}, state={})
            await until(lambda: errors)
            assert errors == ["push_limit_reached"]
            sent = await ana.does("view_submit", view_id=views[-1]["id"], state={})
            assert sent == {"ok": True}
            assert len(await _views(opened, 2) or []) == 2
            await ana.does("view_close", view_id=views[1]["id"], all=True)
            assert (await opened.ask("state"))["views"] == []
            assert {v["root_view_id"] for v in views} == {views[0]["id"]}


def _stacked(number: int) -> Json:
    return modal(blocks=[button()], private_metadata=str(number))


async def _views(opened: Any, number: int) -> list[Json] | None:
    found: list[Json] = (await opened.ask("state"))["views"]
    return found if len(found) == number else None


async def test_options_are_looked_up_and_only_those_can_be_chosen() -> None:
    async with stage() as opened:
        app = App(opened)
        chosen: list[Json] = []

        @app.hears("options", "pick")
        async def options(ack: Any, payload: Json) -> None:
            await ack(options=[plain_option(payload["value"] + "1")])

        @app.hears("action", "pick")
        async def pick(ack: Any, body: Json) -> None:
            await ack()
            chosen.append(body)

        blocks = [select("pick", type="external_select", min_query_length=1)]
        async with connected(opened, app, "websockets"):
            posted = await opened.client.chat_postMessage(channel=DEPLOYS, text="x", blocks=blocks)
            message: Json = {"channel": DEPLOYS, "ts": posted["ts"]}
            ana = opened.person(ANA)
            where: Json = {"container": message, "block_id": "pick", "action_id": "pick"}
            found = await ana.does("options", **where, query="web")
            assert found["options"] == [plain_option("web1")]
            wrong = await ana.clicks(message, "pick", "pick", value={"selected_option": plain_option("web2")})
            assert wrong["error"] == "invalid_value"
            await ana.clicks(message, "pick", "pick", value={"selected_option": plain_option("web1")})
            await until(lambda: chosen)
        assert chosen[0]["actions"][0]["selected_option"] == plain_option("web1")


async def test_state_holds_every_stateful_element_as_shown() -> None:
    async with stage() as opened:
        app = App(opened)
        heard: list[Json] = []

        @app.hears("action", "go")
        async def go(ack: Any, body: Json) -> None:
            await ack()
            heard.append(body)

        blocks = [
            button(),
            select("one", type="static_select", options=[plain_option("a"), plain_option("b")]),
            select("day", type="datepicker", initial_date="2026-11-24"),
            select("who", type="multi_users_select"),
            {
                "type": "input",
                "block_id": "text",
                "label": {"type": "plain_text", "text": "Text"},
                "element": {"type": "plain_text_input", "action_id": "text"},
            },
        ]
        async with connected(opened, app, "websockets"):
            posted = await opened.client.chat_postMessage(channel=DEPLOYS, text="x", blocks=blocks)
            message: Json = {"channel": DEPLOYS, "ts": posted["ts"]}
            shown: Json = {
                "one": {"one": {"type": "static_select", "selected_option": {"value": "b"}}},
                "text": {"text": {"type": "plain_text_input", "value": "typed"}},
            }
            await opened.person(ANA).clicks(message, "b1", "go", state=shown)
            await until(lambda: heard)
            silent = await opened.person(ANA).clicks(message, "text", "text", value={"value": "typed"})
            assert silent == {"ok": True}
        assert heard[0]["state"]["values"] == {
            "one": {"one": {"type": "static_select", "selected_option": plain_option("b")}},
            "day": {"day": {"type": "datepicker", "selected_date": "2026-11-24"}},
            "who": {"who": {"type": "multi_users_select", "selected_users": []}},
            "text": {"text": {"type": "plain_text_input", "value": "typed"}},
        }
        assert heard[0]["actions"][0]["type"] == "button"
        assert len(heard) == 1


async def test_an_ephemeral_message_is_replaced_and_taken_away_by_its_response_url() -> None:
    async with stage() as opened:
        app = App(opened)
        urls: list[Json] = []

        @app.hears("action", "go")
        async def go(ack: Any, body: Json) -> None:
            await ack()
            urls.append(body)

        async with connected(opened, app, "websockets"):
            sent = await opened.client.chat_postEphemeral(
                channel=DEPLOYS, user=BEN, text="psst", blocks=[button()]
            )
            message: Json = {"channel": DEPLOYS, "ts": sent["message_ts"]}
            assert (await opened.person(ANA).clicks(message, "b1", "go"))["error"] == "message_not_found"
            ben = opened.person(BEN)
            await ben.clicks(message, "b1", "go")
            await until(lambda: urls)
        assert "message" not in urls[0]
        assert urls[0]["container"]["is_ephemeral"] is True

        async def respond(**body: Any) -> tuple[int, str]:
            async with opened.http.post(urls[0]["response_url"], json=body) as answer:
                return answer.status, await answer.text()

        assert (await respond(replace_original=True, text="new"))[0] == 200
        assert [m["text"] for m in await ben.sees()] == ["new"]
        assert await opened.person(ANA).sees() == []
        assert (await respond(response_type="in_channel", text="all", blocks=[{"type": "x"}]))[0] == 400
        assert (await respond(response_type="in_channel", text="all"))[0] == 200
        assert (await respond(delete_original=True))[0] == 200
        assert [m["text"] for m in await ben.sees()] == ["all"]


async def test_the_aiohttp_adapter_comes_back_after_a_refresh() -> None:
    async with stage() as opened:
        app = App(opened)
        heard: list[str] = []

        @app.hears("event", "app_mention")
        async def mention(event: Json) -> None:
            heard.append(event["text"])

        async with connected(opened, app, "aiohttp"):
            await opened.control("faults", kind="socket", mode="disconnect")
            await until(lambda: _twice_connected(opened))
            await opened.person(ANA).types("@greeter there?")
            await until(lambda: heard)


async def _twice_connected(opened: Any) -> bool:
    return len(await opened.traffic("connected")) == 2
