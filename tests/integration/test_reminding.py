"""Reminders on a real database: sent once, with numbers, escalated, settled, and never lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from bot.domain.check import Binding, CheckSpec, Outcome, Rules
from bot.domain.deployment import Deployment, tick
from bot.domain.errors import NothingCalled, NotTickable, ReminderSettled
from bot.domain.events import BOT
from bot.domain.reminding import PlannedReminder, Reminder, ReminderPlan, Snooze, State
from bot.domain.ticking import Act
from bot.domain.verification import Purpose
from bot.scheduling import scheduler
from bot.services import auditing, checking, ending, going, settling
from bot.services.attending import Attendance
from bot.services.ports import Ports
from bot.services.reminding import Reminders
from bot.services.running import CheckRunner, RecordedDeeds
from bot.services.watching import WatchRunner
from bot.storage import reminders
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from bot.storage.posts import Post
from bot.storage.schema import posts
from tests.makers import (
    ANA,
    BEN,
    TEAM,
    ManualClock,
    ScriptedVerifier,
    WrittenSchedule,
    make_checklist,
    make_ports,
    posts_of,
    start,
)

SPEC = CheckSpec(kind="http", params=None, rules=Rules(must={"status": 200}))
GROUP = "S0ONCALL1"


def plan(**changed: Any) -> ReminderPlan:
    """Box 1 after 5 minutes, box 2 after 15, both after an hour, and words after a day."""
    one, two = "s1/boxes/1", "s1/boxes/2"
    lines = (
        PlannedReminder(after=timedelta(minutes=5), items=(one,)),
        PlannedReminder(after=timedelta(minutes=15), items=(two,)),
        PlannedReminder(after=timedelta(hours=1), items=(one, two)),
        PlannedReminder(after=timedelta(hours=24), text="Is the flag gone?"),
    )
    return ReminderPlan(**{"reminders": lines, "on_call": GROUP, **changed})


def ports_with(database: Database, verifier: ScriptedVerifier | None = None, **changed: Any) -> Ports:
    """Ports with this plan, at noon."""
    clock = ManualClock()
    verifier = verifier or ScriptedVerifier()
    verifier.clock = clock
    schedule = WrittenSchedule(changed.pop("schedule", None) or plan(**changed))
    return make_ports(database, checklist=make_checklist(), clock=clock, verifier=verifier, schedule=schedule)


async def deployed(ports: Ports, **changed: Any) -> Deployment:
    """Started, and Go given."""
    deployment = await start(ports, **changed)
    return await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery=f"go.{deployment.id}")


async def passes(ports: Ports, woken: Reminders, **span: float) -> None:
    """Time passes; then it is woken."""
    assert isinstance(ports.clock, ManualClock)
    ports.clock.forward(**span)
    await woken.look()


async def sent(ports: Ports, deployment: Deployment) -> list[tuple[str, str, list[list[int]]]]:
    """The reminders Slack shows: kind, channel, and for each reminder the items it names."""
    found: list[Post] = await posts_of(ports, deployment.id)
    return [
        (post.kind, post.channel, [items for _, _, items in post.content["reminders"]])
        for post in found
        if post.kind in ("reminder", "direct")
    ]


async def all_of(ports: Ports, deployment: Deployment) -> dict[str, Reminder]:
    """Its reminders, by key."""
    async with ports.database.read() as tx:
        return {one.key: one for one in await reminders.of(tx, deployment.id)}


async def ticked(ports: Ports, deployment: Deployment, *positions: int) -> None:
    """Ben ticks these."""

    def facts(state: Deployment) -> Any:
        acts = [Act(position=at, ticked=True) for at in positions]
        return tick(state, acts, user=BEN, at=ports.clock.now(), drawn_seq=state.seq).facts

    await checking.act(ports, deployment.id, f"ticks.{positions}", facts)


async def kinds(ports: Ports, deployment: Deployment) -> list[str]:
    """The facts about reminders, in order."""
    async with ports.database.read() as tx:
        history = await ports.deployments.history(tx, deployment.id)
    return [event.fact.kind for event in history if event.fact.kind.startswith("reminder.")]


async def test_each_is_sent_once_when_it_is_due_and_only_if_something_is_open(database: Database) -> None:
    ports = ports_with(database, lead_after=None, group_after=None)
    woken = Reminders(ports)
    deployment = await start(ports)
    await passes(ports, woken, hours=1)
    assert await all_of(ports, deployment) == {}  # nothing is deployed yet
    await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery="go")
    await passes(ports, woken, minutes=1)
    assert await sent(ports, deployment) == []
    await passes(ports, woken, minutes=4)
    await woken.look()
    channel = deployment.channel
    assert await sent(ports, deployment) == [("reminder", channel, [[0]])]
    await ticked(ports, deployment, 1)
    await passes(ports, woken, minutes=10)
    assert await sent(ports, deployment) == [("reminder", channel, [[0]])]
    await passes(ports, woken, minutes=45)
    assert (await sent(ports, deployment))[1:] == [("reminder", channel, [[0]])]
    found = await all_of(ports, deployment)
    assert (found["plan-2"].state, found["plan-2"].settled_by) == (State.DONE, BOT)
    assert [verdict.problems async for verdict in auditing.verify(ports)] == [()]


async def test_the_numbers_are_fetched_first_and_what_passes_needs_no_reminder(database: Database) -> None:
    verifier = ScriptedVerifier(
        [Binding(key=f"s1/boxes/{n}", text=f"Box 1.{n}", checks=(SPEC,)) for n in (1, 2)]
    )
    verifier.outcomes = {"s1/boxes/2": Outcome.FAIL}
    ports = ports_with(database, verifier)
    woken, runner = Reminders(ports), CheckRunner(ports)
    deployment = await deployed(ports)
    await runner.start()
    try:
        await passes(ports, woken, minutes=0)
        await passes(ports, woken, minutes=5)
        assert await sent(ports, deployment) == []  # it passed
        await passes(ports, woken, minutes=10)
        assert await sent(ports, deployment) == [("reminder", deployment.channel, [[1]])]
    finally:
        await runner.stop()
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment.id)
    assert state is not None and state.ticks[0].by == BOT
    assert state.results[1].at == ports.clock.now() and state.results[1].outcome is Outcome.FAIL
    # No word about the runs themselves.
    assert [p.key for p in await posts_of(ports, deployment.id) if p.kind == "notice"][1:] == []


async def test_numbers_that_do_not_come_in_time_do_not_hold_the_reminder(database: Database) -> None:
    verifier = ScriptedVerifier([Binding(key="s1/boxes/1", text="Box 1.1", checks=(SPEC,))])
    ports = ports_with(database, verifier)
    woken = Reminders(ports, patience=0.1)
    deployment = await deployed(ports)
    await woken.look()
    await passes(ports, woken, minutes=5)  # no runner is at work
    assert await sent(ports, deployment) == [("reminder", deployment.channel, [[0]])]


async def test_nobody_reacts_and_it_reaches_the_lead_then_the_group_and_no_further(
    database: Database,
) -> None:
    ports = ports_with(database)
    woken = Reminders(ports)
    deployment = await deployed(ports)
    await woken.look()
    await ticked(ports, deployment, 1)
    await passes(ports, woken, minutes=5)
    await passes(ports, woken, minutes=14)
    assert len(await sent(ports, deployment)) == 1
    await passes(ports, woken, minutes=1)
    assert (await sent(ports, deployment))[1:] == [("direct", ANA, [[0]])]
    await passes(ports, woken, minutes=30)
    assert (await sent(ports, deployment))[2:] == [("reminder", deployment.channel, [[0]])]
    [group] = [post for post in await posts_of(ports, deployment.id) if post.content.get("mention")]
    assert group.content["mention"] == GROUP
    before = len(await sent(ports, deployment))
    await passes(ports, woken, minutes=9)
    assert len(await sent(ports, deployment)) == before
    told = [
        kind for kind in await kinds(ports, deployment) if kind in ("reminder.sent", "reminder.escalated")
    ]
    assert told == ["reminder.sent", "reminder.escalated", "reminder.escalated"]


async def test_what_is_done_meanwhile_asks_nobody_else(database: Database) -> None:
    ports = ports_with(database)
    woken = Reminders(ports)
    deployment = await deployed(ports)
    await woken.look()
    await passes(ports, woken, minutes=5)
    await ticked(ports, deployment, 0, 1)
    await passes(ports, woken, hours=2)
    assert await sent(ports, deployment) == [("reminder", deployment.channel, [[0]])]
    assert (await all_of(ports, deployment))["plan-1"].state is State.DONE


async def test_snoozed_it_comes_again_and_its_old_message_no_longer_counts(database: Database) -> None:
    ports = ports_with(database)
    woken = Reminders(ports)
    deployment = await deployed(ports)
    await woken.look()
    await ticked(ports, deployment, 1)
    await passes(ports, woken, minutes=5)
    asked = (await all_of(ports, deployment))["plan-1"]
    who = {"user": BEN, "team": TEAM}
    for _ in range(2):  # Slack delivers it twice
        await settling.snooze(ports, asked.id, 0, Snooze.QUARTER, timezone="UTC", delivery="click.1", **who)
    await passes(ports, woken, minutes=14)
    assert len(await sent(ports, deployment)) == 1
    await passes(ports, woken, minutes=1)
    assert len(await sent(ports, deployment)) == 2
    with pytest.raises(ReminderSettled):
        await settling.done(ports, asked.id, 0, delivery="click.2", **who)
    after = await settling.done(ports, asked.id, 1, delivery="click.3", **who)
    assert after.ticks[0].by == BEN
    settled = (await all_of(ports, deployment))["plan-1"]
    assert (settled.state, settled.settled_by) == (State.DONE, BEN)
    await passes(ports, woken, hours=3)
    assert len(await sent(ports, deployment)) == 2


async def test_done_does_not_go_against_a_check_and_not_needed_ends_it(database: Database) -> None:
    verifier = ScriptedVerifier([Binding(key="s1/boxes/1", text="Box 1.1", checks=(SPEC,))])
    verifier.outcomes = {"s1/boxes/1": Outcome.FAIL}
    ports = ports_with(database, verifier)
    woken, runner = Reminders(ports), CheckRunner(ports)
    deployment = await deployed(ports)
    await woken.look()
    await runner.start()
    try:
        await passes(ports, woken, minutes=5)
    finally:
        await runner.stop()
    asked = (await all_of(ports, deployment))["plan-1"]
    with pytest.raises(NotTickable, match=r"Box 1\.1"):
        await settling.done(ports, asked.id, 0, user=BEN, team=TEAM, delivery="click.1")
    assert (await all_of(ports, deployment))["plan-1"].state is State.SENT
    await settling.not_needed(ports, asked.id, 0, user=BEN, team=TEAM, delivery="click.2")
    assert (await all_of(ports, deployment))["plan-1"].state is State.NOT_NEEDED


async def test_after_an_outage_one_message_says_what_was_missed(database: Database) -> None:
    ports = ports_with(database)
    deployment = await deployed(ports)
    await Reminders(ports).look()
    woken = Reminders(ports)  # the next process
    await woken.start()
    await passes(ports, woken, hours=25)
    assert await sent(ports, deployment) == [("reminder", deployment.channel, [[0], [1], []])]
    [post] = [post for post in await posts_of(ports, deployment.id) if post.kind == "reminder"]
    assert post.content["late"] is True
    # The hour's was about the same two items.
    assert (await all_of(ports, deployment))["plan-3"].state is State.DROPPED


async def test_a_process_that_dies_while_it_fetches_numbers_loses_nothing(database: Database) -> None:
    verifier = ScriptedVerifier([Binding(key="s1/boxes/1", text="Box 1.1", checks=(SPEC,))])
    ports = ports_with(database, verifier)
    deployment = await deployed(ports)
    dying = Reminders(ports)
    await dying.look()
    assert isinstance(ports.clock, ManualClock)
    ports.clock.forward(minutes=5)
    task = asyncio.create_task(dying.look())
    while (await all_of(ports, deployment))["plan-1"].state is State.WAITING and not ports.verifier.runs:  # type: ignore[attr-defined]
        async with ports.database.read() as tx:
            state = await ports.deployments.get(tx, deployment.id)
        if state is not None and state.run is not None:
            break
        await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await sent(ports, deployment) == []
    await passes(ports, Reminders(ports, patience=0.1), minutes=1)
    assert await sent(ports, deployment) == [("reminder", deployment.channel, [[0]])]


async def test_after_a_no_go_the_plan_begins_anew_with_the_next_go(database: Database) -> None:
    ports = ports_with(database)
    deployment = await deployed(ports)
    woken = Reminders(ports)
    await woken.look()
    await passes(ports, woken, minutes=5)
    assert len(await sent(ports, deployment)) == 1
    await going.refuse_go(ports, deployment.id, user=BEN, team=TEAM, reason="not yet", delivery="no-go")
    await passes(ports, woken, hours=3)
    assert len(await sent(ports, deployment)) == 1
    assert {one.state for one in (await all_of(ports, deployment)).values()} == {State.DROPPED}
    await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery="go.2")
    await woken.look()
    await passes(ports, woken, minutes=5)
    assert len(await sent(ports, deployment)) == 2
    waiting = [one for one in (await all_of(ports, deployment)).values() if one.state is State.WAITING]
    assert len(waiting) == 3


async def test_two_replicas_deliver_once(database: Database) -> None:
    ports = ports_with(database)
    deployment = await deployed(ports)
    assert isinstance(ports.clock, ManualClock)
    others = [
        Ports(
            **{
                **vars(ports),
                "deployments": Deployments(),
                "database": Database(database.url.render_as_string(hide_password=False)),
            }
        )
        for _ in range(2)
    ]
    replicas = [Reminders(each) for each in [ports, *others]]
    try:
        await asyncio.gather(*(replica.look() for replica in replicas))
        assert len(await all_of(ports, deployment)) == 4
        ports.clock.forward(minutes=5)
        await asyncio.gather(*(replica.look() for replica in replicas))
        ports.clock.forward(minutes=10)
        await asyncio.gather(*(replica.look() for replica in replicas))
    finally:
        for other in others:
            await other.database.close()
    assert [items for _, _, items in await sent(ports, deployment)] == [[[0]], [[1]]]
    assert [verdict.problems async for verdict in auditing.verify(ports)] == [()]


@pytest.mark.parametrize("how", ["finished", "aborted"])
async def test_a_deployment_that_has_ended_reminds_nobody(database: Database, how: str) -> None:
    ports = ports_with(database)
    woken = Reminders(ports)
    deployment = await deployed(ports)
    await woken.look()
    await passes(ports, woken, minutes=5)
    if how == "finished":
        await ending.finish(ports, deployment.id, user=ANA, delivery="end")
    else:
        await ending.abort(ports, deployment.id, user=ANA, reason="no", delivery="end")
    async with ports.database.write() as tx:  # Slack shows everything
        await tx.execute(update(posts).values(shown=posts.c.wanted))
    await passes(ports, woken, days=2)
    assert {one.state for one in (await all_of(ports, deployment)).values()} == {State.DROPPED}
    # Only the one that asked is drawn again, without its buttons.
    assert [post.kind for post in await posts_of(ports, deployment.id)] == ["reminder"]
    assert await woken.look() is None


async def test_somebody_asks_to_be_reminded_of_an_item_of_everything_or_of_their_own_words(
    database: Database,
) -> None:
    ports = ports_with(database, schedule=ReminderPlan())
    woken = Reminders(ports)
    deployment = await start(ports)  # before anything is deployed
    due = ports.clock.now() + timedelta(hours=2)

    async def asks(words: str) -> settling.Added:
        return await settling.add(
            ports, deployment.id, words=words, due_at=due, user=BEN, delivery=f"ask.{words}"
        )

    assert (await asks("box 1.2")).items == (1,)
    assert (await asks("call the support team")).text == "call the support team"
    with pytest.raises(NothingCalled, match="Did you mean"):
        await asks("boxx 1.2")
    await asks("")
    assert len((await asks("")).items) == 14  # the same delivery again
    await passes(ports, woken, hours=2)
    [(_, _, named)] = await sent(ports, deployment)
    assert named[:2] == [[1], []] and len(named[2]) == 13
    assert {one.for_user for one in (await all_of(ports, deployment)).values()} == {BEN}


async def test_a_scheduled_review_is_something_the_bot_can_vouch_for(database: Database) -> None:
    ports = ports_with(database, schedule=ReminderPlan())
    deployment = await start(ports)
    deeds = RecordedDeeds(ports, deployment.id)
    assert await deeds.find("reminder_scheduled") is None
    due = ports.clock.now() + timedelta(days=1)
    await settling.schedule_review(ports, deployment.id, due_at=due, user=BEN, delivery="view.1")
    found = await deeds.find("reminder_scheduled")
    assert found is not None and found["at"] == due
    await passes(ports, Reminders(ports), days=1)
    assert len(await sent(ports, deployment)) == 1


async def scheduled(ports: Ports, deployment: Deployment, day: int, user: str) -> Deployment:
    """The review is to be on this day, at noon."""
    due = datetime(2026, 3, 2 + day, 12, tzinfo=UTC)
    return await settling.schedule_review(
        ports, deployment.id, due_at=due, user=user, delivery=f"view.{user}.{day}"
    )


async def test_a_review_that_is_moved_is_reminded_of_at_its_new_time_alone(database: Database) -> None:
    ports = ports_with(database, schedule=ReminderPlan())
    woken = Reminders(ports)
    deployment = await start(ports)
    await scheduled(ports, deployment, 1, ANA)
    await scheduled(ports, deployment, 3, BEN)
    first, second = (await all_of(ports, deployment)).values()
    assert (first.state, first.settled_by, second.state) == (State.DROPPED, BEN, State.WAITING)
    await passes(ports, woken, days=1)
    assert await sent(ports, deployment) == []
    await passes(ports, woken, days=2)
    assert len(await sent(ports, deployment)) == 1
    assert await kinds(ports, deployment) == [
        "reminder.added",
        "reminder.dropped",
        "reminder.added",
        "reminder.sent",
    ]
    assert [verdict.problems async for verdict in auditing.verify(ports)] == [()]


async def test_where_a_review_was_before_it_was_moved_is_vouched_for_no_more(database: Database) -> None:
    ports = ports_with(database, schedule=ReminderPlan())
    deployment = await start(ports)
    await scheduled(ports, deployment, 1, ANA)
    await scheduled(ports, deployment, 3, BEN)
    await passes(ports, Reminders(ports), days=3)
    *_, newest = (await all_of(ports, deployment)).values()
    await settling.not_needed(ports, newest.id, 0, user=BEN, team=TEAM, delivery="n")
    assert await RecordedDeeds(ports, deployment.id).find("reminder_scheduled") is None


async def test_a_review_that_is_moved_after_its_reminder_asks_and_escalates_no_more(
    database: Database,
) -> None:
    plan = ReminderPlan(lead_after=timedelta(minutes=15), on_call=GROUP)
    ports = ports_with(database, schedule=plan)
    woken = Reminders(ports)
    deployment = await start(ports)
    await scheduled(ports, deployment, 1, ANA)
    await passes(ports, woken, days=1)
    shown = await sent(ports, deployment)
    await scheduled(ports, deployment, 3, BEN)
    [message] = [post for post in await posts_of(ports, deployment.id) if post.kind == "reminder"]
    assert message.wanted > 1, "the message that asked says that another one does"
    await passes(ports, woken, hours=2)
    assert await sent(ports, deployment) == shown
    assert [verdict.problems async for verdict in auditing.verify(ports)] == [()]


async def test_the_scheduler_wakes_when_something_is_due(database: Database) -> None:
    ports = ports_with(database, schedule=ReminderPlan())
    deployment = await start(ports)
    due = ports.clock.now() + timedelta(minutes=2)
    await settling.add(ports, deployment.id, words="", due_at=due, user=BEN, delivery="ask")
    made = scheduler(ports, WatchRunner(ports), Reminders(ports), Attendance(ports))
    made.start()
    try:
        await asyncio.sleep(0.3)
        assert await sent(ports, deployment) == []
        assert isinstance(ports.clock, ManualClock)
        ports.clock.forward(minutes=2)
        for _ in range(300):
            if await sent(ports, deployment):
                break
            await asyncio.sleep(0.05)
    finally:
        made.shutdown(wait=False)
    assert len(await sent(ports, deployment)) == 1


async def test_a_plan_with_nothing_for_a_deployment_writes_nothing_until_it_is_changed(
    database: Database,
) -> None:
    ports = ports_with(database, schedule=ReminderPlan())
    deployment = await deployed(ports)
    woken = Reminders(ports)
    async with database.write():
        # Whoever wanted to write would wait for this on SQLite, and for the row on PostgreSQL.
        async with asyncio.timeout(2):
            for _ in range(3):
                await woken.look()
    assert isinstance(ports.schedule, WrittenSchedule)
    ports.schedule.plan = plan()
    await woken.look()
    assert len(await all_of(ports, deployment)) == 4


async def test_what_nothing_refers_to_is_forgotten_soon_after_a_start(database: Database) -> None:
    ports = ports_with(database)
    made = scheduler(ports, WatchRunner(ports), Reminders(ports), Attendance(ports))
    made.start(paused=True)
    try:
        job = made.get_job("prune")
        assert job.next_run_time - datetime.now(UTC) < timedelta(minutes=2)
        assert job.misfire_grace_time is None
    finally:
        made.shutdown(wait=False)
