"""Locks, freezes and the queue on a real database: refusals, turns, races between replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial

import pytest

from bot.domain.conduct import Allowed, Conduct, Hold, Permission
from bot.domain.deployment import Deployment
from bot.domain.errors import (
    AlreadyDeploying,
    AlreadyLocked,
    GateClosed,
    NotInQueue,
    NotLocked,
    NotPermitted,
    NotYourTurn,
    SeveralQueues,
    SidecarUnusable,
    TargetFrozen,
    TargetLocked,
    TurnOver,
)
from bot.domain.freezing import Freeze
from bot.domain.locks import Lock
from bot.domain.policy import Policy
from bot.domain.queueing import Place, PlaceState
from bot.services import auditing, ending, going, locking, queueing
from bot.services.ports import Ports
from bot.storage import locks as lock_rows
from bot.storage import pings, queue
from bot.storage.database import Database
from bot.storage.schema import pings as pings_table
from tests.makers import (
    ANA,
    BEN,
    CARLA,
    CHANNEL,
    NOON,
    TEAM,
    ManualClock,
    WrittenPolicies,
    WrittenRulebook,
    make_ports,
    start,
)

DAVE = "UDAVE000004"
FREEZE = Freeze(
    name="weekend",
    reason="Nobody is here",
    start=NOON,
    end=NOON + timedelta(hours=2),
    environments=("production",),
)


@pytest.fixture
async def replicas(database_url: str, database: Database) -> AsyncIterator[tuple[Ports, Ports]]:
    """Two processes on one database, with one clock."""
    clock, other = ManualClock(), Database(database_url)
    yield make_ports(database, clock=clock), make_ports(other, clock=clock)
    await other.close()


async def joins(ports: Ports, user: str, *, service: str = "storefront", version: str = "v2") -> Place:
    place, _ = await queueing.join(
        ports,
        team=TEAM,
        channel=CHANNEL,
        user=user,
        service=service,
        version=version,
        environment="production",
        checklist="production",
        delivery=f"join.{user}.{service}.{version}",
    )
    return place


async def locks(ports: Ports, words: str, *, user: str = ANA, delivery: str = "") -> Lock:
    return await locking.lock(
        ports,
        team=TEAM,
        channel=CHANNEL,
        words=words,
        user=user,
        timezone="UTC",
        delivery=delivery or f"lock.{user}.{words}",
    )


async def places(ports: Ports) -> dict[str, PlaceState]:
    return {place.user: place.state for place in await queueing.listed(ports, TEAM)}


async def state_of(ports: Ports, place: Place) -> PlaceState:
    async with ports.database.read() as tx:
        found = await queue.get(tx, place.id)
    assert found is not None
    return found.state


async def asked(ports: Ports) -> list[tuple[str, str]]:
    """Whom a direct message was made for, and about what."""
    async with ports.database.read() as tx:
        rows = await tx.execute(pings_table.select().order_by(pings_table.c.id))
        return [(row.user, row.kind) for row in rows]


async def finishes(ports: Ports, deployment: Deployment) -> None:
    await ending.finish(ports, deployment.id, user=ANA, delivery=f"finish.{deployment.id}")


def passes(ports: Ports, **span: float) -> datetime:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.forward(**span)
    return ports.clock.now()


# ── locks ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_lock_refuses_a_start_until_somebody_lifts_it_and_the_locker_is_told(
    database: Database,
) -> None:
    ports = make_ports(database)
    made = await locks(ports, "storefront Database migration")
    assert (made.environment, made.until) == ("", None)
    with pytest.raises(TargetLocked, match=rf"by {ANA}, until somebody unlocks it: “Database migration”"):
        await start(ports, lead=BEN, service="Storefront")
    await start(ports, lead=BEN, service="search")
    [lifted] = await locking.unlock(
        ports, team=TEAM, channel=CHANNEL, service="STOREFRONT", environment="", user=BEN, delivery="unlock"
    )
    assert lifted.id == made.id
    assert await asked(ports) == [(ANA, "unlocked")]
    assert (
        await locking.unlock(
            ports,
            team=TEAM,
            channel=CHANNEL,
            service="storefront",
            environment="",
            user=BEN,
            delivery="unlock",
        )
        == ()
    )
    assert await asked(ports) == [(ANA, "unlocked")]
    await start(ports, lead=BEN)
    async with database.read() as tx:
        from_storage = await lock_rows.get(tx, made.id)
    assert from_storage is not None
    assert (from_storage.released_by, from_storage.released_at) == (BEN, NOON)


async def test_who_lifts_their_own_lock_is_told_nothing_more(database: Database) -> None:
    ports = make_ports(database)
    made = await locks(ports, "storefront production Migration")
    await locking.unlock_one(ports, made.id, team=TEAM, channel=CHANNEL, user=ANA, delivery="u")
    assert await asked(ports) == []
    with pytest.raises(NotLocked):
        await locking.unlock_one(ports, made.id, team=TEAM, channel=CHANNEL, user=BEN, delivery="v")
    with pytest.raises(NotLocked):
        await locking.unlock_one(ports, 999, team=TEAM, channel=CHANNEL, user=BEN, delivery="w")


async def test_one_lock_per_service_and_environment_whatever_replicas_do(
    replicas: tuple[Ports, Ports],
) -> None:
    one, two = replicas
    results = await asyncio.gather(
        locks(one, "storefront production Migration"),
        locks(two, "Storefront Production Other", user=BEN),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["AlreadyLocked", "Lock"]
    # A delivery that comes twice is no second lock, and no refusal.
    again = await locks(one, "storefront staging Migration", delivery="d")
    assert (await locks(two, "storefront staging Migration", delivery="d")).id == again.id
    with pytest.raises(NotLocked, match=r"(?i)storefront in production"):
        await locking.unlock(
            one, team=TEAM, channel=CHANNEL, service="storefront", environment="qa", user=ANA, delivery="x"
        )
    await locks(one, "storefront Everywhere")
    assert len(await locking.listed(one, TEAM)) == 3
    assert (
        len(
            await locking.unlock(
                two, team=TEAM, channel=CHANNEL, service="storefront", environment="", user=ANA, delivery="y"
            )
        )
        == 3
    )


async def test_a_lock_ends_by_itself_and_can_be_followed_by_another(database: Database) -> None:
    ports = make_ports(database)
    made = await locks(ports, "storefront for 2h Migration")
    assert made.until == NOON + timedelta(hours=2)
    passes(ports, hours=2)
    assert await locking.listed(ports, TEAM) == []
    await locks(ports, "storefront for 1h Again")  # before anybody looked
    async with database.read() as tx:
        first = await lock_rows.get(tx, made.id)
    assert first is not None
    assert (first.released_by, first.released_at) == ("bot", made.until)
    passes(ports, hours=1)
    await locking.release_expired(ports)
    await start(ports)


async def test_whoever_locks_or_unlocks_everywhere_must_be_allowed_to_everywhere(database: Database) -> None:
    ports = make_ports(database)
    assert isinstance(ports.rulebook, WrittenRulebook)
    ports.rulebook.there["staging"] = Conduct(permissions={Permission.LOCK: Allowed(people=(BEN,))})
    await locks(ports, "storefront staging Migration", user=BEN)
    await locks(ports, "storefront production Migration", user=ANA)
    unlock = partial(locking.unlock, ports, team=TEAM, channel=CHANNEL, service="storefront")
    with pytest.raises(NotPermitted):
        await unlock(environment="", user=ANA, delivery="u1")
    assert len(await locking.listed(ports, TEAM)) == 2
    assert len(await unlock(environment="production", user=ANA, delivery="u2")) == 1
    assert len(await unlock(environment="", user=BEN, delivery="u3")) == 1
    await start(ports, environment="staging")
    with pytest.raises(NotPermitted):
        await locks(ports, "search Migration", user=ANA)
    await locks(ports, "search production Migration", user=ANA)


async def test_obstacles_are_the_locks_and_the_freeze_of_a_deployment(database: Database) -> None:
    policies = WrittenPolicies()
    ports = make_ports(database, policies=policies)
    deployment = await start(ports)
    assert await locking.obstacles(ports, deployment, at=NOON) == ()
    await locks(ports, "storefront for 1h Migration", user=BEN)
    await locks(ports, "search Migration")
    policies.written = Policy(freezes=(FREEZE,))
    lock, freeze = await locking.obstacles(ports, deployment, at=NOON)
    assert (lock.kind, lock.by, lock.until) == ("lock", BEN, NOON + timedelta(hours=1))
    assert lock.said == "storefront in every environment is locked: Migration"
    assert (freeze.kind, freeze.by, freeze.until) == ("freeze", None, FREEZE.end)
    later = NOON + timedelta(minutes=90)
    assert [one.kind for one in await locking.obstacles(ports, deployment, at=later)] == ["freeze"]


# ── freezes ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_start_in_a_freeze_is_refused_or_prepared_and_that_is_kept(database: Database) -> None:
    ports = make_ports(database, policies=WrittenPolicies(Policy(freezes=(FREEZE,))))
    with pytest.raises(TargetFrozen, match="“weekend” holds until 2026-03-02 14:00 UTC: “Nobody is here”"):
        await start(ports)
    await start(ports, environment="staging")
    prepared = await start(ports, over_freeze=True)
    assert prepared.prepared_in is not None
    assert prepared.prepared_in.until == FREEZE.end
    assert [verdict.problems async for verdict in auditing.verify(ports)] == [(), ()]


async def test_what_was_prepared_in_a_freeze_does_not_end_in_it_without_go(database: Database) -> None:
    ports = make_ports(database, policies=WrittenPolicies(Policy(freezes=(FREEZE,))))
    prepared = await start(ports, over_freeze=True)
    with pytest.raises(GateClosed, match=r"prepared in a freeze until 02 Mar 14:00 UTC"):
        await ending.finish(ports, prepared.id, user=ANA, delivery="f1")
    passes(ports, hours=2)
    assert not (await ending.finish(ports, prepared.id, user=ANA, delivery="f2")).phase.open


async def test_a_lock_keeps_from_the_end_what_never_was_live(database: Database) -> None:
    ports = make_ports(database)
    live = await start(ports)
    await going.give_go(ports, live.id, user=ANA, team=TEAM, delivery="g")
    waiting = await start(ports, environment="staging")
    await locks(ports, "storefront for 1h Incident", user=BEN)
    assert await going.held_up(ports, waiting) is Hold.GO
    with pytest.raises(GateClosed, match="is locked: Incident"):
        await ending.finish(ports, waiting.id, user=ANA, delivery="f1")
    assert not (await ending.finish(ports, live.id, user=ANA, delivery="f2")).phase.open


async def test_the_end_of_a_freeze_gives_a_turn(database: Database) -> None:
    ports = make_ports(database, policies=WrittenPolicies(Policy(freezes=(FREEZE,))))
    await joins(ports, BEN)
    await queueing.give_turns(ports)
    assert await asked(ports) == []
    passes(ports, hours=2)
    await queueing.give_turns(ports)
    assert await places(ports) == {BEN: PlaceState.PINGED}


class BrokenPolicies(WrittenPolicies):
    """A sidecar that somebody broke."""

    async def policy(self, checklist: str) -> Policy:
        """Cannot be read."""
        raise SidecarUnusable("production.yaml", ("freezes/0: wrong",))


async def test_nobody_gets_a_turn_while_the_freezes_cannot_be_read(database: Database) -> None:
    ports = make_ports(database, policies=BrokenPolicies())
    await joins(ports, BEN)
    await queueing.give_turns(ports)
    assert await places(ports) == {BEN: PlaceState.WAITING}


# ── the queue ────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_released_goes_to_the_first_in_line_and_after_ten_minutes_to_the_next(
    database: Database,
) -> None:
    ports = make_ports(database)
    held = await start(ports)
    ben = await joins(ports, BEN)
    carla = await joins(ports, CARLA, version="v3")
    await queueing.give_turns(ports)
    assert await asked(ports) == []
    await finishes(ports, held)
    await queueing.give_turns(ports)
    await queueing.give_turns(ports)
    assert await asked(ports) == [(BEN, "turn")]
    with pytest.raises(NotYourTurn, match=rf"It is {BEN}'s turn to deploy storefront to production, until"):
        await start(ports, lead=CARLA)
    passes(ports, minutes=10)
    await queueing.give_turns(ports)
    assert await asked(ports) == [(BEN, "turn"), (CARLA, "turn")]
    assert await state_of(ports, ben) is PlaceState.EXPIRED
    with pytest.raises(TurnOver):
        await queueing.place_of(ports, ben.id, user=BEN)
    with pytest.raises(TurnOver):
        await queueing.place_of(ports, carla.id, user=BEN)
    started = await start(ports, lead=CARLA, version="v3")
    assert await state_of(ports, carla) is PlaceState.STARTED
    assert started.lead == CARLA
    assert await places(ports) == {}


async def test_a_turn_that_is_passed_over_is_recorded_and_comes_back(database: Database) -> None:
    ports = make_ports(database)
    ben = await joins(ports, BEN)
    await queueing.give_turns(ports)
    started = await start(ports, lead=CARLA, over_turn=True)
    async with database.read() as tx:
        [first, *_] = await ports.deployments.history(tx, started.id)
    assert first.fact.data["over_turn_of"] == BEN
    assert await state_of(ports, ben) is PlaceState.WAITING
    passes(ports, minutes=30)
    await queueing.give_turns(ports)
    assert await places(ports) == {BEN: PlaceState.WAITING}
    await finishes(ports, started)
    await queueing.give_turns(ports)
    assert await asked(ports) == [(BEN, "turn"), (BEN, "turn")]


async def test_a_lock_between_takes_the_turn_back_and_its_end_gives_it_again(database: Database) -> None:
    ports = make_ports(database)
    await joins(ports, BEN)
    await queueing.give_turns(ports)
    await locks(ports, "storefront for 2h Migration")
    await queueing.give_turns(ports)
    assert await places(ports) == {BEN: PlaceState.WAITING}
    passes(ports, hours=2)
    await queueing.give_turns(ports)
    assert await places(ports) == {BEN: PlaceState.PINGED}


async def test_who_asks_twice_keeps_the_place_with_what_they_said_last(database: Database) -> None:
    ports = make_ports(database)
    held = await start(ports)
    first = await joins(ports, BEN)
    await joins(ports, CARLA)
    again = await joins(ports, BEN, version="v4")
    assert again.id == first.id
    assert again.target.version == "v4"
    [ben, carla] = await queueing.listed(ports, TEAM)
    assert (ben.user, carla.user) == (BEN, CARLA)
    await finishes(ports, held)


async def test_people_leave_a_queue_by_word_and_by_button(database: Database) -> None:
    ports = make_ports(database)

    async def leaves(delivery: str, service: str = "") -> int:
        left = await queueing.leave(ports, team=TEAM, user=BEN, service=service, delivery=delivery)
        return len(left)

    with pytest.raises(NotInQueue):
        await leaves("a")
    place = await joins(ports, BEN)
    await joins(ports, BEN, service="search")
    with pytest.raises(SeveralQueues, match="storefront and search"):
        await leaves("b")
    assert [await leaves("c", "Search"), await leaves("c", "Search")] == [1, 0]
    with pytest.raises(NotInQueue):
        await queueing.not_any_more(ports, place.id, user=CARLA, delivery="d")
    for _ in range(2):  # the same click delivered twice
        await queueing.not_any_more(ports, place.id, user=BEN, delivery="e")
    assert await state_of(ports, place) is PlaceState.LEFT
    with pytest.raises(NotInQueue):
        await queueing.not_any_more(ports, place.id, user=BEN, delivery="f")


# ── races ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_of_two_starts_after_a_release_the_one_in_line_wins(replicas: tuple[Ports, Ports]) -> None:
    one, two = replicas
    for turn in range(5):
        held = await start(one, lead=DAVE)
        await joins(one, BEN, version=f"v{turn}")
        await finishes(one, held)
        # Nobody has given the turn yet: the line counts all the same.
        results = await asyncio.gather(
            start(one, lead=CARLA), start(two, lead=BEN, version="v9"), return_exceptions=True
        )
        won = [result for result in results if isinstance(result, Deployment)]
        assert [state.lead for state in won] == [BEN], results
        assert isinstance(results[0], NotYourTurn | AlreadyDeploying), results
        await finishes(two, won[0])
        assert await places(one) == {}


async def test_of_two_starts_without_a_line_one_wins(replicas: tuple[Ports, Ports]) -> None:
    one, two = replicas
    results = await asyncio.gather(start(one, lead=BEN), start(two, lead=CARLA), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AlreadyDeploying", "Deployment"]


async def test_two_replicas_give_one_turn(replicas: tuple[Ports, Ports]) -> None:
    one, two = replicas
    for user in (BEN, CARLA, DAVE):
        await joins(one, user)
    for expected in (1, 2, 3):
        await asyncio.gather(*(queueing.give_turns(ports) for ports in (one, two, one, two)))
        assert len(await asked(one)) == expected
        assert list((await places(one)).values()).count(PlaceState.PINGED) == 1
        passes(one, minutes=10)


async def test_two_replicas_join_one_person_once(replicas: tuple[Ports, Ports]) -> None:
    one, two = replicas
    await start(one)
    await asyncio.gather(*(joins(ports, BEN, version=v) for ports, v in ((one, "v1"), (two, "v2"))))
    assert len(await queueing.listed(one, TEAM)) == 1


async def test_a_message_is_claimed_by_one_replica_and_after_the_lease_by_another(
    replicas: tuple[Ports, Ports],
) -> None:
    one, two = replicas
    await joins(one, BEN)
    await queueing.give_turns(one)

    async def claim(ports: Ports, owner: str) -> pings.Ping | None:
        now = ports.clock.now()
        async with ports.database.write() as tx:
            return await pings.claim(tx, 1, owner=owner, at=now, until=now + timedelta(seconds=30))

    first = await asyncio.gather(claim(one, "one"), claim(two, "two"))
    [taken] = [ping for ping in first if ping is not None]
    assert taken.attempted_at is None
    passes(one, seconds=31)
    again = await claim(two, "three")
    assert again is not None
    assert again.attempted_at == NOON  # to be looked for before it is sent again


async def test_the_second_lock_names_the_first(database: Database) -> None:
    ports = make_ports(database)
    await locks(ports, "storefront production Migration")
    with pytest.raises(AlreadyLocked, match=rf"locked already, by {ANA}: “Migration”"):
        await locks(ports, "storefront production Mine", user=BEN)


async def test_turns_left_given_and_sent_at_once_wait_for_nobody_for_ever(
    replicas: tuple[Ports, Ports],
) -> None:
    one, two = replicas
    for number in range(8):
        await joins(one, f"UPERSON{number:04}")

    async def send(ports: Ports, ping_id: int) -> None:
        now = ports.clock.now()
        async with ports.database.write() as tx:
            await pings.claim(tx, ping_id, owner="one", at=now, until=now + timedelta(seconds=1))
        async with ports.database.write() as tx:
            await queue.began(tx, ping_id, at=now)

    for number in range(8):
        await queueing.give_turns(one)
        await asyncio.gather(
            send(one, number + 1),
            queueing.leave(two, team=TEAM, user=f"UPERSON{number:04}", delivery=f"l{number}"),
            queueing.give_turns(one),
            queueing.give_turns(two),
        )
    assert await places(two) == {}
    assert len(await asked(one)) == 8
