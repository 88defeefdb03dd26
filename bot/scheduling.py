"""The clock's side: APScheduler wakes services, which look up for themselves what is due."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.domain.errors import DeploybotError
from bot.services import alerting
from bot.services.ports import Ports
from bot.services.reminding import Reminders
from bot.services.watching import WatchRunner
from bot.storage import clicks, deliveries, homes, hook_requests, outbound, samples

log = logging.getLogger(__name__)

#: Slack redelivers within minutes (Slack docs: Events API), a stale screen can be a weekend old.
KEEP_DELIVERIES = timedelta(days=7)
KEEP_CLICKS = timedelta(days=30)
#: What other systems were told, for whoever asks what became of it.
KEEP_OUTBOUND = timedelta(days=30)
#: Charts of a deployment can be drawn for so long; what followed from the samples stays in the history.
KEEP_SAMPLES = timedelta(days=90)
#: Who opened their App Home is known for so long; it is kept up to date for a day.
KEEP_HOMES = timedelta(days=7)
#: How long after the start it is pruned first: what waits for the start goes before.
PRUNE_AFTER = timedelta(minutes=1)
#: How often alerts nobody took are looked at; what is configured is in minutes.
ESCALATE_EVERY_S = 3


#: How often what is watched is looked through for what is due, in seconds.
WATCH_EVERY_S = 1.0


#: How often what other systems are to be told is looked through, in seconds.
SEND_EVERY_S = 1.0


#: Looks for due reminders at least this often, in seconds: deployments that were deployed meanwhile, clocks
#: that were moved and what other processes added show up without a word.
REMIND_EVERY_S = 3


def scheduler(
    ports: Ports,
    watches: WatchRunner,
    reminders: Reminders,
    *,
    wake: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIOScheduler:
    """A scheduler with the standing jobs, not started yet; `wake` sends what goes to other systems."""
    made = AsyncIOScheduler(timezone="UTC")
    made.add_job(
        _stoppable(watches.wake),
        "interval",
        seconds=WATCH_EVERY_S,
        id="watch",
        max_instances=2,
        coalesce=True,
        misfire_grace_time=None,
    )
    made.add_job(
        _stoppable(remind),
        "interval",
        seconds=REMIND_EVERY_S,
        args=[ports, reminders, made],
        id="remind",
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
        next_run_time=datetime.now(UTC),
    )
    made.add_job(
        _stoppable(prune),
        "interval",
        hours=6,
        args=[ports],
        id="prune",
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
        # Not six hours from now: who restarts it every day would never forget anything.
        next_run_time=datetime.now(UTC) + PRUNE_AFTER,
    )
    made.add_job(
        _stoppable(escalate),
        "interval",
        seconds=ESCALATE_EVERY_S,
        args=[ports],
        id="escalate",
        max_instances=1,
        coalesce=True,
    )
    if wake is not None:
        made.add_job(
            _stoppable(wake),
            "interval",
            seconds=SEND_EVERY_S,
            id="outbound",
            max_instances=2,
            coalesce=True,
            misfire_grace_time=None,
        )
    return made


def _stoppable(job: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A job that ends without a word when the bot stops: APScheduler would call that an error."""

    async def run(*args: Any) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await job(*args)

    return run


async def remind(ports: Ports, reminders: Reminders, scheduler: AsyncIOScheduler) -> None:
    """Send what is due, and look again when the next one is, where that is before the next look anyway."""
    try:
        due_at = await reminders.look()
    except DeploybotError as error:
        log.warning("reminders wait for the next look: %s", error)
        return
    wait = (due_at - ports.clock.now()).total_seconds() if due_at is not None else REMIND_EVERY_S
    job = scheduler.get_job("remind")
    if job is not None and 0 < wait < REMIND_EVERY_S:
        job.modify(next_run_time=datetime.now(UTC) + timedelta(seconds=wait))


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
            await samples.prune(tx, before=now - KEEP_SAMPLES)
            await homes.prune(tx, before=now - KEEP_HOMES)
            await hook_requests.prune(tx, before=now - KEEP_DELIVERIES)
            await outbound.prune(tx, before=now - KEEP_OUTBOUND)
    except DeploybotError as error:
        log.warning("pruning waits for the next time: %s", error)
