"""The kinds `http.tokens`, `http.cookies` and `http.whoami`, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.checks.kind import NoData
from bot.checks.kinds.http.whoami import WhoAmI, WhoAmIParams, moment
from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.shop import PASSWORD, Shop, make_token, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Shop().app) as base:
        yield base


# ── http.tokens ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_route_that_refuses_every_worthless_token_passes(url: str) -> None:
    token, expired = Secret("token", make_token()), Secret("expired", make_token(exp=1))
    params = {"url": f"{url}/me", "token": token, "expired": expired}
    evidence = await examine("http.tokens", params, secrets=[token, expired])
    assert evidence.outcome is Outcome.PASS, evidence.excerpt
    assert evidence.values["cases"] == 10
    assert "altered" in evidence.excerpt and "expired" in evidence.excerpt
    assert token.reveal() not in repr(evidence)


async def test_a_route_that_believes_unsigned_tokens_fails(url: str) -> None:
    evidence = await examine("http.tokens", {"url": f"{url}/trusting", "token": Secret("t", make_token())})
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["accepted"] == 7
    assert "unsigned (none)" in evidence.observed


async def test_a_route_without_a_guard_fails(url: str) -> None:
    evidence = await examine("http.tokens", {"url": f"{url}/items"})
    assert evidence.outcome is Outcome.FAIL


async def test_a_route_that_refuses_the_valid_token_too_proves_nothing_and_fails(url: str) -> None:
    params = {"url": f"{url}/me", "token": Secret("token", make_token(exp=1))}
    evidence = await examine("http.tokens", params)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["valid_token"] == "refused"
    assert evidence.values["accepted"] == 0


async def test_tokens_answered_with_a_5xx_fail(url: str) -> None:
    assert (await examine("http.tokens", {"url": f"{url}/status/500"})).outcome is Outcome.FAIL


async def test_a_route_that_does_not_exist_is_unknown(url: str) -> None:
    assert (await examine("http.tokens", {"url": f"{url}/nothing"})).outcome is Outcome.UNKNOWN


async def test_a_route_that_is_rate_limited_is_unknown(url: str) -> None:
    assert (await examine("http.tokens", {"url": f"{url}/status/429"})).outcome is Outcome.UNKNOWN


async def test_statuses_that_are_a_refusal_can_be_named(url: str) -> None:
    params = {"url": f"{url}/status/404", "refusals": [404]}
    assert (await examine("http.tokens", params)).outcome is Outcome.PASS


async def test_tokens_are_not_sent_to_an_address_not_allowed(url: str) -> None:
    context = make_context(allow=["shop.example"])
    assert (await examine("http.tokens", {"url": f"{url}/me"}, context=context)).outcome is Outcome.ERROR


# ── http.cookies ─────────────────────────────────────────────────────────────────────────────────────────


async def login(url: str, *cookies: str) -> Evidence:
    params = {"url": f"{url}/login-rough", "method": "POST", "json": {"cookies": list(cookies)}}
    return await examine("http.cookies", params)


async def test_a_login_with_all_flags_passes_and_its_session_is_not_kept(url: str) -> None:
    body = {"user": "ana", "password": Secret("password", PASSWORD)}
    evidence = await examine("http.cookies", {"url": f"{url}/login", "method": "POST", "json": body})
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["cookies"] == 2
    assert "s3cr3t" not in repr(evidence)


async def test_a_session_without_secure_fails(url: str) -> None:
    evidence = await login(url, "sid=1; HttpOnly; SameSite=Lax")
    assert evidence.outcome is Outcome.FAIL
    assert "sid without secure" in evidence.observed


async def test_a_session_without_httponly_fails(url: str) -> None:
    assert (await login(url, "sid=1; Secure; SameSite=Lax")).outcome is Outcome.FAIL


async def test_a_session_without_samesite_warns(url: str) -> None:
    assert (await login(url, "sid=1; Secure; HttpOnly")).outcome is Outcome.WARN
    assert (await login(url, "sid=1; Secure; HttpOnly; SameSite=Sometimes")).outcome is Outcome.WARN


async def test_the_second_of_two_cookies_is_looked_at_too(url: str) -> None:
    good = "sid=1; Secure; HttpOnly; SameSite=Lax; Expires=Wed, 02 Dec 2099 10:00:00 GMT"
    assert (await login(url, good, "cart=2; HttpOnly; SameSite=Lax")).outcome is Outcome.FAIL


async def test_a_login_that_sets_no_cookie_is_unknown(url: str) -> None:
    assert (await login(url)).outcome is Outcome.UNKNOWN


async def test_a_login_that_is_refused_fails(url: str) -> None:
    params = {"url": f"{url}/login", "method": "POST", "json": {"user": "ana", "password": "wrong"}}
    assert (await examine("http.cookies", params)).outcome is Outcome.FAIL


async def test_a_login_url_that_is_none_is_an_error() -> None:
    assert (await examine("http.cookies", {"url": "login"})).outcome is Outcome.ERROR


# ── http.whoami ──────────────────────────────────────────────────────────────────────────────────────────


async def whoami(base: str, key: str, path: str = "/key", **params: Any) -> Evidence:
    secret = Secret("key", key)
    given = {"url": f"{base}{path}", "headers": {"X-Api-Key": secret}, **params}
    return await examine("http.whoami", given, secrets=[secret])


async def test_a_valid_key_passes_and_says_whose_it_is(url: str) -> None:
    evidence = await whoami(url, "valid", account="login")
    assert evidence.outcome is Outcome.PASS
    assert "account storefront" in evidence.observed


async def test_a_refused_key_fails_and_appears_nowhere(url: str) -> None:
    evidence = await whoami(url, "revoked-key-123")
    assert evidence.outcome is Outcome.FAIL
    assert "revoked-key-123" not in repr(evidence)


@pytest.mark.parametrize("source", [{"expiry": "expires_at"}, {"expiry_header": "X-Key-Expiration"}])
async def test_a_key_that_expires_soon_warns(url: str, source: dict[str, str]) -> None:
    evidence = await whoami(url, "valid-13", **source)
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["expires_days"] == 13
    assert (await whoami(url, "valid-14", **source)).outcome is Outcome.PASS


async def test_a_key_without_an_expiry_is_unknown_unless_that_means_never(url: str) -> None:
    assert (await whoami(url, "valid", expiry="expires_at")).outcome is Outcome.UNKNOWN
    evidence = await whoami(url, "valid", expiry="expires_at", absent_means_never=True)
    assert evidence.outcome is Outcome.PASS


async def test_a_refused_key_fails_though_its_expiry_is_not_known(url: str) -> None:
    assert (await whoami(url, "bad", expiry="expires_at")).outcome is Outcome.FAIL


@pytest.mark.parametrize("path", ["/status/503", "/status/429", "/status/403?limited"])
async def test_a_provider_that_is_down_or_limits_says_nothing_about_the_key(url: str, path: str) -> None:
    evidence = await whoami(url, "valid", path)
    assert evidence.outcome is Outcome.UNKNOWN


async def test_a_provider_that_does_not_answer_says_nothing_about_the_key(url: str) -> None:
    evidence = await whoami(f"http://127.0.0.1:{free_port()}", "valid")
    assert evidence.outcome is Outcome.UNKNOWN


async def test_a_provider_that_answers_200_to_a_bad_key_is_read_by_its_own_word(url: str) -> None:
    for token, outcome in (("good-token", Outcome.PASS), ("bad-token", Outcome.FAIL)):
        params = {"url": f"{url}/slack-like", "bearer": Secret("token", token), "accepted": "ok"}
        assert (await examine("http.whoami", params)).outcome is outcome


async def test_a_wrong_url_is_an_error(url: str) -> None:
    assert (await whoami(url, "valid", "/nothing")).outcome is Outcome.ERROR


def test_a_request_without_a_key_is_found_at_start_up() -> None:
    assert WhoAmI().problem(WhoAmIParams.model_validate({"url": "http://localhost/"}))


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T12:00:00Z",
        "2026-03-02 12:00:00 UTC",
        "2026-03-02 13:00:00 +0100",
        "2026-03-02T12:00:00",
        "Mon, 02 Mar 2026 12:00:00 GMT",
        1772452800,
        "1772452800",
        1772452800000,
    ],
)
def test_dates_are_read_as_providers_write_them(written: Any) -> None:
    assert moment(written) == datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("written", ["never", "", {}, "1e400"])
def test_what_is_no_date_is_no_data(written: Any) -> None:
    with pytest.raises(NoData):
        moment(written)
