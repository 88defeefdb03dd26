"""Sends direct messages that belong to no deployment: whose turn it is, that somebody unlocked.

As the publisher does it: drawn from the newest stored state at the moment of sending, claimed with a lease;
a message whose outcome is unknown (timeout, crash, dropped connection) is looked up before it is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from datetime import datetime, timedelta

from bot.domain.errors import DeploybotError, NotInstalled, TokenNotRenewed, TokenUnreadable
from bot.domain.queueing import PlaceState
from bot.services.ports import Clock
from bot.slack.blocks import turns
from bot.slack.blocks.words import Drawing
from bot.slack.gateway import Gateway, SlackFailure
from bot.slack.looking import keep_looking
from bot.slack.publisher import CLOCK_SKEW, LEASE, LONGEST_RETRY_S, PERMANENT_RETRY_S, RETRY_S
from bot.slack.teams import Teams
from bot.storage import locks, pings, queue
from bot.storage.database import Database
from bot.storage.pings import Ping

log = logging.getLogger(__name__)

#: Looks at least this often, for what other processes left; nobody is kept waiting by a second.
LOOK_EVERY_S = 1.0
#: After so many failures in a row a message is given up: its person is gone. Own choice.
GIVE_UP = 25


class Pinger:
    """Sends what is due, one after the other, until it is stopped."""

    def __init__(self, *, database: Database, clock: Clock, teams: Teams) -> None:
        self._database = database
        self._clock = clock
        self._teams = teams
        self._owner = uuid.uuid4().hex
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        """Something changed: look now."""
        self._wake.set()

    async def start(self) -> None:
        """Begin to send. On SQLite, whatever a crashed process held was ours and is free again at once."""
        if self._database.is_sqlite:
            await self._release(None)
        self._task = asyncio.create_task(self._run(), name="pinger")

    async def stop(self, *, within: float) -> None:
        """Finish what is under way, for at most so many seconds, and give back the rest."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=within)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(DeploybotError):
            await self._release(self._owner)

    async def _release(self, owner: str | None) -> None:
        async with self._database.read() as tx:
            if not await pings.leased(tx, owner=owner):
                return
        async with self._database.write() as tx:
            await pings.release(tx, owner=owner)

    async def _run(self) -> None:
        await keep_looking(
            self.look,
            what="direct messages to send",
            every=LOOK_EVERY_S,
            wake=self._wake,
            stopping=lambda: self._stopping,
            log=log,
        )

    async def look(self) -> float:
        """Send what may be sent now; seconds until the next look. Raises StorageBusy, StorageFailed."""
        async with self._database.read() as tx:
            waiting = await pings.due(tx, at=self._clock.now())
        for ping_id in waiting:
            if self._stopping:
                break
            await self._send(ping_id)
        return LOOK_EVERY_S

    async def _send(self, ping_id: int) -> None:
        now = self._clock.now()
        async with self._database.write() as tx:
            ping = await pings.claim(tx, ping_id, owner=self._owner, at=now, until=now + LEASE)
        if ping is None:
            return
        try:
            await self._send_claimed(ping, now)
        except SlackFailure as failure:
            await self._failed(ping, failure)
        except (NotInstalled, TokenNotRenewed, TokenUnreadable) as error:
            await self._put_off(ping, str(error))
        except DeploybotError:
            raise
        except Exception:
            # Whatever it is, it must not keep the others from being sent.
            log.exception("ping %d could not be sent", ping.id)
            await self._put_off(ping, "it could not be drawn; the log has the cause")

    async def _put_off(self, ping: Ping, problem: str) -> None:
        log.warning("ping %d waits: %s", ping.id, problem)
        async with self._database.write() as tx:
            await pings.failed(
                tx,
                ping.id,
                problem=problem,
                retry_at=self._clock.now() + timedelta(seconds=LONGEST_RETRY_S),
                outcome_known=ping.attempted_at is None,
            )

    async def _send_claimed(self, ping: Ping, now: datetime) -> None:
        gateway = await self._teams.of(ping.team)
        if ping.kind == "turn" and ping.ts is None and ping.attempted_at is None and not ping.failures:
            # The minutes of a turn count from when its message is sent. In a transaction of its own: all
            # others lock the place before its messages.
            async with self._database.write() as tx:
                await queue.began(tx, ping.about, at=now)
        await self._deliver(gateway, ping, await self._draw(gateway, ping))

    async def _deliver(self, gateway: Gateway, ping: Ping, drawing: Drawing | None) -> None:
        """Post it, draw it again, or leave it where it is not true any more. Raises SlackFailure."""
        if ping.ts is None and ping.attempted_at is None and (drawing is None or ping.failures >= GIVE_UP):
            await self._sent(ping, channel=None, ts=None, revision=ping.wanted)
            return
        channel = await gateway.direct(ping.user)
        ts, revision = ping.ts, ping.wanted
        if ts is None and ping.attempted_at is not None:
            since = (ping.attempted_at - CLOCK_SKEW).timestamp()
            ts = await gateway.find(channel=channel, thread_ts=None, uid=ping.uid, since=since)
            log.info("ping %d had an unknown outcome: %s", ping.id, "it is there" if ts else "not there")
            if ts is not None:
                revision = 0  # which one is not known: drawn again at the next look
            elif drawing is None:
                await self._sent(ping, channel=None, ts=None, revision=ping.wanted)
                return
        elif ts is not None:
            assert drawing is not None
            await gateway.update(drawing, channel=channel, ts=ts)
        if ts is None:
            assert drawing is not None
            ts = await gateway.post(drawing, channel=channel, thread_ts=None, uid=ping.uid)
        await self._sent(ping, channel=channel, ts=ts, revision=revision)

    async def _draw(self, gateway: Gateway, ping: Ping) -> Drawing | None:
        """The message as it is now; None where there is no reason to begin with it any more."""
        if ping.kind == "unlocked":
            async with self._database.read() as tx:
                lock = await locks.get(tx, ping.about)
            assert lock is not None
            person = await gateway.person(ping.content["by"])
            return turns.unlocked(lock, by=person.id, name=person.name)
        async with self._database.read() as tx:
            place = await queue.get(tx, ping.about)
            newest = await pings.newest(tx, kind="turn", about=ping.about) == ping.id
        assert place is not None
        if ping.ts is None and not (newest and place.state is PlaceState.PINGED):
            return None
        return turns.turn(place, current=newest)

    async def _sent(self, ping: Ping, *, channel: str | None, ts: str | None, revision: int) -> None:
        async with self._database.write() as tx:
            await pings.sent(tx, ping.id, channel=channel, ts=ts, revision=revision)
        if revision == 0:
            self._wake.set()

    async def _failed(self, ping: Ping, failure: SlackFailure) -> None:
        wait = min(RETRY_S * 2**ping.failures, LONGEST_RETRY_S)
        if failure.retry_after is not None:
            wait = failure.retry_after
        elif failure.permanent:
            wait = PERMANENT_RETRY_S
        log.warning("ping %d: %s; trying again in %.0f s. %s", ping.id, failure, wait, failure.hint)
        gone = failure.method == "chat.update" and failure.code in (
            "message_not_found",
            "cant_update_message",
        )
        if gone:  # nobody sees it any more: there is nothing to draw again
            await self._sent(ping, channel=ping.channel, ts=ping.ts, revision=ping.wanted)
            return
        # A failed look-up leaves the attempt before it unknown; a first one that never got as far is known.
        looked = failure.method.startswith("conversations.") and ping.attempted_at is not None
        async with self._database.write() as tx:
            await pings.failed(
                tx,
                ping.id,
                problem=f"Slack refused {failure.method}: {failure.code}. {failure.hint}",
                retry_at=self._clock.now() + timedelta(seconds=wait),
                outcome_known=not looked
                and (failure.outcome_known or failure.method == "conversations.open"),
            )
