"""Backups as their tools list them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jmespath


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One backup."""

    name: str
    at: datetime
    #: Bytes of what was backed up; None where the tool does not say.
    size: int | None = None
    #: Whether the tool calls it damaged.
    errored: bool = False


class Unreadable(Exception):
    """A list of backups that is none; `str()` says why."""


def pgbackrest(text: str, *, stanza: str = "") -> list[Backup]:
    """`pgbackrest info --output=json`. Sizes are the database's, comparable over all types of backup."""
    stanzas = [one for one in _json(text) if not stanza or one.get("name") == stanza]
    if not stanzas:
        raise Unreadable(f"pgBackRest knows no stanza {stanza}".rstrip())
    if len(stanzas) > 1:
        raise Unreadable("pgBackRest lists several stanzas; name one")
    status = stanzas[0].get("status") or {}
    if status.get("code"):
        raise Unreadable(f"pgBackRest: {status.get('message', 'its status is not ok')}")
    return [
        Backup(
            name=f"{one.get('label', '?')} ({one.get('type', '?')})",
            at=datetime.fromtimestamp(one["timestamp"]["stop"], UTC),
            size=(one.get("info") or {}).get("size"),
            errored=bool(one.get("error")),
        )
        for one in stanzas[0].get("backup") or ()
    ]


def restic(text: str) -> list[Backup]:
    """`restic snapshots --json`; sizes since restic 0.17."""
    listed = _json(text)
    # A fresh backup of one path must not hide the old one of another.
    if len({(one.get("hostname"), tuple(one.get("paths") or ())) for one in listed}) > 1:
        raise Unreadable("restic lists snapshots of several hosts or paths; add --host and --path")
    return [
        Backup(
            name=str(one.get("short_id", one.get("id", "?")))[:8],
            at=instant(one["time"]),
            size=(one.get("summary") or {}).get("total_bytes_processed"),
        )
        for one in listed
    ]


def by_expression(text: str, expression: str) -> list[Backup]:
    """Entries with `time` and perhaps `size` and `name`, found by a JMESPath expression."""
    found = jmespath.search(expression, _json(text, several=False))
    if not isinstance(found, list):
        raise Unreadable("the expression finds no list")
    return [
        Backup(
            name=str(one.get("name", one["time"])),
            at=instant(one["time"]),
            size=None if one.get("size") is None else int(one["size"]),
        )
        for one in found
    ]


def instant(value: Any) -> datetime:
    """A time as tools write it: epoch seconds or ISO 8601, with nanoseconds even. Raises ValueError."""
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    text = str(value).strip()
    head, dot, tail = text.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = f"{head}.{tail[: min(digits, 6)]}{tail[digits:]}"
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read(text: str, tool: str, *, stanza: str = "", entries: str = "") -> list[Backup]:
    """The backups a tool lists. Raises Unreadable."""
    try:
        match tool:
            case "pgbackrest":
                return pgbackrest(text, stanza=stanza)
            case "restic":
                return restic(text)
        return by_expression(text, entries)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Unreadable(
            f"what it prints cannot be read as a list of backups ({type(error).__name__})"
        ) from None


def newest_first(backups: Sequence[Backup]) -> list[Backup]:
    """Sorted by their time."""
    return sorted(backups, key=lambda one: one.at, reverse=True)


def _json(text: str, *, several: bool = True) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        raise Unreadable("it prints no JSON") from None
    if several and not isinstance(found, list):
        raise Unreadable("it prints no list")
    return found
