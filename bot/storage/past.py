"""Reads what figures need of many deployments at once: a few queries by kind, no history is folded.

Each goes through the events by deployment, in the order of their primary key, and lets the database take the
particulars out of the JSON: large ones (evidence, checklists) never leave it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import JSON, BigInteger, ColumnElement, and_, case, cast, func, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Phase
from bot.storage.schema import deployments, events

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Events that decide how a deployment went.
COURSE = (
    "trigger.fired",
    "trigger.cleared",
    "trigger.recovered",
    "trigger.updated",
    "trigger.worsened",
    "rollback.started",
    "deployment.linked",
)
#: Ids named in one query; SQLite takes 32,766 variables (SQLite docs: limits).
CHUNK = 10_000


class PastRow(NamedTuple):
    """A deployment as its projection tells it."""

    id: int
    service: str
    environment: str
    checklist_name: str
    phase: str
    started_at: datetime
    deployed_at: datetime | None
    ended_at: datetime | None


class CourseRow(NamedTuple):
    """An event that decides how a deployment went."""

    deployment: int
    kind: str
    actor: str
    at: datetime
    data: dict[str, Any]


async def deployments_since(
    tx: AsyncConnection, since: datetime, *, team: str = "", service: str = "", environment: str = ""
) -> list[PastRow]:
    """Deployments that were live, ended or under way since then; empty words leave nothing out."""
    d = deployments.c
    newest = func.coalesce(d.deployed_at, d.ended_at, d.started_at)
    query = select(
        d.id,
        d.service,
        d.environment,
        d.checklist_name,
        d.phase,
        d.started_at,
        d.deployed_at,
        d.ended_at,
    ).where(or_(newest >= since, and_(d.phase == Phase.IN_PROGRESS, d.deployed_at.is_(None))))
    if team:
        query = query.where(d.team == team)
    if service:
        query = query.where(func.lower(d.service) == service.lower())
    if environment:
        query = query.where(func.lower(d.environment) == environment.lower())
    return [PastRow(*row) for row in await tx.execute(query.order_by(d.id))]


async def course(tx: AsyncConnection, ids: Sequence[int]) -> list[CourseRow]:
    """The events that decide how these deployments went, in order."""
    e = events.c
    found: list[CourseRow] = []
    for some in _chunks(ids):
        query = select(e.deployment_id, e.kind, e.actor, e.at, e.data).where(
            e.deployment_id.in_(some), e.kind.in_(COURSE)
        )
        found += [
            CourseRow(row[0], row[1], row[2], row[3], json.loads(row[4]))
            for row in await tx.execute(query.order_by(e.deployment_id, e.seq))
        ]
    return found


async def ticks(tx: AsyncConnection, ids: Sequence[int]) -> list[tuple[int, str, str, datetime]]:
    """(deployment, key of the item, who, when) of each tick that changed something, in order."""
    e = events.c
    found: list[tuple[int, str, str, datetime]] = []
    for some in _chunks(ids):
        query = select(e.deployment_id, _field(tx, "item"), e.actor, type_coerce(e.at, BigInteger)).where(
            e.deployment_id.in_(some),
            e.kind.in_(("item.ticked", "item.overruled")),
            # As `canonical` writes it; a quote inside a text would be escaped.
            ~e.data.contains('"moot":true'),
        )
        found += [
            (row[0], row[1], row[2], _EPOCH + timedelta(microseconds=row[3]))
            for row in await tx.execute(query.order_by(e.deployment_id, e.seq))
        ]
    return found


async def checks(tx: AsyncConnection, ids: Sequence[int]) -> dict[str, tuple[int, int]]:
    """By key of the item: in how many of these deployments it was checked, and how often it did not pass."""
    e = events.c
    found: dict[str, tuple[int, int]] = {}
    for some in _chunks(ids):
        item, outcome = _field(tx, "item"), _field(tx, "result", "outcome")
        query = (
            select(
                item,
                func.count(e.deployment_id.distinct()),
                func.sum(case((outcome == "pass", 0), else_=1)),
            )
            .where(e.deployment_id.in_(some), e.kind == "check.recorded")
            .group_by(item)
        )
        for key, times, bad in await tx.execute(query):
            known, failed = found.get(key, (0, 0))
            found[key] = known + times, failed + int(bad)
    return found


async def checklists(tx: AsyncConnection, ids: Iterable[int]) -> list[dict[str, Any]]:
    """The copies of the checklist these deployments were started with."""
    e = events.c
    query = select(e.data).where(e.deployment_id.in_(list(ids)), e.seq == 1).order_by(e.deployment_id)
    return [json.loads(data)["checklist"] for data in (await tx.execute(query)).scalars()]


def _field(tx: AsyncConnection, *path: str) -> ColumnElement[Any]:
    """One particular of an event, as text."""
    if tx.dialect.name == "sqlite":
        return func.json_extract(events.c.data, f"$.{'.'.join(path)}")
    return func.json_extract_path_text(cast(events.c.data, JSON), *path)


def _chunks(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
