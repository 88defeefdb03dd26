"""What a selection says about the person who sent it."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.ticking import Act, Selection, read_click

A, B, C = 0, 1, 2


def arrive(base: set[int], clicks: list[tuple[int, set[int]]]) -> list[Act]:
    """Every act recorded when the clicks arrive in this order, and nothing else is known."""
    known: list[Selection] = []
    recorded: list[Act] = []
    for at, selected in clicks:
        acts = read_click(base=frozenset(base), known=known, action_ts=at, selected=frozenset(selected))
        if all(other.action_ts != at for other in known):
            known.append(Selection(action_ts=at, selected=frozenset(selected), acts=acts))
        recorded.extend(acts)
    return recorded


def state_after(base: set[int], acts: list[Act]) -> set[int]:
    ticked = set(base)
    for act in acts:
        if act.live:
            (ticked.add if act.ticked else ticked.discard)(act.position)
    return ticked


def test_one_click_is_one_act() -> None:
    assert arrive({A}, [(1, {A, B})]) == [Act(position=B, ticked=True)]
    assert arrive({A}, [(1, set())]) == [Act(position=A, ticked=False)]


def test_a_second_click_on_the_same_drawing_does_not_repeat_the_first() -> None:
    assert arrive(set(), [(1, {A}), (2, {A, B})]) == [
        Act(position=A, ticked=True),
        Act(position=B, ticked=True),
    ]


def test_a_redelivered_click_adds_nothing() -> None:
    assert arrive(set(), [(1, {A}), (1, {A})]) == [Act(position=A, ticked=True)]


def test_a_double_click_ticks_and_unticks() -> None:
    acts = arrive(set(), [(1, {A}), (2, set())])
    assert acts == [Act(position=A, ticked=True), Act(position=A, ticked=False)]


def test_a_second_device_that_shows_an_older_screen_unticks_nothing() -> None:
    acts = arrive(set(), [(1, {A}), (2, {B})])
    assert acts == [Act(position=A, ticked=True), Act(position=B, ticked=True)]


def test_a_lost_click_is_read_from_the_next_one() -> None:
    assert arrive(set(), [(2, {A, B})]) == [Act(position=A, ticked=True), Act(position=B, ticked=True)]


def test_a_tick_taken_back_but_delivered_last_changes_nothing() -> None:
    acts = arrive(set(), [(2, set()), (1, {A})])
    assert acts == [Act(position=A, ticked=True, live=False), Act(position=A, ticked=False, live=False)]


def test_three_toggles_of_one_box_count_three_times_in_any_order() -> None:
    clicks = [(1, {A}), (2, set()), (3, {A})]
    for order in permutations(clicks):
        acts = arrive(set(), list(order))
        assert state_after(set(), acts) == {A}, order
        assert Counter((act.position, act.ticked) for act in acts) == {(A, True): 2, (A, False): 1}, order


@st.composite
def one_person(draw: st.DrawFn) -> tuple[set[int], list[tuple[int, set[int]]]]:
    """A drawing, and the clicks one client made on it one after the other."""
    base = draw(st.sets(st.integers(0, 4), max_size=5))
    toggles = draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    screen, clicks = set(base), []
    for at, box in enumerate(toggles, start=1):
        screen = screen ^ {box}
        clicks.append((at, set(screen)))
    return base, clicks


@given(one_person())
def test_in_order_every_toggle_is_one_act(person: tuple[set[int], list[tuple[int, set[int]]]]) -> None:
    base, clicks = person
    acts = arrive(base, clicks)
    assert len(acts) == len(clicks)
    assert all(act.live for act in acts)
    assert state_after(base, acts) == clicks[-1][1]


@given(one_person(), st.randoms(use_true_random=False), st.data())
@settings(max_examples=400, deadline=None)
def test_in_any_order_with_repeats_the_last_screen_wins(
    person: tuple[set[int], list[tuple[int, set[int]]]], shuffle: random.Random, data: st.DataObject
) -> None:
    base, clicks = person
    repeats = data.draw(st.lists(st.sampled_from(clicks), max_size=3))
    delivered = [*clicks, *repeats]
    shuffle.shuffle(delivered)
    assert state_after(base, arrive(base, delivered)) == clicks[-1][1]
