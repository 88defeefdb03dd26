"""The pages that are open, and what is told to each of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

#: Frames a page may lag behind before it is dropped (it reconnects and reads everything again).
MAX_QUEUED = 2_000


@dataclass(eq=False)
class Listener:
    """One open page."""

    #: The person it acts as.
    user: str
    #: Frames not yet written; `None` asks the writer to hang up.
    queue: asyncio.Queue[Json | None] = field(default_factory=lambda: asyncio.Queue(MAX_QUEUED))
    #: Whether it wants to see the traffic.
    inspecting: bool = False

    def push(self, frame: Json) -> bool:
        """Queue a frame; False where the page lags too far behind."""
        try:
            self.queue.put_nowait(frame)
        except asyncio.QueueFull:
            return False
        return True


class Audience:
    """Every open page, by the person it acts as."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def join(self, user: str) -> Listener:
        """A page was opened."""
        listener = Listener(user)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """A page was closed."""
        self._listeners.discard(listener)

    def tell(self, users: Iterable[str], frame: Json) -> None:
        """Send a frame to every page of these people."""
        wanted = set(users)
        self._send((item for item in self._listeners if item.user in wanted), frame)

    def tell_all(self, frame: Json) -> None:
        """Send a frame to every page."""
        self._send(iter(self._listeners), frame)

    def tell_inspectors(self, frame: Json) -> None:
        """Send a frame to the pages whose inspector is open."""
        self._send((item for item in self._listeners if item.inspecting), frame)

    def users(self) -> set[str]:
        """Who has a page open."""
        return {listener.user for listener in self._listeners}

    def hang_up(self) -> None:
        """Ask every page's writer to stop."""
        for listener in tuple(self._listeners):
            with contextlib.suppress(asyncio.QueueFull):
                listener.queue.put_nowait({"type": "goodbye"})
                listener.queue.put_nowait(None)

    def _send(self, listeners: Iterable[Listener], frame: Json) -> None:
        for listener in tuple(listeners):
            if not listener.push(frame):
                self._listeners.discard(listener)
