"""Requests of other systems by their own keys, with what was answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.schema import hook_requests


@dataclass(frozen=True, kw_only=True)
class Known:
    """A request that came before."""

    #: SHA-256 of its body, in hex.
    digest: str
    #: The HTTP status and the JSON answered; None while it is being answered.
    status: int | None
    answer: Mapping[str, Any]
    #: When it came, or was taken up again.
    at: datetime


async def known(tx: AsyncConnection, key: str) -> Known | None:
    """The request with this key, held against others until the transaction ends; None for a new one."""
    query = select(hook_requests).where(hook_requests.c.key == key).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    return Known(digest=row.digest, status=row.status, answer=json.loads(row.answer or "{}"), at=row.at)


async def begin(tx: AsyncConnection, key: str, *, digest: str, at: datetime, again: bool = False) -> None:
    """Note that it is being answered; `again` takes up one whose process is gone."""
    if again:
        await tx.execute(update(hook_requests).where(hook_requests.c.key == key).values(at=at))
    else:
        await tx.execute(insert(hook_requests).values(key=key, digest=digest, at=at))


async def answered(tx: AsyncConnection, key: str, *, status: int, answer: Mapping[str, Any]) -> None:
    """Keep what was answered."""
    text = json.dumps(answer, ensure_ascii=False)
    await tx.execute(
        update(hook_requests).where(hook_requests.c.key == key).values(status=status, answer=text)
    )


async def forget(tx: AsyncConnection, key: str) -> None:
    """As if it had never come: it may be sent again."""
    await tx.execute(delete(hook_requests).where(hook_requests.c.key == key))


async def prune(tx: AsyncConnection, *, before: datetime) -> int:
    """Forget requests of before then. Returns how many."""
    return (await tx.execute(delete(hook_requests).where(hook_requests.c.at < before))).rowcount
