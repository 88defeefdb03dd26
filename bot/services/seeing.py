"""Who may see what: a deployment in a private channel is for the people of that channel, and for its lead."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.domain.deployment import Deployment
from bot.services.ports import Ports


async def seen_by(ports: Ports, user: str, deployments: Sequence[Deployment]) -> list[Deployment]:
    """Those of these deployments of one workspace that a person may see, in their order.

    Raises AudienceUnknown.
    """
    asked = sorted({(one.team, one.channel) for one in deployments if one.lead != user})
    audiences = await asyncio.gather(*(ports.channels.audience(*place) for place in asked))
    closed = {
        place
        for place, people in zip(asked, audiences, strict=True)
        if people is not None and user not in people
    }
    return [one for one in deployments if one.lead == user or (one.team, one.channel) not in closed]
