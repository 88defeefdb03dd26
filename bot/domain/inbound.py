"""Alerts that other systems send in: Alertmanager's webhook, and our own small form. Pure.

What is wrong with the form is refused, everything at once. What is only too long is cut and what no database
or message can hold is taken out: an alert must not be lost over its spelling.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from bot.domain.errors import InboundUnusable

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
#: Longest URL of a button, by Slack's Block Kit reference.
URL = 3000
#: What our own form may have; the first three it must have.
TRIGGER_KEYS = ("service", "environment", "title", "said", "severity", "url", "key", "resolved", "started_at")
_NEEDED = TRIGGER_KEYS[:3]


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


def alerts_of_alertmanager(payload: Any) -> tuple[InboundAlert, ...]:
    """What Alertmanager's webhook tells. Raises InboundUnusable with everything that is wrong."""
    reading = _Reading()
    body = reading.object(payload, "the request")
    version = body.get("version")
    if version != ALERTMANAGER_VERSION:
        said = "is missing" if version is None else f"is {_shown(version)}"
        reading.wrong(f"version {said}, not “{ALERTMANAGER_VERSION}”")
        reading.refuse(_ALERTMANAGER)
    given = body.get("alerts")
    if not isinstance(given, list):
        reading.wrong(f"alerts is {_kind(given)}, not a list")
        given = []
    found = []
    for number, one in enumerate(given):
        where = f"alerts[{number}]"
        if isinstance(one, dict):
            found.append(_alert(reading, one, where))
        else:
            reading.object(one, where)
    reading.refuse(_ALERTMANAGER)
    return tuple(found)


def alert_of_trigger(payload: Any) -> InboundAlert:
    """What our own form tells. Raises InboundUnusable with everything that is wrong."""
    reading = _Reading()
    body = reading.object(payload, "the request")
    for name in sorted(set(body) - set(TRIGGER_KEYS)):
        reading.wrong(f"there is no {_shown(name)}")
    texts = {name: reading.text(body, name, "", needed=name in _NEEDED) for name in TRIGGER_KEYS[:7]}
    resolved = body.get("resolved", False)
    if not isinstance(resolved, bool):
        reading.wrong(f"resolved is {_kind(resolved)}, not true or false")
    started_at = reading.instant(body, "started_at", "", needed=False)
    if texts["url"] and not _address(texts["url"]):
        reading.wrong(f"url {_shown(texts['url'])} is no http or https address of up to {URL} characters")
    reading.refuse(_TRIGGER)
    service, environment, title = (texts[name].strip() for name in _NEEDED)
    return InboundAlert(
        key=_cut(texts["key"].strip(), SHORT) or _digest(service, environment, title),
        title=_cut(title, SHORT),
        said=_cut(texts["said"].strip(), LONG),
        severity=_cut(texts["severity"].strip(), SHORT),
        resolved=resolved is True,
        service=_cut(service, SHORT),
        environment=_cut(environment, SHORT),
        started_at=started_at,
        url=_address(texts["url"]),
    )


def _alert(reading: _Reading, alert: Mapping[str, Any], where: str) -> InboundAlert:
    labels = reading.texts(alert, "labels", where)
    annotations = reading.texts(alert, "annotations", where)
    status = reading.text(alert, "status", where, needed=True)
    if status and status not in ("firing", "resolved"):
        reading.wrong(f"{where}.status is {_shown(status)}, neither firing nor resolved")
    # Whoever made the alert may have left its address out, or made it by hand.
    url = _address(reading.text(alert, "generatorURL", where))
    return InboundAlert(
        key=_cut(reading.text(alert, "fingerprint", where, needed=True).strip(), SHORT),
        title=_cut(labels.get("alertname", "").strip(), SHORT) or "Alert without a name",
        said=_cut(_first(annotations, SAID_ANNOTATIONS), LONG),
        severity=_cut(labels.get("severity", "").strip(), SHORT),
        resolved=status == "resolved",
        service=_cut(_first(labels, SERVICE_LABELS), SHORT),
        environment=_cut(_first(labels, ENVIRONMENT_LABELS), SHORT),
        started_at=reading.instant(alert, "startsAt", where, needed=True),
        url=url,
        labels=labels,
    )


_ALERTMANAGER = "Post Alertmanager's webhook format, version 4, to /hooks/alertmanager"
_TRIGGER = (
    f"Post a JSON object to /hooks/triggers with {', '.join(_NEEDED)} and, where you like, "
    f"{', '.join(TRIGGER_KEYS[3:])}"
)


class _Reading:
    """Reads JSON values, and notes what is wrong with where it is."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def wrong(self, problem: str) -> None:
        self._problems.append(problem)

    def refuse(self, advice: str) -> None:
        """Raise InboundUnusable where anything was wrong."""
        if self._problems:
            raise InboundUnusable(tuple(self._problems), advice=advice)

    def object(self, value: Any, where: str) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        self.wrong(f"{where} is {_kind(value)}, not an object")
        return {}

    def text(self, holder: Mapping[str, Any], name: str, where: str, *, needed: bool = False) -> str:
        value = holder.get(name)
        path = _path(where, name)
        if value is None or value == "":
            if needed:
                self.wrong(f"{path} is missing")
            return ""
        if not isinstance(value, str):
            self.wrong(f"{path} is {_kind(value)}, not text")
            return ""
        clean = _clean(value)
        if needed and not clean.strip():
            self.wrong(f"{path} is empty")
        return clean

    def texts(self, holder: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
        value = holder.get(name)
        if value is None:
            return {}
        path = _path(where, name)
        return {_clean(key): self.text(value, key, path) for key in self.object(value, path)}

    def instant(self, holder: Mapping[str, Any], name: str, where: str, *, needed: bool) -> datetime | None:
        text = self.text(holder, name, where, needed=needed)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
            if found.tzinfo is not None:
                return found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self.wrong(f"{_path(where, name)} {_shown(text)} is no time as RFC 3339 writes it")
        return None


def _path(where: str, name: str) -> str:
    shown = _cut(_clean(name), 40)
    return f"{where}.{shown}" if where else shown


def _first(found: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := found.get(name, "").strip())), "")


#: What PostgreSQL cannot store (NUL, lone surrogates) or a message should not have.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def _clean(text: str) -> str:
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _address(text: str) -> str:
    """An address a button can lead to; empty where it is none."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and len(text) <= URL
    except ValueError:
        return ""
    return text if fine and not re.search(r"\s", text) else ""


def _digest(*parts: str) -> str:
    # As long as Alertmanager's fingerprint.
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    match value:
        case None:
            return "missing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"


def _shown(value: Any) -> str:
    return f"“{_cut(_clean(value), 40)}”" if isinstance(value, str) else _kind(value)
