"""Alerts, the runbook and their chart: what they say, and that they fit Slack's limits at their longest."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from math import isnan
from typing import Any

import pytest
from PIL import Image

from bot.domain import drilling
from bot.domain.checklist import RUNBOOK
from bot.domain.deployment import Deployment, Phase, Tick, extend
from bot.domain.events import BOT, Fact
from bot.domain.signals import Measured, merged
from bot.domain.triggering import TriggerFinding
from bot.domain.watching import VERIFIED, Source
from bot.slack import canvas, chart
from bot.slack.alert_listeners import told_of_watch
from bot.slack.blocks import alert, alert_forms, card, notices, rollback, runbook, words
from bot.slack.blocks.layout import MessageLayout
from bot.slack.blocks.words import Drawing
from bot.slack.ids import TriggerRef
from bot.slack.series import alt_text, series
from bot.workspace.block_kit import check_message_blocks, check_view
from tests.makers import ANA, BEN, NOON, make_checklist
from tests.unit.test_drawing import assert_fits, deployment_of

GO = NOON - timedelta(minutes=7)
NAMES = {ANA: "ana", BEN: "ben"}
FINDING = TriggerFinding(
    signal="errors",
    label="errors",
    measure="error_pct",
    change="0.2 % → 3.1 %",
    before=0.2,
    after=3.1,
    difference=2.9,
    low=2.1,
    high=3.8,
    bad=41,
    requests=1320,
    samples_bad=3,
    samples=3,
    since=(GO + timedelta(minutes=4)).isoformat(),
    unchanged=("p95 latency 182 ms",),
    contradicting=("the same rise yesterday at 12:00",),
    links=(("Runbook", "https://wiki.test/errors"),),
)
CONTENT: dict[str, Any] = {
    "fired": 2,
    "announced": 1,
    "on_call": "S0ONCALL001",
    "links": [["Dashboard", "https://grafana.test/d?a=1&b=2"]],
    "title": "Significant error rate increase",
    "finding": FINDING.to_json(),
}


def after(*facts: Fact, deployment: Deployment | None = None) -> Deployment:
    start = deployment or deployment_of(
        replace(make_checklist(), rollback_steps=("Restore", "Verify rollback")), seq=0
    )
    state, _ = extend(start, facts)
    return state


def fact(kind: str, *, actor: str = BOT, at: datetime = NOON, **data: Any) -> Fact:
    return Fact(kind=kind, actor=actor, at=at, data=data)


def test_the_difference_of_a_latency_is_a_share_and_has_no_exponent() -> None:
    finding = replace(
        FINDING,
        label="p95 latency",
        measure="latency_ms",
        change="4.8 ms → 395 ms",
        difference=8113.0,
        low=7424.0,
        high=8216.0,
        bad=None,
        requests=None,
    )
    assert "p95 latency 4.8 ms → 395 ms, +8,113 % [7,424–8,216]" in alert.in_figures(finding, GO)
    better = replace(finding, difference=-2.58, low=-4.0, high=-1.0)
    assert "-2.58 %" in alert.in_figures(better, GO)


def raised(*more: Fact, source: Source = Source.WATCH, finding: TriggerFinding = FINDING) -> Deployment:
    """Go, and a trigger raised by event 2."""
    fired = fact(
        "trigger.fired",
        key="errors",
        title=CONTENT["title"],
        source=source.value,
        finding=finding.to_json(),
        size=2.9,
    )
    return after(fact("deployment.go", actor=ANA, at=GO, open_items=[]), fired, *more)


def drawn(state: Deployment, **content: Any) -> Drawing:
    made = alert.draw(state, CONTENT | content, names=NAMES)
    assert_fits([made])
    return made


def labels(made: Drawing) -> list[str]:
    found: Iterable[dict[str, Any]] = (e for block in made.blocks for e in block.get("elements", ()))
    return [(e.get("text") or e["placeholder"])["text"] for e in found if e["type"] != "mrkdwn"]


def test_an_alert_says_what_got_worse_since_when_and_what_speaks_for_and_against_it() -> None:
    made = drawn(raised())
    said = str(made.blocks)
    assert (
        "*errors 0.2 % → 3.1 %, +2.9 pp [2.1–3.8], 41 of 1,320 requests, 3 of 3 samples, from T+4 min*"
        in said
    )
    assert f"<@{ANA}> <!subteam^S0ONCALL001>" in said
    assert "*Did not change:* p95 latency 182 ms" in said
    assert "*Speaks against this deployment:* the same rise yesterday at 12:00" in said
    assert "<https://grafana.test/d?a=1&amp;b=2|Dashboard>" in said
    for part in (
        "3 of 3 samples, from T+4 min",
        "p95 latency 182 ms",
        "the same rise yesterday",
        "led by ana",
    ):
        assert part in made.text
    assert labels(made) == ["Start rollback", "Acknowledge", "Not this deploy", "Snooze"]


def test_instants_on_the_screen_are_in_each_readers_own_zone() -> None:
    began = words.slack_time(GO + timedelta(minutes=4))
    assert began.startswith("<!date^")
    state = raised()
    state = replace(state, aftermath=replace(state.aftermath, deployed=None))
    made = drawn(state)
    assert f"3 of 3 samples, from {began}*" in str(made.blocks)
    assert "from 11:57 UTC" in made.text
    until = fact("watch.begun", until=NOON.isoformat(), labels={})
    assert told_of_watch(raised(until)) == f"storefront-123456 is watched until {words.slack_time(NOON)}."
    steps = [
        fact("rollback.started", actor=BEN, why="Checkout fails", trigger="errors"),
        fact("item.ticked", actor=BEN, item=f"{RUNBOOK}/restore", position=0),
        fact("item.ticked", actor=BEN, item=VERIFIED, position=1),
    ]
    over = raised(*steps)
    count = len(over.checklist.items)
    over = replace(over, ticks={count + at: Tick(by=BEN, at=NOON, seq=4) for at in range(2)})
    [post, *_] = MessageLayout().runbook(over)
    for told in (
        notices.draw(over, "rolled_back", {"by": BEN}, names=NAMES),
        runbook.draw(over, post.content, post_id=1, revision=1, names=NAMES),
    ):
        assert f"alert {words.slack_time(NOON)}" in str(told.blocks)
        assert "alert 13:00 CET" in told.text
        assert "<!date" not in told.text


def test_buttons_that_make_no_sense_any_more_are_gone() -> None:
    acknowledged = fact("trigger.acknowledged", actor=BEN, key="errors")
    begun = fact("watch.begun", until=NOON.isoformat(), labels={})
    rolling = fact("rollback.started", actor=BEN, why="Checkout fails", trigger="errors")
    cleared = fact("trigger.cleared", actor=BEN, key="errors", reason="the provider is down")
    assert labels(drawn(raised(begun, acknowledged))) == [
        "Start rollback",
        "Watch longer",
        "Not this deploy",
        "Snooze",
    ]
    assert labels(drawn(raised(acknowledged, rolling))) == ["Not this deploy", "Snooze"]
    assert labels(drawn(raised(source=Source.DRILL))) == ["Acknowledge", "End the drill", "Snooze"]
    made = drawn(raised(acknowledged, cleared))
    assert labels(made) == []
    assert f"Cleared by <@{BEN}>" in str(made.blocks)
    assert "the provider is down" in made.text
    assert "Acknowledged by ben" in made.text
    assert labels(drawn(replace(raised(), phase=Phase.FINISHED, ended_at=NOON, ended_by=ANA))) == []


def test_an_alert_announced_again_leaves_the_first_as_it_was_and_without_buttons() -> None:
    worse = replace(FINDING, change="0.2 % → 9 %").to_json()
    state = raised(fact("trigger.worsened", key="errors", finding=worse, size=6.0))
    first, second = drawn(state), drawn(state, announced=2)
    assert "0.2 % → 3.1 %" in first.text
    assert "see the newer alert" in first.text
    assert labels(first) == []
    assert "0.2 % → 9 %" in second.text
    assert "Acknowledge" in labels(second)


def test_a_recovery_is_noted_and_clears_nothing() -> None:
    made = drawn(raised(fact("trigger.recovered", key="errors", said="errors at 0.2 % for 5 min")))
    assert "Back to normal" in made.text
    assert "it stays raised until somebody clears it" in made.text
    assert "Acknowledge" in labels(made)


def test_who_raised_it_as_well_stands_on_the_alert_with_what_they_saw() -> None:
    link = "https://x.slack.com/archives/C1/p1"
    made = drawn(raised(fact("trigger.joined", actor=BEN, key="errors", said="<!channel> 500s", link=link)))
    assert f"Also raised by <@{BEN}>" in str(made.blocks)
    assert f"&lt;!channel&gt; 500s <{link}|Evidence>" in str(made.blocks)
    assert "Also raised by ben, 2026-03-02 12:00 UTC: &lt;!channel&gt; 500s Evidence" in made.text
    assert "0.2 % → 3.1 %" in made.text
    many = drawn(
        raised(*[fact("trigger.joined", actor=BEN, key="errors", said=f"no. {n}") for n in range(9)])
    )
    assert "5 more raised it as well" in many.text
    assert "no. 4" not in many.text
    assert "no. 8" in many.text


def test_a_drill_says_so_first() -> None:
    made = drawn(raised(source=Source.DRILL))
    assert made.text.startswith("🧪 Drill")
    assert "nothing is wrong" in made.text
    assert "a *drill* by" in str(made.blocks)


def test_the_longest_alert_fits_slacks_limits() -> None:
    long = replace(
        FINDING,
        said="<&> *bold* " * 90,
        found=("line " * 200,) * 30,
        unchanged=("& same " * 100,) * 30,
        contradicting=("< also " * 100,) * 30,
        links=(("label " * 20, "https://x.test/" + "a" * 900),) * 12,
    )
    state = raised(
        fact("trigger.acknowledged", actor=BEN, key="errors"),
        fact("trigger.snoozed", actor=BEN, key="errors", until=(NOON + timedelta(hours=1)).isoformat()),
        fact("trigger.recovered", key="errors", said="& " * 500),
        *[
            fact("trigger.joined", actor=BEN, key="errors", said="<&> " * 250, link=f"https://x/{'a' * 274}")
            for _ in range(20)
        ],
        finding=long,
    )
    picture = alert.Chart(file="F0123456789", alt="words " * 600)
    made = alert.draw(state, CONTENT | {"title": "T" * 1000}, names=NAMES, chart=picture)
    assert_fits([made])
    assert "<!channel>" not in made.text


def test_a_title_cannot_mention_anybody() -> None:
    fired = fact(
        "trigger.fired",
        key="x",
        title="<!channel> *x*",
        source="hook",
        finding={"said": "<!here> <@UEVIL>"},
        size=1.0,
    )
    state = after(fact("deployment.go", actor=ANA, at=GO, open_items=[]), fired)
    made = drawn(state)
    marked_up = [block for block in made.blocks if block["type"] != "actions"]  # buttons are plain text
    for shown in (made.text, str(marked_up)):
        assert "<!channel>" not in shown
        assert "<!here>" not in shown
        assert "<@UEVIL>" not in shown


def test_the_card_names_raised_triggers_the_rollback_and_the_watchs_verdict() -> None:
    judged = {"errors": {"verdict": "degraded", "said": "0.2 % → 3.1 %", "pending": False}}
    state = raised(
        fact("watch.begun", until=NOON.isoformat(), labels={"errors": "errors", "p95": "p95 latency"}),
        fact("watch.judged", signals=judged),
        fact("rollback.started", actor=BEN, why="Checkout fails", trigger="errors"),
    )
    made = card.draw(state, names=NAMES, now=NOON)
    assert_fits([made])
    assert "Rolling back, step 1 of 2" in made.text
    assert "🚨 Significant error rate increase: nobody has acknowledged it." in made.text
    assert "↩️ Rollback by ben: Checkout fails." in made.text
    assert "🔻 Watch: degraded: errors: 0.2 % → 3.1 %." in made.text


def test_who_finishes_with_a_rollback_under_way_is_told_and_what_was_not_cleared_is_named() -> None:
    def finished(*facts: Fact) -> tuple[str, str]:
        state = raised(*facts, fact("deployment.finished", actor=BEN, open_items=[]))
        made = [notices.draw(state, "finished", {}, names=NAMES), card.draw(state, names=NAMES, now=NOON)]
        assert_fits(made)
        return made[0].text, made[1].text

    title = CONTENT["title"]
    back = fact("rollback.started", actor=BEN, why="Checkout fails", trigger="errors")
    said, on_card = finished(back)
    assert said.startswith("↩️ ben finished *")
    assert "* while rolling back (step 1 of 2) after" in said
    assert f"Rollback triggers that were not cleared: {title}." in said
    assert "Finished, rolling back, step 1 of 2" in on_card
    assert f"🚨 {title}: it was not cleared." in on_card
    said, on_card = finished()
    assert said.startswith("🔶 ben finished *")
    assert "rolling back" not in said
    said, on_card = finished(fact("trigger.cleared", actor=BEN, key="errors", reason="known"))
    assert said.startswith("✅ ben finished *")
    assert "not cleared" not in said + on_card


def test_the_runbook_fits_slacks_limits_and_holds_every_step() -> None:
    checklist = replace(make_checklist(), rollback_steps=tuple(f"{'long step ' * 60} {n}" for n in range(40)))
    begun = fact("rollback.started", actor=BEN, why="why " * 250)
    state = after(begun, deployment=deployment_of(checklist, seq=0))
    made = [
        runbook.draw(state, post.content, post_id=10**7, revision=10**4, names=NAMES)
        for post in MessageLayout().runbook(state)
    ]
    assert_fits(made)
    assert all(any(f" {n}" in str(drawing.blocks) for drawing in made) for n in range(40))
    nothing = after(begun, deployment=deployment_of(make_checklist(), seq=0))
    nothing = replace(nothing, checklist=replace(nothing.checklist, rollback_steps=()))
    [post] = MessageLayout().runbook(nothing)
    made = [runbook.draw(nothing, post.content, post_id=1, revision=1, names=NAMES)]
    assert_fits(made)
    assert "no rollback steps" in str(made[0].blocks)


def test_forms_and_the_plans_buttons_fit_slacks_limits() -> None:
    checklist = replace(
        make_checklist(), triggers=("trigger " * 60,) * 120, rollback_steps=("step " * 90,) * 60
    )
    state = replace(raised(), checklist=checklist)
    trigger = state.aftermath.triggers["errors"]
    for view in (
        alert_forms.roll_back(state, trigger, reason="r" * 5000),
        alert_forms.roll_back(state, None),
        alert_forms.not_this_deploy(state, trigger),
        alert_forms.raise_by_hand(state),
    ):
        assert check_view(view, surface="modal") == []
    made = rollback.draw(state)
    assert check_message_blocks(list(made.blocks)) == []
    assert_fits([made])
    assert labels(made) == ["Raise a trigger", "Start rollback"]


@pytest.mark.parametrize("value", ["1.2", "1.2.x", "a.b.c", "", None, "1.2.3.4", "-1.2.3"])
def test_a_value_nobody_wrote_is_refused(value: object) -> None:
    with pytest.raises(Exception, match="does not belong"):
        TriggerRef.read(value)


# ── the chart ────────────────────────────────────────────────────────────────────────────────────────────


def made_up() -> Any:
    deployed, samples = drilling.samples(NOON)
    since = (NOON - timedelta(minutes=3)).isoformat()
    return series(samples, replace(FINDING, since=since), deployed=deployed, alert=NOON)


def test_a_chart_is_a_png_of_twice_the_size_it_is_shown_in_with_every_mark() -> None:
    data = chart.draw(made_up())
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (2 * canvas.WIDTH, 2 * canvas.HEIGHT)
    axes = chart.make_figure(made_up()).axes[0]
    marks = {artist.get_gid(): artist for artist in [*axes.lines, *axes.patches] if artist.get_gid()}
    assert set(marks) == {"band", "values", "worse", "deploy", "alert"}
    assert list(marks["deploy"].get_xdata()) == [0, 0]
    assert list(marks["alert"].get_xdata()) == [7, 7]
    assert list(marks["worse"].get_ydata()) == [2.6, 3.4, 3.1]
    assert len({marks[name].get_linestyle() for name in ("deploy", "alert", "values")}) == 3
    image = Image.open(io.BytesIO(data)).convert("RGB")
    assert image.getpixel((5, 5)) == (0xEC, 0xEE, 0xF1)
    colours = {colour for _, colour in image.getcolors(maxcolors=1 << 24) or ()}
    for hexed in (canvas.LINE, canvas.BAD, canvas.INK):
        assert tuple(int(hexed[at : at + 2], 16) for at in (1, 3, 5)) in colours


def test_the_chart_in_words_has_its_band_its_change_and_its_alert() -> None:
    said = alt_text(made_up())
    assert "from 12 min before the deploy to 6 min after the deploy" in said
    assert "usually between 0.18 and 0.229" in said
    assert "From 4 min after the deploy it is around 3.1, at most 3.4." in said
    assert "The alert was raised 7 min after the deploy." in said


def minute(at: float, value: float | None, count: int | None = 400) -> Measured:
    """A sample so many minutes after the deploy."""
    return Measured(at=GO + timedelta(minutes=at), value=value, count=count)


def test_what_is_as_before_again_is_not_drawn_as_worse() -> None:
    before = [minute(at - 10, 0.2 + at % 3 * 0.01) for at in range(10)]
    later = [minute(4, 3.0), minute(5, 3.2), minute(6, 0.3), minute(7, 3.1), minute(8, 0.3), minute(9, 0.2)]
    shown = series([*before, *later], FINDING, deployed=GO, alert=NOON)
    assert shown is not None and shown.band is not None
    assert shown.band[1] < 0.3, "a little above what was usual, but not by as much as matters"
    assert [value for _, value in shown.worse] == [3.0, 3.2, 3.1]
    assert "it is around 3.1, at most 3.2" in alt_text(shown)
    drawn = {line.get_gid(): line for line in chart.make_figure(shown).axes[0].lines}
    painted = zip(drawn["worse"].get_xdata(), drawn["worse"].get_ydata(), strict=True)
    assert [at for at, value in painted if not isnan(value)] == [4, 5, 7]


def test_a_rise_that_a_checklist_cares_for_is_worse_however_small() -> None:
    small = replace(FINDING, before=0.01, after=0.06)
    taken = [*(minute(at, 0.01) for at in range(-10, 0)), *(minute(at, 0.06) for at in range(4, 7))]
    shown = series(taken, small, deployed=GO, alert=NOON)
    assert shown is not None and len(shown.worse) == 3


def test_quick_looks_are_drawn_among_the_samples_taken_in_turn() -> None:
    regular = [*(minute(at, 0.2) for at in range(-10, 6)), minute(6, None)]
    quick = [
        *(minute(at / 4, at % 4 * 5.0, count=4) for at in range(-40, 1)),
        minute(5, 9.0),
        minute(5.5, 4.0),
    ]
    line = merged(regular, quick, deployed=GO)
    assert line == [*regular[:-1], minute(5.5, 4.0), regular[-1]], "of one instant the one with more counts"
    shown = series(line, FINDING, deployed=GO, alert=NOON)
    assert shown is not None and shown.band == pytest.approx((0.2, 0.2)), "from before the deploy"
    alone = [minute(-2, None), minute(1, 0.3)]
    assert merged(alone, quick, deployed=GO)[:3] == quick[:3], "without others they tell what was usual"
    assert merged(alone, quick[-1:], deployed=None) == [*alone, quick[-1]]


def test_samples_without_data_are_no_zeros_and_too_few_make_no_chart() -> None:
    def at(minute: int, value: float | None, count: int | None = 10) -> Measured:
        return Measured(at=NOON + timedelta(minutes=minute), value=value, count=count)

    shown = series(
        [at(-1, 1.0), at(0, None), at(1, 0.0, count=0), at(2, 2.0), at(3, 3.0)],
        FINDING,
        deployed=NOON,
        alert=NOON + timedelta(minutes=4),
    )
    assert shown is not None
    assert shown.points == ((-1.0, 1.0), (2.0, 2.0), (3.0, 3.0))
    assert shown.band is None
    assert chart.draw(shown).startswith(b"\x89PNG")
    assert series([at(-1, 1.0), at(2, None)], FINDING, deployed=NOON, alert=NOON) is None
