"""Looks for work again and again: when something rings, and at the latest when the last look said."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from bot.domain.errors import DeploybotError


async def keep_looking(
    look: Callable[[], Awaitable[float]],
    *,
    what: str,
    every: float,
    wake: asyncio.Event,
    stopping: Callable[[], bool],
    log: logging.Logger,
    pause: float = 0.0,
) -> None:
    """Look until it is `stopping`, whatever goes wrong.

    `look` gives the seconds until it wants to look again; after trouble it is `every` seconds. `wake` ends
    the waiting, and `pause` seconds pass in any case, so that what comes together is done together. `what` is
    looked for, in words.
    """
    while not stopping():
        wake.clear()
        try:
            wait = await look()
        except DeploybotError as error:
            log.warning("cannot look for %s: %s", what, error)
            wait = every
        except Exception:
            log.exception("looking for %s failed", what)
            wait = every
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await wake.wait()
        await asyncio.sleep(pause)
