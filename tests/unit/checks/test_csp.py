"""What weakens a content security policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.csp import SEVERITIES, effective, evaluate, read_policies

STRICT = "script-src 'nonce-r4nd0mr4nd0m' 'strict-dynamic' https: 'unsafe-inline'; object-src 'none'; base-uri 'none'"


def severities(header: str) -> set[str]:
    return {finding.severity for finding in evaluate(read_policies(header))}


def found(header: str) -> set[tuple[str, str, str]]:
    return {(one.severity, one.directive, one.value) for one in evaluate(read_policies(header))}


def test_a_strict_policy_has_no_findings_though_it_holds_fallbacks_for_old_browsers() -> None:
    assert severities(STRICT) == set()


@pytest.mark.parametrize(
    ("header", "finding"),
    [
        ("script-src 'unsafe-inline'; object-src 'none'", ("high", "script-src", "'unsafe-inline'")),
        ("script-src 'UNSAFE-INLINE'; object-src 'none'", ("high", "script-src", "'unsafe-inline'")),
        ("default-src 'unsafe-inline'", ("high", "script-src", "'unsafe-inline'")),
        ("script-src *; object-src 'none'", ("high", "script-src", "*")),
        ("script-src https://*; object-src 'none'", ("high", "script-src", "https://*")),
        ("script-src https:; object-src 'none'", ("high", "script-src", "https:")),
        ("script-src data:; object-src 'none'", ("high", "script-src", "data:")),
        ("script-src 'self'", ("high", "object-src", "")),
        ("object-src 'none'", ("high", "script-src", "")),
        ("script-src 'self'; object-src *", ("high", "object-src", "*")),
        ("script-src 'nonce-r4nd0mr4nd0m'; object-src 'none'", ("high", "base-uri", "")),
        (
            "script-src https://cdn.jsdelivr.net; object-src 'none'",
            ("high", "script-src", "https://cdn.jsdelivr.net"),
        ),
        (
            "script-src 'self'; script-src-elem 'unsafe-inline'; object-src 'none'",
            ("high", "script-src-elem", "'unsafe-inline'"),
        ),
        (
            "script-src 'nonce-short' ; object-src 'none'; base-uri 'none'",
            ("medium", "script-src", "'nonce-short'"),
        ),
        (
            "default-src 'self'; img-src http://pictures.example.com",
            ("medium", "img-src", "http://pictures.example.com"),
        ),
        ("default-src 'self' object-src 'none'", ("syntax", "default-src", "object-src")),
        ("default-src self", ("syntax", "default-src", "self")),
        ("default-src 'sellf'", ("syntax", "default-src", "'sellf'")),
        ("script-source 'self'; default-src 'self'", ("syntax", "script-source", "")),
        ("default-src 'self'", ("medium_maybe", "script-src", "'self'")),
        (
            "script-src 'none' 'unsafe-eval'; object-src 'none'",
            ("medium_maybe", "script-src", "'unsafe-eval'"),
        ),
    ],
)
def test_each_weakness_is_found(header: str, finding: tuple[str, str, str]) -> None:
    assert finding in found(header)


def test_a_package_host_limited_to_a_path_is_not_taken_for_the_whole_host() -> None:
    assert "high" not in severities("script-src https://cdn.jsdelivr.net/npm/vue@3/; object-src 'none'")


def test_the_first_directive_of_a_name_counts() -> None:
    policy = read_policies("script-src 'none'; script-src *; object-src 'none'")[0]
    assert effective(policy, "script-src") == ("'none'",)


def test_several_policies_are_as_strong_as_their_strongest() -> None:
    assert severities("default-src 'none', frame-ancestors 'none'") == set()
    assert "high" in severities(
        "script-src *; object-src 'none', script-src 'unsafe-inline'; object-src 'none'"
    )


def test_frame_ancestors_do_not_count_in_a_meta_element() -> None:
    assert read_policies("frame-ancestors 'none'", meta=True) == []


def test_no_policy_has_no_findings() -> None:
    assert evaluate(read_policies("")) == []
    assert evaluate(read_policies(" ; ,;")) == []


words = st.sampled_from(
    [
        "script-src",
        "default-src",
        "object-src",
        "'self'",
        "'none'",
        "*",
        "https:",
        ";",
        ",",
        "'nonce-x'",
        "'strict-dynamic'",
        "x.example.com",
    ]
)


@given(st.lists(words, max_size=12))
def test_any_policy_is_read_and_its_findings_are_sorted(parts: list[str]) -> None:
    severities = [finding.severity for finding in evaluate(read_policies(" ".join(parts)))]
    assert severities == sorted(severities, key=SEVERITIES.index)


@given(st.lists(words, max_size=12))
def test_a_further_policy_never_makes_more_high_findings(parts: list[str]) -> None:
    one = read_policies(" ".join(part for part in parts if part != ","))
    alone = {(f.severity, f.directive) for f in evaluate(one) if f.severity == "high"}
    both = {
        (f.severity, f.directive) for f in evaluate([*one, *read_policies(STRICT)]) if f.severity == "high"
    }
    assert both <= alone
