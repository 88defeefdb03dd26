"""Roll back at a person's word: the runbook as boxes in the thread, and the times when it is verified.

The bot never rolls back by itself; it keeps the list, and what was done when.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import rollback, triggering
from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment
from bot.domain.errors import NoSuchDeployment
from bot.domain.events import BOT, Fact
from bot.domain.post import PlannedPost
from bot.domain.signals import WatchPlan
from bot.domain.watching import Source, Trigger, TriggerState
from bot.services import alerting, permitting
from bot.services.ports import Ports
from bot.storage import deliveries, posts, watches

#: How much longer a deployment that is rolled back is watched.
VERIFYING = timedelta(minutes=30)


async def start(
    ports: Ports, deployment_id: int, *, user: str, why: str, delivery: str, seq: int | None = None
) -> Deployment:
    """Go back: post the runbook. `seq` is the event of the trigger that is the reason.

    Who goes back because of a trigger has taken it. Raises NoSuchDeployment, NoSuchTrigger,
    DeploymentClosed, RollbackUnderWay, OnlyADrill, RollbackReasonMissing, ReasonTooLong, NotPermitted,
    GroupUnknown.
    """
    await permitting.require_for(ports, deployment_id, Permission.ROLL_BACK, user=user)
    async with ports.database.write() as tx:
        before = await ports.deployments.get(tx, deployment_id, locked=True)
        if before is None:
            raise NoSuchDeployment(str(deployment_id))
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return before
        now = ports.clock.now()
        trigger = _trigger(before, seq)
        begun = rollback.started(before, user=user, at=now, why=why, trigger=trigger)
        facts: list[Fact] = []
        if trigger is not None and trigger.state is TriggerState.FIRING:
            facts.append(triggering.acknowledged(before, trigger, user=user, at=now))
        facts.append(begun)
        if before.aftermath.watch is not None and before.aftermath.watch.begun_at is not None:
            # What verifies the rollback is that the signals are as they were.
            facts.append(triggering.watched_longer(before, user=BOT, at=now, by=VERIFYING))
            await watches.again(tx, before.id, at=now)
        after = await ports.deployments.append(tx, before, facts)
        await alerting.announce(tx, before, after, facts, at=now, plan=WatchPlan())
        await posts.add(
            tx, ports.layout.runbook(after), deployment_id=after.id, channel=after.channel, at=now
        )
        shown = await posts.of_kind(tx, after.id, "alert", "rollback")
        only = [post.id for post in shown]
        await posts.want(tx, deployment_id=after.id, at=now, only=only, settled=True)
        await deliveries.add(tx, delivery, at=now, deployment_id=after.id)
    ports.bell.ring()
    return after


def _trigger(state: Deployment, seq: int | None) -> Trigger | None:
    """The trigger of an alert; without one, the newest that asks for a decision."""
    if seq is not None:
        return triggering.raised_by(state, seq)
    raised = [t for t in state.aftermath.raised if t.source is not Source.DRILL]
    return raised[-1] if raised else None


async def note_progress(tx: AsyncConnection, before: Deployment, after: Deployment, *, at: datetime) -> None:
    """After boxes were ticked: own the message that closes a rollback, with its times, once it is over."""
    was, now = rollback.progress(before), rollback.progress(after)
    if now is None or not now.over or (was is not None and was.over):
        return
    post = PlannedPost(kind="report", key=f"rolled_back-{after.seq}", content=_content(after))
    await _own(tx, after, [post], at)


def _content(after: Deployment) -> dict[str, object]:
    assert after.aftermath.rollback is not None
    return {
        "by": after.aftermath.rollback.by,
        "times": [[what, at.isoformat(), span.total_seconds()] for what, at, span in rollback.times(after)],
    }


async def _own(tx: AsyncConnection, state: Deployment, new: Sequence[PlannedPost], at: datetime) -> None:
    await posts.add(tx, new, deployment_id=state.id, channel=state.channel, at=at)
