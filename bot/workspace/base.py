"""What every part of the workspace shares, and the tasks it runs in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from bot.workspace.audience import Audience
from bot.workspace.clock import Clock
from bot.workspace.faults import Faults
from bot.workspace.network import Network
from bot.workspace.rate_limits import RateLimits
from bot.workspace.state import State
from bot.workspace.store import Store
from bot.workspace.traffic import Traffic

Json = dict[str, Any]

log = logging.getLogger(__name__)


class Tasks:
    """Background tasks, held strongly and cancelled together."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something in the background; a failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("A background task of the workspace failed", exc_info=task.exception())

    async def cancel(self) -> None:
        """Stop everything that still runs."""
        while self._running:
            running = tuple(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


@dataclass(kw_only=True)
class Base:
    """The shared parts. None of them knows the others' users."""

    clock: Clock
    store: Store
    state: State
    limits: RateLimits
    faults: Faults
    traffic: Traffic
    audience: Audience
    #: The other teams, and the apps there are.
    network: Network = field(default_factory=Network)
    tasks: Tasks = field(default_factory=Tasks)
    #: Where the workspace is reached, without a slash at the end; set once it listens.
    url: str = "http://127.0.0.1:0"
    #: Seconds an app has to acknowledge (Slack docs: 3 seconds).
    ack_seconds: float = 3.0
