"""Finish a deployment, or call it off."""

from __future__ import annotations

from bot.domain import gating
from bot.domain.conduct import Hold, Permission
from bot.domain.deployment import Deployment, aborted
from bot.domain.errors import NoSuchDeployment
from bot.domain.events import Fact
from bot.domain.verification import Purpose
from bot.services import checking, locking, permitting
from bot.services.ports import Ports


async def finish(ports: Ports, deployment_id: int, *, user: str, delivery: str) -> Deployment:
    """End a deployment that went through; its open items are named in the history.

    Where evidence has to be looked at again first, it ends when that is done and nothing reopened.
    Raises NoSuchDeployment, DeploymentClosed, NotPermitted, GroupUnknown, GateClosed, StorageBusy,
    StorageFailed.
    """
    await permitting.require_for(ports, deployment_id, Permission.END, user=user)
    now = ports.clock.now()
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment_id)
    if state is None:
        raise NoSuchDeployment(str(deployment_id))
    locks = await locking.before_the_end(ports, state, at=now)

    def allowed(state: Deployment) -> None:
        obstacles = (*gating.go_missing(state, at=now), *locks)
        gating.check_gates(state, Hold.FINISH, obstacles=obstacles)

    return await checking.conclude(
        ports, deployment_id, Purpose.FINISH, user=user, delivery=delivery, allowed=allowed
    )


async def abort(ports: Ports, deployment_id: int, *, user: str, reason: str, delivery: str) -> Deployment:
    """End a deployment that is called off.

    Raises NoSuchDeployment, DeploymentClosed, NotPermitted, GroupUnknown, ReasonMissing, ReasonTooLong,
    StorageBusy, StorageFailed.
    """
    await permitting.require_for(ports, deployment_id, Permission.END, user=user)

    def facts(state: Deployment) -> list[Fact]:
        return [aborted(state, user=user, at=ports.clock.now(), reason=reason)]

    _, after = await checking.act(ports, deployment_id, delivery, facts, purpose=Purpose.FINISH)
    return after
