"""What is said before Go about what can be seen holds when the detector is then run."""

from __future__ import annotations

from random import Random

import pytest

from bot.domain.monitoring import Measure, Sample
from bot.watch.detector import replay
from bot.watch.power import power


def errors(random: Random, rate: float, requests: int, length: int, *, start: int) -> list[Sample]:
    counts = [sum(random.random() < rate for _ in range(requests)) for _ in range(length)]
    return [
        Sample(at=60.0 * (start + n), value=100 * count / requests, count=requests)
        for n, count in enumerate(counts)
    ]


@pytest.mark.parametrize(("requests", "rate"), [(5, 0.02), (120, 0.0), (600, 0.005)])
def test_what_is_said_to_be_seen_is_seen_about_as_surely(requests: int, rate: float) -> None:
    random = Random(requests)
    baseline = errors(random, rate, requests, 30, start=-30)
    smallest = power(Measure.ERRORS, baseline, interval_s=60).smallest
    assert smallest is not None
    assert smallest.seconds is not None
    length, runs = int(smallest.seconds / 60), 150
    hits = sum(
        replay(Measure.ERRORS, baseline, errors(random, smallest.level / 100, requests, length, start=0))[
            -1
        ].alarm
        for _ in range(runs)
    )
    assert hits / runs > 0.9


def test_the_words_name_traffic_what_is_seen_and_what_is_not() -> None:
    baseline = errors(Random(1), 0.005, 600, 30, start=-30)
    said = power(Measure.ERRORS, baseline, interval_s=60, levels=(0.8, 2.0))
    assert [sight.seconds is not None for sight in said.sights] == [False, True]
    assert said.traffic == 600
    assert said.words.startswith("Errors at 600 requests a sample: 0.")
    assert "→ 2 % is seen within" in said.words
    assert said.words.endswith("→ 0.8 % can't be seen at this traffic.")


def test_more_traffic_sees_smaller_changes() -> None:
    found = [
        power(Measure.ERRORS, errors(Random(2), 0.01, requests, 30, start=-30), interval_s=60).smallest
        for requests in (10, 100, 1000)
    ]
    levels = [sight.level for sight in found if sight is not None]
    assert len(levels) == 3
    assert levels == sorted(levels, reverse=True)


def test_without_a_baseline_it_says_so() -> None:
    said = power(Measure.LATENCY, [Sample(at=-60, value=120.0)], interval_s=60)
    assert said.smallest is None
    assert said.words.startswith(
        "There is no baseline: 1 sample from before the deploy, at least 5 are needed."
    )


def test_a_latency_is_seen_from_the_floor_on_and_a_doubled_one_at_the_second_sample() -> None:
    baseline = [Sample(at=60.0 * (n - 20), value=120.0 + n % 5) for n in range(20)]
    said = power(Measure.LATENCY, baseline, interval_s=60, levels=(130.0, 244.0))
    assert [sight.seconds for sight in said.sights] == [None, 120.0]
