"""What changed with a deployment and how sure that is: the numbers an alert leads with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bot.domain.monitoring import Measure, Sample
from bot.watch.baseline import failed
from bot.watch.counting import difference, dispersion
from bot.watch.ranking import shift
from bot.watch.wording import NAMES, amount, number


@dataclass(frozen=True, kw_only=True)
class Change:
    """A series before and after the deploy."""

    measure: Measure
    #: The level before and after, in the measure's unit: of counted requests the rate of all, else the
    #: median.
    before: float
    after: float
    #: By how much it changed, and the 95 % interval of that: in percentage points for errors, in per cent
    #: of the level before for a latency, else in the measure's unit.
    difference: float
    low: float
    high: float
    #: Failed requests after the deploy, and all of them; None where they are not counted.
    bad: int | None
    requests: int | None
    #: Samples after the deploy it rests on.
    samples: int


def change(measure: Measure, baseline: Sequence[Sample], after: Sequence[Sample]) -> Change | None:
    """What changed from the samples of the baseline to those after it; None where either has no data.

    Counted requests give Newcombe's interval for the difference of two rates, widened by how much more than
    by chance the counts scatter; everything else the Hodges–Lehmann interval by ranks, a latency in
    logarithms, so that it is one for the ratio (sources: `bot.watch.counting`, `bot.watch.ranking`).
    """
    earlier = [value for sample in baseline if (value := sample.known) is not None]
    later = [value for sample in after if (value := sample.known) is not None]
    if not earlier or not later:
        return None
    counts_before, counts_after = _counts(baseline), _counts(after)
    if measure is Measure.ERRORS and len(counts_before) == len(earlier) and len(counts_after) == len(later):
        return _of_counts(counts_before, counts_after)
    before, now = median(earlier), median(later)
    if measure is Measure.LATENCY and min(*earlier, *later) > 0:
        _, low, high = shift([math.log(value) for value in later], [math.log(value) for value in earlier])
        moved = 100 * (now / before - 1)
        low, high = 100 * math.expm1(low), 100 * math.expm1(high)
    else:
        _, low, high = shift(later, earlier)
        moved = now - before
        if measure is Measure.LATENCY and before > 0:
            moved, low, high = (100 * value / before for value in (moved, low, high))
    return Change(
        measure=measure,
        before=before,
        after=now,
        difference=moved,
        # The difference of medians is not the estimate the interval is built around, if nearly always
        # within.
        low=min(low, moved),
        high=max(high, moved),
        bad=None,
        requests=None,
        samples=len(later),
    )


def levels(change: Change) -> str:
    """From what to what: `0.2 % → 3.1 %`."""
    return f"{amount(change.measure, change.before)} → {amount(change.measure, change.after)}"


def figures(change: Change) -> str:
    """From what to what, and how sure that is: `0.2 % → 3.1 %, +2.9 pp [2.1–3.8], 41 of 1,320 requests`."""
    if change.measure is Measure.LATENCY:
        span = f"{_whole(change.low)}–{_whole(change.high)}"
        moved = f"{_whole(change.difference)} % [{span} %]"
    else:
        unit = " pp" if change.measure is Measure.ERRORS else ""
        span = f"{_minus(number(change.low))}–{_minus(number(change.high))}"
        sign = "+" if change.difference >= 0 else ""
        moved = f"{sign}{_minus(number(change.difference))}{unit} [{span}]"
    told = f"{levels(change)}, {moved}"
    if change.requests is not None:
        told += f", {change.bad:,} of {change.requests:,} requests"
    return told


def worded(change: Change, name: str = "") -> str:
    """The same with its name: the given one, or `errors`, `latency`."""
    return f"{name or NAMES[change.measure]} {figures(change)}"


def _of_counts(before: list[tuple[float, float]], after: list[tuple[float, float]]) -> Change:
    failures_before, requests_before = sum(x for x, _ in before), sum(n for _, n in before)
    failures, requests = sum(x for x, _ in after), sum(n for _, n in after)
    dispersed = max(dispersion(before), dispersion(after))
    low, high = difference(failures, requests, failures_before, requests_before, dispersed=dispersed)
    rate, earlier = failures / requests, failures_before / requests_before
    return Change(
        measure=Measure.ERRORS,
        before=100 * earlier,
        after=100 * rate,
        difference=100 * (rate - earlier),
        low=100 * low,
        high=100 * high,
        bad=round(failures),
        requests=round(requests),
        samples=len(after),
    )


def _counts(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    return [
        (failed(sample.known, sample.count), float(sample.count))
        for sample in samples
        if sample.known is not None and sample.count
    ]


def _whole(value: float) -> str:
    return _minus(f"{value:+,.0f}")


def _minus(shown: str) -> str:
    return shown.replace("-", "−")
