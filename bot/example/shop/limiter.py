"""Limits how often a client may ask, and says so in headers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

#: Requests in a window of so many seconds.
LIMIT, WINDOW_S = 10, 10
#: Clients that are remembered at once.
_MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of asking."""

    allowed: bool
    headers: Mapping[str, str]


class Limiter:
    """Fixed windows, one for each client."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}

    def ask(self, client: str) -> Verdict:
        """Count one request of a client."""
        now = time.monotonic()
        began, count = self._windows.get(client, (now, 0))
        if now - began >= WINDOW_S:
            began, count = now, 0
        count += 1
        if len(self._windows) > _MOST:
            self._windows.clear()
        self._windows[client] = (began, count)
        reset = math.ceil(began + WINDOW_S - now)
        headers = {
            "RateLimit-Policy": f'"default";q={LIMIT};w={WINDOW_S}',
            "RateLimit": f'"default";r={max(0, LIMIT - count)};t={reset}',
        }
        if count > LIMIT:
            return Verdict(allowed=False, headers=headers | {"Retry-After": str(max(1, reset))})
        return Verdict(allowed=True, headers=headers)
