"""Web vitals of one page visit, computed from what the browser reported. Pure.

Time to Interactive and Total Blocking Time follow Lighthouse's definitions (web.dev/articles/tti, /tbt): a
page is interactive after the last long task before a window of five quiet seconds, quiet being no task over
50 ms and at most two requests under way; blocking is what tasks take beyond 50 ms between the first
contentful paint and then. Cumulative Layout Shift is the largest session window (web.dev/articles/cls).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: A task longer than this blocks, in ms.
LONG_TASK = 50.0
#: Length of the quiet window, in ms, and requests that may be under way in it.
QUIET, QUIET_REQUESTS = 5000.0, 2
#: Session windows of layout shifts: longest gap and longest window, in ms.
SHIFT_GAP, SHIFT_WINDOW = 1000.0, 5000.0

#: value name → (shown as, unit)
METRICS = {
    "ttfb_ms": "TTFB",
    "fcp_ms": "FCP",
    "lcp_ms": "LCP",
    "tti_ms": "TTI",
    "tbt_ms": "TBT",
    "cls": "CLS",
}


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of time in ms since the navigation began."""

    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a browser reported of one visit; times in ms since the navigation began."""

    #: First byte of the answer.
    ttfb: float
    #: First and largest contentful paint; None where nothing was painted.
    fcp: float | None
    lcp: float | None
    dom_content_loaded: float
    #: Tasks of the main thread over 50 ms.
    long_tasks: Sequence[Span]
    #: GET requests, those still under way up to `until`.
    requests: Sequence[Span]
    #: (time, score) of layout shifts.
    shifts: Sequence[tuple[float, float]]
    #: How long it was watched.
    until: float
    #: What the largest paint was, as a selector.
    lcp_element: str = ""
    #: Where the visit ended.
    url: str = ""


def metrics_of(visit: Visit) -> dict[str, float | None]:
    """The six metrics by their value names; None for one that could not be told."""
    tti = time_to_interactive(visit)
    return {
        "ttfb_ms": visit.ttfb,
        "fcp_ms": visit.fcp,
        "lcp_ms": visit.lcp,
        "tti_ms": tti,
        "tbt_ms": None
        if visit.fcp is None
        else total_blocking_time(visit.long_tasks, visit.fcp, visit.until if tti is None else tti),
        "cls": cumulative_layout_shift(visit.shifts),
    }


def time_to_interactive(visit: Visit) -> float | None:
    """When the page had become interactive; None where no quiet window was seen."""
    if visit.fcp is None:
        return None
    busy = [*visit.long_tasks, *crowded(visit.requests)]
    start = visit.fcp
    for span in sorted(busy, key=lambda span: span.start):
        if span.end <= start:
            continue
        if span.start - start >= QUIET:
            break
        start = span.end
    if visit.until - start < QUIET:
        return None
    before = [task.end for task in visit.long_tasks if task.end <= start]
    return max(visit.fcp, visit.dom_content_loaded, *before)


def crowded(requests: Iterable[Span], *, most: int = QUIET_REQUESTS) -> list[Span]:
    """The stretches in which more than `most` requests were under way."""
    edges = sorted((time, step) for span in requests for time, step in ((span.start, 1), (span.end, -1)))
    found: list[Span] = []
    under_way, since = 0, None
    for time, step in edges:
        under_way += step
        if under_way > most and since is None:
            since = time
        elif under_way <= most and since is not None:
            found.append(Span(start=since, end=time))
            since = None
    return found


def total_blocking_time(long_tasks: Iterable[Span], start: float, end: float) -> float:
    """Milliseconds that tasks took beyond 50 ms each, between two times."""
    within = (min(task.end, end) - max(task.start, start) for task in long_tasks)
    return sum(duration - LONG_TASK for duration in within if duration > LONG_TASK)


def cumulative_layout_shift(shifts: Iterable[tuple[float, float]]) -> float:
    """The score of the worst session window."""
    worst = score = 0.0
    began = last = -math.inf
    for time, value in sorted(shifts):
        if time - last > SHIFT_GAP or time - began > SHIFT_WINDOW:
            began, score = time, 0.0
        last, score = time, score + value
        worst = max(worst, score)
    return worst


def medians(runs: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """The median of each metric; one that could not be told in half of the runs is left out."""
    found = {}
    for name in METRICS:
        middle = statistics.median(math.inf if (value := run.get(name)) is None else value for run in runs)
        if math.isfinite(middle):
            found[name] = round(middle, 4 if name == "cls" else 1)
    return found


def in_words(metrics: Mapping[str, float | None]) -> str:
    """Metrics as people read them."""
    said = []
    for name, short in METRICS.items():
        value = metrics.get(name)
        if value is None:
            said.append(f"{short} not told")
        elif name == "cls":
            said.append(f"{short} {value:.3f}")
        else:
            said.append(f"{short} {value:.0f} ms" if value < 1000 else f"{short} {value / 1000:.2f} s")
    return ", ".join(said)
