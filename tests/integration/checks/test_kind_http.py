"""The kinds `http`, `http.version`, `http.latency` and `http.negative`, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.checks.kinds.http.latency import percentile
from bot.checks.kinds.http.plain import Http, HttpParams
from bot.checks.kinds.http.version import same_version
from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.shop import PASSWORD, Shop, make_token, serving


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Shop, str]]:
    shop = Shop()
    with serving(shop.app) as url:
        yield shop, url


@pytest.fixture
def shop(running: tuple[Shop, str]) -> Iterator[Shop]:
    running[0].versions = ["v1.4.2"]
    running[0].asked.clear()
    yield running[0]


@pytest.fixture
def url(running: tuple[Shop, str], shop: Shop) -> str:
    return running[1]


# ── http ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_answer_of_200_passes_without_any_rule(url: str) -> None:
    evidence = await examine("http", {"url": f"{url}/page"})
    assert evidence.outcome is Outcome.PASS
    assert evidence.target == f"GET {url}/page"


async def test_a_redirect_does_not_pass_for_the_page_and_is_not_followed(url: str, shop: Shop) -> None:
    evidence = await examine("http", {"url": f"{url}/moved"})
    assert evidence.outcome is Outcome.FAIL
    assert shop.asked == ["GET /moved"]
    assert "302" in evidence.observed and "s3cr3t" not in evidence.observed


async def test_a_slow_answer_warns(url: str) -> None:
    evidence = await examine("http", {"url": f"{url}/slow/60"}, warn={"ms": "> 50"})
    assert evidence.outcome is Outcome.WARN


async def test_a_wrong_status_fails_and_shows_what_was_said(url: str) -> None:
    evidence = await examine("http", {"url": f"{url}/status/500"})
    assert evidence.outcome is Outcome.FAIL
    assert "said so" in evidence.excerpt


async def test_nobody_listening_fails() -> None:
    evidence = await examine("http", {"url": f"http://127.0.0.1:{free_port()}/"})
    assert evidence.outcome is Outcome.FAIL
    assert "nothing listens there" in evidence.reason


async def test_a_known_query_finds_its_known_item(url: str) -> None:
    evidence = await examine(
        "http",
        {
            "url": f"{url}/items?page=1",
            "query": {"q": "red"},
            "extract": {"first": "items[0].id", "names": "items[].name", "total": "total"},
        },
        expect={"first": 1, "names": "~ (?i)red", "total": ">= 1"},
    )
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_an_item_that_is_not_found_fails(url: str) -> None:
    evidence = await examine(
        "http",
        {"url": f"{url}/items", "query": {"q": "green"}, "extract": {"first": "items[0].id"}},
        expect={"first": 1},
    )
    assert evidence.outcome is Outcome.FAIL


async def test_a_filter_that_lets_a_wrong_row_through_fails(url: str) -> None:
    evidence = await examine(
        "http",
        {"url": f"{url}/items", "extract": {"names": "items[].name"}},
        expect={"names": "~ (?i)red"},
    )
    assert evidence.outcome is Outcome.FAIL


async def test_a_page_instead_of_json_fails_even_where_a_value_should_be_absent(url: str) -> None:
    evidence = await examine(
        "http", {"url": f"{url}/page", "extract": {"error": "error"}}, expect={"error": None}
    )
    assert evidence.outcome is Outcome.FAIL
    assert "json is no" in evidence.reason


async def test_a_comparison_with_what_is_absent_is_unknown(url: str) -> None:
    evidence = await examine(
        "http", {"url": f"{url}/items", "extract": {"n": "nothing"}}, expect={"n": "> 1"}
    )
    assert evidence.outcome is Outcome.UNKNOWN


async def test_text_is_found_in_a_page(url: str) -> None:
    params = {"url": f"{url}/page", "find": {"greeting": "<p>(.*?)</p>", "error": "Oops"}}
    evidence = await examine("http", params, expect={"greeting": "Welcome", "error": None})
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_headers_are_values_and_those_the_answer_lacks_are_absent(url: str) -> None:
    evidence = await examine(
        "http",
        {"url": f"{url}/version"},
        expect={
            "header.X-Version": "v1.4.2",
            "header.x-powered-by": None,
            "content_type": "application/json",
        },
    )
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_a_token_opens_a_guarded_route_and_appears_nowhere(url: str) -> None:
    token = Secret("api_token", make_token())
    evidence = await examine("http", {"url": f"{url}/me", "bearer": token}, secrets=[token])
    assert evidence.outcome is Outcome.PASS
    assert token.reveal() not in repr(evidence)


async def test_no_token_and_a_bad_token_are_refused(url: str) -> None:
    for headers in ({}, {"Authorization": "Bearer invalid"}):
        params = {"url": f"{url}/me", "headers": headers}
        assert (await examine("http", params, expect={"status": [401, 403]})).outcome is Outcome.PASS
        assert (await examine("http", params)).outcome is Outcome.FAIL


async def test_a_user_and_password_open_a_guarded_route(url: str) -> None:
    params = {"url": f"{url}/me", "user": "ana", "password": Secret("password", PASSWORD)}
    assert (await examine("http", params)).outcome is Outcome.PASS


async def test_secrets_inside_a_json_body_are_sent_and_cookies_of_the_answer_are_not_kept(url: str) -> None:
    body = {"user": "ana", "password": Secret("password", PASSWORD)}
    evidence = await examine("http", {"url": f"{url}/login", "method": "POST", "json": body})
    assert evidence.outcome is Outcome.PASS
    assert "s3cr3t" not in repr(evidence)
    assert "session=•••" in evidence.values["header"]["set-cookie"]


async def test_forms_and_plain_bodies_are_sent_as_such(url: str) -> None:
    form = {"url": f"{url}/echo", "method": "POST", "form": {"a": "1 2"}, "extract": {"body": "body"}}
    assert (await examine("http", form, expect={"body": "a=1+2"})).outcome is Outcome.PASS
    plain = {"url": f"{url}/echo", "method": "PUT", "body": "as it is", "extract": {"body": "body"}}
    assert (await examine("http", plain, expect={"body": "as it is"})).outcome is Outcome.PASS


async def test_a_get_that_was_cut_off_is_tried_again_and_says_so(url: str, shop: Shop) -> None:
    evidence = await examine("http", {"url": f"{url}/drops/1"}, attempts=2)
    assert evidence.outcome is Outcome.PASS
    assert evidence.attempts == 2
    assert "(at try 2)" in evidence.observed


async def test_a_post_that_was_cut_off_is_never_sent_again(url: str, shop: Shop) -> None:
    evidence = await examine("http", {"url": f"{url}/rough", "method": "POST"}, attempts=2)
    assert evidence.outcome is Outcome.FAIL
    assert shop.asked == ["POST /rough"]


async def test_a_host_that_is_not_allowed_is_an_error(url: str) -> None:
    evidence = await examine("http", {"url": f"{url}/page"}, context=make_context(allow=["shop.example"]))
    assert evidence.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    "params",
    [
        {"extract": {"status": "x"}},
        {"extract": {"a": "x["}},
        {"find": {"a": "("}},
        {"extract": {"a": "x"}, "find": {"a": "x"}},
        {"json": {}, "body": "x"},
        {"user": "ana"},
    ],
)
def test_parameters_that_make_no_sense_are_found_at_start_up(params: dict[str, Any]) -> None:
    assert Http().problem(HttpParams.model_validate({"url": "http://localhost/", **params}))


# ── http.version ─────────────────────────────────────────────────────────────────────────────────────────


async def version(url: str, **params: Any) -> Evidence:
    return await examine("http.version", {"url": f"{url}/version", "path": "build.version", **params})


async def test_the_version_of_the_deployment_answers_everywhere(url: str, shop: Shop) -> None:
    evidence = await version(url, urls=[f"{url}/version?via=cdn"])
    assert evidence.outcome is Outcome.PASS
    assert evidence.facts == {"version": "v1.4.2"}
    assert len(shop.asked) == 10


async def test_one_old_instance_among_several_fails(url: str, shop: Shop) -> None:
    shop.versions = ["v1.4.2", "v1.4.2", "v1.4.1"]
    evidence = await version(url)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["match"] == "some"
    assert evidence.values["versions"] == ["v1.4.1", "v1.4.2"]


async def test_an_instance_that_still_starts_fails(url: str, shop: Shop) -> None:
    shop.versions = ["v1.4.2", "503"]
    evidence = await version(url)
    assert evidence.outcome is Outcome.FAIL
    assert "HTTP 503" in evidence.values["versions"]


async def test_the_old_version_everywhere_fails(url: str) -> None:
    evidence = await version(url, expected="v1.4.3")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["match"] == "none"


async def test_an_answer_that_tells_no_version_is_unknown(url: str) -> None:
    assert (await version(url, path="build.revision")).outcome is Outcome.UNKNOWN


async def test_no_version_to_expect_is_an_error(url: str) -> None:
    params = {"url": f"{url}/version", "path": "build.version"}
    evidence = await examine("http.version", params, context=make_context(version=""))
    assert evidence.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    "source",
    [
        {"url": "/version", "path": "build.version"},
        {"url": "/version", "header": "X-Version"},
        {"url": "/page", "find": 'name="build" content="([^"]+)"'},
        {"url": "/version-plain"},
    ],
)
async def test_the_version_is_read_from_json_header_page_or_plain_text(
    url: str, source: dict[str, str]
) -> None:
    evidence = await examine("http.version", {**source, "url": url + source["url"]})
    assert evidence.outcome is Outcome.PASS, evidence.reason


@pytest.mark.parametrize(
    ("told", "expected", "same"),
    [
        ("v1.4.2", "1.4.2", True),
        ("1.4.2", "1.4.20", False),
        ("1.10", "1.1", False),
        ("3f1c2ab", "3f1c2ab9d0e4c1b2a3f4e5d6c7b8a9f0e1d2c3b4", True),
        ("3F1C2AB", "3f1c2ab9d0", True),
        ("3f1c2a", "3f1c2ab9d0", False),
        ("3f1c2ac", "3f1c2ab9d0", False),
        ("vanilla", "anilla", False),
    ],
)
def test_a_v_and_the_length_of_a_commit_id_do_not_count(told: str, expected: str, same: bool) -> None:
    assert same_version(told, expected) is same


# ── http.latency ─────────────────────────────────────────────────────────────────────────────────────────


async def test_quick_routes_pass(url: str) -> None:
    params = {"url": f"{url}/items", "urls": [f"{url}/page"], "requests": 5}
    evidence = await examine("http.latency", params, fail={"p95_ms": "> 5000"}, warn={"p95_ms": "> 5000"})
    assert evidence.outcome is Outcome.PASS
    assert evidence.values["requests"] == 10
    assert evidence.values["p50_ms"] <= evidence.values["p95_ms"] <= evidence.values["max_ms"]


async def test_the_slowest_route_decides(url: str) -> None:
    params = {"url": f"{url}/items", "urls": [f"{url}/slow/40"], "requests": 5}
    warned = await examine("http.latency", params, warn={"p95_ms": "> 39"}, fail={"p95_ms": "> 5000"})
    assert warned.outcome is Outcome.WARN
    assert warned.values["p50_ms"] >= 40
    assert (await examine("http.latency", params, fail={"p95_ms": "> 39"})).outcome is Outcome.FAIL


async def test_quick_errors_do_not_make_a_route_fast(url: str, shop: Shop) -> None:
    shop.versions = ["v1.4.2", "503"]
    evidence = await examine("http.latency", {"url": f"{url}/version", "requests": 6})
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["errors"] == 3


async def test_a_route_that_only_redirects_fails(url: str) -> None:
    evidence = await examine("http.latency", {"url": f"{url}/moved", "requests": 5})
    assert evidence.outcome is Outcome.FAIL
    assert "answers 302" in evidence.reason


async def test_a_percentile_that_was_not_measured_is_unknown(url: str) -> None:
    evidence = await examine("http.latency", {"url": f"{url}/items", "requests": 5}, fail={"p99_ms": "> 900"})
    assert evidence.outcome is Outcome.UNKNOWN


async def test_a_url_that_is_none_is_an_error() -> None:
    assert (await examine("http.latency", {"url": "items"})).outcome is Outcome.ERROR


def test_percentiles_are_times_that_were_measured() -> None:
    times = [float(number) for number in range(1, 21)]
    assert (percentile(times, 50), percentile(times, 95), percentile([7.0], 95)) == (10.0, 19.0, 7.0)


# ── http.negative ────────────────────────────────────────────────────────────────────────────────────────


async def test_wrong_requests_that_are_refused_as_problems_pass(url: str, shop: Shop) -> None:
    evidence = await examine(
        "http.negative",
        {
            "url": url,
            "not_allowed_url": f"{url}/items",
            "json_url": f"{url}/items",
            "id_url": f"{url}/items/{{id}}",
        },
    )
    assert evidence.outcome is Outcome.PASS, evidence.excerpt
    assert evidence.values["cases"] == 4
    assert "PATCH /items" in shop.asked


async def test_a_breakdown_with_a_stack_trace_fails(url: str) -> None:
    evidence = await examine("http.negative", {"url": url, "id_url": f"{url}/rough/{{id}}"})
    assert evidence.outcome is Outcome.FAIL
    assert (evidence.values["server_errors"], evidence.values["leaks"]) == (1, 1)


async def test_a_service_that_breaks_off_fails(url: str) -> None:
    evidence = await examine("http.negative", {"url": url, "json_url": f"{url}/rough"})
    assert evidence.outcome is Outcome.FAIL
    assert "breaks off" in evidence.excerpt


async def test_an_error_that_is_no_problem_document_warns_unless_that_is_meant(url: str) -> None:
    params = {"url": url, "not_allowed_url": f"{url}/status/405", "not_allowed_method": "GET"}
    assert (await examine("http.negative", params)).outcome is Outcome.WARN
    assert (await examine("http.negative", {**params, "problem_json": False})).outcome is Outcome.PASS


async def test_an_unknown_path_that_is_answered_with_200_warns(url: str) -> None:
    evidence = await examine("http.negative", {"url": url, "id_url": f"{url}/items?id={{id}}"})
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["accepted"] == 1


async def test_wrong_requests_that_reach_no_route_prove_nothing(url: str) -> None:
    evidence = await examine("http.negative", {"url": f"{url}/me", "id_url": f"{url}/status/401?{{id}}"})
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["not_reached"] == 1


async def test_a_guarded_service_without_credentials_is_unknown(url: str) -> None:
    evidence = await examine("http.negative", {"url": f"{url}/guarded"})
    assert evidence.outcome is Outcome.UNKNOWN
    assert "credentials" in evidence.reason


async def test_negative_requests_to_an_address_not_allowed_are_an_error(url: str) -> None:
    context = make_context(allow=["shop.example"])
    assert (await examine("http.negative", {"url": url}, context=context)).outcome is Outcome.ERROR
