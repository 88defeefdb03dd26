"""The stories of what went beside the checklist: overrides, alerts, the watch, the rollback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.domain import rollback
from bot.domain.deployment import Deployment
from bot.domain.events import Event
from bot.domain.narrating import Scene
from bot.domain.report import AlertStory, OverrideStory, RollbackStory, WatchStory


def overrides(events: Sequence[Event], set_: Scene, call: Callable[[str], str]) -> tuple[OverrideStory, ...]:
    """Each time two people went on, or wanted to, although items were open."""
    asked: dict[int, OverrideStory] = {}
    for event in events:
        fact, data = event.fact, event.fact.data
        request = data.get("request")
        if fact.kind == "override.requested":
            asked[event.seq] = _override(data, str(data.get("what", "")), fact.at, set_, call(fact.actor))
        elif fact.kind == "override.confirmed" and request in asked:
            asked[request] = replace(asked[request], state="confirmed", second=call(fact.actor))
        elif fact.kind == "override.withdrawn" and request in asked:
            asked[request] = replace(asked[request], state="withdrawn", second="")
        elif isinstance(data.get("override"), Mapping) and fact.kind.startswith("deployment."):
            what = "go" if fact.kind == "deployment.go" else "finish"
            if any(one.what == what and one.state == "confirmed" for one in asked.values()):
                continue  # told already, by its own events
            used = data["override"]
            story = _override(used, what, fact.at, set_, call(str(used.get("first", ""))))
            asked[event.seq] = replace(story, state="confirmed", second=call(str(used.get("second", ""))))
    return tuple(asked.values())


def _override(data: Mapping[str, Any], what: str, at: datetime, set_: Scene, first: str) -> OverrideStory:
    return OverrideStory(
        what=what,
        reason=str(data.get("reason", "")),
        first=first,
        second="",
        state="asked",
        at=at,
        open=(
            *(set_.keys.get(str(key), str(key)) for key in data.get("open", ())),
            *map(str, data.get("obstacles", ())),
        ),
    )


def alerts(events: Sequence[Event], call: Callable[[str], str]) -> tuple[AlertStory, ...]:
    """Each raising of a rollback trigger, with what became of it."""
    made: list[dict[str, Any]] = []
    current: dict[str, dict[str, Any]] = {}
    for event in events:
        fact, data = event.fact, event.fact.data
        if fact.kind == "trigger.fired":
            finding = data.get("finding", {})
            current[data["key"]] = {
                "key": data["key"],
                "title": data["title"],
                "raised_by": call(fact.actor),
                "source": data["source"],
                "at": fact.at,
                "said": finding.get("change") or finding.get("said") or "",
            }
            made.append(current[data["key"]])
            continue
        alert = current.get(data.get("key", "")) if fact.kind.startswith("trigger.") else None
        if alert is None:
            continue
        match fact.kind:
            case "trigger.acknowledged" if "acknowledged_at" not in alert:
                alert |= {"acknowledged_by": call(fact.actor), "acknowledged_at": fact.at}
            case "trigger.cleared":
                alert |= {"cleared_by": call(fact.actor), "cleared_at": fact.at, "reason": data["reason"]}
            case "trigger.recovered":
                alert["recovered_at"] = fact.at
            case "trigger.worsened":
                alert["worsened"] = alert.get("worsened", 0) + 1
                alert["recovered_at"] = None
            case "trigger.updated":
                alert["recovered_at"] = None
            case "trigger.escalated":
                alert["escalated"] = max(alert.get("escalated", 0), data["level"])
    return tuple(AlertStory(**alert) for alert in made)


def watch_story(state: Deployment) -> WatchStory | None:
    """What the watch said last; None where nothing was watched."""
    watch = state.aftermath.watch
    if watch is None or (watch.begun_at is None and not watch.labels):
        return None
    signals = []
    for name, label in watch.labels.items():
        judged = watch.judged.get(name)
        verdict = judged.verdict.value if judged is not None else "not judged"
        signals.append((label, verdict, judged.said if judged is not None else ""))
    return WatchStory(
        verdict=watch.verdict.value if watch.begun_at is not None else "not begun",
        begun_at=watch.begun_at,
        ended_at=watch.ended_at,
        signals=tuple(signals),
    )


def rollback_story(state: Deployment, call: Callable[[str], str]) -> RollbackStory | None:
    """The way back; None where nobody took it."""
    back, progress = state.aftermath.rollback, rollback.progress(state)
    if back is None or progress is None:
        return None
    return RollbackStory(
        by=call(back.by),
        at=back.at,
        why=back.why,
        verified_at=back.verified_at,
        done=progress.done,
        total=progress.total,
        times=tuple(rollback.times(state)),
    )
