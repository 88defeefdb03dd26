"""Watches deployments: measures what is declared, judges it, and raises the triggers that follow.

Which watch is due stands in the database, so a restart loses nothing: samples that were missed are asked for
back in time where their source keeps the past, and what they say is worked out again from those stored. A
lease keeps two processes from looking at the same deployment.
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

from bot.domain import watching
from bot.domain.checklist import slugged
from bot.domain.deployment import Deployment
from bot.domain.errors import DeploybotError, NoHistory
from bot.domain.events import Fact
from bot.domain.monitoring import Measure, Verdict
from bot.domain.post import PlannedPost
from bot.domain.signals import FAST, Form, Measured, Signal, WatchPlan
from bot.domain.watching import Judged
from bot.services.judging import Judge, Opinion, sample_of
from bot.services.ports import Ports
from bot.services.raising import raise_triggers
from bot.storage import posts, samples, watches
from bot.storage.watches import Due
from bot.watch.power import power
from bot.watch.wording import NAMES

log = logging.getLogger(__name__)

#: How long a process may look at one deployment before another may.
LEASE = timedelta(seconds=60)
#: Deployments looked at at once, and claimed at a time.
AT_ONCE, CLAIMED = 20, 200
#: Longest look at one deployment in seconds: within the lease.
STEP_S = 48.0
#: Wait after trouble.
TROUBLE = timedelta(seconds=10)
#: How often what the watch would see is worked out anew before the deploy.
PREPARE_EVERY = timedelta(minutes=10)
#: The most missed samples that are asked for back in time.
MOST_MISSED = 240


class WatchRunner:
    """Looks at every watch that is due whenever it is woken; none waits for another."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._owner = uuid.uuid4().hex
        self._judges: dict[int, Judge] = {}
        #: What was worked out before the deploy: when, and which series cannot be asked for back in time.
        self._prepared: dict[int, tuple[datetime, tuple[Signal, ...]]] = {}
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._claiming = asyncio.Lock()

    async def start(self) -> None:
        """Begin. On SQLite nobody else can be holding what a process before held."""
        if self._ports.database.is_sqlite:
            async with self._ports.database.write() as tx:
                await watches.give_back(tx, owner=None)

    async def stop(self) -> None:
        """Stop looking, and give back what is held."""
        for task in self._under_way.values():
            task.cancel()
        await self.settled()
        with contextlib.suppress(DeploybotError):
            async with self._ports.database.write() as tx:
                await watches.give_back(tx, owner=self._owner)
        for deployment_id in list(self._judges):
            await self._forget(deployment_id)

    async def wake(self) -> None:
        """Begin to look at what is due. Never raises: trouble is for the next time."""
        if self._claiming.locked():
            return
        async with self._claiming:
            try:
                await self._claim()
            except DeploybotError as error:
                log.warning("cannot see which watches are due: %s", error)
            except Exception:
                log.exception("looking for watches that are due failed")

    async def settled(self) -> None:
        """Wait until everything that was begun has been looked at."""
        while self._under_way:
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _claim(self) -> None:
        now = self._ports.clock.now()
        async with self._ports.database.read() as tx:
            if not await watches.any_due(tx, at=now):
                return
        most = CLAIMED - len(self._under_way)
        async with self._ports.database.write() as tx:
            found = await watches.claim(tx, owner=self._owner, at=now, until=now + LEASE, most=most)
        for due in found:
            if due.deployment_id in self._under_way:
                continue  # it has outlived its lease, which is renewed with this
            task = asyncio.create_task(self._serve(due), name=f"watch {due.deployment_id}")
            self._under_way[due.deployment_id] = task
            task.add_done_callback(partial(self._done, due.deployment_id))

    def _done(self, deployment_id: int, _: asyncio.Task[None]) -> None:
        self._under_way.pop(deployment_id, None)

    async def _serve(self, due: Due) -> None:
        try:
            async with self._places, asyncio.timeout(STEP_S):
                await self._step(due)
        except (DeploybotError, TimeoutError) as error:
            why = str(error) or f"it took longer than {STEP_S:.0f} s"
            log.warning("the watch over deployment %s waits: %s", due.deployment_id, why)
            await self._later(due)
        except Exception:
            log.exception("watching deployment %s failed", due.deployment_id)
            await self._later(due)

    async def _later(self, due: Due) -> None:
        """Try again soon. What the judge has seen may not be stored: it is made again."""
        self._judges.pop(due.deployment_id, None)
        with contextlib.suppress(DeploybotError):
            async with self._ports.database.write() as tx:
                await watches.postpone(
                    tx, due.deployment_id, owner=self._owner, until=self._ports.clock.now() + TROUBLE
                )

    async def _step(self, due: Due) -> None:
        if due.last != self._owner:
            self._judges.pop(due.deployment_id, None)  # it has not seen what another process has
        async with self._ports.database.read() as tx:
            state = await self._ports.deployments.get(tx, due.deployment_id)
        if state is None or not state.phase.open:
            await self._end(due)
            return
        target = state.target
        plan = await self._ports.watching.plan(
            state.checklist_name,
            service=target.service,
            version=target.version,
            environment=target.environment,
        )
        if not plan.ready:
            await self._idle(due, state, plan)
        elif state.aftermath.deployed is None:
            await self._prepare(due, state, plan)
        elif not due.begun:
            await self._begin(due, state, plan)
        else:
            await self._sample(due, state, plan)

    async def _idle(self, due: Due, state: Deployment, plan: WatchPlan) -> None:
        """Nothing can be watched now: say so where something was, and look again; a file may be mended."""
        now, watch = self._ports.clock.now(), state.aftermath.watch
        missing = next((signal.missing for signal in plan.signals if signal.missing), ())
        said = f"not set up: fill in {', '.join(missing)}" if missing else "nothing is declared to be watched"
        async with self._ports.database.write() as tx:
            before = await self._ports.deployments.get(tx, state.id, locked=True)
            if before is not None and before.phase.open and watch is not None and watch.running:
                lost = Judged(verdict=Verdict.INCONCLUSIVE, said=said)
                news = {name: lost for name in watch.labels if watch.judged.get(name) != lost}
                if news:
                    await self._append(tx, before, [watching.judged(news, at=now)])
            next_at = now + (timedelta(seconds=plan.interval) if due.begun else PREPARE_EVERY)
            await watches.looked(
                tx, state.id, owner=self._owner, grid_at=now, next_at=next_at, begun=due.begun
            )
        self._judges.pop(state.id, None)

    # ── before the deploy ────────────────────────────────────────────────────────────────────────────────

    async def _prepare(self, due: Due, state: Deployment, plan: WatchPlan) -> None:
        """Measure what cannot be asked for later, and say what the watch would see at this traffic."""
        now = self._ports.clock.now()
        at, unasked = self._prepared.get(state.id, (None, ()))
        told: list[str] | None = None
        looked_at: list[Signal] = list(unasked)
        if at is None or now - at >= PREPARE_EVERY:
            told, unasked = await self._foresee(state, plan, now)
            self._prepared[state.id] = (now, unasked)
            looked_at = [*unasked, *(one for one in plan.ready if one.form is Form.FINDINGS)]
        looks = [self._ports.watching.measure(state, one, window=plan.interval) for one in looked_at]
        taken = list(zip([one.name for one in looked_at], await asyncio.gather(*looks), strict=True))
        labels = {signal.name: signal.label for signal in plan.ready}
        async with self._ports.database.write() as tx:
            before = await self._ports.deployments.get(tx, state.id, locked=True)
            await samples.add(tx, state.id, taken)
            watch = before.aftermath.watch if before is not None else None
            news = told is not None and (watch is None or watch.power != tuple(told))
            if before is not None and before.phase.open and news:
                await self._append(tx, before, [watching.prepared(labels=labels, power=told or (), at=now)])
            next_at = now + (timedelta(seconds=plan.interval) if unasked else PREPARE_EVERY)
            await watches.looked(tx, state.id, owner=self._owner, grid_at=now, next_at=next_at, begun=False)
        if news:
            self._ports.bell.ring()

    async def _foresee(
        self, state: Deployment, plan: WatchPlan, now: datetime
    ) -> tuple[list[str], tuple[Signal, ...]]:
        """What could be seen at this traffic, and the series whose past nobody keeps."""
        told, unasked = [], []
        series = [signal for signal in plan.ready if signal.form is Form.SERIES]
        asked = [self._past(state, one, plan, end=now, window=plan.interval) for one in series]
        for signal, past in zip(series, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(past, NoHistory):
                told.append(f"{signal.label}: no baseline yet, {past}")
            elif isinstance(past, BaseException):
                raise past
            elif past:
                told.append(_power(signal, past, plan))
            else:
                unasked.append(signal)
        return told, tuple(unasked)

    async def _past(
        self, state: Deployment, signal: Signal, plan: WatchPlan, *, end: datetime, window: float
    ) -> Sequence[Measured]:
        start = end - timedelta(seconds=plan.baseline)
        return await self._ports.watching.history(state, signal, start=start, end=end, window=window)

    # ── the deploy ───────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, due: Due, state: Deployment, plan: WatchPlan) -> None:
        """Take the baseline, from before the deploy."""
        deployed = state.aftermath.deployed
        assert deployed is not None
        taken = await self._baseline(state, plan, plan.ready, deployed.at)
        labels = {signal.name: signal.label for signal in plan.ready}
        until = deployed.at + timedelta(seconds=plan.grace + plan.duration)
        grid_at = deployed.at + timedelta(seconds=plan.grace + plan.interval)
        async with self._ports.database.write() as tx:
            await samples.add(tx, state.id, taken)
            before = await self._ports.deployments.get(tx, state.id, locked=True)
            if before is not None and before.phase.open:
                await self._append(
                    tx, before, [watching.begun(labels=labels, until=until, at=self._ports.clock.now())]
                )
            await watches.looked(
                tx, state.id, owner=self._owner, grid_at=grid_at, next_at=grid_at, begun=True
            )
        self._judges.pop(state.id, None)
        self._prepared.pop(state.id, None)
        self._ports.bell.ring()

    # ── after it ─────────────────────────────────────────────────────────────────────────────────────────

    async def _sample(self, due: Due, state: Deployment, plan: WatchPlan) -> None:
        now = self._ports.clock.now()
        deployed = state.aftermath.deployed
        assert deployed is not None
        judge = await self._judge(state, plan, deployed.at)
        if now >= due.grid_at and judge.without_baseline():
            await self._catch_up(state, plan, judge, deployed.at)
            judge = await self._judge(state, plan, deployed.at)
        grid_at, interval = due.grid_at, timedelta(seconds=plan.interval)
        taken: list[tuple[str, Measured]] = []
        if now >= grid_at:
            looks = [self._regular(state, signal, plan, since=grid_at, now=now) for signal in plan.ready]
            for signal, found in zip(plan.ready, await asyncio.gather(*looks), strict=True):
                taken.extend((signal.name, one) for one in found)
            grid_at += interval * ((now - grid_at) // interval + 1)
        else:
            wary = judge.suspicious()
            quick = [self._ports.watching.measure(state, signal, window=plan.fast) for signal in wary]
            for signal, one in zip(wary, await asyncio.gather(*quick), strict=True):
                taken.append((signal.name + FAST, one))
        for name, one in taken:
            judge.see(name, one)
        next_at = grid_at
        if judge.suspicious():
            next_at = min(grid_at, now + timedelta(seconds=plan.fast))
        await self._keep(state, plan, judge, taken, grid_at=grid_at, next_at=next_at)

    async def _catch_up(
        self, state: Deployment, plan: WatchPlan, judge: Judge, deployed_at: datetime
    ) -> None:
        """Ask again for the time before the deploy, where its source did not answer when it was live."""
        taken = await self._baseline(state, plan, judge.without_baseline(), deployed_at)
        if taken:
            async with self._ports.database.write() as tx:
                await samples.add(tx, state.id, taken)
            self._judges.pop(state.id, None)

    async def _baseline(
        self, state: Deployment, plan: WatchPlan, signals: Sequence[Signal], deployed_at: datetime
    ) -> list[tuple[str, Measured]]:
        asked = [
            (signal, key, window)
            for signal in signals
            if signal.form is Form.SERIES
            for key, window in ((signal.name, plan.interval), (signal.name + FAST, plan.fast))
        ]
        answers = await asyncio.gather(
            *(self._past(state, one, plan, end=deployed_at, window=window) for one, _, window in asked),
            return_exceptions=True,
        )
        taken: list[tuple[str, Measured]] = []
        for (signal, key, _), past in zip(asked, answers, strict=True):
            if isinstance(past, NoHistory):
                log.warning("no baseline of %s of %s yet: %s", signal.name, state.name, past)
            elif isinstance(past, BaseException):
                raise past
            else:
                taken.extend((key, one) for one in past if one.at <= deployed_at)
        return taken

    async def _regular(
        self, state: Deployment, signal: Signal, plan: WatchPlan, *, since: datetime, now: datetime
    ) -> Sequence[Measured]:
        """The sample that is due, and before it those that were missed, where they can still be had."""
        window = timedelta(seconds=plan.interval)
        missed = (now - since) // window
        found: list[Measured] = []
        if missed:
            end = since + window * (missed - 1)
            start = max(since, end - window * MOST_MISSED)
            try:
                past = await self._ports.watching.history(
                    state, signal, start=start, end=end, window=plan.interval
                )
            except NoHistory as error:
                past = ()
                log.info("what %s of %s was meanwhile is not known: %s", signal.name, state.name, error)
            found.extend(one for one in past if start <= one.at)
        found.append(await self._ports.watching.measure(state, signal, window=plan.interval))
        return found

    async def _keep(
        self,
        state: Deployment,
        plan: WatchPlan,
        judge: Judge,
        taken: Sequence[tuple[str, Measured]],
        *,
        grid_at: datetime,
        next_at: datetime,
    ) -> None:
        """Write down what was seen and what it means, then raise what follows from it.

        The last look raises first and ends then: an alert is not lost to a process that dies between.
        """
        now, opinions = self._ports.clock.now(), judge.opinions()
        facts: list[Fact] = []
        over = False
        async with self._ports.database.write() as tx:
            await samples.add(tx, state.id, taken)
            before = await self._ports.deployments.get(tx, state.id, locked=True)
            if before is not None and before.phase.open:
                over = _over(before, now)
                known = before.aftermath.watch.judged if before.aftermath.watch is not None else {}
                news = {
                    name: opinion.judged
                    for name, opinion in opinions.items()
                    if name not in known
                    or (known[name].verdict, known[name].pending)
                    != (opinion.judged.verdict, opinion.judged.pending)
                }
                facts = [watching.judged(news, at=now)] if news else []
                if facts:
                    await self._append(tx, before, facts)
            if not over:
                await watches.looked(
                    tx, state.id, owner=self._owner, grid_at=grid_at, next_at=next_at, begun=True
                )
        await raise_triggers(self._ports, state, plan, judge, opinions)
        if over:
            await self._conclude(state.id, opinions, grid_at=grid_at, next_at=next_at)
        if facts or over:
            self._ports.bell.ring()

    async def _conclude(
        self, deployment_id: int, opinions: Mapping[str, Opinion], *, grid_at: datetime, next_at: datetime
    ) -> None:
        """End the watch, unless somebody wanted it longer meanwhile."""
        now = self._ports.clock.now()
        async with self._ports.database.write() as tx:
            before = await self._ports.deployments.get(tx, deployment_id, locked=True)
            over = before is not None and before.phase.open and _over(before, now)
            if before is not None and over:
                news = {name: opinion.judged for name, opinion in opinions.items()}
                facts = [watching.judged(news, at=now), watching.ended(at=now)]
                await self._tell(tx, await self._append(tx, before, facts), now)
            await watches.looked(
                tx,
                deployment_id,
                owner=self._owner,
                grid_at=grid_at,
                next_at=next_at,
                begun=True,
                ended=over,
            )
        if over:
            await self._forget(deployment_id)

    async def _tell(self, tx: Any, state: Deployment, now: datetime) -> None:
        """One message at the end: what was watched and how it was."""
        watch = state.aftermath.watch
        assert watch is not None
        content = {
            "verdict": watch.verdict.value,
            "lines": [
                [watch.labels.get(name, name), judged.verdict.value, judged.said]
                for name, judged in watch.judged.items()
            ],
        }
        planned = PlannedPost(kind="notice", key=f"watch-{state.seq}", content=content)
        await posts.add(tx, [planned], deployment_id=state.id, channel=state.channel, at=now)

    # ── small things ─────────────────────────────────────────────────────────────────────────────────────

    async def _judge(self, state: Deployment, plan: WatchPlan, deployed_at: datetime) -> Judge:
        """The judge of a deployment; a new one where what is declared has changed, or a trigger is over."""
        known, anew = self._judges.get(state.id), _anew(state, plan)
        if known is None or known.plan is not plan or known.anew != anew:
            async with self._ports.database.read() as tx:
                taken = await samples.of(tx, state.id)
            known = self._judges[state.id] = Judge(plan, taken, deployed_at=deployed_at, anew=anew)
        return known

    async def _append(self, tx: Any, before: Deployment, facts: Sequence[Fact]) -> Deployment:
        after = await self._ports.deployments.append(tx, before, facts)
        await posts.want(tx, deployment_id=after.id, at=self._ports.clock.now(), only=())
        return after

    async def _end(self, due: Due) -> None:
        async with self._ports.database.write() as tx:
            await watches.looked(
                tx,
                due.deployment_id,
                owner=self._owner,
                grid_at=due.grid_at,
                next_at=due.grid_at,
                begun=due.begun,
                ended=True,
            )
        await self._forget(due.deployment_id)

    async def _forget(self, deployment_id: int) -> None:
        self._judges.pop(deployment_id, None)
        self._prepared.pop(deployment_id, None)
        await self._ports.watching.forget(deployment_id)


async def since_rollback(ports: Ports, state: Deployment) -> dict[str, tuple[str, str]] | None:
    """What each signal is like since the newest rollback step was done: label to verdict and words.

    None where nothing is rolled back, or nothing watched.
    """
    deployed, rollback = state.aftermath.deployed, state.aftermath.rollback
    if deployed is None or rollback is None:
        return None
    target = state.target
    plan = await ports.watching.plan(
        state.checklist_name,
        service=target.service,
        version=target.version,
        environment=target.environment,
    )
    if not plan.ready:
        return None
    first = len(state.checklist.items)
    steps = [tick.at for position, tick in state.ticks.items() if position >= first]
    instant = max([rollback.at, *steps])
    async with ports.database.read() as tx:
        judge = Judge(plan, await samples.of(tx, state.id), deployed_at=deployed.at)
    return {label: (verdict.value, said) for label, verdict, said in judge.again(instant)}


def _over(state: Deployment, now: datetime) -> bool:
    """Whether it has been watched for as long as was wanted."""
    watch = state.aftermath.watch
    return watch is not None and watch.running and watch.until is not None and now >= watch.until


def _anew(state: Deployment, plan: WatchPlan) -> dict[str, datetime]:
    """Since when what a signal does is a new occurrence: its trigger was well again, and cleared."""
    found = {}
    for signal in plan.ready:
        trigger = state.aftermath.triggers.get(slugged(signal.trigger))
        if trigger is not None and trigger.anew_at is not None:
            found[signal.name] = trigger.anew_at
    return found


def _power(signal: Signal, past: Sequence[Measured], plan: WatchPlan) -> str:
    if signal.measure is Measure.OTHER:
        known = sum(one.value is not None for one in past)
        return f"{signal.label}: {known} samples to compare with"
    now = past[-1].at
    seen = power(
        signal.measure,
        [sample_of(one, now) for one in past],
        interval_s=plan.interval,
        min_change=signal.min_change,
    )
    name = NAMES[signal.measure].capitalize()
    if seen.words.startswith(name):
        return f"{signal.label[:1].upper()}{signal.label[1:]}{seen.words.removeprefix(name)}"
    return f"{signal.label}: {seen.words}"
