"""Check that histories add up, and that what is shown is what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, fields

from bot.domain.deployment import Deployment, fold
from bot.domain.events import GENESIS, broken_link
from bot.services.ports import Ports


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the check of one deployment found."""

    deployment_id: int
    name: str
    events: int
    #: Sentences; empty where everything adds up.
    problems: tuple[str, ...] = ()


async def verify(
    ports: Ports, *, deployment_id: int | None = None, rebuild: bool = False
) -> AsyncIterator[Verdict]:
    """Check one deployment or all: the chain of events, then the projections against them.

    With `rebuild`, projections that differ from an unbroken history are made again from it.
    """
    async with ports.database.read() as tx:
        ids = [deployment_id] if deployment_id is not None else await ports.deployments.ids(tx)
    for id_ in ids:
        yield await _verify_one(ports, id_, rebuild=rebuild)


async def _verify_one(ports: Ports, deployment_id: int, *, rebuild: bool) -> Verdict:
    async with ports.database.read() as tx:
        history = await ports.deployments.history(tx, deployment_id)
        if not history:
            missing = "it has no events at all"
            return Verdict(
                deployment_id=deployment_id, name=str(deployment_id), events=0, problems=(missing,)
            )
        projected = await ports.deployments.projected(tx, deployment_id)
    problems: list[str] = []
    broken = broken_link(history)
    if broken is not None:
        problems.append(broken)
    elif projected.head not in {GENESIS, *(event.hash for event in history)}:
        problems.append(f"events after {history[-1].seq} are missing: the deployment had {projected.seq}")
    try:
        folded = fold(history)
    except (KeyError, TypeError, ValueError) as error:
        problems.append(f"its history cannot be read: {error}")
    else:
        differing = _differences(projected, folded)
        problems.extend(differing)
        if differing and rebuild and broken is None and projected.seq <= folded.seq:
            async with ports.database.write() as tx:
                await ports.deployments.rebuild(tx, folded)
            problems.append("the projection was made again from the events")
    return Verdict(
        deployment_id=deployment_id, name=projected.name, events=len(history), problems=tuple(problems)
    )


def _differences(projected: Deployment, folded: Deployment) -> list[str]:
    return [
        f"the projection's {field.name} is not what the events say"
        for field in fields(Deployment)
        if getattr(projected, field.name) != getattr(folded, field.name)
    ]
