"""What one person sees of all deployments of their workspace: what is theirs, what runs, what has ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import IntegrityError

from bot.domain.belonging import Own, groups_named, own
from bot.domain.deployment import Deployment
from bot.domain.errors import GroupUnknown
from bot.services import seeing
from bot.services.ports import Ports
from bot.storage import homes, posts
from bot.storage.posts import Post

log = logging.getLogger(__name__)

#: Ended deployments that are shown, and of what a person deployed lately how many can be started again.
ENDED, USUAL = 10, 4
#: Ended deployments that are read to find those: some are of channels the person is not in.
READ = 5 * ENDED


@dataclass(frozen=True, kw_only=True)
class Usual:
    """Something a person deployed lately."""

    service: str
    environment: str
    checklist: str
    #: Slack id of the channel it was in.
    channel: str


@dataclass(frozen=True, kw_only=True)
class Mine:
    """What is one person's to do."""

    #: Their items by deployment, oldest deployment first; without those in which they have none.
    items: Mapping[int, tuple[Own, ...]]
    deployments: Mapping[int, Deployment]
    #: The card and the messages with boxes of these deployments.
    messages: Sequence[Post]
    #: User groups of which Slack did not say who is in them: their items are missing.
    unknown_groups: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Everything a person's home shows."""

    mine: Mine
    #: Every open deployment, and those of them the person may see; oldest first.
    every: Sequence[Deployment]
    running: Sequence[Deployment]
    #: The last ones that ended, as far as the person may see them, newest first.
    ended: Sequence[Deployment]
    usual: Sequence[Usual]
    #: The card, the messages with boxes and the alerts of all of them.
    messages: Sequence[Post] = field(default_factory=tuple)
    #: Channels of which Slack did not say who may read them: what is in them is missing.
    unknown_channels: tuple[str, ...] = ()


async def mine(ports: Ports, team: str, user: str, *, only: int | None = None) -> Mine:
    """What is a person's to do in the open deployments of the workspace, or in one of them.

    Raises StorageBusy, StorageFailed.
    """
    async with ports.database.read() as tx:
        running = await ports.deployments.open(tx, team)
        if only is not None:
            running = [deployment for deployment in running if deployment.id == only]
        messages = await posts.of_all(tx, [d.id for d in running], *homes.LINKED)
    return await _mine(ports, team, user, running, messages)


async def survey(ports: Ports, team: str, user: str) -> Survey:
    """Everything a person's home shows: nothing of private channels they are not in, but what is theirs.

    Raises StorageBusy, StorageFailed.
    """
    async with ports.database.read() as tx:
        every = await ports.deployments.open(tx, team)
        lately = await ports.deployments.ended_lately(tx, team, most=READ)
        usual = await ports.deployments.newest_of_each(tx, team, user, most=USUAL)
        messages = await posts.of_all(tx, [d.id for d in every], *homes.LINKED)
    running = await seeing.seen_by(ports, user, every)
    old = await seeing.seen_by(ports, user, lately)
    async with ports.database.read() as tx:
        found = [await ports.deployments.get(tx, one.id) for one in old.seen[:ENDED]]
        ended = [state for state in found if state is not None]
        messages += await posts.of_all(tx, [d.id for d in ended], "card")
    return Survey(
        mine=await _mine(ports, team, user, every, messages),
        every=every,
        running=running.seen,
        unknown_channels=tuple(dict.fromkeys((*running.unknown, *old.unknown))),
        ended=ended,
        usual=[
            Usual(service=service, environment=environment, checklist=checklist, channel=channel)
            for service, environment, checklist, channel in usual
        ],
        messages=messages,
    )


async def opened(ports: Ports, team: str, user: str) -> None:
    """A person opened their home: it is to be drawn. Raises StorageBusy, StorageFailed."""
    await _want(ports, team, user, opened=True)


async def changed(ports: Ports, team: str, user: str) -> None:
    """A person's home shows what is not so: draw it again. Raises StorageBusy, StorageFailed."""
    await _want(ports, team, user, opened=False)


async def _want(ports: Ports, team: str, user: str, *, opened: bool) -> None:
    try:
        async with ports.database.write() as tx:
            await homes.want(tx, team, user, at=ports.clock.now(), opened=opened)
    except IntegrityError:  # another replica added it between our look and our write
        async with ports.database.write() as tx:
            await homes.want(tx, team, user, at=ports.clock.now(), opened=opened)
    ports.bell.ring()


async def _mine(
    ports: Ports, team: str, user: str, running: Sequence[Deployment], messages: Sequence[Post]
) -> Mine:
    named: set[str] = set()
    for deployment in running:
        named |= groups_named(deployment)
    groups, unknown = await _groups_of(ports, team, user, named)
    now = ports.clock.now()
    items = {deployment.id: own(deployment, user, groups, at=now) for deployment in running}
    items = {deployment_id: found for deployment_id, found in items.items() if found}
    return Mine(
        items=items,
        deployments={deployment.id: deployment for deployment in running if deployment.id in items},
        messages=[post for post in messages if post.deployment_id in items],
        unknown_groups=unknown,
    )


async def _groups_of(
    ports: Ports, team: str, user: str, named: Collection[str]
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Which of these user groups the person is in, and of which nobody knows."""

    async def look(group: str) -> bool | None:
        try:
            return user in await ports.groups.members(team, group)
        except GroupUnknown:
            log.warning("Slack does not say who is in user group %s: homes lack what is theirs", group)
            return None

    order = sorted(named)
    found = await asyncio.gather(*(look(group) for group in order))
    told = dict(zip(order, found, strict=True))
    return (
        frozenset(group for group, member in told.items() if member),
        tuple(group for group, member in told.items() if member is None),
    )
