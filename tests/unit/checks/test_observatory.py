"""Grades for security headers, after the Observatory's published table."""

from __future__ import annotations

from typing import Any

import pytest

from bot.checks.kind import Answer
from bot.checks.observatory import Visit, grade
from bot.checks.redirects import WayToHttps

ORIGIN = "https://deploybot.invalid"
GOOD = {
    "content-type": "text/html",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; frame-ancestors 'none'",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cross-origin-resource-policy": "same-origin",
}


def visit(
    headers: dict[str, str],
    body: str = "<p>hi</p>",
    *,
    url: str = "https://shop.example.com/",
    way: WayToHttps | None = None,
    foreign: dict[str, str] | None = None,
) -> Visit:
    def page(of: dict[str, str]) -> Answer:
        return Answer(
            status=200,
            headers=of,
            body=body.encode(),
            truncated=False,
            url=url,
            http_version="HTTP/1.1",
            wire_bytes=len(body),
            ms=1.0,
            first_byte_ms=1.0,
            peer="192.0.2.1",
        )

    return Visit(page=page(headers), foreign=page(foreign or headers), origin=ORIGIN, way=way)


def points(test: str, *arguments: Any, **more: Any) -> int:
    return {mark.test: mark.points for mark in grade(visit(*arguments, **more)).marks}[test]


def test_good_headers_earn_an_a_plus_with_their_bonuses() -> None:
    result = grade(visit(GOOD))
    assert (result.score, result.grade) == (100 + 10 + 5 + 5 + 10, "A+")


def test_no_headers_at_all_is_a_d_plus() -> None:
    # -25 policy, -20 HSTS, -5 nosniff, -20 framing = 30 points
    result = grade(visit({"content-type": "text/html"}))
    assert (result.score, result.grade) == (30, "D")


def test_bonuses_do_not_count_below_ninety() -> None:
    without = {**GOOD, "strict-transport-security": "max-age=0"}
    del without["x-content-type-options"]
    result = grade(visit(without))
    assert (result.score, result.grade) == (85, "A-")


def test_the_score_is_never_below_nothing() -> None:
    foreign = {"access-control-allow-origin": ORIGIN, "access-control-allow-credentials": "true"}
    cookies = {"set-cookie": "session=1"}
    result = grade(visit(cookies, url="http://shop.example.com/", foreign=foreign))
    assert (result.score, result.grade) == (0, "F")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("default-src 'none'", 10),
        ("default-src 'self'", 5),
        ("default-src 'self'; style-src 'unsafe-inline'", 0),
        ("default-src 'self'; img-src http://x.example.com", -10),
        ("default-src 'self' 'unsafe-eval'", -10),
        ("default-src 'self'; connect-src http://x.example.com", -20),
        ("default-src 'self' 'unsafe-inline'", -20),
        ("script-src 'self'", -20),
        ("script-src 'self' data:; object-src 'none'", -20),
        ("script-src 'nonce-abcdefgh' 'unsafe-inline'; object-src 'none'; style-src 'self'", 5),
        ("", -25),
    ],
)
def test_the_policy_costs_what_it_lets_in(policy: str, expected: int) -> None:
    assert points("Content-Security-Policy", {**GOOD, "content-security-policy": policy}) == expected


def test_a_policy_that_is_only_reported_counts_as_none() -> None:
    headers = {"content-security-policy-report-only": "default-src 'none'"}
    assert points("Content-Security-Policy", headers) == -25


def test_a_policy_in_a_meta_element_counts() -> None:
    body = """<meta http-equiv="Content-Security-Policy" content="default-src 'self'">"""
    assert points("Content-Security-Policy", {"content-type": "text/html; charset=utf-8"}, body) == 5


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        ("session=1; Secure; HttpOnly; SameSite=Lax", 5),
        ("session=1; Secure; HttpOnly", 0),
        ("session=1; Secure", -30),
        ("theme=dark; SameSite=Lax", -5),
        ("session=1; HttpOnly", -10),
        ("theme=1; Secure; SameSite=Perhaps", -20),
        ("csrf=1; Secure", -20),
        ("old=; Max-Age=0", 0),
    ],
)
def test_cookies_cost_the_flags_they_lack(cookie: str, expected: int) -> None:
    assert points("Cookies", {**GOOD, "set-cookie": cookie}) == expected


def test_a_session_without_secure_costs_more_where_no_hsts_protects_it() -> None:
    assert points("Cookies", {"set-cookie": "session=1; HttpOnly"}) == -40
    assert points("Cookies", {"set-cookie": "theme=dark"}) == -20


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (["http://shop.example.com/", "https://shop.example.com/"], 0),
        (["http://shop.example.com/", "https://www.example.com/"], -5),
        (["http://shop.example.com/", "http://www.example.com/", "https://www.example.com/"], -10),
        (["http://shop.example.com/", "http://www.example.com/"], -20),
        (["http://shop.example.com/"], -20),
    ],
)
def test_the_way_from_http_counts(urls: list[str], expected: int) -> None:
    way = WayToHttps(urls=tuple(urls), statuses=(301,) * max(len(urls) - 1, 1))
    assert points("Redirection", GOOD, way=way) == expected


@pytest.mark.parametrize(
    ("allowed", "credentials", "expected"),
    [
        (ORIGIN, "true", -50),
        ("*", "", 0),
        (ORIGIN, "", 0),
        ("https://other.example.com", "true", 0),
        ("", "", 0),
    ],
)
def test_a_page_that_lets_any_origin_in_with_credentials_loses_half(
    allowed: str, credentials: str, expected: int
) -> None:
    foreign = {"access-control-allow-origin": allowed, "access-control-allow-credentials": credentials}
    assert points("CORS", GOOD, foreign=foreign) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>no scripts</p>", 0),
        ("<script src=/app.js></script>", 0),
        ("<script src=https://cdn.example.com/app.js></script>", 0),
        ("<script src=https://other.net/app.js></script>", -5),
        ("<script src=https://other.net/app.js integrity=sha384-x></script>", 5),
        ("<script src=http://other.net/app.js></script>", -50),
        ("<script src=//other.net/app.js integrity=sha384-x></script>", -20),
        ("<script src=/app.js integrity=sha384-x></script>", 5),
    ],
)
def test_foreign_scripts_cost_unless_their_content_is_fixed(body: str, expected: int) -> None:
    assert points("Subresource integrity", GOOD, body) == expected


@pytest.mark.parametrize(
    ("test", "name", "value", "expected"),
    [
        ("Strict-Transport-Security", "strict-transport-security", "max-age=31536000", 0),
        ("Strict-Transport-Security", "strict-transport-security", "max-age=86400", -10),
        ("Strict-Transport-Security", "strict-transport-security", "includeSubDomains", -20),
        ("X-Content-Type-Options", "x-content-type-options", "sniff", -5),
        ("Referrer-Policy", "referrer-policy", "unsafe-url", -5),
        ("Referrer-Policy", "referrer-policy", "no-referrer, strict-origin", 5),
        ("Cross-Origin-Resource-Policy", "cross-origin-resource-policy", "anything", -5),
        ("X-Frame-Options", "x-frame-options", "SAMEORIGIN", 5),
    ],
)
def test_each_header_counts(test: str, name: str, value: str, expected: int) -> None:
    assert points(test, {**GOOD, name: value}) == expected


def test_framing_is_refused_by_either_header() -> None:
    assert points("X-Frame-Options", {"x-frame-options": "DENY"}) == 0
    assert points("X-Frame-Options", {"content-security-policy": "frame-ancestors *"}) == -20
