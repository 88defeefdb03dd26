"""What PostgreSQL's figures come to, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.kind import Broken, NoData
from bot.checks.postgres.dsn import parse
from bot.checks.postgres.statements import difference, judged
from bot.checks.queries import Rows, is_hit, plain, with_marker


def statement(query: str, calls: float, total_ms: float) -> dict[str, Any]:
    return {"query": query, "calls": calls, "total_ms": total_ms}


def figures(*rows: dict[str, Any], min_calls: int = 10, min_share: float = 0.0) -> Any:
    return judged(rows, min_calls=min_calls, min_share=min_share, target="db", period="today")


def test_the_highest_mean_is_the_worst_not_the_highest_total() -> None:
    seen = figures(statement("busy", 10_000, 9_000), statement("slow", 10, 1_000))
    assert (seen.values["worst_mean_ms"], seen.values["worst_share"]) == (100, 0.1)
    assert seen.excerpt.splitlines()[0].endswith("slow")


def test_a_statement_below_the_share_does_not_count_and_the_rest_may_be_nothing() -> None:
    rows = (statement("busy", 10_000, 9_000), statement("slow", 10, 1_000))
    assert figures(*rows, min_share=0.2).values["worst_mean_ms"] == 0.9
    assert figures(*rows, min_share=0.95).values["worst_mean_ms"] == 0


def test_statements_called_too_seldom_are_no_data() -> None:
    with pytest.raises(NoData):
        figures(statement("once", 1, 9_000))
    with pytest.raises(NoData):
        figures()


def test_a_literal_left_in_a_statement_is_not_shown() -> None:
    seen = figures(statement("select 1 where name = 'it''s private'", 10, 10))
    assert "private" not in seen.excerpt


@given(st.integers(1, 50), st.integers(0, 50), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_difference_is_what_was_added(before: int, added: int, spent: float, more: float) -> None:
    key = (1, 2, "q")
    old, new = statement("q", before, spent), statement("q", before + added, spent + more)
    found = difference({key: old}, {key: new})
    assert (key in found) == (added > 0)
    if added:
        assert found[key]["calls"] == added
        assert found[key]["total_ms"] == pytest.approx(more, abs=1e-6 * max(spent, 1))


def test_a_statement_that_began_anew_counts_whole() -> None:
    key = (1, 2, "q")
    reset = statement("q", 3, 30)
    assert difference({key: statement("q", 50, 500)}, {key: reset}) == {key: reset}
    assert difference({}, {key: reset}) == {key: reset}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select 1 where a = :marker", "select 1 where a = $1"),
        ("select :marker::text, ':x'", "select $1::text, ':x'"),
        ("where a = :marker or b = :marker", "where a = $1 or b = $1"),
    ],
)
def test_the_marker_becomes_a_parameter(query: str, expected: str) -> None:
    assert with_marker(query) == expected


@pytest.mark.parametrize("query", ["select 1", "select '::marker'", "select :markers", "select x::marker"])
def test_a_query_without_the_marker_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="find anything"):
        with_marker(query)


@pytest.mark.parametrize(
    ("rows", "hit"),
    [
        ([], False),
        ([{"count": 0}], False),
        ([{"exists": False}], False),
        ([{"max": None}], False),
        ([{"count": 1}], True),
        ([{"id": 0, "at": "x"}], True),
        ([{"n": 0}, {"n": 0}], True),
    ],
)
def test_a_count_of_zero_is_no_hit(rows: list[dict[str, Any]], hit: bool) -> None:
    assert is_hit(Rows(rows=rows)) is hit


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("10"), 10),
        (Decimal("1.5"), 1.5),
        (datetime(2026, 3, 2, tzinfo=UTC), "2026-03-02T00:00:00+00:00"),
        (timedelta(minutes=2), 120.0),
        (b"secret", "6 bytes"),
        ([Decimal("2"), None], [2, None]),
        (True, True),
    ],
)
def test_values_become_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


def test_a_url_is_taken_apart() -> None:
    dsn = parse("postgresql+asyncpg://u%40x:p%2Fw@[::1]:6543/my%20db?sslmode=verify-full&sslrootcert=/ca.pem")
    assert (dsn.host, dsn.port, dsn.database, dsn.user) == ("::1", 6543, "my db", "u@x")
    assert (dsn.password, dsn.sslmode, dsn.root_cert) == ("p/w", "verify-full", "/ca.pem")
    assert "p/w" not in repr(dsn)
    assert parse("postgres://app@db").database == "app"
    assert parse("postgres://app@db?ssl=true").sslmode == "require"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://u:s3cret@h1,h2/d", "several hosts"),
        ("postgresql:///d?host=/run", "no host"),
        ("postgresql://u:s3cret@h:port/d", "port is no number"),
        ("postgresql://u:s3cret@[::1/d", "brackets"),
        ("postgresql://u:s3cret@h/d?sslmode=maybe", "sslmode"),
        ("postgresql://h/d", "no user"),
        ("mysql://u:s3cret@h/d", "no driver for mysql"),
        ("host=h password=s3cret", "no scheme"),
    ],
)
def test_a_url_that_cannot_be_used_is_said_so_without_its_password(url: str, why: str) -> None:
    with pytest.raises(Broken, match=why) as caught:
        parse(url)
    assert "s3cret" not in str(caught.value)
