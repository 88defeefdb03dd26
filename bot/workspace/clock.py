"""The workspace's time: real time plus an offset that a person can move forward."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Tells the time, hands out message timestamps, and sleeps in workspace time."""

    def __init__(
        self, *, real: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._real = real
        self._monotonic = monotonic
        self._offset = 0.0
        self._last_stamp = 0
        self._sleepers: set[asyncio.Future[None]] = set()

    def now(self) -> float:
        """Seconds since the epoch, as the workspace sees them."""
        return self._real() + self._offset

    @property
    def offset(self) -> float:
        """How many seconds this clock is ahead of the machine's."""
        return self._offset

    def monotonic(self) -> float:
        """Seconds that never jump: for rate limits and for measuring how long something took."""
        return self._monotonic()

    def forward(self, seconds: float) -> float:
        """Move the workspace's time forward; sleepers that are due wake up. Returns the new time."""
        if seconds < 0:
            raise ValueError("time only moves forward")
        self._offset += seconds
        for sleeper in tuple(self._sleepers):
            if not sleeper.done():
                sleeper.set_result(None)
        return self.now()

    def stamp(self) -> str:
        """A unique, increasing timestamp in Slack's form: seconds, a dot, six digits."""
        self._last_stamp = max(self._last_stamp + 1, int(self.now() * 1_000_000))
        return f"{self._last_stamp // 1_000_000}.{self._last_stamp % 1_000_000:06d}"

    def not_before(self, stamp: str) -> None:
        """Make sure that later stamps are greater than this one (after loading a saved workspace)."""
        seconds, _, micros = stamp.partition(".")
        self._last_stamp = max(self._last_stamp, int(seconds) * 1_000_000 + int(micros or 0))

    async def sleep(self, seconds: float, *, scale: float = 1.0) -> None:
        """Sleep for this much workspace time; each second of it takes `scale` real seconds."""
        remaining = seconds
        while remaining > 0:
            sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._sleepers.add(sleeper)
            began, offset = self._monotonic(), self._offset
            try:
                await asyncio.wait_for(sleeper, remaining * scale)
            except TimeoutError:
                return
            finally:
                self._sleepers.discard(sleeper)
            elapsed = self._monotonic() - began
            remaining -= (self._offset - offset) + (elapsed / scale if scale > 0 else remaining)
