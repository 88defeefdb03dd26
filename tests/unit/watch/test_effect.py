"""What changed: intervals against published values, and the words."""

from __future__ import annotations

import math
from random import Random

import pytest

from bot.domain.monitoring import Measure, Sample
from bot.watch.counting import difference, dispersion, surprise, wilson
from bot.watch.effect import change, worded
from bot.watch.ranking import higher, shift


def samples(values: list[float | None], count: int | None = None) -> list[Sample]:
    return [Sample(at=60.0 * n, value=value, count=count) for n, value in enumerate(values)]


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


def test_the_interval_of_a_difference_is_the_published_one() -> None:
    """Newcombe 1998, "Interval estimation for the difference", table II, method 10."""
    assert difference(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference(9, 10, 3, 10) == pytest.approx((0.1705, 0.8090), abs=1e-4)
    assert difference(10, 10, 0, 20) == pytest.approx((0.6791, 1.0), abs=1e-4)


def test_surprise_is_near_the_exact_probability_after_a_baseline_without_failures() -> None:
    """k failures of n after none of 20n: the chance that all fall into one part of 21 is 21⁻ᵏ."""
    for failures in (1, 2, 3, 4):
        by_chance = 0.5 * math.erfc(surprise(failures, 1000, 0, 20_000) / math.sqrt(2))
        assert math.log(by_chance) == pytest.approx(failures * math.log(1 / 21), rel=0.2)


def test_counts_that_scatter_as_a_binomial_law_are_not_dispersed_and_clumped_ones_are() -> None:
    assert dispersion([(5.0, 1000.0), (4.0, 1000.0), (6.0, 1000.0)]) == 1.0
    assert 1.5 < dispersion([(0.0, 1000.0), (12.0, 1000.0), (3.0, 1000.0), (9.0, 1000.0)]) <= 4.0


def test_ranks_give_the_shift_and_how_surely_it_is_one() -> None:
    """By hand: nine differences, 0 to 8, and the second smallest to the second largest at 95 % of so few."""
    middle, low, high = shift([5.0, 7.0, 9.0], [1.0, 3.0, 5.0])
    assert (middle, low, high) == (4.0, 0.0, 8.0)
    before = [4.0, 9, 1, 7, 3, 10, 2, 8, 5, 6]
    assert higher([15.0, 11, 18, 12, 17, 13, 16, 14], before) < 0.001
    assert higher(before, before) == pytest.approx(0.5, abs=0.05)


def test_the_interval_of_a_ratio_holds_it_nineteen_times_of_twenty() -> None:
    random = Random(3)
    held = 0
    for _ in range(300):
        before = samples([100 * math.exp(random.gauss(0, 0.3)) for _ in range(20)])
        after = samples([150 * math.exp(random.gauss(0, 0.3)) for _ in range(12)])
        found = change(Measure.LATENCY, before, after)
        assert found is not None
        held += found.low <= 50 <= found.high
    assert 275 <= held <= 297


def test_errors_are_worded_with_points_interval_and_requests() -> None:
    before = samples([0.0, 0.5, 0.0, 0.25, 0.25], 400)
    after = samples([100 * 14 / 440, 100 * 13 / 440, 100 * 14 / 440], 440)
    found = change(Measure.ERRORS, before, after)
    assert found is not None
    assert (found.bad, found.requests, found.samples) == (41, 1320, 3)
    assert worded(found) == "errors 0.2 % → 3.1 %, +2.9 pp [2–4], 41 of 1,320 requests"


def test_counts_that_scatter_make_the_interval_wider() -> None:
    even, uneven = samples([1.0] * 8, 1000), samples([0.2, 1.8] * 4, 1000)
    after = samples([3.0] * 4, 1000)
    steady, scattered = change(Measure.ERRORS, even, after), change(Measure.ERRORS, uneven, after)
    assert steady is not None
    assert scattered is not None
    assert scattered.difference == pytest.approx(steady.difference)
    assert scattered.high - scattered.low > 1.3 * (steady.high - steady.low)


def test_latencies_are_worded_with_per_cent() -> None:
    before = samples([118.0, 121, 120, 119, 122, 117, 120, 123])
    found = change(Measure.LATENCY, before, samples([214.0, 220, 209, 214, None]))
    assert found is not None
    assert worded(found) == "latency 120 ms → 214 ms, +78 % [+74–+83 %]"
    assert found.samples == 4


def test_other_numbers_and_uncounted_errors_are_worded_in_their_own_unit() -> None:
    depth = change(Measure.OTHER, samples([4.0, 5, 4, 6, 5, 4]), samples([9.0, 11, 10, 1]))
    assert depth is not None
    assert worded(depth).startswith("value 4.5 → 9.5, +5 [−")
    errors = change(Measure.ERRORS, samples([0.5, 0.5, 0.4]), samples([2.5, 2.4, 2.6]))
    assert errors is not None
    assert errors.requests is None
    assert worded(errors).startswith("errors 0.5 % → 2.5 %, +2 pp [")


def test_where_there_is_no_data_nothing_changed() -> None:
    assert change(Measure.ERRORS, [], samples([1.0], 100)) is None
    assert change(Measure.ERRORS, samples([1.0], 100), samples([None, 5.0], 0)) is None
