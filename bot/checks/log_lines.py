"""What a log line tells of the logging: whether it is structured, and its level."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Names a level goes by in the usual libraries and in Elastic's Common Schema.
_LEVELS = (
    "level",
    "severity",
    "lvl",
    "levelname",
    "log.level",
    "loglevel",
    "detected_level",
    "severity_text",
)
_PAIR = re.compile(r"""(?:^|\s)([A-Za-z_][\w.]*)=("(?:\\.|[^"\\])*"|[^\s"=]+)(?=\s|$)""")


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """A line as a log store gives it back."""

    text: str
    #: What the store knows of it beside the text: labels, fields.
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def structured(self) -> bool:
        """Whether a machine can read it: a JSON object, or logfmt with two pairs at least."""
        return isinstance(_json(self.text), dict) or len(_PAIR.findall(self.text)) >= 2

    @property
    def level(self) -> str | None:
        """Its level in lower case; None where it has none that could be told."""
        inside = _json(self.text)
        pairs = {name: value.strip('"') for name, value in _PAIR.findall(self.text)}
        for source in (inside if isinstance(inside, dict) else {}, pairs, self.fields):
            flat = _flat(source)
            for name in _LEVELS:
                if isinstance(flat.get(name), str) and flat[name]:
                    return str(flat[name]).casefold()
        return None


def is_own_question(text: str) -> bool:
    """Whether a line is a store's record of our looking for the marker: finding it would prove nothing."""
    return "|=" in text or "query_string" in text or "/loki/api/" in text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined with dots, in lower case: {"log": {"level": …}} → `log.level`."""
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            flat.update(_flat(inner, f"{prefix}{name.casefold()}."))
        else:
            flat[f"{prefix}{name.casefold()}"] = inner
    return flat
