"""Collects what a report is made of: a deployment's history and samples, and the names of its people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from bot.checklists.inline import plain
from bot.domain.errors import NoSuchDeployment
from bot.domain.report import Report
from bot.domain.retelling import made, people_in
from bot.services.ports import Clock, Ports
from bot.storage import samples
from bot.storage.database import Database
from bot.storage.deployments import Deployments

#: Looks up what people are called, by Slack id; who is not found is called by the id.
Names = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]


async def nobody(_: Sequence[str]) -> Mapping[str, str]:
    """No names: people are called by their ids."""
    return {}


async def report(ports: Ports, deployment_id: int, *, names: Names = nobody) -> Report:
    """The report of a deployment as it stands. Raises NoSuchDeployment, StorageBusy, StorageFailed."""
    return await collect(ports.database, ports.deployments, ports.clock, deployment_id, names=names)


async def collect(
    database: Database, deployments: Deployments, clock: Clock, deployment_id: int, *, names: Names
) -> Report:
    """The same for whoever has no ports. The report is made in a thread: it takes some 100 ms."""
    async with database.read() as tx:
        history = await deployments.history(tx, deployment_id)
        taken = await samples.of(tx, deployment_id)
    if not history:
        raise NoSuchDeployment(str(deployment_id))
    called = await names(people_in(history))
    make = partial(made, history, taken, names=called, plain=plain, now=clock.now())
    return await asyncio.to_thread(make)
