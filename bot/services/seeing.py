"""Who may see what: a deployment in a private channel is for the people of that channel, and for its lead."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeVar

from bot.domain.errors import AudienceUnknown
from bot.services.ports import Ports


class Placed(Protocol):
    """A deployment, or what is known of one in brief."""

    @property
    def team(self) -> str:
        """Slack id of its workspace."""

    @property
    def channel(self) -> str:
        """Slack id of its channel."""

    @property
    def lead(self) -> str:
        """Slack id of who leads it."""


AnyPlaced = TypeVar("AnyPlaced", bound=Placed)


async def seen_by(ports: Ports, user: str, deployments: Sequence[AnyPlaced]) -> list[AnyPlaced]:
    """Those of these deployments that a person may see, in their order.

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


async def may_be_named(ports: Ports, deployment: Placed, *, channel: str) -> bool:
    """Whether a deployment may be named in a channel: it is its own, or a public one's. Not where it is
    unknown."""
    if deployment.channel == channel:
        return True
    try:
        return await ports.channels.audience(deployment.team, deployment.channel) is None
    except AudienceUnknown:
        return False
