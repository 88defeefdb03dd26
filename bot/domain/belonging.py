"""What is one person's to do: items given to them or to a group of theirs, and those of sections they own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.deployment import Deployment

#: How long an item stays in its owner's list after they ticked it, so that a slip can be undone where it was
#: made. Own choice.
LINGERS = timedelta(minutes=10)
#: How the ids of user groups begin (Slack docs: user groups).
GROUP = "S"


class Claim(StrEnum):
    """Why an item is somebody's."""

    #: It was given to them.
    PERSON = "person"
    #: It was given to a user group they are in.
    GROUP = "group"
    #: It stands in a part of the checklist that is theirs, or their group's.
    SECTION = "section"


@dataclass(frozen=True, kw_only=True)
class Own:
    """One item of somebody's."""

    #: Position in the checklist.
    position: int
    claim: Claim
    #: Slack id of the person or group it came to them through.
    through: str
    #: Who gave it to them; empty for what they own.
    given_by: str = ""
    #: They ticked it a moment ago.
    lingers: bool = False


def own(deployment: Deployment, user: str, groups: Collection[str], *, at: datetime) -> tuple[Own, ...]:
    """The person's open items in the order of the checklist, and those they ticked a moment ago.

    `groups` are the ids of the user groups they are in.
    """
    return tuple(_own(deployment, user, groups, at)) if deployment.phase.open else ()


def still_open(items: Collection[Own]) -> int:
    """How many of them are still to do."""
    return sum(not item.lingers for item in items)


def groups_named(deployment: Deployment) -> frozenset[str]:
    """The user groups that have, or own, anything in a deployment."""
    given = {one.to for some in deployment.care.assignments.values() for one in some}
    owning = {owner for part in deployment.conduct.owned for owner in part.owners}
    return frozenset(one for one in given | owning if one.startswith(GROUP))


def _own(deployment: Deployment, user: str, groups: Collection[str], at: datetime) -> Iterator[Own]:
    for position in range(len(deployment.boxes)):
        tick = deployment.ticks.get(position)
        lingers = tick is not None and tick.by == user and at - tick.at < LINGERS
        if position in deployment.done and not lingers:
            continue
        found = _claim(deployment, position, user, groups)
        if found is not None:
            claim, through, given_by = found
            yield Own(
                position=position,
                claim=claim,
                through=through,
                given_by=given_by,
                lingers=lingers and position in deployment.done,
            )


def _claim(
    deployment: Deployment, position: int, user: str, groups: Collection[str]
) -> tuple[Claim, str, str] | None:
    given = deployment.care.assignments.get(position, ())
    for one in given:
        if one.to == user:
            return Claim.PERSON, user, one.by
    for one in given:
        if one.to in groups:
            return Claim.GROUP, one.to, one.by
    if position >= len(deployment.checklist.items):
        return None  # Sections are the checklist's; a rollback step is somebody's only if it was given.
    for owner in deployment.conduct.owners(position):
        if owner == user or owner in groups:
            return Claim.SECTION, owner, ""
    return None
