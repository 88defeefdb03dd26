"""The story of each box of a deployment: where it stands, who settled it, and what it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.domain.check import ItemResult, result_from_json
from bot.domain.deployment import Deployment
from bot.domain.events import Event
from bot.domain.report import Entry, Found, ItemStory, Part


@dataclass
class _Care:
    """What people did about a box besides ticking it, while the history is read."""

    waived: tuple[str, datetime, str] | None = None
    assignees: list[str] = field(default_factory=list)
    #: By the event that made each.
    notes: dict[int, str] = field(default_factory=dict)


def stories(
    state: Deployment,
    events: Sequence[Event],
    timeline: Sequence[Entry],
    *,
    boxes: Sequence[str],
    call: Callable[[str], str],
    plain: Callable[[str], str],
) -> tuple[ItemStory, ...]:
    """One for each box, the rollback's steps after the items."""
    care, results, runs = _read(events, call)
    entries: dict[str, list[Entry]] = {}
    for entry in timeline:
        if entry.item:
            entries.setdefault(entry.item, []).append(entry)
    places = _places(state, plain)
    made = []
    for position, item in enumerate(state.checklist.boxes):
        own = care.get(position, _Care())
        tick = state.ticks.get(position)
        standing, by, at, reason = "open", "", None, ""
        if tick is not None:
            standing = "done" if position in state.done else "contradicted"
            by, at, reason = tick.by, tick.at, tick.reason
        if own.waived is not None and standing != "done":
            standing, (by, at, reason) = "waived", own.waived
        section, group = places[position]
        made.append(
            ItemStory(
                key=item.key,
                position=position,
                section=section,
                group=group,
                text=f"{item.number}. {boxes[position]}" if item.number is not None else boxes[position],
                state=standing,
                by=by,
                who=call(by) if by else "",
                at=at,
                reason=reason,
                overruled=standing != "waived" and tick is not None and bool(tick.reason),
                assignees=tuple(own.assignees),
                notes=tuple(own.notes.values()),
                evidence=_found(results[position], runs[position]) if position in results else None,
                entries=tuple(entries.get(item.key, ())),
            )
        )
    return tuple(made)


def _read(
    events: Sequence[Event], call: Callable[[str], str]
) -> tuple[dict[int, _Care], dict[int, Mapping[str, Any]], Counter[int]]:
    care: dict[int, _Care] = {}
    results: dict[int, Mapping[str, Any]] = {}
    runs: Counter[int] = Counter()
    for event in events:
        fact, data = event.fact, event.fact.data
        position = data.get("position")
        if not isinstance(position, int):
            continue
        own = care.setdefault(position, _Care())
        match fact.kind:
            case "check.recorded":
                results[position] = data["result"]
                runs[position] += 1
            case "item.waived":
                own.waived = (fact.actor, fact.at, str(data.get("reason", "")))
            case "item.unwaived":
                own.waived = None
            case "item.assigned":
                own.assignees = [*(one for one in own.assignees if one != call(str(data["to"])))]
                own.assignees.append(call(str(data["to"])))
            case "item.unassigned":
                own.assignees = [one for one in own.assignees if one != call(str(data.get("to", "")))]
            case "item.noted":
                link = f" ({data['link']})" if data.get("link") else ""
                own.notes[event.seq] = f"{call(fact.actor)}: {data.get('text', '')}{link}"
            case "item.note_removed":
                own.notes.pop(data.get("note", 0), None)
    return care, results, runs


def _places(state: Deployment, plain: Callable[[str], str]) -> list[tuple[str, str]]:
    """Section and group of each box."""
    found = []
    for section in state.checklist.sections:
        title = plain(section.title)
        for group in section.groups:
            found += [(title, plain(group.title))] * len(group.items)
    return [*found, *([("Rollback", "")] * len(state.checklist.runbook))]


def _found(data: Mapping[str, Any], runs: int) -> Found:
    result: ItemResult = result_from_json(data)
    return Found(
        outcome=result.outcome.value,
        at=result.at,
        expires_at=result.expires_at,
        ms=result.ms,
        runs=runs,
        parts=tuple(
            Part(
                id=part.id,
                kind=part.kind,
                target=part.target,
                outcome=part.outcome.value,
                observed=part.observed,
                expected=part.expected,
                reason=part.reason,
                excerpt=part.excerpt,
            )
            for part in result.evidence
        ),
    )
