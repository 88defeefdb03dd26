"""What the shop sells and what was ordered: in PostgreSQL where there is one, else in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

_KINDS = (
    ("Teapot", "kitchen"),
    ("Kettle", "kitchen"),
    ("Mug", "table"),
    ("Bowl", "table"),
    ("Plate", "table"),
    ("Lamp", "living"),
)
#: Seconds a list of products is kept.
CACHE_S = 30
#: Most connections to the database, and seconds until a worker that says nothing counts as gone.
POOL_SIZE, BEAT_S = 5, 10
QUEUE = "queue:confirmations"

Product = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which products."""

    text: str = ""
    category: str = ""
    max_price_cents: int = 2**31 - 1
    limit: int = 100


class Stock:
    """Products, orders, the audit log, and the queue of confirmations to send."""

    def __init__(self, pool: Any, redis: Redis | None) -> None:
        self._pool = pool
        self._redis = redis
        self._orders: list[tuple[datetime, int]] = []
        self._queue: asyncio.Queue[str] = asyncio.Queue()

    @classmethod
    async def open(cls, database_dsn: str | None, redis_dsn: str | None) -> Stock:
        """Connect to what there is. Raises OSError, asyncpg's errors."""
        pool = None
        if database_dsn is not None:
            parts = urlsplit(database_dsn)
            tls = ssl.create_default_context(cafile=parse_qs(parts.query)["sslrootcert"][0])
            plain = parts._replace(query="").geturl()
            pool = await asyncpg.create_pool(
                plain, ssl=tls, min_size=1, max_size=POOL_SIZE, command_timeout=5
            )
        redis = Redis.from_url(redis_dsn, decode_responses=True) if redis_dsn is not None else None
        return cls(pool, redis)

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.close()
        if self._redis is not None:
            await self._redis.aclose()

    async def health(self) -> dict[str, str]:
        """Of the database and the cache: ok, down, or absent."""
        found = {"database": "absent", "cache": "absent"}
        if self._pool is not None:
            try:
                await self._pool.fetchval("select 1")
                found["database"] = "ok"
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                found["database"] = "down"
        if self._redis is not None:
            try:
                await self._redis.ping()
                found["cache"] = "ok"
            except (OSError, RedisError):
                found["cache"] = "down"
        return found

    async def products(self, wanted: Wanted) -> list[Product]:
        """The products, in the order of their ids; from the cache where they were asked for lately."""
        key = f"products:{wanted.text.casefold()}:{wanted.category}:{wanted.max_price_cents}:{wanted.limit}"
        if self._redis is not None:
            try:
                kept = await self._redis.get(key)
            except (OSError, RedisError):
                kept = None
            if kept is not None:
                return list(json.loads(kept))
        found = await self._look_up(wanted)
        if self._redis is not None:
            with contextlib.suppress(OSError, RedisError):  # it is only a cache
                await self._redis.set(key, json.dumps(found), ex=CACHE_S)
        return found

    async def _look_up(self, wanted: Wanted) -> list[Product]:
        if self._pool is None:
            every = [_made(number) for number in range(1, 25)]
            return [one for one in every if _fits(one, wanted)][: wanted.limit]
        rows = await self._pool.fetch(
            "select id, name, category, price_cents from products"
            " where position(lower($1) in lower(name)) > 0 and ($2 = '' or category = $2)"
            " and price_cents <= $3 order by id limit $4",
            wanted.text,
            wanted.category,
            wanted.max_price_cents,
            wanted.limit,
        )
        return [dict(row) for row in rows]

    async def product(self, number: int) -> Product | None:
        """One product."""
        every = await self.products(Wanted())
        return next((one for one in every if one["id"] == number), None)

    async def orders(self, customer: int, limit: int = 10) -> list[dict[str, Any]]:
        """A customer's newest orders."""
        if self._pool is None:
            return []
        rows = await self._pool.fetch(
            "select id, product_id, total_cents, placed_at from orders where customer_id = $1"
            " order by placed_at desc limit $2",
            customer,
            limit,
        )
        return [{**row, "placed_at": row["placed_at"].isoformat()} for row in rows]

    async def order(self, customer: int, product: Product) -> int:
        """Order a product; the number of the order. A confirmation is queued."""
        if self._pool is not None:
            number = await self._pool.fetchval(
                "insert into orders (customer_id, product_id, total_cents) values ($1, $2, $3) returning id",
                customer,
                product["id"],
                product["price_cents"],
            )
        else:
            self._orders.append((datetime.now(UTC), product["id"]))
            number = len(self._orders)
        if self._redis is not None:
            await self._redis.rpush(QUEUE, str(number))
        else:
            self._queue.put_nowait(str(number))
        return int(number)

    async def sales(self) -> list[dict[str, Any]]:
        """Orders of each of the last 14 days, oldest first."""
        today = datetime.now(UTC).date()
        days = [today - timedelta(days=back) for back in range(13, -1, -1)]
        if self._pool is not None:
            rows = await self._pool.fetch(
                "select placed_at::date as day, count(*) as orders from orders"
                " where placed_at >= current_date - 13 group by 1"
            )
            counts: Mapping[Any, int] = {row["day"]: row["orders"] for row in rows}
        else:
            counts = Counter(at.date() for at, _ in self._orders)
        return [{"day": day.isoformat(), "orders": counts.get(day, 0)} for day in days]

    async def audit(self, actor: str, action: str, marker: str = "") -> None:
        """Write down who did what."""
        if self._pool is not None:
            await self._pool.execute(
                "insert into audit_log (actor, action, marker) values ($1, $2, $3)",
                actor[:80],
                action,
                marker[:200],
            )

    async def next_confirmation(self) -> str | None:
        """Take one from the queue; None where none came within a second."""
        if self._redis is not None:
            try:
                taken = await self._redis.blpop([QUEUE], timeout=1)
            except (OSError, RedisError):
                await asyncio.sleep(1)
                return None
            return str(taken[1]) if taken else None
        try:
            return await asyncio.wait_for(self._queue.get(), 1)
        except TimeoutError:
            return None

    async def beat(self, worker: int) -> None:
        """Say that a worker is at work."""
        if self._redis is not None:
            with contextlib.suppress(OSError, RedisError):
                await self._redis.set(f"worker:{worker}", str(time.time()), ex=BEAT_S)

    async def leave(self, worker: int) -> None:
        """Say that a worker has gone."""
        if self._redis is not None:
            with contextlib.suppress(OSError, RedisError):
                await self._redis.delete(f"worker:{worker}")

    async def queued(self) -> int:
        """Confirmations that wait."""
        if self._redis is None:
            return self._queue.qsize()
        try:
            return int(await self._redis.llen(QUEUE))
        except (OSError, RedisError):
            return -1

    async def clear_cache(self) -> None:
        """Forget every list of products."""
        if self._redis is not None:
            await self._redis.flushdb()


def _made(number: int) -> Product:
    # As the first migration makes them.
    kind, category = _KINDS[number % 6]
    return {
        "id": number,
        "name": f"{kind} No. {number}",
        "category": category,
        "price_cents": 900 + number * 137 % 9000,
    }


def _fits(product: Product, wanted: Wanted) -> bool:
    return (
        wanted.text.casefold() in product["name"].casefold()
        and wanted.category in ("", product["category"])
        and product["price_cents"] <= wanted.max_price_cents
    )
