"""Prometheus' HTTP API (`/api/v1`), as far as checks ask it; also spoken by Thanos, Mimir, VictoriaMetrics.

What this must not do is take an answer without data for a good one: an empty vector, NaN, a result made of
some of the data only, or numbers whose samples have stopped coming are no data.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, Literal
from urllib.parse import urlencode

from bot.checks.kind import Broken, Context, NoData
from bot.checks.promql import selectors
from bot.checks.source import Login, Source

Reduce = Literal["only", "max", "min", "avg", "sum"]

#: Prometheus' default look-back: an older sample is not seen by an instant selector.
LOOKBACK_S = 300.0
#: Longest query sent in a URL.
IN_URL = 1500


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of a result."""

    labels: Mapping[str, str]
    #: Time stamp and value of each point; an instant result has one.
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The newest value."""
        return self.points[-1][1]

    @property
    def title(self) -> str:
        """As people write it."""
        inner = ", ".join(f'{key}="{text}"' for key, text in self.labels.items() if key != "__name__")
        return f"{self.labels.get('__name__', '')}{{{inner}}}"


class Prometheus:
    """One server."""

    def __init__(self, context: Context, url: str, login: Login) -> None:
        self._source = Source(context.web, "Prometheus", url, headers=login.headers())

    async def query(self, query: str, *, at: float | None = None) -> tuple[Series, ...]:
        """An instant query. Raises Broken for a query it cannot work out, NoData for a partial answer."""
        given = {"query": query} if at is None else {"query": query, "time": f"{at:.3f}"}
        return _series(await self._ask("/api/v1/query", given), query)

    async def query_range(self, query: str, *, start: float, end: float, step: float) -> tuple[Series, ...]:
        """A range query: every `step` seconds from `start` to `end`."""
        given = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return _series(await self._ask("/api/v1/query_range", given), query)

    async def targets(self) -> list[dict[str, Any]]:
        """The active targets with their health."""
        found = await self._ask("/api/v1/targets", {"state": "active"})
        return list(found.get("activeTargets") or ())

    async def rules(self) -> list[dict[str, Any]]:
        """Every alerting and recording rule with its health."""
        found = await self._ask("/api/v1/rules", {})
        return [rule for group in found.get("groups") or () for rule in group.get("rules") or ()]

    async def age(self, query: str, *, back: float = LOOKBACK_S) -> float | None:
        """Seconds since the newest sample of the selector in `query` that is furthest behind.

        Selectors without any sample in `back` seconds are left out: a counter of errors need not exist. None
        where none has one; 0 for a query that rests on no series.
        """
        wanted = selectors(query)[:8]
        if not wanted:
            return 0.0
        ages = await asyncio.gather(*(self.newest(selector, back=back) for selector in wanted))
        return max((age for age in ages if age is not None), default=None)

    async def newest(self, selector: str, *, back: float = LOOKBACK_S) -> float | None:
        """Seconds since the newest sample of a selector; None where there was none in `back` seconds."""
        stamp = f"timestamp({selector})"
        if back > LOOKBACK_S:
            stamp = f"max_over_time({stamp}[{back:.0f}s:{max(back / 120, 5):.0f}s])"
        found = await self.query(f"time() - max({stamp})")
        return max(found[0].value, 0.0) if found else None

    async def _ask(self, path: str, given: dict[str, str]) -> Any:
        if len(given.get("query", "")) > IN_URL:
            body = urlencode(given).encode()
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await self._source.send("POST", path, content=body, headers=form)
        else:
            answer = await self._source.send("GET", path, params=given)
        reply = self._source.parse(answer)
        if not isinstance(reply, dict) or reply.get("status") != "success" or "data" not in reply:
            raise NoData("the answer is not Prometheus': is this its address?")
        # Since 2.48 there are also remarks on the query here; only what is about the data makes it partial.
        partial = [text for text in reply.get("warnings") or () if not str(text).startswith("PromQL info")]
        if partial:
            raise NoData(f"Prometheus says that its answer is incomplete: {str(partial[0])[:200]}")
        return reply["data"]


def reduced(found: Sequence[Series], how: Reduce, *, what: str) -> float:
    """One number of an instant result. Raises NoData without one, Broken for several without `reduce`."""
    if not found:
        raise NoData(f"{what} gives no series: nothing matches, or nothing was recorded")
    if how == "only" and len(found) > 1:
        raise Broken(
            f"{what} gives {len(found)} series, e.g. {found[0].title}: aggregate them in the query,"
            " or set `reduce` to max, min, avg or sum"
        )
    for series in found:
        if math.isnan(series.value):
            raise NoData(f"{what} gives NaN for {series.title}: there was nothing to divide by")
    return combine([series.value for series in found], how)


def combine(values: Sequence[float], how: Reduce) -> float:
    """Several numbers as one."""
    match how:
        case "min":
            return min(values)
        case "avg":
            return fmean(values)
        case "sum":
            return math.fsum(values)
    return max(values)


def by_time(found: Sequence[Series], how: Reduce, *, what: str) -> dict[float, float]:
    """One number per time of a range result; NaN where there is one among them."""
    if how == "only" and len(found) > 1:
        reduced(found, how, what=what)
    at: dict[float, list[float]] = {}
    for series in found:
        for when, value in series.points:
            at.setdefault(round(when, 3), []).append(value)
    return {
        when: math.nan if any(map(math.isnan, values)) else combine(values, how)
        for when, values in sorted(at.items())
    }


async def scrape_interval(prometheus: Prometheus, text: str) -> float:
    """The scrape interval of a selector's jobs in seconds; as the samples show where targets are unknown."""
    jobs = {series.labels.get("job", "") for series in await prometheus.query(f"group by (job) ({text})")}
    try:
        targets = await prometheus.targets()
    except (Broken, NoData):  # Mimir and others have series without targets
        targets = []
    told = [
        _seconds(target.get("scrapeInterval", ""))
        for target in targets
        if target.get("labels", {}).get("job") in jobs
    ]
    if any(told):
        return max(told)
    counted = await prometheus.query(f"max(count_over_time({text}[5m]))")
    return 300 / max(counted[0].value, 1) if counted else 60.0


def _seconds(text: str) -> float:
    """A Prometheus duration such as `1m30s`; 0 for none."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    total, number, unit = 0.0, "", ""
    for sign in f"{text}0":
        if sign.isdigit() or sign == ".":
            if unit:
                total += float(number) * units.get(unit, 0)
                number, unit = "", ""
            number += sign
        else:
            unit += sign
    return total


def instant(text: str) -> datetime:
    """RFC 3339 with nanoseconds, which Python reads to microseconds."""
    whole, dot, rest = text.partition(".")
    digits = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    zone = rest[len(digits) :]
    return datetime.fromisoformat(f"{whole}.{digits[:6]}{zone}" if dot else text).astimezone(UTC)


def _series(data: Any, query: str) -> tuple[Series, ...]:
    shape, result = data.get("resultType"), data.get("result")
    if shape == "scalar":
        return (Series(labels={}, points=((float(result[0]), float(result[1])),)),)
    if shape not in ("vector", "matrix"):
        raise Broken(f"'{query[:80]}' gives a {shape}, not a number")
    found = []
    for one in result:
        points = one.get("values", [one["value"]] if "value" in one else [])
        if not points:
            raise Broken(f"'{query[:80]}' gives a native histogram; use histogram_quantile()")
        found.append(
            Series(labels=one["metric"], points=tuple((float(when), float(value)) for when, value in points))
        )
    return tuple(found)
