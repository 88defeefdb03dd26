"""Reminders: what people are to be reminded of, when, and what became of it.

A reminder waits, is sent, and is settled: done, not needed, or dropped with its deployment. Snoozed, it waits
again, and the next time it is sent is its next round. What is sent and stays undone escalates: from the
thread to the lead's direct messages, then to the people on call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.domain.checklist import Checklist
from bot.domain.deployment import Deployment
from bot.domain.errors import WhenNotUnderstood, WhenOutOfRange
from bot.domain.events import Fact

#: The last part of the key of the item that asks for the time of a review.
REVIEW = "schedule-review"
#: Nearest and furthest time somebody can ask for. Own choice: a deployment is over before the latter.
SOONEST, LATEST = timedelta(minutes=1), timedelta(days=30)
#: Longest words of a reminder. Own choice: a line or two.
WORDS = 300
#: The hour `tomorrow` means where no other is said.
MORNING = 9


class Origin(StrEnum):
    """Who wanted a reminder."""

    #: The checklist's sidecar, or the defaults.
    PLAN = "plan"
    #: Somebody asked for it.
    PERSON = "person"
    #: Somebody scheduled the review.
    REVIEW = "review"
    #: The sidecar, for a deploy that was taken back before it took place.
    FORMER = "former"


class State(StrEnum):
    """Where a reminder stands."""

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    NOT_NEEDED = "not_needed"
    #: Its deployment ended, another reminder says the same, or its review was moved.
    DROPPED = "dropped"

    @property
    def settled(self) -> bool:
        """Whether nobody is reminded any more."""
        return self not in (State.WAITING, State.SENT)


class Level(IntEnum):
    """How far a reminder has escalated."""

    THREAD = 0
    LEAD = 1
    GROUP = 2


@dataclass(frozen=True, kw_only=True)
class PlannedReminder:
    """One line of a plan."""

    #: How long after the deploy.
    after: timedelta
    #: Keys of the items it is about; those that are done by then are left out.
    items: tuple[str, ...] = ()
    #: Words instead of items, or before them.
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class ReminderPlan:
    """When a checklist reminds of what, and whom it asks when nobody reacts."""

    reminders: tuple[PlannedReminder, ...] = ()
    #: From the message in the thread to the lead's direct message, and from that to the group; None: never.
    lead_after: timedelta | None = timedelta(minutes=15)
    group_after: timedelta | None = timedelta(minutes=30)
    #: Slack id of a user group (`S…`) or a person (`U…`); empty where nobody is on call.
    on_call: str = ""


@dataclass(frozen=True, kw_only=True)
class Reminder:
    """One thing to be reminded of."""

    id: int
    deployment_id: int
    #: Unique in the deployment.
    key: str
    origin: Origin
    #: Positions of the items it is about.
    items: tuple[int, ...] = ()
    text: str = ""
    #: When it is, or was, to be sent.
    due_at: datetime
    state: State = State.WAITING
    level: Level = Level.THREAD
    #: How often it was snoozed: a message of an earlier round no longer counts.
    round: int = 0
    #: When something is to be done about it next: sent, or escalated. None: nothing.
    next_at: datetime | None = None
    sent_at: datetime | None = None
    #: Who asked for it or snoozed it last, besides the lead; empty for nobody.
    for_user: str = ""
    #: Who settled it or, while it waits, snoozed it; Slack user id or `bot`.
    settled_by: str = ""
    settled_at: datetime | None = None

    def open_in(self, deployment: Deployment) -> tuple[int, ...]:
        """Positions of its items that are not done yet."""
        return tuple(position for position in self.items if position not in deployment.done)

    def concerned(self, deployment: Deployment) -> tuple[str, ...]:
        """Whom its open items were given to, else who owns them: Slack ids, each once."""
        found: dict[str, None] = {}
        for position in self.open_in(deployment):
            given = deployment.care.assignees(position)
            found |= dict.fromkeys(given or deployment.conduct.owners(position))
        return tuple(found)

    def says_something(self, deployment: Deployment) -> bool:
        """Whether there is anything left to remind of: words alone always are."""
        return not self.items or bool(self.open_in(deployment))


#: The end of the keys of the post-deployment items that are reminded of where a checklist says nothing else.
_POST = "post-deployment/"
_ITEMS = (
    f"{_POST}monitor-error-rates",
    f"{_POST}check-performance-metrics",
    f"{_POST}verify-functionality",
    f"{_POST}test-critical-paths",
    f"{_POST}monitor-resource-usage",
)
#: Minutes after the deploy, and which of those items. Errors show at once, latencies when caches are warm,
#: people need a while to click through the product, leaks take an hour; a day later it is about what was
#: forgotten.
_DEFAULT: tuple[tuple[int, Sequence[str]], ...] = (
    (5, _ITEMS[:1]),
    (15, _ITEMS[1:2]),
    (30, _ITEMS[2:4]),
    (60, _ITEMS[4:]),
    (24 * 60, _ITEMS),
)


def default_reminders(checklist: Checklist) -> tuple[PlannedReminder, ...]:
    """The reminders of a checklist whose sidecar names none: of its post-deployment items, if it has them."""
    keys = [item.key for item in checklist.items]
    planned = []
    for minutes, endings in _DEFAULT:
        items = tuple(
            key for ending in endings for key in keys if key == ending or key.endswith(f"/{ending}")
        )
        if items:
            planned.append(PlannedReminder(after=timedelta(minutes=minutes), items=items))
    return tuple(planned)


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody typed: words, and the words for a time."""

    what: str = ""
    when: str = ""


_UNIT = r"(?:d|days?|h|hrs?|hours?|m|mins?|minutes?)"
_SPAN = rf"in\s+\d+(?:[.,]\d+)?\s*{_UNIT}(?:\s*\d+\s*{_UNIT})*"
_CLOCK = r"\d{1,2}(?:[:.]\d{2})?(?:\s*[ap]m)?"
_WHEN = rf"(?:{_SPAN}|tomorrow(?:\s+(?:at\s+)?{_CLOCK})?|at\s+{_CLOCK}(?:\s+tomorrow)?)"
_LAST = re.compile(rf"(?:(?P<what>.*)\s)?(?P<when>{_WHEN})", re.IGNORECASE | re.DOTALL)
_FIRST = re.compile(rf"(?P<when>{_WHEN})\s(?P<what>.*)", re.IGNORECASE | re.DOTALL)
_PARTS = re.compile(rf"(\d+(?:[.,]\d+)?)\s*({_UNIT})", re.IGNORECASE)


def read_wish(text: str) -> Wish:
    """The words and the time in what somebody typed, like `Monitor error rates in 2h`; empty if missing."""
    text = " ".join(text.split())
    found = _LAST.fullmatch(text) or _FIRST.fullmatch(text)
    what, when = (found["what"] or "", found["when"]) if found else (text, "")
    return Wish(what=what.strip(" \"'“”„«»"), when=when)


def read_when(text: str, *, now: datetime, timezone: str) -> datetime:
    """The instant somebody means, in their time zone: `in 2h`, `in 1h30m`, `at 15:00`, `tomorrow 9:00`.

    Raises WhenNotUnderstood, WhenOutOfRange.
    """
    said = " ".join(text.casefold().split())
    if not re.fullmatch(_WHEN, said):
        raise WhenNotUnderstood(text)
    if said.startswith("in "):
        minutes = sum(
            float(number.replace(",", ".")) * {"d": 1440, "h": 60, "m": 1}[unit[0]]
            for number, unit in _PARTS.findall(said)
        )
        return checked_when(now, min(minutes, 1e7), text)
    hour, minute = _clock(said, text)
    local = now.astimezone(zone(timezone))
    day = local.date() + timedelta(days=1 if "tomorrow" in said else 0)
    at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=local.tzinfo).astimezone(UTC)
    if at <= now:  # `at 9:00`, said in the afternoon
        day += timedelta(days=1)
        at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=local.tzinfo).astimezone(UTC)
    return at


def checked_when(now: datetime, minutes: float, said: str) -> datetime:
    """So many minutes from now. Raises WhenOutOfRange."""
    span = timedelta(minutes=minutes)
    if not SOONEST <= span <= LATEST:
        raise WhenOutOfRange(said)
    return now + span


def _clock(said: str, text: str) -> tuple[int, int]:
    found = re.search(r"(\d{1,2})(?:[:.](\d{2}))?(?:\s*([ap])m)?", said)
    if found is None:
        return MORNING, 0
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3]:
        if not 1 <= hour <= 12:
            raise WhenNotUnderstood(text)
        hour = hour % 12 + (12 if found[3] == "p" else 0)
    if hour > 23 or minute > 59:
        raise WhenNotUnderstood(text)
    return hour, minute


def zone(name: str) -> ZoneInfo:
    """The time zone, or UTC where the name is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


class Snooze(StrEnum):
    """For how long."""

    QUARTER = "15m"
    HOUR = "1h"
    TOMORROW = "tomorrow"

    def until(self, *, now: datetime, timezone: str) -> datetime:
        """The instant, `tomorrow` being 9:00 where the person is."""
        match self:
            case Snooze.QUARTER:
                return now + timedelta(minutes=15)
            case Snooze.HOUR:
                return now + timedelta(hours=1)
        return read_when("tomorrow", now=now, timezone=timezone)


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class NewReminder:
    """A reminder before it is stored."""

    key: str
    origin: Origin
    due_at: datetime
    items: tuple[int, ...] = ()
    text: str = ""
    for_user: str = ""

    def added(self, *, by: str, at: datetime) -> Fact:
        """The fact that it was added."""
        data = {
            "key": self.key,
            "origin": self.origin.value,
            "due_at": self.due_at.isoformat(),
            "items": list(self.items),
            "text": self.text,
        }
        return Fact(kind="reminder.added", actor=by, at=at, data=data)


def planned(deployment: Deployment, plan: ReminderPlan, *, deployed_at: datetime) -> tuple[NewReminder, ...]:
    """The reminders a plan makes; items the deployment's own copy of the checklist lacks are left out."""
    at = {item.key: position for position, item in enumerate(deployment.checklist.items)}
    again = deployment.aftermath.taken_back
    made = []
    for number, one in enumerate(plan.reminders, start=1):
        items = tuple(at[key] for key in one.items if key in at)
        if items or (one.text and not one.items):
            made.append(
                NewReminder(
                    key=f"plan-{number}.{again}" if again else f"plan-{number}",
                    origin=Origin.PLAN,
                    due_at=deployed_at + one.after,
                    items=items,
                    text=one.text,
                )
            )
    return tuple(made)


def told(
    kind: str, reminders: Iterable[Reminder], *, by: str, at: datetime, also: Mapping[str, Any] | None = None
) -> Fact:
    """That reminders were sent, escalated, snoozed, done, not needed or dropped: `kind` is the last word."""
    keys = [reminder.key for reminder in reminders]
    return Fact(kind=f"reminder.{kind}", actor=by, at=at, data={"keys": keys, **(also or {})})


@dataclass(frozen=True, kw_only=True)
class Entries:
    """What one message says: each reminder with the items it still has to name."""

    entries: tuple[tuple[Reminder, tuple[int, ...]], ...] = ()
    #: All its items are done: not worth a word.
    done: tuple[Reminder, ...] = ()
    #: Others in the same message name all its items.
    covered: tuple[Reminder, ...] = field(default=())


def gathered(deployment: Deployment, due: Iterable[Reminder]) -> Entries:
    """What is due together, each open item named once, by the reminder that was due first."""
    entries: list[tuple[Reminder, tuple[int, ...]]] = []
    done: list[Reminder] = []
    covered: list[Reminder] = []
    named: set[int] = set()
    for reminder in sorted(due, key=lambda one: (one.due_at, one.id)):
        if not reminder.says_something(deployment):
            done.append(reminder)
            continue
        new = tuple(position for position in reminder.open_in(deployment) if position not in named)
        named.update(new)
        if new or reminder.text or not reminder.items:
            entries.append((reminder, new))
        else:
            covered.append(reminder)
    return Entries(entries=tuple(entries), done=tuple(done), covered=tuple(covered))
