"""What load generators print, and what it comes to."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.generators import Unreadable, percentile, read_hey, read_locust, read_wrk

#: As hey 0.1.4 prints it, shortened.
HEY = """
Summary:
  Total:\t2.0000 secs
  Requests/sec:\t100.0000

Latency distribution:
  50% in 0.0020 secs
  95% in 0.0150 secs
  99% in 0.0400 secs

Status code distribution:
  [200]\t180 responses
  [302]\t4 responses
  [500]\t6 responses

Error distribution:
  [10]\tGet "http://shop.example/": context deadline exceeded
"""
REFUSED = """
Summary:
  Total:\t1.0000 secs
  Requests/sec:\t19194.0000

Status code distribution:

Error distribution:
  [19194]\tGet "http://127.0.0.1:9/": dial tcp 127.0.0.1:9: connect: connection refused
"""


def test_hey_counts_redirects_errors_and_what_got_no_answer() -> None:
    figures = read_hey(HEY)
    assert (figures.requests, figures.errors) == (200, 20)
    assert figures.rps == 95
    assert (figures.p50_ms, figures.p95_ms, figures.p99_ms) == (2.0, 15.0, 40.0)
    assert figures.particulars["status 500"] == 6


def test_hey_with_every_connection_refused_is_all_errors_and_no_rate() -> None:
    figures = read_hey(REFUSED)
    assert figures.error_share == 1
    assert figures.rps == 0
    assert figures.p95_ms is None


def test_wrk_counts_what_it_lost() -> None:
    figures = read_wrk(
        'Running 1s test\n\n{"requests": 90, "us": 1000000, "p50": 900.0, "p95": 2500.0, "p99": 9000.0,'
        ' "status": 5, "lost": 10}\n'
    )
    assert (figures.requests, figures.errors, figures.rps) == (100, 15, 90)
    assert figures.p95_ms == 2.5


def test_locust_sums_up_over_its_entries() -> None:
    entry = {"method": "GET", "start_time": 10.0, "last_request_timestamp": 12.0}
    out = json.dumps(
        [
            {**entry, "name": "/", "num_requests": 3, "num_failures": 0, "response_times": {"5": 2, "7": 1}},
            {**entry, "name": "/a", "num_requests": 1, "num_failures": 1, "response_times": {"100": 1}},
        ]
    )
    figures = read_locust(out)
    assert (figures.requests, figures.errors, figures.rps) == (4, 1, 2)
    assert (figures.p50_ms, figures.p99_ms) == (5, 100)
    assert figures.particulars == {"GET /a": 1}


def test_locust_without_any_request_has_no_figures() -> None:
    figures = read_locust("[]")
    assert (figures.requests, figures.p95_ms, figures.rps) == (0, None, 0)


@pytest.mark.parametrize("read", [read_hey, read_wrk, read_locust])
def test_what_is_no_report_is_unreadable(read) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Unreadable):
        read("command not found")


@given(st.lists(st.integers(0, 500), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_so_many_stay_within(values: list[int], share: float) -> None:
    found = percentile({float(value): count for value, count in Counter(values).items()}, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
