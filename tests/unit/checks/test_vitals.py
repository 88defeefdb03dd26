"""Web vitals computed from what a browser reported."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.checks.lighthouse import AUDITS, read_report
from bot.checks.vitals import (
    Span,
    Visit,
    crowded,
    cumulative_layout_shift,
    in_words,
    medians,
    metrics_of,
    time_to_interactive,
    total_blocking_time,
)

times = st.floats(0, 20_000)
spans = st.lists(
    st.builds(lambda start, length: Span(start=start, end=start + length), times, st.floats(51, 3000)),
    max_size=12,
)


def visit(**changed: object) -> Visit:
    values: dict[str, object] = {
        "ttfb": 10.0,
        "fcp": 100.0,
        "lcp": 200.0,
        "dom_content_loaded": 90.0,
        "long_tasks": (),
        "requests": (),
        "shifts": (),
        "until": 6000.0,
    }
    return Visit(**{**values, **changed})  # type: ignore[arg-type]


def test_a_quiet_page_is_interactive_at_its_first_paint() -> None:
    assert time_to_interactive(visit()) == 100


def test_a_page_is_not_interactive_before_its_document_is_loaded() -> None:
    assert time_to_interactive(visit(dom_content_loaded=700.0)) == 700


def test_a_page_is_interactive_after_its_last_long_task() -> None:
    tasks = (Span(start=300, end=500), Span(start=900, end=1200))
    assert time_to_interactive(visit(long_tasks=tasks, until=6200.0)) == 1200


def test_a_long_task_after_five_quiet_seconds_does_not_matter() -> None:
    assert time_to_interactive(visit(long_tasks=(Span(start=5200, end=5400),), until=6000.0)) == 100


def test_five_quiet_seconds_must_have_been_seen() -> None:
    assert time_to_interactive(visit(until=5000.0)) is None


def test_three_requests_at_once_put_off_the_quiet_window_but_two_do_not() -> None:
    busy = tuple(Span(start=n, end=2000) for n in (200, 300, 400))
    task = (Span(start=500, end=900),)
    assert time_to_interactive(visit(requests=busy, long_tasks=task, until=6500.0)) is None
    assert time_to_interactive(visit(requests=busy, long_tasks=task, until=7000.0)) == 900
    assert time_to_interactive(visit(requests=busy[:2], long_tasks=task, until=6000.0)) == 900


def test_without_a_paint_nothing_is_told_but_the_first_byte() -> None:
    found = metrics_of(visit(fcp=None, lcp=None))
    assert [name for name, value in found.items() if value is None] == [
        "fcp_ms",
        "lcp_ms",
        "tti_ms",
        "tbt_ms",
    ]


def test_blocking_time_is_what_goes_beyond_fifty_milliseconds_after_the_first_paint() -> None:
    tasks = [Span(start=50, end=150), Span(start=200, end=380), Span(start=400, end=460)]
    assert total_blocking_time(tasks, 100, 1000) == 130 + 10


def test_shifts_are_summed_within_a_window_and_the_worst_window_counts() -> None:
    assert cumulative_layout_shift([(0, 0.1), (500, 0.1), (2000, 0.15)]) == 0.2
    assert cumulative_layout_shift([]) == 0


def test_a_window_of_shifts_ends_after_five_seconds() -> None:
    assert cumulative_layout_shift([(900.0 * n, 0.1) for n in range(10)]) < 0.65


def test_a_metric_missing_in_half_of_the_runs_is_left_out() -> None:
    runs: list[dict[str, float | None]] = [{"tti_ms": 100.0}, {"tti_ms": None}, {"tti_ms": None}]
    assert "tti_ms" not in medians(runs)
    assert medians([*runs, {"tti_ms": 300.0}, {"tti_ms": 200.0}])["tti_ms"] == 300


def test_metrics_are_said_with_their_units() -> None:
    said = in_words({"ttfb_ms": 12.4, "lcp_ms": 2512.0, "cls": 0.05})
    assert said.startswith("TTFB 12 ms, FCP not told, LCP 2.51 s")
    assert said.endswith("CLS 0.050")


@given(tasks=spans, requests=spans, fcp=times)
def test_no_long_task_and_no_crowd_lies_in_the_quiet_window(
    tasks: list[Span], requests: list[Span], fcp: float
) -> None:
    seen = visit(long_tasks=tasks, requests=requests, fcp=fcp, dom_content_loaded=0.0, until=60_000.0)
    found = time_to_interactive(seen)
    assert found is not None
    assert found >= fcp
    assert found == fcp or found in {task.end for task in tasks}
    assert not any(task.start < found < task.end for task in tasks)


@given(spans)
def test_a_crowd_is_where_more_than_two_requests_are_under_way(requests: list[Span]) -> None:
    crowds = crowded(requests)
    for crowd in crowds:
        middle = (crowd.start + crowd.end) / 2
        assert sum(span.start <= middle <= span.end for span in requests) > 2
    assert all(one.end <= other.start for one, other in pairwise(crowds))


@given(st.lists(st.tuples(times, st.floats(0, 1))))
def test_layout_shift_is_at_least_the_worst_and_at_most_the_sum(shifts: list[tuple[float, float]]) -> None:
    found = cumulative_layout_shift(shifts)
    worst = max((score for _, score in shifts), default=0.0)
    assert worst <= found <= math.fsum(score for _, score in shifts) + 1e-9


def test_a_report_of_lighthouse_is_read_by_its_audits() -> None:
    report = {
        "lighthouseVersion": "12.8.2",
        "finalDisplayedUrl": "https://shop.example/",
        "audits": {audit: {"numericValue": n} for n, audit in enumerate(AUDITS.values())},
        "configSettings": {"formFactor": "desktop", "throttlingMethod": "simulate"},
    }
    read = read_report(report)
    assert dict(read.metrics) == {name: float(n) for n, name in enumerate(AUDITS)}
    assert read.conditions.startswith("desktop")


def test_an_audit_that_is_gone_leaves_its_metric_untold() -> None:
    assert read_report({"audits": {}}).metrics["ttfb_ms"] is None
