"""Gates, who owns what, and what people do about items: rules and state, as values."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain import gating, tending
from bot.domain.care import care_from_json, care_to_json
from bot.domain.conduct import (
    Allowed,
    Approval,
    Conduct,
    Gate,
    Hold,
    Ownership,
    Permission,
    conduct_from_json,
    conduct_to_json,
)
from bot.domain.deployment import Deployment, Target, extend, fold, started, tick
from bot.domain.errors import (
    AlreadyAssigned,
    AlreadyWaived,
    AssigneeUnusable,
    DeploymentClosed,
    FourEyes,
    GateClosed,
    LinkUnusable,
    NoOverrideNeeded,
    NoSuchItem,
    NoSuchNote,
    NoSuchOverride,
    NotAssigned,
    NoteMissing,
    NotWaived,
    OverrideReasonMissing,
    OverrideUnderWay,
    ReasonTooLong,
    SecondNameNeeded,
    WaiverReasonMissing,
)
from bot.domain.events import Fact, chain
from bot.domain.ticking import Act
from tests.makers import ANA, BEN, CARLA, CHANNEL, NOON, TEAM, make_checklist

GROUP = "S0RELEASE01"
FIRST = Gate(title="Section 1", first=0, last=6, holds=frozenset({Hold.GO}))


def deployment(**rules: object) -> Deployment:
    fact = started(
        name="storefront-1",
        target=Target(service="storefront", version="v1.4.2", environment="production"),
        team=TEAM,
        channel=CHANNEL,
        lead=ANA,
        timezone="UTC",
        checklist_name="production",
        checklist=make_checklist(),
        conduct=Conduct(**rules),  # type: ignore[arg-type]
        at=NOON,
    )
    return fold(chain([fact], deployment_id=1, seq=0, head="0" * 64))


def after(state: Deployment, *facts: Fact) -> Deployment:
    return extend(state, facts)[0]


def ticked(state: Deployment, *positions: int, user: str = ANA) -> Deployment:
    acts = [Act(position=position, ticked=True) for position in positions]
    return after(state, *tick(state, acts, user=user, at=NOON, drawn_seq=state.seq).facts)


def test_rules_come_back_from_the_first_event_as_they_went_in() -> None:
    rules = Conduct(
        optional=frozenset({2}),
        gates=(FIRST,),
        owned=(Ownership(first=0, last=2, owners=(BEN, GROUP)),),
        approval=Approval(group=GROUP),
        permissions={Permission.START: Allowed(people=(GROUP,), channels=(CHANNEL,))},
    )
    assert conduct_from_json(json.loads(json.dumps(conduct_to_json(rules)))) == rules
    assert conduct_from_json({}) == Conduct()


def test_go_waits_for_what_a_gate_requires_and_names_it() -> None:
    state = deployment(gates=(FIRST,), optional=frozenset({2}))
    with pytest.raises(GateClosed, match=r"6 required items are open. Section 1: “Box 1.1”") as closed:
        gating.check_gates(state, Hold.GO)
    assert "Box 1.3" not in str(closed.value)
    state = ticked(state, 0, 1, 3, 4, 5)
    waived = tending.waived(state, 6, user=BEN, at=NOON, reason="no such thing here")
    gating.check_gates(after(state, waived), Hold.GO)
    with pytest.raises(GateClosed, match="1 required item is open"):
        gating.check_gates(state, Hold.GO)


def test_what_else_is_in_the_way_is_said_first() -> None:
    state = ticked(deployment(gates=(FIRST,)), *range(7))
    with pytest.raises(GateClosed, match=r"^No Go yet: Freeze until Monday.$"):
        gating.check_gates(state, Hold.GO, obstacles=("Freeze until Monday.",))


def test_items_behind_a_gate_wait_for_it_but_not_those_before_or_in_it() -> None:
    gate = replace(FIRST, first=3, last=4, holds=frozenset({Hold.NEXT}))
    state = deployment(gates=(gate,))
    assert set(ticked(state, 0, 3).ticks) == {0, 3}
    outcome = tick(state, [Act(position=7, ticked=True)], user=BEN, at=NOON, drawn_seq=state.seq)
    [(item, held_by)] = outcome.behind
    assert (item.text, held_by.title) == ("Box 2.1", "Section 1")
    assert outcome.facts[0].data["moot"] is True
    assert 7 in ticked(ticked(state, 3, 4), 7).ticks


def test_rollback_steps_wait_for_no_gate() -> None:
    state = deployment(gates=(replace(FIRST, holds=frozenset({Hold.NEXT})),))
    assert state.closed_gate(len(state.checklist.items)) is None
    assert state.closed_gate(7) is not None


def test_the_lead_and_people_outside_the_group_do_not_make_four_eyes() -> None:
    state = deployment(approval=Approval(group=GROUP))
    members = frozenset({ANA, BEN})
    with pytest.raises(FourEyes, match="You lead this deployment"):
        gating.check_eyes(state, user=ANA, members=members)
    with pytest.raises(FourEyes, match=r"^Here Go takes a second pair of eyes"):
        gating.check_eyes(state, user=CARLA, members=members)
    gating.check_eyes(state, user=BEN, members=members)
    gating.check_eyes(deployment(), user=ANA, members=None)


def test_where_rules_hold_go_the_end_waits_for_it_unless_it_was_rolled_back() -> None:
    state = deployment(gates=(FIRST,))
    assert gating.go_missing(state, at=NOON) == ("Nobody gave Go.",)
    assert gating.go_missing(deployment(), at=NOON) == ()
    gone = Fact(kind="deployment.go", actor=ANA, at=NOON, data={})
    assert gating.go_missing(after(state, gone), at=NOON) == ()
    back = Fact(kind="rollback.started", actor=ANA, at=NOON, data={"why": "broken"})
    assert gating.go_missing(after(state, back), at=NOON) == ()


def test_no_go_takes_go_back_and_go_takes_no_go_back() -> None:
    state = after(deployment(), Fact(kind="deployment.go", actor=ANA, at=NOON, data={}))
    state = after(state, gating.no_go(state, user=BEN, at=NOON, reason=" the  bank is down "))
    assert state.go is None
    assert state.care.no_go is not None
    assert state.care.no_go.reason == "the bank is down"
    state = after(state, Fact(kind="deployment.go", actor=ANA, at=NOON, data={}))
    assert state.care.no_go is None


def test_an_override_takes_two_names_and_stays_for_ever() -> None:
    state = deployment(gates=(FIRST,))
    ask = gating.override_requested(state, Hold.GO, user=ANA, at=NOON, reason="outage")
    state = after(state, ask)
    with pytest.raises(OverrideUnderWay):
        gating.override_requested(state, Hold.GO, user=BEN, at=NOON, reason="outage")
    [waiting] = state.care.overrides
    assert waiting.pending
    assert len(waiting.open) == 7
    with pytest.raises(SecondNameNeeded):
        gating.override_confirmed(state, waiting.seq, user=ANA, at=NOON)
    later = NOON + timedelta(minutes=2)
    state = after(state, *gating.override_confirmed(state, waiting.seq, user=BEN, at=later))
    assert state.go is not None
    assert (state.go.by, state.care.confirmed[0].second) == (ANA, BEN)
    with pytest.raises(NoSuchOverride):
        gating.override_confirmed(state, waiting.seq, user=CARLA, at=later)
    assert care_from_json(json.loads(json.dumps(care_to_json(state.care)))) == state.care


def test_an_override_of_the_end_finishes() -> None:
    gate = replace(FIRST, holds=frozenset({Hold.FINISH}))
    state = deployment(gates=(gate,))
    state = after(state, gating.override_requested(state, Hold.FINISH, user=ANA, at=NOON, reason="late"))
    state = after(state, *gating.override_confirmed(state, state.seq, user=BEN, at=NOON))
    assert not state.phase.open
    assert state.ended_by == ANA


@pytest.mark.parametrize(
    ("rules", "reason", "refusal"),
    [
        ({}, "outage", NoOverrideNeeded),
        ({"gates": (FIRST,)}, "  ", OverrideReasonMissing),
        ({"gates": (FIRST,)}, "x" * 1001, ReasonTooLong),
    ],
)
def test_an_override_needs_a_reason_and_something_in_the_way(
    rules: dict[str, object], reason: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        gating.override_requested(deployment(**rules), Hold.GO, user=ANA, at=NOON, reason=reason)


def test_a_withdrawn_override_is_over() -> None:
    state = deployment(gates=(FIRST,))
    state = after(state, gating.override_requested(state, Hold.GO, user=ANA, at=NOON, reason="outage"))
    state = after(state, gating.override_withdrawn(state, state.seq, user=ANA, at=NOON))
    with pytest.raises(NoSuchOverride):
        gating.override_confirmed(state, 2, user=BEN, at=NOON)
    assert state.care.confirmed == ()
    gating.override_requested(state, Hold.GO, user=BEN, at=NOON, reason="again")


def test_a_waived_item_counts_as_done_under_the_name_of_who_said_why() -> None:
    state = deployment()
    state = after(state, tending.waived(state, 0, user=BEN, at=NOON, reason="no  schema change"))
    assert 0 in state.done
    assert 0 not in state.ticks
    assert (state.care.waivers[0].by, state.care.waivers[0].reason) == (BEN, "no schema change")
    with pytest.raises(AlreadyWaived):
        tending.waived(state, 0, user=ANA, at=NOON, reason="again")
    state = after(state, tending.unwaived(state, 0, user=ANA, at=NOON))
    assert 0 not in state.done
    with pytest.raises(NotWaived):
        tending.unwaived(state, 0, user=ANA, at=NOON)
    with pytest.raises(WaiverReasonMissing):
        tending.waived(state, 0, user=ANA, at=NOON, reason="")


def test_a_waived_step_does_not_make_the_next_one_early() -> None:
    state = deployment()
    assert ticked(state, 4).ticks[4].before == (3,)
    waived = after(state, tending.waived(state, 3, user=ANA, at=NOON, reason="not here"))
    assert ticked(waived, 4).ticks[4].before == ()


def test_an_item_is_given_to_people_and_groups_and_taken_again() -> None:
    state = deployment()
    state = after(state, tending.assigned(state, 1, to=BEN, user=ANA, at=NOON))
    state = after(state, tending.assigned(state, 1, to=GROUP, user=ANA, at=NOON))
    assert state.care.assignees(1) == (BEN, GROUP)
    with pytest.raises(AlreadyAssigned):
        tending.assigned(state, 1, to=BEN, user=ANA, at=NOON)
    with pytest.raises(AssigneeUnusable):
        tending.assigned(state, 1, to="ben", user=ANA, at=NOON)
    state = after(state, tending.unassigned(state, 1, to=BEN, user=BEN, at=NOON))
    assert state.care.assignees(1) == (GROUP,)
    with pytest.raises(NotAssigned):
        tending.unassigned(state, 1, to=BEN, user=BEN, at=NOON)


def test_notes_keep_words_and_addresses() -> None:
    state = deployment()
    state = after(
        state, tending.noted(state, 1, text="see graph", link="https://g.example.com/d", user=ANA, at=NOON)
    )
    [note] = state.care.notes[1]
    assert (note.text, note.link, note.by) == ("see graph", "https://g.example.com/d", ANA)
    with pytest.raises(NoteMissing):
        tending.noted(state, 1, text=" ", user=ANA, at=NOON)
    for bad in ("javascript:alert(1)", "ftp://x", "https://a b", "https://x|y>"):
        with pytest.raises(LinkUnusable):
            tending.noted(state, 1, text="", link=bad, user=ANA, at=NOON)
    with pytest.raises(NoSuchNote):
        tending.note_removed(state, 1, note=99, user=ANA, at=NOON)
    assert 1 not in after(state, tending.note_removed(state, 1, note=note.seq, user=BEN, at=NOON)).care.notes


def test_nothing_can_be_done_about_items_that_are_not_there_or_over() -> None:
    state = deployment()
    for position in (-1, len(state.boxes)):
        with pytest.raises(NoSuchItem):
            tending.waived(state, position, user=ANA, at=NOON, reason="x")
    over = after(state, Fact(kind="deployment.finished", actor=ANA, at=NOON, data={}))
    with pytest.raises(DeploymentClosed):
        tending.noted(over, 0, text="x", user=ANA, at=NOON)
    with pytest.raises(DeploymentClosed):
        gating.no_go(over, user=ANA, at=NOON, reason="x")


def test_the_smallest_part_with_owners_owns_an_item() -> None:
    rules = Conduct(
        owned=(
            Ownership(first=0, last=6, owners=(GROUP,)),
            Ownership(first=3, last=6, owners=(BEN,)),
        )
    )
    assert (rules.owners(0), rules.owners(4), rules.owners(9)) == ((GROUP,), (BEN,), ())
