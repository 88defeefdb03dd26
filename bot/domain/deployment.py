"""A deployment: its state, the facts that may be added to it, and how facts make the state."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from bot.domain.care import Care, care_after
from bot.domain.check import Outcome
from bot.domain.checklist import Checklist, Item, checklist_from_json, checklist_to_json
from bot.domain.conduct import Conduct, Gate, Hold, conduct_from_json, conduct_to_json
from bot.domain.errors import DeploymentClosed, InvalidName, ReasonMissing, ReasonTooLong
from bot.domain.events import BOT, GENESIS, Event, Fact, chain
from bot.domain.ticking import Act
from bot.domain.verification import (
    Bound,
    Go,
    Result,
    Run,
    bound_from_json,
    bound_to_json,
    result_of,
    run_after,
)
from bot.domain.watching import Aftermath, aftermath_after

#: The `by` of a box that came ticked in the checklist file.
FILE = "file"


class Phase(StrEnum):
    """Where a deployment stands."""

    IN_PROGRESS = "in_progress"
    FINISHED = "finished"
    ABORTED = "aborted"

    @property
    def open(self) -> bool:
        """Whether items can still be ticked."""
        return self is Phase.IN_PROGRESS


@dataclass(frozen=True, kw_only=True)
class Tick:
    """Who ticked an item, and when."""

    #: Slack user id, `bot`, or FILE.
    by: str
    at: datetime
    #: The event that recorded it.
    seq: int
    #: Positions of earlier steps of the same list that were still open then.
    before: tuple[int, ...] = ()
    #: Why a person ticked it although its check does not pass; empty for an ordinary tick.
    reason: str = ""
    #: The event that holds the evidence of a tick by the bot; 0 for a person's.
    evidence: int = 0


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is deployed where."""

    service: str
    version: str
    environment: str

    def __str__(self) -> str:
        return f"{self.service} {self.version} → {self.environment}"


@dataclass(frozen=True, kw_only=True)
class PreparedIn:
    """The freeze a deployment was started in all the same."""

    name: str
    reason: str
    until: datetime


def kept_from_start(data: Mapping[str, Any]) -> tuple[timedelta | None, PreparedIn | None]:
    """What the first event's data says of a quiet lead and of a freeze."""
    quiet, freeze = data.get("quiet_lead_s"), data.get("frozen")
    return (
        None if quiet is None else timedelta(seconds=quiet),
        None
        if freeze is None
        else PreparedIn(
            name=freeze["name"], reason=freeze["reason"], until=datetime.fromisoformat(freeze["until"])
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment as its events tell it."""

    id: int
    #: What people call it: service slug and id, e.g. `storefront-12`.
    name: str
    target: Target
    #: Slack team id.
    team: str
    #: Slack channel id the card stands in.
    channel: str
    #: Slack user id of the person who leads it.
    lead: str
    #: IANA time zone times are shown in where Slack cannot localise them.
    timezone: str
    #: The checklist's name in the library.
    checklist_name: str
    #: The copy made at the start.
    checklist: Checklist
    started_at: datetime
    phase: Phase = Phase.IN_PROGRESS
    ended_at: datetime | None = None
    ended_by: str | None = None
    #: Why it was aborted.
    reason: str | None = None
    #: By position in the checklist.
    ticks: Mapping[int, Tick] = field(default_factory=dict)
    #: The items a machine can verify, and the newest result of each, by position.
    bindings: Mapping[int, Bound] = field(default_factory=dict)
    results: Mapping[int, Result] = field(default_factory=dict)
    #: The run of checks under way.
    run: Run | None = None
    go: Go | None = None
    #: What came after the deploy: the watch, rollback triggers, the rollback.
    aftermath: Aftermath = field(default_factory=Aftermath)
    #: The rules people keep to, as of the start, and what they did about items besides ticking them.
    conduct: Conduct = field(default_factory=Conduct)
    care: Care = field(default_factory=Care)
    #: After how long without a word the lead is asked; None: never. Kept from the start.
    quiet_lead: timedelta | None = None
    #: The freeze it was started in all the same, until when; None where there was none.
    prepared_in: PreparedIn | None = None
    #: The newest event and its hash.
    seq: int = 0
    head: str = GENESIS

    @property
    def open_items(self) -> tuple[Item, ...]:
        """The items still to do, in order."""
        return tuple(item for at, item in enumerate(self.checklist.items) if at not in self.done)

    @property
    def boxes(self) -> tuple[Item, ...]:
        """What can be ticked: the items, and once the rollback has begun its steps. Positions count in it."""
        return self.checklist.items if self.aftermath.rollback is None else self.checklist.boxes

    @property
    def done_items(self) -> int:
        """How many of the checklist's items are done, rollback steps left out."""
        total = len(self.checklist.items)
        return sum(position < total for position in self.done)

    @cached_property
    def done(self) -> frozenset[int]:
        """Positions of the boxes that are done.

        Waived is done. Ticked is done, with two exceptions: an item that needs its check and a person waits
        for both, and a person's tick does not stand against a check that fails, unless they gave a reason.
        """
        ticked = frozenset(position for position in self.ticks if self.counts(position))
        return ticked | self.care.waivers.keys()

    def open_in(self, gate: Gate) -> tuple[Item, ...]:
        """The required items of a gate that are still to do."""
        items = self.checklist.items
        return tuple(
            items[position]
            for position in gate.positions
            if position not in self.done and position not in self.conduct.optional
        )

    def held_up(self, hold: Hold) -> tuple[tuple[Gate, tuple[Item, ...]], ...]:
        """The gates in the way of Go or of the end, each with what is open."""
        gates = [gate for gate in self.conduct.gates if hold in gate.holds]
        return tuple((gate, left) for gate in gates if (left := self.open_in(gate)))

    def counts(self, position: int) -> bool:
        """Whether the tick of a box counts, as `done` says."""
        tick, bound = self.ticks[position], self.bindings.get(position)
        if bound is None or tick.by == BOT or tick.reason:
            return True
        result = self.results.get(position)
        if bound.human:
            return result is not None and result.outcome.ticks
        return result is None or result.outcome is not Outcome.FAIL

    def closed_gate(self, position: int) -> Gate | None:
        """The first gate before an item that has to be passed before the item may be ticked, or None."""
        if position >= len(self.checklist.items):
            return None
        return next((gate for gate in self.conduct.gates_before(position) if self.open_in(gate)), None)

    def wants_reason(self, position: int) -> bool:
        """Whether a person who ticks this item overrules its check, and so has to say why."""
        result = self.results.get(position)
        return position in self.bindings and result is not None and not result.outcome.ticks


#: Longest reason for an abort. Own choice: it stands on the card, beside everything else.
REASON = 1000

_NAME = re.compile(r"[\w][\w.+:@/~-]*", re.UNICODE)
#: Longest service, version and environment. Own choice: all three fit a Slack header of 150 characters.
LIMITS = {"service": 50, "version": 60, "environment": 30}


def checked_name(what: str, value: str) -> str:
    """The value, trimmed, if it can name a service, version or environment.

    Raises InvalidName, which says what is allowed.
    """
    value = value.strip()
    if not value or len(value) > LIMITS[what] or not _NAME.fullmatch(value):
        raise InvalidName(what, value, limit=LIMITS[what])
    return value


def checked_target(service: str, version: str, environment: str) -> Target:
    """The three names, each checked. Raises InvalidName for the first that is not usable."""
    return Target(
        service=checked_name("service", service),
        version=checked_name("version", version),
        environment=checked_name("environment", environment),
    )


def slug(service: str) -> str:
    """The service as part of a deployment's name: lower case, at most 30 characters."""
    return re.sub(r"[^\w]+", "-", service.casefold()).strip("-_")[:30].rstrip("-") or "deployment"


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────


def started(
    *,
    name: str,
    target: Target,
    team: str,
    channel: str,
    lead: str,
    timezone: str,
    checklist_name: str,
    checklist: Checklist,
    bindings: Mapping[int, Bound] | None = None,
    conduct: Conduct | None = None,
    by: str = "",
    also: Mapping[str, Any] | None = None,
    at: datetime,
) -> Fact:
    """The first fact of a deployment; it carries the checklist's copy, which items have checks, the rules.

    `by` is who started it where that was not the lead: CI. `also` is what else holds from the start: see
    `kept_from_start`; and whose turn it was, `over_turn_of`.
    """
    return Fact(
        kind="deployment.started",
        actor=by or lead,
        at=at,
        data={
            **({"lead": lead} if by else {}),
            "name": name,
            "service": target.service,
            "version": target.version,
            "environment": target.environment,
            "team": team,
            "channel": channel,
            "timezone": timezone,
            "checklist_name": checklist_name,
            "checklist": checklist_to_json(checklist),
            "checks": bound_to_json(bindings or {}),
            "conduct": conduct_to_json(conduct or Conduct()),
            **(also or {}),
        },
    )


@dataclass(frozen=True, kw_only=True)
class TickOutcome:
    """What came of one click."""

    #: To be appended to the history.
    facts: tuple[Fact, ...] = ()
    #: Steps ticked while earlier ones were open: (the step, the first open step before it).
    out_of_order: tuple[tuple[Item, Item], ...] = ()
    #: Items whose tick was kept although the person unticked a stale drawing of it.
    kept: tuple[Item, ...] = ()
    #: Positions that were not ticked because the check does not pass: the person must say why it may be.
    needs_reason: tuple[int, ...] = ()
    #: Items that were not ticked because a gate before them is not passed: (the item, the gate).
    behind: tuple[tuple[Item, Gate], ...] = ()


def tick(
    deployment: Deployment, acts: Iterable[Act], *, user: str, at: datetime, drawn_seq: int
) -> TickOutcome:
    """The facts of one person's acts on a drawing of the state as of event `drawn_seq`.

    Every act is recorded under its user. It changes the state only where it says something new: a tick of an
    item somebody else ticked meanwhile leaves that person's tick, and unticking a stale drawing does not
    undo a tick that was made after it. Raises DeploymentClosed.
    """
    acts = tuple(acts)
    if acts and not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    items = deployment.boxes
    ticks = dict(deployment.ticks)
    facts: list[Fact] = []
    out_of_order: list[tuple[Item, Item]] = []
    kept: list[Item] = []
    needs_reason: list[int] = []
    behind: list[tuple[Item, Gate]] = []
    seq = deployment.seq

    def closed(position: int) -> Gate | None:
        """Whether a gate is in the way, with what was ticked before in the same go."""
        if not deployment.conduct.gates_before(position):
            return None
        return replace(deployment, ticks=dict(ticks)).closed_gate(position)

    for act in acts:
        seq += 1
        item, current = items[act.position], ticks.get(act.position)
        data: dict[str, Any] = {"item": item.key, "position": act.position}
        if not act.live or act.ticked == (current is not None):
            data["moot"] = True
        elif act.ticked and (gate := closed(act.position)) is not None:
            data["moot"] = True
            data["gate"] = gate.title
            behind.append((item, gate))
        elif act.ticked and deployment.wants_reason(act.position):
            data["moot"] = True
            data["wanted_reason"] = True
            needs_reason.append(act.position)
        elif act.ticked:
            passed = {**ticks, **deployment.care.waivers}
            before = open_steps_before(deployment.checklist, act.position, passed)
            if before:
                data["before"] = list(before)
                out_of_order.append((item, items[before[0]]))
            ticks[act.position] = Tick(by=user, at=at, seq=seq, before=before)
        elif current is not None and current.seq > drawn_seq and current.by != user:
            data["moot"] = True
            kept.append(item)
        else:
            del ticks[act.position]
        kind = "item.ticked" if act.ticked else "item.unticked"
        facts.append(Fact(kind=kind, actor=user, at=at, data=data))
    return TickOutcome(
        facts=tuple(facts),
        out_of_order=tuple(out_of_order),
        kept=tuple(kept),
        needs_reason=tuple(needs_reason),
        behind=tuple(behind),
    )


def open_steps_before(checklist: Checklist, position: int, ticks: Container[int]) -> tuple[int, ...]:
    """The open steps that stand before this step in its group, at its own depth."""
    start = len(checklist.items)
    if position >= start:
        return tuple(at for at in range(start, position) if at not in ticks)
    start = 0
    for section in checklist.sections:
        for group in section.groups:
            if start <= position < start + len(group.items):
                step = group.items[position - start]
                if not step.ordered:
                    return ()
                return tuple(
                    start + at
                    for at, item in enumerate(group.items[: position - start])
                    if item.ordered and item.depth == step.depth and start + at not in ticks
                )
            start += len(group.items)
    return ()


def finished(deployment: Deployment, *, user: str, at: datetime) -> Fact:
    """The end of a deployment that went through; what was left open is named. Raises DeploymentClosed."""
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    left = [item.key for item in deployment.open_items]
    return Fact(kind="deployment.finished", actor=user, at=at, data={"open_items": left})


def announced(
    deployment: Deployment, *, what: str, channel: str, words: str, user: str, at: datetime
) -> Fact:
    """Another channel is told: `notify` with words, `share` with the figures. Raises ReasonTooLong."""
    words = " ".join(words.split())
    if len(words) > REASON:
        raise ReasonTooLong(len(words), limit=REASON)
    return Fact(
        kind="deployment.announced",
        actor=user,
        at=at,
        data={"what": what, "channel": channel, "words": words},
    )


def aborted(deployment: Deployment, *, user: str, at: datetime, reason: str) -> Fact:
    """The end of a deployment that was called off. Raises DeploymentClosed, ReasonMissing, ReasonTooLong."""
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    reason = " ".join(reason.split())
    if not reason:
        raise ReasonMissing(deployment.name)
    if len(reason) > REASON:
        raise ReasonTooLong(len(reason), limit=REASON)
    return Fact(kind="deployment.aborted", actor=user, at=at, data={"reason": reason})


# ── from facts to state ──────────────────────────────────────────────────────────────────────────────────


def fold(events: Iterable[Event]) -> Deployment:
    """The state a history makes. Raises ValueError for a history that does not begin with a start."""
    state: Deployment | None = None
    for event in events:
        state = _begin(event) if state is None else apply(state, event)
    if state is None:
        raise ValueError("a history without events makes no deployment")
    return state


def _begin(event: Event) -> Deployment:
    fact, data = event.fact, event.fact.data
    if fact.kind != "deployment.started":
        raise ValueError(f"a history begins with deployment.started, not {fact.kind}")
    quiet_lead, prepared_in = kept_from_start(data)
    return Deployment(
        id=event.deployment_id,
        name=data["name"],
        target=Target(service=data["service"], version=data["version"], environment=data["environment"]),
        team=data["team"],
        channel=data["channel"],
        lead=data.get("lead", fact.actor),
        timezone=data["timezone"],
        checklist_name=data["checklist_name"],
        checklist=checklist_from_json(data["checklist"]),
        started_at=fact.at,
        ticks=_ticked_in_the_file(data["checklist"], event),
        bindings=bound_from_json(data.get("checks", {})),
        conduct=conduct_from_json(data.get("conduct", {})),
        quiet_lead=quiet_lead,
        prepared_in=prepared_in,
        seq=event.seq,
        head=event.hash,
    )


def _ticked_in_the_file(checklist: Mapping[str, Any], event: Event) -> dict[int, Tick]:
    """Boxes the file had ticked already: nobody did them in this deployment, so nobody's name goes there."""
    boxes = (item for section in checklist["sections"] for g in section["groups"] for item in g["items"])
    tick_ = Tick(by=FILE, at=event.fact.at, seq=event.seq)
    return {position: tick_ for position, item in enumerate(boxes) if item["checked"]}


def extend(state: Deployment, facts: Iterable[Fact]) -> tuple[Deployment, tuple[Event, ...]]:
    """The state after these facts, and the events that record them."""
    added = chain(facts, deployment_id=state.id, seq=state.seq, head=state.head)
    for event in added:
        state = apply(state, event)
    return state, added


def apply(state: Deployment, event: Event) -> Deployment:
    """The state after one more event. An event of an unknown kind only moves `seq` and `head`."""
    fact, data = event.fact, event.fact.data
    state = replace(
        state,
        seq=event.seq,
        head=event.hash,
        aftermath=aftermath_after(state.aftermath, event),
        care=care_after(state.care, event),
    )
    match fact.kind:
        case "item.ticked" | "item.overruled" if not data.get("moot"):
            made = Tick(
                by=fact.actor,
                at=fact.at,
                seq=event.seq,
                before=tuple(data.get("before", ())),
                reason=data.get("reason", ""),
                evidence=data.get("evidence", 0) if fact.actor == BOT else 0,
            )
            ticks = {**state.ticks, data["position"]: made}
            return replace(state, ticks=ticks, run=run_after(state.run, event))
        case "item.unticked" if not data.get("moot"):
            ticks = {at: made for at, made in state.ticks.items() if at != data["position"]}
            return replace(state, ticks=ticks, run=run_after(state.run, event))
        case "deployment.finished":
            return replace(state, phase=Phase.FINISHED, ended_at=fact.at, ended_by=fact.actor, run=None)
        case "deployment.aborted":
            return replace(
                state,
                phase=Phase.ABORTED,
                ended_at=fact.at,
                ended_by=fact.actor,
                reason=data["reason"],
                run=None,
            )
        case "lead.handed_over":
            return replace(state, lead=data["to"])
        case "deployment.go":
            return replace(state, go=Go(by=fact.actor, at=fact.at, seq=event.seq))
        case "deployment.no_go":
            return replace(state, go=None, run=run_after(state.run, event))
        case "check.recorded":
            position = data["position"]
            result = result_of(data["result"], event.seq, before=state.results.get(position))
            results = {**state.results, position: result}
            return replace(state, results=results, run=run_after(state.run, event))
        case "checks.requested" | "checks.ended" | "checks.cancelled":
            return replace(state, run=run_after(state.run, event))
    return state
