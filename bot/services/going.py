"""Go and No-go, and the emergency override of what is in the way of Go or of the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import gating
from bot.domain.conduct import Hold, Permission
from bot.domain.deployment import Deployment
from bot.domain.errors import FourEyes, GoGiven
from bot.domain.events import Fact
from bot.domain.post import PlannedPost
from bot.domain.verification import Purpose
from bot.services import checking, finding, locking, permitting, reminding
from bot.services.ports import Ports
from bot.storage import posts, reminders, watches


@dataclass(frozen=True, kw_only=True)
class Gone:
    """What came of somebody's wish for Go."""

    deployment: Deployment
    #: Whether somebody else was asked for it, because this person's would not count.
    asked: bool = False


async def give_go(ports: Ports, deployment_id: int, *, user: str, team: str, delivery: str) -> Gone:
    """Give Go once the evidence has been looked at again; where that takes somebody else, ask for theirs.

    Raises NoSuchDeployment, DeploymentClosed, NotPermitted, GoGiven, GateClosed, FourEyes where they were
    asked already, GroupUnknown, StorageBusy, StorageFailed.
    """
    state = await finding.get(ports, deployment_id, team=team)
    await permitting.require(ports, state, Permission.APPROVE, user=user)
    members = await permitting.approvers(ports, state)
    in_the_way = await obstacles(ports, state, Hold.GO)

    def allowed(state: Deployment) -> None:
        if state.go is not None:
            raise GoGiven
        gating.check_gates(state, Hold.GO, obstacles=in_the_way)
        gating.check_eyes(state, user=user, members=members)

    try:
        after = await checking.conclude(
            ports, deployment_id, Purpose.GO, user=user, delivery=delivery, allowed=allowed
        )
    except FourEyes:
        if state.care.go_awaited is not None:
            raise
        return Gone(deployment=await _ask(ports, deployment_id, user=user, delivery=delivery), asked=True)
    return Gone(deployment=after)


async def _ask(ports: Ports, deployment_id: int, *, user: str, delivery: str) -> Deployment:
    def facts(state: Deployment) -> list[Fact]:
        # Two leads' clicks at once ask once.
        if state.care.go_awaited is not None:
            return []
        return [gating.go_requested(state, user=user, at=ports.clock.now())]

    async def ask(tx: AsyncConnection, after: Deployment, made: Sequence[Fact]) -> None:
        if made:
            await _own(ports, tx, after, "go_asked", {"by": user, "group": made[0].data["group"]})

    _, after = await checking.act(ports, deployment_id, delivery, facts, also=ask)
    return after


async def refuse_go(
    ports: Ports, deployment_id: int, *, user: str, team: str, reason: str, delivery: str
) -> Deployment:
    """No-go: it may not go on; a Go that was given is taken back.

    Where only that Go said that the change is live, the watch and the reminders wait for the next one.

    Raises NoSuchDeployment, DeploymentClosed, NotPermitted, GroupUnknown, NoGoReasonMissing, ReasonTooLong.
    """
    state = await finding.get(ports, deployment_id, team=team)
    await permitting.require(ports, state, Permission.APPROVE, user=user)
    live = await _said_to_be_live(ports, state)
    told = {"by": user}

    def facts(state: Deployment) -> list[Fact]:
        if state.run is not None and state.run.giver:
            told["instead_of"] = state.run.giver
        return [gating.no_go(state, user=user, at=ports.clock.now(), reason=reason, live=live)]

    async def tell(tx: AsyncConnection, after: Deployment, made: Sequence[Fact]) -> None:
        if made[0].data.get("not_live"):
            now = ports.clock.now()
            await watches.rewind(tx, after.id, at=now)
            left = await reminders.unplan(tx, after.id, by=user, at=now)
            await reminding.redraw(tx, after.id, left, at=now)
        await _own(ports, tx, after, "no_go", {**told, "reason": made[0].data["reason"]})

    _, after = await checking.act(ports, deployment_id, delivery, facts, also=tell)
    return after


async def _said_to_be_live(ports: Ports, state: Deployment) -> bool:
    """Whether CI said since Go that the change is live."""
    if state.go is None:
        return False
    async with ports.database.read() as tx:
        events = await ports.deployments.since(tx, state.id, state.go.seq, "deployment.reported")
    return any(event.fact.data["state"] == "deployed" for event in events)


async def held_up(ports: Ports, state: Deployment) -> Hold:
    """What an emergency override would be of: Go, as long as something keeps from it, else the end."""
    if state.go is not None:
        return Hold.FINISH
    waits = gating.in_the_way(state, Hold.GO, obstacles=await obstacles(ports, state, Hold.GO))
    return Hold.GO if waits else Hold.FINISH


async def check_override(ports: Ports, state: Deployment, hold: Hold) -> None:
    """See that there is something to override, before anybody is asked why.

    Raises DeploymentClosed, NoOverrideNeeded, OverrideUnderWay.
    """
    gating.check_override(state, hold, obstacles=await obstacles(ports, state, hold))


async def request_override(
    ports: Ports, deployment_id: int, hold: Hold, *, user: str, team: str, reason: str, delivery: str
) -> Deployment:
    """Ask for a second name under an emergency override of Go, or of the end.

    Raises NoSuchDeployment, DeploymentClosed, NotPermitted, GroupUnknown, NoOverrideNeeded, OverrideUnderWay,
    OverrideReasonMissing, ReasonTooLong.
    """
    state = await finding.get(ports, deployment_id, team=team)
    await permitting.require(ports, state, Permission.OVERRIDE, user=user)
    in_the_way = await obstacles(ports, state, hold)

    def facts(state: Deployment) -> list[Fact]:
        now = ports.clock.now()
        request = partial(gating.override_requested, state, hold, user=user, at=now, reason=reason)
        return [request(obstacles=in_the_way)]

    async def tell(tx: AsyncConnection, after: Deployment, made: Sequence[Fact]) -> None:
        post = PlannedPost(kind="override", key=f"{after.seq}", content={"seq": after.seq})
        await posts.add(tx, [post], deployment_id=after.id, channel=after.channel, at=ports.clock.now())

    _, after = await checking.act(ports, deployment_id, delivery, facts, also=tell)
    return after


async def confirm_override(
    ports: Ports, deployment_id: int, seq: int, *, user: str, team: str, delivery: str
) -> Deployment:
    """Be the second name: what was held up happens now, without another look at the evidence.

    Raises NoSuchDeployment, DeploymentClosed, NotPermitted, GroupUnknown, NoSuchOverride, SecondNameNeeded.
    """
    state = await finding.get(ports, deployment_id, team=team)
    await permitting.require(ports, state, Permission.OVERRIDE, user=user)
    override = state.care.override(seq)
    purpose = Purpose.GO if override is None or override.what == Hold.GO else Purpose.FINISH

    def facts(state: Deployment) -> list[Fact]:
        return list(gating.override_confirmed(state, seq, user=user, at=ports.clock.now()))

    async def tell(tx: AsyncConnection, after: Deployment, made: Sequence[Fact]) -> None:
        await _redraw_override(ports, tx, after, seq)
        if after.run is not None:  # a run of checks goes on; what it would have led to is settled
            await checking.add_conclusion(tx, after, purpose, made, at=ports.clock.now())

    _, after = await checking.act(ports, deployment_id, delivery, facts, purpose=purpose, also=tell)
    return after


async def withdraw_override(
    ports: Ports, deployment_id: int, seq: int, *, user: str, team: str, delivery: str
) -> Deployment:
    """Take it back before anybody confirmed it. Raises NoSuchDeployment, DeploymentClosed, NoSuchOverride."""
    await finding.get(ports, deployment_id, team=team)

    def facts(state: Deployment) -> list[Fact]:
        return [gating.override_withdrawn(state, seq, user=user, at=ports.clock.now())]

    async def tell(tx: AsyncConnection, after: Deployment, made: Sequence[Fact]) -> None:
        await _redraw_override(ports, tx, after, seq)

    _, after = await checking.act(ports, deployment_id, delivery, facts, also=tell)
    return after


async def obstacles(ports: Ports, state: Deployment, hold: Hold) -> tuple[str, ...]:
    """What is in the way besides gates, each as a sentence."""
    now = ports.clock.now()
    if hold is Hold.FINISH:
        missing = gating.go_missing(state, at=now)
        return (*missing, *await locking.before_the_end(ports, state, at=now))
    return await locking.in_the_way(ports, state, at=now)


async def _redraw_override(ports: Ports, tx: AsyncConnection, after: Deployment, seq: int) -> None:
    shown = [one.id for one in await posts.of_kind(tx, after.id, "override") if one.content["seq"] == seq]
    await posts.want(tx, deployment_id=after.id, at=ports.clock.now(), only=shown, settled=True)


async def _own(
    ports: Ports, tx: AsyncConnection, after: Deployment, key: str, content: dict[str, object]
) -> None:
    post = PlannedPost(kind="notice", key=f"{key}-{after.seq}", content=content)
    await posts.add(tx, [post], deployment_id=after.id, channel=after.channel, at=ports.clock.now())
