"""Looking again and again until something appears."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.checks.kind import CheckTrouble, Context

T = TypeVar("T")

#: Seconds between looks: soon at first, then rarer.
FIRST_S, LONGEST_S = 0.2, 3.0


async def wait_for(
    look: Callable[[], Awaitable[T | None]], *, within: float, context: Context
) -> tuple[T | None, float]:
    """What `look` found, or None where the time is up, and the seconds it took.

    A source that stumbles meanwhile is asked again. Raises its trouble where the last look of all stumbled:
    what could not be looked for is not missing.
    """
    began, pause = time.monotonic(), FIRST_S
    while True:
        trouble: CheckTrouble | None = None
        try:
            found = await look()
        except CheckTrouble as error:
            if not error.retryable:
                raise
            found, trouble = None, error
        passed = time.monotonic() - began
        if found is not None:
            return found, passed
        if passed >= within:
            if trouble is not None:
                raise trouble
            return None, passed
        await context.sleep(min(pause, max(within - passed, 0.01)))
        pause = min(pause * 1.5, LONGEST_S)
