"""Freezes: when they hold and when they end, over both changes of the clocks, compared with looking at a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deployment import Target
from bot.domain.freezing import Freeze, frozen

BERLIN = ZoneInfo("Europe/Berlin")
STOREFRONT = Target(service="storefront", version="v1.4.2", environment="production")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def freeze(**changed: object) -> Freeze:
    """From Friday 16:00 in Berlin on, 64 hours."""
    values: dict[str, object] = {
        "name": "weekend",
        "reason": "Nobody is here",
        "environments": ("production",),
        "cron": "0 16 * * fri",
        "duration": timedelta(hours=64),
        "timezone": "Europe/Berlin",
    }
    return Freeze(**values | changed)  # type: ignore[arg-type]


def berlin(*parts: int, fold: int = 0) -> datetime:
    """In UTC: Python calls an hour that comes twice unequal to any other."""
    return datetime(*parts, tzinfo=BERLIN, fold=fold).astimezone(UTC)  # type: ignore[misc,arg-type]


def test_a_weekend_begins_with_its_first_second_and_ends_before_its_last() -> None:
    weekend, monday = freeze(), berlin(2026, 6, 8, 8)
    assert weekend.ends(berlin(2026, 6, 5, 15, 59, 59)) is None
    assert weekend.ends(berlin(2026, 6, 5, 16)) == monday
    assert weekend.ends(monday - timedelta(microseconds=1)) == monday
    assert weekend.ends(monday) is None


@pytest.mark.parametrize(
    ("friday", "monday"),
    [
        (berlin(2026, 3, 27, 16), berlin(2026, 3, 30, 9)),  # 29 March: an hour is missing
        (berlin(2026, 10, 23, 16), berlin(2026, 10, 26, 7)),  # 25 October: an hour comes twice
    ],
)
def test_it_lasts_so_many_real_hours_over_a_change_of_the_clocks(friday: datetime, monday: datetime) -> None:
    assert freeze().ends(friday) == monday
    assert monday - friday == timedelta(hours=64)


def test_a_begin_that_the_clocks_skip_is_later_and_one_they_repeat_counts_once() -> None:
    short = freeze(cron="30 2 * * *", duration=timedelta(minutes=20))
    assert short.ends(berlin(2026, 3, 29, 3, 30)) == berlin(2026, 3, 29, 3, 50)
    assert short.ends(berlin(2026, 10, 25, 2, 30, fold=0)) == berlin(2026, 10, 25, 2, 50, fold=0)
    assert short.ends(berlin(2026, 10, 25, 2, 30, fold=1)) is None


def test_the_first_hour_after_the_day_of_the_change_is_not_missed() -> None:
    """With its zone in the trigger, APScheduler 3.11 goes from Saturday past this begin to a week later."""
    monday = freeze(cron="30 0 * * mon", duration=timedelta(hours=36))
    assert monday.ends(berlin(2026, 3, 30, 0, 30)) == berlin(2026, 3, 31, 12, 30)


@given(
    minutes=st.integers(0, 21 * 24 * 60),
    autumn=st.booleans(),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    day=st.sampled_from(["*", *DAYS, "mon-fri"]),
    hours=st.integers(1, 23),
)
def test_it_holds_exactly_where_somebody_who_looks_at_the_clock_says_so(
    minutes: int, autumn: bool, minute: int, hour: int, day: str, hours: int
) -> None:
    begin = datetime(2026, 10, 15 if autumn else 19, tzinfo=UTC).replace(month=10 if autumn else 3)
    at = begin + timedelta(minutes=minutes)
    one = freeze(cron=f"{minute} {hour} * * {day}", duration=timedelta(hours=hours))
    days = {"*": DAYS, "mon-fri": DAYS[:5]}.get(day, (day,))
    held = []
    for back in range(-2, 4):
        date = (at.astimezone(BERLIN) - timedelta(days=back)).date()
        if DAYS[date.weekday()] in days:
            began = datetime(date.year, date.month, date.day, hour, minute, tzinfo=BERLIN).astimezone(UTC)
            if began <= at < began + timedelta(hours=hours):
                held.append(began + timedelta(hours=hours))
    assert (one.ends(at) is not None) is bool(held)
    if held:
        end = one.ends(at)
        assert end is not None
        assert end >= max(held)
        assert one.ends(end) is None
        assert one.ends(end - timedelta(seconds=1)) == end


def test_windows_that_touch_are_one() -> None:
    week = freeze(cron="0 0 * * mon-fri", duration=timedelta(days=1))
    assert week.ends(berlin(2026, 6, 9, 12)) == berlin(2026, 6, 13, 0)


def test_windows_that_always_touch_are_endless_and_the_31st_of_february_never_comes() -> None:
    now = berlin(2026, 1, 1)
    daily = freeze(cron="0 0 * * *", duration=timedelta(days=1), timezone="UTC")
    assert daily.endless(now) is True
    assert freeze().endless(now) is False
    assert freeze(cron="0 0 31 2 *").never(now) is True
    assert freeze().never(now) is False


def test_one_that_happens_once_has_a_start_and_an_end() -> None:
    start, end = berlin(2026, 12, 23, 18), berlin(2027, 1, 4, 8)
    once = freeze(cron="", duration=timedelta(), start=start, end=end)
    assert [once.ends(at) for at in (start - timedelta(seconds=1), start, end)] == [None, end, None]
    assert once.endless(start) is False


def test_it_is_about_the_services_and_environments_it_names_and_the_longest_of_several_counts() -> None:
    now = berlin(2026, 6, 6, 12)
    longer = freeze(name="audit", cron="0 0 * * sat", duration=timedelta(days=4), environments=("Prod*",))
    other = freeze(name="other", services=("search",), duration=timedelta(days=6))
    found = frozen([freeze(), longer, other], STOREFRONT, now)
    assert found is not None
    assert (found.name, found.until) == ("audit", berlin(2026, 6, 10, 0))
    assert frozen([longer], Target(service="storefront", version="1", environment="staging"), now) is None
    assert found.obstacle.kind == "freeze"
    assert found.obstacle.until == found.until
