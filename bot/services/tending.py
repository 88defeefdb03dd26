"""What people do about an item besides ticking it: waive it, give it to somebody, write a note; and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import checking as checks
from bot.domain import tending
from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment
from bot.domain.errors import AlreadyAssigned, NotAssigned, NothingCalled
from bot.domain.events import Fact
from bot.domain.post import PlannedPost
from bot.services import checking, permitting
from bot.services.ports import Ports
from bot.storage import posts


async def waive(
    ports: Ports, deployment_id: int, position: int, *, reason: str, user: str, delivery: str
) -> Deployment:
    """An item does not apply here; it counts as done.

    Raises NoSuchDeployment, DeploymentClosed, NoSuchItem, AlreadyWaived, WaiverReasonMissing, ReasonTooLong,
    NotPermitted, GroupUnknown, StorageBusy, StorageFailed.
    """
    await permitting.require_for(ports, deployment_id, Permission.WAIVE, user=user)
    return await _act(
        ports,
        deployment_id,
        delivery,
        lambda state: [tending.waived(state, position, user=user, at=ports.clock.now(), reason=reason)],
    )


async def unwaive(ports: Ports, deployment_id: int, position: int, *, user: str, delivery: str) -> Deployment:
    """It applies after all. Raises as `waive`, and NotWaived."""
    await permitting.require_for(ports, deployment_id, Permission.WAIVE, user=user)
    return await _act(
        ports,
        deployment_id,
        delivery,
        lambda state: [tending.unwaived(state, position, user=user, at=ports.clock.now())],
    )


async def assign(
    ports: Ports, deployment_id: int, positions: Sequence[int], *, to: str, user: str, delivery: str
) -> Deployment:
    """Give items to a person or a user group, who are mentioned once in the thread.

    Items they have already stay as they are. Raises NoSuchDeployment, DeploymentClosed, NoSuchItem,
    AssigneeUnusable, AlreadyAssigned where they have all of them, NotPermitted, GroupUnknown, StorageBusy,
    StorageFailed.
    """
    await permitting.require_for(ports, deployment_id, Permission.TICK, user=user)

    def facts(state: Deployment) -> list[Fact]:
        now = ports.clock.now()
        new = [position for position in positions if to not in state.care.assignees(position)]
        if positions and not new:
            raise AlreadyAssigned(state.boxes[positions[0]].text)
        return [tending.assigned(state, position, to=to, user=user, at=now) for position in new]

    async def mention(tx: AsyncConnection, after: Deployment, made: Sequence[Fact]) -> None:
        await _show_assigned(ports, tx, after, to)

    _, after = await checking.act(ports, deployment_id, delivery, facts, also=mention)
    return after


async def unassign(
    ports: Ports,
    deployment_id: int,
    position: int,
    *,
    to: str,
    user: str,
    delivery: str,
    shown: int | None = None,
) -> Deployment:
    """Take an item from them again; with an empty `to`, from everybody who has it.

    Where a screen was clicked, `shown` is the newest assignment on it: who was given the item since keeps it.
    Raises as `assign`, and NotAssigned.
    """
    await permitting.require_for(ports, deployment_id, Permission.TICK, user=user)
    taken_from: list[str] = []

    def facts(state: Deployment) -> list[Fact]:
        now = ports.clock.now()
        given = state.care.assignments.get(position, ())
        everybody = [one.to for one in given if shown is None or one.seq <= shown]
        taken_from[:] = [to] if to else everybody
        if not taken_from:
            raise NotAssigned(state.boxes[position].text)
        return [tending.unassigned(state, position, to=one, user=user, at=now) for one in taken_from]

    async def show(tx: AsyncConnection, after: Deployment, made: Sequence[Fact]) -> None:
        for one in taken_from:
            await _show_assigned(ports, tx, after, one)

    _, after = await checking.act(ports, deployment_id, delivery, facts, also=show)
    return after


async def note(
    ports: Ports,
    deployment_id: int,
    position: int,
    *,
    text: str,
    link: str = "",
    user: str,
    delivery: str,
) -> Deployment:
    """Write words at an item, with an address or without.

    Raises NoSuchDeployment, DeploymentClosed, NoSuchItem, NoteMissing, ReasonTooLong, LinkUnusable,
    NotPermitted, GroupUnknown, StorageBusy, StorageFailed.
    """
    await permitting.require_for(ports, deployment_id, Permission.TICK, user=user)

    def facts(state: Deployment) -> list[Fact]:
        now = ports.clock.now()
        return [tending.noted(state, position, text=text, link=link, user=user, at=now)]

    return await _act(ports, deployment_id, delivery, facts)


async def remove_note(
    ports: Ports, deployment_id: int, position: int, *, note: int, user: str, delivery: str
) -> Deployment:
    """Take a note away; the history keeps it. Raises as `note`, and NoSuchNote."""
    await permitting.require_for(ports, deployment_id, Permission.TICK, user=user)
    return await _act(
        ports,
        deployment_id,
        delivery,
        lambda state: [tending.note_removed(state, position, note=note, user=user, at=ports.clock.now())],
    )


def called(state: Deployment, words: str) -> tuple[int, ...]:
    """The positions of the item, group or section these words name, rollback steps by their own words.

    Raises NothingCalled, with the nearest.
    """
    wanted = " ".join(words.split())
    steps = [
        position
        for position, item in enumerate(state.boxes)
        if position >= len(state.checklist.items) and item.text.casefold() == wanted.casefold()
    ]
    if not wanted:
        raise NothingCalled(words, nearest=())
    return tuple(steps) or checks.in_scope(state.checklist, wanted)


async def _act(
    ports: Ports, deployment_id: int, delivery: str, facts: Callable[[Deployment], Sequence[Fact]]
) -> Deployment:
    _, after = await checking.act(ports, deployment_id, delivery, facts)
    return after


async def _show_assigned(ports: Ports, tx: AsyncConnection, after: Deployment, to: str) -> None:
    """One message a person or group: it mentions them when it is posted, and is drawn again after that."""
    now, key = ports.clock.now(), f"assigned-{to}"
    shown = [one.id for one in await posts.of_kind(tx, after.id, "notice") if one.key == key]
    if shown:
        await posts.want(tx, deployment_id=after.id, at=now, only=shown, settled=True, card=False)
    else:
        post = PlannedPost(kind="notice", key=key, content={"to": to})
        await posts.add(tx, [post], deployment_id=after.id, channel=after.channel, at=now)
