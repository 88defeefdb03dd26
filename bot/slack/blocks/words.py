"""Small pieces every drawing is made of: names, times, bars, counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.domain.deployment import FILE, Deployment, Phase
from bot.domain.events import BOT, CI
from bot.domain.localtime import Reader, moment
from bot.domain.reminding import zone
from bot.slack.mrkdwn import shorten

Block = dict[str, Any]

#: Slack's limits (slack_sdk models, @slack/types): characters of a section's text, a header, an option's
#: text and description, blocks in a message, options in a checkbox group.
SECTION_TEXT = 3000
HEADER_TEXT = 150
OPTION_TEXT = 75
MESSAGE_BLOCKS = 50
CHECKBOXES = 10
#: Most characters of all blocks of a message. Undocumented; `msg_blocks_too_long` was seen at about 13,200.
BLOCKS_CHARACTERS = 13_000
#: `chat.update` refuses a longer `text` (Slack docs: chat.update, msg_too_long).
FALLBACK_TEXT = 4000


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A message as it should look."""

    blocks: Sequence[Block]
    #: What screen readers and notifications say: the full meaning of the blocks.
    text: str


def size(blocks: Sequence[Block]) -> int:
    """Characters of the blocks as they are sent."""
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))


def name_of(user: str, names: Mapping[str, str]) -> str:
    """The person's name where it is known, else their id; the bot and the checklist file by name."""
    if user == FILE:
        return "ticked in the checklist file"
    if user == BOT:
        return "Deploybot"
    if user == CI:
        return "CI"
    return names.get(user, user)


def mention(user: str) -> str:
    """A mention, in mrkdwn."""
    return {BOT: "Deploybot", CI: "CI", FILE: "the checklist file"}.get(user, f"<@{user}>")


def local_time(at: datetime, deployment: Deployment, reader: Reader | None = None) -> str:
    """Hour and minute in the deployment's time zone, with the date where it is not the day of the start.

    For one `reader` alone as they write it, where they are.
    """
    if reader is not None:
        return moment(at, reader, now=deployment.started_at)
    tz = zone(deployment.timezone)
    local = at.astimezone(tz)
    if local.date() == deployment.started_at.astimezone(tz).date():
        return local.strftime("%H:%M %Z")
    return f"{local.day} {local.strftime('%b %H:%M %Z')}"


def slack_time(at: datetime, reader: Reader | None = None) -> str:
    """The instant in each reader's own time zone (Slack docs: date formatting), in mrkdwn.

    What stands there where a client cannot show it, e.g. in a notification, is as the one `reader` writes it.
    """
    fallback = at.strftime("%Y-%m-%d %H:%M UTC") if reader is None else moment(at, reader)
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>"


def in_zone(at: datetime, timezone: str) -> str:
    """The instant for a reader whose zone is known, where Slack cannot localise it, e.g. in a form."""
    local = at.astimezone(zone(timezone))
    return f"{local:%a} {local.day} {local:%b %H:%M %Z}"


def button(
    action: str, text: str, value: str, *, style: str = "", says: str = "", confirm: Block | None = None
) -> Block:
    """A button; `says` is for screen readers where the text alone does not say what is meant."""
    made: Block = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": text},
        "value": value,
    }
    if style:
        made["style"] = style
    if says:
        made["accessibility_label"] = shorten(says, OPTION_TEXT)
    if confirm is not None:
        made["confirm"] = confirm
    return made


def duration(span: timedelta) -> str:
    """A span in the two units that matter, e.g. `1 h 20 min`."""
    minutes = max(0, int(span.total_seconds())) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else "less than a minute"


def exact(span: timedelta) -> str:
    """A span to the second, e.g. `4 min 12 s`; hours and minutes where it is longer than an hour."""
    seconds = max(0, round(span.total_seconds()))
    if seconds >= 3600:
        return duration(span)
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def bar(done: int, total: int, *, width: int = 12) -> str:
    """A progress bar; full only when everything is done, empty only when nothing is."""
    filled = round(width * done / total) if total else 0
    filled = min(max(filled, 1 if done else 0), width if done == total else width - 1)
    return "▰" * filled + "▱" * (width - filled)


def percent(done: int, total: int) -> int:
    """Per cent, rounded down so that 100 means everything."""
    return 100 * done // total if total else 0


PHASE_WORDS = {Phase.IN_PROGRESS: "In progress", Phase.FINISHED: "Finished", Phase.ABORTED: "Aborted"}


def unknown_channels(channels: Sequence[str]) -> str:
    """That what is in these channels is not shown, because Slack does not say who may read them."""
    named = ", ".join(f"<#{channel}>" for channel in channels[:5])
    more = f" and {len(channels) - 5} more" if len(channels) > 5 else ""
    return f"⚠️ Slack does not say who may read {named}{more}: deployments there may be missing here."


def header(text: str) -> Block:
    """A header block."""
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": shorten(text, HEADER_TEXT), "emoji": True},
    }


def section(text: str) -> Block:
    """A section of mrkdwn."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def context(text: str) -> Block:
    """A line in small print."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def paragraphs(lines: Sequence[str]) -> list[Block]:
    """Lines of mrkdwn in as few sections as Slack's limit allows."""
    blocks: list[Block] = []
    held: list[str] = []
    for line in lines:
        cut = shorten(line, SECTION_TEXT)
        if held and sum(map(len, held)) + len(held) + len(cut) > SECTION_TEXT:
            blocks.append(section("\n".join(held)))
            held = []
        held.append(cut)
    if held:
        blocks.append(section("\n".join(held)))
    return blocks
