"""The peers the detector is measured beside, as their own documentation and papers have them.

Each looks at one series and says at which of its after-samples, from 0, it alarms; None if at none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, median, stdev

from bot.domain.monitoring import Measure, Sample
from bot.watch.backtest import Judge
from bot.watch.history import Series


def z_of_a_sample(series: Series) -> int | None:
    """One sample more than three standard deviations above the baseline's mean."""
    return _z(series, window=1)


def z_of_two_samples(series: Series) -> int | None:
    """Two samples in a row, each more than three standard deviations above the baseline's mean."""
    return _z(series, window=2)


def _z(series: Series, *, window: int) -> int | None:
    before = _known(series.baseline)
    if len(before) < 2:
        return None
    middle, deviation = fmean(before), stdev(before)
    return _in_a_row(series.after, window, lambda value: value > middle and value - middle > 3 * deviation)


def flagger(series: Series) -> int | None:
    """Flagger's documented metrics: a success rate below 99 %, a duration above 500 ms; rolled back at five
    failed checks (docs.flagger.app/usage/metrics, /usage/how-it-works)."""
    limit = {Measure.ERRORS: 1.0, Measure.LATENCY: 500.0}.get(series.measure)
    return None if limit is None else _failed_checks(series.after, lambda value: value > limit, allowed=4)


def argo_rollouts(series: Series) -> int | None:
    """Argo Rollouts' documented template: a success rate of 95 % at least, failed at more than three
    measurements that are not (argo-rollouts.readthedocs.io/en/stable/features/analysis). It has none for
    latency."""
    if series.measure is not Measure.ERRORS:
        return None
    return _failed_checks(series.after, lambda value: value > 5.0, allowed=3)


def first_breach(series: Series) -> int | None:
    """The same thresholds at the first breach: what a plain alerting rule makes of them."""
    limit = {Measure.ERRORS: 1.0, Measure.LATENCY: 500.0}.get(series.measure)
    return None if limit is None else _failed_checks(series.after, lambda value: value > limit, allowed=0)


def mann_whitney(series: Series) -> int | None:
    """Kayenta's default judge, at the end of the window: the 98 % interval of the Mann–Whitney shift lies
    above a quarter of the shift itself (kayenta-judge, MannWhitneyClassifier: tolerance 0.25, confidence
    0.98)."""
    before, after = _known(series.baseline), _known(series.after)
    if len(before) < 2 or len(after) < 2 or set(before) == set(after):
        return None
    differences = sorted(value - earlier for value in after for earlier in before)
    pairs = len(differences)
    half = 2.326348 * math.sqrt(pairs * (len(before) + len(after) + 1) / 12)
    low = differences[max(0, math.floor(pairs / 2 - half))]
    high = low > 0.25 * abs(median(differences))
    return len(series.after) - 1 if high else None


PEERS: dict[str, Judge] = {
    "z-score, two samples > 3": z_of_two_samples,
    "z-score, one sample > 3": z_of_a_sample,
    "fixed thresholds as in Flagger's documentation": flagger,
    "fixed thresholds as in Argo Rollouts' documentation": argo_rollouts,
    "1 % errors or 500 ms, first breach": first_breach,
    "Mann–Whitney at the end, like Kayenta": mann_whitney,
}


def _known(samples: Sequence[Sample]) -> list[float]:
    return [value for sample in samples if (value := sample.known) is not None]


def _in_a_row(samples: Sequence[Sample], window: int, bad: Callable[[float], bool]) -> int | None:
    row = 0
    for number, sample in enumerate(samples):
        value = sample.known
        if value is not None:
            row = row + 1 if bad(value) else 0
            if row == window:
                return number
    return None


def _failed_checks(samples: Sequence[Sample], bad: Callable[[float], bool], *, allowed: int) -> int | None:
    failures = 0
    for number, sample in enumerate(samples):
        value = sample.known
        failures += value is not None and bad(value)
        if failures > allowed:
            return number
    return None
