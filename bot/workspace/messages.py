"""Posting, changing and deleting messages, whoever does it: an app, a person or a response URL."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bot.workspace.base import Base
from bot.workspace.events import Events
from bot.workspace.manifest import App
from bot.workspace.text import alerts_channel, mentioned, plain

Json = dict[str, Any]

#: Longer messages are cut here (Slack docs: chat.postMessage).
MAX_TEXT = 40_000
#: Who Slack itself speaks as.
SLACKBOT = "USLACKBOT"
_HIDDEN = ("metadata", "_number")


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who a message is from."""

    user: str
    #: Fields a bot's message carries besides.
    fields: Json

    @classmethod
    def person(cls, user: str) -> Author:
        """Somebody typing."""
        return cls(user=user, fields={})

    @classmethod
    def app(cls, app: App, team_id: str) -> Author:
        """An app's bot user."""
        profile = {
            "id": app.bot_id,
            "app_id": app.app_id,
            "name": app.manifest.bot_name,
            "deleted": False,
            "team_id": team_id,
        }
        return cls(
            user=app.bot_user_id, fields={"bot_id": app.bot_id, "app_id": app.app_id, "bot_profile": profile}
        )


def for_people(channel: str, message: Json) -> Json:
    """A message as a page gets it: without metadata, with its channel."""
    return {**{k: v for k, v in message.items() if k not in _HIDDEN}, "channel": channel}


class Messages:
    """The messages of every channel."""

    def __init__(self, base: Base, events: Events) -> None:
        self._base = base
        self._events = events

    def post(
        self,
        channel: Json,
        author: Author,
        text: str,
        *,
        blocks: list[Json] | None = None,
        thread_ts: str = "",
        metadata: Json | None = None,
        broadcast: bool = False,
        extra: Json | None = None,
    ) -> Json:
        """Add a message; returns it as stored."""
        state = self._base.state
        message: Json = {"type": "message", "user": author.user, **author.fields, "team": state.team["id"]}
        message["text"] = text[:MAX_TEXT]
        message["ts"] = self._base.clock.stamp()
        if blocks:
            message["blocks"] = blocks
        if metadata:
            message["metadata"] = metadata
        if extra:
            message.update(extra)
        if thread_ts:
            message["thread_ts"] = thread_ts
            if broadcast:
                message["subtype"] = "thread_broadcast"
        state.save_message(channel["id"], message)
        self._tell(channel, {"type": "message"}, message)
        if thread_ts:
            self._count_replies(channel, thread_ts)
        self._events.message(channel, message)
        self._notify(channel, message)
        return message

    def change(self, channel: Json, ts: str, changes: Json, *, edited_by: str = "") -> Json:
        """Change a message's fields (`None` removes one); the drawing before is kept for stale screens."""
        state = self._base.state
        before = state.messages[channel["id"]][ts]
        if before.get("blocks"):
            state.keep_drawing(channel["id"], before)
        after = {**before, **{k: v for k, v in changes.items() if v is not None}}
        for key in (k for k, v in changes.items() if v is None):
            after.pop(key, None)
        if edited_by:
            after["edited"] = {"user": edited_by, "ts": self._base.clock.stamp()}
        state.save_message(channel["id"], after)
        self._tell(channel, {"type": "message_changed"}, after)
        self._events.changed(channel, before, after)
        return after

    def annotate(self, channel: Json, ts: str, changes: Json) -> Json:
        """Change what hangs on a message (reactions, files), not the message itself: no event, no drawing."""
        message = {**self._base.state.messages[channel["id"]][ts]}
        for key, value in changes.items():
            if value is None:
                message.pop(key, None)
            else:
                message[key] = value
        self._base.state.save_message(channel["id"], message)
        self._tell(channel, {"type": "message_changed"}, message)
        return message

    def delete(self, channel: Json, ts: str) -> None:
        """Take a message out; the root of a thread leaves a gravestone, as in Slack."""
        state = self._base.state
        before = state.messages[channel["id"]][ts]
        if before.get("reply_count"):
            kept = {k: before[k] for k in ("ts", "thread_ts", "reply_count", "reply_users", "latest_reply")}
            stone = {
                **kept,
                "type": "message",
                "subtype": "tombstone",
                "user": SLACKBOT,
                "text": "This message was deleted.",
                "hidden": True,
            }
            state.save_message(channel["id"], stone)
            self._tell(channel, {"type": "message_changed"}, stone)
        else:
            state.remove_message(channel["id"], ts)
            self._base.audience.tell(
                self._readers(channel), {"type": "message_deleted", "channel": channel["id"], "ts": ts}
            )
            if before.get("thread_ts") and before["thread_ts"] != ts:
                self._count_replies(channel, before["thread_ts"])
        self._events.changed(channel, before, None)

    # Ephemeral messages

    def whisper(
        self,
        channel: Json,
        to: str,
        author: Author,
        text: str,
        *,
        blocks: list[Json] | None = None,
        thread_ts: str = "",
    ) -> Json:
        """Show a message to one person only; kept until it is replaced, deleted or the server stops."""
        message: Json = {
            "type": "message",
            "user": author.user,
            **author.fields,
            "text": text[:MAX_TEXT],
            "ts": self._base.clock.stamp(),
            "ephemeral": True,
            "ephemeral_to": to,
            "channel": channel["id"],
        }
        if blocks:
            message["blocks"] = blocks
        if thread_ts:
            message["thread_ts"] = thread_ts
        self._base.state.ephemerals[message["ts"]] = message
        self._base.audience.tell([to], {"type": "ephemeral", "channel": channel["id"], "message": message})
        return message

    def change_whisper(self, ts: str, text: str, blocks: list[Json] | None) -> None:
        """Replace an ephemeral message."""
        message = self._base.state.ephemerals[ts]
        drawings = self._base.state.drawings.setdefault((message["channel"], ts), [])
        drawings.append({**json.loads(json.dumps(message)), "_number": len(drawings)})
        message["text"] = text[:MAX_TEXT]
        message.pop("blocks", None)
        if blocks:
            message["blocks"] = blocks
        self._base.audience.tell(
            [message["ephemeral_to"]],
            {"type": "ephemeral_changed", "channel": message["channel"], "message": message},
        )

    def remove_whisper(self, ts: str) -> None:
        """Take an ephemeral message away."""
        message = self._base.state.ephemerals.pop(ts)
        self._base.state.drawings.pop((message["channel"], ts), None)
        self._base.audience.tell(
            [message["ephemeral_to"]], {"type": "ephemeral_deleted", "channel": message["channel"], "ts": ts}
        )

    def slackbot(self, channel: Json, to: str, text: str, *, thread_ts: str = "") -> Json:
        """Slack's own word to one person."""
        return self.whisper(channel, to, Author.person(SLACKBOT), text, thread_ts=thread_ts)

    # Reading

    def unread(self, user: str, channel: Json) -> tuple[int, int]:
        """Unread messages and mentions of a person in a channel."""
        state = self._base.state
        mark = state.read_marks.get(f"{user}|{channel['id']}", "")
        unread = mentions = 0
        for ts, message in sorted(state.messages[channel["id"]].items(), reverse=True):
            if ts <= mark:
                break
            if message.get("user") == user:
                continue
            root = message.get("thread_ts", ts)
            top = root == ts or message.get("subtype") == "thread_broadcast"
            if not top and ts <= state.read_marks.get(f"{user}|{channel['id']}|{root}", ""):
                continue
            unread += top
            mentions += self._concerns(user, channel, message)
        return unread, mentions

    def tell_unread(self, user: str, channel: Json) -> None:
        """Tell a person's pages how much is unread."""
        unread, mentions = self.unread(user, channel)
        self._base.audience.tell(
            [user], {"type": "unread", "channel": channel["id"], "unread": unread, "mentions": mentions}
        )

    def _concerns(self, user: str, channel: Json, message: Json) -> bool:
        return (
            channel["is_im"]
            or user in mentioned(self._base.state, message)
            or (alerts_channel(message) and user in channel["members"])
        )

    def _notify(self, channel: Json, message: Json) -> None:
        state = self._base.state
        people = [u for u in channel["members"] if u != message["user"] and not state.users[u]["is_bot"]]
        for user in people:
            if user not in self._base.audience.users():
                continue
            self.tell_unread(user, channel)
            if not self._concerns(user, channel, message):
                continue
            sender = state.users.get(message["user"], {}).get("display_name", "Slackbot")
            frame = {
                "type": "notification",
                "channel": channel["id"],
                "ts": message["ts"],
                "title": sender if channel["is_im"] else f"{sender} in #{channel['name']}",
                "body": plain(state, message["text"]),
            }
            if message.get("thread_ts"):
                frame["thread_ts"] = message["thread_ts"]
            self._base.audience.tell([user], frame)

    def _count_replies(self, channel: Json, root_ts: str) -> None:
        root = self._base.state.messages[channel["id"]].get(root_ts)
        if root is None:
            return
        replies = [m for m in self._base.state.thread(channel["id"], root_ts) if m["ts"] != root_ts]
        counted = {k: v for k, v in root.items() if k not in _THREAD_FIELDS}
        if replies:
            counted |= {
                "thread_ts": root_ts,
                "reply_count": len(replies),
                "reply_users": list(dict.fromkeys(m["user"] for m in replies))[:5],
                "reply_users_count": len({m["user"] for m in replies}),
                "latest_reply": replies[-1]["ts"],
            }
        self._base.state.save_message(channel["id"], counted)
        self._tell(channel, {"type": "message_changed"}, counted)

    def _tell(self, channel: Json, frame: Json, message: Json) -> None:
        shown = for_people(channel["id"], message)
        self._base.audience.tell(
            self._readers(channel), {**frame, "channel": channel["id"], "message": shown}
        )

    def _readers(self, channel: Json) -> list[str]:
        return [u for u in self._base.audience.users() if self._base.state.sees(u, channel["id"])]


_THREAD_FIELDS = ("thread_ts", "reply_count", "reply_users", "reply_users_count", "latest_reply")
