"""Whether a deployment may go on: gates, four eyes, No-go, and the emergency override of all that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.domain.care import Override
from bot.domain.conduct import Hold
from bot.domain.deployment import REASON, Deployment
from bot.domain.errors import (
    DeploymentClosed,
    FourEyes,
    GateClosed,
    NoGoReasonMissing,
    NoOverrideNeeded,
    NoSuchOverride,
    OverrideReasonMissing,
    OverrideUnderWay,
    ReasonTooLong,
    SecondNameNeeded,
)
from bot.domain.events import Fact
from bot.domain.watching import says_it_is_live

#: Most open items a sentence names.
NAMED = 8


def check_gates(deployment: Deployment, hold: Hold, *, obstacles: Sequence[str] = ()) -> None:
    """See that nothing is in the way. Raises GateClosed with what is open, gate by gate.

    `obstacles` are other things in the way, each as a sentence: a lock, a freeze.
    """
    rolled_back = deployment.aftermath.rollback is not None
    closed = () if hold is Hold.FINISH and rolled_back else deployment.held_up(hold)
    if closed or obstacles:
        raise GateClosed(
            what=hold.value,
            gates=tuple((gate.title, tuple(item.text for item in left)) for gate, left in closed),
            obstacles=tuple(obstacles),
            named=NAMED,
        )


def held(
    deployment: Deployment, hold: Hold, *, user: str, at: datetime, obstacles: Sequence[str] = ()
) -> Fact | None:
    """That something came in the way while the evidence was looked at again; None where nothing did.

    `user` is who gave Go, or finishes.
    """
    said = list(obstacles)
    if hold is Hold.GO and deployment.conduct.approval is not None and _led(deployment, user):
        said.append("Who gave Go leads the deployment, so somebody else has to give it.")
    if hold is Hold.FINISH and deployment.aftermath.rollback is not None:
        left = []
    else:
        left = [item.key for _, items in deployment.held_up(hold) for item in items]
    if not left and not said:
        return None
    data = {"what": hold.value, "open": left, "obstacles": said}
    return Fact(kind="conclusion.held", actor=user, at=at, data=data)


def _led(deployment: Deployment, user: str) -> bool:
    """Whether somebody leads it, or led it before handing it over."""
    return user == deployment.lead or user in deployment.care.led


def check_eyes(deployment: Deployment, *, user: str, members: frozenset[str] | None) -> None:
    """See that this person may give Go where four eyes have to look.

    `members` are the people of the approving group; None where no group is named. Raises FourEyes.
    """
    approval = deployment.conduct.approval
    if approval is None:
        return
    led = _led(deployment, user)
    if led or (members is not None and user not in members):
        raise FourEyes(group=approval.group, is_lead=led)


def go_requested(deployment: Deployment, *, user: str, at: datetime) -> Fact:
    """The lead asks for somebody else's Go. Raises DeploymentClosed."""
    _must_be_open(deployment)
    approval = deployment.conduct.approval
    group = approval.group if approval is not None else ""
    return Fact(kind="go.requested", actor=user, at=at, data={"group": group, "lead": deployment.lead})


def go_missing(deployment: Deployment, *, at: datetime) -> tuple[str, ...]:
    """That the end has to wait for Go: where rules, or the freeze it was prepared in, hold Go, finishing must
    not be the way around them."""
    if deployment.go is not None or deployment.aftermath.rollback is not None:
        return ()
    conduct, freeze = deployment.conduct, deployment.prepared_in
    if freeze is not None and at < freeze.until:
        return (f"Nobody gave Go, and it was prepared in a freeze until {freeze.until:%d %b %H:%M} UTC.",)
    ruled = conduct.approval is not None or any(Hold.GO in gate.holds for gate in conduct.gates)
    return ("Nobody gave Go.",) if ruled else ()


def only_go_says_it_is_live(deployment: Deployment) -> bool:
    """Whether the change counts as live because Go was given, and nothing in this state bears it out."""
    go, aftermath = deployment.go, deployment.aftermath
    if go is None or aftermath.deployed is None or aftermath.deployed.seq != go.seq:
        return False
    seen = any(says_it_is_live(deployment.boxes[position].key) for position in deployment.ticks)
    return not seen and not aftermath.raised and aftermath.rollback is None


def no_go(deployment: Deployment, *, user: str, at: datetime, reason: str, live: bool = False) -> Fact:
    """Somebody says that it may not go on.

    `live` where something outside the state says that the change is live all the same: it is watched on.
    Raises DeploymentClosed, NoGoReasonMissing, ReasonTooLong.
    """
    _must_be_open(deployment)
    reason = " ".join(reason.split())
    if not reason:
        raise NoGoReasonMissing
    if len(reason) > REASON:
        raise ReasonTooLong(len(reason), limit=REASON)
    data: dict[str, Any] = {"reason": reason}
    if not live and only_go_says_it_is_live(deployment):
        data["not_live"] = True
    return Fact(kind="deployment.no_go", actor=user, at=at, data=data)


# ── override ─────────────────────────────────────────────────────────────────────────────────────────────


def in_the_way(deployment: Deployment, hold: Hold, *, obstacles: Sequence[str] = ()) -> bool:
    """Whether anything keeps from Go, or from the end, that an emergency override would be of."""
    return bool(deployment.held_up(hold)) or bool(obstacles) or _four_eyes(deployment, hold)


def check_override(deployment: Deployment, hold: Hold, *, obstacles: Sequence[str] = ()) -> None:
    """See that there is something to override, before anybody is asked why it cannot wait.

    Raises DeploymentClosed, NoOverrideNeeded, OverrideUnderWay.
    """
    _must_be_open(deployment)
    if any(one.pending and one.what == hold for one in deployment.care.overrides):
        raise OverrideUnderWay
    if not in_the_way(deployment, hold, obstacles=obstacles):
        raise NoOverrideNeeded


def _four_eyes(deployment: Deployment, hold: Hold) -> bool:
    return hold is Hold.GO and deployment.conduct.approval is not None


def override_requested(
    deployment: Deployment,
    hold: Hold,
    *,
    user: str,
    at: datetime,
    reason: str,
    obstacles: Sequence[str] = (),
) -> Fact:
    """Somebody wants Go, or the end, all the same; a second person has to confirm it.

    Raises DeploymentClosed, NoOverrideNeeded, OverrideUnderWay, OverrideReasonMissing, ReasonTooLong.
    """
    check_override(deployment, hold, obstacles=obstacles)
    closed, four_eyes = deployment.held_up(hold), _four_eyes(deployment, hold)
    reason = " ".join(reason.split())
    if not reason:
        raise OverrideReasonMissing
    if len(reason) > REASON:
        raise ReasonTooLong(len(reason), limit=REASON)
    said = [*obstacles, *(["nobody of those who approve gave Go"] if four_eyes else [])]
    data: dict[str, Any] = {
        "what": hold.value,
        "reason": reason,
        "open": [item.key for _, left in closed for item in left],
        "obstacles": said,
    }
    return Fact(kind="override.requested", actor=user, at=at, data=data)


def override_confirmed(deployment: Deployment, seq: int, *, user: str, at: datetime) -> tuple[Fact, ...]:
    """A second person takes it on themselves as well: it is in force, and what was held up happens.

    Raises DeploymentClosed, NoSuchOverride, SecondNameNeeded.
    """
    override = _pending(deployment, seq)
    if user == override.first:
        raise SecondNameNeeded
    left = [item.key for item in deployment.open_items]
    data = {
        "open_items": left,
        "override": {
            "request": seq,
            "reason": override.reason,
            "first": override.first,
            "second": user,
            "open": list(override.open),
            "obstacles": list(override.obstacles),
        },
    }
    kind = "deployment.go" if override.what == Hold.GO else "deployment.finished"
    return (
        Fact(kind="override.confirmed", actor=user, at=at, data={"request": seq}),
        Fact(kind=kind, actor=override.first, at=at, data=data),
    )


def override_withdrawn(deployment: Deployment, seq: int, *, user: str, at: datetime) -> Fact:
    """It is taken back before anybody confirmed it. Raises DeploymentClosed, NoSuchOverride."""
    _pending(deployment, seq)
    return Fact(kind="override.withdrawn", actor=user, at=at, data={"request": seq})


def _pending(deployment: Deployment, seq: int) -> Override:
    _must_be_open(deployment)
    override = deployment.care.override(seq)
    if override is None or not override.pending:
        raise NoSuchOverride
    return override


def _must_be_open(deployment: Deployment) -> None:
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
