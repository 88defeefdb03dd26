"""Direct messages about turns on both databases: one message, whoever sends it and whenever they die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from bot.domain.errors import NotInstalled
from bot.services import queueing
from bot.services.ports import Ports
from bot.slack.gateway import Gateway, web_client
from bot.slack.pinger import Pinger
from bot.slack.teams import OneTeam
from bot.storage import pings, queue
from bot.storage.database import Database
from tests.makers import BEN, CHANNEL, TEAM, ManualClock, make_ports
from tests.stage import Stage


@pytest.fixture
async def gateway(stage: Stage) -> AsyncIterator[Gateway]:
    async with aiohttp.ClientSession() as session:
        yield Gateway(web_client(stage.installed.bot_token, stage.installed.api_url, session))


@pytest.fixture
async def replicas(database_url: str, database: Database) -> AsyncIterator[tuple[Ports, Ports]]:
    """Two processes on one database, with one clock that is Slack's as well."""
    clock, other = ManualClock(datetime.now(UTC)), Database(database_url)
    yield make_ports(database, clock=clock), make_ports(other, clock=clock)
    await other.close()


def pinger(ports: Ports, gateway: Gateway) -> Pinger:
    return Pinger(database=ports.database, clock=ports.clock, teams=OneTeam(gateway))


async def ben_has_a_turn(ports: Ports, *, team: str = TEAM) -> None:
    await queueing.join(
        ports,
        team=team,
        channel=CHANNEL,
        user=BEN,
        service="storefront",
        version="v1.4.3",
        environment="production",
        checklist="production",
        delivery=f"join.{team}",
    )
    await queueing.give_turns(ports)


async def left(ports: Ports) -> list[int]:
    async with ports.database.read() as tx:
        return await pings.due(tx, at=ports.clock.now() + timedelta(hours=1))


async def claimed_by_a_process_that_died(ports: Ports) -> None:
    now = ports.clock.now()
    async with ports.database.write() as tx:
        assert await pings.claim(tx, 1, owner="dead", at=now, until=now + timedelta(seconds=30)) is not None


async def test_two_replicas_write_once(replicas: tuple[Ports, Ports], stage: Stage, gateway: Gateway) -> None:
    one, two = (pinger(ports, gateway) for ports in replicas)
    await ben_has_a_turn(replicas[0])
    for _ in range(2):
        await asyncio.gather(one.look(), two.look())
    [message] = await stage.direct(BEN)
    assert "it is your turn to deploy v1.4.3" in message["text"]
    assert await left(replicas[0]) == []


async def test_who_died_before_sending_is_followed_by_another_after_the_lease(
    replicas: tuple[Ports, Ports], stage: Stage, gateway: Gateway
) -> None:
    ports, other = replicas
    await ben_has_a_turn(ports)
    await claimed_by_a_process_that_died(ports)
    await pinger(other, gateway).look()
    assert len(await left(ports)) == 1
    assert isinstance(ports.clock, ManualClock)
    ports.clock.forward(seconds=31)
    await pinger(other, gateway).look()
    assert len(await stage.direct(BEN)) == 1
    assert await left(ports) == []


@pytest.mark.parametrize("mode", ["lost_answer", "drop"])
async def test_an_answer_that_is_lost_is_looked_up_before_anything_is_sent_again(
    replicas: tuple[Ports, Ports], stage: Stage, gateway: Gateway, mode: str
) -> None:
    ports, other = replicas
    await ben_has_a_turn(ports)
    await stage.fault(kind="api", method="chat.postMessage", mode=mode, times=1)
    await pinger(ports, gateway).look()
    assert len(await left(ports)) == 1
    assert isinstance(ports.clock, ManualClock)
    ports.clock.forward(seconds=5)
    after = pinger(other, gateway)
    await after.look()
    await after.look()
    assert len(await stage.direct(BEN)) == 1
    assert await left(ports) == []


async def test_a_turn_that_is_over_before_it_was_written_is_never_written(
    replicas: tuple[Ports, Ports], stage: Stage, gateway: Gateway
) -> None:
    ports, _ = replicas
    await ben_has_a_turn(ports)
    await queueing.leave(ports, team=TEAM, user=BEN, delivery="leave")
    await pinger(ports, gateway).look()
    assert await left(ports) == []
    assert await stage.traffic("chat.postMessage") == []


async def test_slack_that_refuses_does_not_make_a_turn_last_for_ever(
    replicas: tuple[Ports, Ports], stage: Stage, gateway: Gateway
) -> None:
    ports, _ = replicas
    await ben_has_a_turn(ports)
    await stage.fault(
        kind="api", method="chat.postMessage", mode="error", error="restricted_action", times=-1
    )
    assert isinstance(ports.clock, ManualClock)
    for _ in range(11):
        await pinger(ports, gateway).look()
        ports.clock.forward(seconds=61)
    await queueing.give_turns(ports)
    await pinger(ports, gateway).look()
    assert await left(ports) == []
    async with ports.database.read() as tx:
        assert await queue.waiting(tx) == []


class WithoutOne(OneTeam):
    """Workspaces, of which one has taken the app away."""

    def __init__(self, gateway: Gateway, *, gone: str) -> None:
        super().__init__(gateway)
        self._gone = gone

    async def of(self, team: str) -> Gateway:
        """The gateway, but for the one that is gone."""
        if team == self._gone:
            raise NotInstalled(team)
        return await super().of(team)


async def test_a_workspace_that_is_gone_keeps_no_other_from_its_messages(
    replicas: tuple[Ports, Ports], stage: Stage, gateway: Gateway
) -> None:
    ports, _ = replicas
    await ben_has_a_turn(ports, team="T0GONE")
    await ben_has_a_turn(ports)
    one = Pinger(database=ports.database, clock=ports.clock, teams=WithoutOne(gateway, gone="T0GONE"))
    await one.look()
    assert len(await stage.direct(BEN)) == 1
    assert await left(ports) == [1]
    async with ports.database.read() as tx:
        assert await pings.due(tx, at=ports.clock.now()) == []
