"""What waits for its time beside the deployments: locks, turns in the queue, quiet leads, cards in a freeze.

Whoever wakes it, it looks into the database for what is due by the clock port: nothing is lost while the
process is down, and a clock that was moved counts.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any

from bot.domain.errors import DeploybotError
from bot.services import locking, queueing
from bot.services.leading import Nudges
from bot.services.ports import Ports
from bot.storage import posts

log = logging.getLogger(__name__)


class Attendance:
    """Looks for what is due, each time it is woken."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._nudges = Nudges(ports)
        #: Deployments whose card was drawn without the freeze they were prepared in.
        self._thawed: set[int] = set()

    async def look(self) -> None:
        """Lift locks, give turns, ask leads, redraw cards whose freeze is over. Raises nothing."""
        await self._guarded(locking.release_expired(self._ports))
        await self._guarded(queueing.give_turns(self._ports))
        await self._guarded(self._nudges.look())
        await self._guarded(self._thaw())

    async def _thaw(self) -> None:
        now = self._ports.clock.now()
        async with self._ports.database.read() as tx:
            opened = await self._ports.deployments.all_open(tx)
        over = {
            state.id for state in opened if state.prepared_in is not None and state.prepared_in.until <= now
        }
        # Once a process; a card that is drawn once more looks the same.
        for deployment_id in over - self._thawed:
            async with self._ports.database.write() as tx:
                await posts.want(tx, deployment_id=deployment_id, at=now, only=(), settled=True)
            self._ports.bell.ring()
        self._thawed = over

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """One part's trouble must not keep the others from being done; it is tried again at the next look."""
        try:
            await work
        except DeploybotError as error:
            log.warning("what is due waits for the next look: %s", error)
        except Exception:
            log.exception("what is due could not be done; it is tried again")
