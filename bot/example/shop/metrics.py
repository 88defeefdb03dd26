"""Metrics in Prometheus' text format: a counter, a histogram, a few gauges."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

#: Upper bounds of the histogram in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0)


class Metrics:
    """What is counted since the process began."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str, int]] = Counter()
        self._buckets: Counter[tuple[str, str, float]] = Counter()
        self._sums: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._began = time.time()

    def count(self, version: str, method: str, route: str, status: int, seconds: float) -> None:
        """One request that a version answered."""
        self._requests[version, method, route, status] += 1
        # There from the first request on: of a series that begins with an error, that error is never seen.
        self._requests.setdefault((version, method, route, 500), 0)
        self._counts[version, route] += 1
        self._sums[version, route] += seconds  # type: ignore[assignment]  # a Counter adds any numbers
        for bound in BUCKETS:
            if seconds <= bound:
                self._buckets[version, route, bound] += 1

    def text(self, gauges: Mapping[str, float]) -> str:
        """Everything, with gauges besides."""
        lines = ["# HELP http_requests_total Requests answered.", "# TYPE http_requests_total counter"]
        # Clients of Prometheus call it code or status; what asks for either finds it.
        lines += [
            f'http_requests_total{{version="{version}",method="{method}",route="{route}",'
            f'code="{status}",status="{status}"}} {count}'
            for (version, method, route, status), count in sorted(self._requests.items())
        ]
        name = "http_request_duration_seconds"
        lines += [f"# HELP {name} Time to answer.", f"# TYPE {name} histogram"]
        for (version, route), count in sorted(self._counts.items()):
            labels = f'version="{version}",route="{route}"'
            lines += [
                f'{name}_bucket{{{labels},le="{bound}"}} {self._buckets[version, route, bound]}'
                for bound in BUCKETS
            ]
            lines += [
                f'{name}_bucket{{{labels},le="+Inf"}} {count}',
                f"{name}_sum{{{labels}}} {self._sums[version, route]:.6f}",
                f"{name}_count{{{labels}}} {count}",
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
