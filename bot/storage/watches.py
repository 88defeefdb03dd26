"""Watches under way: which are due, and who is looking at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.errors import LeaseLost
from bot.storage.installations import served
from bot.storage.schema import deployments, watches


@dataclass(frozen=True, kw_only=True)
class Due:
    """A watch to be looked at."""

    deployment_id: int
    #: When its next regular look was to be.
    grid_at: datetime
    #: Whether the deploy was seen, and the baseline taken.
    begun: bool
    #: The process that looked before; empty for none.
    last: str = ""


async def add(tx: AsyncConnection, deployment_id: int, *, at: datetime) -> None:
    """Look at a deployment from now on."""
    await tx.execute(
        insert(watches).values(deployment_id=deployment_id, grid_at=at, next_at=at, begun=False, ended=False)
    )


async def any_due(tx: AsyncConnection, *, at: datetime) -> bool:
    """Whether there is anything to claim, without taking part in writing."""
    query = (
        select(watches.c.deployment_id)
        .join(deployments, deployments.c.id == watches.c.deployment_id)
        .where(watches.c.ended.is_(False), _due(at), served(deployments.c.team))
    )
    return (await tx.execute(query.limit(1))).first() is not None


def _due(at: datetime) -> ColumnElement[bool]:
    """Its time has come, or the deploy that it waits for."""
    seen = watches.c.grid_at > deployments.c.deployed_at
    live = and_(watches.c.begun.is_(False), deployments.c.deployed_at.is_not(None), not_(seen))
    return or_(watches.c.next_at <= at, live)


async def claim(
    tx: AsyncConnection, *, owner: str, at: datetime, until: datetime, most: int
) -> Sequence[Due]:
    """Take the watches that are due, those that wait longest first; another process skips them."""
    free = or_(watches.c.leased_until.is_(None), watches.c.leased_until <= at)
    query = (
        select(watches.c.deployment_id, watches.c.grid_at, watches.c.begun, watches.c.leased_by)
        .join(deployments, deployments.c.id == watches.c.deployment_id)
        .where(watches.c.ended.is_(False), _due(at), free, served(deployments.c.team))
        .order_by(watches.c.next_at)
        .limit(most)
        .with_for_update(skip_locked=True, of=watches)
    )
    found = [
        Due(
            deployment_id=row.deployment_id,
            grid_at=row.grid_at,
            begun=row.begun,
            last=row.leased_by or "",
        )
        for row in await tx.execute(query)
    ]
    if found:
        await tx.execute(
            update(watches)
            .where(watches.c.deployment_id.in_([one.deployment_id for one in found]))
            .values(leased_by=owner, leased_until=until)
        )
    return found


async def looked(
    tx: AsyncConnection,
    deployment_id: int,
    *,
    owner: str,
    grid_at: datetime,
    next_at: datetime,
    begun: bool,
    ended: bool = False,
) -> None:
    """Note when to look again, and give it back; who looked stays noted.

    Raises LeaseLost where another process has taken it: what this one saw is to be rolled back.
    """
    noted = await tx.execute(
        update(watches)
        .where(watches.c.deployment_id == deployment_id, watches.c.leased_by == owner)
        .values(grid_at=grid_at, next_at=next_at, begun=begun, ended=ended, leased_until=None)
    )
    if not noted.rowcount:
        raise LeaseLost


async def postpone(tx: AsyncConnection, deployment_id: int, *, owner: str, until: datetime) -> None:
    """Look again then; nothing else changes, and nothing at all where another process has taken it."""
    await tx.execute(
        update(watches)
        .where(watches.c.deployment_id == deployment_id, watches.c.leased_by == owner)
        .values(next_at=until, leased_until=None)
    )


async def again(tx: AsyncConnection, deployment_id: int, *, at: datetime) -> None:
    """Go on with a watch, ended or not, from this instant."""
    await tx.execute(
        update(watches).where(watches.c.deployment_id == deployment_id).values(ended=False, next_at=at)
    )


async def rewind(tx: AsyncConnection, deployment_id: int, *, at: datetime) -> None:
    """Wait for the deploy again; whoever is looking at it now is to throw away what they see."""
    await tx.execute(
        update(watches)
        .where(watches.c.deployment_id == deployment_id)
        .values(begun=False, ended=False, grid_at=at, next_at=at, leased_by=None, leased_until=None)
    )


async def give_back(tx: AsyncConnection, *, owner: str | None) -> None:
    """Give up what this process holds; None: what anybody holds."""
    query = update(watches).values(leased_by=None, leased_until=None)
    await tx.execute(query if owner is None else query.where(watches.c.leased_by == owner))
