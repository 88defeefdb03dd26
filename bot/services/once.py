"""Answer a request of another system once: the same one again gets the same answer.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/: another body with the same key is
refused, and so is the same while the first is being answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from bot.domain.errors import HookInFlight, HookKeyReused
from bot.services.ports import Ports
from bot.storage import hook_requests

#: A request that is not answered by then was cut off: its process is gone. Longer than any answer takes.
CUT_OFF = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer: HTTP status and JSON."""

    status: int
    body: Mapping[str, Any]


async def once(
    ports: Ports,
    *,
    scope: str,
    key: str,
    body: bytes,
    answer: Callable[[], Awaitable[Reply]],
    keeps_refusals: bool = True,
) -> Reply:
    """The kept answer, or the one made now and kept from now on.

    What may work later (5xx) is not kept, nor are refusals (4xx) without `keeps_refusals`. Raises
    HookKeyReused, HookInFlight, StorageBusy, StorageFailed, and what `answer` raises; then the request may be
    sent again as if it had never come.
    """
    whole = (
        f"{scope}:{key}" if len(key) <= 255 else f"{scope}:sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    )
    digest = hashlib.sha256(body).hexdigest()
    kept = await _taken(ports, whole, digest)
    if kept is not None:
        return kept
    try:
        made = await answer()
    except BaseException:
        await _forget(ports, whole)
        raise
    if made.status >= (500 if keeps_refusals else 400):
        await _forget(ports, whole)
        return made
    async with ports.database.write() as tx:
        await hook_requests.answered(tx, whole, status=made.status, answer=made.body)
    return made


async def _taken(ports: Ports, key: str, digest: str) -> Reply | None:
    """The kept answer; None where it is ours to answer."""
    now = ports.clock.now()
    try:
        async with ports.database.write() as tx:
            known = await hook_requests.known(tx, key)
            if known is None:
                await hook_requests.begin(tx, key, digest=digest, at=now)
                return None
            if known.digest != digest:
                raise HookKeyReused
            if known.status is not None:
                return Reply(status=known.status, body=known.answer)
            if now - known.at < CUT_OFF:
                raise HookInFlight
            await hook_requests.begin(tx, key, digest=digest, at=now, again=True)
            return None
    except IntegrityError as error:
        # Another replica began between our look and our write.
        raise HookInFlight from error


async def _forget(ports: Ports, key: str) -> None:
    async with ports.database.write() as tx:
        await hook_requests.forget(tx, key)
