"""What the watch sees becomes rollback triggers: raised, renewed, recovered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from bot.domain.checklist import slugged
from bot.domain.deployment import REASON, Deployment
from bot.domain.errors import NoHistory
from bot.domain.monitoring import Verdict
from bot.domain.signals import FAST, WatchPlan
from bot.domain.triggering import TriggerFinding
from bot.domain.watching import Source, Trigger
from bot.services import alerting
from bot.services.judging import Finding, Judge, Opinion, sample_of
from bot.services.ports import Ports
from bot.watch.detector import replay
from bot.watch.effect import change, levels, worded

#: Most findings an alert names.
FOUND = 20
#: A day, and how long an alert waits to know whether yesterday was the same.
A_DAY, YESTERDAY_S = timedelta(days=1), 5.0
#: How much longer than today so far yesterday is looked at.
YESTERDAY = timedelta(minutes=10)


async def raise_triggers(
    ports: Ports, state: Deployment, plan: WatchPlan, judge: Judge, opinions: Mapping[str, Opinion]
) -> None:
    """Raise, renew or note as recovered each trigger that a signal speaks for.

    Raises DeploymentClosed where the deployment has ended meanwhile, StorageBusy, StorageFailed.
    """
    for trigger in dict.fromkeys(signal.trigger for signal in plan.ready):
        found = [
            opinion
            for name, opinion in opinions.items()
            if opinion.finding is not None and opinion.finding.signal.trigger == trigger
        ]
        if not found:
            continue
        key = slugged(trigger)
        known = state.aftermath.triggers.get(key)
        shown = known.finding if known is not None and known.state.raised else {}
        on_screen = str(shown.get("signal", "")).removesuffix(FAST)
        findings = sorted(
            (opinion.finding for opinion in found if opinion.finding is not None),
            key=lambda one: (one.signal.name != on_screen, one.since),
        )
        first = findings[0]
        if known is not None and all(opinion.recovered for opinion in found):
            if known.recovered_at is None:
                await alerting.recovered(ports, state.id, key=key, said=found[0].recovered)
            continue
        told = finding_of(first, plan, others=[one.said for one in findings[1:]])
        if known is not None and known.cleared_at is not None and first.since <= known.cleared_at:
            unchanged, contradicting = [], []  # cleared as what it is: nothing is announced
        elif not on_screen:
            unchanged, contradicting = (
                _unchanged(plan, judge, opinions),
                await _yesterday(ports, state, first, plan),
            )
        else:
            unchanged, contradicting = shown.get("unchanged", ()), shown.get("contradicting", ())
        told = replace(told, unchanged=tuple(unchanged), contradicting=tuple(contradicting))
        await alerting.report(
            ports,
            state.id,
            key=key,
            title=trigger,
            source=Source.WATCH,
            finding=told,
            size=_size(first, known, on_screen),
        )


def _size(found: Finding, known: Trigger | None, on_screen: str) -> float:
    """How bad it is, for a trigger that shows the figures of the signal `on_screen`.

    Sizes are compared within a signal: another one is shown with its numbers, not announced again for them.
    """
    if known is None or not known.state.raised or on_screen in ("", found.signal.name):
        return found.size
    return known.size if known.source is Source.WATCH else known.measured


async def _yesterday(ports: Ports, state: Deployment, found: Finding, plan: WatchPlan) -> list[str]:
    """The same rise at the same time of yesterday, where there was one."""
    deployed = state.aftermath.deployed
    if found.change is None or deployed is None:
        return []
    # Of yesterday what came next is known as well.
    begun, now = deployed.at - A_DAY, ports.clock.now() - A_DAY + YESTERDAY
    start = begun - timedelta(seconds=plan.baseline)
    try:
        async with asyncio.timeout(YESTERDAY_S):
            past = await ports.watching.history(
                state, found.signal, start=start, end=now, window=plan.interval
            )
    except (NoHistory, TimeoutError):
        return []
    measure = found.signal.measure
    before = [sample_of(one, begun) for one in past if one.at <= begun]
    after = [sample_of(one, begun) for one in past if one.at > begun]
    readings = replay(measure, before, after, min_change=found.signal.min_change)
    if not readings or not readings[-1].alarm:
        return []
    moved = change(measure, before, [one for one in after if one.at >= (readings[-1].since or 0)])
    return (
        [f"the same rise was there yesterday at this time: {worded(moved, found.signal.label)}"]
        if moved
        else []
    )


def _unchanged(plan: WatchPlan, judge: Judge, opinions: Mapping[str, Opinion]) -> list[str]:
    """What did not get worse, in words."""
    said = []
    for signal in plan.ready:
        judged = opinions[signal.name].judged
        if judged.verdict is Verdict.HEALTHY:
            said.append(judge.levels_of(signal.name) or f"{signal.label}: {judged.said}")
    return said


def finding_of(found: Finding, plan: WatchPlan, *, others: Sequence[str] = ()) -> TriggerFinding:
    """What the alert shows of it; `others` are what else raises the same trigger."""
    moved, signal = found.change, found.signal
    told = TriggerFinding(
        signal=signal.name + (FAST if found.fast else ""),
        label=signal.label,
        since=found.since.isoformat(),
        interval_s=plan.fast if found.fast else plan.interval,
        samples_bad=found.bad,
        samples=found.seen,
        found=(*found.lines[:FOUND], *(f"also {said}" for said in others)),
        links=tuple(plan.links.items()),
    )
    if moved is None:
        return replace(told, said=found.said[:REASON])
    return replace(
        told,
        measure=signal.measure.value,
        change=levels(moved),
        before=moved.before,
        after=moved.after,
        difference=moved.difference,
        low=moved.low,
        high=moved.high,
        bad=moved.bad,
        requests=moved.requests,
    )
