"""Finish a deployment, or call it off."""

from __future__ import annotations

import uuid

from bot.domain.deployment import Deployment, aborted
from bot.domain.errors import NoSuchDeployment
from bot.domain.post import PlannedPost
from bot.domain.verification import Purpose
from bot.services import checking
from bot.services.ports import Ports
from bot.storage import deliveries, posts


async def finish(ports: Ports, deployment_id: int, *, user: str, delivery: str) -> Deployment:
    """End a deployment that went through; its open items are named in the history.

    Where evidence has to be looked at again first, it ends when that is done and nothing reopened.
    Raises DeploymentClosed, NoSuchDeployment, StorageBusy, StorageFailed.
    """
    return await checking.conclude(ports, deployment_id, Purpose.FINISH, user=user, delivery=delivery)


async def abort(ports: Ports, deployment_id: int, *, user: str, reason: str, delivery: str) -> Deployment:
    """End a deployment that is called off.

    Raises DeploymentClosed, ReasonMissing, ReasonTooLong, StorageBusy, StorageFailed.
    """
    async with ports.database.write() as tx:
        state = await ports.deployments.get(tx, deployment_id, locked=True)
        if state is None:
            raise NoSuchDeployment(str(deployment_id))
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return state
        now = ports.clock.now()
        after = await ports.deployments.append(tx, state, [aborted(state, user=user, at=now, reason=reason)])
        await posts.want(tx, deployment_id=after.id, at=now, settled=True)
        notice = PlannedPost(kind="notice", key=after.phase)
        await posts.add(
            tx, [(uuid.uuid4().hex, notice)], deployment_id=after.id, channel=after.channel, at=now
        )
        await deliveries.add(tx, delivery, at=now, deployment_id=after.id)
    ports.bell.ring()
    return after
