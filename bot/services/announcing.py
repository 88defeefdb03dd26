"""Tell other channels of a deployment."""

from __future__ import annotations

from bot.domain.deployment import announced
from bot.domain.errors import NoSuchDeployment
from bot.domain.post import PlannedPost
from bot.services.ports import Ports
from bot.storage import deliveries, posts


async def announce(
    ports: Ports,
    deployment_id: int,
    *,
    what: str,
    channel: str,
    words: str,
    user: str,
    delivery: str,
) -> None:
    """Own a message in another channel: `notify` with somebody's words, `share` with the figures.

    Raises NoSuchDeployment, ReasonTooLong, StorageBusy, StorageFailed.
    """
    async with ports.database.write() as tx:
        state = await ports.deployments.get(tx, deployment_id, locked=True)
        if state is None:
            raise NoSuchDeployment(str(deployment_id))
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return
        now = ports.clock.now()
        fact = announced(state, what=what, channel=channel, words=words, user=user, at=now)
        after = await ports.deployments.append(tx, state, [fact])
        content = {"what": what, "words": fact.data["words"], "by": user}
        post = PlannedPost(kind="announcement", key=f"{what}-{after.seq}", content=content)
        await posts.add(tx, [post], deployment_id=after.id, channel=channel, at=now)
        await deliveries.add(tx, delivery, at=now, deployment_id=after.id)
    ports.bell.ring()
