"""Times as each person writes them, by CLDR."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.domain.localtime import Reader, moment, on_the_clock

AT = datetime(2026, 3, 2, 15, 5, tzinfo=UTC)
SAME_DAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DAY_BEFORE = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)


def shown(text: str) -> str:
    """CLDR puts narrow spaces before AM and PM."""
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("locale", "timezone", "hour", "with_day"),
    [
        ("de-DE", "Europe/Berlin", "16:05", "2. März, 16:05"),
        ("en-GB", "Europe/London", "15:05", "2 Mar, 15:05"),
        ("en-US", "America/New_York", "10:05 AM", "Mar 2, 10:05 AM"),
        ("ja-JP", "Asia/Tokyo", "0:05", "3月3日 0:05"),
        ("fr-FR", "Europe/Paris", "16:05", "2 mars, 16:05"),
        ("xx-YY", "Nowhere/Never", "15:05", "2 Mar, 15:05"),
        ("", "", "15:05", "2 Mar, 15:05"),
        ("de-XX", "UTC", "15:05", "2. März, 15:05"),
    ],
)
def test_a_time_has_its_readers_zone_clock_and_order(
    locale: str, timezone: str, hour: str, with_day: str
) -> None:
    reader = Reader(timezone=timezone, locale=locale)
    assert shown(moment(AT, reader, now=AT)) == hour
    assert shown(moment(AT, reader, now=DAY_BEFORE)) == with_day
    assert shown(moment(AT, reader)) == with_day


def test_whether_it_is_today_is_asked_where_the_reader_is() -> None:
    assert shown(moment(AT, Reader(timezone="Asia/Tokyo", locale="en-US"), now=SAME_DAY)) == "Mar 3, 12:05 AM"


@pytest.mark.parametrize(("locale", "said"), [("en-US", "9:00 AM"), ("de-DE", "09:00"), ("en-GB", "09:00")])
def test_a_time_of_day_is_on_the_readers_clock(locale: str, said: str) -> None:
    assert shown(on_the_clock(9, 0, Reader(locale=locale))) == said
