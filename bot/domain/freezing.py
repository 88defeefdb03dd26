"""Freezes: times in which nothing is deployed, every week or once, as the calendar has them.

A freeze that recurs begins at the wall-clock times of a cron expression and lasts so many real hours: 64 of
them from Friday 16:00 end on Monday at 8:00, and at 9:00 where clocks went forward in between. A begin that
the clocks skip is as much later as they skip; of one they repeat the first counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from apscheduler.triggers.cron import CronTrigger

from bot.domain.deployment import Target
from bot.domain.locks import Obstacle
from bot.domain.reminding import zone

#: Clocks are moved by less than this: how far a wall-clock time can be from where it is looked for.
SHIFT = timedelta(hours=3)
#: So many windows in a row that touch each other never end. Own choice: a day has 1,440 minutes.
CHAIN = 2_000
#: Most begins looked at for one answer. Own choice: a week of minutes.
MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """One entry of a sidecar's `freezes`: either `cron` with `duration`, or `start` with `end`."""

    name: str
    reason: str
    #: Patterns like `prod*`, whatever their case.
    environments: tuple[str, ...] = ("*",)
    services: tuple[str, ...] = ("*",)
    #: Minute, hour, day, month, day of the week; empty for a freeze that happens once.
    cron: str = ""
    duration: timedelta = timedelta()
    #: IANA name of the zone the cron expression is in.
    timezone: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None

    def covers(self, target: Target) -> bool:
        """Whether it is about this service in this environment."""
        return _matches(target.service, self.services) and _matches(target.environment, self.environments)

    def ends(self, at: datetime) -> datetime | None:
        """When the freeze that holds at this instant is over; None where none does.

        Windows include their beginning and not their end. Those that touch or overlap count as one.
        """
        if not self.cron:
            if self.start is None or self.end is None:
                return None
            return self.end if self.start <= at < self.end else None
        end: datetime | None = None
        for began in islice(self._begins(at - self.duration), MOST):
            # Where clocks are moved, begins are not quite in order.
            if began > (end or at) + SHIFT:
                break
            if began <= (end or at) and began + self.duration > (end or at):
                end = began + self.duration
        return end

    def never(self, after: datetime) -> bool:
        """Whether its cron expression names no time from then on, like the 31st of February."""
        return bool(self.cron) and next(self._begins(after), None) is None

    def endless(self, after: datetime) -> bool:
        """Whether its windows touch each other for ever."""
        begins = list(islice(self._begins(after), CHAIN)) if self.cron else []
        gaps = (later > earlier + self.duration for earlier, later in pairwise(begins))
        return len(begins) == CHAIN and not any(gaps)

    def _begins(self, after: datetime) -> Iterator[datetime]:
        """The instants it begins at, in order, from a little before `after` on."""
        # The wall clock is counted in UTC and placed in its zone afterwards: with the zone itself APScheduler
        # 3.11 goes past a begin in the first hour of the day after clocks went forward.
        trigger, where = trigger_of(self.cron), zone(self.timezone)
        wall = (after - SHIFT).astimezone(where).replace(tzinfo=UTC, fold=0)
        while (fire := trigger.get_next_fire_time(None, wall)) is not None:
            yield fire.replace(tzinfo=where).astimezone(UTC)
            wall = fire + timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A freeze that holds, with its end."""

    name: str
    reason: str
    until: datetime

    def to_json(self) -> dict[str, Any]:
        """For an event."""
        return {"name": self.name, "reason": self.reason, "until": self.until.isoformat()}

    @property
    def obstacle(self) -> Obstacle:
        """The freeze as what keeps from Go."""
        return Obstacle(
            kind="freeze", said=f"the freeze “{self.name}” holds: {self.reason}", until=self.until
        )


def frozen(freezes: Iterable[Freeze], target: Target, at: datetime) -> Frozen | None:
    """The freeze that holds for this target then; of several the one that ends last."""
    holding = [
        Frozen(name=freeze.name, reason=freeze.reason, until=end)
        for freeze in freezes
        if freeze.covers(target) and (end := freeze.ends(at)) is not None
    ]
    return max(holding, key=lambda one: one.until, default=None)


@lru_cache(maxsize=256)
def trigger_of(cron: str) -> CronTrigger:
    """The trigger of a cron expression, on a wall clock without a zone. Raises ValueError."""
    return CronTrigger.from_crontab(cron, timezone=UTC)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)
