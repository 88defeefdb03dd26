"""Atlassian Statuspage's incidents and maintenances, and which of them speak of a deployment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any


def spoken_of(
    incidents: Iterable[Mapping[str, Any]], *, words: Iterable[str], began: datetime, now: datetime
) -> list[Mapping[str, Any]]:
    """The incidents that fall into the time of a deployment and name one of the words, newest first."""
    found = [one for one in incidents if _in_time(one, began, now) and _names(one, tuple(words))]
    return sorted(found, key=lambda one: str(one.get("created_at") or ""), reverse=True)


def _in_time(incident: Mapping[str, Any], began: datetime, now: datetime) -> bool:
    """A maintenance by the time it is planned for, an incident by when it was open or written to."""
    planned = _at(incident.get("scheduled_for"))
    if planned is not None:
        until = _at(incident.get("scheduled_until")) or planned
        return planned <= now and until >= began
    opened = _at(incident.get("created_at")) or _at(incident.get("started_at"))
    touched = _at(incident.get("updated_at")) or opened
    return opened is not None and touched is not None and opened <= now and touched >= began


def _names(incident: Mapping[str, Any], words: tuple[str, ...]) -> bool:
    if not words:
        return True
    texts = [str(incident.get("name") or "")]
    texts += [str(update.get("body") or "") for update in incident.get("incident_updates") or ()]
    texts += [str(component.get("name") or "") for component in incident.get("components") or ()]
    text = "\n".join(texts)
    return any(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w|\.\d)", text, re.IGNORECASE) for word in words)


def _at(text: Any) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return None
