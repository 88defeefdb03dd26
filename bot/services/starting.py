"""Start a deployment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import IntegrityError

from bot.domain.check import Binding
from bot.domain.checklist import Checklist
from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment, Target, checked_target, slug, started
from bot.domain.errors import AlreadyDeploying, ChecklistUnusable, Finding
from bot.domain.routing import DEFAULT_CHECKLIST
from bot.domain.verification import Bound
from bot.services import permitting
from bot.services.ports import Ports
from bot.storage import deliveries, posts, watches


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


async def start(ports: Ports, request: StartRequest) -> Deployment:
    """Start a deployment, or return the one this delivery started before.

    Raises InvalidName, ChecklistUnusable, SidecarUnusable, ServicesUnusable, AlreadyDeploying, NotPermitted,
    GroupUnknown, StorageBusy, StorageFailed.
    """
    target = checked_target(request.service, request.version, request.environment)
    name = request.checklist or checklist_for(ports, target.service, target.environment)
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
    now = ports.clock.now()
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
            placeholder = uuid.uuid4().hex
            deployment_id = await ports.deployments.create(tx, begin(name=placeholder))
            called = f"{slug(target.service)}-{deployment_id}"
            state = await ports.deployments.begin(tx, deployment_id, begin(name=called))
            await posts.add(
                tx, ports.layout.plan(state), deployment_id=state.id, channel=state.channel, at=now
            )
            if plan.signals:
                await watches.add(tx, state.id, at=now)
            await deliveries.add(tx, request.delivery, at=now, deployment_id=state.id)
    except IntegrityError:
        # Another replica committed the same delivery, or the same service, between our look and our write.
        return await _after_a_race(ports, request, target)
    ports.bell.ring()
    return state


def checklist_for(ports: Ports, service: str, environment: str) -> str:
    """The checklist of a service where nobody names one. Raises ServicesUnusable."""
    return ports.library.routing().of(service, environment).checklist or DEFAULT_CHECKLIST


def _ready(checklist: Checklist, bindings: Mapping[str, Binding]) -> dict[int, Bound]:
    """The items whose checks can run here, by position: what is not set up is for a person alone."""
    ready = {}
    for position, item in enumerate(checklist.boxes):
        binding = bindings.get(item.key)
        if binding is not None and binding.checks and not binding.missing and not binding.forbidden:
            ready[position] = Bound(human=binding.human, cheap=binding.cheap)
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
