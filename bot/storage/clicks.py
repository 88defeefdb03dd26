"""The selections people sent, per drawing: what makes a click count once and a stale screen read right."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.ticking import Act, Selection
from bot.storage.schema import clicks


@dataclass(frozen=True, kw_only=True)
class Seat:
    """One person in front of one drawing."""

    drawing: str
    user: str


async def known(tx: AsyncConnection, seats: Iterable[Seat]) -> dict[Seat, list[Selection]]:
    """What these people sent from these drawings so far, in the order it arrived."""
    wanted = {(seat.drawing, seat.user) for seat in seats}
    found: dict[Seat, list[Selection]] = defaultdict(list)
    query = (
        select(clicks)
        .where(tuple_(clicks.c.drawing, clicks.c.user).in_(wanted))
        .order_by(clicks.c.received_at, clicks.c.action_ts)
    )
    for row in await tx.execute(query):
        found[Seat(drawing=row.drawing, user=row.user)].append(
            Selection(
                action_ts=row.action_ts,
                selected=frozenset(json.loads(row.selected)),
                acts=tuple(
                    Act(position=position, ticked=bool(ticked), live=bool(live))
                    for position, ticked, live in json.loads(row.acts)
                ),
            )
        )
    return found


async def add(tx: AsyncConnection, arrived: Sequence[tuple[int, Seat, Selection]], *, at: datetime) -> None:
    """Keep new selections: (deployment id, who and where, what)."""
    if not arrived:
        return
    await tx.execute(
        insert(clicks),
        [
            {
                "drawing": seat.drawing,
                "user": seat.user,
                "action_ts": selection.action_ts,
                "deployment_id": deployment_id,
                "selected": json.dumps(sorted(selection.selected)),
                "acts": json.dumps([[act.position, act.ticked, act.live] for act in selection.acts]),
                "received_at": at,
            }
            for deployment_id, seat, selection in arrived
        ],
    )


async def prune(tx: AsyncConnection, *, before: datetime) -> int:
    """Forget selections received before then; the events stay. Returns how many."""
    return (await tx.execute(delete(clicks).where(clicks.c.received_at < before))).rowcount
