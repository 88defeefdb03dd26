"""Brings Slack up to date: draws each message that shows less than it should, and sends it.

The drawing is made from the newest stored state at the moment of sending, so changes merge by themselves. A
first post whose outcome is unknown (timeout, crash, dropped connection) is looked up before it is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.deployment import FILE, Deployment
from bot.domain.errors import DeploybotError, NotInstalled, TokenNotRenewed, TokenUnreadable
from bot.domain.events import BOT, CI
from bot.services import reporting
from bot.services.ports import Clock
from bot.slack.blocks import (
    alert,
    announcements,
    card,
    gates,
    notices,
    nudges,
    reminder,
    reports,
    rollback,
    runbook,
    section,
    words,
)
from bot.slack.charts import PICTURED, Charts
from bot.slack.gateway import Gateway, SlackFailure
from bot.slack.looking import keep_looking
from bot.slack.pacing import RateLimits, due_at
from bot.slack.pins import Pins
from bot.slack.teams import Teams
from bot.storage import installations, posts, reminders
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from bot.storage.posts import Post

log = logging.getLogger(__name__)

#: How long another process keeps its hands off a message this one is sending. Longer than any call.
LEASE = timedelta(seconds=30)
#: Looks at least this often, for what other processes changed; at most this often, to merge.
LOOK_EVERY_S, LOOK_PAUSE_S = 2.0, 0.03
#: Calls under way at once, in each workspace.
PARALLEL = 4
#: Our clock and Slack's may differ: a lost post is looked for from this long before it was tried.
CLOCK_SKEW = timedelta(minutes=10)
#: A report sent so recently still gets its picture after a restart.
PICTURE_WITHIN = timedelta(hours=6)
#: Waits after a failure: doubled each time up to the longest.
RETRY_S, LONGEST_RETRY_S, PERMANENT_RETRY_S = 1.0, 30.0, 60.0

#: Kinds that go before everything else, and may use what is kept of Slack's limits for them.
URGENT = ("alert", "direct")
#: Kinds that are no replies in the thread.
_NO_REPLY = ("card", "announcement", "direct")
#: What people are called in a post's content.
_PEOPLE = ("by", "to", "from", "cancelled_by", "taken_by", "ended_by", "instead_of")
#: Refusals of this one message, not of the channel or the token: the rest of the thread goes on.
_ITS_OWN_FAULT = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"}


@dataclass(frozen=True, kw_only=True)
class _Job:
    post: Post
    deployment: Deployment
    #: Of the deployment's workspace.
    gateway: Gateway
    thread_ts: str | None
    #: When an earlier attempt was made whose outcome is not known.
    lost_since: datetime | None


class Publisher:
    """Sends what is due, until it is stopped."""

    def __init__(self, *, database: Database, deployments: Deployments, clock: Clock, teams: Teams) -> None:
        self._database = database
        self._deployments = deployments
        self._clock = clock
        self._teams = teams
        self._owner = uuid.uuid4().hex
        self._charts = Charts(
            database=database, deployments=deployments, clock=clock, teams=teams, ring=self.ring
        )
        self._pins = Pins(database=database, clock=clock, teams=teams)
        #: Slack counts by workspace: one that is busy, or does not answer, holds up no other.
        self._limits: defaultdict[str, RateLimits] = defaultdict(RateLimits)
        #: The workspace of each deployment that had something to send.
        self._team: dict[int, str] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._busy: Counter[str] = Counter()
        self._busy_channels: set[tuple[str, str]] = set()
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        """Something changed: look now."""
        self._wake.set()

    async def start(self) -> None:
        """Begin to send. On SQLite, whatever a crashed process held was ours and is free again at once."""
        async with self._database.write() as tx:
            if self._database.is_sqlite:
                await posts.release(tx, owner=None)
            await posts.retry_now(tx)
            since = self._clock.now() - PICTURE_WITHIN
            bare = await posts.unpictured(tx, "report", since=since)
        # Nothing draws a report again by itself: one whose picture was cut off would never get it.
        for post in bare:
            self._charts.begin(post)
        self._task = asyncio.create_task(self._run(), name="publisher")
        await self._pins.start()

    async def stop(self, *, within: float) -> None:
        """Finish what is under way, for at most so many seconds, and give back the rest."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._under_way:
            _, late = await asyncio.wait(self._under_way.values(), timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._charts.stop()
        await self._pins.stop()
        with contextlib.suppress(DeploybotError):
            async with self._database.write() as tx:
                await posts.release(tx, owner=self._owner)

    async def settle(self, *, within: float = 30.0) -> bool:
        """Wait until nothing is left to send; False where it took longer than `within` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    async with self._database.read() as tx:
                        left = await posts.pending(tx)
                    if not left and not self._under_way:
                        return True
                    await asyncio.sleep(0.05)
        return False

    async def _run(self) -> None:
        await keep_looking(
            self._look,
            what="what is to be sent",
            every=LOOK_EVERY_S,
            pause=LOOK_PAUSE_S,
            wake=self._wake,
            stopping=lambda: self._stopping,
            log=log,
        )

    async def _look(self) -> float:
        """Start whatever may be sent now; seconds until something else may."""
        async with self._database.read() as tx:
            waiting = await posts.pending(tx)
            new = {post.deployment_id for post in waiting} - self._team.keys()
            if new:
                self._team |= await installations.teams_of(tx, sorted(new))
        now, tick = self._clock.now(), time.monotonic()
        next_look = LOOK_EVERY_S
        for post in _in_order(_sendable(waiting, now)):
            if post.id in self._under_way or self._stopping:
                continue
            if post.leased_by not in (None, self._owner) and (post.leased_until or now) > now:
                continue
            team = self._team[post.deployment_id]
            limits = self._limits[team]
            wait = (due_at(post, recent_updates=limits.recent_updates(tick)) - now).total_seconds()
            if post.ts is None:
                allowed = limits.post_at(post.channel, tick)
            else:
                allowed = limits.update_at(tick, urgent=post.kind in URGENT)
            wait = max(wait, allowed - tick)
            if wait > 0:
                next_look = min(next_look, wait)
                continue
            room = PARALLEL + (1 if post.kind in URGENT else 0)
            in_turn = post.ts is None and (team, post.channel) in self._busy_channels
            if self._busy[team] >= room or in_turn:
                next_look = min(next_look, 0.2)
                continue
            self._begin(post, tick)
        return max(next_look, 0.01)

    def _begin(self, post: Post, tick: float) -> None:
        first, team = post.ts is None, self._team[post.deployment_id]
        if first:
            self._limits[team].posted(post.channel, tick)
            self._busy_channels.add((team, post.channel))
        else:
            self._limits[team].updated(tick)
        self._busy[team] += 1
        task = asyncio.create_task(self._send(post), name=f"send post {post.id}")
        self._under_way[post.id] = task

        def done(_: asyncio.Task[None]) -> None:
            self._under_way.pop(post.id, None)
            self._busy[team] -= 1
            if first:
                self._busy_channels.discard((team, post.channel))
            self._wake.set()

        task.add_done_callback(done)

    async def _send(self, post: Post) -> None:
        try:
            gateway = await self._gateway_of(post)
            job = await self._claim(post, gateway) if gateway is not None else None
            if job is not None:
                await self._deliver(job)
        except DeploybotError as error:
            log.warning("post %s waits: %s", post.id, error)
        except Exception:
            log.exception("sending post %s failed", post.id)
            await self._note_failure(
                post, problem="the message could not be drawn; the log has the cause", wait=LONGEST_RETRY_S
            )

    async def _gateway_of(self, post: Post) -> Gateway | None:
        """The workspace's; None where it has the bot no more, and the message waits until it is back."""
        try:
            return await self._teams.of(self._team[post.deployment_id])
        except NotInstalled as error:
            log.debug("post %s waits: %s", post.id, error)
            problem = str(error)
        except (TokenUnreadable, TokenNotRenewed) as error:
            log.warning("post %s waits: %s", post.id, error)
            problem = str(error)
        await self._note_failure(post, problem=problem, wait=PERMANENT_RETRY_S)
        return None

    async def _claim(self, post: Post, gateway: Gateway) -> _Job | None:
        now = self._clock.now()
        async with self._database.write() as tx:
            claimed = await posts.claim(
                tx, post.id, owner=self._owner, at=now, until=now + LEASE, first=post.ts is None
            )
            if claimed is None:
                return None
            deployment = await self._deployments.get(tx, claimed.deployment_id)
            root = await posts.card(tx, claimed.deployment_id)
        assert deployment is not None
        thread_ts = None if claimed.kind in _NO_REPLY or root is None else root.ts
        return _Job(
            post=claimed,
            deployment=deployment,
            gateway=gateway,
            thread_ts=thread_ts,
            lost_since=claimed.attempted_at,
        )

    async def _deliver(self, job: _Job) -> None:
        post = job.post
        revision = post.wanted
        thread_ts = post.thread_ts if post.ts is not None else job.thread_ts
        try:
            channel = await job.gateway.direct(post.channel) if post.kind == "direct" else post.channel
            if post.ts is not None:
                await self._update(job, channel, post.ts)
                ts = post.ts
            else:
                found = await self._look_up(job, channel) if job.lost_since is not None else None
                if found is not None:
                    ts, revision = found, 0
                else:
                    drawing = await self._draw(job)
                    ts = await job.gateway.post(
                        drawing,
                        channel=channel,
                        thread_ts=thread_ts,
                        uid=post.uid,
                        broadcast=post.kind == "alert",
                    )
        except SlackFailure as failure:
            await self._slack_failed(job, failure)
            return
        async with self._database.write() as tx:
            await posts.sent(tx, post.id, ts=ts, thread_ts=thread_ts, revision=revision, at=self._clock.now())
        if post.kind in PICTURED:
            self._charts.begin(post)
        elif post.kind == "card":
            self._pins.ring()

    async def _update(self, job: _Job, channel: str, ts: str) -> None:
        post = job.post
        try:
            await job.gateway.update(await self._draw(job), channel=channel, ts=ts)
        except SlackFailure as failure:
            if failure.code != "invalid_blocks" or self._charts.of(post) is None:
                raise
            self._charts.not_yet(post)
            await job.gateway.update(await self._draw(job), channel=channel, ts=ts)

    async def _look_up(self, job: _Job, channel: str) -> str | None:
        assert job.lost_since is not None
        since = (job.lost_since - CLOCK_SKEW).timestamp()
        found = await job.gateway.find(
            channel=channel, thread_ts=job.thread_ts, uid=job.post.uid, since=since
        )
        log.info("post %s had an unknown outcome: %s", job.post.id, "it is there" if found else "not there")
        return found

    async def _draw(self, job: _Job) -> words.Drawing:
        deployment, post = job.deployment, job.post
        names = await job.gateway.names(_people_in(deployment, post))
        match post.kind:
            case "card":
                return card.draw(deployment, names=names, now=self._clock.now())
            case "section":
                part = section.Part(**post.content)
                return section.draw(deployment, part, post_id=post.id, revision=post.wanted, names=names)
            case "rollback":
                return rollback.draw(deployment)
            case "runbook":
                return runbook.draw(
                    deployment, post.content, post_id=post.id, revision=post.wanted, names=names
                )
            case "alert":
                return alert.draw(deployment, post.content, names=names, chart=self._charts.of(post))
            case "direct" if "fired" in post.content:
                return alert.draw_direct(deployment, post.content, link=await self._link(job))
            case "override":
                return gates.draw(deployment, post.content, names=names)
            case "direct" if "nudge" in post.content:
                root = await self._root(deployment.id)
                link = None if root is None else job.gateway.link(root.channel, root.ts)
                return nudges.direct(deployment, post.content, link=link)
            case "announcement":
                root = await self._root(deployment.id)
                link = None if root is None else job.gateway.link(root.channel, root.ts)
                return announcements.draw(
                    deployment, post.content, link=link, names=names, now=self._clock.now()
                )
            case "reminder" | "direct":
                return await self._reminder(job)
            case "report":
                return await self._report(deployment, post, names)
            case "notice":
                return notices.draw(deployment, post.key, post.content, names=names)
        raise ValueError(f"no drawing for a post of kind {post.kind}")

    async def _reminder(self, job: _Job) -> words.Drawing:
        deployment, post = job.deployment, job.post
        ids = [shown[0] for shown in post.content["reminders"]]
        async with self._database.read() as tx:
            rows = await reminders.some(tx, ids)
            root = await posts.card(tx, deployment.id)
        people = reminder.people_in(deployment, rows.values())
        return reminder.draw(
            deployment,
            post.content,
            rows,
            names=await job.gateway.names(sorted(people)),
            link=None if root is None else job.gateway.link(root.channel, root.ts),
            now=self._clock.now(),
            reader=(await job.gateway.person(post.channel)).reader if post.kind == "direct" else None,
        )

    async def _report(self, deployment: Deployment, post: Post, names: Mapping[str, str]) -> words.Drawing:
        told = await reporting.collect(
            self._database, self._deployments, self._clock, deployment.id, names=reporting.nobody
        )
        picture = self._charts.of(post)
        return reports.draw(deployment, post.key, post.content, report=told, names=names, picture=picture)

    async def _link(self, job: _Job) -> str | None:
        """To the newest alert of what a direct message is about."""
        direct = job.post
        async with self._database.read() as tx:
            alerts = await posts.of_kind(tx, direct.deployment_id, "alert")
        about = [post for post in alerts if post.content["fired"] == direct.content["fired"]]
        return job.gateway.link(about[-1].channel, about[-1].ts) if about else None

    async def _root(self, deployment_id: int) -> Post | None:
        async with self._database.read() as tx:
            return await posts.card(tx, deployment_id)

    async def _slack_failed(self, job: _Job, failure: SlackFailure) -> None:
        post, team = job.post, job.deployment.team
        await self._teams.refused(team, job.gateway, failure)
        wait = min(RETRY_S * 2**post.failures, LONGEST_RETRY_S)
        if failure.retry_after is not None:
            self._limits[team].refused(failure.method, time.monotonic(), failure.retry_after)
            wait = failure.retry_after
        elif failure.permanent:
            wait = PERMANENT_RETRY_S
        gone = failure.method == "chat.update" and failure.code == "message_not_found"
        log.warning("post %s: %s; trying again in %.0f s. %s", post.id, failure, wait, failure.hint)
        # A failed look-up leaves the attempt before it unknown.
        known = failure.outcome_known and failure.method in {"chat.postMessage", "chat.update"}
        await self._note_failure(
            post,
            problem=f"Slack refused {failure.method}: {failure.code}. {failure.hint}",
            wait=0 if gone else wait,
            outcome_known=known,
            forget_ts=gone,
        )

    async def _note_failure(
        self,
        post: Post,
        *,
        problem: str,
        wait: float,
        outcome_known: bool = False,
        forget_ts: bool = False,
    ) -> None:
        try:
            async with self._database.write() as tx:
                await posts.failed(
                    tx,
                    post.id,
                    problem=problem,
                    retry_at=self._clock.now() + timedelta(seconds=wait),
                    outcome_known=outcome_known,
                    forget_ts=forget_ts,
                )
        except DeploybotError as error:
            log.warning("cannot note the failure of post %s: %s", post.id, error)


def _sendable(waiting: Sequence[Post], now: datetime) -> list[Post]:
    """Every message to redraw, and of each thread the first that was not posted yet.

    The card comes first, because the rest are replies to it, then alerts, then the thread in its order.
    """
    sendable: list[Post] = []
    held: set[int] = set()
    for post in sorted(waiting, key=lambda post: (post.kind != "card", post.kind not in URGENT)):
        if post.ts is not None or post.kind == "direct":
            sendable.append(post)
        elif post.deployment_id not in held:
            sendable.append(post)
            failing = post.retry_at is not None and post.retry_at > now
            own_fault = any(code in (post.problem or "") for code in _ITS_OWN_FAULT)
            elsewhere = post.kind in _NO_REPLY
            if post.kind == "card" or not (failing and (own_fault or elsewhere)):
                held.add(post.deployment_id)
    return sendable


def _in_order(sendable: Sequence[Post]) -> list[Post]:
    """Alerts, then what people wait for: new messages, then what changed longest ago; the card last."""
    return sorted(
        sendable,
        key=lambda post: (
            post.kind not in URGENT,
            post.ts is not None,
            post.kind == "card",
            post.first_wanted_at,
        ),
    )


def _people_in(deployment: Deployment, post: Post) -> list[str]:
    people = {tick.by for tick in deployment.ticks.values()} | {deployment.lead}
    if deployment.ended_by is not None:
        people.add(deployment.ended_by)
    if deployment.go is not None:
        people.add(deployment.go.by)
    after = deployment.aftermath
    for trigger in after.triggers.values():
        people |= {trigger.by, trigger.acknowledged_by, trigger.snoozed_by, trigger.cleared_by}
        people |= {one.by for one in trigger.joined}
    if after.rollback is not None:
        people.add(after.rollback.by)
    care = deployment.care
    people |= {one.by for one in care.waivers.values()}
    people |= {to for some in care.assignments.values() for one in some for to in (one.to, one.by)}
    people |= {person for one in care.overrides for person in (one.first, one.second, one.withdrawn_by)}
    people |= {one.by for one in (care.no_go, care.go_request) if one is not None}
    people |= {owner for part in deployment.conduct.owned for owner in part.owners}
    people |= {str(post.content.get(name) or BOT) for name in _PEOPLE}
    people.discard("")
    return sorted(people - {BOT, CI, FILE})
