"""Runs the checks people asked for, and writes down what they find as it comes.

What is to be run stands in the database, so a run survives a restart: results that were written stay, the
rest is looked at again. A lease keeps two processes from running the same deployment's checks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import checking
from bot.domain.check import Evidence, ItemResult, Outcome
from bot.domain.deployment import Deployment, extend
from bot.domain.errors import DeploybotError
from bot.domain.events import BOT, Event, Fact
from bot.domain.verification import Purpose
from bot.services.checking import add_conclusion, add_run_notice, concluding
from bot.services.ports import Ports
from bot.storage import posts, run_leases

log = logging.getLogger(__name__)

#: How long a process keeps a run without a word, and how often it says one, in seconds.
LEASE, HEARTBEAT_S = timedelta(seconds=30), 2.0
#: Looks at least this often for runs other processes left behind.
LOOK_EVERY_S = 5.0
#: Results that come within this many seconds of each other are written together.
GATHER_S = 0.15
#: Waits after trouble with the database, in seconds.
RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0)


class CheckRunner:
    """Executes runs until it is stopped."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._owner = uuid.uuid4().hex
        self._wake = asyncio.Event()
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        """Something changed: look now."""
        self._wake.set()

    async def start(self) -> None:
        """Begin, with what a process before left unfinished. On SQLite nobody else can be holding it."""
        if self._ports.database.is_sqlite:
            async with self._ports.database.write() as tx:
                await run_leases.give_back(tx, owner=None)
        self._task = asyncio.create_task(self._look_out(), name="check runner")

    async def stop(self) -> None:
        """Stop at once; what is not written yet is looked at again by the next process."""
        tasks = [task for task in (self._task, *self._runs.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(DeploybotError):
            async with self._ports.database.write() as tx:
                await run_leases.give_back(tx, owner=self._owner)

    async def _look_out(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._look()
            except DeploybotError as error:
                log.warning("cannot see which checks are to be run: %s", error)
            except Exception:
                log.exception("looking for checks to run failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()

    async def _look(self) -> None:
        async with self._ports.database.read() as tx:
            running = await self._ports.deployments.running(tx)
        wanted = {state.id for state in running}
        for deployment_id, task in list(self._runs.items()):
            if deployment_id not in wanted:
                task.cancel()  # cancelled, or the deployment was aborted
        for state in running:
            if state.id not in self._runs and await self._lease(state.id):
                task = asyncio.create_task(self._run(state.id), name=f"checks of {state.name}")
                self._runs[state.id] = task
                task.add_done_callback(partial(self._done, state.id))

    def _done(self, deployment_id: int, _: asyncio.Task[None]) -> None:
        self._runs.pop(deployment_id, None)
        self._wake.set()

    async def _lease(self, deployment_id: int) -> bool:
        now = self._ports.clock.now()
        async with self._ports.database.write() as tx:
            return await run_leases.take(tx, deployment_id, owner=self._owner, at=now, until=now + LEASE)

    # ── one deployment ───────────────────────────────────────────────────────────────────────────────────

    async def _run(self, deployment_id: int) -> None:
        heartbeat = asyncio.create_task(self._keep_lease(deployment_id))
        looking: dict[int, asyncio.Task[None]] = {}
        writer = _Writer(self._ports, deployment_id)
        try:
            while True:
                state = await self._state(deployment_id)
                if state is None or state.run is None:
                    return
                new = [position for position in sorted(state.run.pending) if position not in looking]
                if new:
                    task = asyncio.create_task(self._verify(state, new, writer))
                    looking |= dict.fromkeys(new, task)
                under_way = {task for task in looking.values() if not task.done()}
                looking = {p: task for p, task in looking.items() if not task.done()}
                if not under_way and not new:
                    return
                await asyncio.wait(under_way, timeout=HEARTBEAT_S / 4)
        except DeploybotError as error:
            log.warning("the checks of deployment %s wait: %s", deployment_id, error)
            await asyncio.sleep(RETRY_S[-1])
        finally:
            tasks = [heartbeat, *looking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _state(self, deployment_id: int) -> Deployment | None:
        async with self._ports.database.read() as tx:
            return await self._ports.deployments.get(tx, deployment_id)

    async def _keep_lease(self, deployment_id: int) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            with contextlib.suppress(DeploybotError):
                await self._lease(deployment_id)

    async def _verify(self, state: Deployment, positions: Sequence[int], writer: _Writer) -> None:
        items = state.checklist.items
        at = {items[position].key: position for position in positions}
        deeds = RecordedDeeds(self._ports, state.id)

        async def on_result(result: ItemResult) -> None:
            writer.add(at[result.key], result)

        try:
            await self._ports.verifier.run(state, list(at), deeds=deeds, on_result=on_result)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if not isinstance(error, DeploybotError):
                log.exception("the checks of %s failed", state.name)
            for key, position in at.items():
                if position not in writer.seen:
                    writer.add(position, _broken(key, error, self._ports.clock.now()))
        await writer.written()


class _Writer:
    """Writes results down in the order they come, several in one transaction."""

    def __init__(self, ports: Ports, deployment_id: int) -> None:
        self._ports = ports
        self._deployment_id = deployment_id
        self._waiting: dict[int, ItemResult] = {}
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self.seen: set[int] = set()

    def add(self, position: int, result: ItemResult) -> None:
        """A result to be written soon."""
        self.seen.add(position)
        self._hurry.clear()
        self._waiting[position] = result
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def written(self) -> None:
        """Nothing more comes for now: write at once, and wait until it is done."""
        self._hurry.set()
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def _write(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._hurry.wait()
            batch, self._waiting = self._waiting, {}
            for wait in (*RETRY_S, None):
                try:
                    await record(self._ports, self._deployment_id, batch)
                    break
                except DeploybotError as error:
                    if wait is None:
                        raise
                    log.warning("results wait to be written: %s", error)
                    await asyncio.sleep(wait)


async def record(ports: Ports, deployment_id: int, batch: Mapping[int, ItemResult]) -> None:
    """Write results, the ticks they give and take, and the end of the run when they were the last."""
    async with ports.database.write() as tx:
        before = await ports.deployments.get(tx, deployment_id, locked=True)
        if before is None or before.run is None:
            return
        now = ports.clock.now()
        state = before
        added: list[Event] = []
        for position, result in batch.items():
            state, events = extend(state, checking.record(state, position, result, at=now))
            added.extend(events)
        await ports.deployments.store(tx, before, state, added)
        if state.run is not None and not state.run.pending:
            state = await _end(ports, tx, state, now)
            only = None
        else:
            only = await posts.holding(tx, deployment_id, batch)
        await posts.want(tx, deployment_id=deployment_id, at=now, only=only)
    ports.bell.ring()


async def _end(ports: Ports, tx: AsyncConnection, state: Deployment, now: datetime) -> Deployment:
    run = state.run
    assert run is not None
    end = checking.ended(state, at=now)
    after = await ports.deployments.append(tx, state, [end])
    if run.asked:
        await add_run_notice(tx, run, after, end, at=now)
    if run.purpose is Purpose.ASKED:
        return after
    reopened = [
        event.fact
        for event in await ports.deployments.since(tx, state.id, run.seq, "item.unticked")
        if event.fact.actor == BOT and event.fact.data["position"] not in after.ticks
    ]
    # A person's tick that its check contradicts now stays theirs, and is not done any more.
    contradicted = [
        Fact(
            kind="item.unticked",
            actor=BOT,
            at=now,
            data={"position": position, "why": after.results[position].said},
        )
        for position in run.positions
        if position in after.ticks and position not in after.done
    ]
    facts = concluding(
        after,
        run.purpose,
        user=run.by,
        at=now,
        reopened=bool(reopened or contradicted),
        go_by=run.go_by,
    )
    after = await ports.deployments.append(tx, after, facts)
    await add_conclusion(tx, after, run.purpose, [*reopened, *contradicted, *facts], at=now)
    return after


def _broken(key: str, error: Exception, at: datetime) -> ItemResult:
    said = str(error) if isinstance(error, DeploybotError) else "the check could not be run; the log has why"
    part = Evidence(
        id="",
        kind="",
        target="",
        outcome=Outcome.ERROR,
        observed="",
        expected="",
        reason=said,
        started_at=at,
        ms=0.0,
    )
    return ItemResult(key=key, outcome=Outcome.ERROR, evidence=(part,), at=at, expires_at=at, ms=0.0)


class RecordedDeeds:
    """What the bot did for a deployment, as its posts and events tell."""

    def __init__(self, ports: Ports, deployment_id: int) -> None:
        self._ports = ports
        self._deployment_id = deployment_id

    async def find(self, what: str) -> Mapping[str, Any] | None:
        """The newest message of this name that Slack has taken, or None.

        `started` is the card, `notified` and `report_shared` are what another channel was told.
        """
        async with self._ports.database.read() as tx:
            if what == "started":
                post = await posts.card(tx, self._deployment_id)
            else:
                sign = {"notified": "notify-", "report_shared": "share-"}.get(what)
                post = await posts.announcement(tx, self._deployment_id, sign) if sign else None
        if post is None or post.ts is None:
            return None
        return {"at": post.shown_at, "channel": post.channel, "ts": post.ts, "permalink": ""}
