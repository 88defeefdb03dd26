"""Record clicks on checkboxes.

Clicks that arrive while a transaction is being committed share the next one: under load, twenty people cost
one commit instead of twenty, and a lone click waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.checklist import Item
from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment, TickOutcome, extend, tick
from bot.domain.errors import (
    DeploybotError,
    DeploymentClosed,
    ForeignClick,
    NoSuchDeployment,
    NoSuchItem,
)
from bot.domain.events import Event, Fact
from bot.domain.ticking import Act, Selection, read_click
from bot.services import checking, permitting
from bot.services.ports import Ports
from bot.services.rolling_back import note_progress
from bot.storage import clicks, posts
from bot.storage.clicks import Seat
from bot.storage.posts import Post

#: Most clicks in one transaction: keeps it well under the 3 s Slack waits for an answer.
BATCH = 200
#: After a click that could not be stored: when to try to redraw its message, in seconds between tries.
REDRAW_WAITS_S = (0.5, 1, 2, 4, 8, 15, 30, 60)


@dataclass(frozen=True, kw_only=True)
class Click:
    """A selection, as it came from Slack."""

    deployment_id: int
    post_id: int
    team: str
    channel: str
    message_ts: str
    user: str
    #: Slack's `action_ts` in microseconds.
    action_ts: int
    #: The `block_id`: names this one drawing of these boxes.
    drawing: str
    #: The event the drawing was made after.
    drawn_seq: int
    #: The positions the group held, those drawn as ticked, and those ticked after the click.
    positions: range
    base: frozenset[int]
    selected: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Ticked:
    """What was recorded for a click."""

    deployment: Deployment
    outcome: TickOutcome

    @property
    def out_of_order(self) -> tuple[tuple[Item, Item], ...]:
        """Steps ticked while an earlier one was open: (the step, the first open one)."""
        return self.outcome.out_of_order


class TickQueue:
    """Takes clicks one by one and commits them together."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._waiting: list[tuple[Click, asyncio.Future[Ticked]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._redrawing: set[asyncio.Task[None]] = set()
        self._posts: dict[int, Post] = {}

    async def submit(self, click: Click) -> Ticked:
        """Record a click; returns once it is committed. The same click again changes nothing.

        Raises DeploymentClosed, ForeignClick, NotPermitted, GroupUnknown, StorageBusy, StorageFailed; nothing
        was recorded then.
        """
        try:
            await permitting.require_for(self._ports, click.deployment_id, Permission.TICK, user=click.user)
        except NoSuchDeployment as error:
            raise ForeignClick from error
        except DeploybotError:
            self._redraw_later([click])
            raise
        future: asyncio.Future[Ticked] = asyncio.get_running_loop().create_future()
        self._waiting.append((click, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._waiting:
            batch = [entry for entry in self._waiting[:BATCH] if not entry[1].cancelled()]
            del self._waiting[:BATCH]
            try:
                await self._commit(batch)
            except Exception as error:
                if len(batch) == 1 or isinstance(error, DeploybotError):
                    _refuse(batch, error)
                    self._redraw_later(click for click, _ in batch)
                else:  # find out whose click it was
                    for entry in batch:
                        await self._commit_alone(entry)

    async def _commit_alone(self, entry: tuple[Click, asyncio.Future[Ticked]]) -> None:
        try:
            await self._commit([entry])
        except Exception as error:
            _refuse([entry], error)
            self._redraw_later([entry[0]])

    def _redraw_later(self, refused: Iterable[Click]) -> None:
        """The person's client shows a click that was not recorded: draw the truth when possible."""
        changed: dict[int, set[int]] = defaultdict(set)
        for click in refused:
            changed[click.deployment_id].add(click.post_id)
        task = asyncio.create_task(self._redraw(changed))
        self._redrawing.add(task)
        task.add_done_callback(self._redrawing.discard)

    async def _redraw(self, changed: Mapping[int, set[int]]) -> None:
        for wait in REDRAW_WAITS_S:
            await asyncio.sleep(wait)
            try:
                async with self._ports.database.write() as tx:
                    for deployment_id, only in changed.items():
                        now = self._ports.clock.now()
                        await posts.want(tx, deployment_id=deployment_id, at=now, only=only)
            except DeploybotError:
                continue
            self._ports.bell.ring()
            return

    async def _commit(self, batch: Sequence[tuple[Click, asyncio.Future[Ticked]]]) -> None:
        results: list[Ticked | DeploybotError] = []
        order = sorted(range(len(batch)), key=lambda at: batch[at][0].deployment_id)  # locks in one order
        ordered = [batch[at] for at in order]
        async with self._ports.database.write() as tx:
            now = self._ports.clock.now()
            results = await self._record(tx, [click for click, _ in ordered], now)
        for (_, future), result in zip(ordered, results, strict=True):
            if future.done():
                continue
            if isinstance(result, DeploybotError):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._ports.bell.ring()

    async def _record(
        self, tx: AsyncConnection, batch: Sequence[Click], now: datetime
    ) -> list[Ticked | DeploybotError]:
        deployments = self._ports.deployments
        states: dict[int, Deployment] = {}
        for deployment_id in sorted({click.deployment_id for click in batch}):
            state = await deployments.get(tx, deployment_id, locked=True)
            if state is not None:
                states[deployment_id] = state
        before = dict(states)
        added: dict[int, list[Event]] = defaultdict(list)
        known = await clicks.known(tx, {Seat(drawing=click.drawing, user=click.user) for click in batch})
        arrived: list[tuple[int, Seat, Selection]] = []
        redraw: dict[int, set[int]] = defaultdict(set)
        results: list[Ticked | DeploybotError] = []
        for click in batch:
            state = states.get(click.deployment_id)
            if state is None or not await self._belongs(tx, click, state):
                results.append(ForeignClick())
                continue
            redraw[state.id].add(click.post_id)
            if not state.phase.open:
                results.append(DeploymentClosed(state.name, state.phase))
                continue
            seat = Seat(drawing=click.drawing, user=click.user)
            others = known.setdefault(seat, [])
            acts = read_click(
                base=click.base, known=others, action_ts=click.action_ts, selected=click.selected
            )
            outcome = tick(state, acts, user=click.user, at=now, drawn_seq=click.drawn_seq)
            states[state.id], events = extend(state, outcome.facts)
            added[state.id].extend(events)
            if all(other.action_ts != click.action_ts for other in others):
                selection = Selection(action_ts=click.action_ts, selected=click.selected, acts=acts)
                others.append(selection)
                arrived.append((state.id, seat, selection))
            results.append(Ticked(deployment=states[state.id], outcome=outcome))
        for deployment_id, events_ in added.items():
            await deployments.store(tx, before[deployment_id], states[deployment_id], events_)
        await clicks.add(tx, arrived, at=now)
        for deployment_id, changed in redraw.items():
            await posts.want(tx, deployment_id=deployment_id, at=now, only=changed)
        for deployment_id in added:
            await note_progress(tx, before[deployment_id], states[deployment_id], at=now)
        return results

    async def _belongs(self, tx: AsyncConnection, click: Click, state: Deployment) -> bool:
        """Whether the ids of the click go together: this message, in this channel, of this deployment."""
        post = self._posts.get(click.post_id)
        if post is None or post.ts != click.message_ts:
            post = await posts.get(tx, click.post_id)
            if post is None:
                return False
            if len(self._posts) > 10_000:
                self._posts.clear()
            self._posts[click.post_id] = post
        return (
            state.team == click.team
            and post.deployment_id == click.deployment_id
            and post.channel == click.channel
            # A person can be quicker than our note of the message's ts.
            and post.ts in (None, click.message_ts)
            and post.content.get("first", 0) <= click.positions.start
            and click.positions.stop - 1 <= post.content.get("last", -1)
        )


async def tick_items(
    ports: Ports, deployment_id: int, positions: Iterable[int], *, user: str, delivery: str
) -> Ticked:
    """Tick these items for a person who chose them from a list; what is ticked already stays as it is.

    Raises NoSuchDeployment, DeploymentClosed, NoSuchItem, NotPermitted, GroupUnknown, StorageBusy,
    StorageFailed.
    """
    await permitting.require_for(ports, deployment_id, Permission.TICK, user=user)
    outcome = TickOutcome()

    def facts(state: Deployment) -> Sequence[Fact]:
        nonlocal outcome
        chosen = sorted(set(positions))
        if any(position not in range(len(state.boxes)) for position in chosen):
            raise NoSuchItem
        acts = [Act(position=position, ticked=True) for position in chosen if position not in state.ticks]
        outcome = tick(state, acts, user=user, at=ports.clock.now(), drawn_seq=state.seq)
        # Ticked, and open all the same: its check says otherwise, and the person should know.
        stuck = [at for at in chosen if at in state.ticks and at not in state.done]
        outcome = replace(outcome, needs_reason=(*outcome.needs_reason, *stuck))
        return outcome.facts

    _, after = await checking.act(ports, deployment_id, delivery, facts)
    return Ticked(deployment=after, outcome=outcome)


def _refuse(batch: Sequence[tuple[Click, asyncio.Future[Ticked]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
