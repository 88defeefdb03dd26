"""Reminders: what is due, who is sending it, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Phase
from bot.domain.reminding import Level, NewReminder, Origin, Reminder, State
from bot.storage import leases
from bot.storage.installations import of_served, served
from bot.storage.schema import deployments, reminders

_OPEN = reminders.c.deployment_id.in_(
    select(deployments.c.id).where(deployments.c.phase == Phase.IN_PROGRESS).scalar_subquery()
)
#: Open, in a workspace that has the bot: where it was taken away, reminders wait until it is back.
_ACTIVE = and_(_OPEN, of_served(reminders.c.deployment_id))
_LIVE = (State.WAITING, State.SENT)


async def unplanned(tx: AsyncConnection) -> list[int]:
    """Open deployments that are deployed and have no reminders of their plan yet."""
    query = select(deployments.c.id).where(
        deployments.c.phase == Phase.IN_PROGRESS,
        deployments.c.deployed_at.is_not(None),
        served(deployments.c.team),
        ~select(reminders.c.id)
        .where(reminders.c.deployment_id == deployments.c.id, reminders.c.origin == Origin.PLAN)
        .exists(),
    )
    return list((await tx.execute(query.order_by(deployments.c.id))).scalars())


async def add(tx: AsyncConnection, deployment_id: int, new: Sequence[NewReminder]) -> Sequence[NewReminder]:
    """Add reminders to a deployment whose row is locked, except those that are there; the ones added."""
    known = select(reminders.c.key).where(reminders.c.deployment_id == deployment_id)
    there = set((await tx.execute(known)).scalars())
    new = [one for one in new if one.key not in there]
    rows = [
        {
            "deployment_id": deployment_id,
            "origin": one.origin,
            "key": one.key,
            "items": json.dumps(one.items),
            "text": one.text,
            "due_at": one.due_at,
            "state": State.WAITING,
            "level": Level.THREAD,
            "round": 0,
            "next_at": one.due_at,
            "for_user": one.for_user or None,
        }
        for one in new
    ]
    if rows:
        await tx.execute(insert(reminders), rows)
    return new


async def due(tx: AsyncConnection, *, at: datetime) -> list[int]:
    """Deployments with something to send or to escalate, the longest overdue first."""
    query = (
        select(reminders.c.deployment_id)
        .where(reminders.c.next_at <= at, _ACTIVE)
        .group_by(reminders.c.deployment_id)
        .order_by(func.min(reminders.c.next_at))
    )
    return list((await tx.execute(query)).scalars())


async def next_due(tx: AsyncConnection) -> datetime | None:
    """When something is due next."""
    query = select(reminders.c.next_at).where(reminders.c.next_at.is_not(None), _ACTIVE)
    return (await tx.execute(query.order_by(reminders.c.next_at).limit(1))).scalar_one_or_none()


async def claim(
    tx: AsyncConnection,
    deployment_id: int,
    *,
    owner: str,
    at: datetime,
    until: datetime,
    near: timedelta,
    most: int,
) -> list[Reminder]:
    """Take what is due in a deployment, and what waits to be sent within `near` from now, at most so many."""
    free = leases.free(reminders, owner=owner, at=at)
    soon = or_(
        reminders.c.next_at <= at,
        (reminders.c.state == State.WAITING) & (reminders.c.next_at <= at + near),
    )
    query = (
        select(reminders)
        .where(reminders.c.deployment_id == deployment_id, soon, free, _ACTIVE)
        .order_by(reminders.c.next_at, reminders.c.id)
        .limit(most)
    )
    rows = (await tx.execute(query.with_for_update(skip_locked=True))).all()
    if rows:
        ids = [row.id for row in rows]
        lease = update(reminders).where(reminders.c.id.in_(ids))
        await tx.execute(lease.values(leased_by=owner, leased_until=until))
    return [_reminder(row) for row in rows]


async def held(tx: AsyncConnection, ids: Iterable[int], *, owner: str) -> list[Reminder]:
    """Those of these reminders that this process still holds, as they are now, locked."""
    query = select(reminders).where(reminders.c.id.in_(list(ids)), reminders.c.leased_by == owner)
    rows = await tx.execute(query.order_by(reminders.c.id).with_for_update())
    return [_reminder(row) for row in rows]


async def release(tx: AsyncConnection, *, owner: str | None) -> None:
    """Give back what this process took; None: what anybody took, where no other process can be running."""
    query = update(reminders).where(leases.held(reminders, owner))
    await tx.execute(query.values(leased_by=None, leased_until=None))


async def let_go(tx: AsyncConnection, ids: Sequence[int]) -> None:
    """Give these back."""
    query = update(reminders).where(reminders.c.id.in_(ids))
    await tx.execute(query.values(leased_by=None, leased_until=None))


async def sent(
    tx: AsyncConnection, ids: Sequence[int], *, level: Level, at: datetime, next_at: datetime | None
) -> None:
    """Note that these were sent to the thread, or escalated, and when they escalate further."""
    values: dict[str, Any] = {
        "state": State.SENT,
        "level": level,
        "next_at": next_at,
        "leased_by": None,
        "leased_until": None,
    }
    if level is Level.THREAD:
        values |= {"sent_at": at, "settled_by": None, "settled_at": None}
    await tx.execute(update(reminders).where(reminders.c.id.in_(ids)).values(values))


async def settle(tx: AsyncConnection, ids: Sequence[int], *, state: State, by: str, at: datetime) -> None:
    """Nobody is reminded of these any more."""
    await tx.execute(
        update(reminders)
        .where(reminders.c.id.in_(ids))
        .values(
            state=state,
            next_at=None,
            settled_by=by,
            settled_at=at,
            leased_by=None,
            leased_until=None,
        )
    )


async def unplan(tx: AsyncConnection, deployment_id: int, *, by: str, at: datetime) -> list[Reminder]:
    """Drop what was planned for a deploy that did not take place, so that the next one is planned anew.

    Those that have been sent, to be drawn again.
    """
    query = select(reminders).where(
        reminders.c.deployment_id == deployment_id, reminders.c.origin == Origin.PLAN
    )
    rows = [_reminder(row) for row in await tx.execute(query)]
    await settle(tx, [row.id for row in rows if row.state in _LIVE], state=State.DROPPED, by=by, at=at)
    planned = reminders.c.id.in_([row.id for row in rows])
    await tx.execute(update(reminders).where(planned).values(origin=Origin.FORMER))
    return [row for row in rows if row.state is State.SENT]


async def snooze(tx: AsyncConnection, reminder: Reminder, *, until: datetime, by: str, at: datetime) -> None:
    """Let it wait again, for its next round."""
    await tx.execute(
        update(reminders)
        .where(reminders.c.id == reminder.id)
        .values(
            state=State.WAITING,
            level=Level.THREAD,
            round=reminder.round + 1,
            due_at=until,
            next_at=until,
            for_user=by,
            settled_by=by,
            settled_at=at,
            leased_by=None,
            leased_until=None,
        )
    )


async def sent_ones(tx: AsyncConnection) -> list[Reminder]:
    """What was sent in open deployments and is not settled."""
    query = select(reminders).where(reminders.c.state == State.SENT, _ACTIVE)
    return [_reminder(row) for row in await tx.execute(query.order_by(reminders.c.id))]


async def left_over(tx: AsyncConnection) -> list[Reminder]:
    """What is not settled in deployments that have ended."""
    query = select(reminders).where(reminders.c.state.in_(_LIVE), ~_OPEN)
    return [_reminder(row) for row in await tx.execute(query.order_by(reminders.c.id))]


async def get(tx: AsyncConnection, reminder_id: int, *, locked: bool = False) -> Reminder | None:
    """One reminder, or None; `locked` where it is changed: after its deployment's row, never before."""
    query = select(reminders).where(reminders.c.id == reminder_id)
    row = (await tx.execute(query.with_for_update() if locked else query)).one_or_none()
    return None if row is None else _reminder(row)


async def some(tx: AsyncConnection, ids: Iterable[int]) -> dict[int, Reminder]:
    """These reminders, by id."""
    query = select(reminders).where(reminders.c.id.in_(list(ids)))
    return {row.id: _reminder(row) for row in await tx.execute(query)}


async def of(tx: AsyncConnection, deployment_id: int) -> list[Reminder]:
    """Every reminder of a deployment, in the order they were added."""
    query = select(reminders).where(reminders.c.deployment_id == deployment_id)
    return [_reminder(row) for row in await tx.execute(query.order_by(reminders.c.id))]


def _reminder(row: Row[Any]) -> Reminder:
    return Reminder(
        id=row.id,
        deployment_id=row.deployment_id,
        key=row.key,
        origin=Origin(row.origin),
        items=tuple(json.loads(row.items)),
        text=row.text,
        due_at=row.due_at,
        state=State(row.state),
        level=Level(row.level),
        round=row.round,
        next_at=row.next_at,
        sent_at=row.sent_at,
        for_user=row.for_user or "",
        settled_by=row.settled_by or "",
        settled_at=row.settled_at,
    )
