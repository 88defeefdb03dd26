"""Slack deliveries that had an effect, so that the same one again has none (Bolt deduplicates nothing)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.schema import deliveries


async def effect(tx: AsyncConnection, key: str) -> tuple[bool, int | None]:
    """Whether this delivery was handled before, and the deployment it concerned."""
    query = select(deliveries.c.deployment_id).where(deliveries.c.key == key)
    row = (await tx.execute(query)).one_or_none()
    return (False, None) if row is None else (True, row.deployment_id)


async def add(tx: AsyncConnection, key: str, *, at: datetime, deployment_id: int | None = None) -> None:
    """Note a delivery as handled, in the transaction that holds its effect."""
    await tx.execute(insert(deliveries).values(key=key, received_at=at, deployment_id=deployment_id))


async def prune(tx: AsyncConnection, *, before: datetime) -> int:
    """Forget deliveries received before then. Returns how many."""
    return (await tx.execute(delete(deliveries).where(deliveries.c.received_at < before))).rowcount
