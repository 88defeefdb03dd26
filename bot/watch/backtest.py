"""Deployments of the past replayed through a judge, by default the detector, and how well it did."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bot.watch.counting import Z95, wilson
from bot.watch.detector import Detector
from bot.watch.history import Deploy, Series

#: Looks at a series and says at which of its after-samples, from 0, it alarms; None if at none.
Judge = Callable[[Series], int | None]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a judge said of one deployment."""

    unit_id: str
    #: Whether it degraded; None where nobody said so.
    degraded: bool | None
    #: Whether any of its series alarmed.
    alarm: bool
    #: The number (`idx`) of the alarming sample: how many samples after the one at the deploy, which is 0.
    delay: int | None
    #: The series that alarmed first; of several at once the first in the file.
    trigger: str | None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A share or a quantile with its 95 % interval; None where there was nothing to take it of."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """How well a judge did."""

    deploys: int
    alarms: int
    #: Deployments known to have degraded, and of them with an alarm.
    degraded: int
    caught: int
    #: Deployments known to be fine, and of them with an alarm.
    clean: int
    false_alarms: int
    #: Caught of the degraded; alarms of the clean; caught of all alarms.
    recall: Figure
    false_alarm_rate: Figure
    precision: Figure
    #: Delays of the caught, in samples after the one at the deploy.
    delay_median: Figure
    delay_p90: Figure


def detect(series: Series) -> int | None:
    """The judge in production."""
    detector = Detector(series.measure, series.baseline)
    return next((n for n, sample in enumerate(series.after) if detector.see(sample).alarm), None)


def replay_all(deploys: Iterable[Deploy], judge: Judge = detect) -> list[Replayed]:
    """What the judge says of each deployment."""
    return [_replay(deploy, judge) for deploy in deploys]


def _replay(deploy: Deploy, judge: Judge) -> Replayed:
    first: tuple[int, str] | None = None
    for series in deploy.series:
        position = judge(series)
        if position is not None and (first is None or series.numbers[position] < first[0]):
            first = (series.numbers[position], series.metric)
    return Replayed(
        unit_id=deploy.unit_id,
        degraded=deploy.degraded,
        alarm=first is not None,
        delay=first[0] if first else None,
        trigger=first[1] if first else None,
    )


def totals(replayed: Sequence[Replayed]) -> Totals:
    """The sums; shares with Wilson's interval, quantiles with the one by ranks."""
    degraded = [result for result in replayed if result.degraded is True]
    clean = [result for result in replayed if result.degraded is False]
    caught = sum(result.alarm for result in degraded)
    false = sum(result.alarm for result in clean)
    delays = sorted(result.delay for result in degraded if result.delay is not None)
    return Totals(
        deploys=len(replayed),
        alarms=sum(result.alarm for result in replayed),
        degraded=len(degraded),
        caught=caught,
        clean=len(clean),
        false_alarms=false,
        recall=_share(caught, len(degraded)),
        false_alarm_rate=_share(false, len(clean)),
        precision=_share(caught, caught + false),
        delay_median=_quantile(delays, 0.5),
        delay_p90=_quantile(delays, 0.9),
    )


def _share(part: int, whole: int) -> Figure:
    if not whole:
        return Figure(value=None)
    low, high = wilson(part, whole)
    return Figure(value=part / whole, low=low, high=high)


def _quantile(ordered: Sequence[int], share: float) -> Figure:
    """The quantile, and between which ranks it lies (Hahn and Meeker, Statistical Intervals, 5.2)."""
    if not ordered:
        return Figure(value=None)
    count = len(ordered)
    half = Z95 * math.sqrt(count * share * (1 - share))
    low, high = math.floor(count * share - half) - 1, math.ceil(count * share + half)
    return Figure(
        value=float(ordered[math.ceil(count * share) - 1]),
        low=float(ordered[max(0, low)]),
        high=float(ordered[min(count - 1, high)]),
    )
