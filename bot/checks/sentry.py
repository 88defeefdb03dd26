"""Sentry's ingestion: a data source name, and the envelope an event travels in (develop.sentry.dev)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from bot.checks.kind import Broken
from bot.domain.check import Secret


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """What a DSN says: `https://KEY@HOST/PATH/PROJECT`."""

    #: Where events are sent, without the key.
    base: str
    key: str
    project: str

    @classmethod
    def of(cls, dsn: Secret) -> DataSource:
        """Take a DSN apart. Raises Broken for one that is none; its text is never repeated."""
        parts = urlsplit(dsn.reveal().strip())
        path, _, project = parts.path.rpartition("/")
        if parts.scheme not in ("http", "https") or not parts.username or not parts.hostname or not project:
            raise Broken(f"the secret {dsn.name} is no Sentry DSN (https://KEY@HOST/PROJECT)")
        host = parts.netloc.rpartition("@")[2]
        return cls(base=f"{parts.scheme}://{host}{path}", key=parts.username, project=project)

    @property
    def endpoint(self) -> str:
        """The path envelopes are posted to."""
        return f"/api/{self.project}/envelope/"

    @property
    def authorization(self) -> str:
        """The value of `X-Sentry-Auth`."""
        return f"Sentry sentry_version=7, sentry_client=deploybot/1, sentry_key={self.key}"


def envelope(event: Mapping[str, Any], *, at: datetime) -> bytes:
    """An envelope with one event."""
    body = json.dumps(event).encode()
    header = json.dumps({"event_id": event["event_id"], "sent_at": at.isoformat()}).encode()
    item = json.dumps({"type": "event", "content_type": "application/json", "length": len(body)}).encode()
    return b"\n".join((header, item, body)) + b"\n"
