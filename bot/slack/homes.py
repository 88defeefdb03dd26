"""Keeps App Homes up to date: draws each that somebody opened lately and that shows less than it should.

A person's home is drawn when they open it, and for a day again whenever something in it changes; changes
merge by themselves, because the newest state is drawn at the moment of sending. Nothing is lost by a crash:
what a home shows is noted after Slack has it, and drawing it twice does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.domain.belonging import Claim
from bot.domain.deployment import FILE, Deployment
from bot.domain.errors import DeploybotError
from bot.domain.events import BOT
from bot.services import surveying
from bot.services.ports import Ports
from bot.services.surveying import Survey
from bot.slack.blocks import home
from bot.slack.blocks.words import Block
from bot.slack.gateway import Gateway, SlackFailure
from bot.slack.home_links import links_to
from bot.slack.ids import StartAgain
from bot.slack.looking import keep_looking
from bot.slack.teams import Teams
from bot.storage import homes
from bot.storage.homes import Home
from bot.storage.posts import Post

log = logging.getLogger(__name__)

#: How long after it was opened a home is kept up to date.
KEPT = timedelta(hours=24)
#: How long another process keeps its hands off a home this one is drawing. Longer than any call.
LEASE = timedelta(seconds=30)
#: A person's home is drawn at most this often, in seconds; at once where it was quiet that long. What they
#: asked for, and a new alert, may follow sooner. Own choice: a progress bar need not be quicker.
EVERY_S, SOON_S = 3.0, 1.0
#: `views.publish` is a tier 4 method: 100 a minute and workspace (Slack docs: rate limits). A part is kept
#: for homes that are opened and for alerts.
PUBLISHES_A_MINUTE, RESERVE = 100, 20
#: Looks at least this often, for what other processes changed; at most this often, to merge.
LOOK_EVERY_S, LOOK_PAUSE_S = 2.0, 0.1
#: Calls under way at once.
PARALLEL = 4
#: Waits after a failure: doubled each time up to the longest.
RETRY_S, LONGEST_RETRY_S, PERMANENT_RETRY_S = 1.0, 120.0, 300.0


class Budget:
    """How many homes of one workspace this process may still draw; what others use shows up as 429."""

    def __init__(self) -> None:
        self._drawn: deque[float] = deque()
        self._blocked = 0.0

    def at(self, now: float, *, urgent: bool) -> float:
        """The earliest time one may be drawn, in seconds of the same clock as `now`."""
        while self._drawn and self._drawn[0] <= now - 60:
            self._drawn.popleft()
        most = PUBLISHES_A_MINUTE - (0 if urgent else RESERVE)
        free = now if len(self._drawn) < most else self._drawn[len(self._drawn) - most] + 60
        return max(free, self._blocked)

    def spend(self, now: float) -> None:
        """One is drawn now."""
        self._drawn.append(now)

    def refused(self, now: float, retry_after: float) -> None:
        """Slack answered 429: nothing is drawn for so long (Slack docs: Retry-After, in seconds)."""
        self._blocked = max(self._blocked, now + retry_after)


def due_at(row: Home, *, urgent: bool) -> datetime:
    """When a home that is behind should be drawn."""
    if row.retry_at is not None:
        return row.retry_at
    if row.shown_at is None:
        return row.opened_at
    soon = urgent or row.wanted > row.shown
    return row.shown_at + timedelta(seconds=SOON_S if soon else EVERY_S)


class Homes:
    """Draws what is due, until it is stopped."""

    def __init__(self, *, ports: Ports, teams: Teams, command: str = "/deploy") -> None:
        self._ports = ports
        self._teams = teams
        self._command = command
        self._owner = uuid.uuid4().hex
        self._budgets: dict[str, Budget] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._revision = 0

    def ring(self) -> None:
        """Something changed: look now."""
        self._wake.set()

    async def start(self) -> None:
        """Begin to draw. On SQLite, whatever a crashed process held was ours and is free again at once."""
        if self._ports.database.is_sqlite:
            async with self._ports.database.write() as tx:
                await homes.release(tx, owner=None)
        self._task = asyncio.create_task(self._run(), name="homes")

    async def stop(self, *, within: float) -> None:
        """Finish what is under way, for at most so many seconds, and give back the rest."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way.values(), timeout=within)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            with contextlib.suppress(DeploybotError):
                async with self._ports.database.write() as tx:
                    await homes.release(tx, owner=self._owner)

    async def _run(self) -> None:
        await keep_looking(
            self._look,
            what="homes to draw",
            every=LOOK_EVERY_S,
            pause=LOOK_PAUSE_S,
            wake=self._wake,
            stopping=lambda: self._stopping,
            log=log,
        )

    async def _look(self) -> float:
        """Start drawing whatever may be drawn now; seconds until something else may."""
        now, tick = self._ports.clock.now(), time.monotonic()
        async with self._ports.database.read() as tx:
            rows = await homes.opened_since(tx, now - KEPT)
            if not rows:
                return LOOK_EVERY_S
            stamps = await homes.stamps(tx, {row.team for row in rows})
            behind = [row for row in rows if row.wanted > row.shown or row.stamp != stamps[row.team]]
            alarms = {
                team: home.alarms(await self._ports.deployments.open(tx, team))
                for team in {row.team for row in behind}
            }
        new = {row.key: bool(alarms[row.team] - row.alarms) for row in behind}
        next_look = LOOK_EVERY_S
        for row in sorted(behind, key=lambda row: not new[row.key]):
            if row.key in self._under_way or self._stopping:
                continue
            if row.leased_by not in (None, self._owner) and (row.leased_until or now) > now:
                continue
            urgent = new[row.key] or row.wanted > row.shown
            budget = self._budgets.setdefault(row.team, Budget())
            wait = (due_at(row, urgent=urgent) - now).total_seconds()
            wait = max(wait, budget.at(tick, urgent=urgent) - tick)
            if wait > 0:
                next_look = min(next_look, wait)
                continue
            if len(self._under_way) >= PARALLEL + urgent:
                next_look = min(next_look, 0.2)
                continue
            budget.spend(tick)
            self._begin(row, urgent=urgent)
        return max(next_look, 0.01)

    def _begin(self, row: Home, *, urgent: bool) -> None:
        task = asyncio.create_task(self._send(row, urgent=urgent), name=f"home of {row.user}")
        self._under_way[row.key] = task

        def done(_: asyncio.Task[None]) -> None:
            self._under_way.pop(row.key, None)
            self._wake.set()

        task.add_done_callback(done)

    async def _send(self, row: Home, *, urgent: bool) -> None:
        try:
            await self._draw_and_publish(row, urgent=urgent)
        except SlackFailure as failure:
            await self._slack_failed(row, failure)
        except DeploybotError as error:
            log.warning("the home of %s waits: %s", row.user, error)
            await self._put_off(row, wait=_longer(row))
        except Exception:
            log.exception("the home of %s could not be drawn", row.user)
            await self._put_off(row, wait=LONGEST_RETRY_S)

    async def _draw_and_publish(self, row: Home, *, urgent: bool) -> None:
        now = self._ports.clock.now()
        async with self._ports.database.write() as tx:
            claimed = await homes.claim(tx, *row.key, owner=self._owner, at=now, until=now + LEASE)
            # Before the state is read: what changes after that is drawn the next time.
            stamps = await homes.stamps(tx, {row.team})
            if claimed is None:
                return
            done = claimed.wanted == claimed.shown and claimed.stamp == stamps[row.team]
            if done or due_at(claimed, urgent=urgent) > now:  # another process was quicker
                await homes.let_go(tx, claimed)
                return
        found = await surveying.survey(self._ports, row.team, row.user)
        gateway = await self._teams.of(row.team)
        await gateway.publish_home(row.user, await self._draw(gateway, row.user, found))
        if found.unknown_channels:  # something may be missing: it is drawn again
            await self._put_off(claimed, wait=_longer(row))
            return
        async with self._ports.database.write() as tx:
            await homes.drawn(
                tx,
                claimed,
                stamp=stamps[row.team],
                alarms=home.alarms(found.every),
                at=self._ports.clock.now(),
            )

    async def _draw(self, gateway: Gateway, user: str, found: Survey) -> Block:
        person = await gateway.person(user)
        names = await gateway.names(sorted(_people_in(found)))
        now = self._ports.clock.now()
        # Two drawings of one instant must differ, too.
        self._revision = max(self._revision + 1, int(now.timestamp() * 1000))
        every: Mapping[int, Deployment] = {d.id: d for d in (*found.every, *found.ended)}
        return home.draw(
            home.Seen(
                items=found.mine.items,
                deployments=found.mine.deployments,
                running=found.running,
                ended=found.ended,
                usual=[
                    StartAgain(
                        service=one.service,
                        environment=one.environment,
                        checklist=one.checklist,
                        channel=one.channel,
                    )
                    for one in found.usual
                ],
                links=links_to(found.messages, every, lambda post: _link(gateway, post)),
                names=names,
                timezone=person.timezone,
                now=now,
                revision=self._revision,
                unknown_groups=found.mine.unknown_groups,
                unknown_channels=found.unknown_channels,
                command=self._command,
            )
        )

    async def _slack_failed(self, row: Home, failure: SlackFailure) -> None:
        wait = _longer(row)
        if failure.retry_after is not None:
            self._budgets.setdefault(row.team, Budget()).refused(time.monotonic(), failure.retry_after)
            wait = failure.retry_after
        elif failure.permanent:
            wait = PERMANENT_RETRY_S
        log.warning("the home of %s: %s; trying again in %.0f s. %s", row.user, failure, wait, failure.hint)
        await self._put_off(row, wait=wait)

    async def _put_off(self, row: Home, *, wait: float) -> None:
        try:
            async with self._ports.database.write() as tx:
                await homes.failed(tx, row, retry_at=self._ports.clock.now() + timedelta(seconds=wait))
        except DeploybotError as error:
            log.warning("cannot note that the home of %s waits: %s", row.user, error)


def _longer(row: Home) -> float:
    """How long to wait after one more failure, in seconds."""
    return float(min(RETRY_S * 2**row.failures, LONGEST_RETRY_S))


def _link(gateway: Gateway, post: Post) -> str | None:
    return gateway.link(post.channel, post.ts, post.thread_ts)


def _people_in(found: Survey) -> set[str]:
    """Who is named in plain text: those who gave items, the groups that got them, those who ticked them."""
    people: set[str] = set()
    for deployment_id, own in found.mine.items.items():
        deployment = found.mine.deployments[deployment_id]
        people |= {one.given_by for one in own}
        people |= {one.through for one in own if one.claim is Claim.GROUP}
        people |= {deployment.ticks[one.position].by for one in own if one.position in deployment.ticks}
    return people - {"", BOT, FILE}
