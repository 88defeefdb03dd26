"""What a watch looks at, as the sidecar declares it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.domain.check import CheckSpec
from bot.domain.monitoring import Measure


class Form(StrEnum):
    """How a signal is judged."""

    #: Numbers, against numbers from before the deploy.
    SERIES = "series"
    #: A journey that must work: it fails twice in a row, or it does not.
    PROBE = "probe"
    #: Things found, against those found before the deploy: a new one counts.
    FINDINGS = "findings"


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One thing that is watched."""

    #: Unique in its watch.
    name: str
    #: What people call it: `errors`, `p95 latency`.
    label: str
    form: Form
    measure: Measure
    #: The checklist's rollback trigger it raises.
    trigger: str
    check: CheckSpec
    #: Name of the observed value that is the sample; of findings, the list of their ids.
    value: str = "value"
    #: Least difference that matters, in the measure's unit; None for the measure's own.
    min_change: float | None = None
    #: What has to be filled in before it can be watched; empty where it can.
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WatchPlan:
    """A whole watch, times in seconds."""

    signals: tuple[Signal, ...] = ()
    #: Between samples, and while evidence against the deploy builds up.
    interval: float = 60.0
    fast: float = 15.0
    #: How long it is watched after the deploy, and how much of its beginning is left out.
    duration: float = 3600.0
    grace: float = 0.0
    #: How long before the deploy the baseline begins.
    baseline: float = 3600.0
    #: Spans left out of the baseline.
    known_bad: tuple[tuple[datetime, datetime], ...] = ()
    #: Where people look further: label to URL.
    links: Mapping[str, str] = field(default_factory=dict)
    #: Whom a raised trigger mentions besides the lead: Slack user id or user group id; empty for nobody.
    on_call: str = ""
    #: After how long without an acknowledgement the lead is told directly, then the group again.
    escalate: tuple[float, float] = (300.0, 600.0)

    @property
    def ready(self) -> tuple[Signal, ...]:
        """The signals that can be watched."""
        return tuple(signal for signal in self.signals if not signal.missing)


#: Marks the samples taken more often while evidence builds up: a series of their own, with windows and a
#: baseline of their own, since shorter windows scatter more.
FAST = "@fast"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one look at a signal gave."""

    at: datetime
    #: None where there is no data; `said` has why.
    value: float | None
    count: int | None = None
    said: str = ""
    #: Of findings: their ids, each with a line for people.
    found: Mapping[str, Any] = field(default_factory=dict)


def merged(
    regular: Sequence[Measured], quick: Sequence[Measured], *, deployed: datetime | None
) -> list[Measured]:
    """The samples taken in turn and the quick looks, as one line over time.

    Before the deploy only those taken in turn, where there are any: the shorter windows of quick looks
    scatter more, and would make what was usual wider than what the values after it are held against.
    """
    if deployed is not None and any(one.at <= deployed and one.value is not None for one in regular):
        quick = [one for one in quick if one.at > deployed]
    known = {one.at: one for one in (*quick, *regular)}
    return [known[at] for at in sorted(known)]
