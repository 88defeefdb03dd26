"""The clock's side: APScheduler wakes services, which look up for themselves what is due."""

from __future__ import annotations

import logging
from datetime import timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.domain.errors import DeploybotError
from bot.services.ports import Ports
from bot.services.watching import WatchRunner
from bot.storage import clicks, deliveries, samples

log = logging.getLogger(__name__)

#: Slack redelivers within minutes (Slack docs: Events API), a stale screen can be a weekend old.
KEEP_DELIVERIES = timedelta(days=7)
KEEP_CLICKS = timedelta(days=30)
#: Charts of a deployment can be drawn for so long; what followed from the samples stays in the history.
KEEP_SAMPLES = timedelta(days=90)


#: How often what is watched is looked through for what is due, in seconds.
WATCH_EVERY_S = 1.0


def scheduler(ports: Ports, watches: WatchRunner) -> AsyncIOScheduler:
    """A scheduler with the standing jobs, not started yet."""
    made = AsyncIOScheduler(timezone="UTC")
    made.add_job(
        watches.wake,
        "interval",
        seconds=WATCH_EVERY_S,
        id="watch",
        max_instances=2,
        coalesce=True,
        misfire_grace_time=None,
    )
    made.add_job(prune, "interval", hours=6, args=[ports], id="prune", max_instances=1, coalesce=True)
    return made


async def prune(ports: Ports) -> None:
    """Forget deliveries and selections nothing can refer to any more; facts are never forgotten."""
    now = ports.clock.now()
    try:
        async with ports.database.write() as tx:
            await deliveries.prune(tx, before=now - KEEP_DELIVERIES)
            await clicks.prune(tx, before=now - KEEP_CLICKS)
            await samples.prune(tx, before=now - KEEP_SAMPLES)
    except DeploybotError as error:
        log.warning("pruning waits for the next time: %s", error)
