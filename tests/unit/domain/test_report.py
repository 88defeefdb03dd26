"""The report: every kind of event in words, phases, people, items, alerts, and how it stands up to strangers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checklists.inline import plain
from bot.domain.check import Outcome
from bot.domain.events import BOT, Event, Fact
from bot.domain.narrating import scene, told
from bot.domain.report import Report
from bot.domain.report_data import report_to_json
from bot.domain.report_schema import SCHEMA
from bot.domain.retelling import counted, made, people_in
from bot.domain.signals import Measured
from bot.domain.spans import spoken
from tests.histories import NAMES, about, eventful, fact, found, history, minute, samples, start_fact
from tests.makers import ANA, BEN, CARLA, make_checklist


def told_of(facts: list[Fact]) -> Report:
    return made(history(facts), samples(), names=NAMES, plain=plain, now=minute(60))


@pytest.fixture(scope="module")
def report() -> Report:
    return told_of(eventful())


def test_every_event_has_its_line_and_none_is_told_by_the_words_of_its_kind_that_is_known(
    report: Report,
) -> None:
    assert [entry.seq for entry in report.timeline] == list(range(1, len(report.timeline) + 1))
    strange = [entry for entry in report.timeline if entry.text.startswith(entry.kind.replace(".", " "))]
    assert [entry.kind for entry in strange] == ["deployment.frobnicated"]
    assert strange[0].text == "deployment frobnicated: of a later version"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("item.waived", "waived “Box 1.3”: there is no database change"),
        ("item.assigned", "assigned “Step 1.1” to Ben"),
        ("item.note_removed", "removed a note from “Step 1.1”: wrong one"),
        ("lead.handed_over", "handed the lead over from Ana to Ben"),
        ("deployment.no_go", "said No-go: too many are open"),
        ("override.requested", "asked to give Go with 1 item open: the fix cannot wait"),
        ("override.confirmed", "confirmed the override to give Go"),
        (
            "deployment.go",
            "gave Go, 1 item open, overriding what is open: the fix cannot wait (Ana and Ben)",
        ),
        ("deployment.linked", "linked 7 commits, the first of 1 Mar 10:00"),
        ("trigger.acknowledged", "acknowledged “Significant error rate increase”"),
        (
            "rollback.started",
            "started the rollback, because of “Significant error rate increase”: guests cannot pay",
        ),
        (
            "item.overruled",
            "ticked “Box 1.2” although its check does not pass: the mirror is down, not the shop",
        ),
        ("check.recorded", "checked “Box 1.1”: pass, status 200"),
        ("reminder.added", "planned to remind of “Box 1.2”, 14:30"),
    ],
)
def test_each_event_is_worded_once(report: Report, kind: str, said: str) -> None:
    assert next(entry.text for entry in report.timeline if entry.kind == kind) == said


def test_the_phases_have_their_durations(report: Report) -> None:
    assert [(span.name, spoken(span.took)) for span in report.spans] == [
        ("Start to Go", "14 min"),
        ("Go to the end", "34 min"),
        ("The watch", "29 min 54 s"),
        ("The rollback", "18 min"),
    ]
    assert report.outcome == "aborted, rolled back"
    assert report.lead_name == "Ben"


def test_items_have_their_story(report: Report) -> None:
    states = {item.text: item.state for item in report.items[:5]}
    assert states == {
        "Box 1.1": "done",
        "Box 1.2": "done",
        "Box 1.3": "waived",
        "1. Step 1.1": "open",
        "2. Step 1.2": "open",
    }
    box, step = report.items[1], report.items[3]
    assert (box.overruled, box.who, box.reason) == (True, "Ben", "the mirror is down, not the shop")
    assert box.evidence is not None
    assert (box.evidence.outcome, box.evidence.parts[0].reason) == ("fail", "it answered status 503")
    assert step.assignees == ("Ben",)
    assert step.notes == ("Ben: see the ticket (https://tickets.example.com/7)",)
    assert [item.text for item in report.steps] == ["1. Scale down", "2. Restore"]
    assert counted(report) == {
        "items": 14,
        "done": 2,
        "waived": 1,
        "open": 11,
        "overruled": 1,
        "checked": 2,
        "not_passed": 1,
        "people": 3,
        "alerts": 1,
        "drills": 1,
        "events": 58,
    }


def test_only_the_newest_evidence_of_an_item_is_kept_and_how_often_it_was_checked() -> None:
    one = make_checklist()
    facts = [start_fact(one), fact("checks.requested", 1, positions=[0], purpose="asked", scope="")]
    for at, outcome in enumerate((Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS), start=2):
        facts.append(fact("check.recorded", at, BOT, **about(one, 0), run=2, result=found("k", outcome, at)))
    evidence = told_of(facts).items[0].evidence
    assert evidence is not None
    assert (evidence.outcome, evidence.runs) == ("pass", 3)


def test_alerts_have_the_times_it_took_and_drills_are_apart(report: Report) -> None:
    real, drill = report.alerts
    assert (real.to_acknowledge, real.to_clear) == (timedelta(minutes=6), timedelta(minutes=21))
    assert (real.worsened, real.escalated, real.cleared_by) == (1, 1, "Ana")
    assert real.recovered_at == minute(40)
    assert drill.drill and drill.to_acknowledge is None
    [lane] = [lane for lane in report.recorder.lanes if lane.kind == "alerts"]
    assert lane.total == len(report.real_alerts) == 1, "in the picture as in the figures"
    assert [mark.text for mark in lane.marks] == [real.title, f"{real.title}, twice as bad"]
    assert "alerts 1;" in report.recorder.alt


def test_overrides_say_who_both_were_and_what_became_of_them(report: Report) -> None:
    go, finish = report.overrides
    assert (go.what, go.state, go.first, go.second, go.open) == (
        "go",
        "confirmed",
        "Ana",
        "Ben",
        ("Step 1.2",),
    )
    assert (finish.what, finish.state) == ("finish", "withdrawn")


def test_an_override_that_only_the_end_knows_of_is_told_too() -> None:
    facts = [
        start_fact(),
        fact(
            "deployment.finished",
            5,
            ANA,
            open_items=[],
            override={"reason": "r", "first": ANA, "second": BEN, "open": []},
        ),
    ]
    [one] = told_of(facts).overrides
    assert (one.what, one.first, one.second, one.state) == ("finish", "Ana", "Ben", "confirmed")


def test_clicks_that_changed_nothing_count_for_nobody(report: Report) -> None:
    ben = next(doer for doer in report.people if doer.id == BEN)
    assert "ticks" in ben.deeds and ben.deeds["ticks"] == 1
    assert [doer.name for doer in report.people][-1] == "Deploybot"
    assert people_in(history(eventful())) == (ANA, BEN, CARLA)


def test_user_groups_are_named_like_people_and_words_are_no_ids() -> None:
    group, owners = "S0RELEASE01", "S0SECURITY1"
    one = make_checklist()
    override = {"reason": "SORRY", "first": ANA, "second": BEN, "open": []}
    facts = [
        start_fact(one),
        fact("item.assigned", 1, ANA, **about(one, 0), to=owners),
        fact("go.requested", 2, ANA, group=group),
        fact("deployment.go", 3, CARLA, open_items=[], override=override),
    ]
    assert people_in(history(facts)) == (ANA, owners, group, CARLA, BEN)
    names = NAMES | {group: "Release managers", owners: "Security"}
    report = made(history(facts), {}, names=names, plain=plain, now=minute(60))
    assert [entry.text for entry in report.timeline[1:3]] == [
        "assigned “Box 1.1” to Security",
        "asked Release managers for Go",
    ]
    assert report.items[0].assignees == ("Security",)
    assert report.names[group] == "Release managers"


def test_whose_turn_and_which_freeze_a_start_went_over_is_told() -> None:
    freeze = {"name": "Weekend", "reason": "nobody is on call", "until": minute(24 * 60).isoformat()}
    first = start_fact(also={"over_turn_of": BEN, "frozen": freeze})
    report = told_of([first])
    assert report.timeline[0].text == (
        "started storefront v1.4.2 → production, although it was the turn of Ben, "
        "prepared in the freeze “Weekend” until 3 Mar 13:00: nobody is on call"
    )
    assert people_in(history([first])) == (ANA, BEN)
    deployment = report_to_json(report)["deployment"]
    assert deployment["over_turn_of"] == {"id": BEN, "name": "Ben"}
    assert deployment["prepared_in"] == {
        "name": "Weekend",
        "reason": "nobody is on call",
        "until": "2026-03-03T12:00:00.000Z",
    }
    jsonschema.Draft202012Validator(SCHEMA).validate(report_to_json(report))


def test_a_start_that_went_over_nothing_says_nothing_of_it() -> None:
    report = told_of([start_fact()])
    assert report.timeline[0].text == "started storefront v1.4.2 → production"
    deployment = report_to_json(report)["deployment"]
    assert (deployment["over_turn_of"], deployment["prepared_in"]) == (None, None)


def test_a_report_says_where_the_chain_is_broken() -> None:
    events = list(history(eventful()))
    events[3] = replace(events[3], fact=replace(events[3].fact, actor=CARLA))
    report = made(events, {}, names={}, plain=plain, now=minute(60))
    assert "event 4" in report.broken
    assert report.lead_name == BEN  # without names people are called by their ids


def test_a_deployment_under_way_is_told_until_now() -> None:
    report = made(history([start_fact()]), {}, names={}, plain=plain, now=minute(90))
    assert (report.outcome, report.until, report.spans[0].end) == ("in progress", minute(90), None)
    assert report.recorder.curve is None
    assert report.recorder.rows[-1].end >= minute(90)


def test_the_recorder_takes_the_signal_that_raised_the_alert_with_its_band(report: Report) -> None:
    curve = report.recorder.curve
    assert curve is not None
    assert curve.title == "errors, %"
    assert curve.band is not None
    assert curve.band[0] == pytest.approx(0.2)
    assert "Go at 13:14" in report.recorder.alt
    assert sum(row.counts[0] for row in report.recorder.rows) == report.recorder.lanes[0].total


def test_the_recorder_draws_all_that_was_measured_where_a_quick_look_raised_the_alert() -> None:
    def quickly(event: Event) -> Event:
        finding = event.fact.data.get("finding") or {}
        if event.fact.kind != "trigger.fired" or finding.get("signal") != "errors":
            return event
        data = {**event.fact.data, "finding": {**finding, "signal": "errors@fast"}}
        return replace(event, fact=replace(event.fact, data=data))

    events = [quickly(event) for event in history(eventful())]
    regular = samples()["errors"]
    quick = [Measured(at=minute(18) + timedelta(seconds=15 * n), value=9.0, count=110) for n in (1, 2, 3)]
    both = {"errors": regular, "errors@fast": quick}
    report = made(events, both, names=NAMES, plain=plain, now=minute(60))
    curve = report.recorder.curve
    assert curve is not None
    assert curve.title == "errors, %"
    assert {(one.at, 9.0) for one in quick} <= set(curve.points)
    shown = [one for one in regular if one.at >= curve.points[0][0]]
    assert len(curve.points) == len(shown) + len(quick) > 50
    assert [at for at, _ in curve.points] == sorted(at for at, _ in curve.points)


_words = st.text(max_size=8)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)
_KINDS = sorted({one.kind for one in eventful()} | {"item.frobbed", "weird", "a.b.c", ""})
_NAMES = (
    "item",
    "position",
    "reason",
    "to",
    "from",
    "key",
    "what",
    "request",
    "finding",
    "result",
    "override",
    "keys",
    "until",
    "note",
    "labels",
    "signals",
    "counts",
    "positions",
    "open",
)


@given(st.sampled_from(_KINDS), st.dictionaries(st.sampled_from(_NAMES), _values, max_size=6))
def test_whatever_an_event_holds_it_is_told_in_some_words(kind: str, data: dict[str, object]) -> None:
    event = Event(
        deployment_id=1, seq=2, fact=Fact(kind=kind, actor=ANA, at=minute(1), data=data), previous="", hash=""
    )
    set_ = scene([event], boxes=["Box"], keys=["k"], call=str, clock=str)
    said = told(event, set_)
    assert isinstance(said, str)
    assert said.strip()


@given(st.integers(0, 400), st.integers(1, 20_000))
def test_no_tick_is_lost_in_the_picture_and_labels_stay_few(count: int, minutes: int) -> None:
    one = make_checklist()
    facts = [start_fact(one)]
    facts += [
        fact("item.ticked" if at % 2 == 0 else "item.unticked", minutes * at / 400, BEN, **about(one, 0))
        for at in range(count)
    ]
    report = made(history(facts), {}, names={}, plain=plain, now=minute(minutes))
    shown = report.recorder
    assert sum(lane.total for lane in shown.lanes) == (count + 1) // 2
    assert all(len(lane.marks) <= 300 for lane in shown.lanes)
    assert len(shown.axis) <= 9
    assert all(0 <= shown.share(mark.at) <= 1 for lane in shown.lanes for mark in lane.marks)
