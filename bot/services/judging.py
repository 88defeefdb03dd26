"""What samples say of a deployment: verdicts, and what an alert has to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.domain.monitoring import Measure, Sample, Verdict
from bot.domain.signals import FAST, Form, Measured, Signal, WatchPlan
from bot.domain.watching import Judged
from bot.watch.detector import Detector, Reading
from bot.watch.effect import Change, change, figures, levels, worded

#: Judged samples in a row that are well again before a signal is said to have recovered.
CALM = 3
#: So much worse than since the beginning, and the newest samples are shown instead of all of them.
FASTER = 1.5
#: Failures of a probe in a row that raise its trigger.
IN_A_ROW = 2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Why a signal raises its trigger."""

    signal: Signal
    #: When it began.
    since: datetime
    #: The numbers, of a series.
    change: Change | None = None
    #: In words: `errors 0.2 % → 3.1 %, …`, what the probe said, which findings are new.
    said: str
    lines: tuple[str, ...] = ()
    #: Of how many samples since then how many were bad.
    bad: int = 0
    seen: int = 0
    #: Whether these were taken out of turn.
    fast: bool = False
    #: How bad it is, to know when it is twice as bad.
    size: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What is to be said of one signal now."""

    judged: Judged
    finding: Finding | None = None
    #: Well again for long enough, in words; empty where it is not, or never was bad.
    recovered: str = ""


@dataclass
class _Series:
    """One series with its detector, fed as samples come."""

    label: str
    measure: Measure
    min_change: float | None
    before: list[Measured]
    deployed_at: datetime
    after: list[Measured] = field(default_factory=list)
    reading: Reading | None = None

    def __post_init__(self) -> None:
        baseline = [sample_of(one, self.deployed_at) for one in self.before]
        self.detector = Detector(self.measure, baseline, min_change=self.min_change)

    def see(self, one: Measured) -> None:
        self.after.append(one)
        self.reading = self.detector.see(sample_of(one, self.deployed_at))

    def changed(self, since: datetime | None = None) -> Change | None:
        later = [one for one in self.after if since is None or one.at >= since]
        return change(
            self.measure,
            [sample_of(one, self.deployed_at) for one in self.before],
            [sample_of(one, self.deployed_at) for one in later],
        )

    def lately(self) -> Change | None:
        """The newest samples alone, as many as a recovery takes; None for fewer."""
        judged = [one for one in self.after if one.value is not None]
        return self.changed(judged[-CALM].at) if len(judged) > CALM else None


class Judge:
    """Judges one deployment. Made again from the stored samples after a restart."""

    def __init__(
        self,
        plan: WatchPlan,
        taken: Mapping[str, Sequence[Measured]],
        *,
        deployed_at: datetime,
        anew: Mapping[str, datetime] | None = None,
    ) -> None:
        #: What it was made for; `anew` says of signals that were bad, well again, and cleared since when
        #: what they do is new.
        self.plan, self.anew = plan, dict(anew or {})
        self._signals = {signal.name: signal for signal in plan.ready}
        self._deployed_at = deployed_at
        self._series: dict[str, _Series] = {}
        self._looks: dict[str, list[Measured]] = {}
        for name, signal in self._signals.items():
            begun_at = self.anew.get(name, deployed_at + timedelta(seconds=plan.grace))
            if signal.form is not Form.SERIES:
                self._looks[name] = [
                    one for one in taken.get(name, ()) if one.at <= deployed_at or one.at > begun_at
                ]
                continue
            for key in (name, name + FAST):
                usable = [one for one in taken.get(key, ()) if not _spoilt(one.at, plan)]
                series = self._series[key] = _Series(
                    label=signal.label,
                    measure=signal.measure,
                    min_change=signal.min_change,
                    before=[one for one in usable if one.at <= deployed_at],
                    deployed_at=deployed_at,
                )
                for one in taken.get(key, ()):
                    if one.at > begun_at:
                        series.see(one)

    def see(self, name: str, one: Measured) -> None:
        """Take a sample; `name` ends in FAST for one taken out of turn."""
        if name in self._series:
            self._series[name].see(one)
        elif name in self._looks:
            self._looks[name].append(one)

    def suspicious(self) -> tuple[Signal, ...]:
        """The series to look at more often now."""
        return tuple(
            signal
            for name, signal in self._signals.items()
            if name in self._series
            and (reading := self._series[name].reading) is not None
            and reading.suspicious
        )

    def without_baseline(self) -> tuple[Signal, ...]:
        """The series of which nothing is known from before the deploy."""
        return tuple(
            signal
            for name, signal in self._signals.items()
            if name in self._series and not any(one.value is not None for one in self._series[name].before)
        )

    def opinions(self) -> dict[str, Opinion]:
        """What is to be said of each signal, by name."""
        return {name: self._opinion(signal) for name, signal in self._signals.items()}

    def levels_of(self, name: str) -> str:
        """A series before and after the deploy: `p95 latency 120 ms → 118 ms`; empty where there is none."""
        series = self._series.get(name)
        moved = series.changed() if series is not None else None
        return f"{self._signals[name].label} {levels(moved)}" if moved is not None else ""

    def again(self, instant: datetime) -> list[tuple[str, Verdict, str]]:
        """Label, verdict and words of each signal by what came after an instant alone: is it as before?"""
        judged = []
        for name, signal in self._signals.items():
            if name in self._series:
                series = self._series[name]
                later = _Series(
                    label=series.label,
                    measure=series.measure,
                    min_change=series.min_change,
                    before=series.before,
                    deployed_at=self._deployed_at,
                )
                # A sample's window must not reach back to what was before.
                begin = instant + timedelta(seconds=self.plan.interval)
                for one in series.after:
                    if one.at > begin:
                        later.see(one)
                if later.reading is None:
                    judged.append((signal.label, Verdict.INCONCLUSIVE, "no sample since the last step"))
                else:
                    said = self._why(later, later.reading).replace("since the deploy", "since the last step")
                    judged.append((signal.label, later.reading.verdict, said))
                continue
            looks = [one for one in self._looks[name] if one.at > instant]
            before = [one for one in self._looks[name] if one.at <= self._deployed_at]
            opinion = self._found if signal.form is Form.FINDINGS else self._probed
            again = opinion(signal, [*before, *looks]).judged
            judged.append((signal.label, again.verdict, again.said))
        return judged

    def _opinion(self, signal: Signal) -> Opinion:
        match signal.form:
            case Form.PROBE:
                return self._probed(signal, self._looks[signal.name])
            case Form.FINDINGS:
                return self._found(signal, self._looks[signal.name])
        main, fast = self._series[signal.name], self._series[signal.name + FAST]
        reading = main.reading
        if reading is None:
            return Opinion(judged=Judged(verdict=Verdict.INCONCLUSIVE, said="no sample yet"))
        alarming = next((one for one in (main, fast) if one.reading is not None and one.reading.alarm), None)
        if alarming is None or alarming.reading is None:
            said = self._why(main, reading)
            return Opinion(judged=Judged(verdict=reading.verdict, said=said, pending=reading.suspicious))
        found = alarming.reading
        since = self._deployed_at + timedelta(seconds=found.since or 0.0)
        moved = alarming.changed(since) or alarming.changed()
        lately = alarming.lately()
        if (
            moved is not None
            and lately is not None
            and lately.after - lately.before > FASTER * (moved.after - moved.before)
        ):
            moved = lately  # it gets worse: what it is now counts, not what it was on the way
        said = figures(moved) if moved is not None else found.why
        later = [one for one in alarming.after if one.at >= since and one.value is not None]
        finding = Finding(
            signal=signal,
            since=since,
            change=moved,
            said=f"{signal.label} {said}",
            bad=min(found.bad, len(later)),
            seen=len(later),
            fast=alarming is fast,
            size=moved.after - moved.before if moved is not None else 0.0,
        )
        return Opinion(
            judged=Judged(verdict=Verdict.DEGRADED, said=said),
            finding=finding,
            recovered=self._back(main) if reading.calm >= CALM else "",
        )

    @staticmethod
    def _why(series: _Series, reading: Reading) -> str:
        if reading.verdict is Verdict.HEALTHY:
            moved = series.changed()
            return figures(moved) if moved is not None else reading.why
        newest = series.after[-1]
        return f"{reading.why}: {newest.said}" if newest.value is None and newest.said else reading.why

    @staticmethod
    def _back(series: _Series) -> str:
        calm = [one for one in series.after if one.value is not None][-CALM:]
        moved = series.changed(calm[0].at) if calm else None
        return f"{worded(moved, series.label)} in the last {CALM} samples" if moved is not None else ""

    def _probed(self, signal: Signal, seen: Sequence[Measured]) -> Opinion:
        looks = [one for one in seen if one.at > self._deployed_at]
        if not looks:
            return Opinion(judged=Judged(verdict=Verdict.INCONCLUSIVE, said="not looked at yet"))
        run: list[Measured] = []
        fired: list[Measured] = []
        for one in looks:
            if one.value is None:
                continue  # neither failed nor worked
            run = [*run, one] if one.value > 0 else []
            fired = run if len(run) >= IN_A_ROW else fired
        newest = looks[-1]
        if fired:
            finding = Finding(
                signal=signal,
                since=fired[0].at,
                said=fired[-1].said,
                bad=len(fired),
                seen=sum(one.at >= fired[0].at for one in looks),
                size=1.0,
            )
            calm = [one for one in looks if one.value is not None][-CALM:]
            well = len(calm) == CALM and not any(one.value for one in calm)
            return Opinion(
                judged=Judged(verdict=Verdict.DEGRADED, said=fired[-1].said),
                finding=finding,
                recovered=f"{signal.label} worked {CALM} times in a row" if well else "",
            )
        if newest.value is None:
            return Opinion(judged=Judged(verdict=Verdict.INCONCLUSIVE, said=newest.said))
        if run:
            said = f"failed once: {newest.said}"
            return Opinion(judged=Judged(verdict=Verdict.INCONCLUSIVE, said=said, pending=True))
        return Opinion(judged=Judged(verdict=Verdict.HEALTHY, said=newest.said))

    def _found(self, signal: Signal, seen: Sequence[Measured]) -> Opinion:
        looks = [one for one in seen if one.value is not None]
        before = [one for one in looks if one.at <= self._deployed_at]
        after = [one for one in looks if one.at > self._deployed_at]
        if not before:
            said = "nothing was listed before the deploy to compare with"
            return Opinion(judged=Judged(verdict=Verdict.INCONCLUSIVE, said=said))
        newest = seen[-1]
        if not after or newest.value is None:
            said = newest.said if newest.value is None else "not looked at since the deploy"
            return Opinion(judged=Judged(verdict=Verdict.INCONCLUSIVE, said=said))
        known = {id_ for one in before for id_ in one.found}
        new = {id_: line for one in after for id_, line in one.found.items() if id_ not in known}
        if not new:
            said = f"no new finding ({len(after[-1].found)} known ones)"
            return Opinion(judged=Judged(verdict=Verdict.HEALTHY, said=said))
        since = next(one.at for one in after if set(one.found) & set(new))
        said = f"{len(new)} new: {', '.join(sorted(new)[:5])}"
        gone = not set(after[-1].found) & set(new)
        return Opinion(
            judged=Judged(verdict=Verdict.DEGRADED, said=said),
            finding=Finding(
                signal=signal,
                since=since,
                said=said,
                lines=tuple(str(line) for line in new.values()),
                bad=sum(bool(set(one.found) & set(new)) for one in after),
                seen=len(after),
                size=float(len(new)),
            ),
            recovered=f"the new {signal.label} are gone" if gone else "",
        )


def sample_of(one: Measured, deployed_at: datetime) -> Sample:
    """As the detector takes it."""
    return Sample(at=(one.at - deployed_at).total_seconds(), value=one.value, count=one.count)


def _spoilt(at: datetime, plan: WatchPlan) -> bool:
    return any(start <= at <= end for start, end in plan.known_bad)
