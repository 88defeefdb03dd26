"""Go, No-go, overrides, waivers, assignments and permissions on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.domain.check import Outcome
from bot.domain.checklist import Group, Item
from bot.domain.conduct import Allowed, Approval, Conduct, Gate, Hold, Permission
from bot.domain.deployment import Deployment, Phase
from bot.domain.errors import (
    AlreadyWaived,
    BehindGate,
    DeploybotError,
    DeploymentClosed,
    FourEyes,
    GateClosed,
    GoGiven,
    GroupUnknown,
    NoOverrideNeeded,
    NoSuchOverride,
    NotAssigned,
    NotPermitted,
    OverrideUnderWay,
    SecondNameNeeded,
)
from bot.services import (
    auditing,
    checking,
    ending,
    going,
    leading,
    locking,
    rolling_back,
    settling,
    tending,
)
from bot.services.ports import Ports
from bot.services.reminding import Reminders
from bot.services.running import CheckRunner
from bot.services.ticking import TickQueue, tick_items
from bot.slack.blocks import notices
from bot.storage.database import Database
from bot.storage.schema import reminders
from tests.integration.test_checking import bound
from tests.makers import (
    ANA,
    BEN,
    CARLA,
    CHANNEL,
    TEAM,
    ListedGroups,
    ManualClock,
    ScriptedVerifier,
    make_checklist,
    make_click,
    make_ports,
    posts_of,
    start,
)

GROUP = "S0RELEASE01"
GATE = Gate(title="Section 1", first=0, last=2, holds=frozenset({Hold.GO}))
WHO = {"team": TEAM}


async def keys_of(ports: Ports, deployment_id: int) -> list[str]:
    return [
        post.key
        for post in await posts_of(ports, deployment_id)
        if post.kind in ("notice", "override", "report")
    ]


async def adds_up(ports: Ports) -> None:
    assert [v.problems async for v in auditing.verify(ports)] == [()]


async def test_go_is_refused_until_the_gate_is_passed(database: Database) -> None:
    ports = make_ports(database, rules=Conduct(gates=(GATE,)))
    deployment = await start(ports)
    with pytest.raises(GateClosed, match="3 required items are open"):
        await going.give_go(ports, deployment.id, user=ANA, delivery="g1", **WHO)
    await tick_items(ports, deployment.id, [0, 1], user=BEN, delivery="t1")
    await tending.waive(ports, deployment.id, 2, reason="not here", user=BEN, delivery="w1")
    gone = await going.give_go(ports, deployment.id, user=ANA, delivery="g2", **WHO)
    assert gone.deployment.go is not None
    assert gone.deployment.go.by == ANA
    await adds_up(ports)


async def test_an_item_that_reopens_while_evidence_is_looked_at_keeps_go_back(database: Database) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.gates["s1/steps/1"] = asyncio.Event()
    ports = make_ports(database, verifier=verifier, rules=Conduct(gates=(GATE,)))
    deployment = await start(ports)
    runner = CheckRunner(ports)
    await runner.start()
    try:
        await checking.check_positions(ports, deployment.id, range(4), user=ANA, delivery="c")
        verifier.gates["s1/steps/1"].set()
        for _ in range(100):
            state = await ports_state(ports, deployment.id)
            if state.run is None and len(state.results) == 4:
                break
            runner.ring()
            await asyncio.sleep(0.05)
        assert {0, 1, 2} <= state.done
        verifier.gates["s1/steps/1"].clear()
        await going.give_go(ports, deployment.id, user=ANA, delivery="g", **WHO)
        runner.ring()
        # Ben takes a box back while the evidence is looked at.
        post = next(p for p in await posts_of(ports, deployment.id) if p.kind == "section")
        state = await ports_state(ports, deployment.id)
        await TickQueue(ports).submit(make_click(state, post, base={0, 1, 2}, selected={0, 2}))
        verifier.gates["s1/steps/1"].set()
        for _ in range(100):
            state = await ports_state(ports, deployment.id)
            if state.run is None:
                break
            await asyncio.sleep(0.05)
        assert state.go is None
        assert any(key.startswith("held-") for key in await keys_of(ports, deployment.id))
    finally:
        await runner.stop()


@pytest.mark.parametrize("meanwhile", ["no_go", "lock", "lead"])
async def test_what_comes_in_the_way_during_the_last_look_keeps_go_back(
    database: Database, meanwhile: str
) -> None:
    verifier = ScriptedVerifier(bound())
    rules = Conduct(approval=Approval()) if meanwhile == "lead" else Conduct()
    ports = make_ports(database, verifier=verifier, rules=rules)
    deployment = await start(ports)
    runner = CheckRunner(ports)
    await runner.start()
    try:
        await checking.check_positions(ports, deployment.id, range(4), user=ANA, delivery="c")
        await _idle(ports, runner, deployment.id)
        verifier.gates["s1/boxes/1"] = asyncio.Event()
        await going.give_go(ports, deployment.id, user=BEN, delivery="g", **WHO)
        assert (await ports_state(ports, deployment.id)).run is not None
        if meanwhile == "no_go":
            await going.refuse_go(ports, deployment.id, user=ANA, reason="outage", delivery="n", **WHO)
        elif meanwhile == "lock":
            await locking.lock(
                ports,
                words="storefront Incident",
                user=CARLA,
                channel=CHANNEL,
                timezone="UTC",
                delivery="l",
                **WHO,
            )
        else:
            await leading.hand_over(ports, deployment.id, to=BEN, user=ANA, delivery="h")
        verifier.gates["s1/boxes/1"].set()
        await _idle(ports, runner, deployment.id)
        state = await ports_state(ports, deployment.id)
        assert state.go is None
        held = [key for key in await keys_of(ports, deployment.id) if key.startswith("held-")]
        assert len(held) == (0 if meanwhile == "no_go" else 1)
        assert (state.care.no_go is not None) == (meanwhile == "no_go")
        for post in await posts_of(ports, deployment.id):
            if post.key.startswith("no_go"):
                assert post.content["instead_of"] == BEN
                drawn = notices.draw(state, post.key, post.content, names={ANA: "ana", BEN: "ben"})
                assert "ben's Go, whose evidence was being looked at, is not given." in drawn.text
    finally:
        await runner.stop()
    await adds_up(ports)


async def _idle(ports: Ports, runner: CheckRunner, deployment_id: int) -> None:
    for _ in range(200):
        runner.ring()
        await asyncio.sleep(0.05)
        if (await ports_state(ports, deployment_id)).run is None:
            return
    raise AssertionError("the run of checks does not end")


async def test_who_led_before_makes_no_second_pair_of_eyes(database: Database) -> None:
    ports = make_ports(database, rules=Conduct(approval=Approval()))
    deployment = await start(ports)
    await leading.hand_over(ports, deployment.id, to=BEN, user=ANA, delivery="h")
    first = await going.give_go(ports, deployment.id, user=ANA, delivery="g1", **WHO)
    assert first.asked
    with pytest.raises(FourEyes):
        await going.give_go(ports, deployment.id, user=BEN, delivery="g2", **WHO)
    gone = await going.give_go(ports, deployment.id, user=CARLA, delivery="g3", **WHO)
    assert gone.deployment.go is not None
    with pytest.raises(GoGiven):
        await going.give_go(ports, deployment.id, user=CARLA, delivery="g4", **WHO)


async def test_go_and_no_go_overtake_an_override_that_waits(database: Database) -> None:
    ports = make_ports(database, rules=Conduct(gates=(GATE,)))
    deployment = await start(ports)
    state = await going.request_override(
        ports, deployment.id, Hold.GO, user=ANA, reason="outage", delivery="o1", **WHO
    )
    asked = state.seq
    await tick_items(ports, deployment.id, [0, 1, 2], user=BEN, delivery="t")
    await going.give_go(ports, deployment.id, user=BEN, delivery="g", **WHO)
    with pytest.raises(NoSuchOverride):
        await going.confirm_override(ports, deployment.id, asked, user=CARLA, delivery="o2", **WHO)
    state = await ports_state(ports, deployment.id)
    assert state.go is not None
    assert (state.go.by, state.care.confirmed) == (BEN, ())
    await adds_up(ports)


async def test_nobody_overrules_past_a_gate_and_a_gate_opens_within_one_go(database: Database) -> None:
    gate = Gate(title="Boxes", first=0, last=2, holds=frozenset({Hold.NEXT}))
    verifier = ScriptedVerifier(bound())
    verifier.outcomes["s1/steps/1"] = Outcome.FAIL
    ports = make_ports(database, verifier=verifier, rules=Conduct(gates=(gate,)))
    deployment = await start(ports)
    runner = CheckRunner(ports)
    await runner.start()
    try:
        await checking.check_positions(ports, deployment.id, [3], user=ANA, delivery="c")
        await _idle(ports, runner, deployment.id)
    finally:
        await runner.stop()
    with pytest.raises(BehindGate):
        await checking.overrule(ports, deployment.id, 3, user=BEN, reason="it is fine", delivery="o")
    ticked = await tick_items(ports, deployment.id, [0, 1, 2, 4], user=BEN, delivery="t")
    assert ticked.outcome.behind == ()
    assert set(ticked.deployment.ticks) == {0, 1, 2, 4}
    await checking.overrule(ports, deployment.id, 3, user=BEN, reason="it is fine", delivery="o2")


async def test_an_item_its_check_keeps_open_is_named_to_who_ticks_it_again(database: Database) -> None:
    verifier = ScriptedVerifier(bound())
    verifier.outcomes["s1/boxes/2"] = Outcome.FAIL
    ports = make_ports(database, verifier=verifier)
    deployment = await start(ports)
    await tick_items(ports, deployment.id, [0, 1], user=BEN, delivery="t1")
    runner = CheckRunner(ports)
    await runner.start()
    try:
        await checking.check_positions(ports, deployment.id, [1], user=ANA, delivery="c")
        await _idle(ports, runner, deployment.id)
    finally:
        await runner.stop()
    again = await tick_items(ports, deployment.id, [0, 1], user=BEN, delivery="t2")
    assert again.outcome.needs_reason == (1,)
    assert 1 not in again.deployment.done
    await adds_up(ports)


async def test_a_review_behind_a_gate_is_scheduled_and_its_item_waits(database: Database) -> None:
    checklist = make_checklist(sections=1)
    [section] = checklist.sections
    after = Group(title="After", items=(Item(key="s1/after/schedule-review", text="Schedule the review"),))
    checklist = replace(checklist, sections=(replace(section, groups=(*section.groups, after)),))
    gate = Gate(title="Section 1", first=0, last=2, holds=frozenset({Hold.NEXT}))
    rules = Conduct(gates=(gate,), permissions={Permission.TICK: Allowed(people=(BEN,))})
    ports = make_ports(database, checklist=checklist, rules=rules)
    deployment = await start(ports)
    due = ports.clock.now() + timedelta(days=1)

    async def schedule(user: str, delivery: str) -> Deployment:
        return await settling.schedule_review(ports, deployment.id, due_at=due, user=user, delivery=delivery)

    async def scheduled() -> int:
        async with ports.database.read() as tx:
            rows = await tx.execute(select(reminders.c.id).where(reminders.c.key.startswith("review-")))
            return len(rows.all())

    with pytest.raises(NotPermitted, match=f"Ask <@{BEN}>"):
        await schedule(ANA, "r1")
    assert await scheduled() == 0
    with pytest.raises(BehindGate, match="“Section 1” comes first"):
        await schedule(BEN, "r2")
    assert await scheduled() == 1
    assert (await ports_state(ports, deployment.id)).ticks == {}
    await tick_items(ports, deployment.id, [0, 1, 2], user=BEN, delivery="t")
    state = await schedule(BEN, "r3")
    review = len(checklist.items) - 1
    assert state.ticks[review].by == BEN
    await adds_up(ports)


async def ports_state(ports: Ports, deployment_id: int) -> Deployment:
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment_id)
    assert state is not None
    return state


async def test_the_leads_own_go_asks_the_group_once_and_one_of_it_gives_it(database: Database) -> None:
    rules = Conduct(approval=Approval(group=GROUP))
    ports = make_ports(database, rules=rules, groups=ListedGroups(**{GROUP: [ANA, BEN]}))
    deployment = await start(ports)
    first = await going.give_go(ports, deployment.id, user=ANA, delivery="g1", **WHO)
    assert first.asked
    with pytest.raises(FourEyes):
        await going.give_go(ports, deployment.id, user=ANA, delivery="g2", **WHO)
    with pytest.raises(FourEyes):
        await going.give_go(ports, deployment.id, user=CARLA, delivery="g3", **WHO)
    keys = await keys_of(ports, deployment.id)
    assert [key.partition("-")[0] for key in keys] == ["go_asked"]
    with pytest.raises(GateClosed, match="Nobody gave Go"):
        await ending.finish(ports, deployment.id, user=ANA, delivery="f")
    gone = await going.give_go(ports, deployment.id, user=BEN, delivery="g4", **WHO)
    assert gone.deployment.go is not None
    assert gone.deployment.go.by == BEN
    await ending.finish(ports, deployment.id, user=ANA, delivery="f2")
    await adds_up(ports)


async def test_after_a_no_go_the_group_is_asked_anew(database: Database) -> None:
    rules = Conduct(approval=Approval(group=GROUP))
    ports = make_ports(database, rules=rules, groups=ListedGroups(**{GROUP: [ANA, BEN]}))
    deployment = await start(ports)
    await going.give_go(ports, deployment.id, user=ANA, delivery="g1", **WHO)
    state = await going.refuse_go(ports, deployment.id, user=BEN, reason="not yet", delivery="n", **WHO)
    assert state.care.go_awaited is None
    again = await going.give_go(ports, deployment.id, user=ANA, delivery="g2", **WHO)
    assert again.asked
    assert again.deployment.care.go_awaited is not None
    keys = await keys_of(ports, deployment.id)
    assert [key.partition("-")[0] for key in keys] == ["go_asked", "no_go", "go_asked"]
    await adds_up(ports)


async def test_an_override_is_of_the_end_where_only_that_is_held_up(database: Database) -> None:
    gate = Gate(title="One", first=0, last=2, holds=frozenset({Hold.FINISH}))
    ports = make_ports(database, rules=Conduct(gates=(gate,)))
    deployment = await start(ports)
    assert await going.held_up(ports, deployment) is Hold.FINISH
    both = replace(gate, holds=frozenset({Hold.GO, Hold.FINISH}))
    ports = make_ports(database, rules=Conduct(gates=(both,)))
    other = await start(ports, service="other")
    assert await going.held_up(ports, other) is Hold.GO


async def test_an_override_is_checked_before_anybody_is_asked_why(database: Database) -> None:
    ports = make_ports(database, rules=Conduct(gates=(GATE,)))
    deployment = await start(ports)
    await going.check_override(ports, deployment, Hold.GO)
    free = make_ports(database)
    with pytest.raises(NoOverrideNeeded, match="Nothing is in the way"):
        await going.check_override(free, await start(free, service="other"), Hold.FINISH)
    state = await going.request_override(
        ports, deployment.id, Hold.GO, user=ANA, reason="outage", delivery="o1", **WHO
    )
    with pytest.raises(OverrideUnderWay):
        await going.check_override(ports, state, Hold.GO)
    await ending.abort(ports, deployment.id, user=ANA, reason="over", delivery="a")
    with pytest.raises(DeploymentClosed):
        await going.check_override(ports, await ports_state(ports, deployment.id), Hold.GO)


async def test_a_group_slack_does_not_tell_lets_nobody_through(database: Database) -> None:
    rules = Conduct(approval=Approval(group=GROUP), permissions={Permission.TICK: Allowed(people=(GROUP,))})
    ports = make_ports(database, rules=rules)
    deployment = await start(ports)
    with pytest.raises(GroupUnknown):
        await going.give_go(ports, deployment.id, user=BEN, delivery="g", **WHO)
    with pytest.raises(GroupUnknown):
        await tick_items(ports, deployment.id, [0], user=BEN, delivery="t")
    assert (await ports_state(ports, deployment.id)).seq == deployment.seq


async def test_an_override_needs_a_second_person_whoever_clicks_first(database: Database) -> None:
    ports = make_ports(database, rules=Conduct(gates=(GATE,)))
    deployment = await start(ports)
    state = await going.request_override(
        ports, deployment.id, Hold.GO, user=ANA, reason="outage", delivery="o1", **WHO
    )
    with pytest.raises(SecondNameNeeded):
        await going.confirm_override(ports, deployment.id, state.seq, user=ANA, delivery="o2", **WHO)
    results = await asyncio.gather(
        going.confirm_override(ports, deployment.id, state.seq, user=BEN, delivery="o3", **WHO),
        going.confirm_override(ports, deployment.id, state.seq, user=CARLA, delivery="o4", **WHO),
        return_exceptions=True,
    )
    assert sum(isinstance(one, NoSuchOverride) for one in results) == 1
    state = await ports_state(ports, deployment.id)
    assert state.go is not None
    assert state.care.confirmed[0].second in (BEN, CARLA)
    assert [key.partition("-")[0] for key in await keys_of(ports, deployment.id)][1:] == ["go"]
    await adds_up(ports)


async def test_an_override_of_the_end_ends_it(database: Database) -> None:
    gate = Gate(title="Section 1", first=0, last=2, holds=frozenset({Hold.FINISH}))
    ports = make_ports(database, rules=Conduct(gates=(gate,)))
    deployment = await start(ports)
    with pytest.raises(GateClosed, match=r"^Not finished: 3 required"):
        await ending.finish(ports, deployment.id, user=ANA, delivery="f")
    state = await going.request_override(
        ports, deployment.id, Hold.FINISH, user=ANA, reason="shift ends", delivery="o1", **WHO
    )
    state = await going.confirm_override(ports, deployment.id, state.seq, user=BEN, delivery="o2", **WHO)
    assert state.phase is Phase.FINISHED
    assert "finished" in await keys_of(ports, deployment.id)
    await adds_up(ports)


async def test_a_reminder_is_done_without_what_was_waived_and_not_past_a_gate(database: Database) -> None:
    gate = Gate(title="Section 1", first=0, last=2, holds=frozenset({Hold.NEXT}))
    ports = make_ports(database, rules=Conduct(gates=(gate,)))
    deployment = await start(ports)
    await tending.waive(ports, deployment.id, 1, reason="not here", user=ANA, delivery="w")

    async def asked(words: str) -> int:
        due = ports.clock.now() + timedelta(minutes=5)
        await settling.add(ports, deployment.id, words=words, due_at=due, user=ANA, delivery=words)
        clock = ports.clock
        assert isinstance(clock, ManualClock)
        clock.forward(minutes=6)
        await Reminders(ports).look()
        async with ports.database.read() as tx:
            rows = await tx.execute(select(reminders.c.id).order_by(reminders.c.id.desc()))
            return int(rows.scalars().first() or 0)

    late = await asked("Box 2.1")
    with pytest.raises(BehindGate, match="“Section 1” comes first"):
        await settling.done(ports, late, 0, user=BEN, delivery="d1", **WHO)
    soon = await asked("Boxes")
    state = await ports_state(ports, deployment.id)
    assert state.ticks == {}
    await tick_items(ports, deployment.id, [0, 2], user=BEN, delivery="t")
    await settling.done(ports, soon, 0, user=BEN, delivery="d2", **WHO)
    state = await ports_state(ports, deployment.id)
    assert 1 not in state.ticks
    assert 7 in state.ticks


async def test_two_waivers_at_once_leave_one_name(database: Database) -> None:
    ports = make_ports(database)
    deployment = await start(ports)
    results = await asyncio.gather(
        tending.waive(ports, deployment.id, 0, reason="not here", user=ANA, delivery="w1"),
        tending.waive(ports, deployment.id, 0, reason="nor there", user=BEN, delivery="w2"),
        return_exceptions=True,
    )
    assert sum(isinstance(one, AlreadyWaived) for one in results) == 1
    again = await tending.unwaive(ports, deployment.id, 0, user=ANA, delivery="u1")
    same = await tending.unwaive(ports, deployment.id, 0, user=ANA, delivery="u1")
    assert again.seq == same.seq
    await adds_up(ports)


async def test_whom_items_are_given_to_is_one_message_however_many_they_are(database: Database) -> None:
    ports = make_ports(database)
    deployment = await start(ports)
    await tending.assign(ports, deployment.id, [0, 1], to=BEN, user=ANA, delivery="a1")
    state = await tending.assign(ports, deployment.id, [1, 2], to=BEN, user=ANA, delivery="a2")
    assert [state.care.assignees(at) for at in (0, 1, 2)] == [(BEN,)] * 3
    assert await keys_of(ports, deployment.id) == [f"assigned-{BEN}"]
    state = await tending.unassign(ports, deployment.id, 1, to="", user=BEN, delivery="u1")
    assert state.care.assignees(1) == ()
    await adds_up(ports)


async def test_who_was_given_an_item_after_it_was_shown_keeps_it(database: Database) -> None:
    ports = make_ports(database)
    deployment = await start(ports)
    state = await tending.assign(ports, deployment.id, [1], to=BEN, user=ANA, delivery="a1")
    shown = state.care.assignments[1][0].seq
    await tending.assign(ports, deployment.id, [1], to=ANA, user=BEN, delivery="a2")
    state = await tending.unassign(ports, deployment.id, 1, to="", user=BEN, delivery="u1", shown=shown)
    assert state.care.assignees(1) == (ANA,)
    with pytest.raises(NotAssigned):
        await tending.unassign(ports, deployment.id, 1, to="", user=BEN, delivery="u2", shown=shown)
    await adds_up(ports)


@pytest.mark.parametrize("permission", list(Permission))
async def test_each_permission_keeps_others_out_and_names_whom_to_ask(
    database: Database, permission: Permission
) -> None:
    rules = Conduct(gates=(GATE,), permissions={permission: Allowed(people=(GROUP,))})
    ports = make_ports(database, rules=rules, groups=ListedGroups(**{GROUP: [ANA]}))
    deployment = await start(ports)
    deeds: dict[Permission, Callable[[], Awaitable[object]]] = {
        Permission.START: lambda: start(ports, lead=BEN, service="other"),
        Permission.TICK: lambda: tick_items(ports, deployment.id, [0], user=BEN, delivery="t"),
        Permission.WAIVE: lambda: tending.waive(ports, deployment.id, 0, reason="x", user=BEN, delivery="w"),
        Permission.APPROVE: lambda: going.give_go(ports, deployment.id, user=BEN, delivery="g", **WHO),
        Permission.ROLL_BACK: lambda: rolling_back.start(
            ports, deployment.id, user=BEN, why="x", delivery="r"
        ),
        Permission.OVERRIDE: lambda: going.request_override(
            ports, deployment.id, Hold.GO, user=BEN, reason="x", delivery="o", **WHO
        ),
        Permission.LOCK: lambda: locking.lock(
            ports,
            words="search production Migration",
            user=BEN,
            channel=CHANNEL,
            timezone="UTC",
            delivery="l",
            **WHO,
        ),
        Permission.END: lambda: ending.abort(ports, deployment.id, user=BEN, reason="x", delivery="e"),
    }
    with pytest.raises(NotPermitted, match=f"Ask <!subteam\\^{GROUP}>"):
        await deeds[permission]()
    for other, deed in deeds.items():
        if other is not permission and other is not Permission.END:
            try:
                await deed()
            except NotPermitted as refusal:
                raise AssertionError(f"{permission} kept {other} out: {refusal}") from refusal
            except DeploybotError:
                pass  # refused for another reason: a gate


async def test_a_lock_keeps_an_open_deployment_from_go_until_it_is_lifted_or_overridden(
    database: Database,
) -> None:
    ports = make_ports(database)
    deployment = await start(ports)
    where = {**WHO, "channel": CHANNEL, "user": BEN}
    await locking.lock(
        ports, words="storefront production for 2h Migration.", timezone="UTC", delivery="l", **where
    )
    said = r"^No Go yet: storefront in production is locked: Migration, until 02 Mar 14:00 UTC\.$"
    with pytest.raises(GateClosed, match=said):
        await going.give_go(ports, deployment.id, user=ANA, delivery="g1", **WHO)
    state = await going.request_override(
        ports, deployment.id, Hold.GO, user=ANA, reason="outage", delivery="o1", **WHO
    )
    assert state.care.overrides[0].obstacles == (
        "storefront in production is locked: Migration, until 02 Mar 14:00 UTC.",
    )
    await locking.unlock(ports, service="storefront", environment="", delivery="u", **where)
    gone = await going.give_go(ports, deployment.id, user=ANA, delivery="g2", **WHO)
    assert gone.deployment.go is not None


async def test_a_channel_where_something_may_not_be_done_says_where_it_may(database: Database) -> None:
    rules = Conduct(permissions={Permission.START: Allowed(channels=("C0RELEASES1",))})
    ports = make_ports(database, rules=rules)
    with pytest.raises(NotPermitted, match="It can be done in <#C0RELEASES1>"):
        await start(ports)


async def test_a_tick_of_somebody_who_may_not_is_not_recorded_and_the_box_drawn_again(
    database: Database,
) -> None:
    rules = Conduct(permissions={Permission.TICK: Allowed(people=(ANA,))})
    ports = make_ports(database, rules=rules)
    deployment = await start(ports)
    [post, *_] = [p for p in await posts_of(ports, deployment.id) if p.kind == "section"]
    with pytest.raises(NotPermitted, match=f"You may not tick items here. Ask <@{ANA}>"):
        await TickQueue(ports).submit(make_click(deployment, post, selected={0}))
    assert (await ports_state(ports, deployment.id)).ticks == {}

    async def redrawn() -> bool:
        found = next(p for p in await posts_of(ports, deployment.id) if p.id == post.id)
        return found.wanted > post.wanted

    for _ in range(40):
        if await redrawn():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the box stays as the person's client shows it")
