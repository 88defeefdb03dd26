"""Direct messages that belong to no deployment: whose turn it is, and that somebody unlocked."""

from __future__ import annotations

from bot.domain.locks import Lock
from bot.domain.queueing import Place, PlaceState
from bot.slack.blocks import words
from bot.slack.blocks.heard import heard
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action
from bot.slack.mrkdwn import shorten
from bot.templates import escape


def turn(place: Place, *, current: bool) -> Drawing:
    """That it is somebody's turn, or what became of it; not `current` where a newer message is about it."""
    target = place.target
    what = f"{target.service} {target.version} → {target.environment}"
    if place.state is PlaceState.PINGED and current and place.until is not None:
        said = (
            f"🟢 *{escape(target.service)}* is free in {escape(target.environment)}: it is your turn to "
            f"deploy {escape(target.version)}, until {words.slack_time(place.until)}. "
            "Then the next in line is asked."
        )
        buttons: Block = {
            "type": "actions",
            "elements": [
                words.button(
                    Action.START_TURN.value, "Start", str(place.id), style="primary", says=f"Start {what}"
                ),
                words.button(
                    Action.LEAVE_QUEUE.value, "Not any more", str(place.id), says=f"Don't start {what}"
                ),
            ],
        }
        return Drawing(blocks=[words.section(said), buttons], text=escape(heard(said, {})))
    where = f"; its card is in <#{place.channel}>" if place.state is PlaceState.STARTED else ""
    said = f"{_became(place)} {escape(what)}{where}."
    return Drawing(blocks=[words.section(said)], text=said)


def _became(place: Place) -> str:
    match place.state:
        case PlaceState.STARTED:
            return "✅ You started"
        case PlaceState.LEFT:
            return "☑️ You do not wait any more for"
        case PlaceState.EXPIRED:
            return "⌛ Your turn passed. Type `/deploy start` if you still want to deploy"
    return "⏳ Something came between. You are still in line, and I write again when it is your turn for"


def unlocked(lock: Lock, *, by: str, name: str) -> Drawing:
    """That somebody else lifted a person's lock; `name` is theirs."""
    rest = f"unlocked {escape(lock.what)}, which you had locked: “{escape(shorten(lock.reason, 500))}”"
    shown = f"🔓 {words.mention(by)} {rest}"
    return Drawing(blocks=[words.section(shown)], text=f"🔓 {escape(name)} {rest}")
