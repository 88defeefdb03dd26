"""What Prometheus knows about the target: a value, fresh samples, live targets, rules that work."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bot.checks.kind import Context, Duration, Kind, NoData
from bot.checks.prometheus_api import LOOKBACK_S, Prometheus, Reduce, instant, reduced, scrape_interval
from bot.checks.prometheus_watch import Guard, Watch, baseline_ends_at, sparkline, watched, weigh
from bot.checks.promql import is_selector, quoted
from bot.checks.source import Login
from bot.domain.check import Observation, Rules
from bot.domain.rules import show

_URL = Field(description="Base URL of Prometheus, or of what speaks its API.")
_REDUCE = Field(description="What is made of several series: max, min, avg, sum; only = refuse them.")
_GUARD = Field("", description="PromQL for the traffic the value rests on; too little of it is unknown.")
_GUARD_MIN = Field(None, description="Least guard value to judge by; unset: anything above 0.")
_EMPTY_IS = Field(None, description="Value where the query finds no series; needs a guard.")


def _problem_with_empty(empty_is: float | None, guard: str, guard_min: float | None) -> str | None:
    if empty_is is not None and not guard:
        return "empty_is needs a guard: without one, no traffic and a misspelt metric would look like a value"
    if guard_min is not None and not guard:
        return "guard_min needs a guard"
    return None


def _none_or(names: list[str]) -> str:
    """For rules that demand `none`, with the names as the reason."""
    return ", ".join(names) or "none"


class ValueParams(Login):
    """A number to judge."""

    url: str = _URL
    query: str = Field(min_length=1, description="PromQL for the value.")
    reduce: Annotated[Reduce, _REDUCE] = "only"
    guard: str = _GUARD
    guard_min: float | None = _GUARD_MIN
    empty_is: float | None = _EMPTY_IS
    max_age: Duration = Field(LOOKBACK_S, gt=0, description="Oldest sample the value may rest on.")


class Value(Kind[ValueParams]):
    """The value of a PromQL query: no default rules, since only the query says what it means."""

    name = "prometheus"
    about = "The value of a PromQL query, guarded against no traffic and samples that stopped coming."
    params = ValueParams
    values: ClassVar[Mapping[str, str]] = {
        "value": "what the query gives, in its own unit",
        "guard": "what the guard gives, in its own unit",
        "age_s": "seconds since the newest sample it rests on",
    }
    indirect = True

    def problem(self, params: ValueParams) -> str | None:
        """`empty_is` without proof of traffic."""
        return _problem_with_empty(params.empty_is, params.guard, params.guard_min)

    async def observe(self, params: ValueParams, context: Context) -> Observation:
        """Guard, value and age. Raises NoData where there is nothing to judge by, Broken for a bad query."""
        prometheus = Prometheus(context, params.url, params)
        guard = Guard(query=params.guard, least=params.guard_min)
        traffic = await guard.check(prometheus)
        found = await prometheus.query(params.query)
        age = await prometheus.age(params.query, back=max(params.max_age, LOOKBACK_S))
        if not found and params.empty_is is not None:
            value, age = params.empty_is, await prometheus.age(params.guard)
        else:
            value = reduced(found, params.reduce, what="the query")
        if age is None or age > params.max_age:
            last = "none in the look-back time" if age is None else f"{age:.0f} s ago"
            raise NoData(f"the value is {show(value)}, but its samples stopped coming: newest {last}")
        values: dict[str, Any] = {"value": value, "age_s": round(age, 1)}
        if traffic is not None:
            values["guard"] = traffic
        said = f", guard {show(traffic)}" if traffic is not None else ""
        rows = sorted(found, key=lambda series: series.value, reverse=True)[:10]
        return Observation(
            values=values,
            target=params.url,
            summary=f"{show(value)}{said}, newest sample {age:.0f} s old",
            excerpt="\n".join([params.query, *(f"{show(row.value):>10}  {row.title}" for row in rows)]),
        )


class FreshParams(Login):
    """Series that must keep coming."""

    url: str = _URL
    selectors: list[str] = Field(min_length=1, description="Vector selectors that must have fresh samples.")
    interval: Duration | None = Field(None, gt=0, description="Scrape interval; unset: as Prometheus says.")


class Fresh(Kind[FreshParams]):
    """Whether samples still come: series exist, and the newest is at most two scrape intervals old."""

    name = "prometheus.fresh"
    about = "Series exist and their newest sample is at most two scrape intervals old."
    params = FreshParams
    values: ClassVar[Mapping[str, str]] = {
        "missing": "selectors without a series, or none",
        "series": "series found, over all selectors",
        "age_s": "seconds since the newest sample of the selector furthest behind",
        "age_intervals": "the same in scrape intervals",
    }
    indirect = True

    def defaults(self, params: FreshParams) -> Rules:
        """Catalogue C6, F1, U2: no series, or newest sample more than two intervals old."""
        return Rules(must={"missing": "none"}, fail={"age_intervals": "> 2"})

    def problem(self, params: FreshParams) -> str | None:
        """An expression is as old as its evaluation, so it would always be fresh."""
        for text in params.selectors:
            if not is_selector(text):
                return f"'{text}' is no plain selector like up{{job='shop'}}; an expression is never old"
        return None

    async def observe(self, params: FreshParams, context: Context) -> Observation:
        """Count and age of each selector's series."""
        prometheus = Prometheus(context, params.url, params)
        looks = await asyncio.gather(*(self._look(prometheus, text, params) for text in params.selectors))
        present = [look for look in looks if look[1]]
        missing = [look[0] for look in looks if not look[1]]
        age = max((look[2] for look in present), default=None)
        intervals = max((look[2] / look[3] for look in present), default=None)
        rows = [
            f"{text}: {count} series, newest {age_s:.1f} s old, scraped every {every:g} s"
            for text, count, age_s, every in present
        ]
        for text in missing:
            last = await prometheus.newest(text, back=3600)
            rows.append(f"{text}: no series" + (f", the last {last:.0f} s ago" if last is not None else ""))
        newest = f", newest sample {age:.1f} s old" if age is not None else ""
        return Observation(
            values={
                "missing": _none_or(missing),
                "series": sum(look[1] for look in looks),
                "age_s": age,
                "age_intervals": None if intervals is None else round(intervals, 2),
            },
            target=params.url,
            summary=f"{len(present)} of {len(looks)} selectors have series{newest}",
            excerpt="\n".join(rows),
        )

    @staticmethod
    async def _look(prometheus: Prometheus, text: str, params: FreshParams) -> tuple[str, int, float, float]:
        """The selector, how many series, seconds since the newest sample, scrape interval."""
        found = await prometheus.query(f"count({text})")
        age = await prometheus.newest(text)
        if not found or age is None:
            return text, 0, 0.0, 1.0
        return text, int(found[0].value), age, params.interval or await scrape_interval(prometheus, text)


class TargetsParams(Login):
    """A job and what it must expose."""

    url: str = _URL
    job: str = Field(description="Job whose targets must be up.")
    metrics: list[str] = Field(
        default=[], description="Metric names it must expose, e.g. a latency histogram."
    )


class Targets(Kind[TargetsParams]):
    """Whether a job is scraped with success and exposes what it should."""

    name = "prometheus.targets"
    about = "Every target of a job is up and the job exposes the named metrics."
    params = TargetsParams
    values: ClassVar[Mapping[str, str]] = {
        "targets": "targets of the job",
        "down": "targets whose last scrape failed, or none",
        "missing": "metric names without a series of this job, or none",
        "scrape_age_s": "seconds since the scrape furthest back",
    }
    indirect = True

    def defaults(self, params: TargetsParams) -> Rules:
        """Catalogue E4: target down, or no latency histogram."""
        return Rules(must={"down": "none", "missing": "none"}, fail={"targets": "< 1"})

    async def observe(self, params: TargetsParams, context: Context) -> Observation:
        """Health of the targets. Raises NoData for one that was not scraped yet."""
        prometheus = Prometheus(context, params.url, params)
        targets = [
            target
            for target in await prometheus.targets()
            if target.get("labels", {}).get("job") == params.job
        ]
        down = [target for target in targets if target.get("health") == "down"]
        waiting = [target for target in targets if target.get("health") not in ("up", "down")]
        if waiting and not down:
            raise NoData(f"{_instance(waiting[0])} of job {params.job} was not scraped yet")
        counts = await asyncio.gather(
            *(
                prometheus.query(f"count({{__name__={quoted(name)}, job={quoted(params.job)}}})")
                for name in params.metrics
            )
        )
        missing = [name for name, count in zip(params.metrics, counts, strict=True) if not count]
        now = context.now()
        ages = [(now - instant(target["lastScrape"])).total_seconds() for target in targets]
        rows = [
            f"{target.get('health', ''):<5} {_instance(target)}  {target.get('lastError', '')}"
            for target in [*down, *(target for target in targets if target not in down)][:20]
        ]
        up = len(targets) - len(down) - len(waiting)
        return Observation(
            values={
                "targets": len(targets),
                "down": _none_or([_instance(target) for target in down]),
                "missing": _none_or(missing),
                "scrape_age_s": round(max(ages), 1) if ages else None,
            },
            target=f"{params.url} job {params.job}",
            summary=f"{up} of {len(targets)} targets up"
            + (f", missing {', '.join(missing)}" if missing else ""),
            excerpt="\n".join(rows),
        )


def _instance(target: Mapping[str, Any]) -> str:
    return str(target.get("labels", {}).get("instance") or target.get("scrapeUrl", ""))


class RulesParams(Login):
    """Rules that must be there."""

    url: str = _URL
    names: list[str] = Field(default=[], description="Alerting or recording rules that must exist and work.")
    up: str = Field("", description="Selector that must be 1 for every series, e.g. pg_up.")


class RulesThere(Kind[RulesParams]):
    """Whether alerting and recording rules are loaded and evaluate without errors."""

    name = "prometheus.rules"
    about = "The named alerting and recording rules exist and evaluate without errors."
    params = RulesParams
    values: ClassVar[Mapping[str, str]] = {
        "missing": "required rules that are not loaded, or none",
        "unhealthy": "required rules whose evaluation fails, or none",
        "rules": "rules loaded in all",
        "firing": "required alerts that fire now, or none",
        "up": "lowest value among the series of `up`; absent where there is none",
    }
    indirect = True

    def defaults(self, params: RulesParams) -> Rules:
        """Catalogue C5, F4: `pg_up` is not 1, a rule is absent or its health is not ok."""
        named = {"missing": "none", "unhealthy": "none"} if params.names else {}
        return Rules(must={**named, **({"up": 1} if params.up else {})})

    def problem(self, params: RulesParams) -> str | None:
        """Nothing to look for."""
        return (
            None if params.names or params.up else "name at least one rule under names, or a metric under up"
        )

    async def observe(self, params: RulesParams, context: Context) -> Observation:
        """Look the rules up. Raises NoData for one that was not evaluated yet."""
        prometheus = Prometheus(context, params.url, params)
        loaded = await prometheus.rules() if params.names else []
        named = {name: [rule for rule in loaded if rule.get("name") == name] for name in params.names}
        missing = [name for name, rules in named.items() if not rules]
        bad = {
            name: rule
            for name, rules in named.items()
            for rule in rules
            if rule.get("health") not in ("ok", "unknown")
        }
        unseen = [
            name for name, rules in named.items() if any(rule.get("health") == "unknown" for rule in rules)
        ]
        if unseen and not missing and not bad:
            raise NoData(f"{', '.join(unseen)} was not evaluated yet")
        firing = [
            name for name, rules in named.items() if any(rule.get("state") == "firing" for rule in rules)
        ]
        values: dict[str, Any] = {
            "missing": _none_or(missing),
            "unhealthy": _none_or(list(bad)),
            "rules": len(loaded),
            "firing": _none_or(firing),
        }
        said = [f"{len(named) - len(missing)} of {len(named)} rules loaded"] if named else []
        if params.up:
            found = await prometheus.query(f"min({params.up})")
            values["up"] = found[0].value if found and not math.isnan(found[0].value) else None
            said.append(f"{params.up} is {show(values['up'])}")
        if bad:
            said.append(f"{len(bad)} failing")
        rows = [f"missing    {name}" for name in missing]
        rows += [f"failing    {name}: {rule.get('lastError', '')}" for name, rule in bad.items()]
        rows += [
            f"{rule.get('type', ''):<10} {name} {rule.get('state', '')}".rstrip()
            for name, rules in named.items()
            if name not in bad
            for rule in rules[:1]
        ]
        return Observation(values=values, target=params.url, summary=", ".join(said), excerpt="\n".join(rows))


class WatchParams(Login):
    """A number followed over a window, and what it was before the deployment."""

    url: str = _URL
    query: str = Field(min_length=1, description="PromQL for the value.")
    reduce: Annotated[Reduce, _REDUCE] = "only"
    guard: str = _GUARD
    guard_min: float | None = _GUARD_MIN
    empty_is: float | None = _EMPTY_IS
    window: Duration = Field(900, ge=1, description="How long it is watched, up to now.")
    looks: int = Field(3, ge=1, le=500, description="Looks in the window.")
    confirm: int = Field(2, ge=1, description="The value is the one that so many samples reach or pass.")
    worse: str = Field(
        "higher", pattern="^(higher|lower)$", description="Which way is worse: higher or lower."
    )
    offset: Duration | None = Field(
        None, gt=0, description="The baseline ends so long ago; unset: when the deployment began."
    )
    floor: float = Field(0, ge=0, description="Smallest baseline that ratios are computed with.")


class Watching(Kind[WatchParams]):
    """A value over a window, confirmed by several samples, and against its baseline before the deployment."""

    name = "prometheus.watch"
    about = "A PromQL value over a window after the deployment, against its baseline before it."
    params = WatchParams
    values: ClassVar[Mapping[str, str]] = {
        "value": "the value that `confirm` of the samples reach or pass, in the query's unit",
        "latest": "the newest sample",
        "baseline": "median of as many samples before the deployment",
        "ratio": "value / baseline",
        "samples": "samples that could be judged",
    }
    indirect = True

    def problem(self, params: WatchParams) -> str | None:
        """`empty_is` without proof of traffic, or more confirmations than samples."""
        if params.confirm > params.looks:
            return f"confirm is {params.confirm}, but there are only {params.looks} looks"
        if params.window / params.looks < 1:
            return f"{params.looks} looks in {params.window:g} s are closer than a second"
        return _problem_with_empty(params.empty_is, params.guard, params.guard_min)

    async def observe(self, params: WatchParams, context: Context) -> Observation:
        """Samples of the window and of the baseline. Raises NoData where too few can be judged."""
        prometheus = Prometheus(context, params.url, params)
        now = context.now().timestamp()
        began = context.started_at.timestamp() if context.started_at else None
        if began is not None and now - began < params.window:
            raise NoData(
                f"the deployment began {now - began:.0f} s ago; {params.window:.0f} s have to be watched"
            )
        watch = Watch(
            query=params.query,
            reduce=params.reduce,
            guard=Guard(query=params.guard, least=params.guard_min),
            empty_is=params.empty_is,
            samples=params.looks,
            step=params.window / params.looks,
        )
        after = await watched(prometheus, watch, end=now)
        if await prometheus.age(params.query) is None and params.empty_is is None:
            raise NoData("its samples stopped coming, or nothing matches")
        end = baseline_ends_at(now, began, params.offset)
        before = [] if end is None else await watched(prometheus, watch, end=end)
        values = weigh(after, before, confirm=params.confirm, worse=params.worse, floor=params.floor)
        said = f"{show(values['value'])} in {values['samples']} samples over {params.window / 60:g} min"
        said += f", before {show(values['baseline'])}" if "baseline" in values else ""
        rows = [params.query, f"now     {_drawn(after)}"]
        if "baseline" in values:
            rows.append(f"before  {_drawn(before)}")
        else:
            rows.append(
                "before  no baseline: " + ("no samples then" if end else "no deployment and no offset")
            )
        return Observation(values=values, target=params.url, summary=said, excerpt="\n".join(rows))


def _drawn(points: Sequence[float | None]) -> str:
    """Bars, and the newest numbers."""
    return f"{sparkline(points)}  {' '.join('–' if one is None else show(one) for one in points[-12:])}"


KINDS = (Value(), Fresh(), Targets(), RulesThere(), Watching())
