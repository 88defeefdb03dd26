"""Finish or abort a deployment."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from bot.domain.deployment import Deployment, aborted, finished
from bot.domain.errors import NoSuchDeployment
from bot.domain.events import Fact
from bot.domain.post import PlannedPost
from bot.services.ports import Ports
from bot.storage import deliveries, posts


async def finish(ports: Ports, deployment_id: int, *, user: str, delivery: str) -> Deployment:
    """End a deployment that went through; its open items are named in the history.

    Raises DeploymentClosed, StorageBusy, StorageFailed.
    """
    return await _end(
        ports, deployment_id, delivery, lambda state: finished(state, user=user, at=ports.clock.now())
    )


async def abort(ports: Ports, deployment_id: int, *, user: str, reason: str, delivery: str) -> Deployment:
    """End a deployment that is called off.

    Raises DeploymentClosed, ReasonMissing, StorageBusy, StorageFailed.
    """
    return await _end(
        ports,
        deployment_id,
        delivery,
        lambda state: aborted(state, user=user, at=ports.clock.now(), reason=reason),
    )


async def _end(
    ports: Ports, deployment_id: int, delivery: str, end: Callable[[Deployment], Fact]
) -> Deployment:
    async with ports.database.write() as tx:
        state = await ports.deployments.get(tx, deployment_id, locked=True)
        if state is None:
            raise NoSuchDeployment(str(deployment_id))
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return state
        after = await ports.deployments.append(tx, state, [end(state)])
        now = ports.clock.now()
        await posts.want(tx, deployment_id=after.id, at=now)
        notice = PlannedPost(kind="notice", key=after.phase)
        await posts.add(
            tx, [(uuid.uuid4().hex, notice)], deployment_id=after.id, channel=after.channel, at=now
        )
        await deliveries.add(tx, delivery, at=now, deployment_id=after.id)
    ports.bell.ring()
    return after
