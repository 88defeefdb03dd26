"""What people do with reminders: ask for one, do it, snooze it, not need it, schedule the review."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import checking as checks
from bot.domain import reminding as domain
from bot.domain.checklist import Item
from bot.domain.conduct import Gate, Permission
from bot.domain.deployment import Deployment, tick
from bot.domain.errors import (
    BehindGate,
    DeploymentClosed,
    NoSuchDeployment,
    NothingCalled,
    NotTickable,
    ReminderSettled,
)
from bot.domain.events import Fact
from bot.domain.reminding import NewReminder, Origin, Reminder, Snooze, State, told
from bot.domain.ticking import Act
from bot.services import checking, permitting
from bot.services.ports import Ports
from bot.services.reminding import redraw
from bot.storage import deliveries, reminders

#: Words this like an item's are meant to be the item's. Own choice: a slip or two in a line.
ALMOST = 0.8


@dataclass(frozen=True, kw_only=True)
class Added:
    """A reminder somebody asked for."""

    deployment: Deployment
    due_at: datetime
    #: Positions of the items it is about; empty where it is words.
    items: tuple[int, ...] = ()
    text: str = ""


async def add(
    ports: Ports,
    deployment_id: int,
    *,
    words: str,
    due_at: datetime,
    user: str,
    delivery: str,
) -> Added:
    """Remind of an item, a group or a section, of everything that is open, or of somebody's own words.

    Raises NoSuchDeployment, DeploymentClosed, NothingCalled for words that are almost an item's, StorageBusy,
    StorageFailed.
    """
    async with ports.database.write() as tx:
        state = await _opened(ports, tx, deployment_id)
        items, text = _about(state, words)
        added = Added(deployment=state, due_at=due_at, items=items, text=text)
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return added
        new = NewReminder(
            key=f"asked-{state.seq + 1}",
            origin=Origin.PERSON,
            due_at=due_at,
            items=items,
            text=text,
            for_user=user,
        )
        await _add(ports, tx, state, new, user=user)
        await deliveries.add(tx, delivery, at=ports.clock.now(), deployment_id=state.id)
    return added


def _about(state: Deployment, words: str) -> tuple[tuple[int, ...], str]:
    """The items the words name, else the words themselves."""
    try:
        return checks.in_scope(state.checklist, words), ""
    except NothingCalled as error:
        folded = [name.casefold() for name in error.nearest]
        if difflib.get_close_matches(words.casefold(), folded, n=1, cutoff=ALMOST):
            raise
        return (), " ".join(words.split())[: domain.WORDS]


async def schedule_review(
    ports: Ports, deployment_id: int, *, due_at: datetime, user: str, delivery: str
) -> Deployment:
    """Remind of the review at this time; its item is ticked as the person's, or by its check if it has one.

    Scheduled before, it was moved: nobody is reminded at the time it was to be.

    Raises NoSuchDeployment, DeploymentClosed, WhenOutOfRange, NotPermitted, GroupUnknown, StorageBusy,
    StorageFailed; BehindGate where the time stands and the item has to wait.
    """
    await permitting.require_for(ports, deployment_id, Permission.TICK, user=user)
    behind: list[tuple[Item, Gate]] = []
    async with ports.database.write() as tx:
        state = await _opened(ports, tx, deployment_id)
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return state
        now = ports.clock.now()
        minutes = (due_at - now).total_seconds() / 60
        domain.checked_when(now, minutes, "That time")
        before = state
        for earlier in await reminders.of(tx, state.id):
            if earlier.origin is Origin.REVIEW and not earlier.state.settled:
                state = await _settle(ports, tx, state, earlier, to=State.DROPPED, user=user)
        new = NewReminder(
            key=f"review-{state.seq + 1}",
            origin=Origin.REVIEW,
            due_at=due_at,
            text="The review of this deployment",
            for_user=user,
        )
        state = await _add(ports, tx, state, new, user=user)
        facts: list[Fact] = []
        position = review_item(state)
        if position is not None and position not in state.done:
            if position in state.bindings:
                facts.append(checks.request(state, [position], user=user, at=now, quiet=True))
            elif position not in state.ticks:
                act = Act(position=position, ticked=True)
                outcome = tick(state, [act], user=user, at=now, drawn_seq=state.seq)
                facts += outcome.facts
                behind.extend(outcome.behind)
        state = await ports.deployments.append(tx, state, facts)
        if facts:
            await checking.redraw(tx, before, state, at=now)
        await deliveries.add(tx, delivery, at=now, deployment_id=state.id)
    ports.bell.ring()
    if behind:
        item, gate = behind[0]
        raise BehindGate(item.text, gate.title)
    return state


def review_item(state: Deployment) -> int | None:
    """The position of the item that asks for a review, or None."""
    keys = (item.key.rpartition("/")[2] for item in state.checklist.items)
    return next((position for position, key in enumerate(keys) if key == domain.REVIEW), None)


async def done(
    ports: Ports, reminder_id: int, round_: int, *, user: str, team: str, delivery: str
) -> Deployment:
    """Somebody did it: its open items are ticked as theirs.

    Raises NotPermitted, GroupUnknown, ReminderSettled, BehindGate, NotTickable where a check says otherwise
    (what can be ticked is), DeploymentClosed, NoSuchDeployment, StorageBusy, StorageFailed.
    """
    found, _ = await find(ports, reminder_id, team=team)
    await permitting.require(ports, found, Permission.TICK, user=user)
    refused: list[str] = []
    behind: list[tuple[Item, Gate]] = []

    async def settle(tx: AsyncConnection, state: Deployment, reminder: Reminder) -> Deployment:
        now = ports.clock.now()
        acts = [Act(position=at, ticked=True) for at in reminder.open_in(state) if at not in state.ticks]
        outcome = tick(state, acts, user=user, at=now, drawn_seq=state.seq)
        after = await ports.deployments.append(tx, state, outcome.facts)
        await checking.redraw(tx, state, after, at=now)
        behind.extend(outcome.behind)
        left = [
            at
            for at in reminder.items
            if at not in after.done and (at not in after.ticks or at in after.results)
        ]
        refused.extend(after.boxes[at].text for at in left)
        return after if left else await _settle(ports, tx, after, reminder, to=State.DONE, user=user)

    state = await _with(ports, reminder_id, round_, settle, team=team, delivery=delivery)
    if behind:
        item, gate = behind[0]
        raise BehindGate(item.text, gate.title)
    if refused:
        raise NotTickable(tuple(refused))
    return state


async def not_needed(
    ports: Ports, reminder_id: int, round_: int, *, user: str, team: str, delivery: str
) -> Deployment:
    """Nobody needs to be reminded of this. Raises ReminderSettled, DeploymentClosed, NoSuchDeployment."""

    async def settle(tx: AsyncConnection, state: Deployment, reminder: Reminder) -> Deployment:
        return await _settle(ports, tx, state, reminder, to=State.NOT_NEEDED, user=user)

    return await _with(ports, reminder_id, round_, settle, team=team, delivery=delivery)


async def snooze(
    ports: Ports,
    reminder_id: int,
    round_: int,
    how: Snooze,
    *,
    user: str,
    timezone: str,
    team: str,
    delivery: str,
) -> Deployment:
    """Ask again later; `tomorrow` is where the person is. Raises as `not_needed`."""

    async def settle(tx: AsyncConnection, state: Deployment, reminder: Reminder) -> Deployment:
        now = ports.clock.now()
        until = how.until(now=now, timezone=timezone)
        await redraw(tx, state.id, [reminder], at=now)
        await reminders.snooze(tx, reminder, until=until, by=user, at=now)
        fact = told("snoozed", [reminder], by=user, at=now, also={"until": until.isoformat()})
        return await ports.deployments.append(tx, state, [fact])

    return await _with(ports, reminder_id, round_, settle, team=team, delivery=delivery)


async def find(ports: Ports, reminder_id: int, *, team: str) -> tuple[Deployment, Reminder]:
    """A reminder and its deployment. Raises NoSuchDeployment, ReminderSettled."""
    async with ports.database.read() as tx:
        reminder = await reminders.get(tx, reminder_id)
        if reminder is None:
            raise ReminderSettled
        state = await ports.deployments.get(tx, reminder.deployment_id)
    if state is None or state.team != team:
        raise NoSuchDeployment(str(reminder.deployment_id))
    return state, reminder


# ── what they share ──────────────────────────────────────────────────────────────────────────────────────


async def _opened(ports: Ports, tx: AsyncConnection, deployment_id: int) -> Deployment:
    state = await ports.deployments.get(tx, deployment_id, locked=True)
    if state is None:
        raise NoSuchDeployment(str(deployment_id))
    if not state.phase.open:
        raise DeploymentClosed(state.name, state.phase)
    return state


async def _add(
    ports: Ports, tx: AsyncConnection, state: Deployment, new: NewReminder, *, user: str
) -> Deployment:
    added: Sequence[NewReminder] = await reminders.add(tx, state.id, [new])
    now = ports.clock.now()
    return await ports.deployments.append(tx, state, [one.added(by=user, at=now) for one in added])


async def _settle(
    ports: Ports, tx: AsyncConnection, state: Deployment, reminder: Reminder, *, to: State, user: str
) -> Deployment:
    now = ports.clock.now()
    await reminders.settle(tx, [reminder.id], state=to, by=user, at=now)
    await redraw(tx, state.id, [reminder], at=now)
    return await ports.deployments.append(tx, state, [told(to.value, [reminder], by=user, at=now)])


async def _with(
    ports: Ports,
    reminder_id: int,
    round_: int,
    settle: Callable[[AsyncConnection, Deployment, Reminder], Awaitable[Deployment]],
    *,
    team: str,
    delivery: str,
) -> Deployment:
    """Do something to a reminder that is still as it was drawn. The same delivery again changes nothing."""
    _, reminder = await find(ports, reminder_id, team=team)
    async with ports.database.write() as tx:
        state = await _opened(ports, tx, reminder.deployment_id)
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return state
        current = await reminders.get(tx, reminder_id, locked=True)
        if current is None or current.state is not State.SENT or current.round != round_:
            raise ReminderSettled
        state = await settle(tx, state, current)
        await deliveries.add(tx, delivery, at=ports.clock.now(), deployment_id=state.id)
    ports.bell.ring()
    return state
