"""Locks: what people type, and what it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deployment import Target
from bot.domain.errors import (
    DeploybotError,
    InvalidName,
    LockReasonMissing,
    LockServiceMissing,
    ReasonTooLong,
    WhenOutOfRange,
)
from bot.domain.locks import Lock, LockWish, obstacle_of, read_lock, read_place
from tests.makers import ANA, NOON, TEAM

#: Noon in UTC is one o'clock in Berlin in winter.
SIX = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
NINE_TOMORROW = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)


def read(text: str) -> LockWish:
    return read_lock(text, known=["production", "blue"], now=NOON, timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("typed", "environment", "until", "reason"),
    [
        ("storefront Database migration", "", None, "Database migration"),
        ("storefront production Database migration", "production", None, "Database migration"),
        ("storefront Blue paint", "Blue", None, "paint"),
        ("storefront for 2h migration", "", NOON + timedelta(hours=2), "migration"),
        ("storefront green for 2h migration", "green", NOON + timedelta(hours=2), "migration"),
        ("storefront for 1h30m migration", "", NOON + timedelta(minutes=90), "migration"),
        ("storefront for 2 hours 30 minutes migration", "", NOON + timedelta(minutes=150), "migration"),
        ("storefront production until 18:00 migration", "production", SIX, "migration"),
        ("storefront until tomorrow 9:00 migration", "", NINE_TOMORROW, "migration"),
        ("storefront until tomorrow migration", "", NINE_TOMORROW, "migration"),
        ("storefront until tomorrow at 9:00: migration", "", NINE_TOMORROW, "migration"),
        ("storefront production Migration until 18:00", "production", SIX, "Migration"),
        ("storefront Migration for 2h", "", NOON + timedelta(hours=2), "Migration"),
        ("storefront for the migration", "", None, "for the migration"),
        ("storefront production until it is mended", "production", None, "until it is mended"),
        ("storefront “Black Friday”", "", None, "Black Friday"),
        ("storefront Guests cannot pay.", "", None, "Guests cannot pay"),
    ],
)
def test_service_environment_time_and_reason_are_told_apart(
    typed: str, environment: str, until: datetime | None, reason: str
) -> None:
    assert read(typed) == LockWish(service="storefront", environment=environment, until=until, reason=reason)


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("", LockServiceMissing),
        ("storefront", LockReasonMissing),
        ("storefront production", LockReasonMissing),
        ("storefront production for 2h", LockReasonMissing),
        ("storefront for 400d migration", WhenOutOfRange),
        ("storefront " + "x" * 1001, ReasonTooLong),
        ("$$$ migration", InvalidName),
    ],
)
def test_what_cannot_be_a_lock_is_refused_in_words(typed: str, error: type[DeploybotError]) -> None:
    with pytest.raises(error):
        read(typed)


@given(st.text(max_size=120))
def test_nothing_that_is_typed_breaks_it(typed: str) -> None:
    try:
        wish = read(typed)
    except DeploybotError as error:
        assert str(error)
    else:
        assert wish.reason
        assert wish.until is None or wish.until > NOON


def test_an_unlock_names_a_service_and_maybe_an_environment() -> None:
    assert read_place("storefront") == ("storefront", "")
    assert read_place("storefront production") == ("storefront", "production")
    for wrong in ("", "storefront production now"):
        with pytest.raises(DeploybotError):
            read_place(wrong)


def test_a_lock_covers_its_service_in_its_environment_or_in_every_one_until_its_time_is_over() -> None:
    target = Target(service="Storefront", version="v1.4.2", environment="Production")
    until = NOON + timedelta(hours=1)
    lock = Lock(id=1, team=TEAM, service="storefront", by=ANA, reason="x", at=NOON, until=until)
    here = Lock(id=2, team=TEAM, service="storefront", environment="production", by=ANA, reason="x", at=NOON)
    there = Lock(id=3, team=TEAM, service="storefront", environment="staging", by=ANA, reason="x", at=NOON)
    assert [one.covers(target) for one in (lock, here, there)] == [True, True, False]
    assert [lock.active(at) for at in (NOON, until - timedelta(seconds=1), until)] == [True, True, False]
    assert obstacle_of(lock).by == ANA
    assert obstacle_of(lock).said == "storefront in every environment is locked: x"
