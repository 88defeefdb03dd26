"""Slack's rate limits: so many calls per minute, method and workspace (Slack docs: Rate limits)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

#: Calls per minute of each tier (Slack docs: Rate limits). Slack says "1+", "20+": here it is no more.
TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
#: "Special" methods: Slack says hundreds per minute and publishes no number.
SPECIAL_PER_MINUTE = 300
#: `apps.connections.open`: tier 1 in the Java SDK's table, tier 3 elsewhere: between the two.
CONNECTIONS_PER_MINUTE = 20
#: One message per second and channel, with short bursts (Slack docs: Rate limits); how short is unpublished.
CHANNEL_BURST = 3
CHANNEL_PER_SECOND = 1.0
#: The window of a tier, in seconds.
WINDOW = 60.0


@dataclass
class _Bucket:
    level: float
    at: float


@dataclass
class RateLimits:
    """Counts calls on a monotonic clock and says how long to wait when there were too many."""

    #: Seconds that never jump.
    monotonic: Callable[[], float]
    #: False lets everything through (still counted).
    enforce: bool = True
    #: Shrinks the windows, so that tests are quick: 0.1 makes a minute six seconds.
    scale: float = 1.0
    _calls: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)
    _refused: dict[str, int] = field(default_factory=dict)

    def call(self, app_id: str, method: str, per_minute: int, *, channel: str = "") -> int:
        """Count a call. 0 lets it through; otherwise the whole seconds to wait (`Retry-After`)."""
        now = self.monotonic()
        window = WINDOW * self.scale
        calls = self._calls.setdefault((app_id, method), deque())
        while calls and calls[0] <= now - window:
            calls.popleft()
        wait = 0.0
        if len(calls) >= per_minute:
            wait = calls[0] + window - now
        if not wait and channel:
            wait = self._channel(app_id, channel, now)
        if wait > 0 and self.enforce:
            self._refused[method] = self._refused.get(method, 0) + 1
            return max(1, math.ceil(wait))
        calls.append(now)
        return 0

    def _channel(self, app_id: str, channel: str, now: float) -> float:
        rate = CHANNEL_PER_SECOND / max(self.scale, 1e-6)
        bucket = self._buckets.setdefault((app_id, channel), _Bucket(level=CHANNEL_BURST, at=now))
        bucket.level = min(CHANNEL_BURST, bucket.level + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.level < 1:
            return (1 - bucket.level) / rate
        bucket.level -= 1
        return 0.0

    def set(self, *, enforce: bool | None = None, scale: float | None = None) -> None:
        """Adjust the limits; counters start afresh."""
        if enforce is not None:
            self.enforce = enforce
        if scale is not None:
            if scale <= 0:
                raise ValueError("scale must be greater than 0")
            self.scale = scale
        self._calls.clear()
        self._buckets.clear()

    def counters(self) -> Json:
        """Calls in the current window and refusals so far, by method."""
        now, window = self.monotonic(), WINDOW * self.scale
        calls: dict[str, int] = {}
        for (_, method), times in self._calls.items():
            calls[method] = calls.get(method, 0) + sum(1 for at in times if at > now - window)
        return {"enforce": self.enforce, "scale": self.scale, "calls": calls, "refused": dict(self._refused)}
