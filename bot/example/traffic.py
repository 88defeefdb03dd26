"""A little steady traffic through nginx, so that there is something to measure.

It comes at the same rate however slow the answers are, as people do: otherwise a slow shop would look like
one that nobody visits.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping

import aiohttp

#: Requests a second.
RATE = 8.0
_PATHS = (
    "/",
    "/shop/products.json?q=teapot",
    "/products/7",
    "/api/products?category=table",
    "/?q=mug",
    "/api/products/3",
    "/shop/products.json?limit=4",
    "/api/orders?customer=5",
)
#: Every so many requests somebody looks what an order comes to and orders, every so many somebody logs in.
_ORDER, _LOGIN = 40, 160
#: Requests at once, where the shop answers none of them.
_MOST = 64


class Traffic:
    """Requests, so many a second, until it is stopped."""

    def __init__(self, base_url: str, *, token: str, account: Mapping[str, str]) -> None:
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._account = dict(account)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def burst(self, count: int) -> None:
        """Many at once: moves a rate that is measured over minutes."""
        async with self._session() as session:
            for _ in range(count // 20):
                await asyncio.gather(*(self._one(session, "GET", "/") for _ in range(20)))

    def _session(self) -> aiohttp.ClientSession:
        # Whether the certificate is any good is for the checks to say.
        connector = aiohttp.TCPConnector(ssl=False)
        timeout = aiohttp.ClientTimeout(total=5)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers)

    async def _run(self) -> None:
        under_way = asyncio.Semaphore(_MOST)
        async with self._session() as session, asyncio.TaskGroup() as visits:
            for number in itertools.count(1):
                await under_way.acquire()
                visit = visits.create_task(self._visit(session, number))
                visit.add_done_callback(lambda _: under_way.release())
                await asyncio.sleep(1 / RATE)

    async def _visit(self, session: aiohttp.ClientSession, number: int) -> None:
        await self._one(session, "GET", _PATHS[number % len(_PATHS)])
        product = number % 24 + 1
        if number % _ORDER == 1:
            await self._one(session, "GET", f"/shop/checkout.json?product_id={product}")
            await self._one(session, "POST", "/api/orders", {"product_id": product})
        if number % _LOGIN == 1:
            await self._one(session, "POST", "/api/login", self._account)

    async def _one(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> None:
        # What fails is counted by the shop; the traffic goes on.
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.request(method, self._base_url + path, json=body) as answer:
                await answer.read()
