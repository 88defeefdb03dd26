"""CI starts, updates, finishes and aborts deployments, and is recorded as `ci`, never as a person."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Protocol

from bot.domain import ci
from bot.domain.checklist import Checklist
from bot.domain.ci import CiState, LinkKind
from bot.domain.ci_requests import CiAction, CiRequest
from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment, tick
from bot.domain.errors import (
    AnotherVersion,
    BotNotInChannel,
    DeploymentClosed,
    InboundUnusable,
    NobodyLeads,
    NoneOpen,
    NoSuchDeployment,
)
from bot.domain.events import CI, Fact
from bot.domain.post import PlannedPost
from bot.domain.ticking import Act
from bot.domain.triggering import TriggerFinding
from bot.domain.verification import Bound
from bot.domain.watching import Source
from bot.services import alerting, checking, ending, finding, permitting, starting
from bot.services.choosing import allowed_checklist
from bot.services.ports import Ports
from bot.services.rolling_back import note_progress
from bot.services.starting import StartRequest
from bot.storage import deliveries, posts

#: The trigger a failed deploy raises.
FAILED_KEY, FAILED_TITLE = "ci/deploy-failed", "The deploy failed in CI"
#: As bad as a critical alert of another system.
FAILED_SIZE = 2.0
#: How long an answer waits for the card, to have its link, and how often it looks, in seconds.
PATIENCE_S, LOOK_EVERY_S = 2.5, 0.1
_ADVICE = "Nothing was done; send it again with what is missing"


@dataclass(frozen=True, kw_only=True)
class Lead:
    """Somebody who can lead a deployment."""

    #: Slack user id.
    id: str
    #: IANA time zone.
    timezone: str


class Premises(Protocol):
    """A workspace CI's deployments stand in."""

    @property
    def team(self) -> str:
        """Its Slack team id."""

    @property
    def bot(self) -> str:
        """The bot's handle with the @."""

    async def lead(self, user: str) -> Lead | None:
        """The person, or None where nobody of this id can lead. Raises DeploybotError."""

    async def may_post(self, channel: str) -> bool:
        """Whether the bot can post there."""

    def link(self, channel: str, ts: str | None) -> str | None:
        """To a message."""


class Offices(Protocol):
    """The workspaces the bot is in."""

    async def premises(self, team: str) -> Premises:
        """The workspace of this Slack team id; without one, the only one there is.

        Raises WrongWorkspace where the bot is not in it, or is in several and none is named.
        """


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a request."""

    deployment: Deployment
    #: A sentence for each thing that was done, or was not.
    said: tuple[str, ...] = ()


class CiDesk:
    """Serves CI's requests."""

    def __init__(self, ports: Ports, offices: Offices, *, patience: float = PATIENCE_S) -> None:
        self._ports = ports
        self._offices = offices
        self._patience = patience

    async def serve(self, request: CiRequest, *, delivery: str) -> Done:
        """Do what is asked. The same delivery again changes nothing.

        Raises InboundUnusable, NobodyLeads, BotNotInChannel, WrongWorkspace, NoSuchDeployment, NoneOpen,
        AnotherVersion, GateClosed, NotPermitted, AlreadyDeploying, DeploymentClosed, InvalidName,
        ChecklistUnusable, StorageBusy, StorageFailed.
        """
        premises = await self._offices.premises(request.team or self._usual_team(request))
        if request.action is CiAction.START:
            return await self._start(request, premises, delivery)
        state = await self._meant(request, premises.team)
        if request.tick:
            await permitting.require(self._ports, state, Permission.TICK, user=CI)
        if request.action is not CiAction.UPDATE:
            await permitting.require(self._ports, state, Permission.END, user=CI)
        if request.version and request.version != state.target.version:
            raise AnotherVersion(name=state.name, version=state.target.version, asked=request.version)
        _refuse_unknown_items(state.checklist, request.tick)
        if request.action is CiAction.ABORT:
            await self._note(state, request, delivery=f"{delivery}.noted")
            state = await ending.abort(
                self._ports, state.id, user=CI, reason=request.reason, delivery=delivery
            )
            return Done(deployment=state, said=("aborted",))
        done = await self._note(state, request, delivery=f"{delivery}.noted")
        if request.action is CiAction.UPDATE:
            return done
        state = await ending.finish(self._ports, state.id, user=CI, delivery=delivery)
        ended = "finished" if not state.phase.open else "its evidence is looked at first, then it is finished"
        return Done(deployment=state, said=(*done.said, ended))

    def _usual_team(self, request: CiRequest) -> str:
        if not request.service:
            return ""
        return self._ports.library.routing().of(request.service, request.environment).team

    async def link_of(self, state: Deployment) -> str | None:
        """The link to a deployment's thread; a card that is just being posted is waited for. None without."""
        premises = await self._offices.premises(state.team)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while True:
                    post = await finding.card(self._ports, state.id)
                    if post is None or post.ts is not None:
                        return None if post is None else premises.link(post.channel, post.ts)
                    await asyncio.sleep(LOOK_EVERY_S)
        return None

    async def _meant(self, request: CiRequest, team: str) -> Deployment:
        """The deployment a request names: by id, by name, else the open one of service and environment."""
        if request.id is not None:
            return await finding.get(self._ports, request.id, team=team)
        if request.name:
            return await finding.named(self._ports, team, request.name)
        async with self._ports.database.read() as tx:
            found = await self._ports.deployments.opened_for(tx, request.service, request.environment)
        here = [state for state in found if state.team == team]
        if not here:
            raise NoneOpen(request.service, request.environment)
        return here[0]

    async def _start(self, request: CiRequest, premises: Premises, delivery: str) -> Done:
        rule = self._ports.library.routing().of(request.service, request.environment)
        channel, lead = request.channel or rule.channel, request.lead or rule.lead
        if not channel:
            problem = "channel is missing: send a Slack channel id (C…), or name one in services.yaml"
            raise InboundUnusable((problem,), advice=_ADVICE, what="request")
        person = await premises.lead(lead) if lead else None
        if person is None:
            raise NobodyLeads(lead)
        if not await premises.may_post(channel):
            raise BotNotInChannel(premises.bot, there=True)
        name = allowed_checklist(self._ports, request.service, request.environment, named=request.checklist)
        variables = {
            "service": request.service,
            "version": request.version,
            "environment": request.environment,
        }
        _refuse_unknown_items(
            self._ports.library.fill(self._ports.library.load(name), variables), request.tick
        )
        if request.tick:
            rules = await self._ports.rulebook.conduct(name, **variables)
            await permitting.require_in(
                self._ports, rules, Permission.TICK, user=CI, team=premises.team, channel=channel
            )
        state = await starting.start(
            self._ports,
            StartRequest(
                service=request.service,
                version=request.version,
                environment=request.environment,
                checklist=name,
                team=premises.team,
                channel=channel,
                lead=person.id,
                timezone=person.timezone,
                delivery=delivery,
                by=CI,
            ),
        )
        done = await self._note(state, request, delivery=f"{delivery}.noted")
        return Done(deployment=done.deployment, said=("started", *done.said))

    async def report(self, state: Deployment, told: CiState, *, url: str, said: str, delivery: str) -> Done:
        """How far another system says a deployment is. Raises DeploymentClosed."""
        request = CiRequest(action=CiAction.UPDATE, state=told, url=url, reason=said)
        return await self._note(state, request, delivery=delivery)

    # ── what CI says besides ─────────────────────────────────────────────────────────────────────────────

    async def _note(self, state: Deployment, request: CiRequest, *, delivery: str) -> Done:
        """Links, how far it is, and ticks, in one transaction; then the alert of a deploy that failed.

        Raises DeploymentClosed.
        """
        said: list[str] = []
        async with self._ports.database.write() as tx:
            before = await self._ports.deployments.get(tx, state.id, locked=True)
            if before is None:
                raise NoSuchDeployment(str(state.id))
            seen, _ = await deliveries.effect(tx, delivery)
            after = before
            if not seen:
                if not before.phase.open:
                    raise DeploymentClosed(before.name, before.phase)
                now = self._ports.clock.now()
                facts = [*ci.news(_links(request, now), before.care.links)]
                if request.state is not None:
                    said.append(f"noted as {request.state}")
                    facts.append(
                        ci.reported(before, request.state, url=request.url, said=request.reason, at=now)
                    )
                ticked, about = _ticks(before, request, earlier=len(facts), now=now)
                said += about
                after = await self._ports.deployments.append(tx, before, [*facts, *ticked])
                await checking.redraw(tx, before, after, at=now)
                await note_progress(tx, before, after, at=now)
                if request.state is CiState.DEPLOYED:
                    content = {"by": CI, "said": request.reason, "url": request.url}
                    post = PlannedPost(kind="notice", key=f"deployed-{after.seq}", content=content)
                    await posts.add(tx, [post], deployment_id=after.id, channel=after.channel, at=now)
                await deliveries.add(tx, delivery, at=now, deployment_id=after.id)
        self._ports.bell.ring()
        if request.state is CiState.FAILED:
            after = await self._alert(after, request, delivery=f"{delivery}.alert")
        return Done(deployment=after, said=tuple(said))

    async def _alert(self, state: Deployment, request: CiRequest, *, delivery: str) -> Deployment:
        """People decide what follows of a deploy that failed; they have to hear of it."""
        return await alerting.report(
            self._ports,
            state.id,
            key=FAILED_KEY,
            title=FAILED_TITLE,
            source=Source.HOOK,
            finding=TriggerFinding(
                said=request.reason or "CI says that the deploy failed.",
                links=(("The run", request.url),) if request.url else (),
            ),
            size=FAILED_SIZE,
            by=CI,
            delivery=delivery,
        )


def _links(request: CiRequest, now: datetime) -> list[Fact]:
    found = []
    if request.url:
        found.append(ci.linked(LinkKind.RUN, at=now, url=request.url))
    if request.commits is not None:
        commits = request.commits
        first = commits.first_commit_at
        found.append(
            ci.linked(
                LinkKind.COMMITS,
                at=now,
                base=commits.base,
                head=commits.head,
                first_commit_at=None if first is None else first.isoformat(),
                count=commits.count,
            )
        )
    return found


def _ticks(
    state: Deployment, request: CiRequest, *, earlier: int, now: datetime
) -> tuple[tuple[Fact, ...], list[str]]:
    """The facts of what CI ticks, and a sentence for each item that could not be ticked."""
    positions = [ci.position_of(state.checklist, words) for words in request.tick]
    acts = [
        Act(position=position, ticked=True)
        for position in dict.fromkeys(positions)
        if position is not None and position not in state.ticks
    ]
    # What needs somebody's judgement besides its check is not CI's to judge.
    judged = {act.position: bound.human for act in acts if (bound := _needs_a_person(state, act.position))}
    acts = [act for act in acts if act.position not in judged]
    outcome = tick(state, acts, user=CI, at=now, drawn_seq=state.seq + earlier)
    facts = [fact for fact in outcome.facts if not fact.data.get("moot")]
    said = [f"ticked {len(facts)} of {len(request.tick)}"] if request.tick else []
    said += [
        f"“{state.checklist.items[position].text}” was not ticked: its check does not pass, and only a "
        "person can overrule it"
        for position in outcome.needs_reason
    ]
    said += [
        f"“{state.checklist.items[position].text}” was not ticked: somebody has to judge this: {what}"
        for position, what in judged.items()
    ]
    said += [
        f"“{item.text}” was not ticked: the gate “{gate.title}” before it is not passed"
        for item, gate in outcome.behind
    ]
    return tuple(facts), said


def _needs_a_person(state: Deployment, position: int) -> Bound | None:
    bound = state.bindings.get(position)
    return bound if bound is not None and bound.human else None


def _refuse_unknown_items(checklist: Checklist, wanted: Sequence[str]) -> None:
    """Raises InboundUnusable with every item that is not there, and what may have been meant."""
    problems = []
    texts = {item.text.casefold(): item.text for item in checklist.items}
    keys = {item.key.casefold(): item.key for item in checklist.items}
    for at, words in enumerate(wanted):
        if ci.position_of(checklist, words) is not None:
            continue
        named = {**texts, **keys}
        if words.casefold() in named:
            problems.append(
                f"tick[{at}] “{words[:60]}” stands for several items; send the key of the one you mean"
            )
            continue
        near = get_close_matches(words.casefold(), list(named), n=1, cutoff=0.55)
        hint = f" (did you mean “{named[near[0]]}”?)" if near else ""
        problems.append(f"tick[{at}] “{words[:60]}” is no item of the checklist{hint}")
    if problems:
        raise InboundUnusable(tuple(problems), advice=_ADVICE, what="request")
