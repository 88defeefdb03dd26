"""Selectors found in PromQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.promql import is_selector, quoted, selectors


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("up", ("up",)),
        ('up{job="shop"}', ('up{job="shop"}',)),
        ("rate(x_total[5m])", ("x_total",)),
        ('sum by (le, code) (rate(x_bucket{a="}"}[5m]))', ('x_bucket{a="}"}',)),
        ("sum(rate(a[5m])) by (job) / on (job) group_left (b) sum(c) without (d)", ("a", "c")),
        ("histogram_quantile(0.95, sum by (le) (rate(h_bucket[5m:1m] offset 1h)))", ("h_bucket",)),
        ("a and b or c unless d", ("a", "b", "c", "d")),
        ("a > bool 0.5e3", ("a",)),
        ("job:rate:5m @ start() - 1", ("job:rate:5m",)),
        ('{__name__=~"node_.+", job="n"}', ('{__name__=~"node_.+", job="n"}',)),
        ("x # y\n+ z", ("x", "z")),
        ("x / x", ("x",)),
        ('label_replace(x, "a", "$1", "b", "(.*)")', ("x",)),
        ("vector(1) + time()", ()),
        ("1.5 * 2h", ()),
        ("by", ()),
        ("Inf", ()),
    ],
)
def test_selectors_are_found_without_ranges_functions_and_label_lists(
    query: str, found: tuple[str, ...]
) -> None:
    assert selectors(query) == found


@pytest.mark.parametrize("text", ["up", ' up{job="shop"} ', '{job="shop"}', 'a:b{c=~"[}]",d!="e"}'])
def test_a_plain_selector_is_one(text: str) -> None:
    assert is_selector(text)


@pytest.mark.parametrize(
    "text", ["", "up[5m]", "rate(up[5m])", "up + 1", "up or down", "up offset 5m", "-up"]
)
def test_anything_around_a_selector_makes_it_none(text: str) -> None:
    assert not is_selector(text)


@given(st.text(max_size=60))
def test_any_text_is_read_to_its_end(text: str) -> None:
    assert all(found in text.replace(" ", "") or found for found in selectors(text))


@given(st.text(max_size=20))
def test_a_quoted_label_value_stays_inside_its_string(text: str) -> None:
    query = f"up{{job={quoted(text)}}}"
    assert selectors(query) == (query,)
