"""The watch: prepared, begun, sampled and judged, on both databases; its sources are written beforehand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.domain.check import CheckSpec
from bot.domain.deployment import Deployment, Phase
from bot.domain.events import Fact
from bot.domain.monitoring import Measure, Verdict
from bot.domain.signals import Form, Measured, Signal, WatchPlan
from bot.domain.triggering import TriggerFinding
from bot.domain.verification import Purpose
from bot.domain.watching import Source, TriggerState
from bot.services import alerting, auditing, checking, ending, going, rolling_back
from bot.services.ports import Ports
from bot.services.watching import WatchRunner, since_rollback
from bot.storage import samples
from bot.storage.database import Database
from tests.makers import ANA, BEN, TEAM, ManualClock, ScriptedWatching, make_ports, posts_of, start

Written = Callable[[datetime], Measured]


def signal(name: str, trigger: str, form: Form = Form.SERIES, measure: Measure = Measure.ERRORS) -> Signal:
    return Signal(
        name=name,
        label=name,
        form=form,
        measure=measure,
        trigger=trigger,
        check=CheckSpec(kind="signal.prometheus", params=None),
    )


ERRORS = signal("errors", "Significant error rate increase")
LATENCY = signal("latency", "Performance degradation", measure=Measure.LATENCY)
CHECKOUT = signal("checkout", "Critical functionality failure", Form.PROBE)
FINDINGS = signal("findings", "Security vulnerability", Form.FINDINGS)


def rate(per_cent: float, requests: int = 400) -> Written:
    """An error rate about so high, the same at the same instant."""

    def written(at: datetime) -> Measured:
        chance = random.Random(at.timestamp())
        failed = sum(chance.random() < per_cent / 100 for _ in range(requests))
        return Measured(at=at, value=100 * failed / requests, count=requests)

    return written


def steady(value: float) -> Written:
    """A number about so high."""

    def written(at: datetime) -> Measured:
        return Measured(at=at, value=value * random.Random(at.timestamp()).uniform(0.95, 1.05))

    return written


def found(*ids: str) -> Written:
    """A list of findings."""
    return lambda at: Measured(at=at, value=float(len(ids)), found={id_: f"{id_} (high)" for id_ in ids})


def nothing(said: str) -> Written:
    """No data."""
    return lambda at: Measured(at=at, value=None, said=said)


async def looks(runner: WatchRunner) -> None:
    """It looks at everything that is due."""
    await runner.wake()
    await runner.settled()


class Scene:
    """A deployment of Ana's that is watched, and a clock to move."""

    def __init__(self, database: Database, *signals: Signal) -> None:
        self.clock = ManualClock()
        self.plan = WatchPlan(signals=signals or (ERRORS, LATENCY), baseline=1800)
        self.source = ScriptedWatching(self.plan, clock=self.clock)
        self.source.past = {"errors": rate(0.3), "latency": steady(120)}
        self.source.now = {**self.source.past, "checkout": steady(0), "findings": found("CVE-1")}
        self.ports: Ports = make_ports(database, clock=self.clock, watching=self.source)
        self.runner = WatchRunner(self.ports)
        self.id = 0
        self.live_at = self.clock.now()

    async def starts(self) -> None:
        self.id = (await start(self.ports)).id
        await looks(self.runner)

    async def goes_live(self) -> None:
        self.live_at = self.clock.now()
        await checking.conclude(self.ports, self.id, Purpose.GO, user=ANA, delivery="go")
        await looks(self.runner)

    async def passes(self, minutes: float, *, step: float = 15) -> None:
        for _ in range(round(minutes * 60 / step)):
            self.clock.forward(seconds=step)
            await looks(self.runner)

    async def state(self) -> Deployment:
        async with self.ports.database.read() as tx:
            state = await self.ports.deployments.get(tx, self.id)
        assert state is not None
        return state

    async def trigger(self, key: str) -> TriggerState | None:
        trigger = (await self.state()).aftermath.triggers.get(key)
        return None if trigger is None else trigger.state

    async def verdict(self, name: str) -> tuple[Verdict, str]:
        watch = (await self.state()).aftermath.watch
        assert watch is not None
        return watch.judged[name].verdict, watch.judged[name].said


@pytest.fixture
async def scene(database: Database) -> Scene:
    return Scene(database)


ERRORS_KEY, LATENCY_KEY = "significant-error-rate-increase", "performance-degradation"


async def test_what_would_be_seen_is_said_before_go(scene: Scene) -> None:
    await scene.starts()
    watch = (await scene.state()).aftermath.watch
    assert watch is not None
    assert watch.begun_at is None
    assert any(line.startswith("Errors") and "min" in line for line in watch.power), watch.power


async def test_a_clean_deploy_is_healthy_raises_nothing_and_is_told_once_at_the_end(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(61)
    state = await scene.state()
    assert state.aftermath.watch is not None
    assert (state.aftermath.watch.verdict, state.aftermath.watch.running) == (Verdict.HEALTHY, False)
    assert state.aftermath.triggers == {}
    async with scene.ports.database.read() as tx:
        taken = await samples.of(tx, scene.id)
    told = [post.key for post in await posts_of(scene.ports, scene.id) if post.kind == "notice"]
    assert [key.partition("-")[0] for key in told] == ["go", "watch"]
    after = [one for one in taken["errors"] if one.at > state.aftermath.deployed.at]  # type: ignore[union-attr]
    assert len(after) == 60


async def test_errors_that_rise_raise_the_trigger_with_the_numbers(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(5)
    scene.source.now["errors"] = rate(4)
    await scene.passes(3)
    state = await scene.state()
    trigger = state.aftermath.triggers[ERRORS_KEY]
    assert trigger.state is TriggerState.FIRING
    finding = trigger.finding
    assert finding["change"].startswith("0.")
    assert finding["requests"] >= 400
    assert any("latency" in line for line in finding["unchanged"])
    assert await scene.trigger(LATENCY_KEY) is None


async def test_once_suspicious_it_looks_more_often_with_windows_as_short(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(5)
    scene.source.looks.clear()
    scene.source.now["errors"] = rate(2.2)
    await scene.passes(2, step=5)
    assert ("errors", 15.0) in scene.source.looks
    assert ("latency", 15.0) not in scene.source.looks


async def test_a_raised_trigger_stays_whatever_the_metric_does_and_notes_the_recovery(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    scene.source.now["errors"] = rate(6)
    await scene.passes(5)
    scene.source.now["errors"] = rate(0.3)
    await scene.passes(8)
    trigger = (await scene.state()).aftermath.triggers[ERRORS_KEY]
    assert trigger.state is TriggerState.FIRING
    assert trigger.recovered_at is not None
    assert "errors" in trigger.recovered


async def test_what_was_well_again_and_cleared_is_raised_anew_when_it_comes_back(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    scene.source.now["errors"] = rate(4)
    await scene.passes(5)
    scene.source.now["errors"] = rate(0.3)
    await scene.passes(6)
    seq = (await scene.state()).aftermath.triggers[ERRORS_KEY].seq
    await alerting.clear(scene.ports, scene.id, seq, user=ANA, reason="A cache was cold", delivery="clear")
    await scene.passes(5)
    assert await scene.trigger(ERRORS_KEY) is TriggerState.CLEARED
    assert (await scene.verdict("errors"))[0] is Verdict.HEALTHY
    scene.source.now["errors"] = rate(4)
    cleared_at = scene.clock.now()
    await scene.passes(8)
    trigger = (await scene.state()).aftermath.triggers[ERRORS_KEY]
    assert trigger.state is TriggerState.FIRING
    assert datetime.fromisoformat(trigger.finding["since"]) > cleared_at


async def test_an_alert_that_resolves_itself_during_the_rollback_stays_and_the_rollback_is_verified(
    scene: Scene,
) -> None:
    await scene.starts()
    await scene.goes_live()
    scene.source.now["errors"] = rate(5)
    await scene.passes(4)
    await rolling_back.start(scene.ports, scene.id, user=ANA, why="One in twenty fails", delivery="back")
    await scene.passes(1)
    judged = await since_rollback(scene.ports, await scene.state())
    assert judged is not None
    assert judged["errors"][0] in ("inconclusive", "degraded")
    scene.source.now["errors"] = rate(0.3)
    scene.clock.forward(minutes=1)
    state = await scene.state()
    first = len(state.checklist.items)
    async with scene.ports.database.write() as tx:
        done = Fact(
            kind="item.ticked",
            actor=BEN,
            at=scene.clock.now(),
            data={"item": state.boxes[first].key, "position": first},
        )
        await scene.ports.deployments.append(tx, state, [done])
    await scene.passes(6)
    state = await scene.state()
    trigger = state.aftermath.triggers[ERRORS_KEY]
    assert trigger.state is TriggerState.ACKNOWLEDGED  # by who goes back
    assert trigger.recovered_at is not None
    assert state.aftermath.rollback is not None
    judged = await since_rollback(scene.ports, state)
    assert judged is not None
    assert judged["errors"][0] == "healthy", judged


async def test_what_is_still_bad_when_it_is_cleared_is_not_raised_again(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    scene.source.now["errors"] = rate(4)
    await scene.passes(5)
    seq = (await scene.state()).aftermath.triggers[ERRORS_KEY].seq
    await alerting.clear(scene.ports, scene.id, seq, user=ANA, reason="A known outage", delivery="clear")
    await scene.passes(10)
    assert await scene.trigger(ERRORS_KEY) is TriggerState.CLEARED


async def test_a_baseline_without_an_error_that_jumps_is_seen(database: Database) -> None:
    scene = Scene(database, ERRORS)
    scene.source.past["errors"] = scene.source.now["errors"] = rate(0)
    await scene.starts()
    await scene.goes_live()
    scene.source.now["errors"] = rate(3)
    await scene.passes(4)
    assert await scene.trigger(ERRORS_KEY) is TriggerState.FIRING


async def test_much_more_of_next_to_nothing_is_no_alarm(database: Database) -> None:
    """+650 % on a handful of requests."""
    scene = Scene(database, ERRORS)
    scene.source.past["errors"] = rate(0, requests=3)
    scene.source.now["errors"] = lambda at: Measured(
        at=at, value=33.3 if at.minute % 7 == 0 == at.second else 0, count=3
    )
    await scene.starts()
    await scene.goes_live()
    await scene.passes(30)
    assert await scene.trigger(ERRORS_KEY) is None


async def test_no_traffic_is_inconclusive_and_says_so(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    scene.source.now["errors"] = lambda at: Measured(at=at, value=None, count=0, said="too few requests")
    await scene.passes(5)
    verdict, said = await scene.verdict("errors")
    assert verdict is Verdict.INCONCLUSIVE
    assert "no traffic" in said
    watch = (await scene.state()).aftermath.watch
    assert watch is not None
    assert watch.verdict is Verdict.INCONCLUSIVE


async def test_a_source_that_is_gone_for_five_minutes_is_inconclusive_then_back(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(5)
    assert (await scene.verdict("errors"))[0] is Verdict.HEALTHY
    scene.source.now["errors"] = nothing("Prometheus does not answer")
    await scene.passes(5)
    assert (await scene.verdict("errors")) == (
        Verdict.INCONCLUSIVE,
        "no data in the last 3 samples: Prometheus does not answer",
    )
    scene.source.now["errors"] = rate(0.3)
    await scene.passes(3)
    assert (await scene.verdict("errors"))[0] is Verdict.HEALTHY
    assert (await scene.state()).aftermath.triggers == {}


async def test_without_a_baseline_nothing_is_healthy_and_nothing_is_called_for(scene: Scene) -> None:
    scene.source.away = "Prometheus does not answer"
    await scene.starts()
    await scene.goes_live()
    scene.source.now["errors"] = rate(30)
    await scene.passes(10)
    assert (await scene.verdict("errors"))[0] is Verdict.INCONCLUSIVE
    assert (await scene.state()).aftermath.triggers == {}


async def test_a_baseline_that_could_not_be_had_is_asked_for_again(scene: Scene) -> None:
    scene.source.away = "Prometheus does not answer"
    await scene.starts()
    await scene.goes_live()
    await scene.passes(3)
    scene.source.away = ""
    await scene.passes(3)
    assert (await scene.verdict("errors"))[0] is Verdict.HEALTHY
    scene.source.now["errors"] = rate(6)
    await scene.passes(4)
    assert await scene.trigger(ERRORS_KEY) is TriggerState.FIRING


async def test_a_restart_in_the_middle_goes_on_and_asks_for_what_it_missed(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    scene.source.now["errors"] = scene.source.past["errors"] = lambda at: rate(
        5 if at > scene.live_at + timedelta(minutes=3) else 0.3
    )(at)
    await scene.passes(2)
    scene.clock.forward(minutes=10)
    scene.runner = WatchRunner(scene.ports)
    await scene.runner.start()
    await looks(scene.runner)
    trigger = (await scene.state()).aftermath.triggers[ERRORS_KEY]
    since = datetime.fromisoformat(trigger.finding["since"])
    assert since - scene.live_at <= timedelta(minutes=5)


async def test_a_journey_must_fail_twice_in_a_row(database: Database) -> None:
    scene = Scene(database, CHECKOUT)
    await scene.starts()
    await scene.goes_live()
    scene.source.now["checkout"] = lambda at: Measured(at=at, value=1.0, said="status is 500, not 200")
    await scene.passes(1)
    watch = (await scene.state()).aftermath.watch
    assert watch is not None
    assert watch.judged["checkout"].pending
    scene.source.now["checkout"] = steady(0)
    await scene.passes(1)
    assert await scene.trigger("critical-functionality-failure") is None
    scene.source.now["checkout"] = lambda at: Measured(at=at, value=1.0, said="status is 500, not 200")
    await scene.passes(2)
    trigger = (await scene.state()).aftermath.triggers["critical-functionality-failure"]
    assert trigger.finding["said"] == "status is 500, not 200"


async def test_only_a_finding_that_was_not_there_before_the_deploy_counts(database: Database) -> None:
    scene = Scene(database, FINDINGS)
    await scene.starts()
    await scene.goes_live()
    await scene.passes(3)
    assert (await scene.verdict("findings"))[0] is Verdict.HEALTHY
    scene.source.now["findings"] = found("CVE-1", "CVE-2")
    await scene.passes(1)
    trigger = (await scene.state()).aftermath.triggers["security-vulnerability"]
    assert trigger.finding["found"] == ["CVE-2 (high)"]


async def test_the_same_rise_yesterday_and_another_deploy_are_named(scene: Scene) -> None:
    await scene.starts()
    other = await start(scene.ports, service="payments", version="v2")
    await checking.conclude(scene.ports, other.id, Purpose.GO, user=ANA, delivery="go-other")
    scene.clock.forward(minutes=4)
    await scene.goes_live()
    begun = scene.clock.now()

    def risen(at: datetime) -> Measured:
        late = timedelta(minutes=1) < at - begun or timedelta(minutes=1) < at - (begun - timedelta(days=1))
        early = at < begun and at - (begun - timedelta(days=1)) > timedelta(hours=2)
        return rate(5 if late and not early else 0.3)(at)

    scene.source.past["errors"] = scene.source.now["errors"] = risen
    await scene.passes(5)
    said = (await scene.state()).aftermath.triggers[ERRORS_KEY].finding["contradicting"]
    assert any("yesterday" in line for line in said), said
    assert any("payments v2" in line for line in said), said


async def test_two_processes_take_one_sample_each_minute(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    second = WatchRunner(scene.ports)
    for _ in range(12):
        scene.clock.forward(seconds=30)
        await looks(scene.runner)
        await looks(second)
    async with scene.ports.database.read() as tx:
        taken = (await samples.of(tx, scene.id))["errors"]
    assert len([one for one in taken if one.at > scene.clock.now() - timedelta(minutes=6)]) == 6


async def test_what_two_processes_see_by_turns_is_judged_together(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(4)
    scene.source.now["errors"] = rate(1.6)
    second = WatchRunner(scene.ports)
    for turn in range(24):
        scene.clock.forward(seconds=30)
        await looks(second if turn % 4 < 2 else scene.runner)
    assert await scene.trigger(ERRORS_KEY) is TriggerState.FIRING
    taken = (await scene.state()).aftermath.triggers[ERRORS_KEY].finding
    assert taken["samples_bad"] <= taken["samples"]


async def test_a_signal_that_is_declared_meanwhile_is_judged_too(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(2)
    scene.source.written = replace(scene.plan, signals=(*scene.plan.signals, CHECKOUT))
    await scene.passes(3)
    assert (await scene.verdict("checkout"))[0] is Verdict.HEALTHY


async def test_a_shift_too_small_for_one_sample_to_show_is_raised_as_well(scene: Scene) -> None:
    def wide(level: float) -> Written:
        return lambda at: Measured(at=at, value=level * random.Random(at.timestamp()).uniform(0.7, 1.5))

    scene.source.past["latency"] = scene.source.now["latency"] = wide(120)
    await scene.starts()
    await scene.goes_live()
    scene.source.now["latency"] = wide(170)
    await scene.passes(40)
    trigger = (await scene.state()).aftermath.triggers[LATENCY_KEY]
    assert trigger.state is TriggerState.FIRING
    assert trigger.recovered_at is None


async def test_one_source_that_hangs_holds_up_no_other_deployment(scene: Scene) -> None:
    await scene.starts()
    first = scene.id
    other = await start(scene.ports, service="payments", version="v2")
    await checking.conclude(scene.ports, other.id, Purpose.GO, user=ANA, delivery="go-other")
    await scene.goes_live()
    gate = asyncio.Event()
    measure = scene.source.measure
    looked: list[int] = []

    class Hanging(ScriptedWatching):
        async def measure(self, deployment: Deployment, signal: Signal, *, window: float) -> Measured:
            if deployment.id == first:
                await gate.wait()
            looked.append(deployment.id)
            return await measure(deployment, signal, window=window)

    hanging = Hanging(scene.plan, clock=scene.clock)
    hanging.past = scene.source.past
    runner = WatchRunner(replace(scene.ports, watching=hanging))
    for _ in range(4):
        scene.clock.forward(seconds=60)
        await runner.wake()
        for _ in range(100):
            await asyncio.sleep(0.005)
    assert looked.count(other.id) >= 6
    assert first not in looked
    gate.set()
    await runner.settled()
    await runner.stop()


async def test_a_watch_that_is_prolonged_during_its_last_look_goes_on(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(59)
    measure = scene.source.now["errors"]
    asked: list[asyncio.Task[Deployment]] = []

    def prolonged(at: datetime) -> Measured:
        if not asked:
            wish = alerting.watch_longer(scene.ports, scene.id, user=BEN, delivery="longer")
            asked.append(asyncio.get_running_loop().create_task(wish))
        return measure(at)

    scene.source.now["errors"] = prolonged
    scene.clock.forward(minutes=1)
    await looks(scene.runner)
    await asked[0]
    await scene.passes(2)
    watch = (await scene.state()).aftermath.watch
    assert watch is not None
    assert watch.running


async def test_what_is_not_set_up_for_a_while_is_inconclusive_and_goes_on_when_it_is(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(4)
    unset = tuple(replace(signal, missing=("vars.prometheus_url",)) for signal in scene.plan.signals)
    scene.source.written = replace(scene.plan, signals=unset)
    await scene.passes(2)
    verdict, said = await scene.verdict("errors")
    assert verdict is Verdict.INCONCLUSIVE
    assert "vars.prometheus_url" in said
    scene.source.written = scene.plan
    scene.source.now["errors"] = rate(5)
    await scene.passes(5)
    assert await scene.trigger(ERRORS_KEY) is TriggerState.FIRING


async def test_what_alertmanager_raised_and_somebody_cleared_mutes_nothing_the_watch_sees_later(
    scene: Scene,
) -> None:
    await scene.starts()
    raised = await alerting.report(
        scene.ports,
        scene.id,
        key=ERRORS_KEY,
        title=ERRORS.trigger,
        source=Source.ALERTMANAGER,
        finding=TriggerFinding(said="a load test"),
        size=2.0,
    )
    seq = raised.aftermath.triggers[ERRORS_KEY].seq
    await alerting.clear(scene.ports, scene.id, seq, user=ANA, reason="A load test", delivery="clear")
    scene.clock.forward(minutes=5)
    await scene.goes_live()
    scene.source.now["errors"] = rate(20)
    await scene.passes(4)
    assert await scene.trigger(ERRORS_KEY) is TriggerState.FIRING


async def test_what_a_person_raised_is_joined_by_the_watch_with_all_it_knows(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(2)
    told = TriggerFinding(said="guests cannot pay")
    await alerting.report(
        scene.ports,
        scene.id,
        key=ERRORS_KEY,
        title=ERRORS.trigger,
        source=Source.PERSON,
        finding=told,
        size=0.0,
        by=ANA,
    )
    scene.source.now["errors"] = rate(4)
    await scene.passes(6)
    trigger = (await scene.state()).aftermath.triggers[ERRORS_KEY]
    shown = TriggerFinding.from_json(trigger.finding)
    assert (trigger.source, trigger.announced) == (Source.PERSON, 1)
    assert (shown.signal.partition("@")[0].startswith("errors"), shown.said) == (True, "guests cannot pay")
    assert shown.unchanged, "what did not change speaks for the deployment as the cause"


async def test_what_gets_much_worse_is_announced_again_soon(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    scene.source.now["latency"] = steady(200)
    await scene.passes(20)
    scene.source.now["latency"] = steady(3000)
    await scene.passes(5)
    assert (await scene.state()).aftermath.triggers[LATENCY_KEY].announced == 2


async def no_go(scene: Scene, delivery: str = "no-go") -> Deployment:
    return await going.refuse_go(
        scene.ports, scene.id, user=BEN, team=TEAM, reason="not yet", delivery=delivery
    )


async def test_after_a_no_go_the_next_go_is_watched_from_its_own_beginning(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(2)
    state = await no_go(scene)
    assert state.aftermath.deployed is None
    await scene.passes(90)
    watch = (await scene.state()).aftermath.watch
    assert watch is not None
    assert (watch.begun_at, watch.judged) == (None, {})
    second = scene.clock.now()
    await checking.conclude(scene.ports, scene.id, Purpose.GO, user=ANA, delivery="go.2")
    await looks(scene.runner)
    await scene.passes(5)
    scene.source.now["errors"] = rate(4)
    await scene.passes(3)
    state = await scene.state()
    assert state.aftermath.deployed is not None
    assert state.aftermath.deployed.at == second
    assert state.aftermath.watch is not None
    assert state.aftermath.watch.until == second + timedelta(hours=1)
    assert await scene.trigger(ERRORS_KEY) is TriggerState.FIRING
    verdicts = [verdict async for verdict in auditing.verify(scene.ports)]
    assert [verdict.problems for verdict in verdicts] == [()]


async def test_a_watch_that_is_over_begins_anew_with_the_next_go(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(61)
    await no_go(scene)
    await scene.passes(5)
    await checking.conclude(scene.ports, scene.id, Purpose.GO, user=ANA, delivery="go.2")
    await looks(scene.runner)
    watch = (await scene.state()).aftermath.watch
    assert watch is not None
    assert watch.running


async def test_what_is_live_all_the_same_is_watched_on_after_a_no_go(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(5)
    scene.source.now["errors"] = rate(4)
    await scene.passes(3)
    state = await no_go(scene)
    assert state.aftermath.deployed is not None
    assert state.aftermath.watch is not None
    assert state.aftermath.watch.running


async def test_what_ci_has_rolled_out_is_watched_on_after_a_no_go(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await scene.passes(2)
    told = Fact(kind="deployment.reported", actor="ci", at=scene.clock.now(), data={"state": "deployed"})
    async with scene.ports.database.write() as tx:
        state = await scene.ports.deployments.get(tx, scene.id, locked=True)
        assert state is not None
        await scene.ports.deployments.append(tx, state, [told])
    assert (await no_go(scene)).aftermath.deployed is not None


async def test_an_aborted_deployment_is_watched_no_longer(scene: Scene) -> None:
    await scene.starts()
    await scene.goes_live()
    await ending.abort(scene.ports, scene.id, user=ANA, reason="The wrong one", delivery="abort")
    scene.source.looks.clear()
    await scene.passes(3)
    assert scene.source.looks == []
    assert scene.source.forgotten == [scene.id]
    assert (await scene.state()).phase is Phase.ABORTED
