"""Every message that is drawn fits Slack's limits, in the worst case too."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.checklists.markdown import parse
from bot.domain.care import Assignment, Care
from bot.domain.check import Evidence, ItemResult, Outcome
from bot.domain.checklist import Checklist, Group, Item, Section
from bot.domain.deployment import Deployment, Phase, Target, Tick
from bot.domain.errors import ForeignClick, NoSuchDeployment
from bot.domain.events import BOT
from bot.domain.verification import Bound, Go, Purpose, Result, Run
from bot.slack.blocks import card, evidence, modals, notices, rollback, section, words
from bot.slack.blocks.layout import MessageLayout
from bot.slack.blocks.results import MARKS, OUTCOME_WORDS, annotation
from bot.slack.blocks.words import Drawing
from bot.slack.ids import TickBlock
from bot.workspace.block_kit import check_message_blocks, check_view
from tests.conftest import REPOSITORY
from tests.makers import ANA, BEN, CHANNEL, NOON, TEAM, make_checklist

LONG_NAME = "Maximilian Alexander von und zu Hohenstein-Sigmaringen"
NAMES = {ANA: LONG_NAME, BEN: "ben"}


def deployment_of(checklist: Checklist, **changed: object) -> Deployment:
    made = Deployment(
        id=123_456,
        name="storefront-123456",
        target=Target(service="storefront", version="v1.4.2", environment="production"),
        team=TEAM,
        channel=CHANNEL,
        lead=ANA,
        timezone="Europe/Berlin",
        checklist_name="production",
        checklist=checklist,
        started_at=NOON,
        seq=98_765,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def everything_ticked(deployment: Deployment) -> Deployment:
    later = NOON + timedelta(days=3)
    earlier = tuple(range(len(deployment.checklist.items)))[-19:]
    ticks = {
        at: Tick(by=ANA, at=later, seq=at, before=earlier if item.ordered else ())
        for at, item in enumerate(deployment.checklist.items)
    }
    return replace(deployment, ticks=ticks)


def everything_checked(deployment: Deployment, outcome: Outcome, *, by: str | None) -> Deployment:
    """Every item has a check that came to this, and much to say; ticked by somebody or by nobody."""
    positions = range(len(deployment.checklist.items))
    at = NOON + timedelta(days=3)
    result = Result(
        outcome=outcome,
        said="_said_ <!channel> & `more` " * 11,
        at=at,
        expires_at=at,
        seq=99_999,
        ms=123_456.7,
    )
    return replace(
        deployment,
        bindings={position: Bound(human="A person reads it. " * 9) for position in positions},
        results=dict.fromkeys(positions, result),
        ticks={} if by is None else {p: Tick(by=by, at=at, seq=p, reason="why " * 200) for p in positions},
        run=Run(
            seq=1,
            by=ANA,
            at=at,
            purpose=Purpose.ASKED,
            positions=tuple(positions),
            pending=frozenset(list(positions)[::2]),
        ),
        go=Go(by=BEN, at=at, seq=9),
    )


def drawings(deployment: Deployment) -> list[Drawing]:
    made = []
    for number, post in enumerate(MessageLayout().plan(deployment), start=1):
        match post.kind:
            case "card":
                made.append(card.draw(deployment, names=NAMES, now=NOON + timedelta(days=4)))
            case "section":
                part = section.Part(**post.content)
                made.append(
                    section.draw(deployment, part, post_id=1_000_000 + number, revision=99_999, names=NAMES)
                )
            case "rollback":
                made.append(rollback.draw(deployment))
    return made


def boxes(made: list[Drawing]) -> int:
    return sum(
        len(element["options"])
        for drawing in made
        for block in drawing.blocks
        for element in [*block.get("elements", ()), block.get("accessory") or {}]
        if element.get("type") == "checkboxes"
    )


def assert_fits(made: list[Drawing]) -> None:
    for drawing in made:
        assert check_message_blocks(list(drawing.blocks)) == []
        assert 0 < len(drawing.text) <= 4000
        assert len(drawing.blocks) <= 50
        assert words.size(drawing.blocks) <= 13_000


ITEM = st.builds(
    Item,
    key=st.just("k"),
    text=st.one_of(
        st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=90),
        st.sampled_from(
            [
                "x" * 700,
                "**bold** " * 20,
                "日本語" * 30,
                "<&>" * 30,
                "🚀" * 60,
                "[a](https://x.y) b",
                "ab " * 1000,
            ]
        ),
    ).filter(lambda text: text.strip()),
    ordered=st.booleans(),
    number=st.integers(1, 99),
    depth=st.integers(0, 4),
)
CHECKLIST = st.builds(
    Checklist,
    title=st.just("T"),
    sections=st.lists(
        st.builds(
            Section,
            title=st.text(max_size=200),
            groups=st.lists(
                st.builds(
                    Group,
                    title=st.text(max_size=200),
                    items=st.lists(ITEM, min_size=1, max_size=45).map(tuple),
                ),
                min_size=1,
                max_size=6,
            ).map(tuple),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    triggers=st.lists(st.text(max_size=3000), max_size=30).map(tuple),
    rollback_steps=st.lists(st.text(max_size=3000), max_size=30).map(tuple),
)


def test_the_seed_takes_eight_messages_with_all_its_boxes() -> None:
    checklist = parse((REPOSITORY / "checklists" / "production.md").read_text(), name="p").checklist
    deployment = deployment_of(checklist)
    made = drawings(everything_ticked(deployment))
    assert len(made) == 8
    assert len(drawings(everything_checked(deployment, Outcome.FAIL, by=None))) == 8
    assert boxes(made) == boxes(drawings(deployment)) == 107
    assert_fits(made)


@given(CHECKLIST)
@settings(max_examples=40, deadline=None)
def test_every_checklist_fits_slacks_limits_untouched_ticked_and_ended(checklist: Checklist) -> None:
    deployment = deployment_of(checklist)
    ticked = everything_ticked(deployment)
    for state in (deployment, ticked):
        made = drawings(state)
        assert boxes(made) == len(checklist.items)
        assert_fits(made)
    for outcome in Outcome:
        for by in (None, BOT, ANA):
            made = drawings(everything_checked(deployment, outcome, by=by))
            assert boxes(made) == len(checklist.items)
            assert_fits(made)
            assert not any("<!channel>" in drawing.text for drawing in made)
    ended = replace(ticked, phase=Phase.ABORTED, ended_at=NOON, ended_by=BEN, reason="because <& " * 90)
    assert_fits(drawings(ended))


@pytest.mark.parametrize("length", [75, 76, 700, 2900])
def test_a_long_item_is_readable_in_full(length: int) -> None:
    text = ("word " * 700)[:length].strip() + "end"
    checklist = parse(f"- [ ] {text}\n", name="x").checklist
    [_, drawing] = drawings(deployment_of(checklist))
    assert text in str(drawing.blocks)
    assert text in drawing.text


def test_45_items_under_one_heading_are_split_into_groups_of_ten() -> None:
    checklist = parse("## S\n" + "".join(f"- [ ] item {n}\n" for n in range(45)), name="x").checklist
    made = drawings(deployment_of(checklist))
    sizes = [
        len(block["elements"][0]["options"])
        for drawing in made[1:]
        for block in drawing.blocks
        if block["type"] == "actions" and block["elements"][0]["type"] == "checkboxes"
    ]
    assert sum(sizes) == 45
    assert max(sizes) == 10


def test_a_ticked_box_says_who_and_when_in_the_deployments_time_zone() -> None:
    state = replace(
        deployment_of(make_checklist()),
        ticks={
            0: Tick(by=BEN, at=NOON, seq=2),
            5: Tick(by=BEN, at=NOON + timedelta(days=1), seq=3, before=(3, 4)),
        },
    )
    [_, first, *_] = drawings(state)
    assert "✓ ben · 13:00 CET" in str(first.blocks)
    assert "✓ ben · 3 Mar 13:00 CET · ⚠ before step 1 +1" in str(first.blocks)
    assert "☑ Box 1.1 (ben · 13:00 CET)" in first.text
    assert "☐ 1. Step 1.1" in first.text


def test_a_person_with_a_markup_name_cannot_forge_anything() -> None:
    state = replace(deployment_of(make_checklist()), ticks={0: Tick(by=BEN, at=NOON, seq=2)})
    ended = replace(state, phase=Phase.FINISHED, ended_at=NOON, ended_by=BEN)
    names = {ANA: "<!channel>", BEN: "*x* <@UEVIL>"}
    for drawing in (
        card.draw(ended, names=names, now=NOON),
        section.draw(
            ended,
            section.Part(section=0, part=1, parts=1, first=0, last=6),
            post_id=1,
            revision=1,
            names=names,
        ),
        notices.draw(ended, "finished", {}, names=names),
    ):
        assert "<!channel>" not in drawing.text
        assert "<@UEVIL>" not in drawing.text
        assert not any("<@UEVIL>" in str(b) for b in drawing.blocks if b["type"] == "section")


def test_forms_fit_slacks_limits() -> None:
    checklist = parse("".join(f"- [ ] {'long item ' * 60} {n}\n" for n in range(250)), name="x").checklist
    state = deployment_of(checklist)
    many = [
        replace(state, id=n, target=Target(service="s" * 50, version="v" * 60, environment="e" * 30))
        for n in range(150)
    ]
    given_ = {"service": "s" * 3000, "version": "", "environment": ""}
    names = [f"checklist-{n}" for n in range(150)]
    for view in (
        modals.start(channel=CHANNEL, given=given_, checklists=names, checklist="checklist-3"),
        modals.finish(state),
        modals.finish(everything_ticked(state)),
        modals.abort([state]),
        modals.abort(many, reason="r" * 5000),
        modals.abort(many[:1], missed=NoSuchDeployment("&" * 5000, nearest="s" * 60)),
    ):
        assert check_view(view, surface="modal") == []


@given(
    st.integers(1, 10**8),
    st.integers(1, 10**8),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 250),
    st.data(),
)
def test_a_tick_blocks_id_is_read_back_as_written(
    deployment: int, post: int, revision: int, seq: int, first: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, 10))
    ticked = data.draw(st.frozensets(st.integers(first, first + count - 1)))
    block = TickBlock(
        deployment_id=deployment,
        post_id=post,
        revision=revision,
        seq=seq,
        first=first,
        count=count,
        ticked=ticked,
    )
    assert TickBlock.read(block.write()) == block
    assert len(block.write()) <= 255


@given(st.text(max_size=80) | st.lists(st.integers(-5, 99).map(str)).map(lambda n: ".".join(["tick", *n])))
def test_no_other_id_is_taken_for_one_of_ours(block_id: str) -> None:
    try:
        read = TickBlock.read(block_id)
    except ForeignClick:
        return
    assert read.ticked <= set(read.positions)


def test_the_bar_is_full_only_when_everything_is_done() -> None:
    dice = random.Random(1)
    for _ in range(200):
        total = dice.randint(1, 300)
        done = dice.randint(0, total)
        assert ("▱" not in words.bar(done, total)) == (done == total)
        assert ("▰" not in words.bar(done, total)) == (done == 0)


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.ERROR, Outcome.SKIPPED])
def test_a_tick_of_the_bots_says_when_its_check_came_to_nothing_since(outcome: Outcome) -> None:
    deployment = everything_checked(deployment_of(make_checklist()), outcome, by=BOT)
    said = annotation(replace(deployment, run=None), 0, NAMES)
    assert f"now {MARKS[outcome]} {OUTCOME_WORDS[outcome]}" in said


@pytest.mark.parametrize(
    ("by", "reason", "outcome", "offered"),
    [
        (None, "", Outcome.FAIL, True),
        (BOT, "", Outcome.UNKNOWN, True),
        (BEN, "", Outcome.FAIL, True),
        (BEN, "", Outcome.UNKNOWN, False),
        (BEN, "I looked", Outcome.FAIL, False),
        (None, "", Outcome.PASS, False),
    ],
)
def test_overruling_is_offered_where_a_check_stands_in_the_way_of_the_item(
    by: str | None, reason: str, outcome: Outcome, offered: bool
) -> None:
    result = Result(outcome=outcome, said="why", at=NOON, expires_at=NOON, seq=2, ms=1.0)
    deployment = deployment_of(
        make_checklist(),
        bindings={0: Bound()},
        results={0: result},
        ticks={} if by is None else {0: Tick(by=by, at=NOON, seq=1, reason=reason)},
    )
    view = evidence.evidence(deployment, 0, None)
    assert ("Overrule…" in str(view)) is offered


def test_channels_in_what_the_bot_did_itself_are_shown_by_name() -> None:
    def shown(kind: str, observed: str, reason: str = "") -> str:
        part = Evidence(
            id="",
            kind=kind,
            target="notified",
            outcome=Outcome.PASS,
            observed=observed,
            expected="done is true",
            reason=reason,
            facts={},
            started_at=NOON,
            ms=1.0,
        )
        result = ItemResult(key="a", outcome=Outcome.PASS, evidence=(part,), at=NOON, expires_at=NOON, ms=1.0)
        deployment = deployment_of(make_checklist(), bindings={0: Bound()})
        views = [evidence.evidence(deployment, 0, result), evidence.results(deployment, [0], {0: result})]
        assert [check_view(view, surface="modal") for view in views] == [[], []]
        return str(views)

    told = f"stakeholders told at 04:46 UTC in {CHANNEL}"
    assert shown("event", told).count(f"in <#{CHANNEL}>") == 2
    assert f"but in <#{CHANNEL}>, not in <#C0PAYMENTS1>" in shown(
        "event", "", f"stakeholders told, but in {CHANNEL}, not in C0PAYMENTS1"
    )
    assert "<#" not in shown("http", told), "elsewhere such a word may be anything"
    assert "<#" not in shown("event", "CONFIGURATION")


@pytest.mark.parametrize(
    ("purpose", "said"),
    [("asked", "looked at."), ("go", "So there is no Go."), ("finish", "So it is not finished.")],
)
def test_who_stops_the_checks_before_go_or_the_end_is_told_what_that_means(purpose: str, said: str) -> None:
    content = {
        "counts": {"pass": 1},
        "failing": [],
        "more": 0,
        "left": 2,
        "by": ANA,
        "purpose": purpose,
        "cancelled_by": BEN,
        "seconds": 1.0,
    }
    drawing = notices.draw(deployment_of(make_checklist()), "checks-3", content, names=NAMES)
    assert drawing.text.endswith(said)


def test_who_gave_an_item_is_named_to_whom_it_was_given_and_not_to_others() -> None:
    """The same item given to two people, by two people: each reads of their own giver."""

    def to_one(to: str, by: str, seq: int) -> Assignment:
        return Assignment(to=to, by=by, at=NOON, seq=seq)

    care = Care(assignments={0: (to_one("U0DAN", ANA, 2), to_one("U0EVE", BEN, 3))})
    deployment = deployment_of(make_checklist(), care=care)
    said = notices.draw(deployment, "assigned-U0DAN", {"to": "U0DAN"}, names=NAMES | {ANA: "ana"}).text
    assert "ana gave you 1 item" in said
    assert "ben" not in said


@pytest.mark.parametrize(
    ("bound", "outcome", "said"),
    [
        (Bound(human="read it"), None, "counts once its check has passed"),
        (Bound(human="read it"), Outcome.UNKNOWN, "does not count: 🤖 ? no data"),
        (Bound(), Outcome.FAIL, "does not count: 🤖 ✗ no data"),
        (Bound(), Outcome.UNKNOWN, "· 🤖 ? no data"),
        (Bound(), None, "✓ ben · 13:00 CET"),
    ],
)
def test_a_tick_that_does_not_count_says_so(bound: Bound, outcome: Outcome | None, said: str) -> None:
    result = (
        Result(outcome=outcome, said="no data", at=NOON, expires_at=NOON, seq=2, ms=1) if outcome else None
    )
    deployment = deployment_of(
        make_checklist(),
        bindings={0: bound},
        results={0: result} if result else {},
        ticks={0: Tick(by=BEN, at=NOON, seq=1)},
    )
    drawn = annotation(deployment, 0, {BEN: "ben"})
    assert said in drawn, drawn
    assert ("count" in drawn) == (0 not in deployment.done), drawn


def test_no_go_can_be_said_from_the_card_at_any_time() -> None:
    fresh = deployment_of(make_checklist(), bindings={0: Bound()})
    run = Run(seq=1, by=ANA, at=NOON, purpose=Purpose.GO, positions=(0,), pending=frozenset({0}))
    for deployment, label in (
        (fresh, "'No-go'"),
        (replace(fresh, run=run), "'No-go…'"),
        (replace(fresh, go=Go(by=ANA, at=NOON, seq=2)), "'Take Go back…'"),
    ):
        assert label in str(card.draw(deployment, names=NAMES, now=NOON).blocks), label


def test_go_says_what_fails_and_which_alerts_nobody_has_cleared() -> None:
    content = {"by": ANA, "open": 3, "failing": 2, "alerts": ["Errors rise", "<!channel>"]}
    drawing = notices.draw(deployment_of(make_checklist()), "go-3", content, names=NAMES)
    assert "3 items still open, 2 of them with a check that fails." in drawing.text
    assert "Raised, and nobody has cleared it: Errors rise; &lt;!channel&gt;." in str(drawing.blocks)
    quiet = notices.draw(deployment_of(make_checklist()), "go-3", {"by": ANA, "open": 1}, names=NAMES)
    assert quiet.text.endswith("1 item still open.")
