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
    LockTimeUnusable,
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


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("storefront until yesterday x", "until yesterday"),
        ("a b c d e for -2h", "for -2h"),
        ("storefront for -2h migration", "for -2h"),
        ("storefront green for −2h migration", "for −2h"),
        ("storefront production until Monday migration", "until Monday"),
        ("storefront Closed until Monday 9:00", "until Monday 9:00"),
        ("storefront until 25:00 migration", "until 25:00"),
        ("storefront until 2026-03-01 migration", "until 2026-03-01"),
        ("storefront for 2 migration", "for 2"),
        ("storefront for 2 weeks migration", "for 2"),
        ("storefront green for 2 weeks migration", "for 2"),
        ("storefront Migration for 2 weeks", "for 2 weeks"),
        ("storefront for two hours migration", "for two hours"),
        ("storefront for half an hour migration", "for half an hour"),
        ("storefront until the end of the week migration", "until the end of the week"),
        ("storefront until noon: migration", "until noon"),
        ("storefront for tomorrow", "for tomorrow"),
    ],
)
def test_a_time_that_cannot_be_read_is_refused_instead_of_locking_for_ever(typed: str, named: str) -> None:
    with pytest.raises(LockTimeUnusable, match=r"Write for 2h, .* until tomorrow 9:00") as refused:
        read(typed)
    assert f"“{named}”" in str(refused.value)


@pytest.mark.parametrize(
    "reason",
    [
        "for the migration",
        "until Ben is back",
        "until v2 is out",
        "for INC-4711",
        "for today's release",
        "for the second try",
        "for one customer",
        "Broken for 3 customers",
        "Waiting for the sunday paper",
        "for ever",
    ],
)
def test_for_and_until_can_begin_a_reason(reason: str) -> None:
    assert read(f"storefront {reason}") == LockWish(
        service="storefront", environment="", until=None, reason=reason
    )


@pytest.mark.parametrize("reason", ["for 3 customers", "Closed until Monday"])
def test_quotes_say_that_it_is_a_reason(reason: str) -> None:
    for typed in (f'storefront "{reason}"', f"storefront production “{reason}”"):
        assert (read(typed).reason, read(typed).until) == (reason, None)


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
