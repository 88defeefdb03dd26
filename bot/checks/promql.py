"""Finds the vector selectors in a PromQL expression, so that the age of what it rests on can be asked for.

The time stamp of a result is the moment of evaluation, not of its samples: `rate(x[1h])` still gives numbers
long after the target of `x` is gone. Only the selectors themselves tell.
"""

from __future__ import annotations

import re

#: Words after which a list of label names follows in parentheses.
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "start", "end"})

_TOKEN = re.compile(
    r"""
      (?P<comment>\#[^\n]*)
    | (?P<string>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`)
    | (?P<number>(?:0[xX][0-9a-fA-F]+ | (?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
          (?:(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*)?)  # a number, or a duration like 1h30m
    | (?P<name>[a-zA-Z_:][\w:]*)
    | (?P<range>\[[^\]]*\])
    | (?P<open>\{)
    | (?P<other>\S)
    """,
    re.VERBOSE,
)
_BRACES = re.compile(r"""\{(?:[^{}"'`]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)*\}""")


def selectors(query: str) -> tuple[str, ...]:
    """Each vector selector once, without range and offset: `http_requests_total{job="shop"}`."""
    found: dict[str, None] = {}
    at, name = 0, ""
    while at < len(query):
        token = _TOKEN.match(query, at) or _TOKEN.search(query, at)
        if token is None:
            break
        at = token.end()
        if token.lastgroup == "open":
            braces = _BRACES.match(query, token.start())
            if braces is None:
                break
            found[name + braces[0]] = None
            at, name = braces.end(), ""
            continue
        if name and token.lastgroup != "comment":
            found[name] = None
            name = ""
        if token.lastgroup != "name":
            continue
        word = token[0].casefold()
        following = query[at:].lstrip()
        if word in _GROUPING:
            labels = re.match(r"\s*\([^)]*\)", query[at:])
            at += labels.end() if labels else 0
        elif word in _WORDS or following.startswith("(") or re.match(r"(?i)(by|without)\b", following):
            continue
        else:
            name = token[0]
    if name:
        found[name] = None
    return tuple(found)


def is_selector(text: str) -> bool:
    """Whether it is one vector selector and nothing else."""
    return selectors(text) == (text.strip(),)


def quoted(text: str) -> str:
    """A label value or metric name inside a PromQL string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
