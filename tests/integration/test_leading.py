"""The lead on a real database: handed over, asked when quiet, and what reaches whom afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.check import Binding, CheckSpec, Rules
from bot.domain.deployment import Deployment, tick
from bot.domain.errors import AlreadyLeads, LeadsNoLonger, NoSuchDeployment
from bot.domain.policy import Policy
from bot.domain.reminding import PlannedReminder, ReminderPlan
from bot.domain.ticking import Act
from bot.domain.triggering import TriggerFinding
from bot.domain.verification import Purpose
from bot.domain.watching import Source
from bot.services import alerting, auditing, checking, ending, leading
from bot.services.attending import Attendance
from bot.services.leading import Nudges
from bot.services.ports import Ports
from bot.services.reminding import Reminders
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from tests.makers import (
    ANA,
    BEN,
    CARLA,
    ManualClock,
    ScriptedVerifier,
    WrittenPolicies,
    WrittenSchedule,
    make_ports,
    posts_of,
    start,
)

SPEC = CheckSpec(kind="http", params=None, rules=Rules(must={"status": 200}))


async def passes(ports: Ports, nudges: Nudges, **span: float) -> None:
    """Time passes; then it is looked."""
    assert isinstance(ports.clock, ManualClock)
    ports.clock.forward(**span)
    await nudges.look()


async def asked(ports: Ports, deployment: Deployment) -> list[tuple[str, str]]:
    """Who was asked where: kind and channel of each message."""
    found = await posts_of(ports, deployment.id)
    return [(post.kind, post.channel) for post in found if post.key.startswith("nudge")]


async def ticks(ports: Ports, deployment: Deployment, position: int, user: str) -> None:
    def facts(state: Deployment) -> tuple[object, ...]:
        acts = [Act(position=position, ticked=True)]
        return tick(state, acts, user=user, at=ports.clock.now(), drawn_seq=state.seq).facts

    await checking.act(ports, deployment.id, f"tick.{position}.{user}", facts)  # type: ignore[arg-type]


async def verified(ports: Ports) -> bool:
    return [verdict async for verdict in auditing.verify(ports) if verdict.problems] == []


async def test_the_lead_is_handed_over_with_a_notice_and_the_history_agrees(database: Database) -> None:
    ports = make_ports(database)
    deployment = await start(ports)
    after = await leading.hand_over(ports, deployment.id, to=BEN, user=CARLA, delivery="h")
    again = await leading.hand_over(ports, deployment.id, to=BEN, user=CARLA, delivery="h")
    assert (after.lead, again.lead) == (BEN, BEN)
    [notice] = [post for post in await posts_of(ports, deployment.id) if post.kind == "notice"]
    assert dict(notice.content) == {"from": ANA, "to": BEN, "by": CARLA}
    with pytest.raises(AlreadyLeads):
        await leading.hand_over(ports, deployment.id, to=BEN, user=BEN, delivery="i")
    with pytest.raises(NoSuchDeployment):
        await leading.hand_over(ports, 99, to=BEN, user=BEN, delivery="j")
    async with database.read() as tx:
        fresh = await Deployments().get(tx, deployment.id)
    assert fresh is not None
    assert fresh.lead == BEN
    assert await verified(ports)
    async with database.write() as tx:
        await ports.deployments.rebuild(tx, fresh)
    assert await verified(ports)


async def test_reminders_and_alerts_reach_the_new_lead(database: Database) -> None:
    plan = ReminderPlan(reminders=(PlannedReminder(after=timedelta(minutes=5), text="Look"),))
    ports = make_ports(database, schedule=WrittenSchedule(plan))
    deployment = await start(ports)
    await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery="go")
    await leading.hand_over(ports, deployment.id, to=BEN, user=BEN, delivery="h")
    woken, clock = Reminders(ports), ports.clock
    assert isinstance(clock, ManualClock)
    for minutes in (0, 5, 15):
        clock.forward(minutes=minutes)
        await woken.look()
    finding = TriggerFinding(said="more errors")
    await alerting.report(
        ports, deployment.id, key="e", title="Errors rise", source=Source.WATCH, finding=finding, size=1.0
    )
    clock.forward(minutes=10)
    await alerting.escalate(ports)
    direct = [post.channel for post in await posts_of(ports, deployment.id) if post.kind == "direct"]
    assert direct == [BEN, BEN]


async def test_a_quiet_lead_is_asked_once_directly_and_once_in_the_thread(database: Database) -> None:
    ports = make_ports(database)
    nudges = Nudges(ports)
    deployment = await start(ports)
    await passes(ports, nudges, minutes=29)
    await ticks(ports, deployment, 0, BEN)  # somebody else is not the lead
    assert await asked(ports, deployment) == []
    await passes(ports, nudges, minutes=1)
    assert await asked(ports, deployment) == [("direct", ANA)]
    await passes(ports, nudges, minutes=29)
    assert len(await asked(ports, deployment)) == 1
    await passes(ports, nudges, minutes=1)
    assert await asked(ports, deployment) == [("direct", ANA), ("notice", deployment.channel)]
    for _ in range(10):
        await passes(ports, nudges, minutes=30)
    assert len(await asked(ports, deployment)) == 2
    assert await verified(ports)


async def test_what_the_lead_does_starts_the_wait_anew_and_a_new_lead_has_a_wait_of_their_own(
    database: Database,
) -> None:
    ports = make_ports(database)
    nudges = Nudges(ports)
    deployment = await start(ports)
    await passes(ports, nudges, minutes=30)
    await leading.present(ports, deployment.id, user=ANA, delivery="p")
    await passes(ports, nudges, minutes=29)
    assert len(await asked(ports, deployment)) == 1
    await passes(ports, nudges, minutes=1)
    assert [kind for kind, _ in await asked(ports, deployment)] == ["direct", "direct"]
    await leading.hand_over(ports, deployment.id, to=BEN, user=BEN, delivery="h")
    with pytest.raises(LeadsNoLonger):
        await leading.present(ports, deployment.id, user=ANA, delivery="q")
    await passes(ports, nudges, minutes=29)
    assert len(await asked(ports, deployment)) == 2
    await passes(ports, nudges, minutes=1)
    assert (await asked(ports, deployment))[2:] == [("direct", BEN)]


async def test_two_replicas_and_a_restart_ask_once(database_url: str, database: Database) -> None:
    clock, other = ManualClock(), Database(database_url)
    one, two = make_ports(database, clock=clock), make_ports(other, clock=clock)
    deployment = await start(one)
    clock.forward(minutes=30)
    await Nudges(one).look()
    await Nudges(two).look()
    await Nudges(two).look()
    assert len(await asked(one, deployment)) == 1
    await other.close()


async def test_nobody_is_asked_while_checks_run_nor_after_the_end_nor_against_the_policy(
    database: Database,
) -> None:
    verifier = ScriptedVerifier([Binding(key="s1/boxes/1", text="Box 1.1", checks=(SPEC,))])
    policies = WrittenPolicies()
    ports = make_ports(database, verifier=verifier, policies=policies)
    nudges = Nudges(ports)
    deployment = await start(ports)
    await checking.request(ports, deployment.id, words="", user=ANA, delivery="c")
    await passes(ports, nudges, hours=3)
    assert await asked(ports, deployment) == []
    await checking.cancel(ports, deployment.id, user=BEN, delivery="x")
    await passes(ports, nudges, minutes=29)
    assert await asked(ports, deployment) == []
    await ending.abort(ports, deployment.id, user=BEN, reason="no", delivery="a")
    await passes(ports, nudges, hours=3)
    assert await asked(ports, deployment) == []
    policies.written = Policy(quiet_lead=None)
    never = await start(ports)
    policies.written = Policy()  # a change of the file changes the next deployment only
    await passes(ports, nudges, hours=3)
    assert await asked(ports, never) == []
    assert await verified(ports)


async def test_everything_that_waits_for_its_time_is_looked_after_in_one_look(database: Database) -> None:
    ports = make_ports(database)
    deployment = await start(ports)
    clock = ports.clock
    assert isinstance(clock, ManualClock)
    clock.forward(minutes=31)
    await Attendance(ports).look()
    assert len(await asked(ports, deployment)) == 1
