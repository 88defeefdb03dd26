"""What other systems are to be told: written with the facts, claimed one by one, sent in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage import leases
from bot.storage.schema import outbound

WAITING, SENT, GIVEN_UP = "waiting", "sent", "given_up"


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """A message before it is stored."""

    uid: str
    deployment_id: int
    seq: int
    target: str
    kind: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message that was taken for sending."""

    id: int
    #: The same with every attempt.
    uid: str
    deployment_id: int
    #: The event it tells of.
    seq: int
    target: str
    kind: str
    body: str
    created_at: datetime
    #: Attempts that were begun before this one.
    attempts: int


async def add(tx: AsyncConnection, new: Sequence[NewMessage], *, at: datetime) -> None:
    """To be sent, in this order."""
    if new:
        rows = [
            {**vars(one), "created_at": at, "state": WAITING, "attempts": 0, "next_at": at} for one in new
        ]
        await tx.execute(insert(outbound), rows)


def _first(at: datetime) -> Any:
    """Due, free, and nothing before it to the same place about the same deployment is still waiting."""
    earlier = outbound.alias("earlier")
    blocked = exists().where(
        earlier.c.deployment_id == outbound.c.deployment_id,
        earlier.c.target == outbound.c.target,
        earlier.c.state == WAITING,
        earlier.c.id < outbound.c.id,
    )
    free = or_(outbound.c.leased_until.is_(None), outbound.c.leased_until <= at)
    return and_(outbound.c.state == WAITING, outbound.c.next_at <= at, free, ~blocked)


async def any_due(tx: AsyncConnection, *, at: datetime) -> bool:
    """Whether there is anything to claim, without taking part in writing."""
    return (await tx.execute(select(outbound.c.id).where(_first(at)).limit(1))).first() is not None


async def due(tx: AsyncConnection, *, at: datetime, most: int) -> list[Message]:
    """The messages that may be sent now, held until the transaction ends; another process skips them."""
    query = select(outbound).where(_first(at)).order_by(outbound.c.id).limit(most)
    return [_message(row) for row in await tx.execute(query.with_for_update(skip_locked=True))]


async def claim(tx: AsyncConnection, message_id: int, *, body: str, owner: str, until: datetime) -> None:
    """Take a message for an attempt, with the body it has from now on."""
    await tx.execute(
        update(outbound)
        .where(outbound.c.id == message_id)
        .values(body=body, attempts=outbound.c.attempts + 1, leased_by=owner, leased_until=until)
    )


async def postpone(
    tx: AsyncConnection, message_id: int, *, until: datetime, problem: str | None = None
) -> None:
    """Try again then."""
    values: dict[str, Any] = {"next_at": until, "leased_by": None, "leased_until": None}
    if problem is not None:
        values["problem"] = problem
    await tx.execute(update(outbound).where(outbound.c.id == message_id).values(values))


async def settle(
    tx: AsyncConnection, message_id: int, *, state: str, at: datetime, problem: str | None = None
) -> None:
    """It was taken, or is given up."""
    values = {"state": state, "settled_at": at, "problem": problem, "leased_by": None, "leased_until": None}
    query = update(outbound).where(outbound.c.id == message_id, outbound.c.state == WAITING)
    await tx.execute(query.values(values))


async def release(tx: AsyncConnection, *, owner: str | None) -> None:
    """Give back what this process holds; None: what anybody holds."""
    query = update(outbound).values(leased_by=None, leased_until=None)
    held = leases.held(outbound, owner)
    await tx.execute(query.where(held))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How far other systems are behind."""

    waiting: int
    #: When the oldest of them was written.
    oldest: datetime | None
    #: Given up since the asked-for time.
    given_up: int
    #: What went wrong last with any of these.
    problem: str | None


async def figures(tx: AsyncConnection, *, since: datetime) -> Figures:
    """What waits, and what was given up since then."""
    query = select(func.count(), func.min(outbound.c.created_at), func.max(outbound.c.problem)).where(
        outbound.c.state == WAITING
    )
    waiting, oldest, problem = (await tx.execute(query)).one()
    lost = select(func.count(), func.max(outbound.c.problem)).where(
        outbound.c.state == GIVEN_UP, outbound.c.settled_at >= since
    )
    given_up, why = (await tx.execute(lost)).one()
    return Figures(waiting=waiting, oldest=oldest, given_up=given_up, problem=problem or why)


async def prune(tx: AsyncConnection, *, before: datetime) -> int:
    """Forget what was settled before then. Returns how many."""
    query = delete(outbound).where(outbound.c.state != WAITING, outbound.c.settled_at < before)
    return (await tx.execute(query)).rowcount


def _message(row: Row[Any]) -> Message:
    return Message(
        id=row.id,
        uid=row.uid,
        deployment_id=row.deployment_id,
        seq=row.seq,
        target=row.target,
        kind=row.kind,
        body=row.body,
        created_at=row.created_at,
        attempts=row.attempts,
    )
