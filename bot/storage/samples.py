"""Samples of what is watched: the ground every verdict stands on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.signals import Measured
from bot.storage.schema import samples


async def add(tx: AsyncConnection, deployment_id: int, taken: Iterable[tuple[str, Measured]]) -> None:
    """Keep samples, by signal; one of the same instant is taken over by the newer."""
    rows = [
        {
            "deployment_id": deployment_id,
            "signal": signal,
            "at": one.at,
            "value": one.value,
            "count": one.count,
            "said": json.dumps(one.found, ensure_ascii=False) if one.found else one.said or None,
        }
        for signal, one in taken
    ]
    if not rows:
        return
    made = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(samples)
    newer = {name: made.excluded[name] for name in ("value", "count", "said")}
    await tx.execute(
        made.on_conflict_do_update(index_elements=["deployment_id", "signal", "at"], set_=newer), rows
    )


async def of(tx: AsyncConnection, deployment_id: int, signal: str | None = None) -> dict[str, list[Measured]]:
    """The samples of a deployment, or of one signal of it, oldest first, by signal."""
    query = select(samples).where(samples.c.deployment_id == deployment_id)
    if signal is not None:
        query = query.where(samples.c.signal == signal)
    found: dict[str, list[Measured]] = {}
    for row in await tx.execute(query.order_by(samples.c.signal, samples.c.at)):
        found.setdefault(row.signal, []).append(_measured(row))
    return found


async def prune(tx: AsyncConnection, *, before: datetime) -> None:
    """Forget samples taken before an instant."""
    await tx.execute(delete(samples).where(samples.c.at < before))


def _measured(row: Row[Any]) -> Measured:
    columns = row._mapping  # `row.count` is a method of tuples
    said = columns["said"] or ""
    found = _found(said)
    return Measured(
        at=columns["at"],
        value=columns["value"],
        count=columns["count"],
        said="" if found else said,
        found=found,
    )


def _found(said: str) -> dict[str, str]:
    """What was found, by id; nothing where these are words, which may begin with a brace as well."""
    if not said.startswith("{"):
        return {}
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return {}
    return found if all(isinstance(words, str) for words in found.values()) else {}
