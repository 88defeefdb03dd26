"""What a sidecar says about when and by whom: its freezes, and how long a lead may be quiet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.checklists.sidecar import FreezeEntry, SidecarFile
from bot.domain.errors import SidecarUnusable
from bot.domain.freezing import Freeze, trigger_of
from bot.domain.policy import Policy

#: Longest window of a freeze that recurs. Own choice: longer ones have a start and an end.
LONGEST = timedelta(days=31)
#: Least and most time a lead may be quiet. Own choice: below it is nagging.
LEAST_QUIET, MOST_QUIET = timedelta(minutes=5), timedelta(days=7)
#: From when cron expressions are tried out: any day does.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def policy_of(file: SidecarFile, *, duration: Callable[[Any], float]) -> Policy:
    """The freezes and the patience with a lead. `duration` reads what the sidecar writes as `64h`.

    Raises SidecarUnusable, which names every problem with its place.
    """
    reader = _Reader(duration)
    freezes = tuple(reader.freeze(f"freezes/{at}", entry) for at, entry in enumerate(file.content.freezes))
    quiet = reader.quiet(file.content.quiet_lead)
    if reader.problems:
        raise SidecarUnusable(file.path.name, tuple(reader.problems))
    return Policy(freezes=freezes, quiet_lead=quiet)


class _Reader:
    def __init__(self, duration: Callable[[Any], float]) -> None:
        self.problems: list[str] = []
        self._seconds = duration

    def freeze(self, where: str, entry: FreezeEntry) -> Freeze:
        """One entry; what is wrong is in `problems`."""
        before = len(self.problems)
        recurs = bool(entry.cron) or entry.duration is not None
        once = entry.start is not None or entry.end is not None
        if recurs == once:
            self._note(where, "needs either cron and duration, or start and end")
        elif recurs:
            self._recurring(where, entry)
        else:
            self._once(where, entry)
        clean = len(self.problems) == before
        made = Freeze(
            name=entry.name,
            reason=" ".join(entry.reason.split()).removesuffix("."),  # it is quoted within sentences
            environments=tuple(entry.environments),
            services=tuple(entry.services),
            cron=entry.cron if clean else "",
            duration=self._duration(where, entry.duration) if clean and recurs else timedelta(),
            timezone=entry.timezone,
            start=entry.start,
            end=entry.end,
        )
        if clean and made.never(_SOME_DAY):
            self._note(f"{where}/cron", f"“{entry.cron}” never happens")
        elif clean and made.endless(_SOME_DAY):
            self._note(f"{where}/duration", "the windows touch each other, so it would never end")
        return made

    def quiet(self, value: str | float) -> timedelta | None:
        """How long a lead may be quiet; None: for ever."""
        if value == "never":
            return None
        try:
            span = timedelta(seconds=self._seconds(value))
        except (ValueError, OverflowError) as error:
            self._note("quiet_lead", f"{error}; or write never")
            return None
        if not LEAST_QUIET <= span <= MOST_QUIET:
            self._note("quiet_lead", "must be from 5m to 7d, or never")
        return span

    def _recurring(self, where: str, entry: FreezeEntry) -> None:
        if not entry.cron or entry.duration is None:
            self._note(where, "cron and duration belong together; one of them is missing")
        if entry.cron:
            self._cron(f"{where}/cron", entry.cron)
        if entry.duration is not None:
            span = self._duration(where, entry.duration)
            if not timedelta(minutes=1) <= span <= LONGEST:
                self._note(f"{where}/duration", f"must be from 1m to {LONGEST.days}d")
        try:
            ZoneInfo(entry.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._note(
                f"{where}/timezone",
                f"there is no time zone “{entry.timezone}”; write an IANA name like Europe/Berlin",
            )

    def _cron(self, where: str, cron: str) -> None:
        fields = cron.split()
        if len(fields) != 5:
            self._note(where, "write five fields: minute, hour, day, month, day of the week")
            return
        # APScheduler counts from Monday = 0, cron from Sunday = 0: whoever reads 5 may be a day off.
        if any(letter.isdecimal() for letter in fields[4].partition("/")[0]):
            self._note(where, "write the day of the week in letters, mon to sun: numbers mean different days")
            return
        try:
            trigger_of(cron)
        except ValueError as error:
            self._note(where, f"“{cron}” is no cron expression ({error})")

    def _once(self, where: str, entry: FreezeEntry) -> None:
        if entry.start is None or entry.end is None:
            self._note(where, "start and end belong together; one of them is missing")
        for name, at in (("start", entry.start), ("end", entry.end)):
            if at is not None and at.tzinfo is None:
                self._note(f"{where}/{name}", "write the offset as well: 2026-12-24T12:00:00+01:00")
        aware = entry.start is not None and entry.end is not None and entry.start.tzinfo and entry.end.tzinfo
        if aware and entry.start is not None and entry.end is not None and entry.end <= entry.start:
            self._note(f"{where}/end", "is not after start")

    def _duration(self, where: str, value: Any) -> timedelta:
        try:
            return timedelta(seconds=self._seconds(value))
        except (ValueError, OverflowError) as error:
            self._note(f"{where}/duration", str(error))
            return timedelta(minutes=1)

    def _note(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")
