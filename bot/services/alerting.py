"""Raise rollback triggers, and note when what raised them is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain.events import BOT, Fact
from bot.domain.watching import Source
from bot.services.ports import Ports


async def report(
    ports: Ports,
    deployment_id: int,
    *,
    key: str,
    title: str,
    source: Source,
    finding: Mapping[str, Any],
    size: float,
    by: str = BOT,
) -> None:
    """Raise a trigger once."""
    async with ports.database.write() as tx:
        state = await ports.deployments.get(tx, deployment_id, locked=True)
        if state is None or key in state.aftermath.triggers:
            return
        data = {"key": key, "title": title, "source": source.value, "finding": finding, "size": size}
        fact = Fact(kind="trigger.fired", actor=by, at=ports.clock.now(), data=data)
        await ports.deployments.append(tx, state, [fact])


async def recovered(ports: Ports, deployment_id: int, key: str, *, said: str) -> None:
    """Note that what raised a trigger is over."""
    async with ports.database.write() as tx:
        state = await ports.deployments.get(tx, deployment_id, locked=True)
        if state is not None:
            data = {"key": key, "said": said}
            fact = Fact(kind="trigger.recovered", actor=BOT, at=ports.clock.now(), data=data)
            await ports.deployments.append(tx, state, [fact])
