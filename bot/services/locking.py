"""Lock a service, unlock it, and say what keeps a deployment from Go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment, Target
from bot.domain.errors import AlreadyLocked, NotLocked, TargetLocked
from bot.domain.freezing import Frozen, frozen
from bot.domain.locks import Lock, Obstacle, obstacle_of, read_lock
from bot.services import permitting
from bot.services.choosing import checklist_for
from bot.services.ports import Ports
from bot.storage import deliveries, locks, pings

#: Names that are environments although nothing was ever deployed there.
USUAL = ("production", "prod", "staging", "preview", "test", "qa", "dev", "development")


async def lock(
    ports: Ports, *, team: str, channel: str, words: str, user: str, timezone: str, delivery: str
) -> Lock:
    """Lock what the words say, for as long as they say, in the person's time zone.

    Raises LockServiceMissing, LockReasonMissing, LockTimeUnusable, ReasonTooLong, InvalidName,
    WhenOutOfRange, AlreadyLocked, NotPermitted, GroupUnknown, ChecklistUnusable, SidecarUnusable,
    StorageBusy, StorageFailed.
    """
    now = ports.clock.now()
    async with ports.database.read() as tx:
        known = [*USUAL, *await ports.deployments.environments(tx, team)]
    wish = read_lock(words, known=known, now=now, timezone=timezone)
    await _permitted(ports, wish.service, wish.environment, team=team, channel=channel, user=user)
    try:
        async with ports.database.write() as tx:
            seen, _ = await deliveries.effect(tx, delivery)
            there = await _same(tx, team, wish.service, wish.environment, now)
            if there is not None:
                if seen and there.by == user:
                    return there
                raise already(there)
            await locks.release_expired(tx, at=now)
            made = await locks.add(
                tx,
                team=team,
                service=wish.service,
                environment=wish.environment,
                by=user,
                reason=wish.reason,
                at=now,
                until=wish.until,
            )
            if not seen:
                await deliveries.add(tx, delivery, at=now)
            return made
    except IntegrityError as error:
        # Another replica locked it between our look and our write.
        async with ports.database.read() as tx:
            there = await _same(tx, team, wish.service, wish.environment, now)
        if there is None:
            raise
        raise already(there) from error


async def _permitted(
    ports: Ports, service: str, environment: str, *, team: str, channel: str, user: str
) -> None:
    """See that this person may lock and unlock, by the rules of the checklist the service goes by; without an
    environment in each there is.

    Raises NotPermitted, GroupUnknown, ChecklistUnusable, SidecarUnusable.
    """
    environments = [environment]
    if not environment:
        async with ports.database.read() as tx:
            environments = [USUAL[0], *await ports.deployments.environments(tx, team)]
    for one in dict.fromkeys(environments):
        name = checklist_for(ports, service, one)
        conduct = await ports.rulebook.conduct(name, service=service, version="", environment=one)
        await permitting.require_in(ports, conduct, Permission.LOCK, user=user, team=team, channel=channel)


async def _same(tx: AsyncConnection, team: str, service: str, environment: str, at: datetime) -> Lock | None:
    found = await locks.active(tx, team, at=at, service=service)
    return next((one for one in found if one.environment.casefold() == environment.casefold()), None)


async def unlock(
    ports: Ports, *, team: str, channel: str, service: str, environment: str, user: str, delivery: str
) -> Sequence[Lock]:
    """Lift the lock of a service in an environment, or without one all its locks; those that were lifted.

    Whoever locked it is told where it was somebody else. Raises NotLocked, NotPermitted, GroupUnknown,
    ChecklistUnusable, SidecarUnusable, StorageBusy, StorageFailed.
    """
    now = ports.clock.now()
    async with ports.database.read() as tx:
        lifted = await locks.active(tx, team, at=now, service=service)
    for one in {environment, *(one.environment for one in lifted if not environment)}:
        await _permitted(ports, service, one, team=team, channel=channel, user=user)
    async with ports.database.write() as tx:
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return ()
        there = await locks.active(tx, team, at=now, service=service)
        found = [
            one for one in there if not environment or one.environment.casefold() == environment.casefold()
        ]
        if not found:
            what = f"{service} in {environment}" if environment else service
            raise NotLocked(what, instead=tuple(one.what for one in there))
        await _lift(tx, found, user=user, at=now)
        await deliveries.add(tx, delivery, at=now)
    ports.bell.ring()
    return found


async def unlock_one(
    ports: Ports, lock_id: int, *, team: str, channel: str, user: str, delivery: str
) -> Lock:
    """Lift one lock. Raises NotLocked where somebody has meanwhile, and as `unlock`."""
    now = ports.clock.now()
    async with ports.database.read() as tx:
        known = await locks.get(tx, lock_id)
    if known is not None:
        await _permitted(ports, known.service, known.environment, team=team, channel=channel, user=user)
    async with ports.database.write() as tx:
        found = await locks.get(tx, lock_id)
        if found is None or found.team != team:
            raise NotLocked("It")
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return found
        if not found.active(now):
            raise NotLocked(found.what)
        await _lift(tx, [found], user=user, at=now)
        await deliveries.add(tx, delivery, at=now)
    ports.bell.ring()
    return found


async def _lift(tx: AsyncConnection, found: Sequence[Lock], *, user: str, at: datetime) -> None:
    await locks.release(tx, [one.id for one in found], by=user, at=at)
    for one in found:
        if one.by != user:
            await pings.add(
                tx, team=one.team, user=one.by, kind="unlocked", about=one.id, at=at, content={"by": user}
            )


async def listed(ports: Ports, team: str) -> Sequence[Lock]:
    """The locks of a workspace that hold, oldest first."""
    async with ports.database.read() as tx:
        return await locks.active(tx, team, at=ports.clock.now())


async def frozen_now(ports: Ports, checklist: str, target: Target, *, at: datetime) -> Frozen | None:
    """The freeze that holds by a checklist's sidecar. Raises ChecklistUnusable, SidecarUnusable."""
    return frozen((await ports.policies.policy(checklist)).freezes, target, at)


async def obstacles(ports: Ports, state: Deployment, *, at: datetime) -> tuple[Obstacle, ...]:
    """What keeps this deployment from Go at this instant: locks first, then the freeze; empty for nothing.

    Raises SidecarUnusable or ChecklistUnusable where the freezes cannot be read: that there is none would be
    a guess. Raises StorageFailed.
    """
    async with ports.database.read() as tx:
        found = [obstacle_of(one) for one in await locks.covering(tx, state.team, state.target, at=at)]
    freeze = await frozen_now(ports, state.checklist_name, state.target, at=at)
    return (*found, *([freeze.obstacle] if freeze is not None else []))


async def in_the_way(ports: Ports, state: Deployment, *, at: datetime) -> tuple[str, ...]:
    """The obstacles, each as a sentence. Raises as `obstacles`."""
    return _said(await obstacles(ports, state, at=at))


async def before_the_end(ports: Ports, state: Deployment, *, at: datetime) -> tuple[str, ...]:
    """The locks that keep it from Go where it would end without ever having been live: that would be a way
    around them. Each as a sentence. Raises StorageFailed."""
    if state.aftermath.deployed is not None or state.aftermath.rollback is not None:
        return ()
    async with ports.database.read() as tx:
        return _said([obstacle_of(one) for one in await locks.covering(tx, state.team, state.target, at=at)])


def _said(obstacles: Iterable[Obstacle]) -> tuple[str, ...]:
    said = []
    for one in obstacles:
        until = f", until {one.until:%d %b %H:%M} UTC" if one.until is not None else ""
        said.append(f"{one.said.rstrip('.')}{until}.")
    return tuple(said)


async def release_expired(ports: Ports) -> None:
    """Lift the locks whose time is over. Raises StorageBusy, StorageFailed."""
    now = ports.clock.now()
    async with ports.database.read() as tx:
        if not await locks.expired(tx, at=now):
            return
    async with ports.database.write() as tx:
        await locks.release_expired(tx, at=now)


def locked_by(found: Lock) -> TargetLocked:
    """The refusal that names who locked it, why and until when."""
    return TargetLocked(
        lock_id=found.id,
        what=found.what,
        by=found.by,
        reason=found.reason,
        until=found.until,
        unlock=f"{found.service} {found.environment}".strip(),
    )


def already(found: Lock) -> AlreadyLocked:
    """The refusal of a second lock."""
    return AlreadyLocked(
        what=found.what,
        by=found.by,
        reason=found.reason,
        unlock=f"{found.service} {found.environment}".strip(),
    )
