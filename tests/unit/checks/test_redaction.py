"""Secrets and what looks like one are taken out of texts, in every form they come back in."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.redaction import MASK, Redactor
from bot.domain.check import Secret

VALUE = 'tr0ub4dor&3 "x"/ö+'


def redactor(value: str = VALUE) -> Redactor:
    return Redactor([Secret("password", value)])


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        quote(VALUE, safe=""),
        quote(VALUE, safe="").lower(),
        quote_plus(VALUE),
        json.dumps(VALUE)[1:-1],
        json.dumps(VALUE, ensure_ascii=False)[1:-1],
        html.escape(VALUE),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        base64.b64encode(f"ana:{VALUE}".encode()).decode(),
        base64.b64encode(f"benny:{VALUE}".encode()).decode(),
        base64.b64encode(f"ana:{VALUE}:more".encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_form(form: str) -> None:
    cleaned = redactor().clean(f"before {form} after")
    assert MASK in cleaned
    assert form not in cleaned
    assert cleaned.startswith("before ") and cleaned.endswith(" after")


@given(
    st.text(min_size=4, max_size=40).filter(lambda text: text.strip() and MASK not in text),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_any_secret_is_masked_in_any_text(value: str, before: str, after: str) -> None:
    # What is left may still hold the same letters by chance, e.g. a secret `0000` in `00 0000 00`.
    assert MASK in redactor(value).clean(f"{before}{value}{after}")


@given(
    st.binary(max_size=7),
    st.text(alphabet="abcdefXYZ0123456789!$", min_size=8, max_size=30),
    st.binary(max_size=7),
)
def test_a_secret_is_masked_inside_any_base64(before: bytes, value: str, after: bytes) -> None:
    encoded = base64.b64encode(before + value.encode() + after).decode()
    assert MASK in redactor(value).clean(encoded)
    safe = base64.urlsafe_b64encode(before + value.encode() + after).decode()
    assert MASK in redactor(value).clean(safe)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("  authorization: token abcdef123456", "abcdef123456"),
        ("Proxy-Authorization: Basic YW5hOnB3", "YW5hOnB3"),
        ("Cookie: session=abcdef; theme=dark", "abcdef"),
        ("set-cookie: session=abcdef; Secure", "abcdef"),
        ("x-api-key: abcdef123456", "abcdef123456"),
        ("curl -H 'Authorization: Bearer abcdef123456'", "abcdef123456"),
        ("curl -H 'Authorization: ApiKey abcdef123456' https://shop", "abcdef123456"),
        ("got {'content-type': 'text/html', 'set-cookie': 'session=abcdef'}", "abcdef"),
        ("[(b'authorization', b'Digest abcdef123456')]", "abcdef123456"),
        ("sent Cookie: session=abcdef", "abcdef"),
        ("postgresql://ana:s3cr3t@db.internal/shop", "s3cr3t"),
        ("redis://:s3cr3t@cache.internal:6379/0", "s3cr3t"),
        ("https://shop.example.com/?api_key=s3cr3t&x=1", "s3cr3t"),
        ('{"access_token": "s3cr3t-value", "x": 1}', "s3cr3t-value"),
        ("password=s3cr3t", "s3cr3t"),
        ("AWS_SECRET_ACCESS_KEY: s3cr3t", "s3cr3t"),
        ("token eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl end", "eyJzdWIiOiJhbmEifQ"),
        ("xoxb-1234567890-abcdef", "1234567890-abcdef"),
        ("ghp_abcdefghijklmnop", "abcdefghijklmnop"),
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, secret: str) -> None:
    cleaned = Redactor().clean(text)
    assert secret not in cleaned
    assert MASK in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "63 days left, TLSv1.3, CN=shop.example.com",
        "200, 12 ms, 1234 bytes",
        "https://shop.example.com/items?q=red",
        "p95 212 ms at 14:05:07",
        "5 tokens refused",
        "headers: cookie: not set, cache-control: no-store",
        "/docs/authorization: 200 ms",
    ],
)
def test_ordinary_evidence_stays_as_it_is(text: str) -> None:
    assert Redactor().clean(text) == text


def test_a_secret_too_short_to_be_told_from_text_is_left() -> None:
    assert redactor("abc").clean("abc") == "abc"


def test_a_longer_secret_is_masked_whole_though_it_holds_a_shorter_one() -> None:
    both = Redactor([Secret("short", "hunter"), Secret("long", "hunter22")])
    assert both.clean("hunter22 hunter") == f"{MASK} {MASK}"


def test_the_password_of_a_secret_that_is_a_url_is_masked_by_itself_too() -> None:
    dsn = redactor("postgresql://ana:p%40ssw0rd@db.internal/shop")
    for form in ("p%40ssw0rd", "p@ssw0rd"):
        assert dsn.clean(f"authentication failed with {form}") == f"authentication failed with {MASK}"
    assert "db.internal" in dsn.clean("no answer from db.internal")


def test_a_secret_shows_nothing_when_it_is_printed() -> None:
    secret = Secret("password", "s3cr3t")
    assert "s3cr3t" not in f"{secret} {secret!r} {[secret]}"


@given(st.text(max_size=80))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = Redactor().clean(text)
    assert Redactor().clean(once) == once
