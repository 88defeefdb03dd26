"""The kinds `ratelimit.…`, against a real nginx that limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.checks.kinds.ratelimit import Burst, BurstParams
from bot.domain.check import Evidence, Outcome
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.nginx import Nginx, Server, running_nginx
from tests.servers.shop import Shop, serving

LIMITED = """
    location / {{ limit_req zone=strict burst=3 nodelay; {more} proxy_pass {url}/items; }}
"""


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Shop, str]]:
    found = Shop()
    with serving(found.app) as url:
        yield found, url


@pytest.fixture(scope="module")
def nginx(shop: tuple[Shop, str]) -> Iterator[Nginx]:
    status = "limit_req_status 429;"
    retry = status + "error_page 429 = @limited;"
    polite = "location @limited { add_header Retry-After 1 always; return 429; }"
    servers = {
        "limited": Server(body=LIMITED.format(more=status, url=shop[1])),
        "polite": Server(body=LIMITED.format(more=retry, url=shop[1]) + polite),
        "status-503": Server(body=LIMITED.format(more="", url=shop[1])),
        # nginx answers `return` before limit_req is asked: it looks limited and is not.
        "return": Server(body=f"location / {{ limit_req zone=strict burst=3; {status} return 200; }}"),
        "closed": Server(body="location / { return 429; }"),
        "absent": Server(body="location / { return 404; }"),
    }
    with running_nginx(servers) as running:
        yield running


async def burst(url: str, **params: Any) -> Evidence:
    # Slow enough that a busy machine keeps up, far above the limit of 2 requests a second.
    return await examine("ratelimit.burst", {"url": url, "max_requests": 15, "per_second": 25, **params})


# ── ratelimit.burst ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_route_that_limits_and_says_when_to_come_back_passes_and_the_burst_stops(
    nginx: Nginx,
) -> None:
    evidence = await burst(nginx.url("polite", "/pass"), max_requests=200)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert 4 <= evidence.values["first_429"] <= 8
    assert evidence.values["requests"] < 30


async def test_a_429_without_retry_after_warns(nginx: Nginx) -> None:
    evidence = await burst(nginx.url("limited", "/warn"))
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["retry_after"] == "missing"


async def test_a_route_of_nginx_that_only_looks_limited_fails(nginx: Nginx) -> None:
    evidence = await burst(nginx.url("return"))
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["requests"] == 15
    assert "no 429 in 15 requests (200 ×15)" in evidence.observed


async def test_a_limit_that_answers_503_fails_and_says_what_it_may_be(nginx: Nginx) -> None:
    evidence = await burst(nginx.url("status-503"))
    assert evidence.outcome is Outcome.FAIL
    assert "limit_req_status" in evidence.observed


async def test_a_route_that_lets_nobody_through_warns(nginx: Nginx) -> None:
    evidence = await burst(nginx.url("closed"))
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["first_429"] == 1


async def test_a_route_that_is_not_there_is_an_error(nginx: Nginx) -> None:
    assert (await burst(nginx.url("absent"))).outcome is Outcome.ERROR


async def test_a_route_too_slow_to_be_hurried_is_unknown(shop: tuple[Shop, str]) -> None:
    evidence = await burst(f"{shop[1]}/slow/300", max_requests=20, per_second=100)
    assert evidence.outcome is Outcome.UNKNOWN
    assert "too slow" in evidence.reason


async def test_nobody_listening_fails_after_a_few_requests_and_is_not_tried_again() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    evidence = await examine("ratelimit.burst", {"url": url, "per_second": 100}, attempts=2)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.attempts == 1


async def test_a_burst_never_goes_to_an_address_that_is_not_allowed(nginx: Nginx) -> None:
    context = make_context(allow=["shop.example"])
    evidence = await examine("ratelimit.burst", {"url": nginx.url("limited")}, context=context)
    assert evidence.outcome is Outcome.ERROR
    assert "nothing was contacted" in evidence.reason


async def test_no_more_requests_are_made_than_allowed(shop: tuple[Shop, str]) -> None:
    shop[0].asked.clear()
    await burst(f"{shop[1]}/items", max_requests=7, method="POST", body="{}")
    assert shop[0].asked == ["POST /items"] * 7


def test_a_burst_that_takes_too_long_is_found_at_start_up() -> None:
    params = BurstParams.model_validate({"url": "http://localhost/", "max_requests": 500, "per_second": 1})
    assert Burst().problem(params)
    assert not Burst.cheap and not Burst.repeatable


# ── ratelimit.inspect ────────────────────────────────────────────────────────────────────────────────────


async def inspect(shop: tuple[Shop, str], form: str, **params: Any) -> Evidence:
    return await examine("ratelimit.inspect", {"url": f"{shop[1]}/limits/{form}", **params})


@pytest.mark.parametrize("form", ["draft-10", "draft-07"])
async def test_a_limit_advertised_as_declared_passes(shop: tuple[Shop, str], form: str) -> None:
    assert (await inspect(shop, form, limit=100, window="1m")).outcome is Outcome.PASS


@pytest.mark.parametrize("form", ["draft-06", "x"])
async def test_a_window_that_is_not_advertised_is_unknown_unless_left_out(
    shop: tuple[Shop, str], form: str
) -> None:
    assert (await inspect(shop, form, limit=100, window="1m")).outcome is Outcome.UNKNOWN
    assert (await inspect(shop, form, limit=100)).outcome is Outcome.PASS


@pytest.mark.parametrize("form", ["draft-10", "draft-07", "draft-06", "x"])
async def test_another_limit_than_declared_fails(shop: tuple[Shop, str], form: str) -> None:
    evidence = await inspect(shop, form, limit=50, window="1m")
    assert evidence.outcome is Outcome.FAIL


async def test_another_window_than_declared_fails(shop: tuple[Shop, str]) -> None:
    assert (await inspect(shop, "draft-07", limit=100, window="1h")).outcome is Outcome.FAIL


async def test_nothing_advertised_is_unknown(shop: tuple[Shop, str]) -> None:
    evidence = await inspect(shop, "nothing", limit=100)
    assert evidence.outcome is Outcome.UNKNOWN
    assert "advertises no limit" in evidence.reason


async def test_an_error_that_advertises_nothing_is_unknown(nginx: Nginx) -> None:
    evidence = await examine("ratelimit.inspect", {"url": nginx.url("absent"), "limit": 100})
    assert evidence.outcome is Outcome.UNKNOWN


async def test_a_low_limit_warns_where_that_is_asked_for(shop: tuple[Shop, str]) -> None:
    params = {"url": f"{shop[1]}/limits/x", "limit": 100}
    assert (await examine("ratelimit.inspect", params, warn={"limit": "< 1000"})).outcome is Outcome.WARN


async def test_a_url_that_is_none_is_an_error() -> None:
    assert (await examine("ratelimit.inspect", {"url": "x", "limit": 1})).outcome is Outcome.ERROR
