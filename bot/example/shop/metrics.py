"""Metrics in Prometheus' text format: a counter, a histogram, a few gauges."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

#: Upper bounds of the histogram in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """What is counted since the process began."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: Counter[tuple[str, float]] = Counter()
        self._sums: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._began = time.time()

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request."""
        self._requests[method, route, status] += 1
        self._counts[route] += 1
        self._sums[route] += seconds  # type: ignore[assignment]  # a Counter adds any numbers
        for bound in BUCKETS:
            if seconds <= bound:
                self._buckets[route, bound] += 1

    def text(self, gauges: Mapping[str, float]) -> str:
        """Everything, with gauges besides."""
        lines = ["# HELP http_requests_total Requests answered.", "# TYPE http_requests_total counter"]
        lines += [
            f'http_requests_total{{method="{method}",route="{route}",code="{status}"}} {count}'
            for (method, route, status), count in sorted(self._requests.items())
        ]
        name = "http_request_duration_seconds"
        lines += [f"# HELP {name} Time to answer.", f"# TYPE {name} histogram"]
        for route, count in sorted(self._counts.items()):
            lines += [
                f'{name}_bucket{{route="{route}",le="{bound}"}} {self._buckets[route, bound]}'
                for bound in BUCKETS
            ]
            lines += [
                f'{name}_bucket{{route="{route}",le="+Inf"}} {count}',
                f'{name}_sum{{route="{route}"}} {self._sums[route]:.6f}',
                f'{name}_count{{route="{route}"}} {count}',
            ]
        times = os.times()
        every = {
            "process_start_time_seconds": self._began,
            "process_resident_memory_bytes": _memory(),
            **gauges,
        }
        lines += ["# TYPE process_cpu_seconds_total counter"]
        lines += [f"process_cpu_seconds_total {times.user + times.system:.2f}"]
        for name, value in every.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value:g}" if value < 1e6 else f"{name} {value:.3f}"]
        return "\n".join(lines) + "\n"


def _memory() -> float:
    """Resident bytes; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
