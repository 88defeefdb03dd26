"""Alerts of other systems become triggers of the deployments they speak of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bot.domain.checklist import slugged
from bot.domain.deployment import REASON, Deployment
from bot.domain.errors import DeploymentClosed
from bot.domain.triggering import TriggerFinding
from bot.domain.watching import Source
from bot.services import alerting
from bot.services.ports import Ports

#: How bad an alert is by its severity, so that a warning that becomes critical is announced again.
SIZES = {"info": 0.5, "warning": 1.0, "error": 1.0, "critical": 2.0, "page": 2.0}
#: The label that names one of the checklist's rollback triggers, so that both are one alert.
LABEL = "trigger"
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


async def receive(ports: Ports, alerts: Sequence[Inbound], source: Source) -> tuple[str, ...]:
    """Raise, join or note as recovered each alert in the open deployments of its service and environment.

    A word for each alert: what became of it. What is resolved there stays raised here until a person clears
    it. Raises StorageBusy, StorageFailed; what was taken before is kept, and the same again is no news.
    """
    return tuple([await _receive(ports, alert, source) for alert in alerts])


async def _receive(ports: Ports, alert: Inbound, source: Source) -> str:
    async with ports.database.read() as tx:
        found = await ports.deployments.opened_for(tx, alert.service, alert.environment)
    said: list[str] = []
    for deployment in found:
        try:
            said.append(await _one(ports, deployment, alert, source))
        except DeploymentClosed:
            continue  # it ended between the look and the write
    words = list(dict.fromkeys(said))
    return "; ".join(words) or f"no open deployment of {alert.service} in {alert.environment}"


async def _one(ports: Ports, deployment: Deployment, alert: Inbound, source: Source) -> str:
    named = {slugged(trigger): trigger for trigger in deployment.checklist.triggers}
    label = slugged(alert.labels.get(LABEL, "")) if alert.labels.get(LABEL) else ""
    key = label if label in named else _key(alert, source)
    title = named.get(label, alert.title)
    before = deployment.aftermath.triggers.get(key)
    if before is not None and before.state.raised and before.source is not source:
        return "raised already"  # by the watch, or a person: one trigger, one alert
    if alert.resolved:
        if before is None or not before.state.raised:
            return "nothing raised"
        where = "Alertmanager" if source is Source.ALERTMANAGER else "the other system"
        await alerting.recovered(ports, deployment.id, key=key, said=f"{where} says it is resolved")
        return "recovered"
    after = await alerting.report(
        ports,
        deployment.id,
        key=key,
        title=title[:REASON],
        source=source,
        finding=TriggerFinding(
            said=": ".join(dict.fromkeys(filter(None, (alert.title, alert.said))))[:REASON]
            if title != alert.title
            else alert.said[:REASON],
            since=alert.started_at.isoformat() if alert.started_at is not None else "",
            links=((_label(source), alert.url),) if alert.url else (),
        ),
        size=SIZES.get(alert.severity.casefold(), 1.0),
        occurrence=alert.started_at.isoformat() if alert.started_at is not None else "",
    )
    trigger = after.aftermath.triggers[key]
    if before is None or trigger.seq != before.seq:
        return "raised"
    if not trigger.state.raised:
        return "cleared already"
    return "worse" if trigger.announced != before.announced else "joined"


def _label(source: Source) -> str:
    return "Alertmanager" if source is Source.ALERTMANAGER else "Where it was seen"


def _key(alert: Inbound, source: Source) -> str:
    key = f"{source.value}/{alert.key}"
    if len(key) <= KEY:
        return key
    return f"{source.value}/{hashlib.sha256(alert.key.encode()).hexdigest()[:32]}"
