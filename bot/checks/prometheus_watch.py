"""A Prometheus value at several times, with only those counted that had traffic to rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bot.checks.kind import NoData
from bot.checks.prometheus_api import Prometheus, Reduce, by_time, reduced
from bot.domain.rules import show

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The traffic a value must rest on."""

    query: str
    #: Least value; None: anything above 0.
    least: float | None

    def lets(self, traffic: float) -> bool:
        """Whether so much is enough."""
        return traffic > 0 if self.least is None else traffic >= self.least

    async def check(self, prometheus: Prometheus) -> float | None:
        """The traffic now; None without a guard. Raises NoData where there is too little."""
        if not self.query:
            return None
        traffic = reduced(await prometheus.query(self.query), "only", what="the guard")
        if not self.lets(traffic):
            wanted = "more than 0" if self.least is None else f"at least {show(self.least)}"
            raise NoData(f"too little traffic to judge by: the guard is {show(traffic)}, {wanted} is needed")
        return traffic


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is watched."""

    query: str
    reduce: Reduce
    guard: Guard
    #: What no series means where there was traffic.
    empty_is: float | None
    samples: int
    #: Seconds between samples.
    step: float


async def watched(prometheus: Prometheus, watch: Watch, *, end: float) -> list[float | None]:
    """The samples up to `end`, oldest first; None where one cannot be judged. Raises Broken."""
    end = round(end, 3)
    times = [round(end - watch.step * back, 3) for back in reversed(range(watch.samples))]
    span = {"start": times[0], "end": end, "step": max(watch.step, 0.001)}
    found = by_time(await prometheus.query_range(watch.query, **span), watch.reduce, what="the query")
    traffic: dict[float, float] | None = None
    if watch.guard.query:
        traffic = by_time(await prometheus.query_range(watch.guard.query, **span), "only", what="the guard")
    points: list[float | None] = []
    for when in times:
        if traffic is not None:
            seen = _near(traffic, when)
            if seen is None or not watch.guard.lets(seen):
                points.append(None)
                continue
        value = _near(found, when)
        if value is None:
            points.append(watch.empty_is)
        else:
            points.append(None if math.isnan(value) else value)
    return points


def weigh(
    after: Sequence[float | None], before: Sequence[float | None], *, confirm: int, worse: str, floor: float
) -> dict[str, float]:
    """The value that `confirm` of the samples reach or pass, and its ratio to the median before.

    `ratio` is left out where there was no baseline, or one of nothing and no `floor` to divide by; nothing
    that stayed nothing is 1. Raises NoData where the newest sample, or more than a third, cannot be judged.
    """
    usable = sorted((point for point in after if point is not None), reverse=worse == "higher")
    newest = after[-1] if after else None
    if newest is None or 3 * len(usable) < 2 * len(after) or len(usable) < confirm:
        raise NoData(
            f"only {len(usable)} of {len(after)} samples can be judged, the newest"
            f" {'cannot' if newest is None else 'can'}: no series, NaN or too little traffic"
        )
    value = usable[confirm - 1]
    values = {"value": value, "latest": newest, "samples": len(usable)}
    known = [point for point in before if point is not None]
    if known:
        baseline = median(known)
        divisor = max(baseline, floor)
        values["baseline"] = baseline
        if divisor > 0:
            values["ratio"] = value / divisor
        elif value == baseline:
            values["ratio"] = 1.0
    return values


def _near(points: dict[float, float], when: float) -> float | None:
    """The point of that time; Prometheus counts in whole milliseconds."""
    return next((value for at, value in points.items() if abs(at - when) < 0.05), None)


def baseline_ends_at(now: float, began: float | None, offset: float | None) -> float | None:
    """When the time to compare with ended: so long ago, else at the deployment's beginning, else never."""
    return now - offset if offset is not None else began


def sparkline(points: Sequence[float | None]) -> str:
    """The points as a row of bars, `·` where there is none."""
    known = [point for point in points if point is not None and math.isfinite(point)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high - low or 1.0
    return "".join(
        "·" if point is None else _BARS[min(int((min(point, high) - low) / span * 7.99), 7)]
        for point in points
    )
