"""Prometheus kinds against a real Prometheus with a history and a small scraped application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.checks.catalogue import Catalogue
from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.contracts.prometheus import partial_prometheus
from tests.servers.prometheus import PrometheusServer, prometheus_server
from tests.servers.serving import serving

TRAFFIC = "sum(rate(http_requests_total[1m]))"
ERRORS = 'sum(rate(http_requests_total{code=~"5.."}[1m]))'


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with prometheus_server(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


async def value(server: PrometheusServer, query: str, **given: Any) -> Evidence:
    rules = {name: given.pop(name) for name in ("expect", "fail", "warn") if name in given}
    rules = rules or {"fail": {"value": "> 0.5"}, "warn": {"value": "> 0.3"}}
    return await examine("prometheus", {"url": server.url, "query": query, **given}, **rules)


# ── prometheus ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("vector(0.2)", Outcome.PASS),
        ("vector(0.4)", Outcome.WARN),
        ("vector(0.6)", Outcome.FAIL),
        ("scalar(vector(0.6))", Outcome.FAIL),
    ],
)
async def test_a_value_is_judged_by_the_rules(
    prometheus: PrometheusServer, query: str, outcome: Outcome
) -> None:
    assert (await value(prometheus, query)).outcome is outcome


async def test_a_latency_quantile_with_traffic_passes(prometheus: PrometheusServer) -> None:
    query = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[1m])))"
    evidence = await value(prometheus, query, guard=TRAFFIC, guard_min=1, fail={"value": "> 0.5"})
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert 0.3 < evidence.values["value"] < 0.4
    assert evidence.values["guard"] > 1
    assert evidence.values["age_s"] < 60


async def test_an_error_ratio_without_errors_is_empty_and_so_unknown(prometheus: PrometheusServer) -> None:
    evidence = await value(prometheus, f"{ERRORS} / {TRAFFIC}")
    assert evidence.outcome is Outcome.UNKNOWN
    assert "no series" in evidence.reason


async def test_an_empty_error_ratio_is_zero_where_a_guard_proves_traffic(
    prometheus: PrometheusServer,
) -> None:
    evidence = await value(prometheus, f"{ERRORS} / {TRAFFIC}", guard=TRAFFIC, guard_min=1, empty_is=0)
    assert evidence.outcome is Outcome.PASS
    assert evidence.values["value"] == 0


@pytest.mark.parametrize(
    "guard", ["sum(rate(idle_requests_total[1m]))", "sum(no_such_metric)", "vector(0/0)"]
)
async def test_no_traffic_is_unknown_even_with_a_value_for_empty(
    prometheus: PrometheusServer, guard: str
) -> None:
    evidence = await value(prometheus, f"{ERRORS} / {TRAFFIC}", guard=guard, empty_is=0)
    assert evidence.outcome is Outcome.UNKNOWN


async def test_traffic_below_the_least_is_unknown(prometheus: PrometheusServer) -> None:
    evidence = await value(prometheus, "vector(0.1)", guard="vector(0.05)", guard_min=0.1)
    assert evidence.outcome is Outcome.UNKNOWN
    assert "too little traffic" in evidence.reason


async def test_not_a_number_is_unknown(prometheus: PrometheusServer) -> None:
    query = "sum(rate(idle_requests_total[1m])) / sum(rate(idle_requests_total[1m]))"
    evidence = await value(prometheus, query)
    assert evidence.outcome is Outcome.UNKNOWN
    assert "NaN" in evidence.reason


async def test_not_a_number_among_several_series_is_unknown(prometheus: PrometheusServer) -> None:
    query = 'label_replace(vector(0.1), "a", "b", "", "") or vector(0/0)'
    assert (await value(prometheus, query, reduce="max")).outcome is Outcome.UNKNOWN


async def test_a_query_that_is_no_promql_is_an_error(prometheus: PrometheusServer) -> None:
    evidence = await value(prometheus, "sum(rate(http_requests_total[1m])")
    assert evidence.outcome is Outcome.ERROR
    assert "parse error" in evidence.reason


@pytest.mark.parametrize("query", ["http_requests_total[1m]", "'text'"])
async def test_a_query_that_gives_no_number_is_an_error(prometheus: PrometheusServer, query: str) -> None:
    assert (await value(prometheus, query)).outcome is Outcome.ERROR


async def test_several_series_are_an_error_unless_reduced(prometheus: PrometheusServer) -> None:
    evidence = await value(prometheus, "pair")
    assert evidence.outcome is Outcome.ERROR
    assert "2 series" in evidence.reason


@pytest.mark.parametrize(("how", "number"), [("max", 2), ("min", 1), ("avg", 1.5), ("sum", 3)])
async def test_several_series_are_reduced_as_told(
    prometheus: PrometheusServer, how: str, number: float
) -> None:
    evidence = await value(prometheus, "pair", reduce=how, expect={"value": number})
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_a_value_whose_samples_stopped_coming_is_unknown(prometheus: PrometheusServer) -> None:
    """A rate over an hour goes on giving numbers long after its target is gone."""
    evidence = await value(prometheus, "avg_over_time(ended_seconds[1h])", fail={"value": "> 5"})
    assert evidence.outcome is Outcome.UNKNOWN
    assert "stopped coming" in evidence.reason


async def test_old_samples_are_judged_where_that_age_is_allowed(prometheus: PrometheusServer) -> None:
    evidence = await value(
        prometheus, "avg_over_time(ended_seconds[1h])", fail={"value": "> 5"}, max_age="30m"
    )
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["age_s"] > 400


async def test_a_long_query_is_sent_in_the_body(prometheus: PrometheusServer) -> None:
    query = " + ".join(["vector(0.0001)"] * 1000)
    assert (await value(prometheus, query)).outcome is Outcome.PASS


async def test_a_prometheus_that_does_not_answer_is_unknown() -> None:
    params = {"url": f"http://127.0.0.1:{free_port()}", "query": "up"}
    evidence = await examine("prometheus", params, expect={"value": 1}, attempts=2)
    assert evidence.outcome is Outcome.UNKNOWN
    assert evidence.attempts == 2


async def test_a_prometheus_outside_the_allow_list_is_an_error() -> None:
    params = {"url": "http://10.1.2.3:9090", "query": "up"}
    assert (await examine("prometheus", params, expect={"value": 1})).outcome is Outcome.ERROR


async def test_an_address_that_is_no_prometheus_is_an_error(prometheus: PrometheusServer) -> None:
    params = {"url": f"{prometheus.url}/prefix", "query": "up"}
    evidence = await examine("prometheus", params, expect={"value": 1})
    assert evidence.outcome is Outcome.ERROR
    assert "404" in evidence.reason


def test_a_value_for_empty_without_a_guard_is_refused_at_start_up() -> None:
    kind = Catalogue().get("prometheus")
    assert kind is not None
    params = kind.params.model_validate({"url": "http://p", "query": "up", "empty_is": 0})
    assert "needs a guard" in str(kind.problem(params))


async def test_a_partial_answer_is_unknown() -> None:
    with serving(partial_prometheus(token="s3cret-token")) as url:
        params = {"url": url, "query": "up", "bearer": Secret("prom", "s3cret-token")}
        evidence = await examine("prometheus", params, expect={"value": 1})
    assert evidence.outcome is Outcome.UNKNOWN
    assert "incomplete" in evidence.reason


async def test_a_refused_token_is_unknown_and_not_shown() -> None:
    with serving(partial_prometheus(token="s3cret-token")) as url:
        params = {"url": url, "query": "up", "bearer": Secret("prom", "another-token")}
        evidence = await examine("prometheus", params, expect={"value": 1})
    assert evidence.outcome is Outcome.UNKNOWN
    assert "401" in evidence.reason
    assert "another-token" not in repr(evidence)


# ── prometheus.fresh ─────────────────────────────────────────────────────────────────────────────────────


async def test_series_that_are_scraped_are_fresh(prometheus: PrometheusServer) -> None:
    params = {
        "url": prometheus.url,
        "selectors": ["pg_up", 'http_requests_total{code="200"}'],
        "interval": "30s",
    }
    evidence = await examine("prometheus.fresh", params)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["series"] == 2


async def test_the_scrape_interval_is_the_one_prometheus_tells(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.fresh", {"url": prometheus.url, "selectors": ["pg_up"]})
    assert "scraped every 0.5 s" in evidence.excerpt


async def test_samples_older_than_two_intervals_fail(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.fresh", {"url": prometheus.url, "selectors": ["latency_seconds"]})
    assert evidence.outcome is Outcome.FAIL
    assert "age_intervals" in evidence.reason


async def test_a_selector_without_series_fails_although_another_has_some(
    prometheus: PrometheusServer,
) -> None:
    params = {
        "url": prometheus.url,
        "selectors": ["pg_up", "pg_stat_database_xact_commit"],
        "interval": "30s",
    }
    evidence = await examine("prometheus.fresh", params)
    assert evidence.outcome is Outcome.FAIL
    assert "pg_stat_database_xact_commit" in evidence.reason


async def test_a_target_that_vanished_is_not_fresh(prometheus: PrometheusServer) -> None:
    prometheus.app.going = False
    params = {"url": prometheus.url, "selectors": ["stopping_gauge"], "interval": "30s"}
    try:
        for _ in range(100):
            evidence = await examine("prometheus.fresh", params)
            if evidence.outcome is not Outcome.PASS:
                break
            await asyncio.sleep(0.1)
    finally:
        prometheus.app.going = True
    assert evidence.outcome is Outcome.FAIL


async def test_series_that_ended_are_not_fresh_and_it_says_when(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.fresh", {"url": prometheus.url, "selectors": ["ended_seconds"]})
    assert evidence.outcome is Outcome.FAIL
    assert "no series, the last" in evidence.excerpt


@pytest.mark.parametrize("text", ["rate(up[5m])", "sum(up)", "up[5m]", "up + up", "1"])
def test_an_expression_has_no_age_and_is_refused_at_start_up(text: str) -> None:
    kind = Catalogue().get("prometheus.fresh")
    assert kind is not None
    assert kind.problem(kind.params.model_validate({"url": "http://p", "selectors": [text]}))


async def test_a_selector_that_is_no_promql_is_an_error(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.fresh", {"url": prometheus.url, "selectors": ['up{job=~"("}']})
    assert evidence.outcome is Outcome.ERROR


async def test_freshness_cannot_be_told_without_prometheus() -> None:
    params = {"url": f"http://127.0.0.1:{free_port()}", "selectors": ["up"]}
    assert (await examine("prometheus.fresh", params)).outcome is Outcome.UNKNOWN


# ── prometheus.targets ───────────────────────────────────────────────────────────────────────────────────


async def test_a_job_that_is_up_with_its_histogram_passes(prometheus: PrometheusServer) -> None:
    params = {"url": prometheus.url, "job": "shop", "metrics": ["http_request_duration_seconds_bucket"]}
    evidence = await examine("prometheus.targets", params, warn={"scrape_age_s": "> 3600"})
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["targets"] == 1


async def test_a_job_that_is_scraped_rarely_can_be_warned_about(prometheus: PrometheusServer) -> None:
    params = {"url": prometheus.url, "job": "shop"}
    evidence = await examine("prometheus.targets", params, warn={"scrape_age_s": ">= 0"})
    assert evidence.outcome is Outcome.WARN


async def test_a_target_that_is_down_fails(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.targets", {"url": prometheus.url, "job": "dead"})
    assert evidence.outcome is Outcome.FAIL
    assert "127.0.0.1:1" in evidence.reason
    assert "refused" in evidence.excerpt


async def test_a_job_without_targets_fails(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.targets", {"url": prometheus.url, "job": "shopp"})
    assert evidence.outcome is Outcome.FAIL
    assert "targets" in evidence.reason


async def test_a_job_without_its_histogram_fails(prometheus: PrometheusServer) -> None:
    params = {"url": prometheus.url, "job": "stopping", "metrics": ["http_request_duration_seconds_bucket"]}
    evidence = await examine("prometheus.targets", params)
    assert evidence.outcome is Outcome.FAIL
    assert "http_request_duration_seconds_bucket" in evidence.reason


async def test_targets_are_unknown_without_prometheus() -> None:
    params = {"url": f"http://127.0.0.1:{free_port()}", "job": "shop"}
    assert (await examine("prometheus.targets", params)).outcome is Outcome.UNKNOWN


async def test_targets_asked_at_a_wrong_address_are_an_error(prometheus: PrometheusServer) -> None:
    params = {"url": f"{prometheus.url}/prefix", "job": "shop"}
    assert (await examine("prometheus.targets", params)).outcome is Outcome.ERROR


# ── prometheus.rules ─────────────────────────────────────────────────────────────────────────────────────


async def test_rules_that_work_pass(prometheus: PrometheusServer) -> None:
    params = {"url": prometheus.url, "names": ["HighErrorRate", "shop:requests:rate1m"], "up": "pg_up"}
    evidence = await examine("prometheus.rules", params)
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_a_firing_alert_can_be_warned_about(prometheus: PrometheusServer) -> None:
    params = {"url": prometheus.url, "names": ["Watchdog"]}
    evidence = await examine("prometheus.rules", params, warn={"firing": "!= none"})
    assert evidence.outcome is Outcome.WARN


async def test_a_rule_that_is_not_loaded_fails(prometheus: PrometheusServer) -> None:
    params = {"url": prometheus.url, "names": ["HighErrorRate", "HighLatency"]}
    evidence = await examine("prometheus.rules", params)
    assert evidence.outcome is Outcome.FAIL
    assert "HighLatency" in evidence.reason


async def test_a_rule_whose_evaluation_fails_is_not_in_place(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.rules", {"url": prometheus.url, "names": ["Broken"]})
    assert evidence.outcome is Outcome.FAIL
    assert "Broken" in evidence.reason


async def test_a_rule_that_was_not_evaluated_yet_is_unknown(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.rules", {"url": prometheus.url, "names": ["NotYetEvaluated"]})
    assert evidence.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("metric", ["mysql_up", "oracle_up"])
async def test_an_exporter_that_is_down_or_gone_fails(prometheus: PrometheusServer, metric: str) -> None:
    evidence = await examine("prometheus.rules", {"url": prometheus.url, "up": metric})
    assert evidence.outcome is Outcome.FAIL


async def test_a_metric_that_is_no_promql_is_an_error(prometheus: PrometheusServer) -> None:
    evidence = await examine("prometheus.rules", {"url": prometheus.url, "up": "pg up"})
    assert evidence.outcome is Outcome.ERROR


# ── prometheus.watch ─────────────────────────────────────────────────────────────────────────────────────

#: The history changed half an hour ago; the deployment began a little before that.
BEGAN = timedelta(minutes=35)


async def watch(server: PrometheusServer, query: str, **given: Any) -> Evidence:
    rules = {name: given.pop(name) for name in ("expect", "fail", "warn") if name in given}
    rules = rules or {"fail": {"ratio": "> 1.5"}, "warn": {"ratio": "> 1.2"}}
    began = given.pop("began", BEGAN)
    context = make_context(started_at=datetime.now(UTC) - began if began else None)
    params = {"url": server.url, "query": query, **given}
    return await examine("prometheus.watch", params, context=context, **rules)


async def test_a_value_that_stayed_the_same_passes(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "steady_seconds")
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["ratio"] == pytest.approx(1.05)
    assert evidence.values["samples"] == 3


async def test_a_value_that_rose_since_the_deployment_fails(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "latency_seconds")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["baseline"] == pytest.approx(0.2)
    assert evidence.values["value"] == pytest.approx(0.5)


async def test_a_value_that_rose_a_little_warns(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "steady_seconds", fail={"ratio": "> 1.5"}, warn={"ratio": "> 1.01"})
    assert evidence.outcome is Outcome.WARN


async def test_one_bad_sample_of_three_is_not_confirmed(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "spike_ratio", fail={"value": "> 0.05"})
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_one_bad_sample_fails_where_one_is_enough(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "spike_ratio", confirm=1, fail={"value": "> 0.05"})
    assert evidence.outcome is Outcome.FAIL


async def test_a_lower_value_can_be_the_worse_one(prometheus: PrometheusServer) -> None:
    rules = {"fail": {"ratio": "< 0.5"}}
    evidence = await watch(prometheus, "no_traffic_rate", worse="lower", **rules)
    assert evidence.outcome is Outcome.FAIL


async def test_a_watch_that_is_not_over_is_unknown(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "steady_seconds", began=timedelta(minutes=5))
    assert evidence.outcome is Outcome.UNKNOWN
    assert "have to be watched" in evidence.reason


async def test_a_watch_without_traffic_is_unknown(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "quiet_ratio", guard="no_traffic_rate", fail={"value": "> 0.05"})
    assert evidence.outcome is Outcome.UNKNOWN
    assert "0 of 3 samples" in evidence.reason


@pytest.mark.parametrize("query", ["nan_ratio", "no_such_metric", "ended_seconds"])
async def test_a_watch_without_numbers_is_unknown(prometheus: PrometheusServer, query: str) -> None:
    evidence = await watch(prometheus, query, fail={"value": "> 5"})
    assert evidence.outcome is Outcome.UNKNOWN


async def test_not_a_number_is_not_taken_for_an_empty_result(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "nan_ratio", guard="traffic_rate", empty_is=0, fail={"value": "> 5"})
    assert evidence.outcome is Outcome.UNKNOWN


async def test_an_empty_result_with_traffic_is_what_it_is_told_to_be(prometheus: PrometheusServer) -> None:
    evidence = await watch(
        prometheus, "no_such_metric", guard="traffic_rate", empty_is=0, fail={"value": "> 0.05"}
    )
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_without_a_baseline_a_relative_rule_is_unknown_and_an_absolute_one_is_not(
    prometheus: PrometheusServer,
) -> None:
    relative = await watch(prometheus, "steady_seconds", began=None)
    absolute = await watch(prometheus, "steady_seconds", began=None, fail={"value": "> 0.5"})
    assert relative.outcome is Outcome.UNKNOWN
    assert absolute.outcome is Outcome.PASS


async def test_outside_a_deployment_the_baseline_is_so_long_ago(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "latency_seconds", began=None, offset="1h")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["ratio"] == pytest.approx(2.5)


async def test_from_nothing_to_something_has_no_ratio_unless_a_floor_is_set(
    prometheus: PrometheusServer,
) -> None:
    without = await watch(prometheus, "error_ratio", fail={"ratio": "> 3"})
    floored = await watch(prometheus, "error_ratio", floor=0.001, fail={"ratio": "> 3"})
    assert without.outcome is Outcome.UNKNOWN
    assert floored.outcome is Outcome.FAIL


async def test_from_nothing_to_nothing_is_no_change(prometheus: PrometheusServer) -> None:
    evidence = await watch(prometheus, "quiet_ratio", fail={"ratio": "> 3"})
    assert evidence.outcome is Outcome.PASS


async def test_a_watch_of_several_series_is_an_error_unless_reduced(prometheus: PrometheusServer) -> None:
    query = 'steady_seconds or label_replace(steady_seconds, "job", "other", "", "")'
    refused = await watch(prometheus, query, began=None, fail={"value": "> 5"})
    reduced = await watch(prometheus, query, began=None, reduce="max", fail={"value": "> 5"})
    assert refused.outcome is Outcome.ERROR
    assert reduced.outcome is Outcome.PASS
