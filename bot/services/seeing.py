"""Who may see what: a deployment in a private channel is for the people of that channel, and for its lead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bot.domain.errors import AudienceUnknown
from bot.services.ports import Ports

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, kw_only=True)
class Sight(Generic[AnyPlaced]):
    """What a person may see of some deployments."""

    #: Those they may, in their order.
    seen: list[AnyPlaced]
    #: Channels of which Slack does not say who may read them: what is in them is left out.
    unknown: tuple[str, ...] = ()


async def seen_by(ports: Ports, user: str, deployments: Sequence[AnyPlaced]) -> Sight[AnyPlaced]:
    """What a person may see of these deployments."""

    async def shown(team: str, channel: str) -> bool | None:
        try:
            return await _reads(ports, user, team, channel)
        except AudienceUnknown as error:
            log.warning("%s", error)
            return None

    places = sorted({(one.team, one.channel) for one in deployments if one.lead != user})
    answers = await asyncio.gather(*(shown(*place) for place in places))
    told = dict(zip(places, answers, strict=True))
    return Sight(
        seen=[one for one in deployments if one.lead == user or told[one.team, one.channel]],
        unknown=tuple(channel for (_, channel), answer in told.items() if answer is None),
    )


async def may_see(ports: Ports, user: str, deployment: Placed) -> bool:
    """Whether a person may see a deployment. Raises AudienceUnknown."""
    return deployment.lead == user or await _reads(ports, user, deployment.team, deployment.channel)


async def _reads(ports: Ports, user: str, team: str, channel: str) -> bool:
    people = await ports.channels.audience(team, channel)
    return people is None or user in people


async def may_be_named(ports: Ports, deployment: Placed, *, channel: str) -> bool:
    """Whether a deployment may be named in a channel: it is its own, or a public one's. Not where it is
    unknown."""
    if deployment.channel == channel:
        return True
    try:
        return await ports.channels.audience(deployment.team, deployment.channel) is None
    except AudienceUnknown:
        return False
