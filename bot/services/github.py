"""GitHub's deployments: one that is created there starts one here, its statuses say how far it is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from bot.domain import ci
from bot.domain.ci import LinkKind
from bot.domain.ci_requests import CiAction, CiRequest
from bot.domain.deployment import Deployment
from bot.domain.errors import AlreadyDeploying, DeploymentClosed
from bot.domain.github_events import EARLY, STATES, GitHubDeployment, GitHubStatus
from bot.domain.routing import GitHubRule
from bot.services.ci import CiDesk
from bot.services.ports import Ports
from bot.storage import github_deployments


@dataclass(frozen=True, kw_only=True)
class Handled:
    """What became of an event."""

    #: In a sentence.
    said: str
    deployment: Deployment | None = None


class GitHubDesk:
    """Takes GitHub's events in."""

    def __init__(self, ports: Ports, ci_desk: CiDesk) -> None:
        self._ports = ports
        self._ci = ci_desk

    async def deployment(self, told: GitHubDeployment) -> Handled:
        """Start a deployment for one that was created on GitHub, or link it to the open one of its version.

        Safe to repeat. Raises AlreadyDeploying where another version is under way, and as CiDesk.serve.
        """
        known = await self._ours(told)
        if known is not None:
            return Handled(said="known already", deployment=known)
        rule = self._ports.library.routing().of_github(told.repository, told.environment)
        if rule is None:
            return Handled(said=f"services.yaml has no rule for {told.repository} in {told.environment}")
        try:
            started = await self._ci.serve(_start(told, rule), delivery=_delivery(told))
        except AlreadyDeploying as held:
            holder = await self._same_version(held.deployment_id, told)
            if holder is None:
                raise
            return Handled(said="linked to the one under way", deployment=await self._link(holder, told))
        return Handled(said="started", deployment=await self._link(started.deployment, told))

    async def status(self, told: GitHubStatus, *, delivery: str) -> Handled:
        """Note how far GitHub says a deployment is. Raises as `deployment`."""
        if told.ours:
            return Handled(said="our own status, come back")
        state = await self._ours(told.deployment)
        if state is None and told.state in EARLY:
            # The two events of a new deployment may come in any order.
            state = (await self.deployment(told.deployment)).deployment
        if state is None:
            return Handled(said="no deployment of ours")
        meaning = STATES.get(told.state)
        if meaning is None:
            return Handled(said=f"{told.state} changes nothing", deployment=state)
        try:
            done = await self._ci.report(state, meaning, url=told.url, said=told.said, delivery=delivery)
        except DeploymentClosed as closed:
            return Handled(said=str(closed), deployment=state)
        return Handled(said=f"noted as {meaning}", deployment=done.deployment)

    async def _ours(self, told: GitHubDeployment) -> Deployment | None:
        async with self._ports.database.read() as tx:
            deployment_id = await github_deployments.ours(tx, told.repository, told.id)
            return None if deployment_id is None else await self._ports.deployments.get(tx, deployment_id)

    async def _same_version(self, deployment_id: int, told: GitHubDeployment) -> Deployment | None:
        async with self._ports.database.read() as tx:
            state = await self._ports.deployments.get(tx, deployment_id)
        return state if state is not None and state.target.version == told.version else None

    async def _link(self, state: Deployment, told: GitHubDeployment) -> Deployment:
        """Note that the two belong together, in the history and where it is looked up."""
        now = self._ports.clock.now()
        fact = ci.linked(
            LinkKind.GITHUB,
            at=now,
            repository=told.repository,
            id=told.id,
            url=told.url,
            sha=told.sha,
            ref=told.ref,
        )
        try:
            async with self._ports.database.write() as tx:
                before = await self._ports.deployments.get(tx, state.id, locked=True)
                assert before is not None
                if await github_deployments.ours(tx, told.repository, told.id) is not None:
                    return before
                await github_deployments.add(tx, told.repository, told.id, deployment_id=state.id, at=now)
                return await self._ports.deployments.append(tx, before, [fact])
        except IntegrityError:  # the other event of the same deployment was quicker, in another replica
            return state


def _start(told: GitHubDeployment, rule: GitHubRule) -> CiRequest:
    return CiRequest(
        action=CiAction.START,
        service=rule.service or told.service,
        version=told.version,
        environment=rule.deploy_to or told.environment,
        channel=rule.channel,
        lead=rule.leads.get(told.creator.casefold(), "") or rule.lead,
        checklist=rule.checklist,
        team=rule.team,
    )


def _delivery(told: GitHubDeployment) -> str:
    """One for all events of a deployment: whichever comes first starts it."""
    return f"github.{told.repository.lower()}.{told.id}"
