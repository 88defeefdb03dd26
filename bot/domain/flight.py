"""Reads the flight recorder's marks, moments and curve out of a history and its samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.domain.check import Outcome
from bot.domain.checklist import RUNBOOK
from bot.domain.deployment import Deployment, Phase
from bot.domain.events import BOT, Event, Fact
from bot.domain.monitoring import Measure
from bot.domain.recorder import Curve, LaneKind, Mark, Moment, Recorder, recorded, usual
from bot.domain.signals import FAST, Measured, merged
from bot.domain.watching import Source

#: Fewest values a curve is worth drawing for; as in the charts of alerts.
FEWEST = 3
UNITS = {Measure.ERRORS.value: "%", Measure.LATENCY.value: "ms"}


def record(
    state: Deployment,
    events: Sequence[Event],
    samples: Mapping[str, Sequence[Measured]],
    *,
    boxes: Sequence[str],
    live_at: datetime | None,
    until: datetime,
) -> Recorder:
    """The flight recorder of a deployment until then; drills are left out, as nothing happened."""
    marks = []
    titles: dict[str, str] = {}
    for event in events:
        fact = event.fact
        key = str(fact.data.get("key", ""))
        if fact.kind == "trigger.fired" and fact.data.get("source") != Source.DRILL:
            titles[key] = str(fact.data.get("title", ""))
        lane = _lane(fact)
        made_up = lane in (LaneKind.ALERTS, LaneKind.ANSWERS) and key not in titles
        if lane is not None and not made_up:
            # The same alert, called out once more: it is counted where it was raised.
            again = fact.kind == "trigger.worsened"
            marks.append((lane, Mark(at=fact.at, text=_words(fact, boxes, titles), count=int(not again))))
    return recorded(
        title=str(state.target),
        timezone=state.timezone,
        start=state.started_at,
        end=until,
        marks=marks,
        moments=_moments(state, live_at),
        curve=_curve(state, events, samples),
    )


def _lane(fact: Fact) -> LaneKind | None:
    data = fact.data
    if data.get("moot"):
        return None
    match fact.kind:
        case "item.ticked" | "item.overruled" if str(data.get("item", "")).startswith(f"{RUNBOOK}/"):
            return LaneKind.ROLLBACK
        case "item.ticked" | "item.overruled":
            return LaneKind.BOT if fact.actor == BOT else LaneKind.TICKS
        case "check.recorded":
            passed = Outcome(data["result"]["outcome"]).ticks
            return LaneKind.PASSED if passed else LaneKind.NOT_PASSED
        case "trigger.fired" | "trigger.worsened":
            return LaneKind.ALERTS
        case "trigger.acknowledged" | "trigger.cleared":
            return LaneKind.ANSWERS
    return None


def _words(fact: Fact, boxes: Sequence[str], titles: Mapping[str, str]) -> str:
    position = fact.data.get("position")
    if isinstance(position, int) and 0 <= position < len(boxes):
        return boxes[position]
    title = titles.get(str(fact.data.get("key", "")), fact.kind)
    return f"{title}, twice as bad" if fact.kind == "trigger.worsened" else title


def _moments(state: Deployment, live_at: datetime | None) -> list[Moment]:
    back = state.aftermath.rollback
    ends = {Phase.FINISHED: "finished", Phase.ABORTED: "aborted"}
    known = (
        ("Go", state.go.at if state.go is not None else None),
        ("live", live_at if state.go is None or live_at != state.go.at else None),
        ("rollback", back.at if back is not None else None),
        ("verified", back.verified_at if back is not None else None),
        (ends.get(state.phase, ""), state.ended_at),
    )
    return [Moment(name=name, at=at) for name, at in known if at is not None and name]


def _curve(
    state: Deployment, events: Sequence[Event], samples: Mapping[str, Sequence[Measured]]
) -> Curve | None:
    """The signal that raised the first real alert, else the one with the most values."""
    alerted: dict[str, Mapping[str, object]] = {}
    for event in events:
        data = event.fact.data
        if event.fact.kind == "trigger.fired" and data.get("source") != Source.DRILL:
            finding = data.get("finding", {})
            alerted.setdefault(str(finding.get("signal", "")).removesuffix(FAST), finding)
    watch, deployed = state.aftermath.watch, state.aftermath.deployed
    live = deployed.at if deployed is not None else None
    taken = {
        name: merged(samples.get(name, ()), samples.get(name + FAST, ()), deployed=live)
        for name in dict.fromkeys(one.removesuffix(FAST) for one in samples)
    }
    values = {
        name: [(one.at, float(one.value)) for one in looks if one.value is not None and one.count != 0]
        for name, looks in taken.items()
    }
    drawable = {name: found for name, found in values.items() if len(found) >= FEWEST}
    if not drawable:
        return None
    first = next((name for name in alerted if name in drawable), None)
    name = first or max(drawable, key=lambda one: len(drawable[one]))
    finding = alerted.get(name, {})
    label = str(finding.get("label") or (watch.labels.get(name) if watch is not None else "") or name)
    before = [value for at, value in drawable[name] if live is not None and at < live]
    return Curve(
        label=label,
        unit=UNITS.get(str(finding.get("measure", "")), ""),
        points=tuple(drawable[name]),
        band=usual(before),
    )
