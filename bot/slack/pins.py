"""Pins each card in its channel while its deployment runs, and lets it go at the end.

A pin is what every workspace has, costs no room and needs no tidying: the channel's pins say what runs right
now. Where Slack refuses (no scope, no permission, too many pins) the deployment goes on without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from bot.domain.errors import DeploybotError, NotInstalled, TokenNotRenewed, TokenUnreadable
from bot.services.ports import Clock
from bot.slack.gateway import SlackFailure
from bot.slack.looking import keep_looking
from bot.slack.teams import Teams
from bot.storage import pins
from bot.storage.database import Database
from bot.storage.pins import Pin, PinState

log = logging.getLogger(__name__)

#: How long another process keeps its hands off a card this one is at. Longer than any call.
LEASE = timedelta(seconds=30)
#: Looks at least this often, for what other processes posted or ended, in seconds.
LOOK_EVERY_S = 10.0
#: `pins.add` and `pins.remove` are tier 2 methods: 20 a minute each (Slack docs: rate limits).
PAUSE_S = 3.0
#: Waits after a failure that may pass: doubled each time up to the longest, in seconds.
RETRY_S, LONGEST_RETRY_S = 2.0, 300.0
#: Refusals that may pass by themselves (Slack docs: common errors); what is not known of is one, too.
_MAY_PASS = {"connection", "fatal_error", "internal_error", "ratelimited", "service_unavailable", "timeout"}


class Pins:
    """Pins and lets go what is due, until it is stopped."""

    def __init__(self, *, database: Database, clock: Clock, teams: Teams) -> None:
        self._database = database
        self._clock = clock
        self._teams = teams
        self._owner = uuid.uuid4().hex
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._said: set[str] = set()
        #: Whether a card may be claimed by this process.
        self._holds = False
        #: When Slack was asked last, in seconds of the monotonic clock.
        self._last = -PAUSE_S

    def ring(self) -> None:
        """A card was posted or redrawn: look now."""
        self._wake.set()

    async def start(self) -> None:
        """Begin, with what a process that died left. On SQLite, whatever it held is free again at once."""
        if self._database.is_sqlite:
            async with self._database.write() as tx:
                await pins.release(tx, owner=None)
        self._task = asyncio.create_task(self._run(), name="pins")

    async def stop(self) -> None:
        """Leave the rest to the next start."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._holds:
            with contextlib.suppress(DeploybotError):
                async with self._database.write() as tx:
                    await pins.release(tx, owner=self._owner)

    async def _run(self) -> None:
        await keep_looking(
            self._look,
            what="cards to pin",
            every=LOOK_EVERY_S,
            wake=self._wake,
            stopping=lambda: self._stopping,
            log=log,
        )

    async def _look(self) -> float:
        """Do what is due, one after the other; seconds until it is worth another look."""
        async with self._database.read() as tx:
            due = await pins.due(tx, owner=self._owner, at=self._clock.now())
        busy = False
        for pin in due:
            await asyncio.sleep(max(0.0, self._last + PAUSE_S - time.monotonic()))
            if await self._claim(pin):
                busy, self._last = True, time.monotonic()
                await self._do(pin)
        return 0.0 if busy else LOOK_EVERY_S

    async def _claim(self, pin: Pin) -> bool:
        now = self._clock.now()
        try:
            async with self._database.write() as tx:
                return await pins.claim(tx, pin, owner=self._owner, at=now, until=now + LEASE)
        except IntegrityError:  # another process was quicker
            return False

    async def _do(self, pin: Pin) -> None:
        try:
            gateway = await self._teams.of(pin.team)
            if pin.add:
                await gateway.pin(pin.channel, pin.ts)
            else:
                await gateway.unpin(pin.channel, pin.ts)
        except (NotInstalled, TokenNotRenewed, TokenUnreadable) as error:
            log.info("the card of deployment %s: %s", pin.deployment_id, error)
            await self._put_off(pin, LONGEST_RETRY_S)
            return
        except SlackFailure as failure:
            if not failure.outcome_known or failure.code in _MAY_PASS or failure.code.startswith("http_"):
                await self._again_later(pin, failure)
                return
            self._say_once(failure)
            state = PinState.REFUSED
        else:
            state = PinState.PINNED if pin.add else PinState.REMOVED
        async with self._database.write() as tx:
            await pins.settle(tx, pin.deployment_id, state)

    async def _again_later(self, pin: Pin, failure: SlackFailure) -> None:
        wait = failure.retry_after or min(RETRY_S * 2**pin.failures, LONGEST_RETRY_S)
        log.info("the card of deployment %s: %s; trying again in %.0f s", pin.deployment_id, failure, wait)
        await self._put_off(pin, wait)

    async def _put_off(self, pin: Pin, wait: float) -> None:
        async with self._database.write() as tx:
            retry_at = self._clock.now() + timedelta(seconds=wait)
            await pins.failed(tx, pin.deployment_id, retry_at=retry_at)

    def _say_once(self, failure: SlackFailure) -> None:
        if failure.code in self._said:
            return
        self._said.add(failure.code)
        log.warning("cards are not pinned: %s. Deployments go on without. %s", failure, _hint(failure))


def _hint(failure: SlackFailure) -> str:
    return {
        "missing_scope": "The scope pins:write is optional: reinstall the app with it to have cards pinned.",
        "permission_denied": "The channel's settings say who may pin messages there.",
        "too_many_pins": "Let some of the channel's pins go.",
    }.get(failure.code, failure.hint)
