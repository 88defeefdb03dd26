"""The queue: who waits for what, in the order they asked, and whose turn it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Target
from bot.domain.queueing import Place, PlaceState
from bot.storage.schema import queue

_LIVE = queue.c.state.in_((PlaceState.WAITING, PlaceState.PINGED))


async def join(
    tx: AsyncConnection, *, team: str, channel: str, user: str, target: Target, checklist: str, at: datetime
) -> tuple[Place, bool]:
    """Somebody's place for a target, and whether it is new; what they wait to start is what they said last.

    The database refuses a second place of the same person with an IntegrityError.
    """
    query = select(queue).where(_for(team, target), queue.c.user == user, _LIVE)
    row = (await tx.execute(query)).one_or_none()
    said = {"version": target.version, "checklist": checklist, "channel": channel}
    if row is not None:
        await tx.execute(update(queue).where(queue.c.id == row.id).values(said))
        place = await get(tx, row.id)
        assert place is not None
        return place, False
    values = {
        "team": team,
        "service": target.service,
        "environment": target.environment,
        "user": user,
        "at": at,
        "state": PlaceState.WAITING,
        **said,
    }
    key = (await tx.execute(insert(queue).values(values))).inserted_primary_key
    assert key is not None
    place = await get(tx, int(key[0]))
    assert place is not None
    return place, True


async def get(tx: AsyncConnection, place_id: int, *, locked: bool = False) -> Place | None:
    """One place, or None; `locked` where it is changed."""
    query = select(queue).where(queue.c.id == place_id)
    row = (await tx.execute(query.with_for_update() if locked else query)).one_or_none()
    return None if row is None else _place(row)


async def waiting(tx: AsyncConnection, team: str | None = None) -> list[Place]:
    """Everybody who waits or whose turn it is, in a workspace or in all, first come first."""
    query = select(queue).where(_LIVE)
    if team is not None:
        query = query.where(queue.c.team == team)
    return [_place(row) for row in await tx.execute(query.order_by(queue.c.id))]


async def line(tx: AsyncConnection, team: str, target: Target, *, locked: bool = False) -> list[Place]:
    """Those who wait for a target or whose turn it is, first come first; `locked` where that is changed."""
    query = select(queue).where(_for(team, target), _LIVE).order_by(queue.c.id)
    return [_place(row) for row in await tx.execute(query.with_for_update() if locked else query)]


async def become(
    tx: AsyncConnection, place: Place, state: PlaceState, *, pinged_at: datetime | None = None
) -> bool:
    """Let a place be in another state; False where it is not any more in the one that is known."""
    query = update(queue).where(queue.c.id == place.id, queue.c.state == place.state)
    return (await tx.execute(query.values(state=state, pinged_at=pinged_at))).rowcount == 1


async def began(tx: AsyncConnection, place_id: int, *, at: datetime) -> None:
    """A turn counts from when its message was there."""
    query = update(queue).where(queue.c.id == place_id, queue.c.state == PlaceState.PINGED)
    await tx.execute(query.values(pinged_at=at))


def _for(team: str, target: Target) -> ColumnElement[bool]:
    return and_(
        queue.c.team == team,
        func.lower(queue.c.service) == func.lower(target.service),
        func.lower(queue.c.environment) == func.lower(target.environment),
    )


def _place(row: Row[Any]) -> Place:
    return Place(
        id=row.id,
        team=row.team,
        channel=row.channel,
        user=row.user,
        target=Target(service=row.service, version=row.version, environment=row.environment),
        checklist=row.checklist,
        at=row.at,
        state=PlaceState(row.state),
        pinged_at=row.pinged_at,
    )
