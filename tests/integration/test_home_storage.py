"""Homes and pins on a real database: who draws what, once, with several processes; nothing drawn too often."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from bot.domain.deployment import Deployment
from bot.services import alerting, ending, surveying, tending
from bot.services.ports import Ports
from bot.slack.homes import EVERY_S, PUBLISHES_A_MINUTE, RESERVE, SOON_S, Budget, due_at
from bot.storage import homes, pins, posts
from bot.storage.database import Database
from bot.storage.homes import Home
from bot.storage.pins import PinState
from tests.makers import ANA, BEN, CARLA, TEAM, ListedGroups, ManualClock, make_ports, posts_of, start

LATER = timedelta(seconds=30)


async def home_of(ports: Ports, user: str) -> Home:
    async with ports.database.read() as tx:
        found = await homes.opened_since(tx, ports.clock.now() - timedelta(days=1))
    return next(one for one in found if one.user == user)


async def stamp(ports: Ports, team: str = TEAM) -> str:
    async with ports.database.read() as tx:
        return (await homes.stamps(tx, {team}))[team]


async def test_a_home_is_asked_for_when_it_is_opened_and_drawn_by_one(database: Database) -> None:
    ports = make_ports(database)
    await surveying.changed(ports, TEAM, ANA)  # nobody has opened it: there is nothing to draw
    for _ in range(3):
        await surveying.opened(ports, TEAM, ANA)
    home = await home_of(ports, ANA)
    assert (home.wanted, home.shown) == (3, 0)
    now = ports.clock.now()
    async with database.write() as tx:
        mine = await homes.claim(tx, TEAM, ANA, owner="one", at=now, until=now + LATER)
    async with database.write() as tx:
        assert await homes.claim(tx, TEAM, ANA, owner="two", at=now, until=now + LATER) is None
        # A process that died is not waited for.
        late = now + LATER + timedelta(seconds=1)
        assert await homes.claim(tx, TEAM, ANA, owner="two", at=late, until=late + LATER) is not None
    assert mine is not None
    await surveying.opened(ports, TEAM, ANA)
    async with database.write() as tx:
        await homes.drawn(tx, mine, stamp="7.1", alarms={"1.2"}, at=now)
    home = await home_of(ports, ANA)
    # What was asked for meanwhile is drawn again.
    assert (home.wanted, home.shown, home.stamp, home.alarms) == (4, 3, "7.1", frozenset({"1.2"}))


async def test_two_processes_note_the_same_opening(database: Database) -> None:
    ports = make_ports(database)
    await asyncio.gather(*(surveying.opened(ports, TEAM, user) for user in (ANA, BEN) * 4))
    for user in (ANA, BEN):
        assert (await home_of(ports, user)).wanted == 4


async def test_the_stamp_changes_with_every_event_and_every_message_that_can_be_linked(
    database: Database,
) -> None:
    ports = make_ports(database)
    seen = {await stamp(ports)}
    deployment = await start(ports)
    seen.add(await stamp(ports))
    [card, *_] = await posts_of(ports, deployment.id)
    async with database.write() as tx:
        await posts.sent(tx, card.id, ts="1.1", thread_ts=None, revision=1, at=ports.clock.now())
    seen.add(await stamp(ports))
    await tending.assign(ports, deployment.id, [0], to=BEN, user=ANA, delivery="a")
    seen.add(await stamp(ports))
    await ending.abort(ports, deployment.id, user=ANA, reason="enough", delivery="b")
    seen.add(await stamp(ports))
    assert len(seen) == 5
    before = await stamp(ports)
    await start(ports, team="T0OTHER0001", service="billing")
    assert await stamp(ports) == before


async def test_a_survey_has_what_is_ones_own_what_runs_and_what_has_ended(database: Database) -> None:
    clock = ManualClock()
    ports = make_ports(database, clock=clock, groups=ListedGroups(S0RELEASERS=[BEN]))
    for number in range(12):
        done = await start(ports, service=f"old-{number % 6}", version=f"v{number}")
        clock.forward(minutes=1)
        await ending.abort(ports, done.id, user=ANA, reason="over", delivery=f"over.{number}")
    running = await start(ports)
    await tending.assign(ports, running.id, [0], to=BEN, user=ANA, delivery="a")
    await tending.assign(ports, running.id, [1], to="S0RELEASERS", user=ANA, delivery="b")
    await tending.assign(ports, running.id, [2], to="S0NOBODY000", user=ANA, delivery="c")
    await start(ports, team="T0OTHER0001", service="billing")
    seen = await surveying.survey(ports, TEAM, BEN)
    assert [d.id for d in seen.running] == [running.id]
    assert [d.target.version for d in seen.ended] == [f"v{number}" for number in range(11, 1, -1)]
    assert [one.position for one in seen.mine.items[running.id]] == [0, 1]
    assert seen.mine.unknown_groups == ("S0NOBODY000",)
    assert seen.usual == []
    usual = (await surveying.survey(ports, TEAM, ANA)).usual
    assert [one.service for one in usual] == ["storefront", "old-5", "old-4", "old-3"]
    assert (await surveying.mine(ports, TEAM, CARLA)).items == {}


# ── pace ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_asked_for_and_alerts_come_soon_and_the_rest_every_few_seconds() -> None:
    clock = ManualClock()
    now = clock.now()
    home = Home(
        team=TEAM,
        user=ANA,
        opened_at=now,
        wanted=1,
        shown=1,
        stamp="1.0",
        alarms=frozenset(),
        shown_at=now,
        leased_by=None,
        leased_until=None,
        failures=0,
        retry_at=None,
    )
    assert due_at(home, urgent=False) == now + timedelta(seconds=EVERY_S)
    assert due_at(home, urgent=True) == now + timedelta(seconds=SOON_S)


def test_a_busy_workspace_keeps_a_part_for_what_is_urgent() -> None:
    budget = Budget()
    for at in range(PUBLISHES_A_MINUTE - RESERVE):
        assert budget.at(at / 10, urgent=False) == at / 10
        budget.spend(at / 10)
    assert budget.at(9.0, urgent=False) == 60.0
    for _ in range(RESERVE):
        assert budget.at(9.0, urgent=True) == 9.0
        budget.spend(9.0)
    assert budget.at(9.0, urgent=True) == 60.0
    budget.refused(9.0, 120.0)
    assert budget.at(9.0, urgent=True) == 129.0


# ── pins ─────────────────────────────────────────────────────────────────────────────────────────────────


async def posted(ports: Ports) -> Deployment:
    """A deployment whose card Slack has."""
    deployment = await start(ports)
    [card, *_] = await posts_of(ports, deployment.id)
    async with ports.database.write() as tx:
        await posts.sent(tx, card.id, ts="1.1", thread_ts=None, revision=1, at=ports.clock.now())
    return deployment


async def due(ports: Ports, owner: str = "one") -> list[bool]:
    async with ports.database.read() as tx:
        return [pin.add for pin in await pins.due(tx, owner=owner, at=ports.clock.now())]


async def take(ports: Ports, owner: str = "one") -> pins.Pin | None:
    now = ports.clock.now()
    async with ports.database.read() as tx:
        [pin] = await pins.due(tx, owner=owner, at=now)
    async with ports.database.write() as tx:
        return pin if await pins.claim(tx, pin, owner=owner, at=now, until=now + LATER) else None


async def test_a_card_is_pinned_once_it_is_posted_and_let_go_at_the_end(database: Database) -> None:
    ports = make_ports(database)
    deployment = await start(ports)
    assert await due(ports) == []
    [card, *_] = await posts_of(ports, deployment.id)
    async with database.write() as tx:
        await posts.sent(tx, card.id, ts="1.1", thread_ts=None, revision=1, at=ports.clock.now())
    assert await take(ports) is not None
    assert await due(ports, "two") == []
    async with database.write() as tx:
        await pins.settle(tx, deployment.id, PinState.PINNED)
    assert await due(ports) == []
    await ending.abort(ports, deployment.id, user=ANA, reason="enough", delivery="b")
    pin = await take(ports)
    assert pin is not None
    assert (pin.add, pin.ts) == (False, "1.1")
    async with database.write() as tx:
        await pins.settle(tx, deployment.id, PinState.REMOVED)
    assert await due(ports) == []


async def test_what_a_dead_process_began_is_let_go_and_what_slack_refused_is_left(database: Database) -> None:
    clock = ManualClock()
    ports = make_ports(database, clock=clock)
    deployment = await posted(ports)
    assert await take(ports) is not None
    await ending.abort(ports, deployment.id, user=ANA, reason="enough", delivery="b")
    assert await due(ports, "two") == []
    clock.forward(seconds=31)
    assert await due(ports, "two") == [False]
    async with database.write() as tx:
        await pins.settle(tx, deployment.id, PinState.REFUSED)
    assert await due(ports, "two") == []


async def test_of_two_processes_one_pins(database: Database) -> None:
    ports = make_ports(database)
    await posted(ports)

    async def attempt(owner: str) -> pins.Pin | None:
        try:
            return await take(ports, owner)
        except (IntegrityError, ValueError):  # the other one was quicker
            return None

    taken = await asyncio.gather(*(attempt(f"process {n}") for n in range(4)))
    assert sum(one is not None for one in taken) == 1


async def test_an_ended_deployment_that_was_never_pinned_is_left_alone(database: Database) -> None:
    ports = make_ports(database)
    deployment = await posted(ports)
    await ending.abort(ports, deployment.id, user=ANA, reason="enough", delivery="b")
    assert await due(ports) == []
    raised = await start(ports)
    await alerting.raise_by_hand(
        ports, raised.id, words="", reason="It fails", user=ANA, delivery="c", link="https://example.com/1"
    )
    [trigger] = (await surveying.survey(ports, TEAM, ANA)).running[0].aftermath.raised
    assert trigger.finding["links"] == [["Evidence", "https://example.com/1"]]
