"""Reminders as values: what people type, when that is where they are, and what a plan makes of a checklist."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.checklists.markdown import parse
from bot.checklists.reminders import plan_of
from bot.checklists.sidecar import read_sidecar
from bot.checks.kind import seconds
from bot.domain.deployment import Deployment, Target, Tick
from bot.domain.errors import SidecarUnusable, WhenNotUnderstood, WhenOutOfRange
from bot.domain.reminding import (
    Origin,
    PlannedReminder,
    Reminder,
    ReminderPlan,
    Snooze,
    default_reminders,
    gathered,
    planned,
    read_when,
    read_wish,
)
from bot.slack.commands import NotUnderstood, Remind
from bot.slack.commands import parse as parse_command
from tests.makers import ANA, CHANNEL, NOON, TEAM, make_checklist

PRODUCTION = Path(__file__).parent.parent.parent / "checklists" / "production.md"
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("said", "minutes"),
    [
        ("in 2h", 120),
        ("in 90m", 90),
        ("in 1h30m", 90),
        ("in 1 h 30 min", 90),
        ("in 1.5 hours", 90),
        ("In 2 days", 2880),
        ("at 15:00", 120),  # it is 13:00 in Berlin
        ("at 3pm", 120),
        ("at 9:00", 20 * 60),  # over for today
        ("tomorrow 9:00", 20 * 60),
        ("tomorrow at 14:30", 25 * 60 + 30),
        ("tomorrow", 20 * 60),
    ],
)
def test_a_time_is_understood_where_the_person_is(said: str, minutes: int) -> None:
    assert read_when(said, now=NOON, timezone=BERLIN) == NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "said", ["soon", "in two hours", "at 25:00", "at 13pm", "9:00 tomorrow", "in 2", "in h"]
)
def test_another_time_is_refused_with_what_is_understood(said: str) -> None:
    with pytest.raises(WhenNotUnderstood, match=r"in 2h, in 90m, in 1h30m, at 15:00 or tomorrow 9:00"):
        read_when(said, now=NOON, timezone=BERLIN)


@pytest.mark.parametrize("said", ["in 0m", "in 31d", "in 99999999999999999999d"])
def test_a_time_out_of_reach_is_refused(said: str) -> None:
    with pytest.raises(WhenOutOfRange):
        read_when(said, now=NOON, timezone=BERLIN)


@pytest.mark.parametrize(
    ("now", "utc"),
    [
        (datetime(2026, 3, 28, 20, 0, tzinfo=UTC), datetime(2026, 3, 29, 7, 0, tzinfo=UTC)),  # summer begins
        (datetime(2026, 10, 24, 20, 0, tzinfo=UTC), datetime(2026, 10, 25, 8, 0, tzinfo=UTC)),  # and ends
        (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), datetime(2026, 3, 30, 7, 0, tzinfo=UTC)),  # past midnight
    ],
)
def test_tomorrow_is_nine_on_the_clock_of_the_person_when_the_clocks_change(
    now: datetime, utc: datetime
) -> None:
    assert Snooze.TOMORROW.until(now=now, timezone=BERLIN) == utc


def test_an_hour_that_does_not_exist_becomes_the_one_after_it() -> None:
    before = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
    found = read_when("tomorrow 2:30", now=before, timezone=BERLIN)
    assert found == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 3:30 there


@pytest.mark.parametrize(
    ("text", "what", "when"),
    [
        ("Monitor error rates in 2h", "Monitor error rates", "in 2h"),
        ("in 2h", "", "in 2h"),
        ("in 2h Monitor error rates", "Monitor error rates", "in 2h"),
        ("“Check the logs” tomorrow 9:00", "Check the logs", "tomorrow 9:00"),
        ("look in storefront at 15:00", "look in storefront", "at 15:00"),
        ("me to call support in 1h30m", "call support", "in 1h30m"),
        ("Monitor error rates", "Monitor error rates", ""),
        ("", "", ""),
    ],
)
def test_the_command_tells_what_from_when(text: str, what: str, when: str) -> None:
    assert parse_command(f"remind {text}") == Remind(words=what, when=when)


def test_a_word_that_is_nearly_remind_is_asked_about() -> None:
    answer = parse_command("reminds in 2h")
    assert isinstance(answer, NotUnderstood) and answer.nearest == "remind"
    assert read_wish("  tomorrow  ").when == "tomorrow"


# ── the plan ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_defaults_are_what_the_production_checklist_writes_down() -> None:
    checklist = parse(PRODUCTION.read_text(), name="production").checklist
    file = read_sidecar(PRODUCTION.with_suffix(".yaml"))
    written = plan_of(file, checklist, duration=seconds, environment="production", process={})
    assert written == ReminderPlan(reminders=default_reminders(checklist))
    assert [one.after for one in written.reminders] == [
        timedelta(minutes=5),
        timedelta(minutes=15),
        timedelta(minutes=30),
        timedelta(hours=1),
        timedelta(hours=24),
    ]
    named = {key.rpartition("/")[2] for one in written.reminders for key in one.items}
    assert len(named) == len(written.reminders[-1].items) == 5
    assert default_reminders(make_checklist()) == ()


def sidecar(tmp_path: Path, yaml: str, **process: str) -> ReminderPlan:
    """The plan of a sidecar of the production checklist."""
    path = tmp_path / "production.yaml"
    path.write_text(f"version: 1\nvars: {{on_call: {{env: ON_CALL, default: ''}}}}\n{yaml}")
    checklist = parse(PRODUCTION.read_text(), name="production").checklist
    return plan_of(read_sidecar(path), checklist, duration=seconds, environment="production", process=process)


def test_a_plan_may_be_a_list_and_name_who_is_on_call_by_the_environment(tmp_path: Path) -> None:
    plan = sidecar(
        tmp_path,
        'reminders: [{after: 10m, text: "Flag of ${version} gone?"}]\non_call: "${vars.on_call}"\n',
        ON_CALL="S0ONCALL1",
    )
    assert plan.on_call == "S0ONCALL1"
    assert plan.reminders == (PlannedReminder(after=timedelta(minutes=10), text="Flag of v0 gone?"),)
    quiet = sidecar(tmp_path, "reminders: {plan: [], escalate: {lead: never, group: 1h}}\n")
    assert (quiet.reminders, quiet.lead_after) == ((), None)
    assert quiet.group_after == timedelta(hours=1)


def test_every_mistake_of_a_plan_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SidecarUnusable) as caught:
        sidecar(
            tmp_path,
            "on_call: '@oncall'\n"
            "reminders:\n"
            "  plan:\n"
            "    - {after: soon, items: [deployment-process/post-deployment/monitor-error-rate]}\n"
            "    - {after: 90d, text: Late}\n",
        )
    said = "\n".join(caught.value.problems)
    assert "on_call: “@oncall” is no Slack id" in said
    assert "reminders/plan/0/after: 'soon' is no duration" in said
    assert (
        "monitor-error-rate” (did you mean “deployment-process/post-deployment/monitor-error-rates”?)" in said
    )
    assert "reminders/plan/1/after: must be from 0 to 30d" in said
    with pytest.raises(SidecarUnusable) as caught:
        sidecar(tmp_path, "reminders: [{afer: 5m, text: x}]\n")
    assert "reminders/plan/0: unknown key “afer” (did you mean “after”?)" in caught.value.problems


# ── a deployment's ───────────────────────────────────────────────────────────────────────────────────────


def deployment(*ticked: int) -> Deployment:
    """Ana's, with these positions ticked."""
    return Deployment(
        id=1,
        name="storefront-1",
        target=Target(service="storefront", version="v1.4.2", environment="production"),
        team=TEAM,
        channel=CHANNEL,
        lead=ANA,
        timezone="UTC",
        checklist_name="production",
        checklist=make_checklist(),
        started_at=NOON,
        ticks={at: Tick(by=ANA, at=NOON, seq=2) for at in ticked},
    )


def test_items_that_this_deployment_lacks_are_left_out_of_its_plan() -> None:
    plan = ReminderPlan(
        reminders=(
            PlannedReminder(after=timedelta(minutes=5), items=("s1/boxes/1", "new/since/then")),
            PlannedReminder(after=timedelta(minutes=9), items=("new/since/then",), text="Words"),
        )
    )
    (made,) = planned(deployment(), plan, deployed_at=NOON)
    assert (made.key, made.items, made.due_at) == ("plan-1", (0,), NOON + timedelta(minutes=5))


def test_what_is_due_together_names_each_open_item_once_and_says_nothing_of_what_is_done() -> None:
    one = Reminder(id=1, deployment_id=1, key="plan-1", origin=Origin.PLAN, items=(0, 1), due_at=NOON)
    later = NOON + timedelta(minutes=1)
    overlapping = replace(one, id=2, key="plan-2", items=(1, 2), due_at=later)
    within = replace(one, id=3, key="plan-3", items=(0, 1), due_at=later)
    done = replace(one, id=4, key="plan-4", items=(3,))
    words = replace(one, id=5, key="asked-5", items=(), text="Call support", due_at=later)
    found = gathered(deployment(0, 3), [within, done, words, overlapping, one])
    assert [(reminder.id, items) for reminder, items in found.entries] == [(1, (1,)), (2, (2,)), (5, ())]
    assert (found.done, found.covered) == ((done,), (within,))
