"""Reactions on messages, from people and apps alike."""

from __future__ import annotations

from typing import Any

from bot.workspace.parts import Parts

Json = dict[str, Any]


def add_reaction(parts: Parts, channel: Json, ts: str, user: str, name: str) -> bool:
    """React; False where this user had already."""
    reactions = _reactions(parts, channel, ts)
    entry = next((r for r in reactions if r["name"] == name), None)
    if entry is None:
        entry = {"name": name, "users": [], "count": 0}
        reactions.append(entry)
    if user in entry["users"]:
        return False
    entry["users"].append(user)
    entry["count"] += 1
    _save(parts, channel, ts, reactions=reactions, user=user, name=name, event="reaction_added")
    return True


def remove_reaction(parts: Parts, channel: Json, ts: str, user: str, name: str) -> bool:
    """Take it back; False where there was none."""
    reactions = _reactions(parts, channel, ts)
    entry = next((r for r in reactions if r["name"] == name and user in r["users"]), None)
    if entry is None:
        return False
    entry["users"].remove(user)
    entry["count"] -= 1
    kept = [r for r in reactions if r["count"]]
    _save(parts, channel, ts, reactions=kept, user=user, name=name, event="reaction_removed")
    return True


def _reactions(parts: Parts, channel: Json, ts: str) -> list[Json]:
    message = parts.base.state.messages[channel["id"]][ts]
    return [{**r, "users": list(r["users"])} for r in message.get("reactions", [])]


def _save(
    parts: Parts, channel: Json, ts: str, *, reactions: list[Json], user: str, name: str, event: str
) -> None:
    message = parts.messages.annotate(channel, ts, {"reactions": reactions or None})
    parts.events.to_channel(
        channel,
        {
            "type": event,
            "user": user,
            "reaction": name,
            "item_user": message["user"],
            "item": {"type": "message", "channel": channel["id"], "ts": ts},
            "event_ts": parts.base.clock.stamp(),
        },
    )
