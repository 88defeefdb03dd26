"""The `chat.*` methods. Errors and semantics: Slack docs, each method's page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bot.workspace.api_lookup import channel_for_posting, own_message, readable_channel
from bot.workspace.block_kit import check_message_blocks, fill_ids
from bot.workspace.ids import new_id
from bot.workspace.messages import MAX_TEXT, Author
from bot.workspace.rate_limits import SPECIAL_PER_MINUTE
from bot.workspace.text import unknown_references
from bot.workspace.web_api import ApiError, Call, method

Json = dict[str, Any]

#: Longest text `chat.update` takes (Slack docs: chat.update).
MAX_UPDATE_TEXT = 4_000
#: Longest `markdown_text` (Slack docs: chat.postMessage).
MAX_MARKDOWN = 12_000
#: Slack publishes no limit for metadata; a small one keeps apps on the safe side.
MAX_METADATA = 2_000
#: Slack docs: chat.postMessage, `too_many_attachments`.
MAX_ATTACHMENTS = 100
#: Slack docs: chat.scheduleMessage.
MAX_SCHEDULE_DAYS = 120
MAX_SCHEDULED, SCHEDULE_WINDOW = 30, 300


def checked_blocks(call: Call) -> list[Json] | None:
    """The call's blocks with every id filled in; `None` where there are none."""
    blocks = call.value("blocks")
    if blocks is None:
        return None
    problems = check_message_blocks(blocks)
    if problems:
        call.notes.extend(str(problem) for problem in problems[:20])
        code = next((p.code for p in problems if p.code != "invalid_blocks"), "invalid_blocks")
        messages = [problem.for_slack() for problem in problems]
        raise ApiError(code, response_metadata={"messages": messages})
    if not all(_can_be_shown(call, file) for file in _slack_files(blocks)):
        raise ApiError("invalid_blocks", response_metadata={"messages": ["[ERROR] invalid slack file"]})
    return fill_ids(blocks)


def _slack_files(part: Any) -> Iterator[str]:
    """The ids of the files these blocks show."""
    if isinstance(part, list):
        for one in part:
            yield from _slack_files(one)
    elif isinstance(part, dict):
        if "id" in (part.get("slack_file") or {}):
            yield part["slack_file"]["id"]
        for one in part.values():
            yield from _slack_files(one)


def _can_be_shown(call: Call, file_id: str) -> bool:
    """Whether the app may show the file: an upload of its own that is complete and seen, and an image."""
    file = call.parts.base.state.files.get(file_id)
    return (
        file is not None
        and file["_app"] == call.app.app_id
        and file["_shared"]
        and file["_ready_at"] <= call.parts.base.clock.now()
        and file["mimetype"] in ("image/png", "image/jpeg", "image/gif")
    )


def checked_metadata(call: Call) -> Json | None:
    """The call's metadata; `None` where the argument is missing, `{}` where it is empty."""
    metadata = call.value("metadata")
    if metadata is None:
        return None
    if metadata == {}:
        return {}
    if (
        not isinstance(metadata, dict)
        or set(metadata) != {"event_type", "event_payload"}
        or not isinstance(metadata["event_type"], str)
        or not isinstance(metadata["event_payload"], dict)
        or not all(_simple(value, depth=2) for value in metadata["event_payload"].values())
    ):
        raise ApiError("invalid_metadata_format")
    if len(json.dumps(metadata)) > MAX_METADATA:
        raise ApiError("metadata_too_large")
    return metadata


def _simple(value: Any, depth: int) -> bool:
    # Strings, numbers, booleans, one level of object, or a list of such objects (@slack/types).
    if isinstance(value, (str, int, float, bool)):
        return True
    if depth and isinstance(value, dict):
        return all(_simple(item, depth - 1) for item in value.values())
    if depth and isinstance(value, list):
        return all(isinstance(item, (str, int, float)) or _simple(item, depth) for item in value)
    return False


def checked_thread(call: Call, channel: Json) -> str:
    """The thread to reply in: it must be a root message's ts."""
    thread = call.text("thread_ts")
    if not thread:
        return ""
    root = call.parts.base.state.messages[channel["id"]].get(thread)
    if root is None:
        raise ApiError("thread_not_found")
    if root.get("thread_ts", thread) != thread:
        raise ApiError("invalid_thread_ts")
    return thread


def _content(call: Call) -> tuple[str, list[Json] | None]:
    blocks = checked_blocks(call)
    text = call.text("text")
    markdown = call.text("markdown_text")
    attachments = call.value("attachments")
    if markdown:
        if text or blocks:
            raise ApiError("markdown_text_conflict")
        if len(markdown) > MAX_MARKDOWN:
            raise ApiError("msg_too_long")
        text = markdown
    if isinstance(attachments, list) and len(attachments) > MAX_ATTACHMENTS:
        raise ApiError("too_many_attachments")
    if not text and not blocks and not attachments:
        raise ApiError("no_text")
    if blocks and not text:
        call.warnings.append("missing_text_in_message")
    if len(text) > MAX_TEXT:
        call.warnings.append("message_truncated")
    unknown = unknown_references(call.parts.base.state, text + json.dumps(blocks or []))
    if unknown:
        call.notes.append("unknown mentions: " + ", ".join(sorted(set(unknown))))
    return text, blocks


@method("chat.postMessage", scopes=["chat:write"], per_minute=SPECIAL_PER_MINUTE, per_channel=True)
async def post_message(call: Call) -> Json:
    """Post to a channel, a thread or a person."""
    channel = channel_for_posting(call)
    thread = checked_thread(call, channel)
    text, blocks = _content(call)
    metadata = checked_metadata(call)
    base = call.parts.base
    author = Author.app(call.app, base.state.team["id"])
    message = call.parts.messages.post(
        channel,
        author,
        text,
        blocks=blocks,
        thread_ts=thread,
        metadata=metadata,
        broadcast=call.flag("reply_broadcast"),
        extra=_attachments(call),
    )
    return {"channel": channel["id"], "ts": message["ts"], "message": message}


def _attachments(call: Call) -> Json | None:
    attachments = call.value("attachments")
    return {"attachments": attachments} if attachments else None


@method("chat.update", scopes=["chat:write"], tier=3)
async def update(call: Call) -> Json:
    """Change an own message. Text without blocks removes the blocks; metadata stays unless given."""
    channel = readable_channel(call)
    before = own_message(call, channel, "cant_update_message")
    text_given = call.args.get("text") is not None
    if call.args.get("reply_broadcast") and (text_given or call.args.get("blocks") is not None):
        raise ApiError("no_dual_broadcast_content_update")
    if len(call.text("text")) > MAX_UPDATE_TEXT:
        raise ApiError("msg_too_long")
    text, blocks = _content(call)
    changes: Json = {"blocks": blocks or None, "text": text}
    metadata = checked_metadata(call)
    if metadata is not None:
        changes["metadata"] = metadata or None
    if "attachments" in call.args:
        changes["attachments"] = call.value("attachments") or None
    edited_by = "" if blocks else call.app.bot_user_id
    after = call.parts.messages.change(channel, before["ts"], changes, edited_by=edited_by)
    return {"channel": channel["id"], "ts": after["ts"], "text": after["text"], "message": after}


@method("chat.delete", scopes=["chat:write"], tier=3)
async def delete(call: Call) -> Json:
    """Delete an own message."""
    channel = readable_channel(call)
    message = own_message(call, channel, "cant_delete_message")
    call.parts.messages.delete(channel, message["ts"])
    return {"channel": channel["id"], "ts": message["ts"]}


@method("chat.postEphemeral", scopes=["chat:write"], tier=4)
async def post_ephemeral(call: Call) -> Json:
    """Show a message to one member of a channel."""
    channel = channel_for_posting(call)
    user = call.need("user", "user_not_found")
    if user not in call.parts.base.state.users:
        raise ApiError("user_not_found")
    if user not in channel["members"]:
        raise ApiError("user_not_in_channel")
    thread = checked_thread(call, channel)
    text, blocks = _content(call)
    author = Author.app(call.app, call.parts.base.state.team["id"])
    message = call.parts.messages.whisper(channel, user, author, text, blocks=blocks, thread_ts=thread)
    return {"message_ts": message["ts"]}


@method("chat.getPermalink", per_minute=SPECIAL_PER_MINUTE)
async def get_permalink(call: Call) -> Json:
    """A link to a message, which the page opens."""
    channel = readable_channel(call)
    ts = call.need("message_ts", "message_not_found")
    message = call.parts.base.state.messages[channel["id"]].get(ts)
    if message is None:
        raise ApiError("message_not_found")
    link = f"{call.parts.base.url}/archives/{channel['id']}/p{ts.replace('.', '')}"
    thread = message.get("thread_ts")
    if thread and thread != ts:
        link += f"?thread_ts={thread}&cid={channel['id']}"
    return {"channel": channel["id"], "permalink": link}


@method("chat.scheduleMessage", scopes=["chat:write"], tier=3)
async def schedule_message(call: Call) -> Json:
    """Post later. With metadata it is accepted and never posted, as in Slack ("Bug alert" in its docs)."""
    base = call.parts.base
    channel = channel_for_posting(call)
    thread = checked_thread(call, channel)
    text, blocks = _content(call)
    at = call.number("post_at", 0)
    now = base.clock.now()
    if at <= now:
        raise ApiError("time_in_past")
    if at > now + MAX_SCHEDULE_DAYS * 86_400:
        raise ApiError("time_too_far")
    near = [
        s
        for s in base.state.scheduled.values()
        if s["channel"] == channel["id"] and abs(s["post_at"] - at) < SCHEDULE_WINDOW
    ]
    if len(near) >= MAX_SCHEDULED:
        raise ApiError("restricted_too_many")
    metadata = checked_metadata(call)
    scheduled: Json = {
        "id": new_id("Q"),
        "app_id": call.app.app_id,
        "channel": channel["id"],
        "post_at": at,
        "text": text,
        "blocks": blocks,
        "thread_ts": thread,
        "metadata": metadata or None,
    }
    if metadata:
        call.notes.append("a scheduled message with metadata is never posted")
    base.state.save_plain("scheduled", scheduled["id"], scheduled)
    return {
        "channel": channel["id"],
        "scheduled_message_id": scheduled["id"],
        "post_at": at,
        "message": {"type": "delayed_message", "text": text, "bot_id": call.app.bot_id},
    }


@method("chat.deleteScheduledMessage", scopes=["chat:write"], tier=3)
async def delete_scheduled_message(call: Call) -> Json:
    """Take a scheduled message back."""
    base = call.parts.base
    scheduled = base.state.scheduled.get(call.need("scheduled_message_id"))
    if scheduled is None or scheduled["app_id"] != call.app.app_id:
        raise ApiError("invalid_scheduled_message_id")
    base.state.save_plain("scheduled", scheduled["id"], None)
    return {}


@method("chat.scheduledMessages.list", tier=3)
async def list_scheduled_messages(call: Call) -> Json:
    """What an app has scheduled."""
    wanted = call.text("channel")
    mine = [
        {"id": s["id"], "channel_id": s["channel"], "post_at": s["post_at"], "text": s["text"]}
        for s in call.parts.base.state.scheduled.values()
        if s["app_id"] == call.app.app_id and wanted in ("", s["channel"])
    ]
    return {"scheduled_messages": mine, "response_metadata": {"next_cursor": ""}}
