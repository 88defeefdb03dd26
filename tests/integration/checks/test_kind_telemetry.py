"""Telemetry kinds: a small real application, and contract servers of the places its telemetry goes to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from bot.checks.catalogue import Catalogue
from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.contracts import grafana as grafana_contract
from tests.contracts import sentry as sentry_contract
from tests.contracts import statuspage as statuspage_contract
from tests.contracts.grafana import GrafanaServer, dashboard, panel
from tests.contracts.loki import LogStores
from tests.contracts.sentry import SentryServer
from tests.contracts.statuspage import StatuspageServer, incident, maintenance
from tests.contracts.tempo import TraceStore
from tests.servers.serving import serving

#: Where nothing listens.
NOWHERE = f"http://127.0.0.1:{free_port()}"


class App:
    """An application that hands each request on to whoever is to tell of it."""

    def __init__(self) -> None:
        self.tell: Callable[[web.Request], None] = lambda request: None
        self.application = web.Application()
        self.application.router.add_route("*", "/{path:.*}", self._serve)

    async def _serve(self, request: web.Request) -> web.Response:
        self.tell(request)
        return web.Response(text="ok")


@pytest.fixture
def app() -> Iterator[tuple[App, str]]:
    made = App()
    with serving(made.application) as url:
        yield made, url


@pytest.fixture
def stores() -> Iterator[tuple[LogStores, str]]:
    made = LogStores()
    with serving(made.application) as url:
        yield made, url


# ── telemetry.logs ───────────────────────────────────────────────────────────────────────────────────────


async def logs(app_url: str, **given: Any) -> Evidence:
    if "loki" in given:
        given.setdefault("query", '{app="shop"}')
    return await examine("telemetry.logs", {"url": app_url, "within": "700ms", **given})


async def test_a_structured_line_in_loki_passes(app: tuple[App, str], stores: tuple[LogStores, str]) -> None:
    def tell(request: web.Request) -> None:
        line = f'{{"level":"info","request_id":"{request.headers["X-Request-Id"]}"}}'
        threading.Timer(0.2, stores[0].push, [line], {"app": "shop"}).start()

    app[0].tell = tell
    evidence = await logs(app[1], loki=stores[1], within="10s")
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["level"] == "info"
    assert evidence.values["delay_s"] > 0


@pytest.mark.parametrize("line", ["GET / {} 200", '{{"level":"debug","request_id":"{}"}}'])
async def test_an_unstructured_line_or_debug_level_warns(
    app: tuple[App, str], stores: tuple[LogStores, str], line: str
) -> None:
    app[0].tell = lambda request: stores[0].push(line.format(request.headers["X-Request-Id"]), app="shop")
    evidence = await logs(app[1], loki=stores[1])
    assert evidence.outcome is Outcome.WARN


async def test_the_marker_may_go_into_the_url(app: tuple[App, str], stores: tuple[LogStores, str]) -> None:
    app[0].tell = lambda request: stores[0].push(f"level=info path={request.path}", app="shop")
    evidence = await logs(f"{app[1]}/healthz/{{marker}}", loki=stores[1])
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_a_line_that_does_not_arrive_fails(app: tuple[App, str], stores: tuple[LogStores, str]) -> None:
    stores[0].push('{"request_id": "another"}', app="shop")
    evidence = await logs(app[1], loki=stores[1])
    assert evidence.outcome is Outcome.FAIL
    assert "not in Loki" in evidence.observed


async def test_a_line_of_another_application_does_not_count(
    app: tuple[App, str], stores: tuple[LogStores, str]
) -> None:
    app[0].tell = lambda request: stores[0].push(request.headers["X-Request-Id"], app="proxy")
    assert (await logs(app[1], loki=stores[1])).outcome is Outcome.FAIL


async def test_loki_s_record_of_the_search_itself_does_not_count(
    app: tuple[App, str], stores: tuple[LogStores, str]
) -> None:
    def tell(request: web.Request) -> None:
        marker = request.headers["X-Request-Id"]
        stores[0].push(f'component=querier query="{{app=shop}} |= {marker}"', app="shop")

    app[0].tell = tell
    assert (await logs(app[1], loki=stores[1])).outcome is Outcome.FAIL


async def test_an_application_that_does_not_answer_leaves_its_logs_unknown(
    stores: tuple[LogStores, str],
) -> None:
    assert (await logs(NOWHERE, loki=stores[1])).outcome is Outcome.UNKNOWN


async def test_a_loki_that_is_down_all_the_time_is_unknown(
    app: tuple[App, str], stores: tuple[LogStores, str]
) -> None:
    stores[0].down = True
    evidence = await logs(app[1], loki=stores[1])
    assert evidence.outcome is Outcome.UNKNOWN
    assert "503" in evidence.reason


async def test_a_selector_loki_cannot_read_is_an_error(
    app: tuple[App, str], stores: tuple[LogStores, str]
) -> None:
    evidence = await logs(app[1], loki=stores[1], query="{app=shop}")
    assert evidence.outcome is Outcome.ERROR
    assert "parse error" in evidence.reason


async def test_the_tenant_is_sent_and_a_missing_one_is_unknown(app: tuple[App, str]) -> None:
    stores = LogStores(tenant="team-a")
    app[0].tell = lambda request: stores.push(f"a=1 id={request.headers['X-Request-Id']}", app="shop")
    with serving(stores.application) as url:
        with_tenant = await logs(app[1], loki=url, tenant="team-a")
        without = await logs(app[1], loki=url)
    assert with_tenant.outcome is Outcome.PASS, with_tenant.reason
    assert without.outcome is Outcome.UNKNOWN


async def test_a_document_in_elasticsearch_passes(app: tuple[App, str]) -> None:
    stores = LogStores(api_key="elastic-key-1")

    def tell(request: web.Request) -> None:
        found = {"log.level": "info", "trace": {"id": request.headers["X-Request-Id"]}, "message": "served"}
        stores.documents.append(found)

    app[0].tell = tell
    with serving(stores.application) as url:
        key = Secret("elastic", "elastic-key-1")
        evidence = await logs(app[1], elasticsearch=url, api_key=key)
        refused = await logs(app[1], elasticsearch=url)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert refused.outcome is Outcome.UNKNOWN
    assert "elastic-key-1" not in repr(evidence)


async def test_a_plain_message_in_elasticsearch_warns(
    app: tuple[App, str], stores: tuple[LogStores, str]
) -> None:
    def tell(request: web.Request) -> None:
        stores[0].documents.append({"@timestamp": "…", "message": f"GET {request.headers['X-Request-Id']}"})

    app[0].tell = tell
    assert (await logs(app[1], elasticsearch=stores[1])).outcome is Outcome.WARN


async def test_a_search_of_part_of_an_index_is_unknown(
    app: tuple[App, str], stores: tuple[LogStores, str]
) -> None:
    stores[0].shards_failed = 1
    assert (await logs(app[1], elasticsearch=stores[1])).outcome is Outcome.UNKNOWN


async def test_an_index_that_does_not_exist_is_an_error(
    app: tuple[App, str], stores: tuple[LogStores, str]
) -> None:
    evidence = await logs(app[1], elasticsearch=stores[1], index="nothing-*")
    assert evidence.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    "given",
    [{}, {"loki": "http://l", "elasticsearch": "http://e"}, {"loki": "http://l", "query": "shop"}],
)
def test_logs_need_one_store_and_loki_a_selector(given: dict[str, str]) -> None:
    kind = Catalogue().get("telemetry.logs")
    assert kind is not None
    assert kind.problem(kind.params.model_validate({"url": "http://a", **given}))


# ── telemetry.traces ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("store", ["tempo", "jaeger"])
async def test_a_trace_that_is_collected_passes(app: tuple[App, str], store: str) -> None:
    traces = TraceStore(jaeger=store == "jaeger")

    def tell(request: web.Request) -> None:
        version, trace, _, flags = request.headers["traceparent"].split("-")
        assert (version, flags) == ("00", "01")
        traces.traces[trace] = ["shop", "billing"]

    app[0].tell = tell
    with serving(traces.application) as url:
        params = {"url": app[1], store: url, "services": ["billing"], "within": "700ms"}
        evidence = await examine("telemetry.traces", params)
        slow = await examine("telemetry.traces", params, warn={"spans": "< 3"})
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["spans"] == 2
    assert slow.outcome is Outcome.WARN


@pytest.mark.parametrize("store", ["tempo", "jaeger"])
async def test_a_trace_that_is_not_collected_fails(app: tuple[App, str], store: str) -> None:
    with serving(TraceStore(jaeger=store == "jaeger").application) as url:
        evidence = await examine("telemetry.traces", {"url": app[1], store: url, "within": "500ms"})
    assert evidence.outcome is Outcome.FAIL


async def test_a_trace_without_a_required_service_fails(app: tuple[App, str]) -> None:
    traces = TraceStore()
    app[0].tell = lambda request: traces.traces.update(
        {request.headers["traceparent"].split("-")[1]: ["shop"]}
    )
    with serving(traces.application) as url:
        params = {"url": app[1], "tempo": url, "services": ["billing"], "within": "500ms"}
        evidence = await examine("telemetry.traces", params)
    assert evidence.outcome is Outcome.FAIL
    assert "billing" in evidence.reason


async def test_traces_without_a_store_that_answers_are_unknown(app: tuple[App, str]) -> None:
    params = {"url": app[1], "tempo": NOWHERE, "within": "500ms"}
    assert (await examine("telemetry.traces", params)).outcome is Outcome.UNKNOWN


async def test_traces_from_outside_the_allow_list_are_an_error(app: tuple[App, str]) -> None:
    params = {"url": app[1], "tempo": "http://10.1.2.3:3200", "within": "500ms"}
    assert (await examine("telemetry.traces", params)).outcome is Outcome.ERROR


def test_traces_need_one_store() -> None:
    kind = Catalogue().get("telemetry.traces")
    assert kind is not None
    assert kind.problem(kind.params.model_validate({"url": "http://a"}))


# ── telemetry.sentry ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sentry() -> Iterator[tuple[SentryServer, str]]:
    made = SentryServer()
    with serving(made.application) as url:
        yield made, url


async def error_tracking(url: str, **given: Any) -> Evidence:
    key = given.pop("key", sentry_contract.KEY)
    params = {
        "dsn": Secret("sentry_dsn", f"{url.replace('://', f'://{key}@')}/42"),
        "organization": "acme",
        "project": "shop",
        "token": Secret("sentry_token", given.pop("token", sentry_contract.TOKEN)),
        "url": url,
        "within": "600ms",
    }
    rules = {"warn": given.pop("warn")} if "warn" in given else {}
    return await examine("telemetry.sentry", {**params, **given}, **rules)


async def test_an_event_that_appears_in_sentry_passes(sentry: tuple[SentryServer, str]) -> None:
    evidence = await error_tracking(sentry[1])
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert sentry_contract.KEY not in repr(evidence)
    assert len(sentry[0].events) == 1


async def test_a_slow_event_can_be_warned_about(sentry: tuple[SentryServer, str]) -> None:
    assert (await error_tracking(sentry[1], warn={"delay_s": ">= 0"})).outcome is Outcome.WARN


async def test_an_event_that_is_taken_and_dropped_fails(sentry: tuple[SentryServer, str]) -> None:
    sentry[0].keeps = False
    evidence = await error_tracking(sentry[1])
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["accepted"] is True


async def test_a_dsn_that_is_switched_off_fails(sentry: tuple[SentryServer, str]) -> None:
    evidence = await error_tracking(sentry[1], key="f" * 32)
    assert evidence.outcome is Outcome.FAIL
    assert "refuses" in evidence.observed


async def test_a_used_up_quota_a_bad_token_and_a_wrong_project_are_unknown(
    sentry: tuple[SentryServer, str],
) -> None:
    assert (await error_tracking(sentry[1], token="sntrys_wrong_1")).outcome is Outcome.UNKNOWN
    assert (await error_tracking(sentry[1], project="other")).outcome is Outcome.UNKNOWN
    sentry[0].over_quota = True
    assert (await error_tracking(sentry[1])).outcome is Outcome.UNKNOWN


async def test_a_dsn_that_is_none_is_an_error_and_not_shown() -> None:
    evidence = await error_tracking(NOWHERE, dsn=Secret("sentry_dsn", "not-a-dsn-at-all"))
    assert evidence.outcome is Outcome.ERROR
    assert "not-a-dsn" not in repr(evidence)


# ── telemetry.grafana ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def grafana() -> Iterator[tuple[GrafanaServer, str]]:
    made = GrafanaServer()
    with serving(made.application) as url:
        yield made, url


async def dashboards(url: str, **given: Any) -> Evidence:
    rules = {"warn": given.pop("warn")} if "warn" in given else {}
    token = Secret("grafana", given.pop("token", grafana_contract.TOKEN))
    params = {"url": url, "token": token, "dashboards": ["deploy"], **given}
    return await examine("telemetry.grafana", params, **rules)


async def test_a_dashboard_that_shows_data_passes(grafana: tuple[GrafanaServer, str]) -> None:
    evidence = await dashboards(grafana[1], panels=["Requests"])
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert "version 7" in evidence.excerpt


async def test_a_dashboard_that_is_gone_fails(grafana: tuple[GrafanaServer, str]) -> None:
    evidence = await dashboards(grafana[1], dashboards=["deploy", "gone"])
    assert evidence.outcome is Outcome.FAIL
    assert "gone" in evidence.reason


@pytest.mark.parametrize("health", ["connection refused", "absent"])
async def test_a_data_source_that_does_not_work_fails(
    grafana: tuple[GrafanaServer, str], health: str
) -> None:
    if health != "absent":
        grafana[0].sources["loki"] = health
    evidence = await dashboards(grafana[1], datasources=["loki"])
    assert evidence.outcome is Outcome.FAIL
    assert "loki" in evidence.reason


async def test_a_data_source_of_a_kind_without_health_check_is_not_blamed(
    grafana: tuple[GrafanaServer, str],
) -> None:
    grafana[0].sources["old"] = None
    assert (await dashboards(grafana[1], datasources=["old"])).outcome is Outcome.PASS


async def test_a_named_panel_without_data_fails_and_another_does_not(
    grafana: tuple[GrafanaServer, str],
) -> None:
    grafana[0].dashboards["deploy"] = dashboard("Deploy", panel("Requests", "up"), panel("Errors", "errors"))
    grafana[0].without_data = {"errors"}
    assert (await dashboards(grafana[1], panels=["Requests"])).outcome is Outcome.PASS
    evidence = await dashboards(grafana[1], panels=["Errors"])
    assert evidence.outcome is Outcome.FAIL
    assert "Errors" in evidence.reason


async def test_a_dashboard_that_shows_nothing_at_all_fails(grafana: tuple[GrafanaServer, str]) -> None:
    grafana[0].without_data = {"up"}
    evidence = await dashboards(grafana[1])
    assert evidence.outcome is Outcome.FAIL
    assert "blank is deploy" in evidence.reason


async def test_variables_are_filled_in_with_their_current_value(grafana: tuple[GrafanaServer, str]) -> None:
    made = panel("Requests", 'rate(x{job="$job"}[$__rate_interval])', source="${ds}")
    row = {"type": "row", "title": "Row", "panels": [made]}
    grafana[0].dashboards["deploy"] = dashboard("Deploy", row, variables={"job": "shop", "ds": "prom"})
    grafana[0].without_data = {'rate(x{job="$job"}[$__rate_interval])'}
    assert (await dashboards(grafana[1], panels=["Requests"])).outcome is Outcome.PASS


async def test_a_panel_whose_variables_have_no_value_is_skipped_and_can_be_warned_about(
    grafana: tuple[GrafanaServer, str],
) -> None:
    grafana[0].dashboards["deploy"] = dashboard("D", panel("A", "up"), panel("B", "x{pod='$pod'}"))
    evidence = await dashboards(grafana[1], warn={"skipped": "> 0"})
    assert evidence.outcome is Outcome.WARN


async def test_a_grafana_that_does_not_let_the_bot_in_is_unknown(grafana: tuple[GrafanaServer, str]) -> None:
    assert (await dashboards(grafana[1], token="glsa_wrong_1")).outcome is Outcome.UNKNOWN


async def test_a_grafana_outside_the_allow_list_is_an_error() -> None:
    assert (await dashboards("http://10.1.2.3:3000")).outcome is Outcome.ERROR


# ── telemetry.statuspage ─────────────────────────────────────────────────────────────────────────────────

NOW = datetime.now(UTC)
BEGAN = NOW - timedelta(minutes=30)


async def status_page(*incidents: dict[str, Any], began: datetime | None = BEGAN, **given: Any) -> Evidence:
    made = StatuspageServer()
    made.incidents = list(incidents)
    rules = {"warn": given.pop("warn")} if "warn" in given else {}
    token = Secret("statuspage", given.pop("token", statuspage_contract.TOKEN))
    with serving(made.application) as url:
        params = {"url": url, "page": "page1", "token": token, **given}
        context = make_context(started_at=began)
        return await examine("telemetry.statuspage", params, context=context, **rules)


PLANNED = maintenance("Storefront v1.4.2", at=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1))


async def test_a_maintenance_for_the_deployment_passes() -> None:
    evidence = await status_page(PLANNED)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["status"] == "in_progress"


async def test_a_maintenance_that_is_still_open_can_be_warned_about() -> None:
    assert (await status_page(PLANNED, warn={"status": "in_progress"})).outcome is Outcome.WARN


async def test_an_incident_opened_meanwhile_that_names_the_service_passes() -> None:
    at = NOW - timedelta(minutes=5)
    assert (
        await status_page(incident("Update", at=at, body="STOREFRONT is updated"))
    ).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "post",
    [
        incident("E-mail is slow", at=NOW - timedelta(minutes=5)),
        incident("Storefront v1.4.2", at=NOW - timedelta(days=1)),
        maintenance("Storefront", at=NOW - timedelta(days=2), until=NOW - timedelta(days=1)),
        maintenance("Storefront", at=NOW + timedelta(days=2), until=NOW + timedelta(days=3)),
    ],
)
async def test_a_post_about_something_else_or_another_time_does_not_count(post: dict[str, Any]) -> None:
    evidence = await status_page(post)
    assert evidence.outcome is Outcome.FAIL
    assert "nothing about this deployment" in evidence.observed


async def test_another_version_does_not_count_where_the_version_is_demanded() -> None:
    post = incident("Storefront v1.4.20", at=NOW - timedelta(minutes=5))
    assert (await status_page(post, mentions=["v1.4.2"])).outcome is Outcome.FAIL


async def test_any_post_counts_where_told() -> None:
    post = incident("Planned work", at=NOW - timedelta(minutes=5))
    assert (await status_page(post, mentions=[])).outcome is Outcome.PASS


async def test_outside_a_deployment_the_status_page_is_unknown() -> None:
    assert (await status_page(PLANNED, began=None)).outcome is Outcome.UNKNOWN


async def test_a_key_that_is_refused_is_unknown_and_a_wrong_page_an_error() -> None:
    assert (await status_page(PLANNED, token="wrong-key-1")).outcome is Outcome.UNKNOWN
    assert (await status_page(PLANNED, page="page2")).outcome is Outcome.ERROR
