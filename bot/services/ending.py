"""Finish a deployment, or call it off."""

from __future__ import annotations

from bot.domain.deployment import Deployment, aborted
from bot.domain.events import Fact
from bot.domain.verification import Purpose
from bot.services import checking
from bot.services.ports import Ports


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

    def facts(state: Deployment) -> list[Fact]:
        return [aborted(state, user=user, at=ports.clock.now(), reason=reason)]

    _, after = await checking.act(ports, deployment_id, delivery, facts, purpose=Purpose.FINISH)
    return after
