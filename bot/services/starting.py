"""Start a deployment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.check import Binding
from bot.domain.checklist import Checklist
from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment, Target, checked_target, slug, started
from bot.domain.errors import AlreadyDeploying, ChecklistUnusable, Finding, TargetFrozen
from bot.domain.freezing import Frozen, frozen
from bot.domain.queueing import Place
from bot.domain.verification import Bound
from bot.services import locking, permitting, queueing
from bot.services.choosing import allowed_checklist
from bot.services.ports import Ports
from bot.storage import deliveries, locks, posts, queue, watches


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """Who wants to start what, and which Slack delivery said so."""

    service: str
    version: str
    environment: str
    #: Empty for what services.yaml says of the service, or `production`.
    checklist: str
    team: str
    channel: str
    lead: str
    timezone: str
    #: Stable name of the Slack delivery: the same one twice starts one deployment.
    delivery: str
    #: Who starts it where that is not the lead: `ci`.
    by: str = ""
    #: Prepare it although a freeze holds, and start although it is somebody else's turn.
    over_freeze: bool = False
    over_turn: bool = False


async def start(ports: Ports, request: StartRequest) -> Deployment:
    """Start a deployment, or return the one this delivery started before.

    Raises InvalidName, ChecklistNotForIt, ChecklistUnusable, SidecarUnusable, ServicesUnusable,
    AlreadyDeploying, NotPermitted, GroupUnknown, TargetLocked, TargetFrozen, NotYourTurn, StorageBusy,
    StorageFailed.
    """
    target = checked_target(request.service, request.version, request.environment)
    name = allowed_checklist(ports, target.service, target.environment, named=request.checklist)
    checklist = ports.library.load(name)
    variables = {
        "service": target.service,
        "version": target.version,
        "environment": target.environment,
    }
    checklist = ports.library.fill(checklist, variables)
    if not checklist.items:
        nothing = Finding(
            line=0, message="it holds no boxes to tick: write items as `- [ ] text`", fatal=True
        )
        raise ChecklistUnusable(name, (nothing,))
    bindings = await ports.verifier.bindings(name, **variables)
    plan = await ports.watching.plan(name, **variables)
    conduct = await ports.rulebook.conduct(name, **variables)
    await permitting.require_in(
        ports, conduct, Permission.START, user=request.lead, team=request.team, channel=request.channel
    )
    policy = await ports.policies.policy(name)
    now = ports.clock.now()
    freeze = frozen(policy.freezes, target, now)
    quiet = policy.quiet_lead
    also: dict[str, Any] = {
        **({} if quiet is None else {"quiet_lead_s": quiet.total_seconds()}),
        **({} if freeze is None else {"frozen": freeze.to_json()}),
    }
    begin = partial(
        started,
        target=target,
        team=request.team,
        channel=request.channel,
        lead=request.lead,
        timezone=request.timezone,
        checklist_name=name,
        checklist=checklist,
        bindings=_ready(checklist, bindings),
        by=request.by,
        conduct=conduct,
        also=also,
        at=now,
    )
    try:
        async with ports.database.write() as tx:
            # In this order: where another replica starts it for the same delivery between the two looks, the
            # second one sees that, and nobody is told that their own deployment is in their way.
            holder = await ports.deployments.holder(tx, request.team, target)
            seen, deployment_id = await deliveries.effect(tx, request.delivery)
            if seen and deployment_id is not None:
                again = await ports.deployments.get(tx, deployment_id)
                assert again is not None
                return again
            if holder is not None:
                raise held_by(holder)
            line, passed = await _let_through(tx, request, target, name, freeze, at=now)
            if passed is not None:
                also["over_turn_of"] = passed.user
            placeholder = uuid.uuid4().hex
            deployment_id = await ports.deployments.create(tx, begin(name=placeholder))
            called = f"{slug(target.service)}-{deployment_id}"
            state = await ports.deployments.begin(tx, deployment_id, begin(name=called))
            await posts.add(
                tx, ports.layout.plan(state), deployment_id=state.id, channel=state.channel, at=now
            )
            if plan.signals:
                await watches.add(tx, state.id, at=now)
            await queueing.after_start(tx, line, user=request.lead, at=now)
            await deliveries.add(tx, request.delivery, at=now, deployment_id=state.id)
    except IntegrityError:
        # Another replica committed the same delivery, or the same service, between our look and our write.
        return await _after_a_race(ports, request, target)
    ports.bell.ring()
    return state


async def _let_through(
    tx: AsyncConnection,
    request: StartRequest,
    target: Target,
    checklist: str,
    freeze: Frozen | None,
    *,
    at: datetime,
) -> tuple[Sequence[Place], Place | None]:
    """See that nothing stands in the way of a start: who waits for the same, and who is passed over.

    Raises TargetLocked, TargetFrozen, NotYourTurn.
    """
    for lock in await locks.covering(tx, request.team, target, at=at):
        raise locking.locked_by(lock)
    if freeze is not None and not request.over_freeze:
        raise TargetFrozen(name=freeze.name, reason=freeze.reason, until=freeze.until)
    line = await queue.line(tx, request.team, target, locked=True)
    if freeze is not None:
        return line, None  # they wait for its end, and who only prepares takes nothing from them
    before = queueing.in_the_way(line, user=request.lead, checklist=checklist)
    if before is not None and not request.over_turn:
        raise queueing.not_your_turn(before)
    return line, before


def _ready(checklist: Checklist, bindings: Mapping[str, Binding]) -> dict[int, Bound]:
    """The items whose checks can run here, by position: what is not set up is for a person alone."""
    ready = {}
    for position, item in enumerate(checklist.boxes):
        binding = bindings.get(item.key)
        if binding is not None and binding.checks and not binding.missing and not binding.forbidden:
            ready[position] = Bound(human=binding.human, cheap=binding.cheap, once=binding.once)
    return ready


async def _after_a_race(ports: Ports, request: StartRequest, target: Target) -> Deployment:
    async with ports.database.read() as tx:
        _, deployment_id = await deliveries.effect(tx, request.delivery)
        if deployment_id is not None:
            again = await ports.deployments.get(tx, deployment_id)
            assert again is not None
            return again
        holder = await ports.deployments.holder(tx, request.team, target)
    if holder is not None:
        raise held_by(holder)
    return await start(ports, request)


def held_by(holder: Deployment) -> AlreadyDeploying:
    """The refusal that names who holds the service and environment."""
    return AlreadyDeploying(
        deployment_id=holder.id,
        name=holder.name,
        service=holder.target.service,
        version=holder.target.version,
        environment=holder.target.environment,
        lead=holder.lead,
    )
