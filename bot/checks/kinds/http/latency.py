"""How fast routes answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from bot.checks.calls import Credentials, place
from bot.checks.kind import Context, Kind, TargetDown
from bot.domain.check import Observation, Rules


class LatencyParams(Credentials):
    """What is timed."""

    url: str = Field(min_length=1, description="Route to time.")
    urls: list[str] = Field(default_factory=list, description="More routes; the slowest one decides.")
    requests: int = Field(20, ge=5, le=500, description="Timed requests to each route, one after another.")
    fresh: bool = Field(False, description="Time a new connection with each request.")
    statuses: list[int] = Field(
        default_factory=list, description="Statuses that are no error; without them, 200 to 299."
    )


class Latency(Kind[LatencyParams]):
    """Timed requests, one after another, after one to warm up that does not count."""

    name = "http.latency"
    about = "Times requests to one or more routes; the slowest route's percentiles count."
    params = LatencyParams
    values: ClassVar[Mapping[str, str]] = {
        "p50_ms": "median of the slowest route, in milliseconds",
        "p95_ms": "95th percentile of the slowest route, in milliseconds",
        "max_ms": "slowest answer of all, in milliseconds",
        "errors": "requests with no answer, or with a status that is an error",
        "requests": "requests timed",
    }
    timeout = 60.0

    def defaults(self, params: LatencyParams) -> Rules:
        """Catalogue M1, R2: 300 and 500 ms. Quick errors must not make a route fast, so none may occur."""
        return Rules(fail={"p95_ms": "> 500", "errors": "> 0"}, warn={"p95_ms": "> 300"})

    def problem(self, params: LatencyParams) -> str | None:
        """Credentials that exclude each other."""
        return params.credentials_problem()

    async def observe(self, params: LatencyParams, context: Context) -> Observation:
        """Time them. Raises TargetDown where a route gives no good answer at all."""
        rows: list[str] = []
        slowest: tuple[float, float, float] = (-1.0, -1.0, -1.0)
        longest, errors, count = 0.0, 0, 0
        urls = list(dict.fromkeys([params.url, *params.urls]))
        for url in urls:
            times, troubles = await self._time(url, params, context)
            errors += len(troubles)
            count += params.requests
            if not times:
                raise TargetDown(f"no good answer from {place(url)}: {troubles[-1]}")
            p50, p95 = percentile(times, 50), percentile(times, 95)
            slowest = max(slowest, (p95, p50, max(times)))
            longest = max(longest, *times)
            rows.append(
                f"p50 {p50:7.1f}  p95 {p95:7.1f}  max {max(times):7.1f} ms"
                f"  {len(troubles)} errors  {place(url)}"
            )
            rows += [f"    {trouble}" for trouble in dict.fromkeys(troubles)][:3]
        p95, p50, _ = slowest
        values = {
            "p50_ms": round(p50, 1),
            "p95_ms": round(p95, 1),
            "max_ms": round(longest, 1),
            "errors": errors,
            "requests": count,
        }
        return Observation(
            target=place(params.url) + (f" and {len(urls) - 1} more" if len(urls) > 1 else ""),
            values=values,
            summary=f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, max {longest:.0f} ms, {errors} errors in {count}",
            excerpt="\n".join(rows),
        )

    @staticmethod
    async def _time(url: str, params: LatencyParams, context: Context) -> tuple[list[float], list[str]]:
        times: list[float] = []
        troubles: list[str] = []
        for number in range(params.requests + 1):
            try:
                answer = await context.web.request(
                    "GET", url, headers=params.sent_headers(), fresh=params.fresh, timeout=10.0
                )
            except TargetDown as down:
                if number:
                    troubles.append(str(down))
                continue
            if number == 0:
                continue  # it pays for the connection and cold caches
            if answer.status in params.statuses or (not params.statuses and 200 <= answer.status < 300):
                times.append(answer.ms)
            else:
                troubles.append(f"answers {answer.status}")
        return times, troubles


def percentile(times: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a time that was really measured."""
    ordered = sorted(times)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
