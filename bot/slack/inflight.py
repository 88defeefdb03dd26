"""Work that was begun for a person, held on to until it is done.

Bolt keeps no strong reference to a listener's task and does not wait for it at shutdown, and an exception
right after `ack()` takes the ack back; so listeners hand their work over here and only ever ack.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")

#: A delivery can be on its way through the socket: this long without one counts as quiet.
QUIET_S = 0.2


def _held(work: Coroutine[Any, Any, T], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


class InFlight:
    """Tasks under way, and when Slack was last heard."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        #: Those nobody waits for.
        self._beside: set[asyncio.Task[Any]] = set()
        self._requests = 0
        #: When the last delivery from Slack came in.
        self.last_heard: datetime | None = None

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that outlives whoever asked for it."""
        return _held(work, self._tasks)

    def begin_beside(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that nobody asked for; a stop waits for it as well."""
        return _held(work, self._beside)

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Around the handling of one delivery, from its arrival until its ack is sent."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    async def drain(self, *, within: float) -> int:
        """Wait until nothing is under way and nothing came for a moment, at most so many seconds.

        Returns how much was left.
        """
        await self._quiet(lambda: bool(self._tasks or self._beside or self._requests), within=within)
        return len(self._tasks) + len(self._beside) + self._requests

    async def answered(self, *, within: float) -> bool:
        """Wait until nobody's request is under way and none came for a moment; False where it took longer."""
        return await self._quiet(lambda: bool(self._tasks or self._requests), within=within)

    async def _quiet(self, busy: Callable[[], bool], *, within: float) -> bool:
        """Whether it was quiet for a moment before the time was over."""
        deadline = time.monotonic() + within
        quiet_since = time.monotonic()
        while (now := time.monotonic()) < deadline:
            if busy():
                quiet_since = now
            elif now - quiet_since >= QUIET_S:
                return True
            await asyncio.sleep(0.02)
        return False
