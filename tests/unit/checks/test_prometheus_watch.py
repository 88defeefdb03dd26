"""What watched samples come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.kind import NoData
from bot.checks.prometheus_watch import sparkline, weigh

POINTS = st.one_of(st.none(), st.floats(0, 1e6))


def test_the_value_is_the_one_that_enough_samples_reach() -> None:
    assert weigh([0.1, 0.9, 0.5], [], confirm=2, worse="higher", floor=0)["value"] == 0.5
    assert weigh([0.1, 0.9, 0.5], [], confirm=1, worse="higher", floor=0)["value"] == 0.9
    assert weigh([0.1, 0.9, 0.5], [], confirm=1, worse="lower", floor=0)["value"] == 0.1


def test_the_baseline_is_the_median_before_so_that_one_spike_does_not_raise_it() -> None:
    weighed = weigh([0.4, 0.4, 0.4], [0.2, 9.0, 0.2], confirm=2, worse="higher", floor=0)
    assert weighed["ratio"] == pytest.approx(2)


@pytest.mark.parametrize("after", [[], [None], [0.1, 0.1, None], [None, None, 0.1], [0.1]])
def test_too_few_samples_or_a_missing_newest_are_no_data(after: list[float | None]) -> None:
    with pytest.raises(NoData):
        weigh(after, [], confirm=2, worse="higher", floor=0)


@given(st.lists(POINTS, min_size=1, max_size=12), st.integers(1, 4), st.floats(0, 1e6))
def test_a_limit_is_broken_exactly_where_enough_samples_break_it(
    after: list[float | None], confirm: int, limit: float
) -> None:
    try:
        value = weigh(after, [], confirm=confirm, worse="higher", floor=0)["value"]
    except NoData:
        return
    over = sum(point is not None and point > limit for point in after)
    assert (value > limit) == (over >= confirm)


@given(st.lists(POINTS, max_size=30))
def test_a_sparkline_has_a_sign_for_each_sample(points: list[float | None]) -> None:
    assert len(sparkline(points)) == len(points)
