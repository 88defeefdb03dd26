"""The detector: what alarms, what does not, and what nobody can say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.monitoring import Measure, Sample, Verdict
from bot.watch.detector import Detector, Reading, replay

ERRORS, LATENCY, OTHER = Measure.ERRORS, Measure.LATENCY, Measure.OTHER
#: A latency around 120 ms, as twenty samples have it.
USUAL = [118.0, 121, 125, 119, 122, 117, 120, 123, 116, 124, 120, 119, 121, 126, 118, 122, 120, 117, 123, 121]
#: Failures in twenty samples of 600 requests: 0.1 %.
QUIET = [0, 1, 0, 2, 0, 1, 0, 0, 1, 0, 1, 2, 0, 0, 1, 1, 0, 1, 0, 1]


def before(values: Sequence[float | None], count: int | None = None) -> list[Sample]:
    return [Sample(at=60.0 * (n - len(values)), value=v, count=count) for n, v in enumerate(values)]


def after(values: Sequence[float | None], count: int | None = None) -> list[Sample]:
    return [Sample(at=60.0 * n, value=v, count=count) for n, v in enumerate(values)]


def rates(failures: Sequence[int], requests: int) -> list[float]:
    return [100 * failed / requests for failed in failures]


def seen(measure: Measure, baseline: Sequence[Sample], samples: Sequence[Sample], **knob: float) -> Reading:
    return replay(measure, baseline, samples, **knob)[-1]


# ── what alarms ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_latency_that_doubles_alarms_at_the_second_sample_and_says_since_when() -> None:
    readings = replay(LATENCY, before(USUAL), after([119, 240, 251, 245]))
    assert [reading.alarm for reading in readings] == [False, False, True, True]
    assert readings[1].suspicious
    assert readings[2].verdict is Verdict.DEGRADED
    assert (readings[2].path, readings[2].since) == ("sum", 60.0)
    assert readings[2].why == "2 of 2 samples above 140 ms, worse than any before the deploy"
    assert (readings[3].seen, readings[3].bad) == (4, 3)


def test_errors_after_a_baseline_without_any_alarm_at_the_second_sample() -> None:
    """Where the baseline's deviation is 0, a z-score divides by it: everything alarms, or nothing ever does."""
    readings = replay(ERRORS, before([0.0] * 20, 600), after(rates([18, 21], 600), 600))
    assert [reading.alarm for reading in readings] == [False, True]


def test_twenty_points_more_errors_alarm_alone() -> None:
    reading = seen(ERRORS, before(rates(QUIET, 600), 600), after([24.0], 600))
    assert (reading.alarm, reading.path, reading.since) == (True, "jump", 0.0)


def test_a_shift_too_small_for_one_sample_alarms_by_all_of_them_together() -> None:
    """A fifth more, within what the baseline has seen now and then."""
    noisy = [100.0, 98, 96, 104, 99, 135, 101, 97, 103, 102, 98, 102, 100, 134, 99, 101, 96, 104, 103, 100]
    shifted = [127.0, 125, 131, 126, 124, 129, 127, 128, 125, 126, 130, 127]
    readings = replay(LATENCY, before(noisy), after(shifted))
    assert readings[-1].path == "slow"
    assert readings[-1].bad == 0


def test_a_few_more_failures_in_each_of_four_samples_alarm_by_all_of_them_together() -> None:
    """3 of 600 have been seen before; 12 of 2,400 have not."""
    wandering = before(rates([0, 1, 0, 3, 0, 1, 0, 3, 1, 0, 1, 2, 0, 0, 1, 1, 0, 1, 0, 1], 600), 600)
    readings = replay(ERRORS, wandering, after(rates([3, 3, 3, 3], 600), 600))
    assert [reading.path for reading in readings] == ["", "", "", "slow"]


def test_a_single_spike_of_the_past_does_not_hide_what_a_deploy_breaks() -> None:
    spiky = [*USUAL[:7], 900.0, *USUAL[8:]]
    assert seen(LATENCY, before(spiky), after([240.0, 251])).alarm
    twice = [*USUAL[:7], 900.0, *USUAL[8:12], 850.0, *USUAL[13:]]
    assert not seen(LATENCY, before(twice), after([240.0, 251])).alarm


def test_two_samples_hardly_worse_than_a_wide_baseline_alarm_only_at_once() -> None:
    wide = [80.0, 150, 95, 210, 120, 170, 100, 140, 190, 110, 130, 90, 160, 105, 200, 125, 85, 180, 115, 145]
    assert seen(LATENCY, before(wide), after([230.0, 240])).alarm
    assert not seen(LATENCY, before(wide), after([120.0, 230, 240, 130])).alarm


def test_a_change_of_any_measure_counts_from_fifteen_per_cent_on() -> None:
    depth = [40.0, 41, 40, 39, 40, 41, 40, 40, 39, 41]
    assert not seen(OTHER, before(depth), after([45.0] * 6)).alarm
    assert seen(OTHER, before(depth), after([60.0] * 6)).alarm


# ── what does not ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("errors", [1, 2, 3])
def test_one_sample_of_three_requests_never_alarms(errors: int) -> None:
    assert not seen(ERRORS, before([0.0] * 20, 3), after(rates([errors], 3), 3)).alarm


def test_650_per_cent_more_on_few_points_is_no_alarm() -> None:
    """Two baseline points and one after them: a percentage, and nothing to judge it by."""
    reading = seen(LATENCY, before([20.0, 20.0]), after([150.0]))
    assert (reading.alarm, reading.verdict) == (False, Verdict.INCONCLUSIVE)
    assert reading.why == "2 samples from before the deploy to compare with, at least 5 are needed"


def test_one_sample_of_a_hundred_times_the_latency_does_not_decide() -> None:
    readings = replay(LATENCY, before(USUAL), after([12_000.0, 120, 119, 121, 122, 120]))
    assert not any(reading.alarm for reading in readings)
    assert readings[-1].verdict is Verdict.HEALTHY


def test_a_large_share_of_little_time_and_much_time_of_a_large_one_are_no_change() -> None:
    assert not seen(LATENCY, before([5.0 + 0.01 * n for n in range(20)]), after([24.0] * 12)).alarm
    assert not seen(LATENCY, before([4000.0 + n for n in range(20)]), after([4500.0] * 12)).alarm


def test_the_one_knob_replaces_the_absolute_floor() -> None:
    steady = [5.0 + 0.01 * n for n in range(20)]
    assert seen(LATENCY, before(steady), after([12.0] * 4), min_change=5).alarm
    assert not seen(LATENCY, before(USUAL), after([240.0] * 12), min_change=200).alarm
    quiet = before(rates(QUIET, 600), 600)
    assert seen(ERRORS, quiet, after([2.0] * 12, 600)).alarm
    assert not seen(ERRORS, quiet, after([2.0] * 12, 600), min_change=3).alarm


def test_two_spikes_far_apart_are_no_change() -> None:
    spiky = [120.0] * 3 + [900.0] + [121.0] * 5 + [950.0] + [119.0] * 4
    assert not any(reading.alarm for reading in replay(LATENCY, before(USUAL), after(spiky)))


def test_watches_of_an_hour_over_steady_traffic_stay_quiet() -> None:
    random = Random(7)
    alarms = 0
    for _ in range(100):
        failures = [sum(random.random() < 0.01 for _ in range(100)) for _ in range(80)]
        samples = rates(failures, 100)
        alarms += seen(ERRORS, before(samples[:20], 100), after(samples[20:], 100)).alarm
    assert alarms <= 1


# ── what nobody can say ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (after([None, None]), "no data since the deploy"),
        (after([None] * 4, 0), "no traffic since the deploy"),
        (after([0.0] * 4, 0), "no traffic since the deploy"),
        (after([math.nan] * 4), "no data since the deploy"),
        (after([0.0] * 2, 600), "only 2 samples since the deploy"),
        (after([0.0] * 5, 3), "only 15 requests since the deploy"),
        (after([0.0] * 5, 600) + after([None] * 3), "no data in the last 3 samples"),
        (after([None, 0.0, None] * 3, 600), "only 3 of 9 samples had data"),
    ],
)
def test_what_cannot_be_judged_is_inconclusive_and_says_why(samples: list[Sample], why: str) -> None:
    reading = seen(ERRORS, before(rates(QUIET, 600), 600), samples)
    assert (reading.verdict, reading.why) == (Verdict.INCONCLUSIVE, why)
    assert not reading.alarm


def test_without_anything_before_nothing_is_healthy_and_nothing_alarms() -> None:
    for baseline in ([], before([None] * 30), before([0.0] * 30, 0)):
        readings = replay(ERRORS, baseline, after([90.0] * 20, 600))
        assert {reading.verdict for reading in readings} == {Verdict.INCONCLUSIVE}


def test_building_evidence_is_not_healthy() -> None:
    reading = seen(LATENCY, before(USUAL), after([120.0, 119, 121, 240]))
    assert reading.verdict is Verdict.INCONCLUSIVE
    assert reading.why == "may be getting worse: the last sample worse than any before the deploy"


def test_an_alarm_stays_and_tells_how_long_it_has_been_well_again() -> None:
    readings = replay(LATENCY, before(USUAL), after([240.0, 250, 245, 120, 121, None, 119]))
    assert all(reading.alarm for reading in readings[1:])
    assert [reading.calm for reading in readings] == [0, 0, 0, 1, 2, 2, 3]


# ── properties ───────────────────────────────────────────────────────────────────────────────────────────

levels = st.floats(min_value=0, max_value=1e6)
points = st.one_of(st.none(), st.floats(min_value=0, max_value=1e5))
latencies = st.lists(st.floats(min_value=20, max_value=2000), min_size=8, max_size=30)


@given(
    measure=st.sampled_from(Measure),
    level=st.floats(min_value=0, max_value=100),
    count=st.none() | st.integers(1, 10**6),
)
def test_a_constant_never_alarms(measure: Measure, level: float, count: int | None) -> None:
    readings = replay(measure, before([level] * 12, count), after([level] * 40, count))
    assert not any(reading.alarm or reading.suspicious for reading in readings)


@given(baseline=latencies, later=latencies, factor=st.sampled_from((2.0, 8.0, 64.0)))
def test_far_above_the_floor_the_unit_of_a_latency_does_not_matter(
    baseline: list[float], later: list[float], factor: float
) -> None:
    """All values are so high that 15 % of them is more than 20 ms."""
    small = replay(LATENCY, before([200 * v for v in baseline]), after([200 * v for v in later]))
    large = replay(
        LATENCY, before([200 * factor * v for v in baseline]), after([200 * factor * v for v in later])
    )
    assert [(r.alarm, r.path, r.bad) for r in small] == [(r.alarm, r.path, r.bad) for r in large]


@given(baseline=latencies, later=latencies, data=st.data())
def test_missing_samples_change_nothing_wherever_they_are(
    baseline: list[float], later: list[float], data: st.DataObject
) -> None:
    holes = data.draw(st.lists(st.integers(0, len(later)), max_size=10))
    with_holes: list[float | None] = list(later)
    for hole in sorted(holes, reverse=True):
        with_holes.insert(hole, None)
    bare = replay(LATENCY, before(baseline), after(later))
    holed = replay(LATENCY, before([None, *baseline, None]), after(with_holes))
    kept = [reading for reading, value in zip(holed, with_holes, strict=True) if value is not None]
    assert [(r.alarm, r.path, r.seen, r.bad) for r in bare] == [
        (r.alarm, r.path, r.seen, r.bad) for r in kept
    ]


@given(
    measure=st.sampled_from(Measure),
    baseline=st.lists(points, max_size=30),
    later=st.lists(points, max_size=30),
)
def test_replayed_is_what_was_seen_live_and_never_fails(
    measure: Measure, baseline: list[float | None], later: list[float | None]
) -> None:
    detector = Detector(measure, before(baseline, 50))
    live = [detector.see(sample) for sample in after(later, 50)]
    assert replay(measure, before(baseline, 50), after(later, 50)) == live
    for reading in live:
        assert reading.alarm == (reading.verdict is Verdict.DEGRADED) == bool(reading.path)
        assert reading.why


@given(measure=st.sampled_from(Measure), baseline=st.lists(points, max_size=30), taken=st.integers(1, 60))
def test_no_data_never_alarms_and_is_never_healthy(
    measure: Measure, baseline: list[float | None], taken: int
) -> None:
    for sample in (Sample(at=0, value=None), Sample(at=0, value=100.0, count=0)):
        readings = replay(measure, before(baseline), [sample] * taken)
        assert {reading.verdict for reading in readings} == {Verdict.INCONCLUSIVE}
