"""Who leads a deployment: handing it over, and asking a lead from whom nothing is heard."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.domain import nudging
from bot.domain.deployment import Deployment
from bot.domain.errors import NoSuchDeployment
from bot.domain.events import Fact
from bot.domain.nudging import NudgeLevel
from bot.domain.post import PlannedPost
from bot.services.ports import Ports
from bot.storage import deliveries, posts


async def hand_over(ports: Ports, deployment_id: int, *, to: str, user: str, delivery: str) -> Deployment:
    """Somebody else leads from now on, and the thread says so; anybody may do it.

    Raises NoSuchDeployment, DeploymentClosed, AlreadyLeads, StorageBusy, StorageFailed.
    """

    def made(state: Deployment) -> Fact:
        return nudging.handed_over(state, to=to, user=user, at=ports.clock.now())

    def notice(state: Deployment, fact: Fact) -> PlannedPost:
        content = {"from": fact.data["from"], "to": to, "by": user}
        return PlannedPost(kind="notice", key=f"lead-{state.seq}", content=content)

    return await _act(ports, deployment_id, delivery, made, notice)


async def present(ports: Ports, deployment_id: int, *, user: str, delivery: str) -> Deployment:
    """The lead says that they are at it. Raises NoSuchDeployment, DeploymentClosed, LeadsNoLonger."""
    return await _act(
        ports,
        deployment_id,
        delivery,
        lambda state: nudging.present(state, user=user, at=ports.clock.now()),
        None,
    )


async def _act(
    ports: Ports,
    deployment_id: int,
    delivery: str,
    made: Callable[[Deployment], Fact],
    notice: Callable[[Deployment, Fact], PlannedPost] | None,
) -> Deployment:
    """Add a fact, and the message that says so. The same delivery again changes nothing."""
    async with ports.database.write() as tx:
        before = await ports.deployments.get(tx, deployment_id, locked=True)
        if before is None:
            raise NoSuchDeployment(str(deployment_id))
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return before
        fact, now = made(before), ports.clock.now()
        after = await ports.deployments.append(tx, before, [fact])
        if notice is not None:
            await posts.want(tx, deployment_id=after.id, at=now, only=(), settled=True)
            new = [notice(after, fact)]
            await posts.add(tx, new, deployment_id=after.id, channel=after.channel, at=now)
        await deliveries.add(tx, delivery, at=now, deployment_id=after.id)
    ports.bell.ring()
    return after


class Nudges:
    """Asks leads who have gone quiet, each time it is woken."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        #: When each open deployment's lead is to be asked, by what was known at this head of its history.
        self._due: dict[int, tuple[str, datetime | None]] = {}

    async def look(self) -> None:
        """Ask whoever is to be asked by now. Raises StorageBusy, StorageFailed."""
        now = self._ports.clock.now()
        async with self._ports.database.read() as tx:
            opened = await self._ports.deployments.all_open(tx)
            self._due = {state.id: self._due[state.id] for state in opened if state.id in self._due}
            for state in opened:
                if self._due.get(state.id, ("", None))[0] != state.head:
                    found = nudging.due(state, await self._ports.deployments.quiet(tx, state))
                    self._due[state.id] = (state.head, found and found[1])
        for deployment_id, (_, at) in list(self._due.items()):
            if at is not None and at <= now:
                await self._ask(deployment_id, now)

    async def _ask(self, deployment_id: int, now: datetime) -> None:
        async with self._ports.database.write() as tx:
            state = await self._ports.deployments.get(tx, deployment_id, locked=True)
            assert state is not None
            found = nudging.due(state, await self._ports.deployments.quiet(tx, state))
            if found is None or found[1] > now:
                return  # another replica was quicker, or the lead
            level = found[0]
            after = await self._ports.deployments.append(tx, state, [nudging.nudged(state, level, at=now)])
            content = {"nudge": int(level), "to": state.lead, "open": len(state.open_items)}
            direct = level is NudgeLevel.LEAD
            post = PlannedPost(
                kind="direct" if direct else "notice", key=f"nudge-{after.seq}", content=content
            )
            channel = state.lead if direct else state.channel
            await posts.add(tx, [post], deployment_id=state.id, channel=channel, at=now)
        self._ports.bell.ring()
