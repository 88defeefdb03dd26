"""Locks, lines of those who wait, and what a start that is refused says and offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.domain.deployment import Deployment
from bot.domain.errors import (
    AlreadyDeploying,
    DeployingInPrivate,
    NotYourTurn,
    StartRefused,
    TargetFrozen,
    TargetLocked,
)
from bot.domain.locks import Lock
from bot.domain.queueing import Place, PlaceState
from bot.slack.blocks import words
from bot.slack.blocks.words import Block
from bot.slack.ids import Action, StartRef
from bot.slack.mrkdwn import shorten
from bot.templates import escape

#: Locks and lines shown in one answer, and people in one line.
SHOWN = 20
#: Deployments named in one sentence.
NAMED = 5
#: Longest reason shown in a list; the refusal of a start shows all of it.
REASON = 200


def ends(until: datetime | None) -> str:
    """Until when, in mrkdwn."""
    return f"until {words.slack_time(until)}" if until is not None else "until somebody unlocks it"


def lock_lines(locks: Sequence[Lock]) -> list[str]:
    """A line for each lock."""
    lines = [
        f"🔒 *{escape(lock.what)}* is locked by {words.mention(lock.by)}, {ends(lock.until)}: "
        f"“{escape(shorten(lock.reason, REASON))}”"
        for lock in locks[:SHOWN]
    ]
    return [*lines, *([f"… and {len(locks) - SHOWN} more."] if len(locks) > SHOWN else [])]


def under_way(covered: Sequence[Deployment]) -> list[str]:
    """What a new lock means for the open deployments it covers; a line for each meaning."""
    meanings: dict[str, list[str]] = {}
    for one in covered:
        meanings.setdefault(_means(one), []).append(one.name)
    lines = []
    for meaning, names in meanings.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        lines.append(f"{escape(' and '.join(names[:NAMED]))}{more}: {meaning}")
    return lines


def _means(covered: Deployment) -> str:
    if covered.go is not None:
        return "under way already: Go was given, so the lock keeps nobody from going on."
    if covered.aftermath.deployed is not None or covered.aftermath.rollback is not None:
        return "live already, so the lock keeps nobody from going on."
    return "under way already, and kept from Go as long as the lock holds."


def queue_lines(places: Sequence[Place]) -> list[str]:
    """A line for each target, with those who wait in their order."""
    by_target: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        key = (place.target.service.casefold(), place.target.environment.casefold())
        by_target.setdefault(key, []).append(place)
    lines = []
    for line in list(by_target.values())[:SHOWN]:
        target = line[0].target
        people = ", ".join(f"{at}. {_waits(place)}" for at, place in enumerate(line[:SHOWN], start=1))
        more = f" and {len(line) - SHOWN} more" if len(line) > SHOWN else ""
        lines.append(f"⏳ *{escape(f'{target.service} → {target.environment}')}*: {people}{more}")
    return lines


def _waits(place: Place) -> str:
    who = f"{words.mention(place.user)} with {escape(place.target.version)}"
    if place.state is PlaceState.PINGED and place.until is not None:
        return f"{who} (it is their turn until {words.slack_time(place.until)})"
    return f"{who} (since {words.slack_time(place.at)})"


def sentence(refused: StartRefused, *, person: Callable[[str], str], time: Callable[[datetime], str]) -> str:
    """What a refusal says, with people and times as they are shown there; everything else is escaped."""
    match refused:
        case AlreadyDeploying(lead=lead) | DeployingInPrivate(lead=lead):
            return escape(refused.told(led_by="\0")).replace("\0", person(lead))
        case TargetLocked(by=by, until=until):
            said = escape(refused.told(by="\0", until="\1")).replace("\0", person(by))
            return said.replace("\1", time(until)) if until is not None else said
        case TargetFrozen(until=end):
            return escape(refused.told(until="\1")).replace("\1", time(end))
        case NotYourTurn(user=user, until=until):
            said = escape(refused.told(whose="\0", until="\1")).replace("\0", person(user))
            return said.replace("\1", time(until)) if until is not None else said
    return escape(str(refused))


def refusal(refused: StartRefused, ref: StartRef, *, link: str | None) -> tuple[str, list[Block]]:
    """What stands in the way of a start, and what can be done about it: the text, and the blocks."""
    said = sentence(refused, person=words.mention, time=words.slack_time)
    mark = {TargetLocked: "🔒 ", TargetFrozen: "❄️ ", NotYourTurn: "⏳ "}.get(type(refused), "")
    text = f"{mark}{said}" + (f" <{link}|Open its thread>" if link else "")
    wait = "Tell me when it ends" if isinstance(refused, TargetFrozen) else "Tell me when it is free"
    target = f"{ref.service} in {ref.environment}"
    buttons = [words.button(Action.QUEUE.value, wait, ref.write(), says=f"{wait}: {target}")]
    match refused:
        case TargetLocked(lock_id=lock_id, what=what):
            confirm: Block = {
                "title": {"type": "plain_text", "text": "Unlock it?"},
                "text": {
                    "type": "plain_text",
                    "text": shorten(f"{what}: whoever locked it is told that you did.", 300),
                },
                "confirm": {"type": "plain_text", "text": "Unlock"},
                "deny": {"type": "plain_text", "text": "Leave it locked"},
            }
            unlock = words.button(
                Action.UNLOCK.value, "Unlock…", str(lock_id), says=f"Unlock {what}", confirm=confirm
            )
            buttons.append(unlock)
        case TargetFrozen():
            prepare = words.button(
                Action.PREPARE.value, "Prepare anyway", ref.write(), says=f"Prepare anyway: {target}"
            )
            buttons.append(prepare)
        case NotYourTurn():
            start = words.button(
                Action.START_ALL_THE_SAME.value,
                "Start all the same",
                ref.write(),
                says=f"Start all the same: {target}",
            )
            buttons.append(start)
    return text, [*words.paragraphs([text]), {"type": "actions", "elements": buttons}]


def told_of_place(place: Place, before: int) -> str:
    """That somebody is in the queue, and how many are before them."""
    what = escape(f"{place.target.service} in {place.target.environment}")
    ahead = {0: "You are first in line", 1: "1 person is before you"}.get(
        before, f"{before} people are before you"
    )
    return (
        f"⏳ {ahead} for {what}. When it is free and your turn, I write to you directly; "
        "you have 10 minutes then."
    )
