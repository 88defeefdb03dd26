"""Starting, ticking and ending, on a real database of each kind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Deployment, Phase, Target, fold
from bot.domain.errors import (
    AlreadyDeploying,
    ChecklistUnusable,
    DeploymentClosed,
    ForeignClick,
    InvalidName,
    NoSuchDeployment,
    ReasonMissing,
)
from bot.domain.events import broken_link
from bot.services import auditing, ending, finding, starting
from bot.services.ports import Ports
from bot.services.starting import StartRequest
from bot.services.ticking import TickQueue
from bot.storage import migrating
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from tests.makers import (
    ANA,
    BEN,
    CARLA,
    TEAM,
    ManualClock,
    make_click,
    make_ports,
    posts_of,
    start,
    start_request,
)
from tests.postgres import PostgresServer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ports(database: Database, clock: ManualClock) -> Ports:
    return make_ports(database, clock=clock)


async def history_of(ports: Ports, deployment_id: int) -> list[tuple[str, str]]:
    async with ports.database.read() as tx:
        return [(e.fact.kind, e.fact.actor) for e in await ports.deployments.history(tx, deployment_id)]


async def problems(ports: Ports) -> list[str]:
    return [p async for verdict in auditing.verify(ports) for p in verdict.problems]


# ── start ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_started_deployment_has_a_name_a_copy_of_the_checklist_and_its_messages(ports: Ports) -> None:
    deployment = await start(ports)
    assert deployment.name == f"storefront-{deployment.id}"
    assert [item.text for item in deployment.checklist.items][:2] == ["Box 1.1", "Box 1.2"]
    kinds = [post.kind for post in await posts_of(ports, deployment.id)]
    assert kinds == ["card", "section", "section", "rollback"]
    assert await history_of(ports, deployment.id) == [("deployment.started", ANA)]
    assert await problems(ports) == []


async def test_the_same_delivery_twice_starts_one_deployment(ports: Ports) -> None:
    request = start_request()
    first, second = await asyncio.gather(
        start(ports, delivery=request.delivery), start(ports, delivery=request.delivery)
    )
    assert first.id == second.id
    assert len(await finding.opened(ports, TEAM)) == 1


class _Overtaken(Deployments):
    """Another replica gets its start in just before this one looks who holds the service."""

    def __init__(self, other: Ports, request: StartRequest) -> None:
        super().__init__()
        self._other = other
        self._request = request

    async def holder(self, tx: AsyncConnection, team: str, target: Target) -> Deployment | None:
        await starting.start(self._other, self._request)
        return await super().holder(tx, team, target)


async def test_two_replicas_that_get_the_same_delivery_start_one_deployment(postgres: PostgresServer) -> None:
    database = Database(postgres.new_database())
    await migrating.upgrade(database)
    request = start_request()
    ports = replace(make_ports(database), deployments=_Overtaken(make_ports(database), request))
    deployment = await starting.start(ports, request)
    assert [d.id for d in await finding.opened(make_ports(database), TEAM)] == [deployment.id]
    await database.close()


async def test_a_second_start_of_the_same_service_says_who_holds_it(ports: Ports) -> None:
    await start(ports)
    with pytest.raises(AlreadyDeploying, match=rf"storefront is already being deployed.*v1\.4\.2.*{ANA}"):
        await start(ports, lead=BEN, version="v1.5.0", service="Storefront")


async def test_two_starts_at_the_same_moment_leave_one_deployment(ports: Ports) -> None:
    results = await asyncio.gather(start(ports), start(ports, lead=BEN), return_exceptions=True)
    assert sorted(type(r).__name__ for r in results) == ["AlreadyDeploying", "Deployment"]


async def test_another_environment_or_a_finished_deployment_does_not_block(ports: Ports) -> None:
    first = await start(ports)
    await start(ports, environment="staging")
    await ending.finish(ports, first.id, user=ANA, delivery="view.1")
    await start(ports)
    assert len(await finding.opened(ports, TEAM)) == 2


@pytest.mark.parametrize(
    ("what", "value"),
    [("service", "store front"), ("service", ""), ("version", "v1;drop"), ("environment", "x" * 3000)],
)
async def test_a_name_that_cannot_be_one_is_refused_in_a_sentence(
    ports: Ports, what: str, value: str
) -> None:
    with pytest.raises(InvalidName) as refused:
        await start(ports, **{what: value})
    assert refused.value.what == what
    assert len(str(refused.value)) < 300


async def test_an_unknown_checklist_starts_nothing(ports: Ports) -> None:
    with pytest.raises(ChecklistUnusable):
        await start(ports, checklist="nope")
    assert await finding.opened(ports, TEAM) == []


# ── ticks ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_tick_is_recorded_under_the_person_with_the_time(ports: Ports, clock: ManualClock) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    clock.forward(minutes=5)
    ticked = await TickQueue(ports).submit(make_click(deployment, section, selected={1}))
    tick = ticked.deployment.ticks[1]
    assert (tick.by, tick.at) == (BEN, deployment.started_at + timedelta(minutes=5))
    assert await history_of(ports, deployment.id) == [("deployment.started", ANA), ("item.ticked", BEN)]
    assert await problems(ports) == []


async def test_two_people_on_the_same_screen_keep_both_ticks(ports: Ports) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    queue = TickQueue(ports)
    await asyncio.gather(
        queue.submit(make_click(deployment, section, selected={0}, user=ANA)),
        queue.submit(make_click(deployment, section, selected={1}, user=BEN)),
    )
    state = await finding.get(ports, deployment.id, team=TEAM)
    assert {at: tick.by for at, tick in state.ticks.items()} == {0: ANA, 1: BEN}


async def test_a_redelivered_click_is_recorded_once(ports: Ports) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    click = make_click(deployment, section, selected={0})
    await asyncio.gather(*(TickQueue(ports).submit(click) for _ in range(3)))
    await TickQueue(ports).submit(click)
    assert await history_of(ports, deployment.id) == [("deployment.started", ANA), ("item.ticked", BEN)]


async def test_ticking_what_somebody_else_ticked_meanwhile_keeps_their_name(ports: Ports) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    queue = TickQueue(ports)
    await queue.submit(make_click(deployment, section, selected={0}, user=ANA))
    await queue.submit(make_click(deployment, section, selected={0}, user=BEN))
    state = await finding.get(ports, deployment.id, team=TEAM)
    assert state.ticks[0].by == ANA
    assert (await history_of(ports, deployment.id))[1:] == [("item.ticked", ANA), ("item.ticked", BEN)]
    assert await problems(ports) == []


async def test_unticking_a_stale_drawing_does_not_undo_a_newer_tick(ports: Ports) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    queue = TickQueue(ports)
    drawn = (await queue.submit(make_click(deployment, section, selected={0}, user=ANA))).deployment
    await queue.submit(make_click(drawn, section, selected=set(), base={0}, user=CARLA, revision=2))
    await queue.submit(make_click(drawn, section, selected={0}, user=ANA, revision=3))
    late = make_click(drawn, section, selected=set(), base={0}, user=BEN, revision=2)
    ticked = await queue.submit(late)
    assert ticked.deployment.ticks[0].by == ANA
    assert [item.text for item in ticked.outcome.kept] == ["Box 1.1"]


async def test_unticking_is_recorded(ports: Ports) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    queue = TickQueue(ports)
    drawn = (await queue.submit(make_click(deployment, section, selected={0}))).deployment
    await queue.submit(make_click(drawn, section, selected=set(), base={0}, user=ANA, revision=2))
    state = await finding.get(ports, deployment.id, team=TEAM)
    assert state.ticks == {}
    assert (await history_of(ports, deployment.id))[-1] == ("item.unticked", ANA)
    assert await problems(ports) == []


async def test_a_step_before_an_earlier_one_is_allowed_and_marked(ports: Ports) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    ticked = await TickQueue(ports).submit(make_click(deployment, section, selected={5}, first=3, count=4))
    [(step, earlier)] = ticked.out_of_order
    assert (step.text, earlier.text) == ("Step 1.3", "Step 1.1")
    assert ticked.deployment.ticks[5].before == (3, 4)
    assert await problems(ports) == []


async def test_a_hundred_clicks_at_once_are_each_recorded_once_under_their_own_name(ports: Ports) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    queue = TickQueue(ports)
    people = [f"U{n:03}" for n in range(100)]
    await asyncio.gather(
        *(
            queue.submit(make_click(deployment, section, selected={n % 3}, user=user))
            for n, user in enumerate(people)
        )
    )
    history = await history_of(ports, deployment.id)
    assert sorted(actor for kind, actor in history if kind == "item.ticked") == people
    assert await problems(ports) == []


async def test_a_click_with_ids_that_do_not_belong_together_records_nothing(ports: Ports) -> None:
    one = await start(ports)
    other = await start(ports, service="api")
    card, section = (await posts_of(ports, one.id))[:2]
    foreign = (await posts_of(ports, other.id))[1]
    queue = TickQueue(ports)
    for click in (
        make_click(one, foreign, selected={0}),
        make_click(one, card, selected={0}),
        make_click(one, section, selected={9}, first=9, count=3),
    ):
        with pytest.raises(ForeignClick):
            await queue.submit(click)
    state = await finding.get(ports, one.id, team=TEAM)
    assert state.seq == 1


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_finishing_names_what_was_left_open_and_posts_one_notice(ports: Ports) -> None:
    deployment = await start(ports)
    done = await ending.finish(ports, deployment.id, user=BEN, delivery="view.7")
    again = await ending.finish(ports, deployment.id, user=BEN, delivery="view.7")
    assert done.phase is again.phase is Phase.FINISHED
    assert [p.key for p in await posts_of(ports, deployment.id) if p.kind == "report"] == ["finished"]
    async with ports.database.read() as tx:
        last = (await ports.deployments.history(tx, deployment.id))[-1]
    assert len(last.fact.data["open_items"]) == 14


async def test_an_ended_deployment_takes_no_ticks_and_no_second_end(ports: Ports) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    await ending.abort(ports, deployment.id, user=ANA, reason="checkout fails", delivery="view.1")
    with pytest.raises(DeploymentClosed):
        await TickQueue(ports).submit(make_click(deployment, section, selected={0}))
    with pytest.raises(DeploymentClosed):
        await ending.finish(ports, deployment.id, user=ANA, delivery="view.2")


async def test_an_abort_needs_a_reason(ports: Ports) -> None:
    deployment = await start(ports)
    with pytest.raises(ReasonMissing):
        await ending.abort(ports, deployment.id, user=ANA, reason=" \n ", delivery="view.1")


# ── finding ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(ports: Ports) -> None:
    deployment = await start(ports)
    with pytest.raises(NoSuchDeployment, match=rf"Did you mean {deployment.name}\?"):
        await finding.named(ports, TEAM, f"storefrnt-{deployment.id}")
    assert (await finding.named(ports, TEAM, deployment.name.upper())).id == deployment.id


async def test_another_workspace_sees_nothing(ports: Ports) -> None:
    deployment = await start(ports)
    with pytest.raises(NoSuchDeployment):
        await finding.get(ports, deployment.id, team="T0OTHER")
    assert await finding.opened(ports, "T0OTHER") == []


# ── the history ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_process_with_an_empty_memory_reads_the_same_state(ports: Ports, database: Database) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    ticked = await TickQueue(ports).submit(make_click(deployment, section, selected={0, 1}))
    fresh = make_ports(database)
    assert await finding.get(fresh, deployment.id, team=TEAM) == ticked.deployment
    async with database.read() as tx:
        history = await fresh.deployments.history(tx, deployment.id)
    assert broken_link(history) is None
    assert fold(history) == ticked.deployment


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE events SET actor = 'UEVIL' WHERE seq = 2", "was changed after the fact"),
        ("DELETE FROM events WHERE seq = 2", "event 2 is missing"),
        ("DELETE FROM events WHERE seq = 3", "are missing"),
        ("DELETE FROM ticks", "the projection's ticks"),
        ("UPDATE deployments SET phase = 'finished'", "the projection's phase"),
    ],
)
async def test_tampering_is_found(ports: Ports, database: Database, tampering: str, said: str) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    await TickQueue(ports).submit(make_click(deployment, section, selected={0, 1}))
    async with database.write() as tx:
        await tx.execute(text(tampering))
    assert said in " ".join(await problems(make_ports(database)))


async def test_a_wrong_projection_is_made_again_from_the_events(ports: Ports, database: Database) -> None:
    deployment = await start(ports)
    section = (await posts_of(ports, deployment.id))[1]
    before = (await TickQueue(ports).submit(make_click(deployment, section, selected={0}))).deployment
    async with database.write() as tx:
        await tx.execute(text("DELETE FROM ticks"))
        await tx.execute(text("UPDATE deployments SET phase = 'aborted', reason = 'never said'"))
    fresh = make_ports(database)
    _ = [verdict async for verdict in auditing.verify(fresh, rebuild=True)]
    assert await problems(fresh) == []
    assert await finding.get(make_ports(database), deployment.id, team=TEAM) == before
