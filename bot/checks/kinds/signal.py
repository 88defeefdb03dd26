"""What a watch looks at: numbers that Prometheus can be asked for back in time, and lists of findings."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from bot.checks.calls import CallParams, call, expression_problem, extract, parsed, place
from bot.checks.cvss import SEVERITIES
from bot.checks.kind import Context, Duration, Kind, NoData
from bot.checks.prometheus_api import Prometheus, by_time, reduced
from bot.checks.source import Login
from bot.domain.check import Observation, Rules
from bot.domain.rules import show
from bot.domain.signals import Measured

#: Stand in queries for the window of one sample, and for the version that is looked at.
INTERVAL, VERSION = "$interval", "$version"
#: What stands in a regular expression for itself.
_PLAIN = re.compile(r"[^\w-]")
#: What a query says of versions before the deploy, and once it is rolled back.
ANY_VERSION = ".*"


def exactly(version: str) -> str:
    """A regular expression for this version alone, fit for a PromQL string.

    Each special character stands in a class of its own: a backslash would be PromQL's own escape.
    """
    return _PLAIN.sub(lambda found: "." if found[0] in "^\\]\"'`" else f"[{found[0]}]", version)


class PrometheusParams(Login):
    """A number, and the requests it rests on."""

    url: str = Field(description="Base URL of Prometheus, or of what speaks its API.")
    query: str = Field(
        min_length=1,
        description="PromQL for the value of one sample. $interval stands for its window; $version, in a "
        'matcher like version=~"$version", for what was deployed, and before the deploy for any version.',
    )
    count: str = Field(
        "", description="PromQL for the requests in the window; without requests there is no sample."
    )
    least: float = Field(1.0, ge=0, description="Fewest requests in the window to make a sample of.")
    window: Duration = Field(60.0, gt=0, description="Window of one sample; the watch sets it.")

    def filled(self, query: str, version: str) -> str:
        """The query as it is sent."""
        return query.replace(INTERVAL, f"{max(round(self.window), 1)}s").replace(VERSION, version)


class PrometheusSignal(Kind[PrometheusParams]):
    """A number now, or at many instants of the past."""

    name = "signal.prometheus"
    about = "A number from Prometheus with the requests it rests on, now or back in time: for watches."
    params = PrometheusParams
    values: ClassVar[Mapping[str, str]] = {
        "value": "what the query gives, in its own unit",
        "count": "requests in the window",
    }
    indirect = True

    def problem(self, params: PrometheusParams) -> str | None:
        """A range that does not follow the window would compare spans of different lengths."""
        if INTERVAL not in params.query and re.search(r"\[\s*\d", params.query):
            return f"the query has a fixed range: write [{INTERVAL}], the watch chooses its length"
        return None

    async def observe(self, params: PrometheusParams, context: Context) -> Observation:
        """The value now. Raises NoData without series, samples or traffic, Broken for a bad query."""
        prometheus = Prometheus(context, params.url, params)
        version = exactly(context.version) or ANY_VERSION
        query, count = params.filled(params.query, version), None
        if params.count:
            found, counted = await asyncio.gather(
                prometheus.query(query), prometheus.query(params.filled(params.count, version))
            )
            count = reduced(counted, "only", what="count") if counted else 0.0
            if math.isnan(count) or count < params.least:
                raise NoData(f"{show(count)} requests, too few to judge by")
        else:
            # Requests in the window prove that samples still come; without them that is to be asked.
            found, age = await asyncio.gather(prometheus.query(query), prometheus.age(query))
            if found and (age is None or age > max(params.window * 2, 30.0)):
                raise NoData(f"its samples stopped coming {f'{age:.0f} s ago' if age else 'a while ago'}")
        value = reduced(found, "only", what="the query")
        if math.isnan(value):
            raise NoData("the query gives NaN")
        values: dict[str, Any] = {"value": value}
        if count is not None:
            values["count"] = round(count)
        said = f", {round(count)} requests" if count is not None else ""
        return Observation(values=values, target=params.url, summary=f"{show(value)}{said}", excerpt=query)

    async def history(
        self, params: PrometheusParams, context: Context, *, start: float, end: float, version: str
    ) -> Sequence[Measured]:
        """The samples of a past span, one a window, oldest first. Raises NoData, Broken, TargetDown.

        `start` and `end` are seconds since 1970; `version` is a regular expression.
        """
        prometheus = Prometheus(context, params.url, params)
        step = params.window
        steps = int((end - start) // step)
        times = [round(end - step * back, 3) for back in range(steps, -1, -1)]
        span = {"start": times[0], "end": times[-1], "step": step}
        asked = [prometheus.query_range(params.filled(params.query, version), **span)]
        if params.count:
            asked.append(prometheus.query_range(params.filled(params.count, version), **span))
        answers = await asyncio.gather(*asked)
        found = by_time(answers[0], "only", what="the query")
        counts = by_time(answers[1], "only", what="count") if params.count else None
        return [_sample(when, found, counts, params.least) for when in times]


def _sample(
    when: float, found: Mapping[float, float], counts: Mapping[float, float] | None, least: float
) -> Measured:
    at = datetime.fromtimestamp(when, UTC)
    value, count = found.get(when), None if counts is None else counts.get(when, 0.0)
    if count is not None and (math.isnan(count) or count < least):
        return Measured(at=at, value=None, count=0, said="too few requests to judge by")
    if value is None or math.isnan(value):
        return Measured(at=at, value=None, said="no data")
    return Measured(at=at, value=value, count=None if count is None else round(count))


class FindingsParams(CallParams):
    """Where findings are listed, and which count."""

    findings_at: str = Field("findings", description="JMESPath to the list in the JSON answer.")
    id_at: str = Field("id", description="JMESPath to a finding's id.")
    severity_at: str = Field("severity", description="JMESPath to its severity.")
    fixed_at: str = Field("fixed_in", description="JMESPath to the version that fixes it; empty: no fix.")
    title_at: str = Field("package", description="JMESPath to what it is in.")
    severity: Literal["low", "medium", "high", "critical"] = Field(
        "high", description="Severity from which a finding counts."
    )


class Findings(Kind[FindingsParams]):
    """What a scanner lists: findings at or above a severity that could be fixed."""

    name = "signal.findings"
    about = "A scanner's findings at or above a severity that have a fix, from its JSON: for watches."
    params = FindingsParams
    values: ClassVar[Mapping[str, str]] = {
        "count": "findings that count",
        "ids": "their ids",
        "worst": "severity of the worst: none < unrated < low < medium < high < critical",
    }
    scales: ClassVar[Mapping[str, Sequence[str]]] = {"worst": SEVERITIES}
    indirect = True

    def defaults(self, params: FindingsParams) -> Rules:
        """None that counts."""
        return Rules(must={"count": 0})

    def problem(self, params: FindingsParams) -> str | None:
        """Expressions that are none."""
        for name in ("findings_at", "id_at", "severity_at", "fixed_at", "title_at"):
            if wrong := expression_problem(name, getattr(params, name)):
                return wrong
        return params.call_problem()

    async def observe(self, params: FindingsParams, context: Context) -> Observation:
        """Read the list. Raises NoData where the answer is none."""
        answer = await call(params, context, max_bytes=8_000_000)
        if answer.status != 200:
            raise NoData(f"the list of findings answers with {answer.status}")
        try:
            listed = extract(params.findings_at, parsed(answer))
        except json.JSONDecodeError as error:
            raise NoData("the list of findings is no JSON") from error
        if not isinstance(listed, list):
            raise NoData(f"there is no list at “{params.findings_at}”")
        floor = SEVERITIES.index(params.severity)
        counted: dict[str, tuple[str, str]] = {}
        for one in listed:
            id_, severity = extract(params.id_at, one), str(extract(params.severity_at, one) or "").casefold()
            fixed = extract(params.fixed_at, one)
            if not id_:
                raise NoData(f"a finding has no id at “{params.id_at}”")
            rated = SEVERITIES.index(severity if severity in SEVERITIES else "unrated")
            if rated >= floor and fixed:
                title = extract(params.title_at, one)
                counted[str(id_)] = (
                    severity,
                    f"{id_} ({severity or 'unrated'}) in {title}, fixed in {fixed}",
                )
        rows = [line for _, line in counted.values()]
        rated_ = [severity for severity, _ in counted.values() if severity in SEVERITIES]
        return Observation(
            values={
                "count": len(counted),
                "ids": sorted(counted),
                "worst": max(rated_, key=SEVERITIES.index, default="none"),
            },
            target=place(params.url),
            summary=f"{len(counted)} findings that count, of {len(listed)}",
            excerpt="\n".join(rows[:40]),
        )


KINDS = (PrometheusSignal(), Findings())
