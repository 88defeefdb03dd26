"""Writes down what checks found, as it comes, and what follows: ticks, the end of the run, Go, the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import checking
from bot.domain.check import Evidence, ItemResult, Outcome
from bot.domain.deployment import Deployment, extend
from bot.domain.errors import DeploybotError
from bot.domain.events import BOT, Event, Fact
from bot.domain.verification import Purpose
from bot.services import locking
from bot.services.checking import add_conclusion, add_run_notice, concluding, redraw, withdrawn_since
from bot.services.ports import Ports
from bot.services.rolling_back import note_progress

log = logging.getLogger(__name__)

#: Results that come within this many seconds of each other are written together.
GATHER_S = 0.15
#: Waits after trouble with the database, in seconds; the last one again and again.
RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0)
#: How long a process that stops waits for what is being written, in seconds.
LAST_WORD_S = 0.5


class Writer:
    """Writes the results of a run down in the order they come, several in one transaction.

    A result is never given up: while the database is busy, full or away it waits here, and one the database
    will not have, whatever it is, becomes an error that says so.
    """

    def __init__(self, ports: Ports, deployment_id: int, run_seq: int) -> None:
        self._ports = ports
        self._deployment_id = deployment_id
        self.run_seq = run_seq
        self._waiting: dict[int, ItemResult] = {}
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def add(self, position: int, result: ItemResult) -> None:
        """A result to be written soon."""
        self._hurry.clear()
        self._waiting[position] = result
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def written(self) -> None:
        """Nothing more comes for now: write at once, and wait until it is done."""
        self._hurry.set()
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def close(self) -> None:
        """Write what is there if that is quickly done; what is not, is looked at again with the run."""
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=LAST_WORD_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._hurry.wait()
            batch, self._waiting = self._waiting, {}
            for wait in itertools.chain(RETRY_S, itertools.repeat(RETRY_S[-1])):
                try:
                    await self._record(batch)
                    break
                except DeploybotError as error:
                    log.warning("results wait to be written: %s", error)
                    await asyncio.sleep(wait)

    async def _record(self, batch: Mapping[int, ItemResult]) -> None:
        try:
            await record(self._ports, self._deployment_id, batch, run_seq=self.run_seq)
        except DeploybotError:
            raise
        except Exception as error:
            if len(batch) > 1:  # find out which it was
                for position, result in batch.items():
                    await self._record({position: result})
                return
            log.exception("a result could not be written")
            now = self._ports.clock.now()
            said = {position: broken(result.key, error, now) for position, result in batch.items()}
            await record(self._ports, self._deployment_id, said, run_seq=self.run_seq)


async def record(
    ports: Ports, deployment_id: int, batch: Mapping[int, ItemResult], *, run_seq: int | None = None
) -> None:
    """Write results of a run, the ticks they give and take, and its end when they were the last."""
    obstacles = await _obstacles(ports, deployment_id, batch)
    async with ports.database.write() as tx:
        before = await ports.deployments.get(tx, deployment_id, locked=True)
        if before is None or before.run is None:
            return
        now = ports.clock.now()
        state = before
        added: list[Event] = []
        for position, result in batch.items():
            state, events = extend(state, checking.record(state, position, result, at=now, run_seq=run_seq))
            added.extend(events)
        await ports.deployments.store(tx, before, state, added)
        if state.run is not None and not state.run.pending:
            state = await _end(ports, tx, state, now, obstacles)
        await redraw(tx, before, state, at=now)
        await note_progress(tx, before, state, at=now)
    ports.bell.ring()


async def _obstacles(ports: Ports, deployment_id: int, batch: Mapping[int, ItemResult]) -> tuple[str, ...]:
    """What keeps from Go besides gates, where these results may be the last before it."""
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment_id)
    run = state.run if state is not None else None
    if state is None or run is None or run.pending - batch.keys():
        return ()
    if not run.giver:
        return ()
    return await locking.in_the_way(ports, state, at=ports.clock.now())


async def _end(
    ports: Ports, tx: AsyncConnection, state: Deployment, now: datetime, obstacles: Sequence[str]
) -> Deployment:
    run = state.run
    assert run is not None
    end = checking.ended(state, at=now)
    after = await ports.deployments.append(tx, state, [end])
    if run.asked:
        await add_run_notice(ports, tx, run, after, end, at=now)
    if run.purpose is Purpose.ASKED:
        return after
    withdrawn = await withdrawn_since(ports, tx, state.id, run.seq)
    reopened = [fact for fact in withdrawn if fact.data["position"] not in after.ticks]
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
        obstacles=obstacles,
    )
    after = await ports.deployments.append(tx, after, facts)
    await add_conclusion(tx, after, run.purpose, [*reopened, *contradicted, *facts], at=now)
    return after


def broken(key: str, error: BaseException | None, at: datetime) -> ItemResult:
    """The result of an item whose check could not be run, or what it found not be kept."""
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
