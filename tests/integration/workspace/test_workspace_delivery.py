"""Delivery: signed HTTP, redelivery with retry numbers, faults, and connections that come and go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError, web
from slack_sdk.errors import SlackApiError

from tests.integration.workspace.workspace_stage import (
    ANA,
    DEPLOYS,
    RANDOM,
    App,
    button,
    connected,
    manifest,
    modal,
    served,
    stage,
    until,
)

Json = dict[str, Any]


async def test_http_mode_is_signed_and_answers_commands_clicks_and_events(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/slack/events"
    async with stage(raw=manifest(socket=False, url=url)) as opened:
        app = App(opened)
        heard: list[str] = []

        @app.hears("command", "/greet")
        async def greet(ack: Any, body: Json) -> None:
            await ack({"response_type": "in_channel", "text": f"hi {body['text']}"})

        @app.hears("action", "go")
        async def go(ack: Any, client: Any, body: Json) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=modal())

        @app.hears("view", "form")
        async def form(ack: Any) -> None:
            await ack(response_action="update", view=modal(callback_id="second"))

        @app.hears("event", "app_mention")
        async def mention(event: Json) -> None:
            heard.append(event["text"])

        ana = opened.person(ANA)
        assert (await ana.types("/greet"))["error"] == "dispatch_failed"
        async with served(app, unused_tcp_port):
            assert (await ana.types("/greet @ana"))["ok"]
            assert [m["text"] for m in await ana.sees()][-2:] == ["/greet @ana", f"hi <@{ANA}|ana>"]
            posted = await opened.client.chat_postMessage(channel=DEPLOYS, text="x", blocks=[button()])
            assert (await ana.clicks({"channel": DEPLOYS, "ts": posted["ts"]}, "b1", "go"))["ok"]
            view = (await until(lambda: _views(opened)))[0]
            state = {"name": {"name": {"type": "plain_text_input", "value": "Ana"}}}
            assert (await ana.does("view_submit", view_id=view["id"], state=state)) == {"ok": True}
            assert (await _views(opened))[0]["callback_id"] == "second"
            await ana.types("@greeter hello")
            await until(lambda: heard)
        assert heard == [f"<@{opened.installation.bot_user_id}> hello"]
        assert [e["status"] for e in await opened.traffic("url_verification")][-1] == 200


async def _views(opened: Any) -> list[Json]:
    found: list[Json] = (await opened.ask("state"))["views"]
    return found


async def test_http_events_come_again_with_their_number_until_told_not_to(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/slack/events"
    calls: list[tuple[str | None, str | None, str]] = []

    async def handle(request: web.Request) -> web.Response:
        body = await request.json()
        if body["type"] == "url_verification":
            return web.json_response({"challenge": body["challenge"]})
        headers = request.headers
        calls.append(
            (headers.get("x-slack-retry-num"), headers.get("x-slack-retry-reason"), body["event_id"])
        )
        stop = {"x-slack-no-retry": "1"} if len(calls) == 3 else {}
        return web.Response(status=500, headers=stop)

    server = web.Application()
    server.router.add_post("/slack/events", handle)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    try:
        async with stage(raw=manifest(socket=False, url=url)) as opened:
            await opened.control("limits", enforce=False, scale=0.001)
            await opened.person(ANA).types("@greeter hello")
            await until(lambda: len(calls) == 3)
            await asyncio.sleep(0.5)
    finally:
        await runner.cleanup()
    assert [call[:2] for call in calls] == [(None, None), ("1", "http_error"), ("2", "http_error")]
    assert len({call[2] for call in calls}) == 1


async def test_socket_events_come_again_after_a_timeout() -> None:
    async with stage() as opened:
        await opened.control("limits", enforce=False, scale=0.001, ack_seconds=0.15)
        envelopes: list[Json] = []
        opening = await opened.client.apps_connections_open(app_token=opened.installation.app_token)
        async with opened.http.ws_connect(opening["url"]) as ws:
            hello = await ws.receive_json()
            assert (hello["type"], hello["num_connections"]) == ("hello", 1)
            await opened.person(ANA).types("@greeter hello")
            envelopes.extend([await ws.receive_json(timeout=3) for _ in range(4)])
            await ws.send_json({"envelope_id": envelopes[-1]["envelope_id"]})
        assert [(e["retry_attempt"], e["retry_reason"]) for e in envelopes] == [
            (0, ""),
            (1, "timeout"),
            (2, "timeout"),
            (3, "timeout"),
        ]
        assert len({e["envelope_id"] for e in envelopes}) == 4
        assert len({e["payload"]["event_id"] for e in envelopes}) == 1


async def test_each_envelope_goes_to_one_connection_and_tickets_work_once() -> None:
    async with stage() as opened:
        app = App(opened)
        heard: list[str] = []

        @app.hears("event", "app_mention")
        async def mention(event: Json) -> None:
            heard.append(event["text"])

        async with connected(opened, app, "aiohttp"), connected(opened, app, "websockets"):
            await until(lambda: _connections(opened, 2))
            for number in range(4):
                await opened.person(ANA).types(f"@greeter {number}")
            await until(lambda: len(heard) == 4)
        opening = await opened.client.apps_connections_open(app_token=opened.installation.app_token)
        async with opened.http.ws_connect(opening["url"]) as ws:
            await ws.receive_json()
        with pytest.raises(Exception, match="404"):
            await opened.http.ws_connect(opening["url"])


async def _connections(opened: Any, number: int) -> bool:
    apps: list[Json] = (await opened.ask("state"))["apps"]
    return bool(apps[0]["connections"] == number)


@pytest.mark.parametrize("mode", ["disconnect", "abort", "warning", "stale_url"])
async def test_the_websockets_adapter_comes_back(mode: str) -> None:
    async with stage() as opened:
        app = App(opened)
        heard: list[str] = []

        @app.hears("event", "app_mention")
        async def mention(event: Json) -> None:
            heard.append(event["text"])

        async with connected(opened, app, "websockets"):
            await until(lambda: _connections(opened, 1))
            await opened.control("faults", kind="socket", mode=mode, seconds=0.1)
            if mode == "stale_url":
                await opened.control("faults", kind="socket", mode="disconnect")
            await until(lambda: _reconnected(opened), 10)
            await opened.person(ANA).types("@greeter there?")
            await until(lambda: heard, 10)


async def _reconnected(opened: Any) -> bool:
    names = [entry["name"] for entry in await opened.traffic("connected")]
    return len(names) >= 2 and await _connections(opened, 1)


async def test_a_deaf_socket_answers_nothing() -> None:
    async with stage() as opened:
        await opened.control("limits", enforce=False, ack_seconds=0.2)
        app = App(opened)

        @app.hears("command", "/greet")
        async def greet(ack: Any) -> None:
            await ack()

        async with connected(opened, app, "websockets"):
            await until(lambda: _connections(opened, 1))
            await opened.control("faults", kind="socket", mode="deaf")
            assert (await opened.person(ANA).types("/greet"))["error"] == "operation_timeout"


async def test_delivery_faults() -> None:
    async with stage() as opened:
        await opened.control("limits", enforce=False, scale=0.001, ack_seconds=0.2)
        app = App(opened)
        heard: list[str] = []

        @app.hears("event", "app_mention")
        async def mention(event: Json) -> None:
            heard.append(event["text"].split()[-1])

        ana = opened.person(ANA)
        async with connected(opened, app, "websockets"):
            await until(lambda: _connections(opened, 1))
            await opened.control("faults", kind="delivery", mode="duplicate", type="events_api")
            await ana.types("@greeter twice")
            await until(lambda: len(heard) == 2)
            await opened.control("faults", kind="delivery", mode="drop", type="*")
            await ana.types("@greeter late")
            await until(lambda: len(heard) == 3)
            await opened.control("faults", kind="delivery", mode="reorder", type="events_api")
            await ana.types("@greeter second")
            await ana.types("@greeter first")
            await until(lambda: len(heard) == 5)
            entry = (await opened.traffic("events_api"))[-1]
            assert (await opened.control("deliver", seq=entry["seq"]))["status"] == "ok"
            await until(lambda: len(heard) == 6)
        assert heard[:5] == ["twice", "twice", "late", "first", "second"]


async def test_homes_shortcuts_direct_messages_and_joining_reach_the_app() -> None:
    async with stage() as opened:
        app = App(opened)
        heard: dict[str, Json] = {}

        @app.hears("event", "app_home_opened")
        async def home(event: Json, client: Any) -> None:
            heard["home"] = event
            await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [button()]})

        @app.hears("event", "message")
        async def message(event: Json) -> None:
            heard["message"] = event

        @app.hears("event", "member_joined_channel")
        async def joined(event: Json) -> None:
            heard["joined"] = event

        @app.hears("shortcut", "greet_this")
        async def greet_this(ack: Any, body: Json) -> None:
            await ack()
            heard["shortcut"] = body

        @app.hears("action", "go")
        async def go(ack: Any, body: Json) -> None:
            await ack()
            heard["click"] = body

        bot = opened.installation.bot_user_id
        async with connected(opened, app, "websockets"):
            ana = opened.person(ANA)
            await ana.does("home", bot_user_id=bot)
            view = await until(lambda: _home(ana, bot))
            used = await ana.does(
                "action", container={"view_id": view["id"]}, block_id="b1", action_id="go", value={}, state={}
            )
            assert used["ok"]
            direct = (await ana.does("dm", other=bot))["channel"]["id"]
            await ana.types("a & b", channel=direct)
            await ana.does("invite", channel=RANDOM, member=bot)
            posted = await ana.types("look")
            await ana.does("shortcut", callback_id="greet_this", channel=DEPLOYS, ts=posted["ts"])
            await until(lambda: len(heard) == 5)
        assert heard["home"]["tab"] == "home"
        assert (heard["message"]["channel_type"], heard["message"]["text"]) == ("im", "a &amp; b")
        assert (heard["joined"]["user"], heard["joined"]["inviter"]) == (bot, ANA)
        assert heard["shortcut"]["message"]["text"] == "look"
        assert heard["click"]["view"]["id"] == view["id"]


async def _home(ana: Any, bot: str) -> Json | None:
    answer: Json = await ana.does("home", bot_user_id=bot)
    view: Json | None = answer.get("view")
    return view


async def test_triggers_are_used_once_and_wear_out() -> None:
    async with stage() as opened:
        app = App(opened)
        errors: list[str] = []
        done = asyncio.Event()

        @app.hears("command", "/greet")
        async def greet(ack: Any, body: Json, client: Any) -> None:
            await ack()
            trigger = body["trigger_id"]
            if body["text"] == "late":
                await asyncio.sleep(3.1)
            for _ in range(2):
                try:
                    await client.views_open(trigger_id=trigger, view=modal())
                except SlackApiError as error:
                    errors.append(error.response["error"])
            done.set()

        async with connected(opened, app, "websockets"):
            await opened.person(ANA).types("/greet")
            await asyncio.wait_for(done.wait(), 5)
            done.clear()
            await opened.person(ANA).types("/greet late")
            await asyncio.wait_for(done.wait(), 6)
        assert errors == ["exchanged_trigger_id", "expired_trigger_id", "expired_trigger_id"]


async def test_bad_answers_to_a_submission_are_not_accepted() -> None:
    async with stage() as opened:
        app = App(opened)
        answers: list[Json] = [
            {"response_action": "errors", "errors": {"nowhere": "x"}},
            {"response_action": "push", "view": {"type": "modal"}},
            {"response_action": "clear"},
        ]

        @app.hears("command", "/greet")
        async def greet(ack: Any, body: Json, client: Any) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=modal())

        @app.hears("view", "form")
        async def form(ack: Any) -> None:
            await ack(**answers.pop(0))

        async with connected(opened, app, "websockets"):
            ana = opened.person(ANA)
            await ana.types("/greet")
            view = (await until(lambda: _views(opened)))[0]
            state = {"name": {"name": {"value": "Ana"}}}
            for _ in range(2):
                answer = await ana.does("view_submit", view_id=view["id"], state=state)
                assert answer["message"] == "We had some trouble connecting. Try again?"
            assert (await ana.does("view_submit", view_id=view["id"], state=state))["ok"]
            assert await _views(opened) == []
            gone = await ana.does("view_submit", view_id=view["id"], state=state)
            assert gone["error"] == "view_not_found"


async def test_closing_a_modal_is_told_where_asked_for() -> None:
    async with stage() as opened:
        app = App(opened)
        closed: list[Json] = []

        @app.hears("command", "/greet")
        async def greet(ack: Any, body: Json, client: Any) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=modal(notify_on_close=True))

        @app.hears("view_closed", "form")
        async def on_close(ack: Any, body: Json) -> None:
            await ack()
            closed.append(body)

        async with connected(opened, app, "websockets"):
            ana = opened.person(ANA)
            await ana.types("/greet")
            view = (await until(lambda: _views(opened)))[0]
            await ana.does("view_close", view_id=view["id"])
            await until(lambda: closed)
        assert closed[0]["is_cleared"] is False


async def test_an_app_has_at_most_ten_connections_and_refusals_pass() -> None:
    async with stage() as opened:
        await opened.control("faults", kind="socket", mode="refuse")
        app_token = opened.installation.app_token
        opening = await opened.client.apps_connections_open(app_token=app_token)
        with pytest.raises(WSServerHandshakeError, match="503"):
            await opened.http.ws_connect(opening["url"])
        sockets = [await opened.http.ws_connect(opening["url"])]
        for _ in range(9):
            opening = await opened.client.apps_connections_open(app_token=app_token)
            sockets.append(await opened.http.ws_connect(opening["url"]))
        assert (await sockets[-1].receive_json())["num_connections"] == 10
        opening = await opened.client.apps_connections_open(app_token=app_token)
        with pytest.raises(WSServerHandshakeError, match="429"):
            await opened.http.ws_connect(opening["url"])
        for socket in sockets:
            await socket.close()


async def test_an_external_id_is_used_by_one_view_at_a_time() -> None:
    async with stage() as opened:
        app = App(opened)
        answers: list[str] = []

        @app.hears("command", "/greet")
        async def greet(ack: Any, body: Json, client: Any) -> None:
            await ack()
            try:
                view = await client.views_open(trigger_id=body["trigger_id"], view=modal(external_id="one"))
                await client.views_update(
                    external_id="one", hash=view["view"]["hash"], view=modal(external_id="one")
                )
                await client.views_update(external_id="one", hash=view["view"]["hash"], view=modal())
            except SlackApiError as error:
                answers.append(error.response["error"])

        async with connected(opened, app, "websockets"):
            await opened.person(ANA).types("/greet")
            await until(lambda: len(answers) == 1)
            await opened.person(ANA).types("/greet")
            await until(lambda: len(answers) == 2)
        assert answers == ["hash_conflict", "duplicate_external_id"]
