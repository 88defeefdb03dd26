"""A lead who goes quiet is asked, and not more than people can bear."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.deployment import Deployment, Phase, extend
from bot.domain.errors import AlreadyLeads, DeploymentClosed, LeadsNoLonger
from bot.domain.nudging import NudgeLevel, Quiet, due, handed_over, present
from bot.domain.verification import Purpose, Run
from bot.domain.watching import Aftermath, Watch
from tests.makers import ANA, BEN, NOON, make_checklist
from tests.unit.test_drawing import deployment_of

HALF = timedelta(minutes=30)


def deployment(**changed: object) -> Deployment:
    values: dict[str, object] = {"quiet_lead": HALF, "timezone": "Europe/Berlin"}
    return deployment_of(make_checklist(), **values | changed)


def test_the_lead_is_asked_first_and_the_thread_a_period_later_and_then_nobody() -> None:
    state = deployment()
    assert due(state, Quiet(since=NOON)) == (NudgeLevel.LEAD, NOON + HALF)
    asked = Quiet(since=NOON, level=NudgeLevel.LEAD, nudged_at=NOON + HALF)
    assert due(state, asked) == (NudgeLevel.THREAD, NOON + 2 * HALF)
    assert due(state, replace(asked, level=NudgeLevel.THREAD)) is None


def test_nobody_is_asked_while_there_is_something_to_wait_for_or_nothing_to_do() -> None:
    run = Run(positions=(0,), pending=frozenset({0}), by=BEN, at=NOON, seq=2, purpose=Purpose.ASKED)
    watch = Watch(begun_at=NOON, until=NOON + timedelta(hours=1))
    quiet = Quiet(since=NOON)
    assert due(deployment(run=run), quiet) is None
    assert due(deployment(aftermath=Aftermath(watch=watch)), quiet) is None
    assert due(deployment(phase=Phase.FINISHED), quiet) is None
    assert due(deployment(quiet_lead=None), quiet) is None
    over = Aftermath(watch=replace(watch, ended_at=NOON))
    assert due(deployment(aftermath=over), quiet) is not None


def test_nobody_is_asked_twice_in_one_night() -> None:
    state = deployment()
    eleven = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)  # 23:00 in Berlin
    seven = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)
    first = due(state, Quiet(since=eleven - HALF))
    assert first == (NudgeLevel.LEAD, eleven)
    again = due(state, Quiet(since=eleven - HALF, level=NudgeLevel.LEAD, nudged_at=eleven))
    assert again == (NudgeLevel.THREAD, seven)
    heard = due(state, Quiet(since=eleven + HALF, nudged_at=eleven))
    assert heard == (NudgeLevel.LEAD, seven)
    before_night = due(state, Quiet(since=eleven, level=NudgeLevel.LEAD, nudged_at=eleven - 3 * HALF))
    assert before_night == (NudgeLevel.THREAD, eleven + HALF)


def test_the_lead_changes_with_the_fact_and_only_while_it_is_open() -> None:
    state = deployment()
    fact = handed_over(state, to=BEN, user=BEN, at=NOON)
    assert fact.data == {"from": ANA, "to": BEN}
    after, _ = extend(state, [fact])
    assert after.lead == BEN
    with pytest.raises(AlreadyLeads, match="You lead"):
        handed_over(after, to=BEN, user=BEN, at=NOON)
    with pytest.raises(LeadsNoLonger):
        present(after, user=ANA, at=NOON)
    with pytest.raises(DeploymentClosed):
        handed_over(deployment(phase=Phase.ABORTED), to=BEN, user=ANA, at=NOON)
