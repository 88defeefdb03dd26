"""Triggers, escalation, drills and rollbacks, on a real database of each kind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from bot.domain import triggering
from bot.domain.check import Binding, CheckSpec, Outcome, Rules
from bot.domain.checklist import RUNBOOK
from bot.domain.deployment import Deployment
from bot.domain.errors import (
    AlreadyAcknowledged,
    DeploymentClosed,
    NoSuchTrigger,
    NotWatched,
    OnlyADrill,
    RollbackUnderWay,
    TriggerCleared,
    WrongWorkspace,
)
from bot.domain.events import Fact
from bot.domain.rollback import progress
from bot.domain.signals import WatchPlan
from bot.domain.triggering import TriggerFinding
from bot.domain.verification import Purpose
from bot.domain.watching import VERIFIED, Source, Trigger, TriggerState
from bot.services import alerting, auditing, checking, ending, receiving, rolling_back
from bot.services.ci import Premises
from bot.services.ports import Ports
from bot.services.running import CheckRunner
from bot.services.ticking import TickQueue
from bot.slack.blocks import aftermath, notices
from bot.storage import migrating, posts
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from bot.storage.posts import Post
from tests.makers import (
    ANA,
    BEN,
    TEAM,
    ListedChannels,
    ManualClock,
    ScriptedVerifier,
    ScriptedWatching,
    make_checklist,
    make_click,
    make_ports,
    start,
)
from tests.postgres import PostgresServer

PLAN = WatchPlan(
    on_call="S0ONCALL001", escalate=(300.0, 600.0), links={"Dashboard": "https://grafana.test/d"}
)
STEPS = ("Scale down services", "Restore previous version", "Verify rollback")
FINDING = TriggerFinding(signal="errors", label="errors", measure="error_pct", change="0.2 % → 3.1 %")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def verifier() -> ScriptedVerifier:
    check = CheckSpec(id="", kind="http", params=None, rules=Rules())
    return ScriptedVerifier([Binding(key=VERIFIED, text="Verify rollback", checks=(check,))])


@pytest.fixture
def ports(database: Database, clock: ManualClock, verifier: ScriptedVerifier) -> Ports:
    checklist = replace(make_checklist(), rollback_steps=STEPS)
    return make_ports(
        database, clock=clock, checklist=checklist, watching=ScriptedWatching(PLAN), verifier=verifier
    )


async def reported(ports: Ports, deployment: Deployment, size: float = 2.9, **changed: object) -> Trigger:
    values = {"key": "errors", "title": "Errors rise", "source": Source.WATCH, "finding": FINDING} | changed
    after = await alerting.report(ports, deployment.id, size=size, **values)  # type: ignore[arg-type]
    return after.aftermath.triggers[str(values["key"])]


async def state_of(ports: Ports, deployment: Deployment) -> Deployment:
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment.id)
    assert state is not None
    return state


async def messages(ports: Ports, deployment: Deployment, *kinds: str) -> list[Post]:
    async with ports.database.read() as tx:
        return await posts.of_kind(tx, deployment.id, *kinds)


async def kinds(ports: Ports, deployment: Deployment) -> list[str]:
    async with ports.database.read() as tx:
        return [event.fact.kind for event in await ports.deployments.history(tx, deployment.id)]


async def adds_up(ports: Ports) -> bool:
    return not [p async for verdict in auditing.verify(ports) for p in verdict.problems]


# ── raised, worse, latched, cleared ──────────────────────────────────────────────────────────────────────


async def test_a_trigger_is_announced_once_and_again_only_when_it_is_twice_as_bad(
    ports: Ports, clock: ManualClock
) -> None:
    deployment = await start(ports)
    await reported(ports, deployment, 2.9)
    for size in (2.9, 3.5, 5.7):
        clock.forward(minutes=2)
        worse = replace(FINDING, change=f"0.2 % → {size} %")
        trigger = await reported(ports, deployment, size, finding=worse)
    assert (trigger.announced, trigger.size, trigger.latest) == (1, 2.9, 5.7)
    assert trigger.finding["change"] == "0.2 % → 5.7 %"
    assert [p.content["announced"] for p in await messages(ports, deployment, "alert")] == [1]

    await alerting.acknowledge(ports, deployment.id, trigger.seq, user=BEN, delivery="a.1")
    trigger = await reported(ports, deployment, 5.8)
    assert (trigger.announced, trigger.state) == (2, TriggerState.FIRING)
    first, second = await messages(ports, deployment, "alert")
    assert (first.content["announced"], second.content["announced"]) == (1, 2)
    assert second.content["on_call"] == "S0ONCALL001"
    assert first.wanted > 1
    assert await adds_up(ports)


async def test_figures_are_renewed_at_most_once_a_minute_and_only_when_the_words_change(
    ports: Ports, clock: ManualClock
) -> None:
    deployment = await start(ports)
    await reported(ports, deployment)
    clock.forward(seconds=59)
    await reported(ports, deployment, finding=replace(FINDING, change="0.2 % → 3.2 %"))
    clock.forward(seconds=61)
    await reported(ports, deployment)
    assert (await kinds(ports, deployment)).count("trigger.updated") == 0
    await reported(ports, deployment, finding=replace(FINDING, change="0.2 % → 3.3 %"))
    assert (await kinds(ports, deployment)).count("trigger.updated") == 1


async def test_a_recovered_trigger_stays_raised_until_a_person_clears_it(
    ports: Ports, clock: ManualClock
) -> None:
    deployment = await start(ports)
    trigger = await reported(ports, deployment)
    for _ in range(2):
        clock.forward(minutes=2)
        after = await alerting.recovered(ports, deployment.id, key="errors", said="errors back at 0.2 %")
        await alerting.recovered(ports, deployment.id, key="errors", said="errors back at 0.2 %")
        assert after.aftermath.triggers["errors"].state is TriggerState.FIRING
        assert after.aftermath.triggers["errors"].recovered_at is not None
        back = await reported(ports, deployment)
        assert back.recovered_at is None
    said = [p.key.partition("-")[0] for p in await messages(ports, deployment, "notice")]
    assert said == ["recovered"], "a signal that comes and goes is noted in the thread once"
    after = await alerting.clear(
        ports, deployment.id, trigger.seq, user=BEN, reason="the provider is down", delivery="v.1"
    )
    settled = after.aftermath.triggers["errors"]
    assert (settled.state, settled.cleared_by, settled.reason) == ("cleared", BEN, "the provider is down")


async def test_what_was_cleared_is_raised_again_only_when_asked_for_or_far_worse(
    ports: Ports, clock: ManualClock
) -> None:
    deployment = await start(ports)
    first = await reported(ports, deployment, 2.0)
    clock.forward(minutes=2)
    await reported(ports, deployment, 3.0, finding=replace(FINDING, change="0.2 % → 3.2 %"))
    await alerting.clear(ports, deployment.id, first.seq, user=BEN, reason="known", delivery="v.1")
    assert not (await reported(ports, deployment, 5.9)).state.raised, "it was at 3.0 when it was cleared"
    anew = await reported(ports, deployment, 6.0)
    assert anew.state is TriggerState.FIRING
    assert anew.seq != first.seq
    with pytest.raises(NoSuchTrigger):  # a button of the alert that was cleared
        await alerting.acknowledge(ports, deployment.id, first.seq, user=ANA, delivery="a.1")
    assert await adds_up(ports)


async def test_a_second_click_of_the_one_who_acknowledged_says_and_changes_nothing(ports: Ports) -> None:
    deployment = await start(ports)
    trigger = await reported(ports, deployment)
    state = await alerting.drill(ports, deployment.id, user=BEN, delivery="d")
    [drill] = [one for one in state.aftermath.triggers.values() if one.source is Source.DRILL]
    for seq in (trigger.seq, drill.seq):
        first = await alerting.acknowledge(ports, deployment.id, seq, user=ANA, delivery=f"{seq}.1")
        again = await alerting.acknowledge(ports, deployment.id, seq, user=ANA, delivery=f"{seq}.2")
        assert again.seq == first.seq
    assert (await kinds(ports, deployment)).count("trigger.acknowledged") == 2


async def test_two_people_who_acknowledge_at_once_acknowledge_once(ports: Ports) -> None:
    deployment = await start(ports)
    trigger = await reported(ports, deployment)
    results = await asyncio.gather(
        *(
            alerting.acknowledge(ports, deployment.id, trigger.seq, user=user, delivery=f"a.{user}")
            for user in (ANA, BEN)
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["AlreadyAcknowledged", "Deployment"]
    assert (await kinds(ports, deployment)).count("trigger.acknowledged") == 1
    winner = [user for user, r in zip((ANA, BEN), results, strict=True) if isinstance(r, Deployment)]
    assert [(await state_of(ports, deployment)).aftermath.triggers["errors"].acknowledged_by] == winner


async def test_the_same_delivery_again_changes_nothing(ports: Ports) -> None:
    deployment = await start(ports)
    for _ in range(2):
        await alerting.raise_by_hand(
            ports, deployment.id, words="Payments fail", reason="", user=BEN, delivery="c.1"
        )
    assert len(await messages(ports, deployment, "alert")) == 1


async def by_hand(
    ports: Ports, deployment: Deployment, words: str, user: str, **more: str
) -> alerting.Raised:
    told = {"reason": "", "delivery": f"raise.{user}.{words}"} | more
    return await alerting.raise_by_hand(ports, deployment.id, words=words, user=user, **told)


async def test_the_checklists_trigger_raised_by_two_people_and_the_watch_is_one_alert(
    ports: Ports, clock: ManualClock
) -> None:
    deployment = await start(ports)
    first = await by_hand(ports, deployment, "Errors rise", ANA)
    assert first.joined is None
    clock.forward(seconds=10)
    link = "https://x.slack.com/archives/C1/p1"
    second = await by_hand(ports, deployment, "errors  RISE", BEN, reason="payments answer 500", link=link)
    assert second.joined is not None
    clock.forward(seconds=10)
    trigger = await reported(ports, deployment, key="errors-rise")
    assert list((await state_of(ports, deployment)).aftermath.triggers) == ["errors-rise"]
    assert (trigger.source, trigger.by, trigger.announced) == (Source.PERSON, ANA, 1)
    assert [(one.by, one.said, one.link) for one in trigger.joined] == [(BEN, "payments answer 500", link)]
    assert trigger.finding["change"] == "0.2 % → 3.1 %", "the figures are shown at once"
    [alert] = await messages(ports, deployment, "alert")
    assert alert.wanted > 1
    assert await adds_up(ports)


async def test_who_raises_what_the_watch_raised_joins_it_and_its_figures_stay(ports: Ports) -> None:
    deployment = await start(ports)
    await reported(ports, deployment, key="errors-rise")
    for _ in range(2):  # the second says nothing new
        raised = await by_hand(ports, deployment, "", BEN, reason="Errors rise", delivery=f"v.{_}")
    assert raised.joined is not None
    trigger = raised.deployment.aftermath.triggers["errors-rise"]
    assert (trigger.source, trigger.finding["change"]) == (Source.WATCH, "0.2 % → 3.1 %")
    assert [one.by for one in trigger.joined] == [BEN]
    assert len(await messages(ports, deployment, "alert")) == 1


async def test_what_was_cleared_and_is_raised_by_hand_anew_is_a_new_alert(ports: Ports) -> None:
    deployment = await start(ports)
    raised = await by_hand(ports, deployment, "Errors rise", ANA)
    await by_hand(ports, deployment, "Errors rise", BEN, reason="I see it, too")
    seq = raised.deployment.aftermath.triggers["errors-rise"].seq
    await alerting.clear(ports, deployment.id, seq, user=BEN, reason="known", delivery="v.1")
    anew = await by_hand(ports, deployment, "Errors rise", ANA, delivery="c.2")
    assert anew.joined is None
    trigger = anew.deployment.aftermath.triggers["errors-rise"]
    assert (trigger.state, trigger.joined) == (TriggerState.FIRING, ())
    assert len(await messages(ports, deployment, "alert")) == 2


@pytest.mark.parametrize(("source", "size"), [(Source.PERSON, 0.0), (Source.HOOK, 1.0)])
async def test_what_the_watch_measures_of_what_others_raised_is_compared_with_what_it_measured_first(
    ports: Ports, clock: ManualClock, source: Source, size: float
) -> None:
    deployment = await start(ports)
    told = TriggerFinding(said="payments answer 500", links=(("Evidence", "https://x.test/1"),))
    await reported(ports, deployment, size, source=source, finding=told)
    for percent, announced in ((3.0, 1), (3.1, 1), (5.9, 1), (6.0, 2), (6.1, 2)):
        clock.forward(minutes=2)
        seen = replace(FINDING, change=f"0.2 % → {percent} %", links=(("Dashboard", "https://x.test/2"),))
        trigger = await reported(ports, deployment, percent, finding=seen)
        assert trigger.announced == announced, percent
        assert trigger.finding["change"] == seen.change
    shown = TriggerFinding.from_json(trigger.finding)
    assert shown.said == "payments answer 500", "what the person wrote stays beside the figures"
    assert [label for label, _ in shown.links] == ["Evidence", "Dashboard"]
    assert await adds_up(ports)


async def test_a_settled_or_ended_trigger_refuses_in_a_sentence(ports: Ports) -> None:
    deployment = await start(ports)
    trigger = await reported(ports, deployment)
    with pytest.raises(NotWatched):
        await alerting.watch_longer(ports, deployment.id, user=ANA, delivery="w.1", seq=trigger.seq)
    await alerting.clear(ports, deployment.id, trigger.seq, user=BEN, reason="known", delivery="v.1")
    with pytest.raises(TriggerCleared, match="Errors rise"):
        await alerting.acknowledge(ports, deployment.id, trigger.seq, user=ANA, delivery="a.1")
    await ending.abort(ports, deployment.id, user=ANA, reason="enough", delivery="v.2")
    with pytest.raises(DeploymentClosed):
        await reported(ports, deployment, 100.0)


async def test_watch_longer_takes_the_alert_and_moves_the_end(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    until = clock.now() + timedelta(minutes=20)
    begun = Fact(
        kind="watch.begun",
        actor="bot",
        at=clock.now(),
        data={"until": until.isoformat(), "labels": {"errors": "errors"}},
    )
    async with ports.database.write() as tx:
        state = await ports.deployments.get(tx, deployment.id, locked=True)
        assert state is not None
        await ports.deployments.append(tx, state, [begun])
    trigger = await reported(ports, deployment)
    after = await alerting.watch_longer(ports, deployment.id, user=BEN, delivery="w.1", seq=trigger.seq)
    assert after.aftermath.watch is not None
    assert after.aftermath.watch.until == until + alerting.LONGER
    assert after.aftermath.triggers["errors"].acknowledged_by == BEN


async def test_another_deployment_that_went_live_about_then_speaks_against_this_one(
    ports: Ports, clock: ManualClock
) -> None:
    other = await start(ports, service="payments", version="v9")
    await checking.conclude(ports, other.id, Purpose.GO, user=BEN, delivery="g.1")
    clock.forward(minutes=6)
    deployment = await start(ports)
    await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery="g.2")
    trigger = await reported(ports, deployment)
    [said] = TriggerFinding.from_json(trigger.finding).contradicting
    assert said == f"payments v9 ({other.name}) went live 6 min before this deployment"


async def test_one_of_another_private_channel_speaks_against_it_without_its_name(
    ports: Ports, clock: ManualClock
) -> None:
    room = "G0ROOM00001"
    ports = replace(ports, channels=ListedChannels(**{room: [BEN]}))
    hidden = await start(ports, service="payments", version="v9", channel=room)
    await checking.conclude(ports, hidden.id, Purpose.GO, user=BEN, delivery="g.1")
    clock.forward(minutes=6)
    deployment = await start(ports)
    await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery="g.2")
    trigger = await reported(ports, deployment)
    [said] = TriggerFinding.from_json(trigger.finding).contradicting
    assert said == "Another deployment went live 6 min before this deployment"
    inside = await reported(ports, hidden)
    [said] = TriggerFinding.from_json(inside.finding).contradicting
    assert said == f"storefront v1.4.2 ({deployment.name}) went live 6 min after this deployment"


# ── escalation ───────────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_acknowledges_so_the_lead_then_the_group_are_told_once_each(
    ports: Ports, clock: ManualClock
) -> None:
    deployment = await start(ports)
    await reported(ports, deployment)
    for seconds, expected in ((299, (0, 0)), (1, (1, 0)), (299, (1, 0)), (1, (1, 1)), (9_000, (1, 1))):
        clock.forward(seconds=seconds)
        await alerting.escalate(ports)
        await alerting.escalate(ports)
        direct = await messages(ports, deployment, "direct")
        group = await messages(ports, deployment, "notice")
        assert (len(direct), len(group)) == expected
    assert direct[0].channel == ANA
    assert group[0].content["on_call"] == "S0ONCALL001"
    assert await adds_up(ports)


async def test_a_snooze_and_an_acknowledgement_keep_it_quiet(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    trigger = await reported(ports, deployment)
    span = timedelta(minutes=15)
    await alerting.snooze(ports, deployment.id, trigger.seq, user=BEN, span=span, delivery="s.1")
    clock.forward(minutes=14)
    await alerting.escalate(ports)
    assert await messages(ports, deployment, "direct", "notice") == []
    clock.forward(minutes=1)
    await alerting.escalate(ports)
    await alerting.escalate(ports)
    [again] = await messages(ports, deployment, "direct", "notice")
    assert again.key.startswith("awoke-")
    assert again.content["by"] == BEN
    await alerting.acknowledge(ports, deployment.id, trigger.seq, user=BEN, delivery="a.1")
    clock.forward(hours=2)
    await alerting.escalate(ports)
    assert len(await messages(ports, deployment, "direct", "notice")) == 1


async def test_trouble_in_one_deployment_keeps_no_other_from_escalating(
    ports: Ports, clock: ManualClock
) -> None:
    class Broken(ScriptedWatching):
        async def plan(self, checklist: str, *, service: str, **about: str) -> WatchPlan:
            if service == "payments":
                raise RuntimeError("of this one")
            return PLAN

    first, second = await start(ports, service="payments"), await start(ports)
    for deployment in (first, second):
        await reported(ports, deployment)
    clock.forward(minutes=5)
    await alerting.escalate(replace(ports, watching=Broken(PLAN)))
    assert [len(await messages(ports, one, "direct")) for one in (first, second)] == [0, 1]
    await alerting.escalate(ports)
    assert [len(await messages(ports, one, "direct")) for one in (first, second)] == [1, 1]


async def test_two_replicas_escalate_once(postgres: PostgresServer, clock: ManualClock) -> None:
    url = postgres.new_database()
    databases = Database(url), Database(url)
    await migrating.upgrade(databases[0])
    one, two = (
        replace(make_ports(database, clock=clock, watching=ScriptedWatching(PLAN)), deployments=Deployments())
        for database in databases
    )
    deployment = await start(one)
    await reported(one, deployment)
    clock.forward(seconds=301)
    await asyncio.gather(*(alerting.escalate(ports) for ports in (one, two, one, two)))
    assert (await kinds(one, deployment)).count("trigger.escalated") == 1
    assert len(await messages(two, deployment, "direct")) == 1
    for database in databases:
        await database.close()


# ── drills ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_drill_reports_who_acknowledged_and_how_fast(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    after = await alerting.drill(ports, deployment.id, user=ANA, delivery="c.1")
    [trigger] = after.aftermath.triggers.values()
    assert after.aftermath.raised == ()
    assert len(await messages(ports, deployment, "alert")) == 1
    with pytest.raises(OnlyADrill):
        await rolling_back.start(ports, deployment.id, user=BEN, why="no", delivery="v.1", seq=trigger.seq)
    clock.forward(seconds=312)
    await alerting.escalate(ports)
    after = await alerting.acknowledge(ports, deployment.id, trigger.seq, user=BEN, delivery="a.1")
    assert after.aftermath.triggers[trigger.key].state is TriggerState.CLEARED
    [report] = [p for p in await messages(ports, deployment, "notice") if p.key.startswith("drill-")]
    said = notices.draw(after, report.key, report.content, names={ANA: "ana", BEN: "ben"}).text
    assert said == (
        "🧪 The drill by ana is over: ben acknowledged after *5 min 12 s*. "
        "It had got as far as a direct message to the lead."
    )
    assert await adds_up(ports)


async def test_a_drill_nobody_takes_ends_by_itself_and_says_so(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    await alerting.drill(ports, deployment.id, user=ANA, delivery="c.1")
    for _ in range(60):
        clock.forward(seconds=15)
        await alerting.escalate(ports)
    after = await state_of(ports, deployment)
    assert [t.state for t in after.aftermath.triggers.values()] == [TriggerState.CLEARED]
    [report] = [p for p in await messages(ports, deployment, "notice") if p.key.startswith("drill-")]
    said = notices.draw(after, report.key, report.content, names={}).text
    assert "nobody acknowledged within *15 min 0 s*. It had got as far as the people on call." in said


# ── other systems ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Alert:
    key: str = "abc"
    title: str = "HighErrorRate"
    said: str = "5 % of requests fail"
    severity: str = "warning"
    resolved: bool = False
    service: str = "Storefront"
    environment: str = "PRODUCTION"
    started_at: datetime | None = None
    url: str = "https://alerts.test/abc"
    labels: dict[str, str] = field(default_factory=dict)
    team: str = ""


class OneOffice:
    """Knows one workspace."""

    async def premises(self, team: str) -> Premises:
        """None of it is needed. Raises WrongWorkspace."""
        if team != TEAM:
            raise WrongWorkspace(team)
        return cast(Premises, None)


async def receive(ports: Ports, alerts: Sequence[Alert], source: Source) -> tuple[str, ...]:
    return await receiving.receive(ports, OneOffice(), alerts, source)


async def test_alerts_of_another_system_join_the_deployment_they_speak_of(
    ports: Ports, clock: ManualClock
) -> None:
    deployment = await start(ports)
    alert = Alert(started_at=clock.now())
    other = replace(alert, key="x", service="shop")

    async def received(*alerts: Alert) -> tuple[str, ...]:
        return await receive(ports, alerts, Source.ALERTMANAGER)

    assert await received(alert, alert, other) == (
        "raised",
        "joined",
        "no open deployment of shop in PRODUCTION",
    )
    assert await received(replace(alert, severity="critical")) == ("worse",)
    assert await received(replace(alert, resolved=True)) == ("recovered",)
    trigger = (await state_of(ports, deployment)).aftermath.triggers["alertmanager/abc"]
    assert trigger.state is TriggerState.FIRING
    await alerting.clear(ports, deployment.id, trigger.seq, user=BEN, reason="known", delivery="v.1")
    assert await received(alert) == ("cleared already",)
    assert await received(replace(alert, started_at=clock.now() + timedelta(hours=1))) == ("raised",)


async def test_an_alert_for_one_workspace_reaches_that_one(ports: Ports, clock: ManualClock) -> None:
    ours = await start(ports)
    theirs = await start(ports, team="TSECOND0001", channel="C1DEPLOYS11", delivery="start.theirs")
    alert = Alert(started_at=clock.now(), team=TEAM)
    assert await receive(ports, [alert], Source.ALERTMANAGER) == ("raised",)
    assert (await state_of(ports, ours)).aftermath.triggers
    assert not (await state_of(ports, theirs)).aftermath.triggers
    await receive(ports, [replace(alert, team="")], Source.ALERTMANAGER)
    assert (await state_of(ports, theirs)).aftermath.triggers
    with pytest.raises(WrongWorkspace, match="not in the workspace TNOWHERE01"):
        await receive(ports, [alert, replace(alert, key="other", team="TNOWHERE01")], Source.HOOK)


async def test_instances_of_an_alert_are_one_trigger_that_recovers_with_the_last_of_them(
    ports: Ports, clock: ManualClock
) -> None:
    deployment = await start(ports)
    pods = [
        Alert(key=f"f{n}", started_at=clock.now(), labels={"alertname": "HighErrorRate", "pod": f"shop-{n}"})
        for n in range(60)
    ]
    said: list[str] = []
    for some in (pods[:30], pods[30:]):
        said += await receive(ports, some, Source.ALERTMANAGER)
    assert (said[0], set(said[1:])) == ("raised", {"joined"})
    assert len(await messages(ports, deployment, "alert")) == 1
    trigger = (await state_of(ports, deployment)).aftermath.triggers["alertmanager/HighErrorRate"]
    assert len(trigger.finding["found"]) == 60
    ended: list[str] = []
    for alert in pods:
        clock.forward(minutes=1)
        ended += await receive(ports, [replace(alert, resolved=True)], Source.ALERTMANAGER)
    assert (set(ended[:-1]), ended[-1]) == ({"joined"}, "recovered")
    await alerting.clear(ports, deployment.id, trigger.seq, user=BEN, reason="known", delivery="v.1")
    assert await receive(ports, pods[:1], Source.ALERTMANAGER) == ("cleared already",)
    anew = replace(pods[7], started_at=clock.now() + timedelta(minutes=1))
    assert await receive(ports, [anew], Source.ALERTMANAGER) == ("raised",)


async def test_from_the_sixth_trigger_of_a_system_on_they_are_one(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    alerts = [Alert(key=f"k{n}", title=f"Job {n} fails", started_at=clock.now()) for n in range(30)]
    await receive(ports, alerts, Source.HOOK)
    assert len(await messages(ports, deployment, "alert")) == 6
    assert "hook/more" in (await state_of(ports, deployment)).aftermath.triggers


async def test_what_is_said_again_without_a_beginning_stays_cleared(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    await receive(ports, [Alert()], Source.HOOK)
    seq = (await state_of(ports, deployment)).aftermath.triggers["hook/abc"].seq
    await alerting.clear(ports, deployment.id, seq, user=BEN, reason="known", delivery="v.1")
    clock.forward(minutes=1)
    assert await receive(ports, [Alert()], Source.HOOK) == ("cleared already",)
    clock.forward(minutes=20)
    assert await receive(ports, [Alert()], Source.HOOK) == ("raised",)


# ── the rollback ─────────────────────────────────────────────────────────────────────────────────────────


async def tick(ports: Ports, deployment: Deployment, position: int, user: str) -> Deployment:
    state = await state_of(ports, deployment)
    [runbook] = await messages(ports, deployment, "runbook")
    first, base = runbook.content["first"], frozenset(state.ticks)
    click = make_click(
        state,
        runbook,
        base=set(base),
        selected={*base, position},
        user=user,
        first=first,
        count=len(STEPS),
        revision=runbook.wanted,
    )
    return (await TickQueue(ports).submit(click)).deployment


async def test_a_rollback_keeps_who_why_and_how_long_each_part_took(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    trigger = await reported(ports, deployment)
    clock.forward(seconds=40)
    await rolling_back.start(
        ports, deployment.id, user=BEN, why="Checkout fails", delivery="v.1", seq=trigger.seq
    )
    with pytest.raises(RollbackUnderWay):
        await rolling_back.start(ports, deployment.id, user=ANA, why="Me too", delivery="v.2")
    first = len(deployment.checklist.items)
    state = await state_of(ports, deployment)
    assert aftermath.phase(state) == "Rolling back, step 1 of 3"
    assert state.aftermath.triggers["errors"].acknowledged_by == BEN
    clock.forward(seconds=20)
    state = await tick(ports, deployment, first, BEN)
    assert aftermath.phase(state) == "Rolling back, step 2 of 3"
    await tick(ports, deployment, first + 1, ANA)
    clock.forward(minutes=5)
    state = await tick(ports, deployment, first + 2, ANA)
    assert aftermath.phase(state) == "Rolled back"
    [closing] = [p for p in await messages(ports, deployment, "report") if p.key.startswith("rolled_back")]
    said = notices.draw(state, closing.key, closing.content, names={BEN: "ben"}).text
    assert (
        "is rolled back, started by ben. alert 12:00 UTC → acknowledged +40 s → rollback started +0 s" in said
    )
    assert "→ first step +20 s → verified +5 min 0 s; 6 min 0 s from alert to verified." in said
    assert state.done_items == 0
    assert await adds_up(ports)


async def test_the_step_that_verifies_is_checked_by_machine_where_it_is_bound(
    ports: Ports, verifier: ScriptedVerifier
) -> None:
    deployment = await start(ports)
    first = len(deployment.checklist.items)
    verifies = first + len(STEPS) - 1
    await rolling_back.start(ports, deployment.id, user=BEN, why="Checkout fails", delivery="v.1")
    runner = CheckRunner(ports)
    await runner.start()

    async def checked() -> Deployment:
        await checking.check_positions(
            ports, deployment.id, [verifies], user=BEN, delivery=f"c.{len(verifier.runs)}"
        )
        runner.ring()
        for _ in range(400):
            state = await state_of(ports, deployment)
            if state.run is None:
                return state
            await asyncio.sleep(0.025)
        raise AssertionError("the check did not end")

    try:
        verifier.outcomes[VERIFIED] = Outcome.FAIL
        state = await checked()
        assert progress(state) is not None
        assert verifies not in state.done
        verifier.outcomes[VERIFIED] = Outcome.PASS
        state = await checked()
    finally:
        await runner.stop()
    assert state.aftermath.rollback is not None
    assert state.aftermath.rollback.verified_at is not None
    assert aftermath.phase(state) == "Rolled back, 2 steps left"
    assert verifier.runs == [[VERIFIED], [VERIFIED]]
    assert VERIFIED.startswith(RUNBOOK)
    assert await adds_up(ports)


async def test_a_screen_from_before_changes_nothing_it_did_not_show(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    trigger = await reported(ports, deployment)
    await alerting.acknowledge(ports, deployment.id, trigger.seq, user=BEN, delivery="a.1")
    with pytest.raises(AlreadyAcknowledged):  # Ana's screen still has the button
        await alerting.acknowledge(ports, deployment.id, trigger.seq, user=ANA, delivery="a.2")
    state = await state_of(ports, deployment)
    assert state.aftermath.triggers["errors"].acknowledged_by == BEN
    assert triggering.raised_by(state, trigger.seq).announced == 1
