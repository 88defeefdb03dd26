"""Cookies as an answer sets them: their flags, never their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.checks.kind import Answer


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """One `Set-Cookie` line, without its value."""

    name: str
    #: Attributes by lower-case name; flags have an empty value.
    attributes: Mapping[str, str]
    #: Whether the line removes the cookie instead of setting it.
    removed: bool = False

    @property
    def secure(self) -> bool:
        """Sent over TLS only."""
        return "secure" in self.attributes

    @property
    def http_only(self) -> bool:
        """Out of reach of scripts."""
        return "httponly" in self.attributes

    @property
    def same_site(self) -> str | None:
        """`strict`, `lax` or `none`; None where it is absent or no such word."""
        value = self.attributes.get("samesite", "").casefold()
        return value if value in ("strict", "lax", "none") else None

    def __str__(self) -> str:
        shown = [f"{name}={value}" if value else name for name, value in self.attributes.items()]
        return "; ".join([f"{self.name}=•••", *shown])


def cookies_of(answer: Answer) -> list[Cookie]:
    """The cookies an answer sets (RFC 6265, 5.2)."""
    lines = answer.headers.get("set-cookie", "").split("\n")
    return [cookie for cookie in map(_cookie, lines) if cookie is not None]


def _cookie(line: str) -> Cookie | None:
    pair, *rest = line.split(";")
    name, equals, value = pair.partition("=")
    if not equals or not name.strip():
        return None
    attributes: dict[str, str] = {}
    for part in rest:
        key, _, said = part.strip().partition("=")
        if key.strip():
            attributes[key.strip().casefold()] = said.strip()
    age = attributes.get("max-age", "")
    removed = age.lstrip("-").isdecimal() and int(age) <= 0
    return Cookie(name=name.strip(), attributes=attributes, removed=removed or not value.strip())
