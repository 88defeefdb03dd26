"""Which silences cover which labels."""

from __future__ import annotations

from typing import Any

import pytest

from bot.checks.silences import covers, in_words

SHOP = {"service": "shop", "environment": "production"}


def silence(*matchers: tuple[str, str, str], state: str = "active") -> dict[str, Any]:
    return {
        "status": {"state": state},
        "matchers": [
            {"name": name, "value": value, "isRegex": "~" in sign, "isEqual": "!" not in sign}
            for name, sign, value in matchers
        ],
        "createdBy": "ana",
        "endsAt": "2026-03-02T13:00:00Z",
    }


@pytest.mark.parametrize(
    "matchers",
    [
        [("service", "=", "shop")],
        [("environment", "=~", "prod.*|staging")],
        [("environment", "!=", "staging")],
        [("service", "=", "shop"), ("alertname", "=", "HighErrorRate")],
        [("alertname", "=~", ".+")],
    ],
)
def test_a_silence_that_may_hold_an_alert_back_covers(matchers: list[tuple[str, str, str]]) -> None:
    assert covers(silence(*matchers), SHOP)


@pytest.mark.parametrize(
    "matchers",
    [
        [("service", "=", "billing")],
        [("environment", "!=", "production")],
        [("environment", "=~", "prod")],
        [("service", "=", "shop"), ("environment", "=", "staging")],
        [("instance", "=", "db-1")],
        [],
    ],
)
def test_a_silence_about_something_else_does_not(matchers: list[tuple[str, str, str]]) -> None:
    assert not covers(silence(*matchers), SHOP)


@pytest.mark.parametrize("state", ["expired", "pending"])
def test_a_silence_that_is_not_active_covers_nothing(state: str) -> None:
    assert not covers(silence(("service", "=", "shop"), state=state), SHOP)


def test_without_labels_every_active_silence_counts() -> None:
    assert covers(silence(("instance", "=", "db-1")), {})


def test_a_silence_is_told_in_one_line() -> None:
    assert in_words(silence(("a", "=~", "b"))) == '{a=~"b"} until 2026-03-02T13:00:00Z by ana'
