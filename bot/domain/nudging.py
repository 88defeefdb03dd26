"""The lead: handing it over, and asking a lead who has gone quiet.

A lead from whom nothing was heard for a while, with work open and nothing under way that they would wait for,
is asked directly, and later once in the thread. At night nobody is asked twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from bot.domain.deployment import Deployment
from bot.domain.errors import AlreadyLeads, DeploymentClosed, LeadsNoLonger
from bot.domain.events import BOT, Fact
from bot.domain.reminding import zone

#: The hours in which people sleep, where the deployment was started. Own choice.
NIGHT_FROM, NIGHT_TO = 22, 7
#: Kinds of facts that end what a lead may be waiting for.
WAITED_FOR = ("checks.ended", "checks.cancelled", "watch.ended", "lead.handed_over")


class NudgeLevel(IntEnum):
    """How far it has gone."""

    NONE = 0
    #: A direct message to the lead.
    LEAD = 1
    #: A message in the thread.
    THREAD = 2


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """How long a lead has been quiet, as the history tells it."""

    #: The last thing the lead did, or the end of what they may have waited for.
    since: datetime
    #: How far they were asked since they were last heard.
    level: NudgeLevel = NudgeLevel.NONE
    #: When anybody was last asked in this deployment.
    nudged_at: datetime | None = None


def due(deployment: Deployment, quiet: Quiet) -> tuple[NudgeLevel, datetime] | None:
    """What is to be said next and when, by what is known now; None: nothing."""
    period = deployment.quiet_lead
    watch = deployment.aftermath.watch
    if (
        period is None
        or not deployment.phase.open
        or deployment.run is not None
        or not deployment.open_items
        or (watch is not None and watch.running)
        or quiet.level is NudgeLevel.THREAD
    ):
        return None
    level = NudgeLevel(quiet.level + 1)
    asked = quiet.nudged_at
    since = max(quiet.since, asked) if quiet.level and asked is not None else quiet.since
    at = since + period
    night = _night(at, deployment.timezone)
    if night is not None and asked is not None and asked >= night[0]:
        at = night[1]
    return level, at


def _night(at: datetime, timezone: str) -> tuple[datetime, datetime] | None:
    """The beginning and the end of the night this instant is in; None by day."""
    local = at.astimezone(zone(timezone))
    if NIGHT_TO <= local.hour < NIGHT_FROM:
        return None
    evening = local if local.hour >= NIGHT_FROM else local - timedelta(days=1)
    morning = local if local.hour < NIGHT_TO else local + timedelta(days=1)
    return (
        evening.replace(hour=NIGHT_FROM, minute=0, second=0, microsecond=0),
        morning.replace(hour=NIGHT_TO, minute=0, second=0, microsecond=0),
    )


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────


def handed_over(deployment: Deployment, *, to: str, user: str, at: datetime) -> Fact:
    """Somebody else leads from now on; anybody may say so. Raises DeploymentClosed, AlreadyLeads."""
    _open(deployment)
    if to == deployment.lead:
        raise AlreadyLeads(deployment.name, own=to == user)
    return Fact(kind="lead.handed_over", actor=user, at=at, data={"from": deployment.lead, "to": to})


def nudged(deployment: Deployment, level: NudgeLevel, *, at: datetime) -> Fact:
    """The lead was asked."""
    return Fact(kind="lead.nudged", actor=BOT, at=at, data={"to": deployment.lead, "level": int(level)})


def present(deployment: Deployment, *, user: str, at: datetime) -> Fact:
    """The lead says that they are at it. Raises DeploymentClosed, LeadsNoLonger."""
    _open(deployment)
    if user != deployment.lead:
        raise LeadsNoLonger(deployment.name)
    return Fact(kind="lead.present", actor=user, at=at, data={})


def _open(deployment: Deployment) -> None:
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
