"""The flight recorder: everything that happened on one axis of time, as plain values for whoever draws it.

Lanes hold marks (ticks, checks, alerts, the rollback), moments are lines through all of them (Go, live, the
end), and the curve is the metric that was watched, with what was usual before the deploy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median, quantiles

from bot.domain.reminding import zone

#: Marks closer than this share of the axis are drawn as one. Own choice: about three pixels of 900.
COLUMNS = 280
#: Fewest values before the deploy that make a band; as in the charts of alerts.
FEWEST_BEFORE = 4
#: Rows of the table that says the same.
ROWS = 12
#: Steps of the axis, in minutes.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)


class LaneKind(StrEnum):
    """What a lane shows; each has a shape of its own, so that colour is not needed to tell them apart."""

    TICKS = "ticks"
    BOT = "bot"
    PASSED = "passed"
    NOT_PASSED = "not_passed"
    ALERTS = "alerts"
    ANSWERS = "answers"
    ROLLBACK = "rollback"


#: In the order they are drawn, with their names.
LANES = {
    LaneKind.TICKS: "ticks by people",
    LaneKind.BOT: "ticks by the bot",
    LaneKind.PASSED: "checks passed",
    LaneKind.NOT_PASSED: "checks not passed",
    LaneKind.ALERTS: "alerts",
    LaneKind.ANSWERS: "taken, cleared",
    LaneKind.ROLLBACK: "rollback steps",
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that happened; several close together are one mark with a count."""

    at: datetime
    text: str
    #: 0 for what only goes on with something that is counted already.
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One row of marks."""

    kind: LaneKind
    marks: tuple[Mark, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return LANES[self.kind]

    @property
    def total(self) -> int:
        """How many things it shows."""
        return sum(mark.count for mark in self.marks)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A line through all lanes."""

    name: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The metric that was watched."""

    label: str
    #: Of the values; empty for a plain number.
    unit: str
    points: tuple[tuple[datetime, float], ...]
    #: Lowest and highest of what was usual before the deploy; None where too little is known.
    band: tuple[float, float] | None

    @property
    def title(self) -> str:
        """What is shown, with its unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


@dataclass(frozen=True, kw_only=True)
class Row:
    """A stretch of time in the table that says what the picture shows."""

    start: datetime
    end: datetime
    #: How many of each lane, in the order of `Recorder.lanes`.
    counts: tuple[int, ...]
    #: Middle and highest value of the curve; None without samples.
    value: tuple[float, float] | None
    #: The moments in it.
    moments: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """The whole picture."""

    title: str
    start: datetime
    end: datetime
    timezone: str
    lanes: tuple[Lane, ...]
    moments: tuple[Moment, ...]
    curve: Curve | None

    def share(self, at: datetime) -> float:
        """Where an instant lies, from 0 (the left edge) to 1."""
        return min(1.0, max(0.0, (at - self.start) / (self.end - self.start)))

    @property
    def axis(self) -> tuple[tuple[datetime, str], ...]:
        """Round instants in the time zone, at most nine, with their labels."""
        tz = zone(self.timezone)
        minutes = (self.end - self.start).total_seconds() / 60
        step = next((one for one in _STEPS if minutes / one <= 8), _STEPS[-1] * (1 + int(minutes / 80_640)))
        local = self.start.astimezone(tz)
        at = local.replace(hour=0, minute=0, second=0, microsecond=0)
        days = self.end.astimezone(tz).date() != local.date()
        found: list[tuple[datetime, str]] = []
        while at <= self.end:
            if at >= self.start:
                # The date where a day begins, or where every step is a day.
                dated = days and (not found or found[-1][0].astimezone(tz).date() != at.date())
                label = f"{at.day} {at:%b}" if step >= 1440 else f"{at:%H:%M}"
                found.append((at, f"{at.day} {at:%b} {at:%H:%M}" if dated and step < 1440 else label))
            at += timedelta(minutes=step)
        return tuple(found)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The same as numbers, in equal stretches of time."""
        step = (self.end - self.start) / ROWS
        made = []
        for number in range(ROWS):
            start = self.start + step * number
            end = self.end if number == ROWS - 1 else start + step
            last = number == ROWS - 1

            def within(at: datetime, start: datetime = start, end: datetime = end, last: bool = last) -> bool:
                return start <= at < end or (last and at == end)

            values = [value for at, value in self.curve.points if within(at)] if self.curve else []
            made.append(
                Row(
                    start=start,
                    end=end,
                    counts=tuple(
                        sum(mark.count for mark in lane.marks if within(mark.at)) for lane in self.lanes
                    ),
                    value=(median(values), max(values)) if values else None,
                    moments=tuple(moment.name for moment in self.moments if within(moment.at)),
                )
            )
        return tuple(made)

    @property
    def alt(self) -> str:
        """The picture for those who do not see it."""
        tz = zone(self.timezone)
        span = f"{self.start.astimezone(tz):%H:%M} to {self.end.astimezone(tz):%H:%M %Z}"
        parts = [f"Flight recorder of {self.title}, from {span}."]
        counts = [f"{lane.name} {lane.total}" for lane in self.lanes]
        parts += [f"It shows: {'; '.join(counts)}."] if counts else []
        if self.moments:
            said = ", ".join(f"{one.name} at {one.at.astimezone(tz):%H:%M}" for one in self.moments)
            parts.append(f"Moments: {said}.")
        if self.curve is not None:
            values = [value for _, value in self.curve.points]
            line = f"{self.curve.title} lay between {min(values):.3g} and {max(values):.3g}"
            if self.curve.band is not None:
                low, high = self.curve.band
                line += f"; before the deploy usually between {low:.3g} and {high:.3g}"
            parts.append(f"{line}.")
        return " ".join(parts)


def usual(values: Sequence[float]) -> tuple[float, float] | None:
    """What was usual: from the 10th to the 90th percentile; None for too few values."""
    if len(values) < FEWEST_BEFORE:
        return None
    tenths = quantiles(values, n=10, method="inclusive")
    return tenths[0], tenths[-1]


def on_lines(spans: Sequence[tuple[float, float]], lines: int = 2) -> list[int | None]:
    """On which line each of these spans (start, end) goes so that none lies on another, in their order.

    None where there is no room: what is said there is in the table as well.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in range(lines)]
    found: list[int | None] = []
    for start, end in spans:
        free = (
            number
            for number, line in enumerate(taken)
            if all(end <= other_start or start >= other_end for other_start, other_end in line)
        )
        line = next(free, None)
        if line is not None:
            taken[line].append((start, end))
        found.append(line)
    return found


def merged(marks: Iterable[Mark], *, start: datetime, end: datetime) -> tuple[Mark, ...]:
    """Marks in order, those that would lie on each other as one with a count; none is lost."""
    column = (end - start) / COLUMNS
    made: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: mark.at):
        if made and mark.at - made[-1].at < column:
            count = made[-1].count + mark.count
            made[-1] = Mark(at=made[-1].at, text=made[-1].text, count=count)
        else:
            made.append(mark)
    return tuple(made)


def recorded(
    *,
    title: str,
    timezone: str,
    start: datetime,
    end: datetime,
    marks: Iterable[tuple[LaneKind, Mark]],
    moments: Sequence[Moment],
    curve: Curve | None,
) -> Recorder:
    """The picture of what happened between two instants, with a little room before and after."""
    given = list(marks)
    instants = [mark.at for _, mark in given] + [moment.at for moment in moments]
    start, end = min([start, *instants]), max([end, *instants])
    length = max(end - start, timedelta(minutes=1))
    # Samples from before the start are what the band rests on: some of them are shown.
    low = start - max(length / 4, timedelta(minutes=2))
    if curve is not None:
        points = tuple(one for one in curve.points if low <= one[0] <= end)
        curve = Curve(label=curve.label, unit=curve.unit, points=points, band=curve.band) if points else None
    if curve is not None:
        start = min(start, curve.points[0][0])
    room = max(end - start, timedelta(minutes=1)) * 0.02
    start, end = start - room, end + room
    lanes = []
    for kind in LANES:
        own = merged((mark for lane, mark in given if lane is kind), start=start, end=end)
        if own:
            lanes.append(Lane(kind=kind, marks=own))
    return Recorder(
        title=title,
        start=start,
        end=end,
        timezone=timezone,
        lanes=tuple(lanes),
        moments=tuple(sorted(moments, key=lambda moment: moment.at)),
        curve=curve,
    )
