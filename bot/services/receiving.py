"""Alerts of other systems become triggers of the deployments they speak of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from bot.domain import triggering
from bot.domain.deployment import REASON, Deployment
from bot.domain.errors import DeploymentClosed
from bot.domain.triggering import TriggerFinding
from bot.domain.watching import Source, Trigger
from bot.services import alerting
from bot.services.ci import Offices
from bot.services.ports import Ports

#: How bad an alert is by its severity, so that a warning that becomes critical is announced again.
SIZES = {"info": 0.5, "warning": 1.0, "error": 1.0, "critical": 2.0, "page": 2.0}
#: The label that names one of the checklist's rollback triggers, so that both are one alert.
LABEL = "trigger"
#: Triggers one source raises each by itself; what comes then is one more together.
EACH = 5
MORE = "/more"
#: Most instances of an alert that are kept by name.
INSTANCES = 100
#: How long what somebody cleared stays so where the sender does not say when it began.
QUIET = timedelta(minutes=15)
#: Labels that say which instance it is.
_TELLING = ("instance", "pod", "host", "node", "container")
#: Longest key of a trigger. Own choice: it stands in events and logs.
KEY = 100


class Inbound(Protocol):
    """An alert as another system sends it."""

    @property
    def key(self) -> str:
        """The same for every message about the same trouble."""

    @property
    def title(self) -> str:
        """What it is called there."""

    @property
    def said(self) -> str:
        """What it says about it."""

    @property
    def severity(self) -> str:
        """`warning`, `critical`, or any other word."""

    @property
    def resolved(self) -> bool:
        """Whether it is over there."""

    @property
    def service(self) -> str:
        """What it is about."""

    @property
    def environment(self) -> str:
        """Where."""

    @property
    def started_at(self) -> datetime | None:
        """When it began there."""

    @property
    def url(self) -> str:
        """Where people look further; empty for none."""

    @property
    def labels(self) -> Mapping[str, str]:
        """What else the other system says."""

    @property
    def team(self) -> str:
        """Slack id of the workspace it is meant for; empty for every one that deploys its service."""


async def receive(
    ports: Ports, offices: Offices, alerts: Sequence[Inbound], source: Source
) -> tuple[str, ...]:
    """Raise, join or note as recovered each alert in the open deployments of its service and environment.

    A word for each alert: what became of it. What is resolved there stays raised here until a person clears
    it. Raises WrongWorkspace before anything is done; StorageBusy, StorageFailed: what was taken before is
    kept, and the same again is no news.
    """
    for team in sorted({alert.team for alert in alerts if alert.team}):
        await offices.premises(team)
    return tuple([await _receive(ports, alert, source) for alert in alerts])


async def _receive(ports: Ports, alert: Inbound, source: Source) -> str:
    async with ports.database.read() as tx:
        found = await ports.deployments.opened_for(tx, alert.service, alert.environment)
    found = [deployment for deployment in found if alert.team in ("", deployment.team)]
    said: list[str] = []
    for deployment in found:
        try:
            said.append(await _one(ports, deployment, alert, source))
        except DeploymentClosed:
            continue  # it ended between the look and the write
    words = list(dict.fromkeys(said))
    return "; ".join(words) or f"no open deployment of {alert.service} in {alert.environment}"


async def _one(ports: Ports, deployment: Deployment, alert: Inbound, source: Source) -> str:
    key, title = _trigger_of(deployment, alert, source)
    before = deployment.aftermath.triggers.get(key)
    if before is not None and before.state.raised and before.source is not source:
        return "raised already"  # by the watch, or a person: one trigger, one alert
    together = source is Source.ALERTMANAGER or key.endswith(MORE)
    firing = _firing(before, alert) if together else ()
    if alert.resolved:
        if before is None or not before.state.raised:
            return "nothing raised"
        if not firing:
            where = "Alertmanager" if source is Source.ALERTMANAGER else "the other system"
            await alerting.recovered(ports, deployment.id, key=key, said=f"{where} says it is resolved")
            return "recovered"
    elif before is not None and _same_as_cleared(before, alert, ports.clock.now()):
        return "cleared already"
    since = alert.started_at.isoformat() if alert.started_at is not None else ""
    joins = before is not None and before.state.raised
    after = await alerting.report(
        ports,
        deployment.id,
        key=key,
        title=title[:REASON],
        source=source,
        finding=TriggerFinding(
            said="" if together else _said(title, alert),
            since=str(before.finding.get("since", "")) if before is not None and joins else since,
            links=((_label(source), alert.url),) if alert.url else (),
            found=firing,
        ),
        size=SIZES.get(alert.severity.casefold(), 1.0),
        occurrence=since,
    )
    trigger = after.aftermath.triggers[key]
    if before is None or trigger.seq != before.seq:
        return "raised"
    if not trigger.state.raised:
        return "cleared already"
    return "worse" if trigger.announced != before.announced else "joined"


def _trigger_of(deployment: Deployment, alert: Inbound, source: Source) -> tuple[str, str]:
    """Key and title of the trigger an alert raises or joins.

    One of the checklist's where its label names one; of Alertmanager's, one for all instances of an alert;
    and one for everything else once a source has raised enough: sixty alerts are not sixty messages.
    """
    named = triggering.listed(deployment, alert.labels.get(LABEL, ""))
    if named is not None:
        return named
    name = alert.labels.get("alertname", "") if source is Source.ALERTMANAGER else ""
    key = _key(name or alert.key, source)
    raised = [one for one in deployment.aftermath.triggers.values() if one.state.raised]
    of_source = [one for one in raised if one.source is source]
    if key in deployment.aftermath.triggers or len(of_source) < EACH:
        return key, alert.title
    whose = "Alertmanager" if source is Source.ALERTMANAGER else "other systems"
    return f"{source.value}{MORE}", f"More alerts of {whose}"


def _firing(before: Trigger | None, alert: Inbound) -> tuple[str, ...]:
    """A line for each instance that fires, with this alert's news: its own line last, or none if resolved."""
    lines = before.finding.get("found", ()) if before is not None and before.state.raised else ()
    of = _instance(alert)
    others = [str(line) for line in lines if str(line).partition(": ")[0] != of]
    own = [] if alert.resolved else [f"{of}: {alert.said or alert.title}"[:REASON]]
    return (*others[:INSTANCES], *own)


def _instance(alert: Inbound) -> str:
    told = [alert.labels[name] for name in _TELLING if alert.labels.get(name)]
    return f"{alert.title} {' '.join(told) or alert.key[:12]}".replace(": ", " ")


def _said(title: str, alert: Inbound) -> str:
    """What it says, with its own name where the trigger has another one."""
    words = (alert.title, alert.said) if title != alert.title else (alert.said,)
    return ": ".join(dict.fromkeys(filter(None, words)))[:REASON]


def _same_as_cleared(before: Trigger, alert: Inbound, now: datetime) -> bool:
    """Whether it is what somebody has cleared, said again."""
    if before.state.raised or before.cleared_at is None:
        return False
    if alert.started_at is not None:
        # Another instance of what was cleared, or what was over by then.
        return alert.started_at <= (before.recovered_at or before.cleared_at)
    return before.recovered_at is None and now - before.cleared_at < QUIET


def _label(source: Source) -> str:
    return "Alertmanager" if source is Source.ALERTMANAGER else "Where it was seen"


def _key(name: str, source: Source) -> str:
    key = f"{source.value}/{name}"
    if len(key) <= KEY:
        return key
    return f"{source.value}/{hashlib.sha256(name.encode()).hexdigest()[:32]}"
