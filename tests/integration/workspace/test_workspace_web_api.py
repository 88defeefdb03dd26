"""The Web API through the official client: messages, threads, scopes, limits, faults."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler

from tests.integration.workspace.workspace_stage import (
    ANA,
    BEN,
    CARLA,
    DEPLOYS,
    RANDOM,
    RELEASE,
    button,
    manifest,
    modal,
    stage,
    until,
)

Json = dict[str, Any]


async def refused(call: Any) -> Json:
    """The error answer of a call that must fail."""
    with pytest.raises(SlackApiError) as raised:
        await call
    answer: Any = raised.value.response
    return {**answer.data, "status": answer.status_code, "headers": answer.headers}


async def test_errors_are_slacks_own() -> None:
    async with stage() as opened:
        post = opened.client.chat_postMessage
        assert (await refused(post(channel="C0NOWHERE00", text="x")))["error"] == "channel_not_found"
        assert (await refused(post(channel=RANDOM, text="x")))["error"] == "not_in_channel"
        assert (await refused(post(channel=DEPLOYS)))["error"] == "no_text"
        unknown = post(channel=DEPLOYS, text="x", thread_ts="1.000001")
        assert (await refused(unknown))["error"] == "thread_not_found"
        root = await post(channel=DEPLOYS, text="root")
        reply = await post(channel=DEPLOYS, text="reply", thread_ts=root["ts"])
        nested = post(channel=DEPLOYS, text="x", thread_ts=reply["ts"])
        assert (await refused(nested))["error"] == "invalid_thread_ts"
        await opened.control("channels", id=DEPLOYS, archived=True)
        assert (await refused(post(channel=DEPLOYS, text="x")))["error"] == "is_archived"
        assert (await refused(opened.client.api_call("no.such")))["error"] == "unknown_method"
        ephemeral = opened.client.chat_postEphemeral(channel=RELEASE, user=CARLA, text="x")
        assert (await refused(ephemeral))["error"] == "user_not_in_channel"
        private = await opened.control("channels", name="secret", private=True, members=[ANA])
        hidden = opened.client.conversations_info(channel=private["channel"]["id"])
        assert (await refused(hidden))["error"] == "channel_not_found"


async def test_tokens_and_scopes() -> None:
    async with stage() as opened:
        assert (await opened.client.auth_test())["user_id"] == opened.installation.bot_user_id
        assert (await refused(opened.client.auth_test(token="xoxb-wrong")))["error"] == "invalid_auth"
        app_only = opened.client.apps_connections_open(app_token=opened.installation.bot_token)
        assert (await refused(app_only))["error"] == "not_allowed_token_type"
        async with opened.http.post(f"{opened.installation.api_url}auth.test") as answer:
            assert (await answer.json())["error"] == "not_authed"
        form = {"token": opened.installation.bot_token, "channel": DEPLOYS, "text": "by form"}
        async with opened.http.post(f"{opened.installation.api_url}chat.postMessage", data=form) as answer:
            assert (await answer.json())["ok"]
            assert "chat:write" in answer.headers["x-oauth-scopes"]
            assert answer.headers["x-accepted-oauth-scopes"] == "chat:write"
        await opened.control("scopes", remove=["chat:write"])
        missing = await refused(opened.client.chat_postMessage(channel=DEPLOYS, text="x"))
        assert (missing["error"], missing["needed"]) == ("missing_scope", "chat:write")
        assert "commands" in missing["provided"]
        await opened.control("tokens", revoke=opened.installation.bot_token)
        assert (await refused(opened.client.auth_test()))["error"] == "token_revoked"
        await opened.control("tokens", restore=opened.installation.bot_token)
        assert (await opened.client.auth_test())["ok"]


async def test_chat_update_semantics() -> None:
    async with stage() as opened:
        client = opened.client
        metadata = {"event_type": "posted", "event_payload": {"key": "k1"}}
        posted = await client.chat_postMessage(
            channel=DEPLOYS, text="one", blocks=[button()], metadata=metadata
        )
        here: Json = {"channel": DEPLOYS, "ts": posted["ts"]}
        with_blocks = await client.chat_update(**here, text="two", blocks=[button("b2")])
        assert "edited" not in with_blocks["message"]
        assert with_blocks["message"]["metadata"] == metadata
        plain = await client.chat_update(**here, text="three")
        assert "blocks" not in plain["message"]
        assert plain["message"]["edited"]["user"] == opened.installation.bot_user_id
        emptied = await client.chat_update(**here, text="four", metadata={})
        assert "metadata" not in emptied["message"]
        assert (await refused(client.chat_update(**here, text="x" * 4001)))["error"] == "msg_too_long"
        anas = await opened.person(ANA).types("mine")
        foreign = client.chat_update(channel=DEPLOYS, ts=anas["ts"], text="yours")
        assert (await refused(foreign))["error"] == "cant_update_message"
        gone = client.chat_update(channel=DEPLOYS, ts="1.000001", text="x")
        assert (await refused(gone))["error"] == "message_not_found"
        no_text = await client.chat_postMessage(channel=DEPLOYS, blocks=[button("b3")])
        assert "missing_text_in_message" in no_text["response_metadata"]["warnings"]


async def test_invalid_blocks_are_named_with_pointers() -> None:
    async with stage() as opened:
        bad = [button("same", text="x" * 76), button("same")]
        answer = await refused(opened.client.chat_postMessage(channel=DEPLOYS, text="x", blocks=bad))
        assert answer["error"] == "invalid_blocks"
        assert answer["response_metadata"]["messages"] == [
            "[ERROR] must be at most 75 characters [json-pointer:/blocks/0/elements/0/text/text]",
            "[ERROR] must be unique: 'same' appears twice [json-pointer:/blocks/1/block_id]",
        ]
        long = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}} for _ in range(5)]
        answer = await refused(opened.client.chat_postMessage(channel=DEPLOYS, text="x", blocks=long))
        assert answer["error"] == "msg_blocks_too_long"


async def test_a_message_is_found_by_its_metadata() -> None:
    async with stage() as opened:
        client = opened.client
        metadata = {"event_type": "posted", "event_payload": {"key": "k1"}}
        root = await client.chat_postMessage(channel=DEPLOYS, text="root", metadata=metadata)
        reply = await client.chat_postMessage(
            channel=DEPLOYS, text="reply", thread_ts=root["ts"], metadata=metadata
        )
        short = await client.conversations_history(channel=DEPLOYS)
        assert short["messages"][0]["metadata"] == {"event_type": "posted"}
        full = await client.conversations_history(channel=DEPLOYS, include_all_metadata=True)
        assert [m["ts"] for m in full["messages"]] == [root["ts"]]
        assert full["messages"][0]["metadata"] == metadata
        thread = await client.conversations_replies(
            channel=DEPLOYS, ts=root["ts"], oldest=root["ts"], include_all_metadata=True
        )
        assert [m["ts"] for m in thread["messages"]] == [root["ts"], reply["ts"]]
        assert thread["messages"][0]["reply_count"] == 1
        nothing = await client.conversations_history(channel=DEPLOYS, oldest=root["ts"])
        assert nothing["messages"] == []
        inclusive = await client.conversations_history(channel=DEPLOYS, oldest=root["ts"], inclusive=True)
        assert len(inclusive["messages"]) == 1
        too_large = {"event_type": "posted", "event_payload": {"key": "x" * 3000}}
        call = client.chat_postMessage(channel=DEPLOYS, text="x", metadata=too_large)
        assert (await refused(call))["error"] == "metadata_too_large"


async def test_pages_of_history() -> None:
    async with stage() as opened:
        for number in range(5):
            await opened.client.chat_postMessage(channel=DEPLOYS, text=str(number))
        first = await opened.client.conversations_history(channel=DEPLOYS, limit=2)
        cursor = first["response_metadata"]["next_cursor"]
        second = await opened.client.conversations_history(channel=DEPLOYS, limit=2, cursor=cursor)
        assert [m["text"] for m in [*first["messages"], *second["messages"]]] == ["4", "3", "2", "1"]
        assert first["has_more"]


async def test_rate_limits_answer_429_with_retry_after() -> None:
    async with stage(limits=True) as opened:
        await opened.control("limits", enforce=True, scale=1.0)
        for number in range(3):
            await opened.client.chat_postMessage(channel=DEPLOYS, text=str(number))
        answer = await refused(opened.client.chat_postMessage(channel=DEPLOYS, text="4"))
        assert (answer["status"], answer["error"]) == (429, "ratelimited")
        assert int(answer["headers"]["Retry-After"]) >= 1
        opened.client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=2))
        assert (await opened.client.chat_postMessage(channel=DEPLOYS, text="4"))["ok"]
        counters = (await opened.ask("state"))["limits"]
        assert counters["refused"]["chat.postMessage"] >= 2


async def test_a_lost_answer_leaves_the_message_and_a_drop_does_not() -> None:
    async with stage() as opened:
        await opened.control("faults", kind="api", method="chat.postMessage", mode="lost_answer")
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await opened.client.chat_postMessage(channel=DEPLOYS, text="lost")
        await opened.control("faults", kind="api", method="*", mode="drop")
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await opened.client.chat_postMessage(channel=DEPLOYS, text="dropped")
        assert [m["text"] for m in await opened.person(ANA).sees()] == ["lost"]


async def test_other_api_faults() -> None:
    async with stage() as opened:
        fault = {"kind": "api", "method": "auth.test"}
        await opened.control("faults", **fault, mode="ratelimited", retry_after=7)
        answer = await refused(opened.client.auth_test())
        assert (answer["status"], answer["headers"]["Retry-After"]) == (429, "7")
        await opened.control("faults", **fault, mode="status", status=503)
        assert (await refused(opened.client.auth_test()))["status"] == 503
        await opened.control("faults", **fault, mode="error", error="fatal_error", times=-1)
        assert (await refused(opened.client.auth_test()))["error"] == "fatal_error"
        assert (await refused(opened.client.auth_test()))["error"] == "fatal_error"
        async with opened.http.delete(f"{opened.workspace.url}/control/faults") as answer_:
            assert answer_.status == 200
        await opened.control("faults", **fault, mode="slow", seconds=0.2)
        before = asyncio.get_running_loop().time()
        await opened.client.auth_test()
        assert asyncio.get_running_loop().time() - before >= 0.2
        assert (await opened.control("faults", kind="api", mode="nonsense"))["error"] == "unknown_fault"


async def test_scheduled_messages_come_when_due() -> None:
    async with stage() as opened:
        ana = opened.person(ANA)
        now = int((await ana.looks("boot"))["now"])
        unposted: Json = {"metadata": {"event_type": "e", "event_payload": {}}}
        more: list[tuple[str, Json]] = [("later", {}), ("never", unposted)]
        for text, extra in more:
            await opened.client.chat_scheduleMessage(channel=DEPLOYS, post_at=now + 3600, text=text, **extra)
        taken = await opened.client.chat_scheduleMessage(channel=DEPLOYS, post_at=now + 3600, text="taken")
        await opened.client.chat_deleteScheduledMessage(
            channel=DEPLOYS, scheduled_message_id=taken["scheduled_message_id"]
        )
        assert await ana.sees() == []
        await ana.does("forward", seconds=3601)
        seen = await until(ana.sees)
        assert [m["text"] for m in seen] == ["later"]
        past = opened.client.chat_scheduleMessage(channel=DEPLOYS, post_at=now, text="x")
        assert (await refused(past))["error"] == "time_in_past"


async def test_people_channels_links_and_reactions() -> None:
    async with stage() as opened:
        client = opened.client
        assert (await client.users_info(user=ANA))["user"]["tz"] == "Europe/Madrid"
        assert (await refused(client.users_info(user="UNOBODY0000")))["error"] == "user_not_found"
        assert ANA in (await client.conversations_members(channel=DEPLOYS))["members"]
        opened_dm = await client.conversations_open(users=BEN)
        await client.chat_postMessage(channel=opened_dm["channel"]["id"], text="hello, you")
        ben = opened.person(BEN)
        boot = await ben.looks("boot")
        dm = next(c for c in boot["channels"] if c["id"] == opened_dm["channel"]["id"])
        assert (dm["unread"], dm["mentions"], dm["user"]) == (1, 1, opened.installation.bot_user_id)
        posted = await client.chat_postMessage(channel=DEPLOYS, text="root")
        reply = await client.chat_postMessage(channel=DEPLOYS, text="reply", thread_ts=posted["ts"])
        link = (await client.chat_getPermalink(channel=DEPLOYS, message_ts=reply["ts"]))["permalink"]
        place = f"/archives/{DEPLOYS}/p{reply['ts'].replace('.', '')}?thread_ts={posted['ts']}"
        assert link.startswith(f"{opened.workspace.url}{place}")
        await client.reactions_add(channel=DEPLOYS, timestamp=posted["ts"], name="tada")
        again = client.reactions_add(channel=DEPLOYS, timestamp=posted["ts"], name="tada")
        assert (await refused(again))["error"] == "already_reacted"
        await ben.does("react", channel=DEPLOYS, ts=posted["ts"], name="tada")
        assert (await ben.sees())[0]["reactions"][0]["count"] == 2
        group = await opened.control("usergroups", handle="approvers", users=[ANA])
        listed = await client.usergroups_users_list(usergroup=group["usergroup"]["id"])
        assert listed["users"] == [ANA]


async def test_deleting_a_root_leaves_a_gravestone() -> None:
    async with stage() as opened:
        root = await opened.client.chat_postMessage(channel=DEPLOYS, text="root")
        reply = await opened.client.chat_postMessage(channel=DEPLOYS, text="r", thread_ts=root["ts"])
        await opened.client.chat_delete(channel=DEPLOYS, ts=root["ts"])
        ana = opened.person(ANA)
        assert (await ana.sees())[0]["subtype"] == "tombstone"
        await opened.client.chat_delete(channel=DEPLOYS, ts=reply["ts"])
        assert (await ana.sees())[0].get("reply_count") is None


async def test_a_file_is_uploaded_and_shown() -> None:
    async with stage() as opened:
        sent = await opened.client.files_upload_v2(
            channel=DEPLOYS, filename="note.txt", content="hello", initial_comment="a note"
        )
        assert sent["files"][0]["size"] == 5
        message = (await opened.person(ANA).sees())[0]
        assert message["text"] == "a note"
        async with opened.http.get(message["files"][0]["url_private"]) as answer:
            assert await answer.text() == "hello"


async def test_views_need_a_fresh_trigger() -> None:
    async with stage() as opened:
        stale = opened.client.views_open(trigger_id="1.2.abc", view=modal())
        assert (await refused(stale))["error"] == "invalid_trigger_id"
        home = {"type": "home", "blocks": [button()]}
        published = await opened.client.views_publish(user_id=ANA, view=home)
        changed = await opened.client.views_publish(user_id=ANA, view=home, hash=published["view"]["hash"])
        raced = opened.client.views_publish(user_id=ANA, view=home, hash=published["view"]["hash"])
        assert (await refused(raced))["error"] == "hash_conflict"
        seen = await opened.person(ANA).does("home", bot_user_id=opened.installation.bot_user_id)
        assert seen["view"]["hash"] == changed["view"]["hash"]
        bad = opened.client.views_publish(user_id=ANA, view={**home, "title": "x"})
        answer = await refused(bad)
        assert answer["response_metadata"]["messages"] == ["[ERROR] unknown field [json-pointer:/view/title]"]


async def test_other_sites_are_kept_out() -> None:
    async with stage() as opened:
        url = f"{opened.workspace.url}/client/boot?user={ANA}"
        for headers, status in (
            ({"Origin": "https://evil.example"}, 403),
            ({"Host": "evil.example"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Origin": opened.workspace.url}, 200),
        ):
            async with opened.http.get(url, headers=headers) as answer:
                assert answer.status == status
        ws = f"{opened.workspace.url}/client/ws?user={ANA}"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await opened.http.ws_connect(ws, origin="https://evil.example")


async def test_the_page_hears_what_happens() -> None:
    async with stage() as opened:
        frames: list[Json] = []

        async def listen(ws: aiohttp.ClientWebSocketResponse) -> None:
            while True:
                frames.append(await ws.receive_json())

        async with opened.http.ws_connect(f"{opened.workspace.url}/client/ws?user={BEN}") as ws:
            listening = asyncio.create_task(listen(ws))
            await ws.send_json({"type": "inspect", "on": True})
            await asyncio.sleep(0.05)
            await opened.person(ANA).types("hello @ben")
            posted = await opened.client.chat_postMessage(channel=DEPLOYS, text="one")
            await opened.client.chat_update(channel=DEPLOYS, ts=posted["ts"], text="two")
            await opened.client.chat_postEphemeral(channel=DEPLOYS, user=BEN, text="psst")
            await opened.client.chat_delete(channel=DEPLOYS, ts=posted["ts"])
            await until(lambda: "message_deleted" in _types(frames))
            await until(lambda: _types(frames).count("traffic") >= 4)
            listening.cancel()
        kinds = [kind for kind in _types(frames) if kind != "traffic"]
        expected = ["message", "unread", "notification", "message", "unread", "message_changed", "ephemeral"]
        assert kinds == [*expected, "message_deleted"]
        notice = next(f for f in frames if f["type"] == "notification")
        assert notice["body"] == "hello @ben"
        assert opened.installation.bot_token not in str(frames)


def _types(frames: list[Json]) -> list[str]:
    return [frame["type"] for frame in frames]


async def test_a_manifest_slack_would_refuse_is_refused() -> None:
    async with stage() as opened:
        wrong = manifest(socket=False, url="")
        with pytest.raises(ValueError, match="slash_commands/0/url"):
            opened.workspace.install(wrong)
