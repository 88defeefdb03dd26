"""What a chart shows, as plain values: the values over time, what was usual, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles

from bot.domain.monitoring import Measure
from bot.domain.signals import Measured
from bot.domain.triggering import TriggerFinding
from bot.services.judging import sample_of
from bot.watch.baseline import summed_up

#: Fewest values a chart is worth drawing for, and fewest before the deploy that make a band.
FEWEST, FEWEST_BEFORE = 3, 4
#: Most minutes before the deploy that count, and the fewest that are shown: what comes after it, which they
#: are at most twice as long as, must stay legible.
BEFORE_MIN, LEAST_MIN = 60.0, 15.0

_UNITS = {Measure.ERRORS.value: "%", Measure.LATENCY.value: "ms"}


@dataclass(frozen=True, kw_only=True)
class Series:
    """One signal around a deploy. Times are in minutes after the deploy, negative before it."""

    label: str
    #: Of the values; empty for a plain number.
    unit: str
    points: tuple[tuple[float, float], ...]
    #: When it got worse, where that is known, and when the alert was raised.
    since: float | None
    alert: float
    #: False where no deploy is known: then times count from the alert.
    deployed: bool = True
    #: What a value must be above to differ from before by as much as matters; None where that is unknown.
    matters: float | None = None

    @property
    def title(self) -> str:
        """What is shown, with its unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    @property
    def first(self) -> float:
        """The earliest minute that is shown."""
        last = max(self.points[-1][0], self.alert)
        return max(self.points[0][0], -max(LEAST_MIN, 2 * last)) if self.deployed else self.points[0][0]

    @property
    def band(self) -> tuple[float, float] | None:
        """What was usual: from the 10th to the 90th percentile before the deploy; None for too few values."""
        before = [value for at, value in self.points if at < 0]
        if len(before) < FEWEST_BEFORE or not self.deployed:
            return None
        tenths = quantiles(before, n=10, method="inclusive")
        return tenths[0], tenths[-1]

    @property
    def worse(self) -> tuple[tuple[float, float], ...]:
        """The points since it got worse, without those that are as before again."""
        if self.since is None:
            return ()
        lines = [line for line in (self.matters, self.band[1] if self.band else None) if line is not None]
        return tuple(
            (at, value)
            for at, value in self.points
            if at >= self.since and all(value > line for line in lines)
        )


def series(
    samples: Sequence[Measured], finding: TriggerFinding, *, deployed: datetime | None, alert: datetime
) -> Series | None:
    """The samples as a chart shows them; None where there are too few to show."""
    origin = deployed or alert

    def minutes(at: datetime) -> float:
        return (at - origin).total_seconds() / 60

    points = tuple(
        (minutes(sample.at), float(sample.value))
        for sample in samples
        if sample.value is not None and sample.count != 0 and minutes(sample.at) >= -BEFORE_MIN
    )
    if len(points) < FEWEST:
        return None
    return Series(
        label=finding.label or finding.signal,
        unit=_UNITS.get(finding.measure, ""),
        points=points,
        since=minutes(finding.began_at) if finding.began_at is not None else None,
        alert=minutes(alert),
        deployed=deployed is not None,
        matters=_matters(samples, finding, deployed) if deployed is not None else None,
    )


def _matters(samples: Sequence[Measured], finding: TriggerFinding, deployed: datetime) -> float | None:
    """From where on a value is worse enough to matter.

    Never above the middle of what the alert says it rose from and to: a checklist may care for less than is
    usual.
    """
    before = [sample_of(one, deployed) for one in samples if one.at <= deployed]
    measure = Measure(finding.measure) if finding.measure in list(Measure) else Measure.OTHER
    baseline = summed_up(measure, before, min_change=None)
    lines = [baseline.matters] if baseline is not None else []
    if finding.before is not None and finding.after is not None:
        lines.append((finding.before + finding.after) / 2)
    return min(lines, default=None)


def alt_text(shown: Series) -> str:
    """The chart for those who do not see it."""
    zero = "the deploy" if shown.deployed else "the alert"
    parts = [f"Line chart of {shown.title}, from {_when(shown.first, zero)}"]
    parts[0] += f" to {_when(shown.points[-1][0], zero)}."
    if shown.band is not None:
        low, high = shown.band
        parts.append(f"Before the deploy it was usually between {low:.3g} and {high:.3g}.")
    if shown.since is not None:
        bad = [value for _, value in shown.worse]
        if bad:
            middle = f"{median(bad):.3g}"
            parts.append(f"From {_when(shown.since, zero)} it is around {middle}, at most {max(bad):.3g}.")
    parts.append(f"The alert was raised {_when(shown.alert, zero)}.")
    return " ".join(parts)


def _when(minutes: float, zero: str) -> str:
    count = round(abs(minutes))
    if not count:
        return f"at {zero}"
    return f"{count} min {'after' if minutes > 0 else 'before'} {zero}"
