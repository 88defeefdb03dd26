"""Which Alertmanager silences cover alerts that bear given labels (API v2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def covers(silence: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether an active silence covers alerts with these labels: all of them, or those of some name.

    A matcher on a label that is not among them (`alertname`) narrows the silence and does not lift it; one
    that speaks of none of them at all is about something else, unless it matches whatever comes.
    """
    if silence.get("status", {}).get("state") != "active":
        return False
    matchers = silence.get("matchers") or ()
    judged = [_matches(matcher, labels[matcher["name"]]) for matcher in matchers if matcher["name"] in labels]
    if judged or not labels:
        return all(judged)
    return bool(matchers) and all(_matches(matcher, "\0any value\0") for matcher in matchers)


def _matches(matcher: Mapping[str, Any], value: str) -> bool:
    wanted = str(matcher.get("value", ""))
    if matcher.get("isRegex"):
        try:
            same = re.fullmatch(wanted, value, re.DOTALL) is not None
        except re.error:  # Go's expressions are not quite Python's: rather speak of one too many
            same = True
    else:
        same = wanted == value
    return same is bool(matcher.get("isEqual", True))


def in_words(silence: Mapping[str, Any]) -> str:
    """A silence in one line."""
    signs = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
    matchers = ", ".join(
        f"{matcher['name']}{signs[bool(matcher.get('isEqual', True)), bool(matcher.get('isRegex'))]}"
        f'"{matcher.get("value", "")}"'
        for matcher in silence.get("matchers") or ()
    )
    return f"{{{matchers}}} until {silence.get('endsAt', '')} by {silence.get('createdBy', '')}".strip()
