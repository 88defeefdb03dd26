"""The line: whose turn ends and whose begins."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deployment import Target
from bot.domain.queueing import TURN, Decision, Place, PlaceState, decide
from tests.makers import BEN, CHANNEL, NOON, TEAM


def place(number: int, *, pinged: bool = False) -> Place:
    return Place(
        id=number,
        team=TEAM,
        channel=CHANNEL,
        user=f"{BEN}{number}",
        target=Target(service="storefront", version=f"v{number}", environment="production"),
        checklist="production",
        at=NOON,
        state=PlaceState.PINGED if pinged else PlaceState.WAITING,
        pinged_at=NOON if pinged else None,
    )


FIRST, SECOND, TURN_OF_FIRST = place(1), place(2), place(1, pinged=True)


def test_the_first_who_is_not_frozen_gets_the_turn_once_it_is_free() -> None:
    assert decide([FIRST, SECOND], busy=False, frozen=(), at=NOON) == Decision(next=FIRST)
    assert decide([FIRST, SECOND], busy=False, frozen=[1], at=NOON) == Decision(next=SECOND)
    assert decide([FIRST, SECOND], busy=True, frozen=(), at=NOON).nothing
    assert decide([], busy=False, frozen=(), at=NOON).nothing


def test_a_turn_lasts_ten_minutes_and_passes_to_the_next() -> None:
    line = [TURN_OF_FIRST, SECOND]
    assert timedelta(minutes=10) == TURN
    assert decide(line, busy=False, frozen=(), at=NOON + TURN - timedelta(seconds=1)).nothing
    assert decide(line, busy=False, frozen=(), at=NOON + TURN) == Decision(over=TURN_OF_FIRST, next=SECOND)
    assert decide([TURN_OF_FIRST], busy=False, frozen=(), at=NOON + TURN) == Decision(over=TURN_OF_FIRST)


def test_a_turn_that_something_comes_between_is_given_back_and_not_lost() -> None:
    for busy, frozen in ((True, ()), (False, (1,))):
        found = decide([TURN_OF_FIRST, SECOND], busy=busy, frozen=frozen, at=NOON)
        assert found == Decision(back=TURN_OF_FIRST)


@given(
    pinged=st.booleans(),
    count=st.integers(0, 4),
    busy=st.booleans(),
    frozen=st.sets(st.integers(1, 5)),
    minutes=st.integers(0, 30),
)
def test_there_is_never_a_second_turn_nor_one_while_it_is_not_free(
    pinged: bool, count: int, busy: bool, frozen: set[int], minutes: int
) -> None:
    line = [place(number, pinged=pinged and number == 1) for number in range(1, count + 1)]
    found = decide(line, busy=busy, frozen=frozen, at=NOON + timedelta(minutes=minutes))
    if found.next is not None:
        assert not busy
        assert found.next.id not in frozen
        assert found.over is not None or not any(one.state is PlaceState.PINGED for one in line)
    assert not (found.back and found.over)
