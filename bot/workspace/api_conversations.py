"""The `conversations.*` methods. Errors: Slack docs, each method's page."""

from __future__ import annotations

from typing import Any

from bot.workspace.api_lookup import kind_of, page, scoped_channel
from bot.workspace.web_api import ApiError, Call, method

Json = dict[str, Any]

_READ = ("channels:read", "groups:read", "im:read", "mpim:read")
_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")
#: Slack's name for each kind, in `types`.
_TYPE = {"channel": "public_channel", "private": "private_channel", "im": "im"}
#: Largest page of messages (Slack docs: conversations.history, for apps built for one's own team).
MAX_PAGE = 999


def for_apps(call: Call, channel: Json) -> Json:
    """A conversation as apps see it."""
    shown: Json = {
        "id": channel["id"],
        "created": 0,
        "creator": channel["creator"],
        "is_archived": channel["is_archived"],
        "is_channel": kind_of(channel) == "channel",
        "is_group": kind_of(channel) == "private",
        "is_im": channel["is_im"],
        "is_mpim": False,
        "is_private": channel["is_private"],
        "is_member": call.app.bot_user_id in channel["members"],
        "context_team_id": call.parts.base.state.team["id"],
    }
    if channel["is_im"]:
        shown["user"] = next((u for u in channel["members"] if u != call.app.bot_user_id), "")
        return shown
    shown |= {
        "name": channel["name"],
        "name_normalized": channel["name"],
        "topic": {"value": channel["topic"], "creator": channel["creator"], "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "num_members": len(channel["members"]),
    }
    return shown


@method("conversations.info", scopes=_READ, tier=3)
async def info(call: Call) -> Json:
    """About one conversation."""
    return {"channel": for_apps(call, scoped_channel(call, "read"))}


@method("conversations.list", scopes=_READ, tier=2)
async def list_conversations(call: Call) -> Json:
    """All conversations the bot may know of."""
    types = {t.strip() for t in call.text("types", "public_channel").split(",")}
    if not types <= {"public_channel", "private_channel", "im", "mpim"}:
        raise ApiError("invalid_types")
    for channel_type, family in (("public_channel", "channels"), ("private_channel", "groups"), ("im", "im")):
        if channel_type in types:
            call.need_scope(f"{family}:read")
    found = _known(call, types, member_only=False)
    shown, cursor = page(call, found, 100, 1000)
    return {
        "channels": [for_apps(call, c) for c in shown],
        "response_metadata": {"next_cursor": cursor},
    }


@method("users.conversations", scopes=_READ, tier=2)
async def users_conversations(call: Call) -> Json:
    """Conversations the bot is a member of."""
    types = {t.strip() for t in call.text("types", "public_channel").split(",")}
    shown, cursor = page(call, _known(call, types, member_only=True), 100, 999)
    return {
        "channels": [for_apps(call, c) for c in shown],
        "response_metadata": {"next_cursor": cursor},
    }


def _known(call: Call, types: set[str], *, member_only: bool) -> list[Json]:
    bot = call.app.bot_user_id
    hide_archived = call.flag("exclude_archived")
    return [
        c
        for c in call.parts.base.state.channels.values()
        if _TYPE[kind_of(c)] in types
        and (bot in c["members"] or not (c["is_private"] or member_only))
        and not (hide_archived and c["is_archived"])
    ]


@method("conversations.members", scopes=_READ, tier=4)
async def members(call: Call) -> Json:
    """Who is in a conversation."""
    channel = scoped_channel(call, "read")
    shown, cursor = page(call, channel["members"], 100, 1000)
    return {"members": shown, "response_metadata": {"next_cursor": cursor}}


@method("conversations.history", scopes=_HISTORY, tier=3)
async def history(call: Call) -> Json:
    """Messages outside threads, newest first."""
    channel = scoped_channel(call, "history")
    _member(call, channel)
    messages = call.parts.base.state.messages[channel["id"]]
    top = [
        m
        for ts, m in sorted(messages.items(), reverse=True)
        if m.get("thread_ts", ts) == ts or m.get("subtype") == "thread_broadcast"
    ]
    shown, cursor = page(call, _between(call, top), 100, MAX_PAGE)
    return {
        "messages": [_message(call, m) for m in shown],
        "has_more": bool(cursor),
        "pin_count": len(channel["pins"]),
        "response_metadata": {"next_cursor": cursor},
    }


@method("conversations.replies", scopes=_HISTORY, tier=3)
async def replies(call: Call) -> Json:
    """A thread, oldest first, the root always among them."""
    channel = scoped_channel(call, "history")
    _member(call, channel)
    state = call.parts.base.state
    named = state.messages[channel["id"]].get(call.need("ts", "thread_not_found"))
    if named is None:
        raise ApiError("thread_not_found")
    thread = state.thread(channel["id"], str(named.get("thread_ts", named["ts"])))
    root = [m for m in thread[:1] if m["ts"] == named.get("thread_ts", named["ts"])]
    rest = _between(call, thread[len(root) :])
    shown, cursor = page(call, rest, 1000, MAX_PAGE + 1)
    return {
        "messages": [_message(call, m) for m in [*root, *shown]],
        "has_more": bool(cursor),
        "response_metadata": {"next_cursor": cursor},
    }


def _member(call: Call, channel: Json) -> None:
    if call.app.bot_user_id not in channel["members"]:
        raise ApiError("not_in_channel")


def _between(call: Call, messages: list[Json]) -> list[Json]:
    oldest, latest = call.text("oldest"), call.text("latest")
    inclusive = call.flag("inclusive")
    try:
        low = float(oldest) if oldest else None
        high = float(latest) if latest else None
    except ValueError:
        raise ApiError("invalid_ts_oldest" if oldest else "invalid_ts_latest") from None

    def within(message: Json) -> bool:
        ts = float(message["ts"])
        above = low is None or ts > low or (inclusive and ts == low)
        below = high is None or ts < high or (inclusive and ts == high)
        return above and below

    return [m for m in messages if within(m)]


def _message(call: Call, message: Json) -> Json:
    if "metadata" not in message or call.flag("include_all_metadata"):
        return message
    return {**message, "metadata": {"event_type": message["metadata"]["event_type"]}}


@method("conversations.open", scopes=["im:write", "mpim:write"], tier=3)
async def open_conversation(call: Call) -> Json:
    """The direct conversation with a person."""
    state = call.parts.base.state
    users = [u for u in call.text("users").split(",") if u]
    if len(users) != 1:
        raise ApiError("not_supported" if users else "users_list_not_supplied")
    if users[0] not in state.users:
        raise ApiError("user_not_found")
    channel = state.direct(users[0], call.app.bot_user_id)
    return {"channel": for_apps(call, channel) if call.flag("return_im") else {"id": channel["id"]}}


@method("conversations.join", scopes=["channels:join"], tier=3)
async def join(call: Call) -> Json:
    """Join a public channel."""
    state = call.parts.base.state
    channel = state.channels.get(call.need("channel", "channel_not_found"))
    if channel is None or (channel["is_private"] and call.app.bot_user_id not in channel["members"]):
        raise ApiError("channel_not_found")
    if channel["is_archived"]:
        raise ApiError("is_archived")
    if kind_of(channel) != "channel":
        raise ApiError("method_not_supported_for_channel_type")
    if call.app.bot_user_id in channel["members"]:
        call.warnings.append("already_in_channel")
    else:
        channel["members"].append(call.app.bot_user_id)
        state.save_channel(channel)
        call.parts.events.joined(channel, call.app.bot_user_id, None)
    return {"channel": for_apps(call, channel)}
