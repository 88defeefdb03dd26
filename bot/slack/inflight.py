"""Work that was begun for a person, held on to until it is done.

Bolt keeps no strong reference to a listener's task and does not wait for it at shutdown, and an exception
right after `ack()` takes the ack back; so listeners hand their work over here and only ever ack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")


class InFlight:
    """Tasks under way, and when Slack was last heard."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        #: When the last delivery from Slack came in.
        self.last_heard: datetime | None = None

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that outlives whoever asked for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, *, within: float) -> int:
        """Wait for everything under way, at most so many seconds; how much was left."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=within)
        return len(self._tasks)
