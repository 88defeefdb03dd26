"""Find the deployment a person means."""

from __future__ import annotations

import difflib
import re

from bot.domain.deployment import Deployment
from bot.domain.errors import NoSuchDeployment
from bot.services import seeing
from bot.services.ports import Ports
from bot.storage import posts
from bot.storage.posts import Post


async def get(ports: Ports, deployment_id: int, *, team: str) -> Deployment:
    """The deployment with this id in this workspace. Raises NoSuchDeployment."""
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment_id)
    if state is None or state.team != team:
        raise NoSuchDeployment(str(deployment_id))
    return state


async def named(
    ports: Ports, team: str, name: str, *, user: str | None = None, channel: str = ""
) -> Deployment:
    """The deployment people call `name`, where this person may see it; without one, any.

    What is in `channel`, where they ask, they see. Raises NoSuchDeployment, with the nearest open one,
    AudienceUnknown.
    """
    async with ports.database.read() as tx:
        state = await ports.deployments.named(tx, team, name)
        others = [] if state is not None else await ports.deployments.open(tx, team)
    if state is not None:
        if user is None or state.channel == channel or await seeing.may_see(ports, user, state):
            return state
    elif user is not None:
        others = (await seeing.seen_by(ports, user, others)).seen
    known = [d.name for d in others]
    nearest = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.5)
    raise NoSuchDeployment(name, nearest=nearest[0] if nearest else None)


def looks_like_a_name(word: str) -> bool:
    """Whether a word has the form of a deployment's name, e.g. `storefront-12`."""
    return re.fullmatch(r"[\w-]+-\d+", word) is not None


async def opened(ports: Ports, team: str, channel: str | None = None) -> list[Deployment]:
    """The open deployments of a workspace, or of one channel, oldest first, whoever may see them."""
    async with ports.database.read() as tx:
        return await ports.deployments.open(tx, team, channel)


async def opened_to(ports: Ports, team: str, user: str) -> seeing.Sight[Deployment]:
    """The open deployments of a workspace that a person may see, oldest first."""
    return await seeing.seen_by(ports, user, await opened(ports, team))


async def newest(ports: Ports, team: str, channel: str) -> Deployment | None:
    """The deployment that was started last in a channel, open or not; None where there was none."""
    async with ports.database.read() as tx:
        return await ports.deployments.newest(tx, team, channel)


async def in_thread(ports: Ports, team: str, channel: str, ts: str) -> Deployment | None:
    """The deployment whose thread this is, or None."""
    async with ports.database.read() as tx:
        deployment_id = await posts.deployment_at(tx, channel, ts)
        state = None if deployment_id is None else await ports.deployments.get(tx, deployment_id)
    return state if state is not None and state.team == team else None


async def card(ports: Ports, deployment_id: int) -> Post | None:
    """The card of a deployment, to link to."""
    async with ports.database.read() as tx:
        return await posts.card(tx, deployment_id)


async def message(ports: Ports, post_id: int) -> Post | None:
    """One message of a deployment's, or None."""
    async with ports.database.read() as tx:
        return await posts.get(tx, post_id)


async def sections(ports: Ports, deployment_id: int) -> list[Post]:
    """The messages of a deployment's sections, in order, to link to."""
    async with ports.database.read() as tx:
        return await posts.of_kind(tx, deployment_id, "section")
