"""Sends reminders when they are due, with the current numbers, and escalates those nobody reacts to.

Whoever wakes it, it looks into the database for what is due by the clock port. So a restart loses nothing, a
clock that was moved counts, and what became due while nobody looked is sent in one message a deployment.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import checking as checks
from bot.domain.deployment import Deployment
from bot.domain.errors import DeploybotError
from bot.domain.events import BOT, Fact
from bot.domain.post import PlannedPost
from bot.domain.reminding import (
    Level,
    Reminder,
    ReminderPlan,
    State,
    gathered,
    planned,
    told,
)
from bot.domain.verification import Purpose
from bot.services import checking
from bot.services.ports import Ports
from bot.storage import posts, reminders

log = logging.getLogger(__name__)

#: Longest wait for current numbers, in seconds: late by that much is still on time.
NUMBERS_S = 20.0
#: What is due within this time goes out with what is due now. Own choice: nobody minds two minutes.
NEAR = timedelta(minutes=2)
#: Overdue by more than this was missed: the message says when it was due.
LATE = timedelta(minutes=5)
#: How long a process keeps what it is sending: longer than it waits for numbers.
LEASE = timedelta(seconds=45)
#: Most reminders in one message: the buttons of each take about 800 of the 13,000 characters Slack allows.
MOST = 10
#: With more items than this, only their cheap checks are run: "everything" includes load tests.
NAMED = 10
#: A result this young needs no new look.
CURRENT = timedelta(seconds=30)


class Reminders:
    """Looks for what is due, each time it is woken."""

    def __init__(self, ports: Ports, *, patience: float = NUMBERS_S) -> None:
        self._ports = ports
        self._patience = patience
        self._owner = uuid.uuid4().hex
        #: Deployments whose plan could not be read, so that the log says it once.
        self._unread: set[int] = set()
        #: Deployments whose plan has nothing for them, as they were: only the plan can change that.
        self._bare: dict[int, Deployment] = {}

    async def start(self) -> None:
        """Take over what a process before left half sent. On SQLite nobody else can be sending it."""
        if self._ports.database.is_sqlite:
            async with self._ports.database.write() as tx:
                await reminders.release(tx, owner=None)

    async def look(self) -> datetime | None:
        """Plan, settle, send and escalate what is to be; when something is due next, by the clock port."""
        await self._guarded(self._drop_left_over())
        await self._guarded(self._plan())
        await self._guarded(self._settle_done())
        async with self._ports.database.read() as tx:
            due = await reminders.due(tx, at=self._ports.clock.now())
        await asyncio.gather(*(self._guarded(self._deliver(deployment_id)) for deployment_id in due))
        async with self._ports.database.read() as tx:
            return await reminders.next_due(tx)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """One part's trouble must not keep the others from being done; it is tried again at the next look."""
        try:
            await work
        except DeploybotError as error:
            log.warning("reminders wait: %s", error)
        except Exception:
            log.exception("reminders could not be handled; they are tried again")

    # ── what there is ────────────────────────────────────────────────────────────────────────────────────

    async def _plan(self) -> None:
        async with self._ports.database.read() as tx:
            waiting = await reminders.unplanned(tx)
        self._bare = {one: state for one, state in self._bare.items() if one in waiting}
        for deployment_id in waiting:
            await self._begin(deployment_id)

    async def _begin(self, deployment_id: int) -> None:
        """Add the reminders of the plan to a deployment that is deployed; once, whoever else tries."""
        state = self._bare.get(deployment_id) or await self._state(deployment_id)
        if state is None or state.aftermath.deployed is None:
            return
        if (plan := await self._planned(state)) is None:
            return
        # Worked out before the row is locked: this is looked at every few seconds.
        if not planned(state, plan, deployed_at=state.aftermath.deployed.at):
            self._bare[deployment_id] = state
            return
        async with self._ports.database.write() as tx:
            state = await self._ports.deployments.get(tx, deployment_id, locked=True)
            if state is None or state.aftermath.deployed is None or not state.phase.open:
                return
            new = planned(state, plan, deployed_at=state.aftermath.deployed.at)
            added = await reminders.add(tx, deployment_id, new)
            now = self._ports.clock.now()
            await self._ports.deployments.append(tx, state, [one.added(by=BOT, at=now) for one in added])

    async def _planned(self, state: Deployment) -> ReminderPlan | None:
        """The plan as it is now; None while it cannot be read."""
        target = state.target
        try:
            plan = await self._ports.schedule.reminders(
                state.checklist_name,
                service=target.service,
                version=target.version,
                environment=target.environment,
            )
        except DeploybotError as error:
            if state.id not in self._unread:
                self._unread.add(state.id)
                log.error("the reminders of %s wait until this is mended: %s", state.name, error)
            return None
        self._unread.discard(state.id)
        return plan

    async def _drop_left_over(self) -> None:
        """Nobody is reminded of anything in a deployment that has ended."""
        async with self._ports.database.read() as tx:
            left = await reminders.left_over(tx)
        for deployment_id, rows in _by_deployment(left):
            async with self._ports.database.write() as tx:
                now = self._ports.clock.now()
                await reminders.settle(tx, [row.id for row in rows], state=State.DROPPED, by=BOT, at=now)
                await redraw(tx, deployment_id, [row for row in rows if row.state is State.SENT], at=now)
            self._ports.bell.ring()

    async def _settle_done(self) -> None:
        """What was asked for and is done meanwhile asks no more."""
        async with self._ports.database.read() as tx:
            sent = await reminders.sent_ones(tx)
        for deployment_id, rows in _by_deployment(sent):
            state = await self._state(deployment_id)
            if state is None or all(row.says_something(state) for row in rows):
                continue
            async with self._ports.database.write() as tx:
                state = await self._ports.deployments.get(tx, deployment_id, locked=True)
                assert state is not None
                current = await reminders.some(tx, [row.id for row in rows])
                done = [
                    row
                    for row in current.values()
                    if row.state is State.SENT and not row.says_something(state)
                ]
                await self._settle(tx, state, done, State.DONE)
            self._ports.bell.ring()

    async def _settle(
        self, tx: AsyncConnection, state: Deployment, rows: Sequence[Reminder], to: State
    ) -> Deployment:
        """The bot settles these itself; the messages that asked say so."""
        if not rows:
            return state
        now = self._ports.clock.now()
        await reminders.settle(tx, [row.id for row in rows], state=to, by=BOT, at=now)
        await redraw(tx, state.id, [row for row in rows if row.state is State.SENT], at=now)
        return await self._ports.deployments.append(tx, state, [told(to.value, rows, by=BOT, at=now)])

    # ── what is due ──────────────────────────────────────────────────────────────────────────────────────

    async def _deliver(self, deployment_id: int) -> None:
        now = self._ports.clock.now()
        async with self._ports.database.write() as tx:
            claimed = await reminders.claim(
                tx,
                deployment_id,
                owner=self._owner,
                at=now,
                until=now + LEASE,
                near=NEAR,
                most=MOST,
            )
        state = await self._state(deployment_id)
        if not claimed or state is None:
            return
        open_items = sorted(set(chain.from_iterable(row.open_in(state) for row in claimed)))
        await self._fetch(state, open_items, claimed[0])
        plan = await self._planned(state) or ReminderPlan()
        async with self._ports.database.write() as tx:
            state = await self._ports.deployments.get(tx, deployment_id, locked=True)
            assert state is not None
            held = await reminders.held(tx, [row.id for row in claimed], owner=self._owner)
            if not state.phase.open or not held:
                return
            waiting = [row for row in held if row.state is State.WAITING]
            # What is due soon goes along; it is no reason for a message of its own.
            now = self._ports.clock.now()
            early = [row for row in waiting if row.due_at > now]
            if all(row in early or not row.says_something(state) for row in waiting):
                waiting = [row for row in waiting if row not in early]
                await reminders.let_go(tx, [row.id for row in early])
            state = await self._send(tx, state, waiting, Level.THREAD, plan)
            for level in (Level.LEAD, Level.GROUP):
                unanswered = [
                    row for row in held if row.state is State.SENT and _after(row.level, plan) is level
                ]
                state = await self._send(tx, state, unanswered, level, plan)
            end = [row for row in held if row.state is State.SENT and _after(row.level, plan) is None]
            for row in end:  # nobody is left to ask: the plan was changed meanwhile
                await reminders.sent(tx, [row.id], level=row.level, at=now, next_at=None)
        self._ports.bell.ring()

    async def _send(
        self,
        tx: AsyncConnection,
        state: Deployment,
        rows: Sequence[Reminder],
        level: Level,
        plan: ReminderPlan,
    ) -> Deployment:
        """Own the message for these, in the transaction that says they were sent."""
        if not rows:
            return state
        now = self._ports.clock.now()
        found = gathered(state, rows)
        state = await self._settle(tx, state, found.done, State.DONE)
        state = await self._settle(tx, state, found.covered, State.DROPPED)
        if not found.entries:
            return state
        sent = [reminder for reminder, _ in found.entries]
        wait = {Level.LEAD: plan.lead_after, Level.GROUP: plan.group_after}
        further = _after(level, plan)
        next_at = now + (wait[further] or timedelta()) if further is not None else None
        await reminders.sent(tx, [row.id for row in sent], level=level, at=now, next_at=next_at)
        kind = "sent" if level is Level.THREAD else "escalated"
        fact: Fact = told(kind, sent, by=BOT, at=now, also={"level": int(level)})
        state = await self._ports.deployments.append(tx, state, [fact])
        content = {
            "reminders": [[reminder.id, reminder.round, list(items)] for reminder, items in found.entries],
            "level": int(level),
            "late": level is Level.THREAD and any(now - reminder.due_at > LATE for reminder in sent),
            "mention": plan.on_call if level is Level.GROUP else "",
        }
        direct = level is Level.LEAD
        post = PlannedPost(
            kind="direct" if direct else "reminder", key=f"{kind}-{state.seq}", content=content
        )
        channel = state.lead if direct else state.channel
        await posts.add(tx, [post], deployment_id=state.id, channel=channel, at=now)
        return state

    # ── the current numbers ──────────────────────────────────────────────────────────────────────────────

    async def _fetch(self, state: Deployment, positions: Sequence[int], cause: Reminder) -> None:
        """Run the checks of these open items, without a word about the run, and wait a while for results.

        What passes is ticked by the bot and needs no reminder. Where evidence is being looked at for Go or
        the end, that run is left alone, and what is known is said.
        """
        now = self._ports.clock.now()
        wanted = [
            position
            for position in positions
            if (bound := state.bindings.get(position)) is not None
            and (bound.cheap or len(positions) <= NAMED)
            and (position not in state.results or now - state.results[position].at > CURRENT)
        ]
        if not wanted or (state.run is not None and state.run.purpose is not Purpose.ASKED):
            return
        name = f"reminder.{cause.id}.{cause.round}.{int(cause.level)}.{cause.state}"
        await checking.act(
            self._ports,
            state.id,
            name,
            lambda newest: [checks.request(newest, wanted, user=BOT, at=self._ports.clock.now(), quiet=True)],
        )
        end = asyncio.get_running_loop().time() + self._patience
        while await self._pending(state.id, wanted):
            if asyncio.get_running_loop().time() > end:
                log.info("the numbers of %s take longer than %.0f s", state.name, self._patience)
                return
            await asyncio.sleep(0.2)

    async def _pending(self, deployment_id: int, positions: Iterable[int]) -> bool:
        state = await self._state(deployment_id)
        run = state.run if state is not None else None
        return run is not None and not run.pending.isdisjoint(positions)

    async def _state(self, deployment_id: int) -> Deployment | None:
        async with self._ports.database.read() as tx:
            return await self._ports.deployments.get(tx, deployment_id)


async def redraw(tx: AsyncConnection, deployment_id: int, rows: Iterable[Reminder], *, at: datetime) -> None:
    """Ask for the messages that ask about these to be drawn again, in the thread and direct."""
    rounds = [(row.id, row.round) for row in rows]
    if rounds:
        only = await posts.reminding(tx, deployment_id, rounds)
        await posts.want(tx, deployment_id=deployment_id, at=at, only=only, settled=True, card=False)


def _after(level: Level, plan: ReminderPlan) -> Level | None:
    """Whom an unanswered reminder reaches next, or None."""
    if level is Level.THREAD and plan.lead_after is not None:
        return Level.LEAD
    if level is not Level.GROUP and plan.group_after is not None and plan.on_call:
        return Level.GROUP
    return None


def _by_deployment(rows: Iterable[Reminder]) -> list[tuple[int, list[Reminder]]]:
    found: dict[int, list[Reminder]] = defaultdict(list)
    for row in rows:
        found[row.deployment_id].append(row)
    return list(found.items())
