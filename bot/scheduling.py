"""The clock's side: APScheduler wakes services, which look up for themselves what is due."""

from __future__ import annotations

import logging
from datetime import timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.domain.errors import DeploybotError
from bot.services import alerting
from bot.services.ports import Ports
from bot.storage import clicks, deliveries

log = logging.getLogger(__name__)

#: Slack redelivers within minutes (Slack docs: Events API), a stale screen can be a weekend old.
KEEP_DELIVERIES = timedelta(days=7)
KEEP_CLICKS = timedelta(days=30)
#: How often alerts nobody took are looked at; what is configured is in minutes.
ESCALATE_EVERY_S = 3


def scheduler(ports: Ports) -> AsyncIOScheduler:
    """A scheduler with the standing jobs, not started yet."""
    made = AsyncIOScheduler(timezone="UTC")
    made.add_job(prune, "interval", hours=6, args=[ports], id="prune", max_instances=1, coalesce=True)
    made.add_job(
        escalate,
        "interval",
        seconds=ESCALATE_EVERY_S,
        args=[ports],
        id="escalate",
        max_instances=1,
        coalesce=True,
    )
    return made


async def escalate(ports: Ports) -> None:
    """Tell the next people of alerts nobody took; what cannot be told now is told the next time."""
    try:
        await alerting.escalate(ports)
    except DeploybotError as error:
        log.warning("escalating waits for the next time: %s", error)


async def prune(ports: Ports) -> None:
    """Forget deliveries and selections nothing can refer to any more; facts are never forgotten."""
    now = ports.clock.now()
    try:
        async with ports.database.write() as tx:
            await deliveries.prune(tx, before=now - KEEP_DELIVERIES)
            await clicks.prune(tx, before=now - KEEP_CLICKS)
    except DeploybotError as error:
        log.warning("pruning waits for the next time: %s", error)
