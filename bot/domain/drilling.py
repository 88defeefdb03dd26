"""A drill: a degradation that nobody has, for seeing that the alert reaches people and how fast they are."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.domain.deployment import Deployment
from bot.domain.errors import DrillUnderWay
from bot.domain.monitoring import Measure
from bot.domain.signals import Measured
from bot.domain.triggering import Report, TriggerFinding
from bot.domain.watching import Source, Trigger

#: The made-up deploy was this many minutes before the drill, and its errors began after so many.
DEPLOYED_MIN, BEGAN_MIN = 7, 4
#: Error rates in per cent, a minute each: before the deploy, after it, and since it went wrong.
_CALM = (0.21, 0.18, 0.24, 0.19, 0.2, 0.22, 0.17, 0.2, 0.23, 0.19, 0.21, 0.18)
_AFTER = (0.2, 0.19, 0.22, 0.21)
_BAD = (2.6, 3.4, 3.1)


def drill(deployment: Deployment, *, at: datetime) -> Report:
    """The report a drill makes. Raises DrillUnderWay."""
    if any(t.source is Source.DRILL and t.state.raised for t in deployment.aftermath.triggers.values()):
        raise DrillUnderWay(deployment.name)
    number = sum(t.source is Source.DRILL for t in deployment.aftermath.triggers.values()) + 1
    began = at - timedelta(minutes=DEPLOYED_MIN - BEGAN_MIN)
    return Report(
        key=f"drill-{number}",
        title="Error rate increase (made up)",
        source=Source.DRILL,
        finding=TriggerFinding(
            signal="drill",
            label="errors",
            measure=Measure.ERRORS.value,
            change="0.2 % → 3.1 %",
            before=0.2,
            after=3.1,
            difference=2.9,
            low=2.1,
            high=3.8,
            bad=41,
            requests=1320,
            samples_bad=3,
            samples=3,
            interval_s=60.0,
            since=began.isoformat(),
            unchanged=("p95 latency 182 ms", "CPU 41 %"),
        ),
        size=2.9,
    )


def samples(raised_at: datetime) -> tuple[datetime, list[Measured]]:
    """The made-up deploy, and the made-up error rates around it, for a drill raised then."""
    deployed = raised_at - timedelta(minutes=DEPLOYED_MIN)
    start = deployed - timedelta(minutes=len(_CALM))
    values = (*_CALM, *_AFTER, *_BAD)
    return deployed, [
        Measured(at=start + timedelta(minutes=minute), value=value, count=440)
        for minute, value in enumerate(values)
    ]


def over(trigger: Trigger, waits: tuple[float, float], *, at: datetime) -> bool:
    """Whether nobody took it for as long as it could escalate, and once more as long as its last step."""
    since = trigger.announced_at or trigger.at
    last = waits[1] + max(waits[1] - waits[0], 60.0)
    return trigger.escalated >= len(waits) and (at - since).total_seconds() >= last
