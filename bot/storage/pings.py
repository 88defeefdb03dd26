"""Direct messages that belong to no deployment: what each should show, what it shows, who is sending it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage import leases
from bot.storage.installations import served
from bot.storage.schema import pings


@dataclass(frozen=True, kw_only=True)
class Ping:
    """One direct message."""

    id: int
    #: Travels in the message's metadata.
    uid: str
    #: Slack team id, and the id of whom it is for.
    team: str
    user: str
    #: `turn` or `unlocked`.
    kind: str
    #: Id of the place in the queue, or of the lock.
    about: int
    content: Mapping[str, Any]
    channel: str | None
    ts: str | None
    #: Revision that is asked for, and the one on the screen.
    wanted: int
    shown: int
    #: When a first post was tried whose outcome is not known.
    attempted_at: datetime | None
    failures: int
    retry_at: datetime | None
    problem: str | None


async def add(
    tx: AsyncConnection,
    *,
    team: str,
    user: str,
    kind: str,
    about: int,
    at: datetime,
    content: Mapping[str, Any] | None = None,
) -> None:
    """Own a new message, in the transaction that makes it true."""
    values = {
        "uid": uuid.uuid4().hex,
        "team": team,
        "user": user,
        "kind": kind,
        "about": about,
        "content": json.dumps(content or {}, ensure_ascii=False),
        "wanted": 1,
        "shown": 0,
        "wanted_at": at,
        "failures": 0,
    }
    await tx.execute(insert(pings).values(values))


async def want(tx: AsyncConnection, *, kind: str, about: int, at: datetime) -> None:
    """Ask for the messages about this to be drawn again."""
    query = update(pings).where(pings.c.kind == kind, pings.c.about == about)
    await tx.execute(query.values(wanted=pings.c.wanted + 1, wanted_at=at))


async def newest(tx: AsyncConnection, *, kind: str, about: int) -> int | None:
    """The id of the newest message about this."""
    query = select(pings.c.id).where(pings.c.kind == kind, pings.c.about == about)
    return (await tx.execute(query.order_by(pings.c.id.desc()).limit(1))).scalar_one_or_none()


async def due(tx: AsyncConnection, *, at: datetime) -> list[int]:
    """What may be sent now, the oldest first."""
    query = select(pings.c.id).where(
        pings.c.wanted > pings.c.shown,
        or_(pings.c.retry_at.is_(None), pings.c.retry_at <= at),
        served(pings.c.team),
    )
    return list((await tx.execute(query.order_by(pings.c.id))).scalars())


async def claim(
    tx: AsyncConnection, ping_id: int, *, owner: str, at: datetime, until: datetime
) -> Ping | None:
    """Take one to send it: as it was before; None where another process has it, or it is shown already.

    A first post is marked as tried before it is: whoever claims it after a crash looks for it first.
    """
    free = leases.free(pings, owner=owner, at=at)
    query = select(pings).where(pings.c.id == ping_id, pings.c.wanted > pings.c.shown, free)
    row = (await tx.execute(query.with_for_update(skip_locked=True))).one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = {"leased_by": owner, "leased_until": until}
    if row.ts is None and row.attempted_at is None:
        values["attempted_at"] = at
    await tx.execute(update(pings).where(pings.c.id == ping_id).values(values))
    return _ping(row)


async def sent(
    tx: AsyncConnection, ping_id: int, *, channel: str | None, ts: str | None, revision: int
) -> None:
    """Note what is on the screen now; without a ts, that there is nothing to show any more."""
    await tx.execute(
        update(pings)
        .where(pings.c.id == ping_id)
        .values(
            channel=channel,
            ts=ts,
            shown=revision,
            attempted_at=None,
            failures=0,
            retry_at=None,
            problem=None,
            leased_by=None,
            leased_until=None,
        )
    )


async def failed(
    tx: AsyncConnection, ping_id: int, *, problem: str, retry_at: datetime, outcome_known: bool
) -> None:
    """Note a failure; where its outcome is known, nothing was posted."""
    values: dict[str, Any] = {
        "failures": pings.c.failures + 1,
        "retry_at": retry_at,
        "problem": problem,
        "leased_by": None,
        "leased_until": None,
    }
    if outcome_known:
        values["attempted_at"] = None
    await tx.execute(update(pings).where(pings.c.id == ping_id).values(values))


async def prune(tx: AsyncConnection, *, before: datetime) -> int:
    """Forget what was asked for before then and is shown. Returns how many."""
    old = pings.delete().where(pings.c.wanted <= pings.c.shown, pings.c.wanted_at < before)
    return (await tx.execute(old)).rowcount


async def leased(tx: AsyncConnection, *, owner: str | None) -> bool:
    """Whether this process, or with None any, has taken something."""
    query = select(pings.c.id).where(leases.held(pings, owner)).limit(1)
    return (await tx.execute(query)).one_or_none() is not None


async def release(tx: AsyncConnection, *, owner: str | None) -> None:
    """Give back what this process took; None: what anybody took, where no other process can be running."""
    await tx.execute(update(pings).where(leases.held(pings, owner)).values(leased_by=None, leased_until=None))


def _ping(row: Row[Any]) -> Ping:
    return Ping(
        id=row.id,
        uid=row.uid,
        team=row.team,
        user=row.user,
        kind=row.kind,
        about=row.about,
        content=json.loads(row.content),
        channel=row.channel,
        ts=row.ts,
        wanted=row.wanted,
        shown=row.shown,
        attempted_at=row.attempted_at,
        failures=row.failures,
        retry_at=row.retry_at,
        problem=row.problem,
    )
