"""The change detector: is a series worse since the deploy, beyond chance and enough to matter?

One series, sample by sample, against its own baseline. Three paths lead to an alarm:

- *sum*: a running sum of evidence (Page 1954, "Continuous inspection schemes"). A sample counts for it only
  when it is past the floors and worse than every one of the baseline; its evidence is clipped, so that no
  single sample decides; any other sample takes evidence off.
- *jump*: an error rate that leaps by 20 points and more alarms alone.
- *slow*: at four samples, eight, sixteen and so on, whether all of them together lie higher, for shifts too
  small for a sample to show.

Evidence is not added up across the series of a deployment, nor does a single latency alarm, however high: a
shock of one sample hits all of them at once, and in sound services a latency reaches ten times the worst seen
before. There is nothing to tune; the constants are round, and `make bench` prints the figures. Samples must
not share data: query windows no longer than the sampling interval.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.domain.monitoring import Measure, Sample, Verdict
from bot.watch.baseline import LEAST_SAMPLES, Baseline, failed, summed_up
from bot.watch.ranking import higher
from bot.watch.wording import amount, counted

#: Standard deviations a sample must be off before it is evidence: half of the shift that is looked for
#: (Page). Of counted requests the scatter is known and not estimated from few values, so half as much does.
ALLOWANCE, COUNTED_ALLOWANCE = 1.5, 0.75
#: The most evidence one sample gives.
MOST_EVIDENCE = 3.0
#: What an uncounted sample gives at least that is past the floors and worse than all of the baseline,
#: however wide that scatters: chance alone puts three in a row above twenty others once in 1,771 times.
LEAST_EVIDENCE = 1.0
#: What a sample takes off that is neither.
QUIET_EVIDENCE = -2.0
#: The sum that alarms, if at least two bad samples went into it. It is the least that two give: if both of
#: the first are past the floors and worse than twenty before, chance alone does that once in 231 times.
BAR = 2 * LEAST_EVIDENCE
#: From the second sample on the bar rises, by 3 ln(n/2): what a deploy breaks mostly shows early, and for
#: the false alarms of ever more samples to stay bounded their chance must fall faster than 1/n. It takes
#: three samples beyond doubt at the tenth and four at the fiftieth.
EARLY_SAMPLES, BAR_GROWTH = 2, 3.0
#: An error rate so many points above its level alarms alone …
JUMP = 20.0
#: … if that is no accident of few requests: so many standard deviations, or, where nobody counts them, a
#: baseline fine enough to tell that there are more than a handful (a rate of 2 % takes 50), or a jump of 50
#: points.
JUMP_DEVIATION, FINE_RATE, UNCOUNTED_JUMP = 4.0, 2.0, 50.0
#: Failed requests a counted jump needs besides: fewer may be one client that tries again.
JUMP_FAILURES = 5
#: Samples at which all of them together are compared first, then at twice as many each time (4, 8, 16, …),
#: and the chance of a false alarm allowed at the first look. Each further one is allowed half of the one
#: before, so all of them together no more than twice the first, however long the watch.
SLOW_FROM, SLOW_CHANCE = 4, 0.002
#: Counted failures must also be higher by rank, if only so far: a rate that wanders breaks the law of counts,
#: and not that of ranks.
RANKS_AGREE = 0.01
#: Samples and requests below which nobody is told "healthy": among 30 requests without a failure a rate of
#: 10 % is excluded with 95 % (the rule of three).
LEAST_SEEN, LEAST_REQUESTS = 3, 30


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the detector says after a sample."""

    verdict: Verdict
    #: Worse than before; stays so within this detector.
    alarm: bool
    #: Evidence is building: sample more often.
    suspicious: bool
    #: `at` of the first sample of the run that led to the alarm.
    since: float | None
    #: What raised the alarm: "jump", "sum", "slow", or "".
    path: str
    #: Why, in words for people.
    why: str
    #: Samples since the deploy that could be judged.
    seen: int
    #: Of these, past the floors and worse than all before the deploy.
    bad: int
    #: Judged samples in a row, up to now, that were neither bad nor past the floors: how long it has been
    #: well again.
    calm: int


class Detector:
    """One series of one deployment."""

    def __init__(
        self, measure: Measure, baseline: Sequence[Sample], *, min_change: float | None = None
    ) -> None:
        self.measure = measure
        #: None where there is too little to compare with.
        self.baseline: Baseline | None = summed_up(measure, baseline, min_change=min_change)
        self._known_before = sum(sample.known is not None for sample in baseline)
        self._fine = self.baseline is not None and any(0 < v <= FINE_RATE for v in self.baseline.values)
        #: Judged values since the deploy, as they came and by size; failures and requests where counted.
        self._values: list[float] = []
        self._ordered: list[float] = []
        self._failed, self._requests, self._counted = 0.0, 0, 0
        #: Samples taken, and since the last that could be judged: all of them, and those without traffic.
        self._taken, self._missing, self._idle = 0, 0, 0
        self._bad, self._calm = 0, 0
        #: The running sum; its run's first judged sample by number and time, and the bad ones in it.
        self._sum, self._run_from, self._run_bad = 0.0, 0, 0
        self._run_at: float | None = None
        #: Time of the first sample past the floors.
        self._past_at: float | None = None
        self._path, self._told = "", ""
        self._since: float | None = None

    def see(self, sample: Sample) -> Reading:
        """Take the next sample; samples come in the order of their time."""
        self._taken += 1
        value = sample.known
        if value is None:
            self._missing += 1
            self._idle += sample.count == 0
            return self._reading()
        self._missing = self._idle = 0
        self._values.append(value)
        insort(self._ordered, value)
        if sample.count:
            self._counted += 1
            self._requests += sample.count
            self._failed += failed(value, sample.count)
        if self.baseline is not None:
            self._weigh(self.baseline, sample, value)
        return self._reading()

    def evidence(self, value: float, count: int | None) -> float:
        """What such a sample adds to the running sum; negative where it counts against a change."""
        baseline = self.baseline
        if baseline is None or value < baseline.matters or value <= baseline.worst:
            return QUIET_EVIDENCE
        known = baseline.counted and bool(count)
        least, allowance = (0.0, COUNTED_ALLOWANCE) if known else (LEAST_EVIDENCE, ALLOWANCE)
        return max(least, min(MOST_EVIDENCE, baseline.deviation(value, count) - allowance))

    def _weigh(self, baseline: Baseline, sample: Sample, value: float) -> None:
        evidence = self.evidence(value, sample.count)
        bad, seen = evidence >= 0, len(self._values)
        self._bad += bad
        self._calm = 0 if bad or value >= baseline.matters else self._calm + 1
        if self._past_at is None and value >= baseline.matters:
            self._past_at = sample.at
        if bad and self._sum == 0:
            self._run_from, self._run_bad, self._run_at = seen, 0, sample.at
        self._run_bad += bad
        self._sum = max(0.0, self._sum + evidence)
        if self._path:
            return
        if bad and self._jumped(baseline, value, sample.count):
            self._alarm("jump", sample.at, f"{amount(self.measure, value)} of requests failed at once")
        elif self._run_bad >= 2 and self._sum >= bar(seen):
            among = counted(seen - self._run_from + 1, "sample")
            worst = amount(self.measure, max(baseline.worst, baseline.matters))
            all_of_them = "any" if baseline.worst == max(baseline.values) else "nearly all"
            told = f"{self._run_bad} of {among} above {worst}, worse than {all_of_them} before the deploy"
            self._alarm("sum", self._run_at, told)
        elif seen in slow_looks(seen) and self._risen(baseline):
            told = f"all {seen} samples together are higher than those before the deploy"
            self._alarm("slow", self._past_at, told)

    def _jumped(self, baseline: Baseline, value: float, count: int | None) -> bool:
        if self.measure is not Measure.ERRORS or value < baseline.level + JUMP:
            return False
        if baseline.counted and count:
            failures = failed(value, count)
            return failures >= JUMP_FAILURES and baseline.deviation_of(failures, count) >= JUMP_DEVIATION
        return value >= baseline.worst + (JUMP if self._fine else UNCOUNTED_JUMP)

    def _risen(self, baseline: Baseline) -> bool:
        """Whether all samples so far together lie past the floors and higher than before."""
        seen = len(self._values)
        if baseline.counted and self._counted == seen:
            # The ranks guard against one burst that makes up for all the rest.
            together = too_many(baseline, self._failed, self._requests, seen=seen)
            return together and higher(self._values, baseline.values) < RANKS_AGREE
        if self._ordered[seen // 2] < baseline.matters:
            return False
        return higher(self._values, baseline.values) < SLOW_CHANCE * SLOW_FROM / seen

    def _alarm(self, path: str, since: float | None, told: str) -> None:
        self._path, self._since, self._told = path, since, told

    def _reading(self) -> Reading:
        verdict, why = self._judged()
        return Reading(
            verdict=verdict,
            alarm=bool(self._path),
            suspicious=self._sum > 0 and not self._path,
            since=self._since,
            path=self._path,
            why=why,
            seen=len(self._values),
            bad=self._bad,
            calm=self._calm,
        )

    def _judged(self) -> tuple[Verdict, str]:
        seen = len(self._values)
        if self._path:
            return Verdict.DEGRADED, self._told
        if self.baseline is None:
            return Verdict.INCONCLUSIVE, (
                f"{counted(self._known_before, 'sample')} from before the deploy to compare with, "
                f"at least {LEAST_SAMPLES} are needed"
            )
        if self._missing >= LEAST_SEEN or (self._missing and not seen):
            nothing = "no traffic" if self._idle == self._missing else "no data"
            where = f"in the last {counted(self._missing, 'sample')}" if seen else "since the deploy"
            return Verdict.INCONCLUSIVE, f"{nothing} {where}"
        if self._sum > 0:
            length = seen - self._run_from + 1
            among = f"{self._run_bad} of the last {length} samples" if length > 1 else "the last sample"
            return Verdict.INCONCLUSIVE, f"may be getting worse: {among} worse than any before the deploy"
        if seen < LEAST_SEEN:
            return Verdict.INCONCLUSIVE, f"only {counted(seen, 'sample')} since the deploy"
        if 2 * seen < self._taken:
            return Verdict.INCONCLUSIVE, f"only {seen} of {counted(self._taken, 'sample')} had data"
        if self._counted == seen and self._requests < LEAST_REQUESTS:
            return Verdict.INCONCLUSIVE, f"only {counted(self._requests, 'request')} since the deploy"
        return Verdict.HEALTHY, f"no worse than before the deploy in {counted(seen, 'sample')}"


def bar(seen: int) -> float:
    """How much evidence alarms at the n-th sample."""
    return BAR + BAR_GROWTH * math.log(max(1.0, seen / EARLY_SAMPLES))


def slow_looks(most: int) -> list[int]:
    """After how many samples all of them together are compared, up to `most`."""
    looks, following = [], SLOW_FROM
    while following <= most:
        looks.append(following)
        following *= 2
    return looks


def too_many(baseline: Baseline, failures: float, requests: float, *, seen: int) -> bool:
    """Whether so many failures in `seen` samples together matter and are beyond what chance is allowed."""
    if 100 * failures / requests < baseline.matters:
        return False
    by_chance = 0.5 * math.erfc(baseline.deviation_of(failures, requests) / math.sqrt(2))
    return by_chance < SLOW_CHANCE * SLOW_FROM / seen


def replay(
    measure: Measure,
    baseline: Sequence[Sample],
    samples: Iterable[Sample],
    *,
    min_change: float | None = None,
) -> list[Reading]:
    """What the detector says after each of the samples, as if they came now; for what is stored."""
    detector = Detector(measure, baseline, min_change=min_change)
    return [detector.see(sample) for sample in samples]
