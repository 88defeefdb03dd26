"""What people may do about an item besides ticking it: waive it, give it to somebody, write a note."""

from __future__ import annotations

import re
from datetime import datetime

from bot.domain.deployment import REASON, Deployment
from bot.domain.errors import (
    AlreadyAssigned,
    AlreadyWaived,
    AssigneeUnusable,
    DeploymentClosed,
    LinkUnusable,
    NoSuchItem,
    NoSuchNote,
    NotAssigned,
    NoteMissing,
    NotWaived,
    ReasonTooLong,
    WaiverReasonMissing,
)
from bot.domain.events import Fact

#: Longest note. Own choice: the form shows several of them.
NOTE = 1000
#: Longest address at a note (Slack docs: button element, `url`).
LINK = 3000
#: Slack ids of people and of user groups.
ASSIGNEE = re.compile(r"[UWS][A-Z0-9]{2,}")


def waived(deployment: Deployment, position: int, *, user: str, at: datetime, reason: str) -> Fact:
    """An item does not apply here.

    Raises DeploymentClosed, NoSuchItem, AlreadyWaived, WaiverReasonMissing, ReasonTooLong.
    """
    data = _about(deployment, position)
    if position in deployment.care.waivers:
        raise AlreadyWaived(deployment.boxes[position].text)
    reason = " ".join(reason.split())
    if not reason:
        raise WaiverReasonMissing(deployment.boxes[position].text)
    if len(reason) > REASON:
        raise ReasonTooLong(len(reason), limit=REASON)
    return Fact(kind="item.waived", actor=user, at=at, data={**data, "reason": reason})


def unwaived(deployment: Deployment, position: int, *, user: str, at: datetime) -> Fact:
    """It applies after all. Raises DeploymentClosed, NoSuchItem, NotWaived."""
    data = _about(deployment, position)
    if position not in deployment.care.waivers:
        raise NotWaived(deployment.boxes[position].text)
    return Fact(kind="item.unwaived", actor=user, at=at, data=data)


def assigned(deployment: Deployment, position: int, *, to: str, user: str, at: datetime) -> Fact:
    """An item is given to a person or a user group.

    Raises DeploymentClosed, NoSuchItem, AssigneeUnusable, AlreadyAssigned.
    """
    data = _about(deployment, position)
    if not ASSIGNEE.fullmatch(to):
        raise AssigneeUnusable
    if to in deployment.care.assignees(position):
        raise AlreadyAssigned(deployment.boxes[position].text)
    return Fact(kind="item.assigned", actor=user, at=at, data={**data, "to": to})


def unassigned(deployment: Deployment, position: int, *, to: str, user: str, at: datetime) -> Fact:
    """It is not theirs any more. Raises DeploymentClosed, NoSuchItem, NotAssigned."""
    data = _about(deployment, position)
    if to not in deployment.care.assignees(position):
        raise NotAssigned(deployment.boxes[position].text)
    return Fact(kind="item.unassigned", actor=user, at=at, data={**data, "to": to})


def noted(
    deployment: Deployment, position: int, *, text: str, link: str = "", user: str, at: datetime
) -> Fact:
    """Words at an item, with an address or without.

    Raises DeploymentClosed, NoSuchItem, NoteMissing, ReasonTooLong, LinkUnusable.
    """
    data = _about(deployment, position)
    text, link = " ".join(text.split()), link.strip()
    if not text and not link:
        raise NoteMissing(deployment.boxes[position].text)
    if len(text) > NOTE:
        raise ReasonTooLong(len(text), limit=NOTE)
    if link and (not re.fullmatch(r"https?://[^\s<>|\"]+", link) or len(link) > LINK):
        raise LinkUnusable(link)
    told = {**data, "text": text, "link": link}
    return Fact(kind="item.noted", actor=user, at=at, data=told)


def note_removed(deployment: Deployment, position: int, *, note: int, user: str, at: datetime) -> Fact:
    """A note is taken away; the history keeps it. Raises DeploymentClosed, NoSuchItem, NoSuchNote."""
    data = _about(deployment, position)
    if all(one.seq != note for one in deployment.care.notes.get(position, ())):
        raise NoSuchNote
    return Fact(kind="item.note_removed", actor=user, at=at, data={**data, "note": note})


def _about(deployment: Deployment, position: int) -> dict[str, object]:
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    if not 0 <= position < len(deployment.boxes):
        raise NoSuchItem
    return {"item": deployment.boxes[position].key, "position": position}
