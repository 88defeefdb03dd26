"""What watches look at, against a real Prometheus with three hours of history and a real list of findings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from bot.checks.catalogue import Catalogue
from bot.checks.kind import Broken
from bot.checks.kinds.signal import ANY_VERSION, PrometheusSignal
from bot.checks.web import WebClient
from bot.domain.check import Evidence, Outcome
from bot.domain.monitoring import Measure, Sample
from bot.example.programs import free_port
from bot.watch.detector import replay
from tests.checking import examine, make_context
from tests.servers.prometheus import PrometheusServer, prometheus_server
from tests.servers.serving import serving

LATENCY = "1000 * max(max_over_time(latency_seconds[$interval]))"
TRAFFIC = "60 * max(max_over_time(traffic_rate[$interval]))"
SERVED = "sum(increase(http_requests_total[$interval]))"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with prometheus_server(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


async def look(server: PrometheusServer, query: str, **given: Any) -> Evidence:
    rules = {name: given.pop(name) for name in ("expect", "fail", "warn") if name in given}
    params = {"url": server.url, "query": query, "window": "10s", **given}
    return await examine("signal.prometheus", params, **(rules or {"fail": {"value": "> 1000"}}))


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ({"fail": {"value": "> 1"}}, Outcome.PASS),
        ({"fail": {"value": "> 1"}, "warn": {"value": "> 0.1"}}, Outcome.WARN),
        ({"fail": {"value": "> 0.1"}}, Outcome.FAIL),
    ],
)
async def test_a_sample_is_a_value_with_its_requests(
    prometheus: PrometheusServer, rules: Mapping[str, Any], outcome: Outcome
) -> None:
    query = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[$interval])))"
    seen = await look(prometheus, query, count=SERVED, **rules)
    assert seen.outcome is outcome, seen.reason
    assert seen.values["count"] > 100
    assert "[10s]" in seen.excerpt


@pytest.mark.parametrize(
    ("query", "count", "why"),
    [
        ("sum(no_such_metric)", "", "no series"),
        ("vector(0/0)", "", "NaN"),
        ("vector(1)", "sum(increase(idle_requests_total[$interval]))", "too few"),
        ("vector(1)", "sum(no_such_metric)", "too few"),
    ],
)
async def test_no_series_no_number_and_no_traffic_are_unknown(
    prometheus: PrometheusServer, query: str, count: str, why: str
) -> None:
    seen = await look(prometheus, query, count=count)
    assert seen.outcome is Outcome.UNKNOWN
    assert why in seen.reason


async def test_a_source_that_is_gone_is_unknown_and_a_query_that_is_none_an_error(
    prometheus: PrometheusServer,
) -> None:
    away = {"url": f"http://127.0.0.1:{free_port()}", "query": "vector(1)"}
    assert (await examine("signal.prometheus", away, fail={"value": "> 1"})).outcome is Outcome.UNKNOWN
    assert (await look(prometheus, "sum(")).outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("version", "found"),
    [("shop", 1), ("sh.p", 0), ("v1.4.2", 0), ("2.0.0-rc.1+build.7", 0), ('a"b\\c^d', 0)],
)
async def test_a_version_in_a_query_is_this_version_alone(
    prometheus: PrometheusServer, version: str, found: int
) -> None:
    query = {"query": 'count(up{job=~"$version"}) or vector(0)', "count": "vector(10)"}
    params = {"url": prometheus.url, "window": "10s", **query}
    context = make_context(version=version)
    seen = await examine("signal.prometheus", params, context=context, expect={"value": found})
    assert seen.outcome is Outcome.PASS, seen.reason


def test_a_range_of_its_own_is_refused() -> None:
    kind = PrometheusSignal()
    params = kind.params.model_validate({"url": "http://x", "query": "rate(a[5m])"})
    assert "[$interval]" in str(kind.problem(params))


async def history(server: PrometheusServer, query: str, *, count: str = "", minutes: int = 60) -> list[Any]:
    kind, context, now = PrometheusSignal(), make_context(), time.time()
    params = kind.params.model_validate({"url": server.url, "query": query, "count": count, "window": "60s"})
    try:
        return list(
            await kind.history(params, context, start=now - minutes * 60, end=now, version=ANY_VERSION)
        )
    finally:
        assert isinstance(context.web, WebClient)
        await context.web.close()


async def test_the_past_is_asked_for_a_sample_a_window(prometheus: PrometheusServer) -> None:
    past = await history(prometheus, LATENCY, count=TRAFFIC)
    assert len(past) == 61
    known = [one for one in past if one.value is not None]
    assert len(known) >= 58
    assert {one.count for one in known} == {3000}
    assert known[0].value == pytest.approx(200)
    assert known[-3].value == pytest.approx(500)


async def test_what_changed_half_an_hour_ago_is_found_in_the_past_and_what_did_not_is_not(
    prometheus: PrometheusServer,
) -> None:
    for query, alarms in ((LATENCY, True), (LATENCY.replace("latency", "steady"), False)):
        past = await history(prometheus, query, minutes=90)
        live = past[-1].at.timestamp() - 1800
        samples = [Sample(at=one.at.timestamp() - live, value=one.value, count=one.count) for one in past]
        before = [one for one in samples if one.at < -30]
        after = [one for one in samples if one.at > 90]
        assert replay(Measure.LATENCY, before, after)[-1].alarm is alarms


async def test_no_traffic_in_the_past_is_no_data(prometheus: PrometheusServer) -> None:
    past = await history(prometheus, LATENCY, count=TRAFFIC.replace("traffic", "no_traffic"))
    assert all(one.value is None for one in past[-20:])
    assert past[0].value is not None


async def test_a_query_that_is_none_is_broken_in_the_past_as_well(prometheus: PrometheusServer) -> None:
    with pytest.raises(Broken):
        await history(prometheus, "sum(")


# ── findings ─────────────────────────────────────────────────────────────────────────────────────────────


LISTED = [
    {"id": "CVE-1", "package": "left-pad", "severity": "high", "fixed_in": "1.3.1"},
    {"id": "CVE-2", "package": "right-pad", "severity": "critical", "fixed_in": ""},
    {"id": "CVE-3", "package": "up-pad", "severity": "low", "fixed_in": "2"},
    {"id": "CVE-4", "package": "down-pad", "severity": "unheard of", "fixed_in": "2"},
]


async def findings(answer: Any, *, status: int = 200, **given: Any) -> Evidence:
    async def answered(_: web.Request) -> web.Response:
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_get("/", answered)
    with serving(app) as url:
        return await examine("signal.findings", {"url": url, **given})


async def test_only_what_is_serious_and_could_be_fixed_counts() -> None:
    seen = await findings({"findings": LISTED})
    assert seen.outcome is Outcome.FAIL
    assert seen.values["ids"] == ["CVE-1"]
    assert "CVE-1 (high) in left-pad, fixed in 1.3.1" in seen.excerpt


async def test_no_finding_that_counts_passes() -> None:
    assert (await findings({"findings": LISTED[1:]})).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("answer", "status"), [({"error": "x"}, 200), ({"findings": [{"severity": "high"}]}, 200), ({}, 503)]
)
async def test_a_list_that_cannot_be_read_is_unknown_and_not_empty(answer: Any, status: int) -> None:
    assert (await findings(answer, status=status)).outcome is Outcome.UNKNOWN


# ── watch ────────────────────────────────────────────────────────────────────────────────────────────────


class Told:
    """What the bot did: looked at signals since a rollback."""

    def __init__(self, signals: Mapping[str, tuple[str, str]] | None) -> None:
        self._signals = signals

    async def find(self, what: str) -> Mapping[str, Any] | None:
        """Of the watch."""
        return {"signals": self._signals} if what == "watch" and self._signals is not None else None


@pytest.mark.parametrize(
    ("signals", "outcome"),
    [
        ({"errors": ("healthy", "errors 0.2 % → 0.2 %")}, Outcome.PASS),
        ({"errors": ("healthy", ""), "latency": ("degraded", "latency 120 → 210 ms")}, Outcome.FAIL),
        ({"errors": ("healthy", ""), "latency": ("inconclusive", "only 1 sample")}, Outcome.UNKNOWN),
        (None, Outcome.SKIPPED),
    ],
)
async def test_a_rollback_is_verified_by_every_signal(
    signals: Mapping[str, tuple[str, str]] | None, outcome: Outcome
) -> None:
    seen = await examine("watch.recovered", {}, context=make_context(records=Told(signals)))
    assert seen.outcome is outcome


def test_both_families_are_in_the_catalogue() -> None:
    names = {kind.name for kind in Catalogue().all()}
    assert {"signal.prometheus", "signal.findings", "watch.recovered"} <= names
