"""Checks on a real database: what is recorded, ticked, taken back, joined, stopped and resumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot.domain.check import Binding, CheckSpec, Outcome, Rules
from bot.domain.deployment import Deployment, Phase
from bot.domain.errors import (
    AlreadyOverruled,
    EvidenceMoved,
    NoChecks,
    NoRun,
    NothingCalled,
    NothingToOverrule,
    OverruleReasonMissing,
)
from bot.domain.events import BOT
from bot.domain.verification import Purpose
from bot.services import auditing, checking, ending, rolling_back, tending
from bot.services.ports import Ports
from bot.services.running import CheckRunner
from bot.services.ticking import TickQueue
from bot.storage.database import Database
from bot.storage.schema import run_leases
from tests.makers import (
    ANA,
    BEN,
    ManualClock,
    ScriptedVerifier,
    make_checklist,
    make_click,
    make_ports,
    posts_of,
    start,
)

SPEC = CheckSpec(kind="http", params=None, rules=Rules(must={"status": 200}))


def bound(*, human: dict[str, str] | None = None, slow: tuple[str, ...] = ()) -> list[Binding]:
    """The first section's three boxes and four steps, each with a check."""
    keys = [f"s1/boxes/{n}" for n in (1, 2, 3)] + [f"s1/steps/{n}" for n in (1, 2, 3, 4)]
    return [
        Binding(
            key=key,
            text=key,
            checks=(SPEC,),
            human=(human or {}).get(key, ""),
            cheap=key not in slow,
            freshness=timedelta(minutes=10),
        )
        for key in keys
    ]


@pytest.fixture
def clock() -> ManualClock:
    """Noon."""
    return ManualClock()


def ports_with(database: Database, clock: ManualClock, verifier: ScriptedVerifier) -> Ports:
    """Ports with these checks."""
    verifier.clock = clock
    return make_ports(database, checklist=make_checklist(), clock=clock, verifier=verifier)


@asynccontextmanager
async def running(ports: Ports) -> AsyncIterator[CheckRunner]:
    """A runner at work."""
    runner = CheckRunner(ports)
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def state_of(ports: Ports, deployment_id: int) -> Deployment:
    """The state now."""
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment_id)
    assert state is not None
    return state


async def until(
    ports: Ports, deployment_id: int, true: Callable[[Deployment], bool], *, within: float = 10.0
) -> Deployment:
    """Wait until the state is so."""
    async with asyncio.timeout(within):
        while True:
            state = await state_of(ports, deployment_id)
            if true(state):
                return state
            await asyncio.sleep(0.02)


async def check(ports: Ports, runner: CheckRunner, deployment: Deployment, words: str = "") -> Deployment:
    """Ask for checks, and wait until they are over."""
    await checking.request(
        ports, deployment.id, words=words, user=ANA, delivery=f"check.{id(words)}.{deployment.seq}"
    )
    runner.ring()
    return await until(ports, deployment.id, lambda state: state.run is None)


async def notices(ports: Ports, deployment: Deployment) -> list[str]:
    """The notices the thread will show, by kind."""
    return [
        post.key.partition("-")[0]
        for post in await posts_of(ports, deployment.id)
        if post.kind in ("notice", "report")
    ]


async def test_a_pass_and_a_warning_tick_as_the_bot_and_nothing_else_does(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.outcomes = {
        "s1/boxes/2": Outcome.WARN,
        "s1/boxes/3": Outcome.FAIL,
        "s1/steps/1": Outcome.UNKNOWN,
        "s1/steps/2": Outcome.ERROR,
        "s1/steps/3": Outcome.SKIPPED,
    }
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        after = await check(ports, runner, deployment)
    assert {at: tick.by for at, tick in after.ticks.items()} == {0: BOT, 1: BOT, 6: BOT}
    assert [after.results[at].outcome for at in range(7)] == [
        Outcome.PASS,
        Outcome.WARN,
        Outcome.FAIL,
        Outcome.UNKNOWN,
        Outcome.ERROR,
        Outcome.SKIPPED,
        Outcome.PASS,
    ]
    # The bot ticks a step out of order like anybody else: marked.
    assert after.ticks[6].before == (3, 4, 5)
    assert await notices(ports, deployment) == ["checks"]
    verdicts = [verdict async for verdict in auditing.verify(ports)]
    assert [verdict.problems for verdict in verdicts] == [()]


async def test_a_tick_of_the_bots_is_withdrawn_when_its_check_fails_later(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        after = await check(ports, runner, deployment, "Box 1.1")
        assert after.ticks[0].by == BOT
        verifier.outcomes["s1/boxes/1"] = Outcome.FAIL
        after = await check(ports, runner, after, "box 1.1")
    assert after.ticks == {}
    assert after.results[0].said == "s1/boxes/1 is fail"
    async with database.read() as tx:
        last = (await ports.deployments.history(tx, deployment.id))[-2]
    assert (last.fact.kind, last.fact.actor, last.fact.data["why"]) == (
        "item.unticked",
        BOT,
        "s1/boxes/1 is fail",
    )


async def test_an_unknown_does_not_take_back_fresh_evidence_but_does_not_outlive_it_either(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await check(ports, runner, deployment, "Box 1.1")
        verifier.outcomes["s1/boxes/1"] = Outcome.UNKNOWN
        clock.forward(minutes=5)
        after = await check(ports, runner, await state_of(ports, deployment.id), "Box 1.1 ")
        assert 0 in after.ticks
        clock.forward(minutes=20)
        after = await check(ports, runner, after, " Box 1.1 ")
    assert after.ticks == {}


async def test_a_persons_tick_stays_theirs_and_is_not_done_while_its_check_fails(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.outcomes["s1/boxes/1"] = Outcome.FAIL
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    section = next(post for post in await posts_of(ports, deployment.id) if post.kind == "section")
    await TickQueue(ports).submit(make_click(deployment, section, selected={0}, user=BEN))
    async with running(ports) as runner:
        after = await check(ports, runner, await state_of(ports, deployment.id), "Box 1.1")
    assert after.ticks[0].by == BEN
    assert 0 not in after.done


async def test_ticking_an_item_whose_check_fails_asks_for_a_reason_which_is_recorded_as_theirs(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.outcomes["s1/boxes/1"] = Outcome.FAIL
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        after = await check(ports, runner, deployment, "Box 1.1")
        section = next(post for post in await posts_of(ports, deployment.id) if post.kind == "section")
        ticked = await TickQueue(ports).submit(make_click(after, section, selected={0}, user=BEN))
        assert ticked.outcome.needs_reason == (0,)
        assert ticked.deployment.ticks == {}
        with pytest.raises(OverruleReasonMissing):
            await checking.overrule(ports, deployment.id, 0, user=BEN, reason=" ", delivery="view.1")
        after = await checking.overrule(
            ports, deployment.id, 0, user=BEN, reason="renewed\nby hand", delivery="view.1"
        )
        again = await checking.overrule(
            ports, deployment.id, 0, user=BEN, reason="renewed by hand", delivery="view.1"
        )
        assert again.seq == after.seq
        assert (after.ticks[0].by, after.ticks[0].reason) == (BEN, "renewed by hand")
        assert 0 in after.done
        # A later failure does not take away what a person took on themselves.
        after = await check(ports, runner, after, "box 1.1")
    assert after.ticks[0].by == BEN
    assert 0 in after.done
    with pytest.raises(NothingToOverrule):
        await checking.overrule(ports, deployment.id, 1, user=BEN, reason="why not", delivery="view.2")


async def test_a_partly_item_needs_its_check_and_a_person(database: Database, clock: ManualClock) -> None:
    verifier = ScriptedVerifier(bound(human={"s1/boxes/1": "A person reads the list."}))
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    section = next(post for post in await posts_of(ports, deployment.id) if post.kind == "section")
    async with running(ports) as runner:
        after = await check(ports, runner, deployment, "Box 1.1")
        assert after.ticks == {}
        after = (await TickQueue(ports).submit(make_click(after, section, selected={0}))).deployment
        assert 0 in after.done
        verifier.outcomes["s1/boxes/1"] = Outcome.UNKNOWN
        after = await check(ports, runner, after, "box 1.1")
    assert 0 not in after.done
    assert after.ticks[0].by == BEN


async def test_two_runs_of_the_same_item_at_once_are_one_run(database: Database, clock: ManualClock) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.gates["s1/boxes/1"] = asyncio.Event()
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        first = await checking.request(ports, deployment.id, words="Box 1.1", user=ANA, delivery="a")
        assert (first.items, first.joined) == (1, False)
        runner.ring()
        await until(ports, deployment.id, lambda _: bool(verifier.runs))
        second = await checking.request(ports, deployment.id, words="Boxes", user=BEN, delivery="b")
        redelivered = await checking.request(ports, deployment.id, words="Boxes", user=BEN, delivery="b")
        assert (second.items, second.joined) == (2, True)
        assert redelivered.deployment.seq == second.deployment.seq
        runner.ring()
        await until(ports, deployment.id, lambda state: {1, 2} <= set(state.results))
        verifier.gates["s1/boxes/1"].set()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert sorted(key for keys in verifier.runs for key in keys) == ["s1/boxes/1", "s1/boxes/2", "s1/boxes/3"]
    assert after.done == {0, 1, 2}
    assert await notices(ports, deployment) == ["checks"]


async def test_a_stopped_run_keeps_what_is_there_and_drops_what_comes_late(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.gates["s1/boxes/1"] = asyncio.Event()
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await checking.request(ports, deployment.id, words="Boxes", user=ANA, delivery="a")
        runner.ring()
        await until(ports, deployment.id, lambda state: {1, 2} <= set(state.results))
        await checking.cancel(ports, deployment.id, user=BEN, delivery="b")
        runner.ring()
        verifier.gates["s1/boxes/1"].set()
        with pytest.raises(NoRun):
            await checking.cancel(ports, deployment.id, user=BEN, delivery="c")
        await asyncio.sleep(0.5)
        after = await state_of(ports, deployment.id)
    assert set(after.results) == {1, 2}
    assert await notices(ports, deployment) == ["checks"]


async def test_a_run_survives_a_restart_and_only_what_is_missing_is_looked_at_again(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.gates["s1/boxes/1"] = asyncio.Event()
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await checking.request(ports, deployment.id, words="Boxes", user=ANA, delivery="a")
        runner.ring()
        await until(ports, deployment.id, lambda state: {1, 2} <= set(state.results))
    verifier.gates.clear()
    verifier.runs.clear()
    async with running(ports):
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert verifier.runs == [["s1/boxes/1"]]
    assert after.done == {0, 1, 2}


async def test_finish_looks_at_cheap_evidence_again_and_ends_when_it_still_holds(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.facts["s1/boxes/1"] = {"certificate": "sha256:1"}
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        after = await check(ports, runner, deployment)
        verifier.runs.clear()
        after = await ending.finish(ports, deployment.id, user=ANA, delivery="f")
        assert after.phase.open
        runner.ring()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert verifier.runs == [[binding.key for binding in bound()]]
    assert (after.phase, after.ended_by) == (Phase.FINISHED, ANA)
    assert await notices(ports, deployment) == ["checks", "finished"]


@pytest.mark.parametrize("purpose", [Purpose.GO, Purpose.FINISH])
async def test_what_moved_or_fails_now_reopens_and_says_why_instead_of_going_on(
    database: Database, clock: ManualClock, purpose: Purpose
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.facts["s1/boxes/1"] = {"certificate": "sha256:1"}
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await check(ports, runner, deployment)
        verifier.facts["s1/boxes/1"] = {"certificate": "sha256:2"}
        verifier.outcomes["s1/boxes/2"] = Outcome.FAIL
        verifier.outcomes["s1/boxes/3"] = Outcome.UNKNOWN
        await checking.conclude(ports, deployment.id, purpose, user=ANA, delivery="go")
        runner.ring()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert after.phase.open
    assert after.go is None
    assert set(after.ticks) == {3, 4, 5, 6}
    reopened = next(p for p in await posts_of(ports, deployment.id) if p.key.startswith("reopened"))
    assert reopened.content["items"] == [
        [0, "the certificate changed since it was verified at 12:00 UTC"],
        [1, "s1/boxes/2 is fail"],
        [2, "s1/boxes/3 is unknown"],
    ]


@pytest.mark.parametrize("purpose", [Purpose.GO, Purpose.FINISH])
async def test_what_is_waived_holds_nothing_up_whatever_its_check_says_and_is_not_ticked(
    database: Database, clock: ManualClock, purpose: Purpose
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.outcomes["s1/boxes/2"] = Outcome.FAIL
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        for position in (1, 2):
            await tending.waive(
                ports, deployment.id, position, reason="not here", user=BEN, delivery=f"w.{position}"
            )
        after = await check(ports, runner, deployment)
        assert set(after.ticks) == {0, 3, 4, 5, 6}
        assert after.results[2].outcome is Outcome.PASS
        await checking.conclude(ports, deployment.id, purpose, user=ANA, delivery="end")
        runner.ring()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert (after.go if purpose is Purpose.GO else after.ended_by) is not None
    assert set(after.care.waivers) == {1, 2}
    assert set(after.ticks) == {0, 3, 4, 5, 6}


async def test_a_state_that_passed_and_is_over_is_not_looked_at_again(
    database: Database, clock: ManualClock
) -> None:
    over = [replace(one, once=one.key == "s1/boxes/1") for one in bound()]
    verifier = ScriptedVerifier(over)
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        after = await check(ports, runner, deployment)
        verifier.outcomes["s1/boxes/1"] = Outcome.FAIL  # scaled down, and up again
        clock.forward(minutes=5)
        after = await check(ports, runner, after)
        assert verifier.runs[-1] == [binding.key for binding in bound()[1:]]
        assert 0 in after.ticks
        clock.forward(minutes=9)  # its evidence is older than the others'
        await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery="go")
        runner.ring()
        after = await until(ports, deployment.id, lambda state: state.run is None)
        assert after.go is not None
        after = await check(ports, runner, after, "s1/boxes/1")
        assert 0 not in after.ticks


async def test_the_end_of_a_rollback_asks_no_more_whether_the_deploy_holds(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        before = await check(ports, runner, deployment)
        verifier.outcomes = {binding.key: Outcome.FAIL for binding in bound()}
        await rolling_back.start(ports, deployment.id, user=ANA, why="checkout is down", delivery="back")
        clock.forward(hours=1)
        after = await ending.finish(ports, deployment.id, user=ANA, delivery="end")
    assert after.phase is Phase.FINISHED
    assert after.ticks == before.ticks


async def test_a_whole_run_leaves_out_what_only_the_new_version_can_show(
    database: Database, clock: ManualClock
) -> None:
    checklist = make_checklist()
    section = checklist.sections[0]
    steps = section.groups[1]
    live = replace(steps.items[0], key="s1/steps/verify-deployment")
    section = replace(section, groups=(section.groups[0], replace(steps, items=(live, *steps.items[1:]))))
    checklist = replace(checklist, sections=(section, *checklist.sections[1:]))
    bindings = [
        replace(one, key="s1/steps/verify-deployment") if one.key == "s1/steps/1" else one for one in bound()
    ]
    verifier = ScriptedVerifier(bindings)
    verifier.clock = clock
    ports = make_ports(database, clock=clock, verifier=verifier, checklist=checklist)
    deployment = await start(ports)
    async with running(ports) as runner:
        after = await check(ports, runner, deployment)
        assert set(after.results) == {0, 1, 2}
        after = await check(ports, runner, deployment, "s1/steps/4")
        assert set(after.results) == {0, 1, 2, 6}
        assert after.aftermath.deployed is None
        await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery="go")
        runner.ring()
        after = await until(ports, deployment.id, lambda state: state.go is not None)
        after = await check(ports, runner, after)
        assert set(after.results) == set(range(7))


async def test_expensive_evidence_is_not_looked_at_again_but_reopens_once_it_is_too_old(
    database: Database, clock: ManualClock
) -> None:
    keys = tuple(binding.key for binding in bound())
    verifier = ScriptedVerifier(bound(slow=keys))
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await check(ports, runner, deployment, "Box 1.1")
        after = await checking.conclude(ports, deployment.id, Purpose.GO, user=BEN, delivery="go")
        assert after.go is not None and after.go.by == BEN
        clock.forward(minutes=11)
        after = await ending.finish(ports, deployment.id, user=ANA, delivery="f1")
        assert after.phase.open
        assert after.ticks == {}
        after = await ending.finish(ports, deployment.id, user=ANA, delivery="f2")
    assert after.phase is Phase.FINISHED
    assert await notices(ports, deployment) == ["checks", "go", "reopened", "finished"]


async def test_a_run_of_a_verifier_that_breaks_ends_with_errors_not_with_silence(
    database: Database, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaking(ScriptedVerifier):
        """Fails after the first result."""

        async def run(self, deployment, keys, *, deeds, on_result):  # type: ignore[no-untyped-def]
            await on_result(self.result(keys[0]))
            raise RuntimeError("token=hunter22secret")

    ports = ports_with(database, clock, Breaking(bound()))
    deployment = await start(ports)
    async with running(ports) as runner:
        after = await check(ports, runner, deployment, "Boxes")
    assert [after.results[at].outcome for at in range(3)] == [Outcome.PASS, Outcome.ERROR, Outcome.ERROR]
    assert "hunter22" not in after.results[1].said
    assert "the checks of storefront-1 failed" in caplog.text
    assert "hunter22" not in caplog.text


async def test_asking_for_what_is_not_there_names_what_is(database: Database, clock: ManualClock) -> None:
    ports = ports_with(database, clock, ScriptedVerifier(bound()))
    deployment = await start(ports)
    with pytest.raises(NothingCalled, match=r"Did you mean “Box 1\.1”"):
        await checking.request(ports, deployment.id, words="bux 1.1", user=ANA, delivery="a")
    with pytest.raises(NoChecks, match="Section 2"):
        await checking.request(ports, deployment.id, words="Section 2", user=ANA, delivery="b")


async def test_what_a_stopped_run_was_looking_at_is_no_answer_to_the_next_run(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    gate = verifier.gates["s1/boxes/1"] = asyncio.Event()
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await checking.request(ports, deployment.id, words="Box 1.1", user=ANA, delivery="a")
        runner.ring()
        await until(ports, deployment.id, lambda _: len(verifier.runs) == 1)
        await checking.cancel(ports, deployment.id, user=ANA, delivery="b")
        await checking.request(ports, deployment.id, words="Box 1.1", user=ANA, delivery="c")
        runner.ring()
        await until(ports, deployment.id, lambda _: len(verifier.runs) == 2)
        gate.set()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert verifier.runs == [["s1/boxes/1"]] * 2
    assert after.ticks[0].by == BOT


async def test_a_result_the_database_will_not_have_is_an_error_and_is_not_looked_for_again_and_again(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.facts["s1/boxes/2"] = {"commit": "half a character: \ud83d"}
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        after = await check(ports, runner, deployment, "Boxes")
    assert [after.results[at].outcome for at in range(3)] == [Outcome.PASS, Outcome.ERROR, Outcome.PASS]
    assert set(after.ticks) == {0, 2}
    assert len(verifier.runs) == 1


async def test_a_verifier_that_breaks_when_asked_again_ends_the_run_too(
    database: Database, clock: ManualClock
) -> None:
    class BreakingLater(ScriptedVerifier):
        """Works once."""

        async def run(self, deployment, keys, *, deeds, on_result):  # type: ignore[no-untyped-def]
            if self.runs:
                self.runs.append(list(keys))
                raise RuntimeError("the file is gone")
            await super().run(deployment, keys, deeds=deeds, on_result=on_result)

    verifier = BreakingLater(bound())
    gate = verifier.gates["s1/boxes/2"] = asyncio.Event()
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await checking.request(ports, deployment.id, words="Boxes", user=ANA, delivery="a")
        runner.ring()
        await until(ports, deployment.id, lambda state: 0 in state.results)
        await checking.request(ports, deployment.id, words="Box 1.1", user=ANA, delivery="b")
        gate.set()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert after.results[0].outcome is Outcome.ERROR
    assert verifier.runs[1:] == [["s1/boxes/1"]]


async def test_who_has_lost_the_lease_stops_looking_and_a_finished_run_gives_it_back(
    database: Database, clock: ManualClock
) -> None:
    class Interruptible(ScriptedVerifier):
        """Says when it was stopped."""

        stopped = asyncio.Event()

        async def run(self, deployment, keys, *, deeds, on_result):  # type: ignore[no-untyped-def]
            try:
                await super().run(deployment, keys, deeds=deeds, on_result=on_result)
            except asyncio.CancelledError:
                self.stopped.set()
                raise

    verifier = Interruptible(bound())
    gate = verifier.gates["s1/boxes/1"] = asyncio.Event()
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await checking.request(ports, deployment.id, words="Box 1.1", user=ANA, delivery="a")
        runner.ring()
        await until(ports, deployment.id, lambda _: len(verifier.runs) == 1)
        until_later = clock.now() + timedelta(minutes=1)
        async with database.write() as tx:
            await tx.execute(update(run_leases).values(owner="another process", until=until_later))
        async with asyncio.timeout(10):
            await verifier.stopped.wait()
        gate.set()
        assert 0 not in (await state_of(ports, deployment.id)).results
        clock.forward(minutes=2)
        runner.ring()
        await until(ports, deployment.id, lambda state: state.run is None)
        async with asyncio.timeout(10):
            while True:
                async with database.read() as tx:
                    if not (await tx.execute(select(run_leases))).all():
                        break
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("purpose", [Purpose.GO, Purpose.FINISH])
async def test_go_and_finish_wait_for_checks_that_are_running_and_both_end_in_their_lines(
    database: Database, clock: ManualClock, purpose: Purpose
) -> None:
    verifier = ScriptedVerifier(bound())
    gate = verifier.gates["s1/boxes/1"] = asyncio.Event()
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await checking.request(ports, deployment.id, words="Box 1.1", user=ANA, delivery="a")
        runner.ring()
        after = await checking.conclude(ports, deployment.id, purpose, user=BEN, delivery="b")
        assert after.phase.open
        assert after.go is None
        gate.set()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    ended = "finished" if purpose is Purpose.FINISH else "go"
    assert await notices(ports, deployment) == ["checks", ended]
    assert 0 in after.done
    verdicts = [verdict async for verdict in auditing.verify(ports)]
    assert [verdict.problems for verdict in verdicts] == [()]


async def test_go_and_finish_at_once_are_both_recorded_and_add_up(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await check(ports, runner, deployment, "Box 1.1")
        await ending.finish(ports, deployment.id, user=BEN, delivery="f")
        await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery="g")
        async with database.read() as tx:
            shown = await ports.deployments.projected(tx, deployment.id)
        assert shown.run is not None
        assert shown.run.go_by == ANA
        runner.ring()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert after.go is not None
    assert (after.phase, after.ended_by, after.go.by) == (Phase.FINISHED, BEN, ANA)
    verdicts = [verdict async for verdict in auditing.verify(ports)]
    assert [verdict.problems for verdict in verdicts] == [()]


async def test_nobody_overrules_what_they_were_not_shown_or_what_somebody_else_overruled(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.outcomes["s1/boxes/1"] = Outcome.FAIL
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await check(ports, runner, deployment, "Box 1.1")
    with pytest.raises(EvidenceMoved, match="found: fail: s1/boxes/1 is fail"):
        await checking.overrule(
            ports, deployment.id, 0, user=BEN, reason="no data", delivery="1", seen=Outcome.UNKNOWN
        )
    after = await checking.overrule(
        ports, deployment.id, 0, user=BEN, reason="known", delivery="2", seen=Outcome.FAIL
    )
    with pytest.raises(AlreadyOverruled):
        await checking.overrule(
            ports, deployment.id, 0, user=ANA, reason="me too", delivery="3", seen=Outcome.FAIL
        )
    assert (after.ticks[0].by, after.ticks[0].reason) == (BEN, "known")


async def test_an_untick_while_the_check_runs_stands_on_every_engine(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    section = next(post for post in await posts_of(ports, deployment.id) if post.kind == "section")
    async with running(ports) as runner:
        after = await check(ports, runner, deployment, "Boxes")
        gate = verifier.gates["s1/boxes/1"] = asyncio.Event()
        await checking.request(ports, deployment.id, words="Box 1.1", user=ANA, delivery="again")
        runner.ring()
        after = await state_of(ports, deployment.id)
        click = make_click(after, section, base={0, 1, 2}, selected={1, 2}, user=BEN)
        await TickQueue(ports).submit(click)
        async with database.read() as tx:
            projected = await ports.deployments.projected(tx, deployment.id)
        assert projected.run is not None
        assert projected.run.unticked == {0}
        verdicts = [verdict async for verdict in auditing.verify(ports)]
        assert [verdict.problems for verdict in verdicts] == [()]
        gate.set()
        after = await until(ports, deployment.id, lambda state: state.run is None)
    assert set(after.ticks) == {1, 2}
    assert after.results[0].outcome is Outcome.PASS


async def test_a_finish_that_waits_for_evidence_survives_a_restart(
    database: Database, clock: ManualClock
) -> None:
    verifier = ScriptedVerifier(bound())
    ports = ports_with(database, clock, verifier)
    deployment = await start(ports)
    async with running(ports) as runner:
        await check(ports, runner, deployment, "Boxes")
        verifier.gates["s1/boxes/1"] = asyncio.Event()
        await ending.finish(ports, deployment.id, user=ANA, delivery="f")
        runner.ring()
        await until(ports, deployment.id, lambda state: state.run is not None and state.run.finished == 2)
    verifier.gates.clear()
    again = ports_with(database, clock, verifier)
    async with running(again):
        after = await until(again, deployment.id, lambda state: state.run is None)
    assert (after.phase, after.ended_by) == (Phase.FINISHED, ANA)
    assert verifier.runs[-1] == ["s1/boxes/1"]
    assert await notices(again, deployment) == ["checks", "finished"]


async def test_two_replicas_run_the_checks_once(database: Database, clock: ManualClock) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has one process")
    one, two = ScriptedVerifier(bound()), ScriptedVerifier(bound())
    here, there = ports_with(database, clock, one), ports_with(database, clock, two)
    deployment = await start(here)
    async with running(here) as runner, running(there) as other:
        for number in range(5):
            await checking.request(here, deployment.id, words="Boxes", user=ANA, delivery=f"{number}")
            runner.ring()
            other.ring()
            after = await until(there, deployment.id, lambda state: state.run is None)
            assert after.done == {0, 1, 2}
            assert len(one.runs) + len(two.runs) == number + 1
    assert (await notices(here, deployment)) == ["checks"] * 5
    verdicts = [verdict async for verdict in auditing.verify(there)]
    assert [verdict.problems for verdict in verdicts] == [()]
