"""Reads the JSON other systems send, and notes everything that is wrong with it, with where it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from bot.domain.errors import InboundUnusable

#: Longest URL of a button, by Slack's Block Kit reference.
URL = 3000


class Reading:
    """Reads JSON values, and notes what is wrong with where it is."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def wrong(self, problem: str) -> None:
        """Note a problem."""
        self._problems.append(problem)

    def unknown(self, holder: Mapping[str, Any], known: Iterable[str], where: str = "") -> None:
        """Note every key that is not known, with the one that may have been meant."""
        known = tuple(known)
        for name in sorted(set(holder) - set(known)):
            near = get_close_matches(name.casefold(), known, n=1, cutoff=0.55)
            hint = f" (did you mean “{near[0]}”?)" if near else ""
            self.wrong(f"{_path(where, name)} is not known{hint}")

    def refuse(self, advice: str, *, what: str = "alert") -> None:
        """Raise InboundUnusable where anything was wrong."""
        if self._problems:
            raise InboundUnusable(tuple(self._problems), advice=advice, what=what)

    def object(self, value: Any, where: str) -> Mapping[str, Any]:
        """A JSON object; an empty one where it is none."""
        if isinstance(value, dict):
            return value
        self.wrong(f"{where} is {kind_of(value)}, not an object")
        return {}

    def text(self, holder: Mapping[str, Any], name: str, where: str, *, needed: bool = False) -> str:
        """A text without what no database can hold; empty where there is none."""
        value = holder.get(name)
        path = _path(where, name)
        if value is None or value == "":
            if needed:
                self.wrong(f"{path} is missing")
            return ""
        if not isinstance(value, str):
            self.wrong(f"{path} is {kind_of(value)}, not text")
            return ""
        found = clean(value)
        if needed and not found.strip():
            self.wrong(f"{path} is empty")
        return found

    def texts(self, holder: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
        """An object of texts; empty where there is none."""
        value = holder.get(name)
        if value is None:
            return {}
        path = _path(where, name)
        return {clean(key): self.text(value, key, path) for key in self.object(value, path)}

    def instant(self, holder: Mapping[str, Any], name: str, where: str, *, needed: bool) -> datetime | None:
        """An instant as RFC 3339 writes it, in UTC; None where there is none."""
        text = self.text(holder, name, where, needed=needed)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
            if found.tzinfo is not None:
                return found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self.wrong(f"{_path(where, name)} {shown(text)} is no time as RFC 3339 writes it")
        return None


def _path(where: str, name: str) -> str:
    word = cut(clean(name), 40)
    return f"{where}.{word}" if where else word


#: What PostgreSQL cannot store (NUL, lone surrogates) or a message should not have.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with a sign for each character no database or message can hold."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def cut(text: str, most: int) -> str:
    """The text, or its beginning with a sign that there was more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def address(text: str) -> str:
    """An address a button can lead to; empty where it is none."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and len(text) <= URL
    except ValueError:
        return ""
    return text if fine and not re.search(r"\s", text) else ""


def kind_of(value: Any) -> str:
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


def shown(value: Any) -> str:
    """A value in a sentence: a text in quotes, anything else by what it is."""
    return f"“{cut(clean(value), 40)}”" if isinstance(value, str) else kind_of(value)
