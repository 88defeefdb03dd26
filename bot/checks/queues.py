"""Queues, workers and beats as Redis holds them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from redis import exceptions

from bot.checks.kind import NoData

#: What counts the entries of a type.
_SIZES = {"list": "LLEN", "stream": "XLEN", "set": "SCARD", "zset": "ZCARD", "hash": "HLEN"}


async def size(client: Any, key: str) -> int | None:
    """Entries of a key of any type; None where there is no such key. Raises NoData for a plain value."""
    kind = await client.type(key)
    if kind == "none":
        return None
    if kind not in _SIZES:
        raise NoData(f"{key} holds a {kind}, which has no entries to count")
    return int(await client.execute_command(_SIZES[kind], key))


async def workers(client: Any, key: str) -> int | None:
    """Workers registered under a key or a pattern; None where there is no such key."""
    if "*" not in key:
        return await size(client, key)
    count = 0
    async for _ in client.scan_iter(match=key, count=1000):
        count += 1
    return count or None


async def beat_age(client: Any, key: str, now: datetime) -> float | None:
    """Seconds since the beat; None without a key. Raises NoData for what is no time, or one to come."""
    try:
        text = await client.get(key)
    except exceptions.ResponseError as error:
        raise NoData(f"{key} holds no time but another type") from error
    if text is None:
        return None
    try:
        at = instant(text.strip().strip('"'))
    except (ValueError, OverflowError, OSError):
        raise NoData(f"{key} holds no time: epoch seconds, milliseconds or ISO 8601") from None
    age = (now - at).total_seconds()
    if age < -60:
        raise NoData(f"the beat at {key} lies {-age:.0f} s in the future: clocks differ")
    return max(age, 0.0)


def instant(text: str) -> datetime:
    """A time written as epoch seconds, milliseconds or ISO 8601 (UTC without a zone). Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
