"""What was normal before a deployment: the level, the spread, the worst, and what change matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bot.domain.monitoring import Measure, Sample
from bot.watch.counting import dispersion, surprise
from bot.watch.spreads import leaning, spread, stretched

#: Known samples before the deploy below which nothing is compared.
LEAST_SAMPLES = 5
#: From so many on, a spread is what it seems; one of fewer is too uncertain and is widened by √(20/n).
ENOUGH_SAMPLES = 20
#: A change matters from +15 % on, and from this much on in the measure's unit. Measured on real
#: deployments, no other rule keeps as many false alarms away: without floors a steady series alarms at
#: changes nobody feels.
RELATIVE_FLOOR = 0.15
ABSOLUTE_FLOOR = {Measure.ERRORS: 0.5, Measure.LATENCY: 20.0, Measure.OTHER: 0.0}
#: Percentage points where requests are counted: there a small change is known not to be rounding.
COUNTED_FLOOR = 0.25
#: The least spread taken for true: a third of the relative floor (in the logarithm, for a latency), and
#: half of the absolute one. A baseline that happened to be constant would make anything certain.
LEAST_RELATIVE_SPREAD = RELATIVE_FLOOR / 3
LEAST_ERROR_SPREAD = ABSOLUTE_FLOOR[Measure.ERRORS] / 2
#: One in so many baseline values may be an outlier, so many standard deviations off, that does not count as
#: "seen before". Otherwise a single spike of the last hour hides whatever the deploy breaks.
ONE_OUTLIER_IN, OUTLIER_DEVIATION = 20, 4.0


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The known samples before a deployment, summed up."""

    measure: Measure
    #: Known values, oldest first.
    values: tuple[float, ...]
    #: Middle of the values, in the measure's unit.
    level: float
    #: The worst that counts as seen before, in the measure's unit.
    worst: float
    #: From here on a value is worse enough to matter, in the measure's unit.
    matters: float
    #: Middle and spread on the scale of evidence: the logarithm for a latency, else as it is.
    centre: float
    scale: float
    #: Failed requests and all of them, where they are counted; 0 requests where they are not.
    failed: float
    requests: float
    #: How many times a binomial variance the failures scatter.
    dispersed: float

    @property
    def counted(self) -> bool:
        """Whether the baseline's requests are counted."""
        return self.requests > 0

    def deviation(self, value: float, count: int | None) -> float:
        """How many standard deviations a value lies above the level.

        Of counted requests both tell: chance alone among so many requests, and how far the rate wandered
        from sample to sample before. The less sure of the two holds.
        """
        strayed = (scaled(self.measure, value) - self.centre) / self.scale
        if self.counted and count:
            return min(strayed, self.deviation_of(failed(value, count), count))
        return strayed

    def deviation_of(self, failures: float, requests: float) -> float:
        """The same for failures out of so many requests, by chance alone among them."""
        return surprise(failures, requests, self.failed, self.requests) / math.sqrt(self.dispersed)


def summed_up(measure: Measure, samples: Sequence[Sample], *, min_change: float | None) -> Baseline | None:
    """The baseline that samples before a deployment make; None where too few of them are known.

    `min_change` replaces the absolute floor: percentage points, milliseconds, or the measure's own unit.
    """
    known = [(value, sample.count) for sample in samples if (value := sample.known) is not None]
    if len(known) < LEAST_SAMPLES:
        return None
    values = tuple(value for value, _ in known)
    on_scale = [scaled(measure, value) for value in values]
    counts = [(failed(value, count), float(count)) for value, count in known if count]
    if measure is not Measure.ERRORS or len(counts) < LEAST_SAMPLES:
        counts = []
    failures, requests = sum(x for x, _ in counts), sum(n for _, n in counts)
    level, centre = median(values), median(on_scale)
    scale = _scale(measure, on_scale, level, min_change)
    usual = 100 * failures / requests if requests else level
    floor = ABSOLUTE_FLOOR[measure] if min_change is None else min_change
    if requests and min_change is None:
        floor = COUNTED_FLOOR
    return Baseline(
        measure=measure,
        values=values,
        level=level,
        worst=_worst(values, on_scale, centre + OUTLIER_DEVIATION * scale),
        matters=usual + max(abs(usual) * RELATIVE_FLOOR, floor),
        centre=centre,
        scale=scale,
        failed=failures,
        requests=requests,
        dispersed=dispersion(counts),
    )


def _worst(values: Sequence[float], on_scale: Sequence[float], far: float) -> float:
    """The largest value, less the few that lie beyond `far` on the scale of evidence."""
    ordered = sorted(zip(on_scale, values, strict=True), reverse=True)
    passed_over = len(values) // ONE_OUTLIER_IN
    return next(value for n, (scaled, value) in enumerate(ordered) if n == passed_over or scaled <= far)


def _scale(measure: Measure, on_scale: Sequence[float], level: float, min_change: float | None) -> float:
    """The spread to measure by: widened for few samples, and where they lean on each other beyond chance.

    Values that lean on the one before stay where they have strayed to, so several high ones in a row say
    less.
    """
    if measure is Measure.LATENCY:
        least = LEAST_RELATIVE_SPREAD
    elif measure is Measure.ERRORS:
        least = LEAST_ERROR_SPREAD if min_change is None else min_change / 2
    else:
        least = max(LEAST_RELATIVE_SPREAD * abs(level), (min_change or 0.0) / 2)
    count = len(on_scale)
    # Two standard errors: half of all independent series lean a little on themselves by chance.
    beyond_chance = leaning(on_scale) - 2 / math.sqrt(count)
    widened = math.sqrt(max(1.0, ENOUGH_SAMPLES / count)) * stretched(beyond_chance)
    return max(spread(on_scale), least, math.ulp(1.0)) * widened


def scaled(measure: Measure, value: float) -> float:
    """A value on the scale of evidence; latencies below a millisecond are all alike."""
    return math.log(max(value, 1.0)) if measure is Measure.LATENCY else value


def failed(value: float, count: int) -> float:
    """Failed requests behind a rate in per cent."""
    return min(max(value, 0.0), 100.0) * count / 100
