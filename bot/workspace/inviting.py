"""`/invite @name …`: Slack's own command that adds people and apps to the channel it is typed in."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.workspace.state import State
from bot.workspace.text import compose

Json = dict[str, Any]

NAME = "/invite"
#: As the page lists it beside the commands of apps.
COMMAND = {"command": NAME, "usage_hint": "@name", "description": "Add people or apps to this channel"}

_NAMED = re.compile(r"<(?:@|!subteam\^)([A-Z0-9]+)>")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Whom somebody named after the command."""

    #: Ids of people and apps, each once, in their order; those of a group one by one.
    members: tuple[str, ...]
    #: The words nobody here answers to.
    unknown: tuple[str, ...]


def read(state: State, said: str) -> Wanted:
    """Whom these words name."""
    composed = compose(state, said)
    found: list[str] = []
    for named in _NAMED.findall(composed):
        group = state.usergroups.get(named)
        found += [named] if group is None else group["users"]
    left = html.unescape(_NAMED.sub(" ", composed)).replace(",", " ").split()
    return Wanted(members=tuple(dict.fromkeys(found)), unknown=tuple(left))


def told(state: State, *, added: Sequence[str], there: Sequence[str], unknown: Sequence[str]) -> str:
    """What came of it, for the one who typed."""
    lines = []
    if added:
        lines.append(f"You added {_names(state, added)} to this channel.")
    if there:
        lines.append(f"{_names(state, there)} {'is' if len(there) == 1 else 'are'} already in this channel.")
    lines += [f"There is nobody called {word} here." for word in unknown]
    return "\n".join(lines) or f"Whom? Type {NAME} @name."


def _names(state: State, members: Sequence[str]) -> str:
    return " and ".join(f"@{state.users[one]['name']}" for one in members)
