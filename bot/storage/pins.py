"""Cards and their pins: which is to be pinned, which is, and which is to be let go.

A card is noted as `adding` before Slack is asked, so that one that was pinned by a process that died then is
let go at the end all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Phase
from bot.storage import leases
from bot.storage.installations import served
from bot.storage.schema import deployments, pins, posts


class PinState(StrEnum):
    """How far it is."""

    #: Slack is being asked, or was and its answer is not known.
    ADDING = "adding"
    PINNED = "pinned"
    #: Let go at the end.
    REMOVED = "removed"
    #: Slack would not; not tried again for this deployment.
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One card that is to be pinned or let go."""

    deployment_id: int
    team: str
    channel: str
    #: The card.
    ts: str
    #: True to pin it, False to let it go.
    add: bool
    failures: int


async def due(tx: AsyncConnection, *, owner: str, at: datetime) -> list[Pin]:
    """The cards that are to be pinned or let go now, and nobody else is at."""
    opened = deployments.c.phase == Phase.IN_PROGRESS
    todo = or_(
        and_(opened, or_(pins.c.state.is_(None), pins.c.state == PinState.ADDING)),
        and_(~opened, pins.c.state.in_([PinState.ADDING, PinState.PINNED])),
    )
    free = leases.free(pins, owner=owner, at=at)
    query = (
        select(
            deployments.c.id,
            deployments.c.team,
            deployments.c.phase,
            posts.c.channel,
            posts.c.ts,
            pins.c.failures,
        )
        .join(posts, and_(posts.c.deployment_id == deployments.c.id, posts.c.kind == "card"))
        .outerjoin(pins, pins.c.deployment_id == deployments.c.id)
        .where(
            # Both halves have an index to start from.
            or_(opened, pins.c.state.in_([PinState.ADDING, PinState.PINNED])),
            todo,
            posts.c.ts.is_not(None),
            served(deployments.c.team),
            free,
            or_(pins.c.retry_at.is_(None), pins.c.retry_at <= at),
        )
        .order_by(deployments.c.id)
    )
    return [
        Pin(
            deployment_id=row.id,
            team=row.team,
            channel=row.channel,
            ts=row.ts,
            add=row.phase == Phase.IN_PROGRESS,
            failures=row.failures or 0,
        )
        for row in await tx.execute(query)
    ]


async def claim(tx: AsyncConnection, pin: Pin, *, owner: str, at: datetime, until: datetime) -> bool:
    """Take a card; False where another process was quicker or it is to be done no more.

    Raises IntegrityError where another process takes it for the first time at the same moment.
    """
    query = select(pins).where(pins.c.deployment_id == pin.deployment_id)
    row = (await tx.execute(query.with_for_update())).one_or_none()
    if row is None:
        if not pin.add:
            return False
        first: dict[str, Any] = {"deployment_id": pin.deployment_id, "state": PinState.ADDING, "failures": 0}
        await tx.execute(insert(pins).values(**first, leased_by=owner, leased_until=until))
        return True
    held = row.leased_until is not None and row.leased_until >= at and row.leased_by != owner
    wanted = (PinState.ADDING,) if pin.add else (PinState.ADDING, PinState.PINNED)
    if held or row.state not in wanted:
        return False
    lease = update(pins).where(pins.c.deployment_id == pin.deployment_id)
    await tx.execute(lease.values(leased_by=owner, leased_until=until))
    return True


async def settle(tx: AsyncConnection, deployment_id: int, state: PinState) -> None:
    """Note what Slack did."""
    settled = update(pins).where(pins.c.deployment_id == deployment_id)
    await tx.execute(
        settled.values(state=state, leased_by=None, leased_until=None, failures=0, retry_at=None)
    )


async def failed(tx: AsyncConnection, deployment_id: int, *, retry_at: datetime) -> None:
    """Note that it is to be tried again, and when."""
    values = {"failures": pins.c.failures + 1, "retry_at": retry_at, "leased_by": None, "leased_until": None}
    await tx.execute(update(pins).where(pins.c.deployment_id == deployment_id).values(values))


async def release(tx: AsyncConnection, *, owner: str | None) -> None:
    """Give back what this process took; None: what anybody took, where no other process can be running."""
    query = update(pins).where(leases.held(pins, owner))
    await tx.execute(query.values(leased_by=None, leased_until=None))
