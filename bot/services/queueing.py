"""The queue: join it, leave it, and give turns when something is free.

Who is next is decided from what is true now, not from what happened: whoever looks, after a finish, an
unlock, the end of a freeze or a restart, comes to the same answer, and the database lets one turn be given.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Target, checked_target
from bot.domain.errors import DeploybotError, NotInQueue, NotYourTurn, SeveralQueues, TurnOver
from bot.domain.queueing import Decision, Place, PlaceState, decide
from bot.services.choosing import checklist_for
from bot.services.locking import frozen_now
from bot.services.ports import Ports
from bot.storage import deliveries, locks, pings, queue

log = logging.getLogger(__name__)


async def join(
    ports: Ports,
    *,
    team: str,
    channel: str,
    user: str,
    service: str,
    version: str,
    environment: str,
    checklist: str,
    delivery: str,
) -> tuple[Place, int]:
    """Somebody wants to be told when a target is free: their place, and how many are before them.

    Who waits for it already keeps the place, with the version and the channel said last. Raises InvalidName,
    ServicesUnusable, StorageBusy, StorageFailed.
    """
    target = checked_target(service, version, environment)
    checklist = checklist or checklist_for(ports, target.service, target.environment)
    now = ports.clock.now()

    async def joined() -> tuple[Place, int]:
        async with ports.database.write() as tx:
            place, _ = await queue.join(
                tx, team=team, channel=channel, user=user, target=target, checklist=checklist, at=now
            )
            seen, _ = await deliveries.effect(tx, delivery)
            if not seen:
                await deliveries.add(tx, delivery, at=now)
            line = await queue.line(tx, team, target)
            return place, sum(other.id < place.id for other in line)

    try:
        return await joined()
    except IntegrityError:
        # Another replica committed a click of this person between our look and our write.
        return await joined()


async def leave(ports: Ports, *, team: str, user: str, delivery: str, service: str = "") -> Sequence[Place]:
    """Somebody waits no more, for a service or for the only thing they wait for; the places they had.

    The same delivery again changes nothing, and gives none.

    Raises NotInQueue, SeveralQueues, StorageBusy, StorageFailed.
    """
    async with ports.database.write() as tx:
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return ()
        mine = [place for place in await queue.waiting(tx, team) if place.user == user]
        found = [
            place for place in mine if not service or place.target.service.casefold() == service.casefold()
        ]
        services = tuple(dict.fromkeys(place.target.service for place in found))
        if not found:
            raise NotInQueue
        if len(services) > 1:
            raise SeveralQueues(services)
        for place in found:
            await _become(tx, place, PlaceState.LEFT, at=ports.clock.now())
        await deliveries.add(tx, delivery, at=ports.clock.now())
    ports.bell.ring()
    return found


async def not_any_more(ports: Ports, place_id: int, *, user: str, delivery: str) -> Place:
    """Somebody does not want their turn. Raises NotInQueue, StorageBusy, StorageFailed."""
    async with ports.database.write() as tx:
        place = await queue.get(tx, place_id, locked=True)
        seen, _ = await deliveries.effect(tx, delivery)
        if seen and place is not None:
            return place
        if place is None or place.user != user or not place.state.live:
            raise NotInQueue
        await _become(tx, place, PlaceState.LEFT, at=ports.clock.now())
        await deliveries.add(tx, delivery, at=ports.clock.now())
    ports.bell.ring()
    return place


async def place_of(ports: Ports, place_id: int, *, user: str) -> Place:
    """The place whose turn somebody uses. Raises TurnOver where it is not theirs or over, StorageFailed."""
    async with ports.database.read() as tx:
        place = await queue.get(tx, place_id)
    if place is None or place.user != user or not place.state.live:
        raise TurnOver
    return place


async def listed(ports: Ports, team: str) -> Sequence[Place]:
    """Everybody who waits in a workspace, first come first."""
    async with ports.database.read() as tx:
        return await queue.waiting(tx, team)


# ── turns ────────────────────────────────────────────────────────────────────────────────────────────────


async def give_turns(ports: Ports) -> None:
    """End the turns that are over, and give the next. Raises StorageBusy, StorageFailed."""
    async with ports.database.read() as tx:
        places = await queue.waiting(tx)
    lines: dict[tuple[str, str, str], Target] = {}
    for place in places:
        target = place.target
        lines[place.team, target.service.casefold(), target.environment.casefold()] = target
    for (team, _, _), target in lines.items():
        await _attend(ports, team, target)


async def _attend(ports: Ports, team: str, target: Target) -> None:
    now = ports.clock.now()
    # Looked at before anything is locked: mostly there is nothing to do.
    async with ports.database.read() as tx:
        line = await queue.line(tx, team, target)
        busy = await _busy(ports, tx, team, target, now)
    seen = {place.id for place in line}
    frozen = await _frozen(ports, line, now)
    if decide(line, busy=busy, frozen=frozen, at=now).nothing:
        return
    try:
        async with ports.database.write() as tx:
            line = await queue.line(tx, team, target, locked=True)
            busy = await _busy(ports, tx, team, target, now)
            # Who joined since the freezes were looked at has to wait for the next look.
            frozen |= {place.id for place in line if place.id not in seen}
            await _carry_out(tx, decide(line, busy=busy, frozen=frozen, at=now), now)
    except IntegrityError:
        return  # another replica gave the turn
    ports.bell.ring()


async def _busy(ports: Ports, tx: AsyncConnection, team: str, target: Target, at: datetime) -> bool:
    """Whether nobody can deploy this now, whatever their checklist."""
    if await ports.deployments.holder(tx, team, target) is not None:
        return True
    return bool(await locks.covering(tx, team, target, at=at))


async def _frozen(ports: Ports, line: Sequence[Place], at: datetime) -> frozenset[int]:
    """The ids of the places whose checklist lets nobody deploy now, or cannot be read."""
    found = set()
    for place in line:
        try:
            if await frozen_now(ports, place.checklist, place.target, at=at) is not None:
                found.add(place.id)
        except DeploybotError as error:
            log.warning("the turn of place %d waits until this is mended: %s", place.id, error)
            found.add(place.id)
    return frozenset(found)


async def _carry_out(tx: AsyncConnection, decision: Decision, at: datetime) -> None:
    if decision.back is not None:
        await _become(tx, decision.back, PlaceState.WAITING, at=at)
    if decision.over is not None:
        await _become(tx, decision.over, PlaceState.EXPIRED, at=at)
    if decision.next is not None and await queue.become(tx, decision.next, PlaceState.PINGED, pinged_at=at):
        await pings.add(
            tx, team=decision.next.team, user=decision.next.user, kind="turn", about=decision.next.id, at=at
        )


async def _become(tx: AsyncConnection, place: Place, state: PlaceState, *, at: datetime) -> None:
    """Another state, and the message about the turn says so, where there is one."""
    await queue.become(tx, place, state)
    await pings.want(tx, kind="turn", about=place.id, at=at)


# ── what a start has to do with it ───────────────────────────────────────────────────────────────────────


def in_the_way(line: Sequence[Place], *, user: str, checklist: str) -> Place | None:
    """Whose turn it is before this person's: who has it, else who is first in line by the same checklist."""
    turn = next((place for place in line if place.state is PlaceState.PINGED), None)
    first = turn or next((place for place in line if place.checklist == checklist), None)
    return None if first is None or first.user == user else first


def not_your_turn(place: Place) -> NotYourTurn:
    """The refusal that says whose turn it is."""
    target = place.target
    return NotYourTurn(what=f"{target.service} to {target.environment}", user=place.user, until=place.until)


async def after_start(tx: AsyncConnection, line: Sequence[Place], *, user: str, at: datetime) -> None:
    """Who started waits no more; whose turn it was waits again, first as before."""
    for place in line:
        if place.user == user:
            await _become(tx, place, PlaceState.STARTED, at=at)
        elif place.state is PlaceState.PINGED:
            await _become(tx, place, PlaceState.WAITING, at=at)
