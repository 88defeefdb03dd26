"""Whether somebody may do what they ask for. Everybody may, unless the checklist's sidecar says otherwise."""

from __future__ import annotations

from bot.domain.conduct import DEEDS, Allowed, Conduct, Permission
from bot.domain.deployment import Deployment
from bot.domain.errors import NoSuchDeployment, NotPermitted
from bot.domain.events import BOT
from bot.services.ports import Ports


async def require(ports: Ports, state: Deployment, permission: Permission, *, user: str) -> None:
    """See that this person may do this in this deployment. Raises NotPermitted, GroupUnknown."""
    await require_in(ports, state.conduct, permission, user=user, team=state.team, channel=state.channel)


async def require_for(ports: Ports, deployment_id: int, permission: Permission, *, user: str) -> None:
    """The same by the deployment's id. Raises NoSuchDeployment, NotPermitted, GroupUnknown."""
    state = ports.deployments.kept(deployment_id)  # its rules, team and channel never change
    if state is None:
        async with ports.database.read() as tx:
            state = await ports.deployments.get(tx, deployment_id)
    if state is None:
        raise NoSuchDeployment(str(deployment_id))
    await require(ports, state, permission, user=user)


async def require_in(
    ports: Ports, conduct: Conduct, permission: Permission, *, user: str, team: str, channel: str
) -> None:
    """The same by rules that belong to no deployment yet. Raises NotPermitted, GroupUnknown."""
    allowed = conduct.permissions.get(permission)
    if allowed is None or user == BOT:
        return
    deed = DEEDS[permission]
    if allowed.channels and channel not in allowed.channels:
        raise NotPermitted(deed=deed, people=allowed.people, channels=allowed.channels, here=False)
    if allowed.people and not await is_one_of(ports, allowed, user=user, team=team):
        raise NotPermitted(deed=deed, people=allowed.people, channels=allowed.channels, here=True)


async def is_one_of(ports: Ports, allowed: Allowed, *, user: str, team: str) -> bool:
    """Whether a person is named, or in a group that is. Raises GroupUnknown where only a group could say."""
    if user in allowed.people:
        return True
    for group in (one for one in allowed.people if one.startswith("S")):
        if user in await ports.groups.members(team, group):
            return True
    return False


async def approvers(ports: Ports, state: Deployment) -> frozenset[str] | None:
    """The people of the group that approves; None where no group is named. Raises GroupUnknown."""
    approval = state.conduct.approval
    if approval is None or not approval.group:
        return None
    return await ports.groups.members(state.team, approval.group)
