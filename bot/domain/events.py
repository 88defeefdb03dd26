"""Facts and the chain that holds them together.

A fact is what happened; an event is a fact with its place in a deployment's history. Each event carries the
SHA-256 of the one before it, so a history that was edited, cut or reordered no longer adds up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: The `previous` of a deployment's first event.
GENESIS = "0" * 64

#: The actor of what the bot did by itself.
BOT = "bot"
#: The actor of what CI did or said: a system, never one of its users.
CI = "ci"


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that happened, before it has its place in a history."""

    #: What happened, e.g. `item.ticked`.
    kind: str
    #: Slack user id, `bot` or `ci`.
    actor: str
    #: When it was done (not when it was stored), in UTC.
    at: datetime
    #: The particulars; JSON values only.
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact in a deployment's history."""

    deployment_id: int
    #: 1 for the first event of the deployment, then one more each.
    seq: int
    fact: Fact
    #: `hash` of the event before it, or GENESIS.
    previous: str
    #: SHA-256 over everything above, in hex.
    hash: str


def canonical(data: Mapping[str, Any]) -> str:
    """The one JSON text of these particulars: sorted keys, no spaces, no ASCII escapes."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def micros(at: datetime) -> int:
    """Microseconds since 1970 in UTC: how instants are stored and hashed, exact in every database."""
    delta = at.astimezone(UTC) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def digest(*, deployment_id: int, seq: int, fact: Fact, previous: str) -> str:
    """The hash an event with these contents must carry."""
    head = f"{previous}\n{deployment_id}\n{seq}\n{micros(fact.at)}\n{fact.actor}\n{fact.kind}\n"
    return hashlib.sha256((head + canonical(fact.data)).encode("utf-8", "surrogatepass")).hexdigest()


def chain(facts: Iterable[Fact], *, deployment_id: int, seq: int, head: str) -> tuple[Event, ...]:
    """The facts as the events that follow `seq` and `head` (0 and GENESIS for a new deployment)."""
    events = []
    for fact in facts:
        seq += 1
        hash_ = digest(deployment_id=deployment_id, seq=seq, fact=fact, previous=head)
        events.append(Event(deployment_id=deployment_id, seq=seq, fact=fact, previous=head, hash=hash_))
        head = hash_
    return tuple(events)


def broken_link(events: Iterable[Event]) -> str | None:
    """What is wrong with a history read in order of `seq`, or None where it adds up."""
    expected_seq, head = 1, GENESIS
    for event in events:
        if event.seq != expected_seq:
            return f"event {expected_seq} is missing: the history goes on with event {event.seq}"
        if event.previous != head:
            return f"event {event.seq} does not follow event {event.seq - 1}: one of them was replaced"
        wanted = digest(
            deployment_id=event.deployment_id, seq=event.seq, fact=event.fact, previous=event.previous
        )
        if event.hash != wanted:
            return f"event {event.seq} ({event.fact.kind} by {event.fact.actor}) was changed after the fact"
        expected_seq, head = expected_seq + 1, event.hash
    return None
