"""Places: how many checks run at once, over all runs of a process."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from bot.checks.kind import Pool


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much runs at once and how long a run takes (catalogue: timeouts and concurrency)."""

    #: Checks at once, per pool: slow kinds must not take the places of quick ones.
    places: Mapping[Pool, int]
    #: Checks at once against one host.
    per_host: int = 5
    #: Seconds a whole run takes at most; what did not start by then is unknown. A run with a check that is
    #: allowed longer by itself gets that much.
    run: float = 120.0
    #: Seconds such a run gets besides, for waiting and for the others.
    grace: float = 10.0


DEFAULT_LIMITS = Limits(places={Pool.NETWORK: 20, Pool.COMMAND: 2, Pool.BROWSER: 1, Pool.LOAD: 1})


class Places:
    """Shared by the runs that are under way: two deployments at once load a host no more than one."""

    def __init__(self, limits: Limits) -> None:
        self._pools = {pool: asyncio.Semaphore(count) for pool, count in limits.places.items()}
        self._hosts: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limits.per_host))

    @contextlib.asynccontextmanager
    async def take(self, pool: Pool, host: str) -> AsyncIterator[None]:
        """A place at the host, then one in the pool: who waits for a busy host holds up nobody else."""
        async with self._hosts[host] if host else contextlib.nullcontext(), self._pools[pool]:
            yield
