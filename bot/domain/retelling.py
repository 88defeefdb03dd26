"""Makes the report of a deployment from its events and samples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.domain import rollback
from bot.domain.check import Outcome
from bot.domain.deployment import FILE, Deployment, Phase, fold
from bot.domain.events import BOT, CI, Event, Fact, broken_link
from bot.domain.flight import record
from bot.domain.item_stories import stories
from bot.domain.narrating import KEY_KINDS, Scene, scene, told
from bot.domain.outcome_stories import alerts, overrides, rollback_story, watch_story
from bot.domain.reminding import zone
from bot.domain.report import (
    Doer,
    Entry,
    ItemStory,
    Report,
    SectionStory,
    Span,
)
from bot.domain.signals import Measured
from bot.domain.watching import Source, says_it_is_live

#: What a deed is called where people are counted, by the kind of event.
_DEEDS = {
    "item.ticked": "ticks",
    "item.unticked": "unticks",
    "item.overruled": "overruled",
    "item.waived": "waived",
    "item.noted": "notes",
    "item.assigned": "assigned",
    "check.recorded": "checks",
    "checks.requested": "asked for checks",
    "trigger.fired": "raised",
    "trigger.joined": "raised",
    "trigger.acknowledged": "acknowledged",
    "trigger.cleared": "cleared",
    "deployment.go": "Go",
    "rollback.started": "rollback",
    "override.requested": "overrides asked",
    "override.confirmed": "overrides confirmed",
}


#: Slack ids of people and of user groups.
_NAMED = re.compile(r"[UWS][A-Z0-9]{2,}")
#: What every other deed is called.
_OTHER = "other deeds"


def people_in(events: Iterable[Event]) -> tuple[str, ...]:
    """Slack ids of the people and user groups a report names, in order of appearance, to be looked up."""
    found: dict[str, None] = {}
    for event in events:
        data = event.fact.data
        override = data.get("override") if isinstance(data.get("override"), Mapping) else {}
        named = [data.get(name) for name in ("to", "from", "lead", "group", "over_turn_of")]
        named += [(override or {}).get(name) for name in ("first", "second")]
        for one in (event.fact.actor, *named):
            if isinstance(one, str) and _NAMED.fullmatch(one):
                found[one] = None
    return tuple(found)


def made(
    events: Sequence[Event],
    samples: Mapping[str, Sequence[Measured]],
    *,
    names: Mapping[str, str],
    plain: Callable[[str], str],
    now: datetime,
) -> Report:
    """The report. `plain` makes plain text of inline Markdown; `now` ends what is still going on.

    Raises ValueError for a history that does not begin with a start.
    """
    state = fold(events)
    boxes = [plain(item.text) for item in state.checklist.boxes]
    tz = zone(state.timezone)

    def call(user: str) -> str:
        fixed = {BOT: "Deploybot", CI: "CI", FILE: "the checklist file", "": "nobody"}
        return fixed.get(user) or names.get(user, user)

    def clock(text: str) -> str:
        local = datetime.fromisoformat(text).astimezone(tz)
        same = local.date() == state.started_at.astimezone(tz).date()
        return f"{local:%H:%M}" if same else f"{local.day} {local:%b %H:%M}"

    keys = [item.key for item in state.checklist.boxes]
    set_ = scene(events, boxes=boxes, keys=keys, call=call, clock=clock)
    timeline = tuple(_entry(event, set_, call) for event in events)
    until = state.ended_at or max(now, events[-1].fact.at)
    found = stories(state, events, timeline, boxes=boxes, call=call, plain=plain)
    total = len(state.checklist.items)
    items, steps = found[:total], found[total:] if state.aftermath.rollback is not None else ()
    deployed = state.aftermath.deployed
    verified = _verified(state, events)
    live_at = verified or (deployed.at if deployed is not None else None)
    passed_over = str(events[0].fact.data.get("over_turn_of") or "")
    return Report(
        id=state.id,
        name=state.name,
        service=state.target.service,
        version=state.target.version,
        environment=state.target.environment,
        checklist=plain(state.checklist.title) or state.checklist_name,
        team=state.team,
        channel=state.channel,
        timezone=str(tz),
        lead=_lead(state, events),
        lead_name=call(_lead(state, events)),
        over_turn_of=passed_over,
        over_turn_of_name=call(passed_over) if passed_over else "",
        prepared_in=state.prepared_in,
        started_at=state.started_at,
        ended_at=state.ended_at,
        ended_by=call(state.ended_by) if state.ended_by else "",
        phase=state.phase.value,
        outcome=_outcome(state),
        reason=state.reason or "",
        go_at=state.go.at if state.go is not None else None,
        go_by=call(state.go.by) if state.go is not None else "",
        live_at=live_at,
        until=until,
        spans=_spans(state, verified, until),
        sections=_sections(state, items, plain),
        people=_people(events, call),
        items=items,
        steps=steps,
        overrides=overrides(events, set_, call),
        alerts=alerts(events, call),
        watch=watch_story(state),
        rollback=rollback_story(state, call),
        links=tuple(
            {name: value for name, value in event.fact.data.items() if value not in ("", None)}
            for event in events
            if event.fact.kind == "deployment.linked"
        ),
        timeline=timeline,
        head=state.head,
        broken=broken_link(events) or "",
        recorder=record(state, events, samples, boxes=boxes, live_at=live_at, until=until),
        names={user: names[user] for user in people_in(events) if user in names},
    )


def _entry(event: Event, set_: Scene, call: Callable[[str], str]) -> Entry:
    fact = event.fact
    position, key = fact.data.get("position"), str(fact.data.get("item", ""))
    if not key and isinstance(position, int) and 0 <= position < len(set_.boxes):
        key = list(set_.keys)[position]
    return Entry(
        seq=event.seq,
        at=fact.at,
        kind=fact.kind,
        actor=fact.actor,
        who=call(fact.actor),
        text=told(event, set_),
        item=key,
        key=fact.kind in KEY_KINDS or _says_live(fact),
    )


def _lead(state: Deployment, events: Sequence[Event]) -> str:
    handed = [
        e.fact.data["to"] for e in events if e.fact.kind == "lead.handed_over" and e.fact.data.get("to")
    ]
    return str(handed[-1]) if handed else state.lead


def _outcome(state: Deployment) -> str:
    progress = rollback.progress(state)
    words = {Phase.IN_PROGRESS: "in progress", Phase.FINISHED: "finished", Phase.ABORTED: "aborted"}
    if progress is None:
        return words[state.phase]
    back = "rolled back" if progress.over else "rolling back"
    if state.phase.open:
        return back
    return f"{words[state.phase]}, {back if progress.over else 'while rolling back'}"


def _verified(state: Deployment, events: Sequence[Event]) -> datetime | None:
    """When the item that says that the change is live was ticked last."""
    at = None
    for event in events:
        fact = event.fact
        if _says_live(fact):
            if fact.kind in ("item.ticked", "item.overruled"):
                at = fact.at
            elif fact.kind == "item.unticked":
                at = None
    return at


def _says_live(fact: Fact) -> bool:
    """Whether it is about the item whose tick says that the change is live."""
    return says_it_is_live(str(fact.data.get("item", ""))) and not fact.data.get("moot")


def _spans(state: Deployment, verified: datetime | None, until: datetime) -> tuple[Span, ...]:
    go, watch, back = state.go, state.aftermath.watch, state.aftermath.rollback
    live = verified if verified is not None and (go is None or verified > go.at) else None
    ends = state.ended_at
    made: list[tuple[str, datetime, datetime | None]] = []
    turn = go.at if go is not None else live
    made.append(
        (
            "Start to Go" if go is not None else "Start to live" if live else "In all",
            state.started_at,
            turn or ends,
        )
    )
    if go is not None and live is not None:
        made.append(("Go to live", go.at, live))
    if turn is not None:
        made.append((f"{'Live' if live else 'Go'} to the end", live or turn, ends))
    if watch is not None and watch.begun_at is not None:
        made.append(("The watch", watch.begun_at, watch.ended_at or ends))
    if back is not None:
        made.append(("The rollback", back.at, back.verified_at or ends))
    return tuple(
        Span(name=name, start=start, end=end, took=max((end or until) - start, timedelta()))
        for name, start, end in made
    )


def _sections(
    state: Deployment, items: Sequence[ItemStory], plain: Callable[[str], str]
) -> tuple[SectionStory, ...]:
    found, first = [], 0
    for section in state.checklist.sections:
        own = items[first : first + len(section.items)]
        first += len(own)
        ticked = [item for item in own if item.state in ("done", "contradicted") and item.by != FILE]
        times = [item.at for item in ticked if item.at is not None]
        found.append(
            SectionStory(
                title=plain(section.title) or "The checklist",
                done=sum(item.state == "done" for item in own),
                total=len(own),
                waived=sum(item.state == "waived" for item in own),
                first=min(times, default=None),
                last=max(times, default=None),
            )
        )
    return tuple(found)


def _people(events: Sequence[Event], call: Callable[[str], str]) -> tuple[Doer, ...]:
    deeds: dict[str, Counter[str]] = {}
    seen: dict[str, tuple[datetime, datetime]] = {}
    for event in events:
        fact = event.fact
        if fact.data.get("moot"):
            continue
        first, last = seen.get(fact.actor, (fact.at, fact.at))
        seen[fact.actor] = (min(first, fact.at), max(last, fact.at))
        deeds.setdefault(fact.actor, Counter())[_DEEDS.get(fact.kind, _OTHER)] += 1
    order = sorted(deeds, key=lambda user: (user == BOT, -deeds[user].total(), user))
    return tuple(
        Doer(
            id=user,
            name=call(user),
            deeds=dict(sorted(deeds[user].items(), key=lambda deed: (deed[0] == _OTHER, -deed[1]))),
            first=seen[user][0],
            last=seen[user][1],
        )
        for user in order
    )


def counted(report: Report) -> dict[str, int]:
    """The figures of a report: how many of what."""
    outcomes = Counter(item.evidence.outcome for item in report.checked if item.evidence is not None)
    people = [doer for doer in report.people if doer.id not in (BOT, CI)]
    return {
        "items": len(report.items),
        "done": report.done,
        "waived": len(report.waived),
        "open": len(report.open),
        "overruled": len(report.overruled),
        "checked": len(report.checked),
        "not_passed": sum(n for outcome, n in outcomes.items() if not Outcome(outcome).ticks),
        "people": len(people),
        "alerts": len(report.real_alerts),
        "drills": sum(alert.source == Source.DRILL for alert in report.alerts),
        "events": len(report.timeline),
    }
