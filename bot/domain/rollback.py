"""Going back: a person decides it, the runbook's steps are ticked, and how long each part took is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.checklist import Item
from bot.domain.deployment import REASON, Deployment
from bot.domain.errors import (
    DeploymentClosed,
    OnlyADrill,
    ReasonTooLong,
    RollbackReasonMissing,
    RollbackUnderWay,
)
from bot.domain.events import Fact
from bot.domain.watching import VERIFIED, Source, Trigger


def started(
    deployment: Deployment, *, user: str, at: datetime, why: str, trigger: Trigger | None = None
) -> Fact:
    """Somebody goes back, because of a trigger or not.

    Raises DeploymentClosed, RollbackUnderWay, OnlyADrill, RollbackReasonMissing, ReasonTooLong.
    """
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    if deployment.aftermath.rollback is not None:
        raise RollbackUnderWay(deployment.name)
    if trigger is not None and trigger.source is Source.DRILL:
        raise OnlyADrill
    why = " ".join(why.split())
    if not why:
        raise RollbackReasonMissing
    if len(why) > REASON:
        raise ReasonTooLong(len(why), limit=REASON)
    data = {"why": why}
    if trigger is not None:
        data["trigger"] = trigger.key
    return Fact(kind="rollback.started", actor=user, at=at, data=data)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the runbook is."""

    done: int
    total: int
    #: The first open step, or None.
    current: Item | None
    #: Whether it was verified that the rollback worked; where no step says so, whether all are done.
    over: bool


def progress(deployment: Deployment) -> Progress | None:
    """How far the rollback is; None where nobody started one."""
    rollback = deployment.aftermath.rollback
    if rollback is None:
        return None
    first = len(deployment.checklist.items)
    steps = deployment.checklist.runbook
    left = [step for at, step in enumerate(steps, start=first) if at not in deployment.done]
    verifying = any(step.key == VERIFIED for step in steps)
    verified = rollback.verified_at is not None and all(step.key != VERIFIED for step in left)
    return Progress(
        done=len(steps) - len(left),
        total=len(steps),
        current=left[0] if left else None,
        over=verified if verifying else bool(steps) and not left,
    )


def times(deployment: Deployment) -> list[tuple[str, datetime, timedelta]]:
    """What happened when: (what, when, how long after the thing before it), from the alert on."""
    rollback = deployment.aftermath.rollback
    if rollback is None:
        return []
    known = (
        ("alert", rollback.alerted_at),
        ("acknowledged", rollback.acknowledged_at),
        ("rollback started", rollback.at),
        ("first step", rollback.first_step_at),
        ("verified", rollback.verified_at),
    )
    found: list[tuple[str, datetime, timedelta]] = []
    for what, at in known:
        if at is not None:
            found.append((what, at, at - found[-1][1] if found else timedelta()))
    return found
