"""How often each declared trigger would have fired on a service's past, had it been deployed every hour.

Nothing was deployed at most of these times, so nearly all of what fires is a false alarm: a way to see,
before the first real deploy, whether a signal can be trusted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot.checks.kind import CheckTrouble, Context, Nothing
from bot.checks.kinds.signal import ANY_VERSION
from bot.domain.monitoring import Verdict
from bot.domain.signals import Form, Measured, Signal, WatchPlan
from bot.services.judging import sample_of
from bot.services.sampling import Historical
from bot.services.verifying import SidecarVerifier
from bot.watch.detector import replay

#: Samples asked for at once: Prometheus gives 11,000 points of a series at most.
AT_ONCE = 5000
#: Longest one question may take, in seconds.
PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """One signal over the past."""

    trigger: str
    label: str
    #: Deploys that were pretended, of these the ones that could not be judged, and when it fired.
    deploys: int = 0
    unjudged: int = 0
    fired: tuple[datetime, ...] = ()
    #: Why it could not be rehearsed; empty where it was.
    problem: str = ""


async def rehearse(
    verifier: SidecarVerifier,
    checklist: str,
    *,
    environment: str,
    service: str,
    prometheus: str,
    days: float,
    now: datetime,
) -> list[Rehearsed]:
    """Every signal of a checklist's watch. Raises ChecklistUnusable, SidecarUnusable.

    `prometheus` is the base URL to ask instead of the one the checklist names; empty for that one.
    """
    bound = verifier.bound(checklist, environment=environment, service=service)
    plan = bound.watch or WatchPlan()
    if prometheus:
        bound = replace(bound, allow=(*bound.allow, prometheus))
    async with verifier.opened(
        bound, environment=environment, service=service, version="", deeds=Nothing()
    ) as (_, context):
        return [
            await _one(verifier, signal, plan, context, prometheus=prometheus, days=days, now=now)
            for signal in plan.signals
        ]


async def _one(
    verifier: SidecarVerifier,
    signal: Signal,
    plan: WatchPlan,
    context: Context,
    *,
    prometheus: str,
    days: float,
    now: datetime,
) -> Rehearsed:
    silent = Rehearsed(trigger=signal.trigger, label=signal.label)
    kind = verifier.catalogue.get(signal.check.kind)
    if signal.form is not Form.SERIES or not isinstance(kind, Historical):
        return replace(silent, problem=f"a {signal.form} keeps no past to ask for")
    missing = [name for name in signal.missing if not (prometheus and "prometheus_url" in name)]
    if missing:
        return replace(silent, problem=f"not set up: fill in {', '.join(missing)}")
    params = signal.check.params.model_copy(update={"window": plan.interval})
    if prometheus:
        params = params.model_copy(update={"url": prometheus})
    past: list[Measured] = []
    step, start = timedelta(seconds=plan.interval), now - timedelta(days=days)
    try:
        while start < now:
            end = min(start + step * AT_ONCE, now)
            async with asyncio.timeout(PATIENCE_S):
                past += await kind.history(
                    params,
                    replace(context, timeout=PATIENCE_S),
                    start=start.timestamp(),
                    end=end.timestamp(),
                    version=ANY_VERSION,
                )
            start = end + step
    except (CheckTrouble, TimeoutError) as trouble:
        return replace(silent, problem=context.clean(str(trouble)) or "it does not answer in time")
    return _pretended(silent, signal, plan, past)


def _pretended(silent: Rehearsed, signal: Signal, plan: WatchPlan, past: Sequence[Measured]) -> Rehearsed:
    deploys = unjudged = 0
    fired: list[datetime] = []
    if not past:
        return silent
    first = past[0].at + timedelta(seconds=plan.baseline)
    baseline, duration = timedelta(seconds=plan.baseline), timedelta(seconds=plan.duration)
    live = first.astimezone(UTC)
    while live + duration <= past[-1].at:
        before = [sample_of(one, live) for one in past if live - baseline <= one.at <= live]
        after = [sample_of(one, live) for one in past if live < one.at <= live + duration]
        readings = replay(signal.measure, before, after, min_change=signal.min_change)
        deploys += 1
        if readings and readings[-1].alarm:
            fired.append(live)
        elif not readings or readings[-1].verdict is Verdict.INCONCLUSIVE:
            unjudged += 1
        live += duration
    return replace(silent, deploys=deploys, unjudged=unjudged, fired=tuple(fired))
