"""Runs the checks people asked for, and writes down what they find as it comes.

What is to be run stands in the database, so a run survives a restart: results that were written stay, the
rest is looked at again. A lease keeps two processes from running the same deployment's checks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.checks.redaction import Redactor
from bot.domain.check import ItemResult
from bot.domain.deployment import Deployment
from bot.domain.errors import DeploybotError
from bot.domain.reminding import Origin, State
from bot.services.ports import Ports
from bot.services.recording import Writer, broken
from bot.services.watching import since_rollback
from bot.storage import posts, reminders, run_leases

log = logging.getLogger(__name__)

#: How long a process keeps a run without a word, and how often it says one, in seconds.
LEASE, HEARTBEAT_S = timedelta(seconds=30), 2.0
#: Looks at least this often for runs other processes left behind.
LOOK_EVERY_S = 5.0
#: Wait after trouble, in seconds.
TROUBLE_S = 8.0


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
        try:
            await self._see_through(deployment_id)
        except DeploybotError as error:
            log.warning("the checks of deployment %s wait: %s", deployment_id, error)
            await asyncio.sleep(TROUBLE_S)
        except Exception:
            log.exception("running the checks of deployment %s failed", deployment_id)
            await asyncio.sleep(TROUBLE_S)
        finally:
            with contextlib.suppress(DeploybotError):
                async with self._ports.database.write() as tx:
                    await run_leases.give_back(tx, owner=self._owner, deployment_id=deployment_id)

    async def _see_through(self, deployment_id: int) -> None:
        """Look at what is pending until nothing is, the lease is lost, or the run is another one."""
        heartbeat = asyncio.create_task(self._keep_lease(deployment_id))
        looking: dict[int, asyncio.Task[None]] = {}
        writer: Writer | None = None
        try:
            while not heartbeat.done():
                state = await self._state(deployment_id, patient=writer is not None)
                if state is None or state.run is None:
                    return
                writer = writer or Writer(self._ports, deployment_id, state.run.seq)
                if writer.run_seq != state.run.seq:
                    return  # stopped and asked for anew: what is being looked at answers the old question
                new = [position for position in sorted(state.run.pending) if position not in looking]
                if new:
                    task = asyncio.create_task(self._verify(state, new, writer))
                    looking |= dict.fromkeys(new, task)
                under_way = {task for task in looking.values() if not task.done()}
                for ended in set(looking.values()) - under_way:
                    ended.result()
                looking = {p: task for p, task in looking.items() if not task.done()}
                if not under_way and not new:
                    return
                await asyncio.wait(
                    {*under_way, heartbeat},
                    timeout=HEARTBEAT_S / 4,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            log.warning("another process runs the checks of deployment %s now", deployment_id)
        finally:
            tasks = [heartbeat, *looking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if writer is not None:
                await writer.close()

    async def _state(self, deployment_id: int, *, patient: bool) -> Deployment | None:
        """The state now; `patient` where checks are under way that trouble with the database must not end:
        what they have found waits to be written, and some of them may not be run twice."""
        while True:
            try:
                async with self._ports.database.read() as tx:
                    return await self._ports.deployments.get(tx, deployment_id)
            except DeploybotError as error:
                if not patient:
                    raise
                log.warning("the checks of deployment %s go on unseen: %s", deployment_id, error)
                await asyncio.sleep(HEARTBEAT_S)

    async def _keep_lease(self, deployment_id: int) -> None:
        """Prolong the lease; returns when another process holds it."""
        held = True
        while held:
            await asyncio.sleep(HEARTBEAT_S)
            with contextlib.suppress(DeploybotError):
                held = await self._lease(deployment_id)

    async def _verify(self, state: Deployment, positions: Sequence[int], writer: Writer) -> None:
        items = state.boxes
        at = {items[position].key: position for position in positions}
        deeds = RecordedDeeds(self._ports, state.id)

        found: set[int] = set()

        async def on_result(result: ItemResult) -> None:
            position = at[result.key]
            found.add(position)
            writer.add(position, result)

        why: BaseException | None = None
        try:
            await self._ports.verifier.run(state, list(at), deeds=deeds, on_result=on_result)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            why = error
            if not isinstance(error, DeploybotError):
                # Tracebacks quote what was being worked on, secrets as well.
                trace = Redactor().clean(traceback.format_exc())
                log.error("the checks of %s failed: %s", state.name, trace)
        for key, position in at.items():
            if position not in found:
                writer.add(position, broken(key, why, self._ports.clock.now()))
        await writer.written()


class RecordedDeeds:
    """What the bot did for a deployment, as its posts and events tell."""

    def __init__(self, ports: Ports, deployment_id: int) -> None:
        self._ports = ports
        self._deployment_id = deployment_id

    async def find(self, what: str) -> Mapping[str, Any] | None:
        """The newest message of this name that Slack has taken, or None.

        `started` is the card, `notified` and `report_shared` are what another channel was told,
        `reminder_scheduled` is the review somebody scheduled: the bot's own record until it is due. `watch`
        is no message: how the watched signals are since the last rollback step.
        """
        if what == "watch":
            return await self._watched()
        async with self._ports.database.read() as tx:
            if what == "reminder_scheduled":
                return await self._review(tx)
            if what == "started":
                post = await posts.card(tx, self._deployment_id)
            else:
                sign = {"notified": "notify-", "report_shared": "share-"}.get(what)
                post = await posts.announcement(tx, self._deployment_id, sign) if sign else None
        if post is None or post.ts is None:
            return None
        return {"at": post.shown_at, "channel": post.channel, "ts": post.ts, "permalink": ""}

    async def _watched(self) -> Mapping[str, Any] | None:
        async with self._ports.database.read() as tx:
            state = await self._ports.deployments.get(tx, self._deployment_id)
        signals = await since_rollback(self._ports, state) if state is not None else None
        return None if signals is None else {"signals": signals}

    async def _review(self, tx: AsyncConnection) -> Mapping[str, Any] | None:
        known = await reminders.of(tx, self._deployment_id)
        over = (State.NOT_NEEDED, State.DROPPED)
        scheduled = [one for one in known if one.origin is Origin.REVIEW and one.state not in over]
        state = await self._ports.deployments.get(tx, self._deployment_id)
        if not scheduled or state is None:
            return None
        return {"at": scheduled[-1].due_at, "channel": state.channel, "ts": "", "permalink": ""}
