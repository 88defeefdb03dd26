"""Locks: what is locked, by whom, and who lifted it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Target
from bot.domain.events import BOT
from bot.domain.locks import Lock
from bot.storage.schema import locks


async def add(
    tx: AsyncConnection,
    *,
    team: str,
    service: str,
    environment: str,
    by: str,
    reason: str,
    at: datetime,
    until: datetime | None,
) -> Lock:
    """Lock it; the database refuses a second active lock of the same with an IntegrityError."""
    values: dict[str, Any] = {
        "team": team,
        "service": service,
        "environment": environment,
        "by": by,
        "reason": reason,
        "at": at,
        "until": until,
    }
    key = (await tx.execute(insert(locks).values(values))).inserted_primary_key
    assert key is not None
    return Lock(id=int(key[0]), **values)


async def active(tx: AsyncConnection, team: str, *, at: datetime, service: str | None = None) -> list[Lock]:
    """The locks of a workspace, or of a service, that hold then, oldest first."""
    query = select(locks).where(
        locks.c.team == team, locks.c.released_at.is_(None), or_(locks.c.until.is_(None), locks.c.until > at)
    )
    if service is not None:
        query = query.where(func.lower(locks.c.service) == func.lower(service))
    return [_lock(row) for row in await tx.execute(query.order_by(locks.c.id))]


async def covering(tx: AsyncConnection, team: str, target: Target, *, at: datetime) -> list[Lock]:
    """The locks that hold for this target then, the one that holds longest first."""
    found = [lock for lock in await active(tx, team, at=at, service=target.service) if lock.covers(target)]
    return sorted(
        found, key=lambda lock: (lock.until is not None, -lock.until.timestamp() if lock.until else 0)
    )


async def get(tx: AsyncConnection, lock_id: int) -> Lock | None:
    """One lock, or None."""
    row = (await tx.execute(select(locks).where(locks.c.id == lock_id))).one_or_none()
    return None if row is None else _lock(row)


async def release(tx: AsyncConnection, ids: Iterable[int], *, by: str, at: datetime) -> int:
    """Lift these, where nobody has meanwhile. Returns how many."""
    query = update(locks).where(locks.c.id.in_(list(ids)), locks.c.released_at.is_(None))
    return (await tx.execute(query.values(released_at=at, released_by=by))).rowcount


async def release_expired(tx: AsyncConnection, *, at: datetime) -> int:
    """Lift those whose time is over, at the instant it was. Returns how many."""
    query = update(locks).where(locks.c.released_at.is_(None), locks.c.until <= at)
    return (await tx.execute(query.values(released_at=locks.c.until, released_by=BOT))).rowcount


async def expired(tx: AsyncConnection, *, at: datetime) -> bool:
    """Whether there is any whose time is over and that is not lifted."""
    query = select(locks.c.id).where(locks.c.released_at.is_(None), locks.c.until <= at).limit(1)
    return (await tx.execute(query)).one_or_none() is not None


def _lock(row: Row[Any]) -> Lock:
    return Lock(
        id=row.id,
        team=row.team,
        service=row.service,
        environment=row.environment,
        by=row.by,
        reason=row.reason,
        at=row.at,
        until=row.until,
        released_at=row.released_at,
        released_by=row.released_by or "",
    )
