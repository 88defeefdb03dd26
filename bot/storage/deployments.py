"""Deployments: their events, and the projections made from them in the same transaction."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.care import Care, care_from_json, care_to_json
from bot.domain.check import Outcome
from bot.domain.checklist import Checklist, checklist_from_json
from bot.domain.conduct import Conduct, conduct_from_json
from bot.domain.deployment import (
    Deployment,
    Phase,
    PreparedIn,
    Target,
    Tick,
    extend,
    fold,
    kept_from_start,
)
from bot.domain.events import GENESIS, Event, Fact, canonical, chain
from bot.domain.nudging import WAITED_FOR, NudgeLevel, Quiet
from bot.domain.verification import Bound, Go, Result, bound_from_json, run_from_json, run_to_json
from bot.domain.watching import Aftermath, TriggerState, aftermath_from_json, aftermath_to_json
from bot.storage.installations import served
from bot.storage.schema import deployments, events, results, ticks

#: How many deployments' states are kept in memory. A state of 107 items is about 100 kB.
CACHED = 200


@dataclass(frozen=True, kw_only=True)
class Brief:
    """A deployment without its history: what it is, where, and since when."""

    id: int
    name: str
    team: str
    channel: str
    lead: str
    #: Service and version.
    what: str
    deployed_at: datetime | None


class Heard(Protocol):
    """Hears of events as they are stored: what follows from them is stored with them, or not at all."""

    async def __call__(self, tx: AsyncConnection, after: Deployment, added: Sequence[Event]) -> None:
        """The state, and the events that led to it."""


class Deployments:
    """Reads and appends histories, keeping recent states at hand.

    A kept state is used only when the stored row carries the same event hash, so another replica's work, a
    rolled-back transaction or a restart can never make it wrong.
    """

    def __init__(self, heard: Sequence[Heard] = ()) -> None:
        self._kept: OrderedDict[int, Deployment] = OrderedDict()
        #: Told of everything that is stored, in its transaction.
        self._heard = tuple(heard)

    async def create(self, tx: AsyncConnection, fact: Fact) -> int:
        """A row for a new deployment, still without its first event; its id.

        The name is made from the id, so the fact carries a placeholder, anything unique, until `begin`.
        """
        data = fact.data
        result = await tx.execute(
            insert(deployments).values(
                name=data["name"],
                team=data["team"],
                channel=data["channel"],
                service=data["service"],
                version=data["version"],
                environment=data["environment"],
                checklist_name=data["checklist_name"],
                lead=data.get("lead", fact.actor),
                timezone=data["timezone"],
                phase=Phase.IN_PROGRESS,
                started_at=fact.at,
                seq=0,
                head=GENESIS,
            )
        )
        key = result.inserted_primary_key
        assert key is not None
        return int(key[0])

    async def begin(self, tx: AsyncConnection, deployment_id: int, fact: Fact) -> Deployment:
        """Append the first event and name the row. Returns the state."""
        first = chain([fact], deployment_id=deployment_id, seq=0, head=GENESIS)
        await _insert_events(tx, first)
        state = fold(first)
        await _project(tx, None, state)
        await self._tell(tx, state, first)
        self._keep(state)
        return state

    async def append(self, tx: AsyncConnection, state: Deployment, facts: Iterable[Fact]) -> Deployment:
        """Append facts to a state that was read with `locked` in this transaction. Returns the new state."""
        after, added = extend(state, facts)
        await self.store(tx, state, after, added)
        return after

    async def store(
        self, tx: AsyncConnection, before: Deployment, after: Deployment, added: Sequence[Event]
    ) -> None:
        """Store the events that lead from one state, read with `locked` here, to another."""
        if added:
            await _insert_events(tx, added)
            await _project(tx, before, after)
            await self._tell(tx, after, added)
            self._keep(after)

    async def _tell(self, tx: AsyncConnection, after: Deployment, added: Sequence[Event]) -> None:
        for heard in self._heard:
            await heard(tx, after, added)

    async def get(
        self, tx: AsyncConnection, deployment_id: int, *, locked: bool = False
    ) -> Deployment | None:
        """The state of one deployment; `locked` holds it against other writers until the transaction ends."""
        query = select(deployments).where(deployments.c.id == deployment_id)
        if locked:
            query = query.with_for_update()
        row = (await tx.execute(query)).one_or_none()
        return None if row is None else await self._state(tx, row)

    def kept(self, deployment_id: int) -> Deployment | None:
        """The state at hand, if any: old perhaps, but what a deployment began with never changes."""
        return self._kept.get(deployment_id)

    async def named(self, tx: AsyncConnection, team: str, name: str) -> Deployment | None:
        """The deployment people call `name`, or None."""
        query = select(deployments).where(
            deployments.c.team == team, func.lower(deployments.c.name) == name.casefold()
        )
        row = (await tx.execute(query)).one_or_none()
        return None if row is None else await self._state(tx, row)

    async def open(self, tx: AsyncConnection, team: str, channel: str | None = None) -> list[Deployment]:
        """The open deployments of a workspace or of one channel, oldest first."""
        query = select(deployments).where(
            deployments.c.team == team, deployments.c.phase == Phase.IN_PROGRESS
        )
        if channel is not None:
            query = query.where(deployments.c.channel == channel)
        rows = (await tx.execute(query.order_by(deployments.c.id))).all()
        return [await self._state(tx, row) for row in rows]

    async def holder(self, tx: AsyncConnection, team: str, target: Target) -> Deployment | None:
        """The open deployment of this service to this environment, or None."""
        query = select(deployments).where(
            and_(
                deployments.c.team == team,
                func.lower(deployments.c.service) == func.lower(target.service),
                func.lower(deployments.c.environment) == func.lower(target.environment),
                deployments.c.phase == Phase.IN_PROGRESS,
            )
        )
        row = (await tx.execute(query)).one_or_none()
        return None if row is None else await self._state(tx, row)

    async def newest(self, tx: AsyncConnection, team: str, channel: str) -> Deployment | None:
        """The deployment that was started last in a channel, or None."""
        query = select(deployments).where(deployments.c.team == team, deployments.c.channel == channel)
        row = (await tx.execute(query.order_by(deployments.c.id.desc()).limit(1))).one_or_none()
        return None if row is None else await self._state(tx, row)

    async def ids(self, tx: AsyncConnection) -> list[int]:
        """Every deployment's id, in order."""
        return list((await tx.execute(select(deployments.c.id).order_by(deployments.c.id))).scalars())

    async def running(self, tx: AsyncConnection) -> list[Deployment]:
        """The deployments with a run of checks under way, oldest first."""
        query = select(deployments).where(
            deployments.c.phase == Phase.IN_PROGRESS, deployments.c.run.is_not(None)
        )
        return [
            await self._state(tx, row) for row in (await tx.execute(query.order_by(deployments.c.id))).all()
        ]

    async def opened_for(self, tx: AsyncConnection, service: str, environment: str) -> list[Deployment]:
        """The open deployments of a service to an environment, of every workspace, oldest first."""
        query = select(deployments).where(
            func.lower(deployments.c.service) == service.lower(),
            func.lower(deployments.c.environment) == environment.lower(),
            deployments.c.phase == Phase.IN_PROGRESS,
        )
        return [
            await self._state(tx, row) for row in (await tx.execute(query.order_by(deployments.c.id))).all()
        ]

    async def alarmed(self, tx: AsyncConnection) -> list[Deployment]:
        """The open deployments with a raised trigger, oldest first, in workspaces that have the bot."""
        raised = [
            deployments.c.aftermath.contains(f'"state":"{state}"')
            for state in (TriggerState.FIRING, TriggerState.ACKNOWLEDGED)
        ]
        query = select(deployments).where(
            deployments.c.phase == Phase.IN_PROGRESS, or_(*raised), served(deployments.c.team)
        )
        return [
            await self._state(tx, row) for row in (await tx.execute(query.order_by(deployments.c.id))).all()
        ]

    async def ended_lately(self, tx: AsyncConnection, team: str, *, most: int) -> list[Brief]:
        """The deployments of a workspace that ended last, the newest first."""
        query = select(deployments).where(deployments.c.team == team, deployments.c.ended_at.is_not(None))
        rows = await tx.execute(query.order_by(deployments.c.ended_at.desc()).limit(most))
        return [_brief(row) for row in rows]

    async def newest_of_each(
        self, tx: AsyncConnection, team: str, lead: str, *, most: int
    ) -> list[tuple[str, str, str, str]]:
        """What a person deployed lately, the newest first: (service, environment, checklist, channel)."""
        newest = (
            select(func.max(deployments.c.id))
            .where(deployments.c.team == team, deployments.c.lead == lead, deployments.c.seq > 0)
            .group_by(func.lower(deployments.c.service), func.lower(deployments.c.environment))
        )
        query = select(deployments).where(deployments.c.id.in_(newest))
        rows = await tx.execute(query.order_by(deployments.c.id.desc()).limit(most))
        return [(row.service, row.environment, row.checklist_name, row.channel) for row in rows]

    async def deployed_between(
        self, tx: AsyncConnection, team: str, environment: str, *, low: datetime, high: datetime
    ) -> list[Brief]:
        """What went live in an environment then, in that order."""
        query = select(deployments).where(
            deployments.c.team == team,
            func.lower(deployments.c.environment) == environment.lower(),
            deployments.c.deployed_at.between(low, high),
        )
        return [_brief(row) for row in await tx.execute(query.order_by(deployments.c.deployed_at))]

    async def environments(self, tx: AsyncConnection, team: str) -> list[str]:
        """The environments anything was ever deployed to."""
        query = select(deployments.c.environment).where(deployments.c.team == team).distinct()
        return list((await tx.execute(query)).scalars())

    async def all_open(self, tx: AsyncConnection) -> list[Deployment]:
        """The open deployments of every workspace, oldest first."""
        query = select(deployments).where(deployments.c.phase == Phase.IN_PROGRESS)
        return [
            await self._state(tx, row) for row in (await tx.execute(query.order_by(deployments.c.id))).all()
        ]

    async def quiet(self, tx: AsyncConnection, state: Deployment) -> Quiet:
        """How long the lead of a deployment has been quiet."""
        of = select(func.max(events.c.at), func.max(events.c.seq)).where(events.c.deployment_id == state.id)
        heard = or_(events.c.actor == state.lead, events.c.kind == "lead.handed_over")
        _, since_seq = (await tx.execute(of.where(heard))).one()
        since, _ = (await tx.execute(of.where(or_(heard, events.c.kind.in_(WAITED_FOR))))).one()
        nudges = await self.since(tx, state.id, 0, "lead.nudged")
        levels = [event.fact.data["level"] for event in nudges if event.seq > (since_seq or 0)]
        return Quiet(
            since=since or state.started_at,
            level=NudgeLevel(max(levels, default=0)),
            nudged_at=nudges[-1].fact.at if nudges else None,
        )

    async def event(self, tx: AsyncConnection, deployment_id: int, seq: int) -> Event | None:
        """One event of a deployment, or None."""
        query = select(events).where(events.c.deployment_id == deployment_id, events.c.seq == seq)
        row = (await tx.execute(query)).one_or_none()
        return None if row is None else _event(row)

    async def since(self, tx: AsyncConnection, deployment_id: int, seq: int, kind: str) -> list[Event]:
        """The events of this kind after event `seq`, in order."""
        query = select(events).where(
            events.c.deployment_id == deployment_id, events.c.seq > seq, events.c.kind == kind
        )
        return [_event(row) for row in (await tx.execute(query.order_by(events.c.seq))).all()]

    async def history(self, tx: AsyncConnection, deployment_id: int) -> list[Event]:
        """Every event of a deployment, in order."""
        query = select(events).where(events.c.deployment_id == deployment_id).order_by(events.c.seq)
        return [_event(row) for row in (await tx.execute(query)).all()]

    async def projected(self, tx: AsyncConnection, deployment_id: int) -> Deployment:
        """The state as the projection tables tell it, read afresh."""
        self._kept.pop(deployment_id, None)
        state = await self.get(tx, deployment_id)
        assert state is not None
        return state

    async def rebuild(self, tx: AsyncConnection, state: Deployment) -> None:
        """Make the projections of this deployment again from a state folded from its events."""
        await tx.execute(delete(ticks).where(ticks.c.deployment_id == state.id))
        await tx.execute(delete(results).where(results.c.deployment_id == state.id))
        await _project(tx, None, state)
        self._keep(state)

    async def _state(self, tx: AsyncConnection, row: Row[Any]) -> Deployment:
        kept = self._kept.get(row.id)
        if kept is not None and kept.head == row.head and kept.phase == row.phase:
            self._kept.move_to_end(row.id)
            return kept
        copies = _Copies.of(kept) if kept is not None else await _copies(tx, row.id)
        stored = await tx.execute(select(ticks).where(ticks.c.deployment_id == row.id))
        found = await tx.execute(select(results).where(results.c.deployment_id == row.id))
        state = Deployment(
            id=row.id,
            name=row.name,
            target=Target(service=row.service, version=row.version, environment=row.environment),
            team=row.team,
            channel=row.channel,
            lead=row.lead,
            timezone=row.timezone,
            checklist_name=row.checklist_name,
            checklist=copies.checklist,
            started_at=row.started_at,
            phase=Phase(row.phase),
            ended_at=row.ended_at,
            ended_by=row.ended_by,
            reason=row.reason,
            ticks={
                t.position: Tick(
                    by=t.by,
                    at=t.at,
                    seq=t.seq,
                    before=tuple(json.loads(t.before)),
                    reason=t.reason or "",
                    evidence=t.evidence or 0,
                )
                for t in stored
            },
            bindings=copies.bindings,
            quiet_lead=copies.quiet_lead,
            prepared_in=copies.prepared_in,
            results={r.position: _result(r) for r in found},
            run=None if row.run is None else run_from_json(json.loads(row.run)),
            go=None if row.go_at is None else Go(by=row.go_by, at=row.go_at, seq=row.go_seq),
            aftermath=Aftermath()
            if row.aftermath is None
            else aftermath_from_json(json.loads(row.aftermath)),
            conduct=copies.conduct,
            care=Care() if row.care is None else care_from_json(json.loads(row.care)),
            seq=row.seq,
            head=row.head,
        )
        self._keep(state)
        return state

    def _keep(self, state: Deployment) -> None:
        self._kept[state.id] = state
        self._kept.move_to_end(state.id)
        if len(self._kept) > CACHED:
            self._kept.popitem(last=False)


@dataclass(frozen=True, kw_only=True)
class _Copies:
    """What the first event keeps for good."""

    checklist: Checklist
    bindings: Mapping[int, Bound]
    conduct: Conduct
    quiet_lead: timedelta | None
    prepared_in: PreparedIn | None

    @classmethod
    def of(cls, state: Deployment) -> _Copies:
        """Those of a state that is at hand."""
        return cls(
            checklist=state.checklist,
            bindings=state.bindings,
            conduct=state.conduct,
            quiet_lead=state.quiet_lead,
            prepared_in=state.prepared_in,
        )


async def _copies(tx: AsyncConnection, deployment_id: int) -> _Copies:
    """What the first event keeps."""
    query = select(events.c.data).where(events.c.deployment_id == deployment_id, events.c.seq == 1)
    data = json.loads((await tx.execute(query)).scalar_one())
    quiet_lead, prepared_in = kept_from_start(data)
    return _Copies(
        checklist=checklist_from_json(data["checklist"]),
        bindings=bound_from_json(data.get("checks", {})),
        conduct=conduct_from_json(data.get("conduct", {})),
        quiet_lead=quiet_lead,
        prepared_in=prepared_in,
    )


def _result(row: Row[Any]) -> Result:
    return Result(
        outcome=Outcome(row.outcome),
        said=row.said,
        at=row.at,
        expires_at=row.expires_at,
        seq=row.seq,
        ms=row.ms,
        facts=json.loads(row.facts),
    )


def _brief(row: Row[Any]) -> Brief:
    return Brief(
        id=row.id,
        name=row.name,
        team=row.team,
        channel=row.channel,
        lead=row.lead,
        what=f"{row.service} {row.version}",
        deployed_at=row.deployed_at,
    )


async def _insert_events(tx: AsyncConnection, added: Sequence[Event]) -> None:
    await tx.execute(
        insert(events),
        [
            {
                "deployment_id": event.deployment_id,
                "seq": event.seq,
                "at": event.fact.at,
                "actor": event.fact.actor,
                "kind": event.fact.kind,
                "data": canonical(event.fact.data),
                "previous": event.previous,
                "hash": event.hash,
            }
            for event in added
        ],
    )


def _event(row: Row[Any]) -> Event:
    fact = Fact(kind=row.kind, actor=row.actor, at=row.at, data=json.loads(row.data))
    return Event(
        deployment_id=row.deployment_id, seq=row.seq, fact=fact, previous=row.previous, hash=row.hash
    )


async def _project(tx: AsyncConnection, before: Deployment | None, after: Deployment) -> None:
    known = before.ticks if before is not None else {}
    gone = [at for at, tick in known.items() if after.ticks.get(at) != tick]
    if gone:
        await tx.execute(delete(ticks).where(ticks.c.deployment_id == after.id, ticks.c.position.in_(gone)))
    new = [
        {
            "deployment_id": after.id,
            "position": at,
            "by": tick.by,
            "at": tick.at,
            "seq": tick.seq,
            "before": json.dumps(tick.before),
            "reason": tick.reason or None,
            "evidence": tick.evidence or None,
        }
        for at, tick in after.ticks.items()
        if known.get(at) != tick
    ]
    if new:
        await tx.execute(insert(ticks), new)
    await _project_results(tx, before, after)
    values: dict[str, Any] = {"seq": after.seq, "head": after.head}
    if before is None or before.run != after.run:
        values["run"] = None if after.run is None else canonical(run_to_json(after.run))
    if before is None or before.go != after.go:
        go = after.go
        values |= {
            "go_by": go and go.by,
            "go_at": go and go.at,
            "go_seq": go and go.seq,
        }
    if before is None or before.aftermath != after.aftermath:
        values["aftermath"] = canonical(aftermath_to_json(after.aftermath))
        deployed = after.aftermath.deployed
        values["deployed_at"] = deployed and deployed.at
    if before is None or before.care != after.care:
        values["care"] = canonical(care_to_json(after.care))
    if before is None or before.lead != after.lead:
        values["lead"] = after.lead
    if before is None or before.phase != after.phase:
        values |= {
            "name": after.name,
            "phase": after.phase,
            "ended_at": after.ended_at,
            "ended_by": after.ended_by,
            "reason": after.reason,
        }
    await tx.execute(update(deployments).where(deployments.c.id == after.id).values(values))


async def _project_results(tx: AsyncConnection, before: Deployment | None, after: Deployment) -> None:
    known = before.results if before is not None else {}
    changed = {at: result for at, result in after.results.items() if known.get(at) is not result}
    if not changed:
        return
    await tx.execute(
        delete(results).where(results.c.deployment_id == after.id, results.c.position.in_(list(changed)))
    )
    await tx.execute(
        insert(results),
        [
            {
                "deployment_id": after.id,
                "position": position,
                "outcome": result.outcome.value,
                "said": result.said,
                "at": result.at,
                "expires_at": result.expires_at,
                "seq": result.seq,
                "ms": result.ms,
                "facts": canonical(result.facts),
            }
            for position, result in changed.items()
        ],
    )
