"""Finding what a call names, or refusing as Slack does."""

from __future__ import annotations

import base64
from typing import Any, TypeVar

from bot.workspace.web_api import ApiError, Call

Json = dict[str, Any]
ItemT = TypeVar("ItemT")

#: The scope families by kind of conversation (Slack docs: Conversations API).
_FAMILY = {"channel": "channels", "private": "groups", "im": "im"}


def kind_of(channel: Json) -> str:
    """`channel`, `private` or `im`."""
    if channel["is_im"]:
        return "im"
    return "private" if channel["is_private"] else "channel"


def any_channel(call: Call, name: str = "channel") -> Json:
    """A channel the bot may know of: private ones only as a member."""
    state = call.parts.base.state
    wanted = call.need(name, "channel_not_found")
    channel = state.channels.get(wanted)
    if channel is None and wanted in state.users and name == "channel" and call.method == "chat.postMessage":
        channel = state.direct(wanted, call.app.bot_user_id)
    if channel is None and wanted.startswith("#"):
        channel = next((c for c in state.channels.values() if c["name"] == wanted[1:]), None)
    if channel is None or (channel["is_private"] and call.app.bot_user_id not in channel["members"]):
        raise ApiError("channel_not_found")
    return channel


def readable_channel(call: Call) -> Json:
    """A channel whose messages the bot may touch: it must be a member."""
    channel = any_channel(call)
    if call.app.bot_user_id not in channel["members"]:
        raise ApiError("not_in_channel")
    return channel


def channel_for_posting(call: Call) -> Json:
    """A channel the bot may post to."""
    channel = any_channel(call)
    if channel["is_archived"]:
        raise ApiError("is_archived")
    if call.app.bot_user_id not in channel["members"] and "chat:write.public" not in call.app.scopes:
        raise ApiError("not_in_channel")
    return channel


def scoped_channel(call: Call, right: str) -> Json:
    """A channel for whose kind the token has `<family>:<right>`."""
    channel = any_channel(call)
    call.need_scope(f"{_FAMILY[kind_of(channel)]}:{right}")
    return channel


def own_message(call: Call, channel: Json, error: str) -> Json:
    """A message of the bot's own."""
    messages = call.parts.base.state.messages[channel["id"]]
    message = messages.get(call.need("ts", "message_not_found"))
    if message is None or message.get("subtype") == "tombstone":
        raise ApiError("message_not_found")
    if message.get("app_id") != call.app.app_id:
        raise ApiError(error)
    return message


def page(call: Call, items: list[ItemT], default: int, highest: int) -> tuple[list[ItemT], str]:
    """One page of a list and the cursor of the next, or an empty one."""
    start = 0
    cursor = call.text("cursor")
    if cursor:
        try:
            start = int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
        except ValueError:
            raise ApiError("invalid_cursor") from None
    limit = call.number("limit", default, lowest=1, highest=highest)
    following = start + limit
    more = base64.b64encode(f"next:{following}".encode()).decode() if following < len(items) else ""
    return items[start:following], more
