"""Who runs the checks of a deployment: one process at a time, until its lease runs out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, or_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.schema import run_leases


async def take(tx: AsyncConnection, deployment_id: int, *, owner: str, at: datetime, until: datetime) -> bool:
    """Take or prolong the lease; False where another process holds it."""
    renewed = await tx.execute(
        update(run_leases)
        .where(
            run_leases.c.deployment_id == deployment_id,
            or_(run_leases.c.owner == owner, run_leases.c.until < at),
        )
        .values(owner=owner, until=until)
    )
    if renewed.rowcount:
        return True
    try:
        async with tx.begin_nested():
            await tx.execute(insert(run_leases).values(deployment_id=deployment_id, owner=owner, until=until))
    except IntegrityError:
        return False
    return True


async def give_back(tx: AsyncConnection, *, owner: str | None, deployment_id: int | None = None) -> None:
    """Give back the leases of this owner, of one deployment or of all.

    None as owner: of anybody, where no other process can be running.
    """
    query = delete(run_leases)
    if owner is not None:
        query = query.where(run_leases.c.owner == owner)
    if deployment_id is not None:
        query = query.where(run_leases.c.deployment_id == deployment_id)
    await tx.execute(query)
