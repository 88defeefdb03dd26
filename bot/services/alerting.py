"""Rollback triggers: raised by the watch, by people and by other systems, announced, taken, cleared.

Every alert is a message of its own that is drawn again as its trigger changes. What must reach people
(raised, twice as bad, escalated) is a new message; everything else is an edit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import drilling, triggering
from bot.domain.deployment import Deployment
from bot.domain.errors import DeploybotError, NoSuchDeployment
from bot.domain.events import BOT, Fact
from bot.domain.post import PlannedPost
from bot.domain.signals import WatchPlan
from bot.domain.triggering import Report, TriggerFinding
from bot.domain.watching import Source, Trigger, TriggerState
from bot.services import seeing
from bot.services.ports import Ports
from bot.storage import deliveries, posts, watches

log = logging.getLogger(__name__)

#: Deployments that went live this long before or after count as overlapping. Own choice.
OVERLAP = timedelta(minutes=30)
#: How much longer is watched at a person's word.
LONGER = timedelta(hours=1)
#: Why a drill is over without anybody having said so.
DRILL_OVER = "the drill is over"


@dataclass(frozen=True, kw_only=True)
class Raised:
    """What became of a person's report."""

    deployment: Deployment
    #: The trigger it joined, which was raised already; None where it raised one.
    joined: Trigger | None = None


async def report(
    ports: Ports,
    deployment_id: int,
    *,
    key: str,
    title: str,
    source: Source,
    finding: TriggerFinding,
    size: float,
    by: str = BOT,
    delivery: str | None = None,
    occurrence: str = "",
) -> Deployment:
    """Raise a trigger, say that it is twice as bad, or renew what its alert shows.

    Raised already and not twice as bad, it only renews the figures, at most once a minute. One that was
    cleared stays so, unless somebody asks for it or it is twice as bad as it was then.
    Raises NoSuchDeployment, DeploymentClosed, ReasonTooLong, StorageBusy, StorageFailed.
    """
    told = Report(key=key, title=title, source=source, finding=finding, size=size, occurrence=occurrence)
    return await _report(ports, deployment_id, lambda _: told, by=by, delivery=delivery)


async def raise_by_hand(
    ports: Ports, deployment_id: int, *, words: str, reason: str, user: str, delivery: str, link: str = ""
) -> Raised:
    """A person says what is wrong: one of the checklist's triggers or own words, and what they saw.

    `link` leads to the evidence. One of the checklist's that is raised already is joined: what they saw
    stands on its alert, and nobody is called again.

    Raises NoSuchDeployment, DeploymentClosed, RaiseReasonMissing, ReasonTooLong.
    """
    known: list[Trigger] = []

    def told(state: Deployment) -> Report:
        said = triggering.by_hand(state, words, reason, link=link)
        trigger = state.aftermath.triggers.get(said.key)
        known[:] = [trigger] if trigger is not None and trigger.state.raised else []
        return said

    after = await _report(ports, deployment_id, told, by=user, delivery=delivery)
    return Raised(deployment=after, joined=known[0] if known else None)


async def drill(ports: Ports, deployment_id: int, *, user: str, delivery: str) -> Deployment:
    """Raise a trigger that is made up, the same way as a real one.

    Raises NoSuchDeployment, DeploymentClosed, DrillUnderWay.
    """

    def told(state: Deployment) -> Report:
        return drilling.drill(state, at=ports.clock.now())

    return await _report(ports, deployment_id, told, by=user, delivery=delivery)


async def _report(
    ports: Ports,
    deployment_id: int,
    told: Callable[[Deployment], Report],
    *,
    by: str,
    delivery: str | None,
) -> Deployment:
    plan = await plan_of(ports, deployment_id)
    others = await _overlapping(ports, deployment_id)

    def made(state: Deployment) -> Sequence[Fact]:
        said = told(state)
        if said.source is not Source.DRILL:
            named = " ".join(said.finding.contradicting)
            new = tuple(words for name, words in others if name not in named)
            contradicting = (*said.finding.contradicting, *new)
            said = replace(said, finding=replace(said.finding, contradicting=contradicting))
        fact = triggering.reported(state, said, by=by, at=ports.clock.now())
        return [fact] if fact is not None else []

    return await act(ports, deployment_id, made, delivery=delivery, plan=plan)


async def _overlapping(ports: Ports, deployment_id: int) -> list[tuple[str, str]]:
    """Other deployments that went live about then, each in a sentence: they may be the cause.

    One of another private channel has no name here: whoever reads this may not know of it.
    """
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment_id)
        deployed = state.aftermath.deployed if state is not None else None
        if state is None or deployed is None:
            return []
        found = await ports.deployments.deployed_between(
            tx,
            state.team,
            state.target.environment,
            low=deployed.at - OVERLAP,
            high=max(deployed.at, ports.clock.now()),
        )
    told = []
    for other in found:
        if other.id == state.id or other.deployed_at is None:
            continue
        named = await seeing.may_be_named(ports, other, channel=state.channel)
        what = f"{other.what} ({other.name})" if named else "Another deployment"
        apart = _apart(other.deployed_at - deployed.at)
        told.append((other.name, f"{what} went live {apart} this deployment"))
    return told


def _apart(span: timedelta) -> str:
    minutes = round(abs(span.total_seconds()) / 60)
    if not minutes:
        return "at the same time as"
    return f"{minutes} min {'after' if span > timedelta() else 'before'}"


async def recovered(ports: Ports, deployment_id: int, *, key: str, said: str) -> Deployment:
    """Note that a signal is back to normal. Its trigger stays raised. Raises NoSuchDeployment."""

    def made(state: Deployment) -> Sequence[Fact]:
        trigger = state.aftermath.triggers.get(key)
        fact = trigger and triggering.recovered(trigger, said=said, at=ports.clock.now())
        return [fact] if fact and state.phase.open else []

    return await act(ports, deployment_id, made)


# ── what people do with an alert ─────────────────────────────────────────────────────────────────────────


async def acknowledge(ports: Ports, deployment_id: int, seq: int, *, user: str, delivery: str) -> Deployment:
    """Take the trigger that event `seq` raised, once for each person. A drill has served its purpose then.

    Raises NoSuchDeployment, NoSuchTrigger, DeploymentClosed, TriggerCleared, AlreadyAcknowledged.
    """

    def made(state: Deployment) -> Sequence[Fact]:
        now = ports.clock.now()
        trigger = triggering.raised_by(state, seq)
        if triggering.taken_by(trigger, user):
            return []
        facts = [triggering.acknowledged(state, trigger, user=user, at=now)]
        if trigger.source is Source.DRILL:
            facts.append(_end_of_drill(trigger, at=now))
        return facts

    return await act(ports, deployment_id, made, delivery=delivery)


async def snooze(
    ports: Ports, deployment_id: int, seq: int, *, user: str, span: timedelta, delivery: str
) -> Deployment:
    """Remind nobody for so long; then the thread is told again.

    Raises NoSuchDeployment, NoSuchTrigger, DeploymentClosed, TriggerCleared, SnoozeUnusable.
    """

    def made(state: Deployment) -> Sequence[Fact]:
        now = ports.clock.now()
        trigger = triggering.raised_by(state, seq)
        return [triggering.snoozed(state, trigger, user=user, at=now, until=now + span)]

    return await act(ports, deployment_id, made, delivery=delivery)


async def clear(
    ports: Ports, deployment_id: int, seq: int, *, user: str, reason: str, delivery: str, ours: bool = False
) -> Deployment:
    """Say that it is not this deployment, or `ours` that it was and is mended, and why.

    Raises NoSuchDeployment, NoSuchTrigger, DeploymentClosed, TriggerCleared, ClearReasonMissing,
    ReasonTooLong.
    """

    def made(state: Deployment) -> Sequence[Fact]:
        trigger = triggering.raised_by(state, seq)
        now = ports.clock.now()
        return [triggering.cleared(state, trigger, user=user, at=now, reason=reason, ours=ours)]

    return await act(ports, deployment_id, made, delivery=delivery)


async def watch_longer(
    ports: Ports, deployment_id: int, *, user: str, delivery: str, seq: int | None = None
) -> Deployment:
    """Go on watching; who asks for it on an alert (`seq`) has taken that.

    Raises NoSuchDeployment, NoSuchTrigger, DeploymentClosed, NotWatched, TriggerCleared.
    """

    def made(state: Deployment) -> Sequence[Fact]:
        now = ports.clock.now()
        facts = [triggering.watched_longer(state, user=user, at=now, by=LONGER)]
        trigger = None if seq is None else triggering.raised_by(state, seq)
        if trigger is not None and trigger.state is TriggerState.FIRING:
            facts.append(triggering.acknowledged(state, trigger, user=user, at=now))
        return facts

    return await act(ports, deployment_id, made, delivery=delivery)


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────


async def escalate(ports: Ports) -> None:
    """Tell the next people of triggers nobody took, wake those that were snoozed, end drills.

    Called every few seconds. What was due while the process was down is made up for, a step each time.
    One deployment's trouble is logged and keeps no other one waiting. Raises StorageBusy, StorageFailed
    where nothing can be looked at.
    """
    async with ports.database.read() as tx:
        alarmed = await ports.deployments.alarmed(tx)
    for state in alarmed:
        try:
            await _escalate(ports, state)
        except DeploybotError as error:
            log.warning("escalating in %s waits for the next time: %s", state.name, error)
        except Exception:
            log.exception("the triggers of %s could not be escalated; it is tried again", state.name)


async def _escalate(ports: Ports, state: Deployment) -> None:
    plan = await plan_of(ports, state.id)
    now = ports.clock.now()
    # Looked at before the row is locked: mostly there is nothing to do.
    if _due(state, plan=plan, at=now):
        await act(ports, state.id, partial(_due, plan=plan, at=now), plan=plan)


def _due(state: Deployment, *, plan: WatchPlan, at: datetime) -> list[Fact]:
    facts: list[Fact] = []
    if not state.phase.open:
        return facts
    for trigger in state.aftermath.triggers.values():
        fact = triggering.awoke(trigger, at=at) or triggering.escalated(trigger, plan.escalate, at=at)
        if fact is not None:
            facts.append(fact)
        elif (
            trigger.source is Source.DRILL
            and trigger.state.raised
            and drilling.over(trigger, plan.escalate, at=at)
        ):
            facts.append(_end_of_drill(trigger, at=at))
    return facts


def _end_of_drill(trigger: Trigger, *, at: datetime) -> Fact:
    return Fact(kind="trigger.cleared", actor=BOT, at=at, data={"key": trigger.key, "reason": DRILL_OVER})


# ── one transaction: the facts, and the messages they make ───────────────────────────────────────────────


async def plan_of(ports: Ports, deployment_id: int) -> WatchPlan:
    """Who is told of a deployment, and where people look; nobody besides the lead where it cannot be read."""
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, deployment_id)
    if state is None:
        raise NoSuchDeployment(str(deployment_id))
    target = state.target
    try:
        return await ports.watching.plan(
            state.checklist_name,
            service=target.service,
            version=target.version,
            environment=target.environment,
        )
    except DeploybotError:
        return WatchPlan()  # an alert does not wait for a file to be mended


async def act(
    ports: Ports,
    deployment_id: int,
    made: Callable[[Deployment], Sequence[Fact]],
    *,
    delivery: str | None = None,
    plan: WatchPlan | None = None,
) -> Deployment:
    """Add the facts that `made` makes of the state, and the messages they ask for. The state after.

    The same delivery again changes nothing.
    """
    async with ports.database.write() as tx:
        before = await ports.deployments.get(tx, deployment_id, locked=True)
        if before is None:
            raise NoSuchDeployment(str(deployment_id))
        if delivery is not None:
            seen, _ = await deliveries.effect(tx, delivery)
            if seen:
                return before
        facts = made(before)
        now = ports.clock.now()
        after = await ports.deployments.append(tx, before, facts)
        if facts:
            await announce(tx, before, after, facts, at=now, plan=plan or WatchPlan())
        if any(fact.kind == "watch.extended" for fact in facts):
            await watches.again(tx, after.id, at=now)
        if delivery is not None:
            await deliveries.add(tx, delivery, at=now, deployment_id=after.id)
    if facts:
        ports.bell.ring()
    return after


async def announce(
    tx: AsyncConnection,
    before: Deployment,
    after: Deployment,
    facts: Sequence[Fact],
    *,
    at: datetime,
    plan: WatchPlan,
) -> None:
    """Own the messages that new facts about triggers ask for, and have the alerts they change redrawn."""
    new: list[PlannedPost] = []
    touched: set[int] = set()
    for seq, fact in enumerate(facts, start=before.seq + 1):
        if not fact.kind.startswith("trigger."):
            continue
        trigger = after.aftermath.triggers[fact.data["key"]]
        touched.add(trigger.seq)
        post = _post_of(fact, seq, trigger, plan)
        if post is not None:
            new.append(post)
        if fact.kind == "trigger.cleared" and trigger.source is Source.DRILL:
            new.append(_of_drill(seq, trigger, at=at))
        if fact.kind == "trigger.escalated" and fact.data["level"] == 1:
            direct = PlannedPost(kind="direct", key=f"trigger-{seq}", content={"fired": trigger.seq})
            await _own(tx, after.id, after.lead, [direct], at)
    shown = await posts.of_kind(tx, after.id, "alert")
    only = [post.id for post in shown if post.content["fired"] in touched]
    await posts.want(tx, deployment_id=after.id, at=at, only=only, settled=True)
    await _own(tx, after.id, after.channel, new, at)


def _post_of(fact: Fact, seq: int, trigger: Trigger, plan: WatchPlan) -> PlannedPost | None:
    match fact.kind:
        case "trigger.fired" | "trigger.worsened":
            content = {
                "fired": trigger.seq,
                "announced": trigger.announced,
                "on_call": plan.on_call,
                "links": [[label, url] for label, url in plan.links.items()],
                # What was announced, for when it is announced again or raised anew.
                "title": trigger.title,
                "finding": dict(trigger.finding),
            }
            return PlannedPost(kind="alert", key=str(seq), content=content)
        case "trigger.escalated" if fact.data["level"] > 1:
            content = {"fired": trigger.seq, "on_call": plan.on_call, "title": trigger.title}
            return PlannedPost(kind="notice", key=f"escalated-{seq}", content=content)
        case "trigger.awoke":
            content = {"fired": trigger.seq, "by": trigger.snoozed_by, "title": trigger.title}
            return PlannedPost(kind="notice", key=f"awoke-{seq}", content=content)
        case "trigger.recovered" if trigger.recoveries == 1:
            content = {"title": trigger.title, "said": fact.data["said"]}
            return PlannedPost(kind="notice", key=f"recovered-{seq}", content=content)
    return None


def _of_drill(seq: int, trigger: Trigger, *, at: datetime) -> PlannedPost:
    """What a drill showed: who took it and how fast, and how far it had to go."""
    taken = trigger.acknowledged_at
    content = {
        "by": trigger.by,
        "taken_by": trigger.acknowledged_by,
        "ended_by": trigger.cleared_by,
        "seconds": ((taken or at) - trigger.at).total_seconds(),
        "escalated": trigger.escalated,
    }
    return PlannedPost(kind="notice", key=f"drill-{seq}", content=content)


async def _own(
    tx: AsyncConnection, deployment_id: int, channel: str, new: Iterable[PlannedPost], at: datetime
) -> None:
    planned = list(new)
    if planned:
        await posts.add(tx, planned, deployment_id=deployment_id, channel=channel, at=at)
