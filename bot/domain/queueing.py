"""The queue: who wants to deploy what once it is free, in the order they asked.

Whoever is first gets a turn: one direct message, and some minutes in which others who start are told whose
turn it is. A turn that is not used passes to the next; one that something comes between is given back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.deployment import Target

#: How long a turn lasts from the message on. From the specification: ten minutes.
TURN = timedelta(minutes=10)


class PlaceState(StrEnum):
    """Where somebody in the queue stands."""

    WAITING = "waiting"
    #: It is their turn.
    PINGED = "pinged"
    STARTED = "started"
    LEFT = "left"
    #: Their turn passed.
    EXPIRED = "expired"

    @property
    def live(self) -> bool:
        """Whether they still wait for something."""
        return self in (PlaceState.WAITING, PlaceState.PINGED)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Somebody's place in the queue, with what they typed."""

    id: int
    #: Slack ids.
    team: str
    channel: str
    user: str
    target: Target
    checklist: str
    at: datetime
    state: PlaceState = PlaceState.WAITING
    #: When their turn began.
    pinged_at: datetime | None = None

    @property
    def until(self) -> datetime | None:
        """When their turn is over."""
        return self.pinged_at + TURN if self.pinged_at is not None else None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a line now."""

    #: The turn that something came between: its place waits again, first as before.
    back: Place | None = None
    #: The turn that was not used.
    over: Place | None = None
    #: Whose turn it is next.
    next: Place | None = None

    @property
    def nothing(self) -> bool:
        """Whether all stays as it is."""
        return self.back is None and self.over is None and self.next is None


def decide(line: Sequence[Place], *, busy: bool, frozen: Collection[int], at: datetime) -> Decision:
    """Whose turn ends and whose begins.

    `line` is those who wait for one target, first come first; `busy` says that it is deployed to, or locked;
    `frozen` has the ids of the places whose checklist lets nobody deploy now.
    """
    turn = next((place for place in line if place.state is PlaceState.PINGED), None)
    if turn is not None and (busy or turn.id in frozen):
        return Decision(back=turn)
    if turn is not None and turn.until is not None and at < turn.until:
        return Decision()
    ready = (place for place in line if place.state is PlaceState.WAITING and place.id not in frozen)
    return Decision(over=turn, next=None if busy else next(ready, None))
