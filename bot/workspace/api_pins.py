"""The `pins.*` methods. Errors: Slack docs, each method's page."""

from __future__ import annotations

from typing import Any

from bot.workspace.api_lookup import readable_channel
from bot.workspace.messages import for_people
from bot.workspace.web_api import ApiError, Call, method

Json = dict[str, Any]

#: Most pins of a channel. Not documented with the method: believed to be so, and strict here.
MAX_PINS = 100


def _message(call: Call) -> tuple[Json, str]:
    channel = readable_channel(call)
    ts = call.need("timestamp", "no_item_specified")
    message = call.parts.base.state.messages[channel["id"]].get(ts)
    if message is None:
        raise ApiError("message_not_found")
    if message.get("subtype") is not None and message["subtype"] != "thread_broadcast":
        raise ApiError("not_pinnable")
    return channel, ts


@method("pins.add", scopes=["pins:write"], tier=2)
async def pins_add(call: Call) -> Json:
    """Pin a message."""
    channel, ts = _message(call)
    if ts in channel["pins"]:
        raise ApiError("already_pinned")
    if len(channel["pins"]) >= MAX_PINS:
        raise ApiError("too_many_pins")
    channel["pins"].append(ts)
    pinned = {
        "channel": channel["id"],
        "pinned_by": call.app.bot_user_id,
        "pinned_ts": int(call.parts.base.clock.now()),
    }
    _changed(call, channel, ts, {"pinned_to": [channel["id"]], "pinned_info": pinned}, event="pin_added")
    return {}


@method("pins.remove", scopes=["pins:write"], tier=2)
async def pins_remove(call: Call) -> Json:
    """Unpin a message."""
    channel, ts = _message(call)
    if ts not in channel["pins"]:
        raise ApiError("no_pin")
    channel["pins"].remove(ts)
    _changed(call, channel, ts, {"pinned_to": None, "pinned_info": None}, event="pin_removed")
    return {}


@method("pins.list", scopes=["pins:read"], tier=2)
async def pins_list(call: Call) -> Json:
    """Pinned messages, the newest pin first."""
    channel = readable_channel(call)
    messages = call.parts.base.state.messages[channel["id"]]
    return {"items": [_item(channel, messages[ts]) for ts in reversed(channel["pins"]) if ts in messages]}


def _item(channel: Json, message: Json) -> Json:
    pinned = message.get("pinned_info") or {}
    return {
        "type": "message",
        "channel": channel["id"],
        "created": pinned.get("pinned_ts", 0),
        "created_by": pinned.get("pinned_by", ""),
        "message": for_people(channel["id"], message),
    }


def _changed(call: Call, channel: Json, ts: str, marks: Json, *, event: str) -> None:
    """Keep it, show it on every page, and tell the apps in the channel (Slack docs: pin_added)."""
    parts = call.parts
    state = parts.base.state
    state.save_channel(channel)
    message = parts.messages.annotate(channel, ts, marks)
    readers = [user for user in parts.base.audience.users() if state.sees(user, channel["id"])]
    frame = {"type": "pins", "channel": channel["id"], "pins": list(channel["pins"])}
    parts.base.audience.tell(readers, frame)
    parts.events.to_channel(
        channel,
        {
            "type": event,
            "user": call.app.bot_user_id,
            "channel_id": channel["id"],
            "item": _item(channel, message),
            "item_user": message.get("user", ""),
            "pin_count": len(channel["pins"]),
            "event_ts": parts.base.clock.stamp(),
        },
    )
