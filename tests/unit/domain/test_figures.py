"""Figures over many deployments: what counts, what failed, what is too little to say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deployment import Phase
from bot.domain.figures import (
    ENOUGH,
    Checked,
    Figures,
    Past,
    PastTick,
    PastTrigger,
    figured,
)
from bot.domain.figures_data import figures_to_json
from bot.slack import figures_chart
from bot.templates.figures_text import in_words
from tests.histories import minute
from tests.makers import ANA, BEN

BOT = "bot"


def past(id_: int = 1, **changed: Any) -> Past:
    """A clean deployment: live after ten minutes, finished after an hour."""
    values: dict[str, Any] = {
        "id": id_,
        "service": "storefront",
        "environment": "production",
        "phase": Phase.FINISHED,
        "started_at": minute(0),
        "deployed_at": minute(10),
        "ended_at": minute(60),
    }
    return Past(**values | changed)


def trigger(**changed: Any) -> PastTrigger:
    values: dict[str, Any] = {"key": "errors", "source": "watch", "at": minute(20)}
    return PastTrigger(**values | changed)


def of(
    deployments: Sequence[Past], ticks: Sequence[PastTick] = (), checked: Sequence[Checked] = ()
) -> Figures:
    return figured(
        deployments,
        ticks,
        checked,
        texts={"before/g/one": "One", "before/g/two": "Two"},
        sections={"before": "Before"},
        service="storefront",
        environment="production",
        days=28,
        until=minute(60 * 24 * 3),
    )


def test_the_chart_in_words_counts_one_as_one() -> None:
    one = figures_chart.shown(of([past()]))
    assert one.alt == "Bar chart of 5 weeks: 1 deployment, 0 of them failed, at most 1 in a week."
    assert "2 deployments" in figures_chart.shown(of([past(), past(2)])).alt


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, False),
        ({"rollback_at": minute(30)}, True),
        ({"phase": Phase.ABORTED}, True),
        ({"triggers": (trigger(),)}, True),
        ({"triggers": (trigger(source="drill"),)}, False),
        ({"triggers": (trigger(cleared_at=minute(25), cleared_by=ANA),)}, False),
        ({"triggers": (trigger(cleared_at=minute(25), cleared_by=BOT),)}, True),
        ({"triggers": (trigger(at=minute(5)),)}, False),  # before it was live
        (
            {
                "triggers": (trigger(cleared_at=minute(50), cleared_by=ANA),),
                "rollback_at": minute(30),
                "rollback_trigger": "errors",
            },
            True,
        ),
    ],
)
def test_failed_is_rolled_back_aborted_or_alarmed_for_good(changed: dict[str, Any], failed: bool) -> None:
    assert past(**changed).failed is failed


def test_what_was_mended_was_about_the_deployment_and_is_over_when_it_was_cleared() -> None:
    mended = trigger(cleared_at=minute(50), cleared_by=BEN, ours=True)
    one = past(triggers=(mended,))
    assert not one.dismissed(mended)
    assert one.failed
    assert one.restored == minute(50) - mended.at


def test_what_led_to_the_rollback_was_not_dismissed_although_somebody_cleared_it() -> None:
    one = trigger(cleared_at=minute(50), cleared_by=ANA)
    assert not past(rollback_at=minute(30), triggers=(one,)).dismissed(one)
    assert past(rollback_at=minute(55), triggers=(one,)).dismissed(one)


@pytest.mark.parametrize(
    ("changed", "took"),
    [
        ({}, None),
        ({"rollback_at": minute(30), "verified_at": minute(42), "triggers": (trigger(),)}, 22),
        ({"rollback_at": minute(30), "verified_at": minute(42)}, 12),
        ({"rollback_at": minute(30)}, None),
        ({"triggers": (trigger(recovered_at=minute(33)),)}, 13),
        ({"triggers": (trigger(recovered_at=minute(33)), trigger(key="other"))}, None),
        ({"phase": Phase.ABORTED}, None),
    ],
)
def test_restored_is_from_the_first_sign_to_the_verified_rollback_or_the_last_recovery(
    changed: dict[str, Any], took: float | None
) -> None:
    assert past(**changed).restored == (None if took is None else timedelta(minutes=took))


def test_only_what_was_live_counts() -> None:
    figures = of(
        [
            past(1),
            past(2, phase=Phase.ABORTED, deployed_at=None),
            past(3, phase=Phase.IN_PROGRESS, deployed_at=None, ended_at=None),
            past(4, deployed_at=None),
            past(5, phase=Phase.IN_PROGRESS, ended_at=None),
        ]
    )
    assert (figures.deployments, figures.called_off, figures.under_way) == (3, 1, 1)
    assert figures.a_week == pytest.approx(0.75)
    assert sum(week.deployments for week in figures.weeks) == 3


def test_nothing_is_claimed_on_fewer_than_five() -> None:
    few = of([past(n, first_commit_at=minute(-600)) for n in range(1, ENOUGH)])
    assert (few.fail_rate, few.lead_time.enough, few.precision) == (None, False, None)
    said = in_words(few)
    assert "Change fail rate: not enough data, n=4 of at least 5 (0 of 4 failed)" in said
    assert "Change lead time, first commit to live: not enough data, n=4 of at least 5" in said
    told = figures_to_json(few)
    assert told["lead_time"] == {"median_seconds": None, "n": 4}
    enough = of([past(n, first_commit_at=minute(-590)) for n in range(1, ENOUGH + 1)])
    assert enough.fail_rate == 0.0
    assert "Change lead time, first commit to live: 10 h 0 min, median of 5" in in_words(enough)


def test_no_deployment_at_all_is_said_in_words() -> None:
    assert "No deployment was live in this time." in in_words(of([]))


def test_alert_precision_leaves_drills_out() -> None:
    dismissed = {"cleared_at": minute(30), "cleared_by": BEN}
    deployments = [past(n, triggers=(trigger(),)) for n in range(1, 5)]
    deployments += [past(5, triggers=(trigger(**dismissed), trigger(key="drill-1", source="drill")))]
    figures = of(deployments)
    assert (figures.alerts, figures.dismissed, figures.drills) == (5, 1, 1)
    assert figures.precision == pytest.approx(0.8)
    assert "Alert precision: 80 % (4 of 5; drills left out)" in in_words(figures)


def test_boxes_ticked_in_a_row_within_seconds_are_rubber_stamps_and_the_first_is_not() -> None:
    ticks = []
    for number in range(1, 7):
        ticks += [
            PastTick(deployment=number, item="before/g/one", by=ANA, at=minute(1)),
            PastTick(deployment=number, item="before/g/two", by=ANA, at=minute(1) + timedelta(seconds=2)),
            PastTick(deployment=number, item="before/g/three", by=BEN, at=minute(1) + timedelta(seconds=3)),
            PastTick(deployment=number, item="before/g/four", by=BOT, at=minute(1) + timedelta(seconds=3)),
        ]
    figures = of([past(n) for n in range(1, 7)], ticks)
    assert [(one.text, one.times, one.n) for one in figures.stamped] == [("Two", 6, 6)]
    assert "Two (6 of 6)" in in_words(figures)
    assert [(one.title, one.took.value, one.took.n) for one in figures.sections] == [
        ("Before", timedelta(seconds=3), 6)
    ]
    assert of([past(n) for n in range(1, 5)], ticks).stamped == ()


def test_checks_that_never_failed_are_named_once_there_are_enough_of_them() -> None:
    checked = [
        Checked(item="before/g/one", deployments=9, not_passed=0),
        Checked(item="before/g/two", deployments=9, not_passed=1),
        Checked(item="gone", deployments=4, not_passed=0),
    ]
    assert [(one.text, one.n) for one in of([past()], (), checked).never_failed] == [("One", 9)]


_minutes = st.integers(0, 2000).map(minute)
_triggers = st.builds(
    PastTrigger,
    key=st.sampled_from(["a", "b"]),
    source=st.sampled_from(["watch", "person", "drill"]),
    at=_minutes,
    cleared_at=st.none() | _minutes,
    cleared_by=st.sampled_from([ANA, BOT]),
    recovered_at=st.none() | _minutes,
)
_pasts = st.builds(
    Past,
    id=st.integers(1, 50),
    service=st.just("storefront"),
    environment=st.just("production"),
    phase=st.sampled_from(Phase),
    started_at=st.just(minute(0)),
    deployed_at=st.none() | _minutes,
    ended_at=st.none() | _minutes,
    triggers=st.lists(_triggers, max_size=3).map(tuple),
    rollback_at=st.none() | _minutes,
    rollback_trigger=st.sampled_from(["", "a"]),
    verified_at=st.none() | _minutes,
    first_commit_at=st.none() | _minutes,
)


@given(st.lists(_pasts, max_size=12))
def test_figures_of_anything_add_up(deployments: list[Past]) -> None:
    figures = of(deployments)
    assert figures.failed <= figures.deployments <= len(deployments)
    assert figures.dismissed <= figures.alerts
    assert figures.restore.n <= figures.failed
    assert sum(week.deployments for week in figures.weeks) == figures.deployments
    assert (figures.fail_rate is None) is (figures.deployments < ENOUGH)
    assert all(one.restored is None or one.restored >= timedelta() for one in deployments)
    assert in_words(figures)
