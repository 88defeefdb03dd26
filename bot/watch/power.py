"""What a watch can see, said before Go: at this traffic, which change shows, within how long, how surely.

Computed, not guessed: the law of the detector's own evidence under a changed level, carried through its own
running sum and bar, sample by sample (a Markov chain, as Brook and Evans 1972 do for a CUSUM's run length),
and for counted requests its look at all samples together. Of series that are not counted it may see more
than is said here, since there the ranks of all samples are left out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

from bot.domain.monitoring import Measure, Sample
from bot.watch.baseline import LEAST_SAMPLES, Baseline
from bot.watch.detector import Detector, bar, slow_looks, too_many
from bot.watch.wording import NAMES, amount, counted, span

#: How surely a change must be seen to be called seen, and within how many seconds at the latest.
SURELY, WITHIN_S = 0.95, 30 * 60
#: Steps the running sum is counted in.
_STEPS_A_UNIT = 4
#: Quantiles that stand for the law of a count, and baseline values that stand for a law at most.
_QUANTILES = 20
#: Changes that are tried: percentage points for errors, per cent of the level for the rest.
_POINTS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0)
_PER_CENT = (15.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One change, and when it would be seen."""

    #: The level it changes to, in the measure's unit.
    level: float
    #: Seconds until it is seen with 95 % probability; None where that takes longer than half an hour.
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a watch over one series can see."""

    measure: Measure
    #: The level before, in the measure's unit; None without a baseline.
    level: float | None
    #: From the smallest change to the largest.
    sights: tuple[Sight, ...]
    #: Requests a sample, where they are counted.
    traffic: float | None
    #: For people.
    words: str

    @property
    def smallest(self) -> Sight | None:
        """The smallest change that would be seen within half an hour."""
        return next((sight for sight in self.sights if sight.seconds is not None), None)


def power(
    measure: Measure,
    baseline: Sequence[Sample],
    *,
    interval_s: float,
    min_change: float | None = None,
    levels: Sequence[float] = (),
) -> Power:
    """What would be seen at one sample every `interval_s` seconds; of `levels`, or of a ladder of changes."""
    detector = Detector(measure, baseline, min_change=min_change)
    before = detector.baseline
    if before is None:
        known = sum(sample.known is not None for sample in baseline)
        words = (
            f"There is no baseline: {counted(known, 'sample')} from before the deploy, at least "
            f"{LEAST_SAMPLES} are needed. No change can be seen against it."
        )
        return Power(measure=measure, level=None, sights=(), traffic=None, words=words)
    level = 100 * before.failed / before.requests if before.counted else before.level
    counts = [sample.count for sample in baseline if sample.count]
    traffic = median(counts) if before.counted else None
    tried = sorted(levels) if levels else list(_ladder(measure, level))
    samples = max(1, int(WITHIN_S // interval_s))
    sights = []
    for wanted in tried:
        law = _law(detector, before, wanted, level, traffic)
        seen = _seen_at(law, samples)
        if traffic is not None:
            seen = _together_at(before, wanted, traffic, seen or samples + 1) or seen
        sights.append(Sight(level=wanted, seconds=None if seen is None else seen * interval_s))
    return Power(
        measure=measure,
        level=level,
        sights=tuple(sights),
        traffic=traffic,
        words=_worded(measure, level, sights, traffic),
    )


def _ladder(measure: Measure, level: float) -> Iterator[float]:
    if measure is Measure.ERRORS:
        yield from (level + points for points in _POINTS if level + points <= 100)
    else:
        base = abs(level) or 1.0
        yield from (level + base * per_cent / 100 for per_cent in _PER_CENT)


def _law(
    detector: Detector, before: Baseline, wanted: float, level: float, traffic: float | None
) -> Mapping[int, float]:
    """Probability of each amount of evidence, in steps, of a sample after a change to `wanted`."""
    if traffic is not None:
        count = max(1, round(traffic))
        values = [100 * failures / count for failures in _quantiles(wanted / 100, count, before.dispersed)]
    else:
        count = None
        # The scatter of the baseline around its level, carried over to the new one.
        picked = before.values[:: -(-len(before.values) // (3 * _QUANTILES))]
        if detector.measure is Measure.LATENCY and level > 0:
            values = [value * wanted / level for value in picked]
        else:
            values = [value + wanted - level for value in picked]
    steps = Counter(math.floor(detector.evidence(value, count) * _STEPS_A_UNIT) for value in values)
    return {step: number / len(values) for step, number in steps.items()}


def _quantiles(rate: float, count: int, dispersed: float) -> list[float]:
    """Failures among so many requests, equally likely each."""
    rate = min(max(rate, 0.0), 0.999)
    shares = [(number + 0.5) / _QUANTILES for number in range(_QUANTILES)]
    mean, deviation = count * rate, math.sqrt(max(count * rate * (1 - rate) * dispersed, 1e-12))
    if mean >= 20:
        normal = NormalDist(mean, deviation)
        return [min(float(count), max(0.0, float(round(normal.inv_cdf(share))))) for share in shares]
    found, failures, chance, total = [], 0, (1 - rate) ** count, 0.0
    for share in shares:
        while total + chance < share and failures < count:
            total += chance
            chance *= (count - failures) / (failures + 1) * rate / (1 - rate)
            failures += 1
        found.append(float(failures))
    return found


def _seen_at(law: Mapping[int, float], samples: int) -> int | None:
    """The sample by which the sum has alarmed with enough probability; None if not within `samples`."""
    # A sum's state also holds whether one bad sample went into it already: it takes two.
    states: dict[tuple[int, int], float] = {(0, 0): 1.0}
    alarmed = 0.0
    for number in range(1, samples + 1):
        enough = bar(number) * _STEPS_A_UNIT
        following: defaultdict[tuple[int, int], float] = defaultdict(float)
        for (total, bad), chance in states.items():
            for step, share in law.items():
                reached = max(0, total + step)
                went_in = min(2, (bad if total else 0) + (step >= 0)) if reached else 0
                if went_in == 2 and reached >= enough:
                    alarmed += chance * share
                else:
                    following[reached, went_in] += chance * share
        if alarmed >= SURELY:
            return number
        states = {state: chance for state, chance in following.items() if chance > 1e-9}
    return None


def _together_at(before: Baseline, wanted: float, traffic: float, sooner_than: int) -> int | None:
    """The first look at all samples together that surely alarms, if it comes before the running sum does."""
    for seen in slow_looks(sooner_than - 1):
        requests = max(1, round(traffic * seen))
        # The lowest of twenty equally likely counts lies at 2.5 %, the second at 7.5 %.
        fewest = sum(_quantiles(wanted / 100, requests, before.dispersed)[:2]) / 2
        if too_many(before, fewest, requests, seen=seen):
            return seen
    return None


def _worded(measure: Measure, level: float, sights: Sequence[Sight], traffic: float | None) -> str:
    """As people read it: the first change that is seen, one that is seen sooner, the last that isn't."""
    name = NAMES[measure].capitalize()
    at = "" if traffic is None else f" at {counted(round(traffic), 'request')} a sample"
    seen = [sight for sight in sights if sight.seconds is not None]
    unseen = [sight for sight in sights if sight.seconds is None]
    here = amount(measure, level)
    parts = []
    if seen:
        first = seen[0]
        quickest = min(seen, key=lambda sight: (sight.seconds or 0.0, sight.level))
        told = [f"{here} → {amount(measure, first.level)} is seen within {span(first.seconds or 0.0)}"]
        if (quickest.seconds or 0.0) < (first.seconds or 0.0):
            told.append(f"{amount(measure, quickest.level)} within {span(quickest.seconds or 0.0)}")
        parts.append(f"{name}{at}: {', '.join(told)}, with 95 % probability")
    if unseen:
        last = unseen[-1]
        beginning = "" if parts else f"{name}{at}: "
        why = " at this traffic" if traffic is not None else ""
        parts.append(f"{beginning}{here} → {amount(measure, last.level)} can't be seen{why}")
    return "; ".join(parts) + "."
