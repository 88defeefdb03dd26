"""Stable keys for items: `section/group/item`, from their words alone."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from bot.checklists.inline import plain

#: Longest part of a key. Own choice: three of them with slashes fit a database column and a terminal line.
PART = 60
#: Stands for a section or group without a title.
UNTITLED = "general"


def slug(text: str) -> str:
    """The words in lower case with hyphens between; letters of every script are kept.

    A long text is cut and told apart by a hash of all of it.
    """
    words = unicodedata.normalize("NFKC", plain(text)).casefold()
    whole = re.sub(r"[\W_]+", "-", words).strip("-")
    if not whole:
        return UNTITLED if not words.strip() else f"sign-{hashlib.sha256(words.encode()).hexdigest()[:6]}"
    if len(whole) <= PART:
        return whole
    return f"{whole[: PART - 9].rstrip('-')}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


class Keys:
    """Hands out keys, each once: identical twins become `…-2`, `…-3` in the order they stand."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def take(self, section: str, group: str, text: str, *, explicit: str | None = None) -> str:
        """The key of the next item."""
        base = f"{slug(section)}/{slug(group)}/{slug(explicit or text)}"
        key, twin = base, 1
        while key in self._used:
            twin += 1
            key = f"{base}-{twin}"
        self._used.add(key)
        return key
