"""Locks: somebody keeps a service from being deployed, to one environment or to any, with a reason.

A lock is lifted by hand, or by itself when its time is over. What keeps a deployment from Go is an obstacle,
whether somebody locked the service or the calendar froze the environment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.domain.deployment import LIMITS, REASON, Target, checked_name
from bot.domain.errors import (
    LockReasonMissing,
    LockServiceMissing,
    LockTimeUnusable,
    ReasonTooLong,
    WhenNotUnderstood,
)
from bot.domain.reminding import read_when

#: Words a time can have: `2 hours 30 minutes`, `tomorrow at 9:00 pm`. Own choice: nobody says more.
_WORDS_OF_A_TIME = 5

_QUOTES = "\"'“”„«»"

#: What may stand before the words of a time: `about`, `the end of the`, `two`.
_BEFORE = (
    r"(?:at|about|around|in|on|of the|of|next|this|the next|the end|the rest|end|rest|an?|half|few|couple|"
    r"one|two|three|four|five|six|seven|eight|nine|ten)"
)
_UNITS = r"(?:seconds|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?)"
#: Words of a time: a number, a day, a part of it, a span.
_OF_A_TIME = (
    r"(?:[-+−~]?\d[\w.,:/+-]*|yesterday|today|tonight|tomorrow|noon|midday|midnight|morning|afternoon|evening|"
    rf"(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?|{_UNITS})"
)
#: How what is meant as a time begins. `today's release` is none, and `the second try` neither.
_MEANT = re.compile(rf"(?:{_BEFORE} )*{_OF_A_TIME}(?![\w'’-])", re.IGNORECASE)
#: `3 customers`, but not `3 hours`.
_AMOUNT = re.compile(rf"\d+ (?!{_UNITS}\b)", re.IGNORECASE)
#: Words that are meant as a time and nothing else.
_NOTHING_ELSE = re.compile(
    rf"(?:{_BEFORE} )*{_OF_A_TIME}(?: (?:{_BEFORE}|{_OF_A_TIME}|[ap]m|[smhdw]|o['’]clock))*[.,;:!]?",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """One lock."""

    id: int
    #: Slack team id.
    team: str
    service: str
    #: Empty: every environment.
    environment: str = ""
    #: Slack user id of who locked it.
    by: str
    reason: str
    at: datetime
    #: None: until somebody unlocks it.
    until: datetime | None = None
    released_at: datetime | None = None
    #: Slack user id, or `bot` where its time was over.
    released_by: str = ""

    def active(self, at: datetime) -> bool:
        """Whether it keeps anybody from anything then."""
        return self.released_at is None and (self.until is None or at < self.until)

    @property
    def what(self) -> str:
        """What is locked: `storefront in production`, `storefront in every environment`."""
        return f"{self.service} in {self.environment or 'every environment'}"

    def covers(self, target: Target) -> bool:
        """Whether it is about this service and environment, whatever their case."""
        same = self.service.casefold() == target.service.casefold()
        return same and self.environment.casefold() in ("", target.environment.casefold())


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """What keeps a deployment from Go."""

    #: `lock` or `freeze`.
    kind: str
    #: What it is and why, in plain text, without who and until when.
    said: str
    #: When it ends by itself; None: when somebody ends it.
    until: datetime | None = None
    #: Slack user id of who is behind it; None where the calendar is.
    by: str | None = None


def obstacle_of(lock: Lock) -> Obstacle:
    """A lock as an obstacle."""
    return Obstacle(kind="lock", said=f"{lock.what} is locked: {lock.reason}", until=lock.until, by=lock.by)


@dataclass(frozen=True, kw_only=True)
class LockWish:
    """What somebody asked for: checked, with the instant worked out."""

    service: str
    environment: str
    reason: str
    until: datetime | None


def read_lock(text: str, *, known: Collection[str], now: datetime, timezone: str) -> LockWish:
    """`SERVICE [ENVIRONMENT] [for 2h | until 18:00] REASON`; the time may stand after the reason as well.

    The second word is an environment where it is one of `known`, or a time and a reason follow it; else the
    reason begins there.

    A lock never holds for ever because its time could not be read: where `for` or `until` stands in one of
    these places and a number (`-2h`, `3 customers`), a day (`yesterday`, `Monday`), a part of one (`noon`) or
    a span in words (`two hours`, `the end of the week`) follows, a time is meant, and one that cannot be read
    is refused. `broken for 3 customers` is a reason all the same, and so are `for the migration`,
    `until Ben is back` and whatever begins with a quote.

    Raises LockServiceMissing, LockReasonMissing, LockTimeUnusable, ReasonTooLong, InvalidName,
    WhenOutOfRange.
    """
    tokens = text.split()
    if not tokens:
        raise LockServiceMissing
    service, rest = checked_name("service", tokens[0]), tokens[1:]
    environment = ""
    if rest and _time_at(rest, 0, now, timezone) is None:
        named = rest[0].casefold() in {one.casefold() for one in known}
        later = _time_at(rest, 1, now, timezone)
        if named or (later is not None and later[1] < len(rest)):
            environment, rest = checked_name("environment", rest[0]), rest[1:]
    until = None
    if (found := _time_at(rest, 0, now, timezone)) is not None:
        until, rest = found[0], rest[found[1] :]
    elif (last := _trailing_time(rest, now, timezone)) is not None:
        until, rest = last[0], rest[: last[1]]
    else:
        _refuse_unreadable_time(rest)
    reason = " ".join(rest).strip(f" {_QUOTES}").removesuffix(".")  # it is quoted within sentences
    if not reason:
        raise LockReasonMissing(service)
    if len(reason) > REASON:
        raise ReasonTooLong(len(reason), limit=REASON)
    return LockWish(service=service, environment=environment, reason=reason, until=until)


def read_place(text: str) -> tuple[str, str]:
    """`SERVICE [ENVIRONMENT]` of what is to be unlocked. Raises LockServiceMissing, InvalidName."""
    tokens = text.split()
    if not tokens:
        raise LockServiceMissing(unlock=True)
    environment = checked_name("environment", tokens[1]) if len(tokens) > 1 else ""
    if len(tokens) > 2:
        checked_name("environment", " ".join(tokens[1:])[: LIMITS["environment"]])
    return checked_name("service", tokens[0]), environment


def _time_at(tokens: Sequence[str], at: int, now: datetime, timezone: str) -> tuple[datetime, int] | None:
    """The instant that begins at this word with `for` or `until`, and the first word after it."""
    if at >= len(tokens) or tokens[at].casefold() not in ("for", "until"):
        return None
    prefixes = ("in",) if tokens[at].casefold() == "for" else ("at", "")
    for end in range(min(len(tokens), at + 1 + _WORDS_OF_A_TIME), at + 1, -1):
        said = re.sub(r"[,;:]$", "", " ".join(tokens[at + 1 : end]))
        for prefix in prefixes:
            try:
                return read_when(f"{prefix} {said}".strip(), now=now, timezone=timezone), end
            except WhenNotUnderstood:
                continue
    return None


def _trailing_time(tokens: Sequence[str], now: datetime, timezone: str) -> tuple[datetime, int] | None:
    """The instant the last words name, and where they begin."""
    for at in range(max(0, len(tokens) - 1 - _WORDS_OF_A_TIME), len(tokens)):
        found = _time_at(tokens, at, now, timezone)
        if found is not None and found[1] == len(tokens):
            return found[0], at
    return None


def _refuse_unreadable_time(tokens: Sequence[str]) -> None:
    """See that words in which no time was read mean none: at the end, at the beginning, or after what may be
    an environment. Raises LockTimeUnusable."""
    if not tokens or tokens[0][0] in _QUOTES:
        return
    places = [at for at, word in enumerate(tokens) if word.casefold() in ("for", "until")]
    for at in places:
        if _NOTHING_ELSE.fullmatch(" ".join(tokens[at + 1 :])):
            raise LockTimeUnusable(" ".join(tokens[at:]))
    for at in places:
        after = " ".join(tokens[at + 1 :])
        meant = _MEANT.match(after) if at == 0 or (at == 1 and not _AMOUNT.match(after)) else None
        if meant is not None:
            raise LockTimeUnusable(f"{tokens[at]} {meant[0]}")
