"""What is kept of an observation: without secrets, without what a terminal or a database trips over, short.

Everything a check brings back was written by the target, which may be broken or hostile. Secrets are taken
out before anything is cut: half a secret is none that could be recognised.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from bot.checks.redaction import Redactor

#: Longest excerpt, line, single value and name kept as evidence, in characters.
EXCERPT, LINE, VALUE, NAME = 4096, 300, 400, 120
#: Most elements of a list or mapping, most characters of all values of a check, and how deep they may nest.
ELEMENTS, VALUES, DEPTH = 50, 16_384, 6
#: Longest text that is searched for secrets at all; what is behind it is dropped unseen.
SEARCHED = 262_144
#: Control characters (a terminal obeys them, XML and PostgreSQL refuse them), marks that turn the direction
#: of writing, and halves of characters, which UTF-8 cannot hold.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


class Keeper:
    """Makes what is kept of what was seen."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def line(self, text: str, most: int = LINE) -> str:
        """One line: a line break in it could pretend to be another message."""
        return _cut(" ".join(self._fit(text).split()), most)

    def excerpt(self, text: str) -> str:
        """A few lines."""
        return _cut(self._fit(text), EXCERPT)

    def facts(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """Names and values of what the evidence rests on; a long one keeps a digest, to differ by."""
        kept = {}
        for name, value in list(facts.items())[:ELEMENTS]:
            text = self.line(str(value), SEARCHED)
            digest = f" sha256:{hashlib.sha256(text.encode()).hexdigest()[:32]}" if len(text) > VALUE else ""
            kept[self.line(str(name), NAME)] = f"{_cut(text, VALUE)}{digest}"
        return kept

    def values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Named values as JSON has them; beyond the bounds there is `…`."""
        kept: dict[str, Any] = self._value(values, [VALUES], DEPTH)
        return kept

    def _value(self, value: Any, left: list[int], depth: int) -> Any:
        if left[0] <= 0 or depth < 0:
            return "…"
        match value:
            case Mapping():
                pairs = list(value.items())[:ELEMENTS]
                return {self._text(str(k), left, NAME): self._value(v, left, depth - 1) for k, v in pairs}
            case list() | tuple():
                return [self._value(inner, left, depth - 1) for inner in value[:ELEMENTS]]
            case bool() | None:
                left[0] -= 1
                return value
            case int() if value.bit_length() > 64:
                return f"a number of {value.bit_length()} bits"
            case int() | float():
                left[0] -= 8
                fit = value == value and value not in (float("inf"), float("-inf"))  # noqa: PLR0124 - NaN
                return value if fit else str(value)
        return self._text(str(value), left, VALUE)

    def _text(self, text: str, left: list[int], most: int) -> str:
        kept = _cut(self._fit(text), most)
        left[0] -= len(kept) + 1
        return kept

    def _fit(self, text: str) -> str:
        if text.isascii() and text.isprintable() and len(text) <= SEARCHED:
            return self._redactor.clean(text)
        return _UNFIT.sub("\ufffd", self._redactor.clean(text[:SEARCHED].replace("\r\n", "\n")))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
