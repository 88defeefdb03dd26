"""What CI posts to `/hooks/deployments`: start, update, finish or abort a deployment. Pure.

Everything that is wrong with a request is told at once, with the word that may have been meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from bot.domain.ci import CiState
from bot.domain.reading import URL, Reading, address, clean, cut, kind_of, shown

#: What a request may have.
KEYS = (
    "action",
    "service",
    "version",
    "environment",
    "channel",
    "lead",
    "checklist",
    "team",
    "name",
    "id",
    "reason",
    "state",
    "url",
    "commits",
    "tick",
)
_TEXTS = KEYS[1:9]
_COMMITS = ("base", "head", "first_commit_at", "count")
#: Most items in one request: a checklist can have no more.
MOST_TICKS = 250
#: Ids of people, channels and workspaces (Slack docs: users, conversations, team.info).
PERSON = re.compile(r"[UW][A-Z0-9]{2,}")
CHANNEL = re.compile(r"[CG][A-Z0-9]{2,}")
TEAM = re.compile(r"T[A-Z0-9]{2,}")


class CiAction(StrEnum):
    """What CI wants."""

    START = "start"
    UPDATE = "update"
    FINISH = "finish"
    ABORT = "abort"


@dataclass(frozen=True, kw_only=True)
class Commits:
    """What is deployed, in the repository's words."""

    base: str = ""
    head: str = ""
    #: When the oldest of them was made.
    first_commit_at: datetime | None = None
    count: int | None = None


@dataclass(frozen=True, kw_only=True)
class CiRequest:
    """One request; empty where CI says nothing."""

    action: CiAction
    service: str = ""
    version: str = ""
    environment: str = ""
    #: Slack channel id to start in.
    channel: str = ""
    #: Slack user id of the person who leads it.
    lead: str = ""
    checklist: str = ""
    #: Slack team id; empty with one workspace.
    team: str = ""
    #: The deployment by its name or id.
    name: str = ""
    id: int | None = None
    #: Why it is aborted, or what CI says besides.
    reason: str = ""
    state: CiState | None = None
    #: The run in CI.
    url: str = ""
    commits: Commits | None = None
    #: Keys or texts of items to tick.
    tick: tuple[str, ...] = ()


def ci_request(payload: Any) -> CiRequest:
    """What CI posted. Raises InboundUnusable with everything that is wrong."""
    reading = Reading()
    body = reading.object(payload, "the request")
    reading.unknown(body, KEYS)
    action = _one_of(reading, body, "action", CiAction, needed=True)
    texts = {name: reading.text(body, name, "").strip() for name in _TEXTS}
    reason = cut(reading.text(body, "reason", "").strip(), 1000)
    state = _one_of(reading, body, "state", CiState)
    number = _number(reading, body, "id", "")
    url = reading.text(body, "url", "")
    if url and not address(url):
        reading.wrong(f"url {shown(url)} is no http or https address of up to {URL} characters")
    for name, form, example in (("channel", CHANNEL, "C…"), ("lead", PERSON, "U…")):
        if texts[name] and not form.fullmatch(texts[name]):
            reading.wrong(f"{name} {shown(texts[name])} is no Slack id ({example})")
    named = bool(texts["name"] or number is not None or (texts["service"] and texts["environment"]))
    if action is CiAction.START:
        for name in ("service", "version", "environment"):
            if not texts[name]:
                reading.wrong(f"{name} is missing")
        for name in ("name", "id", "state"):
            if body.get(name) not in (None, ""):
                reading.wrong(f"{name} is not for start")
    elif action is not None and not named:
        reading.wrong("which deployment? send its name or id, or service and environment")
    if action is CiAction.ABORT and not reason:
        reading.wrong("reason is missing: say in a few words why it is aborted")
    if state is not None and action in (CiAction.FINISH, CiAction.ABORT):
        reading.wrong(f"state is not for {action}")
    commits = _commits(reading, body)
    ticks = _ticks(reading, body)
    if ticks and action is CiAction.ABORT:
        reading.wrong("tick is not for abort")
    reading.refuse(_ADVICE, what="request")
    assert action is not None
    return CiRequest(
        action=action, **texts, id=number, reason=reason, state=state, url=url, commits=commits, tick=ticks
    )


_ADVICE = (
    "Post a JSON object to /hooks/deployments with an action (start, update, finish or abort) and, where "
    f"they apply, {', '.join(KEYS[1:])}"
)


def _one_of(reading: Reading, body: Mapping[str, Any], name: str, words: Any, *, needed: bool = False) -> Any:
    text = reading.text(body, name, "", needed=needed).strip()
    known = [word.value for word in words]
    if not text:
        return None
    if text in known:
        return words(text)
    near = get_close_matches(text.casefold(), known, n=1, cutoff=0.5)
    hint = f" (did you mean “{near[0]}”?)" if near else ""
    reading.wrong(f"{name} is {shown(text)}, not one of {', '.join(known)}{hint}")
    return None


def _number(reading: Reading, body: Mapping[str, Any], name: str, where: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        path = f"{where}.{name}" if where else name
        said = shown(value) if isinstance(value, str) else str(value)[:20]
        reading.wrong(f"{path} is {said}, not a whole number")
        return None
    return value


def _commits(reading: Reading, body: Mapping[str, Any]) -> Commits | None:
    if body.get("commits") is None:
        return None
    given = reading.object(body["commits"], "commits")
    reading.unknown(given, _COMMITS, "commits")
    return Commits(
        base=cut(reading.text(given, "base", "commits").strip(), 100),
        head=cut(reading.text(given, "head", "commits").strip(), 100),
        first_commit_at=reading.instant(given, "first_commit_at", "commits", needed=False),
        count=_number(reading, given, "count", "commits"),
    )


def _ticks(reading: Reading, body: Mapping[str, Any]) -> tuple[str, ...]:
    given = body.get("tick")
    if given is None:
        return ()
    if not isinstance(given, list):
        reading.wrong(f"tick is {kind_of(given)}, not a list of items")
        return ()
    if len(given) > MOST_TICKS:
        reading.wrong(f"tick has {len(given)} items, more than {MOST_TICKS}")
        return ()
    found = []
    for at, one in enumerate(given):
        if isinstance(one, str) and one.strip():
            found.append(clean(one).strip())
        else:
            reading.wrong(f"tick[{at}] is {kind_of(one)}, not the key or text of an item")
    return tuple(dict.fromkeys(found))
