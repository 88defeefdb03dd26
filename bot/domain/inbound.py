"""Alerts that other systems send in: Alertmanager's webhook, and our own small form. Pure.

What is wrong with the form is refused, everything at once. What is only too long is cut and what no database
or message can hold is taken out: an alert must not be lost over its spelling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.domain.reading import URL, Reading, address, cut, kind_of, shown

#: The version of Alertmanager's webhook this reads; it has been "4" since Alertmanager 0.6.
#: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
ALERTMANAGER_VERSION = "4"
#: Labels that name the service and the environment, the most telling first.
SERVICE_LABELS = ("service", "job", "app")
ENVIRONMENT_LABELS = ("environment", "env", "namespace")
#: Annotations that say what happened, the most telling first.
SAID_ANNOTATIONS = ("summary", "description", "message")
#: Characters of a title or a name, and of a sentence.
SHORT, LONG = 200, 1000
#: What our own form may have; the first three it must have.
_NEEDED = ("service", "environment", "title")
_TEXTS = (*_NEEDED, "said", "severity", "url", "key", "team")
TRIGGER_KEYS = (*_TEXTS, "resolved", "started_at")


@dataclass(frozen=True, kw_only=True)
class InboundAlert:
    """One alert of another system."""

    #: The same for the same alert, firing and resolved: Alertmanager's fingerprint.
    key: str
    title: str
    #: What happened, in the sender's words; may be empty.
    said: str
    #: As the sender calls it; may be empty.
    severity: str
    #: Whether it is over.
    resolved: bool
    #: Whom it is about; empty where no label says so.
    service: str
    environment: str
    #: When it began, as the sender says; None where it did not say.
    started_at: datetime | None = None
    #: Where to look, http or https; may be empty.
    url: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Slack id of the workspace it is meant for; empty for every one that deploys its service.
    team: str = ""


def alerts_of_alertmanager(payload: Any, *, team: str = "") -> tuple[InboundAlert, ...]:
    """What Alertmanager's webhook tells, for one workspace where its address named one.

    Raises InboundUnusable with everything that is wrong.
    """
    reading = Reading()
    body = reading.object(payload, "the request")
    version = body.get("version")
    if version != ALERTMANAGER_VERSION:
        said = "is missing" if version is None else f"is {shown(version)}"
        reading.wrong(f"version {said}, not “{ALERTMANAGER_VERSION}”")
        reading.refuse(_ALERTMANAGER)
    given = body.get("alerts")
    if not isinstance(given, list):
        reading.wrong(f"alerts is {kind_of(given)}, not a list")
        given = []
    found = []
    for number, one in enumerate(given):
        where = f"alerts[{number}]"
        if isinstance(one, dict):
            found.append(_alert(reading, one, where, team))
        else:
            reading.object(one, where)
    reading.refuse(_ALERTMANAGER)
    return tuple(found)


def alert_of_trigger(payload: Any) -> InboundAlert:
    """What our own form tells. Raises InboundUnusable with everything that is wrong."""
    reading = Reading()
    body = reading.object(payload, "the request")
    for name in sorted(set(body) - set(TRIGGER_KEYS)):
        reading.wrong(f"there is no {shown(name)}")
    texts = {name: reading.text(body, name, "", needed=name in _NEEDED) for name in _TEXTS}
    resolved = body.get("resolved", False)
    if not isinstance(resolved, bool):
        reading.wrong(f"resolved is {kind_of(resolved)}, not true or false")
    started_at = reading.instant(body, "started_at", "", needed=False)
    if texts["url"] and not address(texts["url"]):
        reading.wrong(f"url {shown(texts['url'])} is no http or https address of up to {URL} characters")
    reading.refuse(_TRIGGER)
    service, environment, title = (texts[name].strip() for name in _NEEDED)
    return InboundAlert(
        key=cut(texts["key"].strip(), SHORT) or _digest(service, environment, title),
        title=cut(title, SHORT),
        said=cut(texts["said"].strip(), LONG),
        severity=cut(texts["severity"].strip(), SHORT),
        resolved=resolved is True,
        service=cut(service, SHORT),
        environment=cut(environment, SHORT),
        started_at=started_at,
        url=address(texts["url"]),
        team=cut(texts["team"].strip(), SHORT),
    )


def _alert(reading: Reading, alert: Mapping[str, Any], where: str, team: str) -> InboundAlert:
    labels = reading.texts(alert, "labels", where)
    annotations = reading.texts(alert, "annotations", where)
    status = reading.text(alert, "status", where, needed=True)
    if status and status not in ("firing", "resolved"):
        reading.wrong(f"{where}.status is {shown(status)}, neither firing nor resolved")
    # Whoever made the alert may have left its address out, or made it by hand.
    url = address(reading.text(alert, "generatorURL", where))
    return InboundAlert(
        key=cut(reading.text(alert, "fingerprint", where, needed=True).strip(), SHORT),
        title=cut(labels.get("alertname", "").strip(), SHORT) or "Alert without a name",
        said=cut(_first(annotations, SAID_ANNOTATIONS), LONG),
        severity=cut(labels.get("severity", "").strip(), SHORT),
        resolved=status == "resolved",
        service=cut(_first(labels, SERVICE_LABELS), SHORT),
        environment=cut(_first(labels, ENVIRONMENT_LABELS), SHORT),
        started_at=reading.instant(alert, "startsAt", where, needed=True),
        url=url,
        labels=labels,
        team=cut(team.strip(), SHORT),
    )


_ALERTMANAGER = "Post Alertmanager's webhook format, version 4, to /hooks/alertmanager"
_TRIGGER = (
    f"Post a JSON object to /hooks/triggers with {', '.join(_NEEDED)} and, where you like, "
    f"{', '.join(TRIGGER_KEYS[3:])}"
)


def _first(found: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := found.get(name, "").strip())), "")


def _digest(*parts: str) -> str:
    # As long as Alertmanager's fingerprint.
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
