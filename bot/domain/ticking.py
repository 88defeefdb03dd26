"""What a person did by clicking a group of checkboxes.

Slack sends the whole selection as the clicking client shows it, not the box that was clicked (Slack docs:
checkboxes element). A client may show an old drawing, clicks may arrive late, twice or in any order, and one
person may have the thread open on two devices. One click toggles one box, and that is what finds the act.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Act:
    """One box toggled by one person."""

    #: The item's position in the checklist.
    position: int
    #: True where the person ticked it, False where they unticked it.
    ticked: bool
    #: False where a later click of the same person has settled the box already: the act belongs in the
    #: history and changes nothing.
    live: bool = True


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A selection one person sent from one drawing, with the acts recorded for it."""

    #: Slack's `action_ts` in microseconds: orders one person's clicks.
    action_ts: int
    #: Positions that client showed as ticked after the click.
    selected: frozenset[int]
    #: What was recorded when it arrived.
    acts: tuple[Act, ...] = ()


def read_click(
    *, base: frozenset[int], known: Sequence[Selection], action_ts: int, selected: frozenset[int]
) -> tuple[Act, ...]:
    """The acts this click adds, given the positions drawn as ticked and the person's other clicks there.

    `known` holds this person's clicks on the same drawing in the order they arrived; their `action_ts` may
    lie after this one's. A click received already adds nothing.
    """
    if any(other.action_ts == action_ts for other in known):
        return ()
    arrived = Selection(action_ts=action_ts, selected=selected)
    timeline = sorted([*known, arrived], key=lambda s: s.action_ts)
    read = _read_timeline(base, timeline)
    missing = Counter((act.position, act.ticked) for act in read)
    missing.subtract((act.position, act.ticked) for other in known for act in other.acts)

    state = {act.position: act.ticked for other in known for act in other.acts if act.live}
    settled = {act.position: act.ticked for act in read}
    acts: list[Act] = []
    for act in reversed(read):  # the newest act on a box is the one that may change it
        if missing[act.position, act.ticked] <= 0:
            continue
        missing[act.position, act.ticked] -= 1
        before = state.get(act.position, act.position in base)
        live = act.ticked == settled[act.position] and act.ticked != before
        if live:
            state[act.position] = act.ticked
        acts.append(replace(act, live=live))
    # Clicks that came late may have been misread for want of those between them: put right what is left.
    corrections = [
        Act(position=position, ticked=ticked)
        for position, ticked in settled.items()
        if ticked != state.get(position, position in base)
    ]
    return (*reversed(acts), *corrections)


def _read_timeline(base: frozenset[int], timeline: Sequence[Selection]) -> list[Act]:
    acts: list[Act] = []
    screens = [base]
    for selection in timeline:
        before = _screen_before(screens, selection.selected)
        acts.extend(
            Act(position=position, ticked=position in selection.selected)
            for position in sorted(before ^ selection.selected)
        )
        screens.insert(0, selection.selected)
    return acts


def _screen_before(screens: Sequence[frozenset[int]], selected: frozenset[int]) -> frozenset[int]:
    """What the client showed before the click: the newest screen one toggle away, else the nearest."""
    for screen in screens:
        if len(screen ^ selected) == 1:
            return screen
    return min(screens, key=lambda screen: len(screen ^ selected))
