"""Load generators: what to start, and what their reports say. Pure.

Each has a way of looking fine when nothing was measured: hey ends with 0 and a rate of thousands a second
when every connection was refused, locust with 0 and an empty list when no user got to send anything, wrk
counts only what was answered. The figures here count everything that was tried.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Exit code locust is told to use for failed requests, so that others keep their meaning: 1 and up for a
#: scenario that sets one or cannot be loaded.
LOCUST_FAILURES = 97

#: Prints wrk's figures: its own report has no 95th percentile.
WRK_REPORT = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "us": %d, "p50": %.1f, "p95": %.1f, "p99": %.1f, "status": %d, "lost": %d}\\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(95), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class Unreadable(Exception):
    """A report that makes no sense; `str()` is what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a run came to."""

    #: Everything that was tried, answered or not.
    requests: int
    #: What was not answered, or answered as an error.
    errors: int
    rps: float
    #: Percentiles of the answers in ms; None where there was no answer.
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    #: What went wrong how often, as the tool words it.
    particulars: Mapping[str, int] = field(default_factory=dict)

    @property
    def error_share(self) -> float:
        """Errors among everything that was tried (0 to 1)."""
        return self.errors / self.requests if self.requests else 0.0


def locust_argv(scenario: Path, *, url: str, users: int, seconds: float) -> list[str]:
    """Locust in this interpreter's environment: it brings its own, and has no fixed path."""
    return [
        sys.executable,
        "-m",
        "locust",
        f"--locustfile={scenario}",
        "--headless",
        "--json",
        f"--host={url.rstrip('/')}",
        f"--users={users}",
        f"--spawn-rate={users}",
        f"--run-time={max(round(seconds), 1)}s",
        f"--exit-code-on-error={LOCUST_FAILURES}",
        "--loglevel=ERROR",
    ]


def hey_argv(*, url: str, users: int, seconds: float) -> list[str]:
    """hey, which would follow redirects if it were not told not to."""
    return ["hey", "-z", f"{seconds:g}s", "-c", str(users), "-t", "20", "-disable-redirects", url]


def wrk_argv(script: Path, *, url: str, users: int, seconds: float) -> list[str]:
    """wrk with one thread: one core makes tens of thousands of requests a second, the other is the bot's."""
    duration = f"{max(round(seconds), 1)}s"
    return ["wrk", "-t1", f"-c{users}", f"-d{duration}", "--timeout=20s", f"--script={script}", url]


def read_locust(out: str) -> Figures:
    """The figures of `locust --json`. Raises Unreadable."""
    try:
        entries = json.loads(out[out.index("[") :])
    except ValueError:
        raise Unreadable("locust printed no JSON") from None
    times: Counter[float] = Counter()
    requests = errors = 0
    began, ended = [], []
    particulars: dict[str, int] = {}
    for entry in entries:
        requests += entry["num_requests"]
        errors += entry["num_failures"]
        times.update({float(ms): count for ms, count in entry["response_times"].items()})
        if entry["num_requests"]:
            began.append(entry["start_time"])
            ended.append(entry["last_request_timestamp"])
        if entry["num_failures"]:
            particulars[f"{entry['method']} {entry['name']}"] = entry["num_failures"]
    span = max(ended) - min(began) if began else 0.0
    return Figures(
        requests=requests,
        errors=errors,
        rps=requests / span if span > 0 else 0.0,
        p50_ms=percentile(times, 0.50),
        p95_ms=percentile(times, 0.95),
        p99_ms=percentile(times, 0.99),
        particulars=particulars,
    )


def read_hey(out: str) -> Figures:
    """The figures of hey's summary. Raises Unreadable."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    total = re.search(r"Total:\s+([\d.]+) secs", out)
    if not rate or not total:
        raise Unreadable("hey printed no summary")
    statuses = {int(code): int(count) for code, count in re.findall(r"\[(\d{3})\]\s+(\d+) responses", out)}
    failed = out.partition("Error distribution:")[2]
    lost = [(int(count), text.strip()) for count, text in re.findall(r"\[(\d+)\]\s+(.+)", failed)]
    answered = sum(statuses.values())
    unwanted = {code: count for code, count in statuses.items() if not 200 <= code < 300}
    return Figures(
        requests=answered + sum(count for count, _ in lost),
        errors=sum(unwanted.values()) + sum(count for count, _ in lost),
        rps=answered / float(total[1]) if lost else float(rate[1]),
        **{
            f"p{share}_ms": float(found[1]) * 1000
            if (found := re.search(rf"{share}% in ([\d.]+) secs", out))
            else None
            for share in (50, 95, 99)
        },
        particulars={
            **{f"status {code}": count for code, count in unwanted.items()},
            **{text: count for count, text in lost},
        },
    )


def read_wrk(out: str) -> Figures:
    """The figures that `WRK_REPORT` prints. Raises Unreadable."""
    found = re.search(r'^\{"requests".*\}$', out, re.MULTILINE)
    if not found:
        raise Unreadable("wrk printed no figures")
    figures: dict[str, Any] = json.loads(found[0])
    answered = figures["requests"]
    return Figures(
        requests=answered + figures["lost"],
        errors=figures["status"] + figures["lost"],
        rps=answered / (figures["us"] / 1_000_000) if figures["us"] else 0.0,
        p50_ms=figures["p50"] / 1000 if answered else None,
        p95_ms=figures["p95"] / 1000 if answered else None,
        p99_ms=figures["p99"] / 1000 if answered else None,
        particulars={
            name: count
            for name, count in (("status 400 or more", figures["status"]), ("lost", figures["lost"]))
            if count
        },
    )


def percentile(times: Mapping[float, int], share: float) -> float | None:
    """The value that this share of counted values does not exceed; None where nothing was counted."""
    total = sum(times.values())
    if not total:
        return None
    passed = 0
    for value in sorted(times):
        passed += times[value]
        if passed >= share * total:
            return value
    return max(times)
