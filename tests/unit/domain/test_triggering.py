"""Rollback triggers: what a report makes of them, what is kept, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import drilling, rollback, triggering
from bot.domain.deployment import Deployment, Phase, extend
from bot.domain.errors import (
    ClearReasonMissing,
    DeploybotError,
    DeploymentClosed,
    DrillUnderWay,
    RaiseReasonMissing,
    ReasonTooLong,
    RollbackReasonMissing,
    SnoozeUnusable,
)
from bot.domain.events import BOT, Fact
from bot.domain.triggering import Report, TriggerFinding
from bot.domain.watching import Source, Trigger, aftermath_from_json, aftermath_to_json
from tests.makers import ANA, BEN, NOON, make_checklist
from tests.unit.test_drawing import deployment_of

TEXT = st.text(max_size=20)
WORDS = st.lists(TEXT, max_size=3).map(tuple)


@given(
    st.builds(
        TriggerFinding,
        signal=TEXT,
        change=TEXT,
        before=st.none() | st.floats(-1e6, 1e6),
        bad=st.none() | st.integers(0, 10**9),
        unchanged=WORDS,
        contradicting=WORDS,
        links=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
        said=TEXT,
        found=WORDS,
    )
)
def test_a_finding_is_read_back_as_it_was_written(finding: TriggerFinding) -> None:
    assert TriggerFinding.from_json(finding.to_json()) == finding


def test_what_a_later_version_wrote_is_left_out() -> None:
    assert TriggerFinding.from_json({"said": "x", "colour": "red"}) == TriggerFinding(said="x")


def report(size: float = 2.0, **changed: Any) -> Report:
    return replace(Report(key="errors", title="Errors", source=Source.WATCH, size=size), **changed)


def with_facts(*facts: Fact | None, deployment: Deployment | None = None) -> Deployment:
    state, _ = extend(
        deployment or deployment_of(make_checklist(), seq=0), [fact for fact in facts if fact is not None]
    )
    return state


def fired(size: float = 2.0, **changed: Any) -> tuple[Deployment, Trigger]:
    start = deployment_of(make_checklist(), seq=0)
    state = with_facts(triggering.reported(start, report(size, **changed), by=BOT, at=NOON), deployment=start)
    return state, state.aftermath.triggers["errors"]


def test_the_projection_keeps_everything_of_a_trigger() -> None:
    state, trigger = fired(occurrence="2026-03-02")
    later = NOON + timedelta(minutes=5)
    until = later + timedelta(minutes=15)
    state = with_facts(
        triggering.acknowledged(state, trigger, user=BEN, at=later),
        triggering.snoozed(state, trigger, user=BEN, at=later, until=until),
        triggering.recovered(trigger, said="errors at 0.2 %", at=later),
        triggering.cleared(state, trigger, user=ANA, at=later, reason="known"),
        rollback.started(state, user=ANA, at=later, why="why", trigger=trigger),
        deployment=state,
    )
    kept = state.aftermath
    assert aftermath_from_json(aftermath_to_json(kept)) == kept
    assert kept.triggers["errors"].snoozed_until == until
    assert kept.triggers["errors"].announced_at == NOON
    assert kept.rollback is not None
    assert kept.rollback.acknowledged_at == later


def test_a_projection_from_before_people_could_join_is_read() -> None:
    state, _ = fired()
    kept = aftermath_to_json(state.aftermath)
    for name in ("joined", "measured"):
        del kept["triggers"][0][name]
    assert aftermath_from_json(kept) == state.aftermath


def test_the_projection_keeps_who_joined_a_trigger() -> None:
    state, _ = fired()
    told = report(source=Source.PERSON, finding=TriggerFinding(said="I see it", links=(("Evidence", "x"),)))
    state = with_facts(triggering.reported(state, told, by=BEN, at=NOON), deployment=state)
    assert [one.said for one in state.aftermath.triggers["errors"].joined] == ["I see it"]
    assert aftermath_from_json(aftermath_to_json(state.aftermath)) == state.aftermath


@pytest.mark.parametrize("words", ["errors rise", " Errors  Rise ", "*Errors* rise"])
def test_a_trigger_of_the_checklist_is_found_however_it_is_written(words: str) -> None:
    start = deployment_of(make_checklist(), seq=0)
    told = triggering.by_hand(start, words, "")
    assert (told.key, told.title) == ("errors-rise", "Errors rise")
    assert triggering.by_hand(start, "Errors rise slowly", "").key == "hand-1"


@pytest.mark.parametrize(("size", "kind"), [(3.9, None), (4.0, "trigger.worsened"), (0.1, None)])
def test_a_trigger_is_worse_from_twice_its_size_on(size: float, kind: str | None) -> None:
    state, _ = fired(2.0)
    fact = triggering.reported(state, report(size), by=BOT, at=NOON)
    assert (fact and fact.kind) == kind


def test_what_nobody_measured_is_never_twice_as_bad() -> None:
    state, _ = fired(0.0)
    assert triggering.reported(state, report(100.0), by=BOT, at=NOON) is None


@pytest.mark.parametrize(
    ("source", "occurrence", "raised"),
    [
        (Source.WATCH, "", False),
        (Source.ALERTMANAGER, "first", False),
        (Source.ALERTMANAGER, "second", True),
        (Source.PERSON, "", True),
    ],
)
def test_a_cleared_trigger_is_raised_anew_by_whoever_asks_for_it(
    source: Source, occurrence: str, raised: bool
) -> None:
    state, trigger = fired(occurrence="first")
    state = with_facts(
        triggering.cleared(state, trigger, user=BEN, at=NOON, reason="known"), deployment=state
    )
    told = report(source=source, occurrence=occurrence)
    assert (triggering.reported(state, told, by=BOT, at=NOON) is not None) is raised


@pytest.mark.parametrize(
    ("error", "act"),
    [
        (ClearReasonMissing, lambda s, t: triggering.cleared(s, t, user=BEN, at=NOON, reason="  ")),
        (ReasonTooLong, lambda s, t: triggering.cleared(s, t, user=BEN, at=NOON, reason="x" * 1001)),
        (SnoozeUnusable, lambda s, t: triggering.snoozed(s, t, user=BEN, at=NOON, until=NOON)),
        (
            SnoozeUnusable,
            lambda s, t: triggering.snoozed(s, t, user=BEN, at=NOON, until=NOON + timedelta(days=2)),
        ),
        (RaiseReasonMissing, lambda s, t: triggering.by_hand(s, " ", "")),
        (RollbackReasonMissing, lambda s, t: rollback.started(s, user=BEN, at=NOON, why=" ")),
        (
            DeploymentClosed,
            lambda s, t: rollback.started(replace(s, phase=Phase.FINISHED), user=BEN, at=NOON, why="x"),
        ),
    ],
)
def test_what_cannot_be_done_is_refused(
    error: type[DeploybotError], act: Callable[[Deployment, Trigger], Any]
) -> None:
    state, trigger = fired()
    with pytest.raises(error):
        act(state, trigger)


def test_one_drill_at_a_time() -> None:
    start = deployment_of(make_checklist(), seq=0)
    made = drilling.drill(start, at=NOON)
    state = with_facts(triggering.reported(start, made, by=ANA, at=NOON), deployment=start)
    with pytest.raises(DrillUnderWay):
        drilling.drill(state, at=NOON)
    trigger = state.aftermath.triggers[made.key]
    over = triggering.cleared(state, trigger, user=ANA, at=NOON, reason="done")
    state = with_facts(over, deployment=state)
    assert drilling.drill(state, at=NOON).key != made.key


def test_a_rollback_nobody_verifies_is_over_when_every_step_is_done() -> None:
    checklist = replace(make_checklist(), rollback_steps=("Restore", "Tell everybody"))
    start = deployment_of(checklist, seq=0)
    state = with_facts(rollback.started(start, user=ANA, at=NOON, why="why"), deployment=start)
    first = len(checklist.items)
    seen = []
    for position in (first, first + 1):
        data = {"item": state.boxes[position].key, "position": position}
        ticked = Fact(kind="item.ticked", actor=BEN, at=NOON, data=data)
        state = with_facts(ticked, deployment=state)
        found = rollback.progress(state)
        assert found is not None
        seen.append((found.done, found.over))
    assert seen == [(1, False), (2, True)]
    assert [what for what, *_ in rollback.times(state)] == ["rollback started", "first step"]
