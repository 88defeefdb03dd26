"""A person's home, drawn: it fits Slack's limits in the worst case, and says what matters first."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.checklists.markdown import parse
from bot.domain.belonging import LINGERS, Claim, groups_named, own, still_open
from bot.domain.care import Assignment, Care, Waiver
from bot.domain.checklist import Checklist, Group, Item, Section
from bot.domain.conduct import Conduct, Ownership
from bot.domain.deployment import Deployment, Phase, Target, Tick
from bot.domain.errors import ForeignClick
from bot.domain.watching import Aftermath, Rollback, Source, Trigger, TriggerState
from bot.slack.blocks import card, home, modals, shortcut_forms
from bot.slack.blocks.home import Links, Place, Seen
from bot.slack.blocks.layout import MessageLayout
from bot.slack.ids import HomeBlock, StartAgain, View
from bot.workspace.block_kit import check_view
from tests.conftest import REPOSITORY
from tests.makers import ANA, BEN, CARLA, CHANNEL, NOON, TEAM, make_checklist

GROUP = "S0RELEASERS"
PRODUCTION = REPOSITORY / "checklists" / "production.md"


def made(number: int = 1, checklist: Checklist | None = None, **changed: object) -> Deployment:
    deployment = Deployment(
        id=number,
        name=f"storefront-{number}",
        target=Target(service="storefront", version=f"v1.{number}", environment="production"),
        team=TEAM,
        channel=CHANNEL,
        lead=ANA,
        timezone="UTC",
        checklist_name="production",
        checklist=checklist or make_checklist(),
        started_at=NOON,
        seq=7,
    )
    return replace(deployment, **changed)  # type: ignore[arg-type]


def given_to(to: str, *positions: int) -> Care:
    one = (Assignment(to=to, by=ANA, at=NOON, seq=2),)
    return Care(assignments=dict.fromkeys(positions, one))


def seen(*running: Deployment, **changed: object) -> Seen:
    """What Ben sees, with every message sent."""
    places: dict[int, list[Place]] = {}
    for deployment in running:
        for at, post in enumerate(MessageLayout().plan(deployment)):
            if post.kind == "section":
                place = Place(
                    post_id=1000 * deployment.id + at,
                    first=post.content["first"],
                    last=post.content["last"],
                    title="A section",
                    link=f"https://example.slack.com/archives/C1/p{at}?thread_ts=1&cid=C1",
                )
                places.setdefault(deployment.id, []).append(place)
    made = Seen(
        items={d.id: own(d, BEN, {GROUP}, at=NOON) for d in running if own(d, BEN, {GROUP}, at=NOON)},
        deployments={d.id: d for d in running},
        running=running,
        ended=(),
        usual=(),
        links=Links(cards={d.id: "https://example.slack.com/archives/C1/p1" for d in running}, places=places),
        names={ANA: "ana", BEN: "ben"},
        timezone="Asia/Tokyo",
        now=NOON,
        revision=5,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def said(view: dict[str, object]) -> str:
    return json.dumps(view, ensure_ascii=False)


def trigger(number: int, state: TriggerState = TriggerState.FIRING) -> Trigger:
    return Trigger(
        key=f"hand-{number}",
        title=f"Trouble {number} " + "and more " * 60,
        source=Source.PERSON,
        state=state,
        by=ANA,
        at=NOON,
        seq=number,
    )


# ── what is whose ────────────────────────────────────────────────────────────────────────────────────────


def test_an_item_is_ones_own_by_name_by_group_and_by_section() -> None:
    care = Care(assignments={**given_to(BEN, 0).assignments, **given_to(GROUP, 1).assignments})
    conduct = Conduct(owned=(Ownership(first=7, last=8, owners=(GROUP,)),))
    deployment = made(care=care, conduct=conduct)
    found = own(deployment, BEN, {GROUP}, at=NOON)
    assert [(one.position, one.claim) for one in found] == [
        (0, Claim.PERSON),
        (1, Claim.GROUP),
        (7, Claim.SECTION),
        (8, Claim.SECTION),
    ]
    assert [one.position for one in own(deployment, BEN, set(), at=NOON)] == [0]
    assert own(deployment, CARLA, set(), at=NOON) == ()
    assert groups_named(deployment) == {GROUP}


def test_what_is_waived_or_done_by_others_is_not_open_and_ones_own_tick_lingers() -> None:
    waiver = Waiver(by=ANA, at=NOON, seq=3, reason="not here")
    care = replace(given_to(BEN, 0, 1, 2), waivers={0: waiver})
    ticks = {1: Tick(by=ANA, at=NOON, seq=4), 2: Tick(by=BEN, at=NOON, seq=5)}
    deployment = made(care=care, ticks=ticks)
    [left] = own(deployment, BEN, set(), at=NOON + timedelta(minutes=1))
    assert (left.position, left.lingers) == (2, True)
    assert still_open([left]) == 0
    assert own(deployment, BEN, set(), at=NOON + LINGERS) == ()


def test_an_ended_deployment_has_nothing_to_do() -> None:
    assert own(made(care=given_to(BEN, 0), phase=Phase.FINISHED), BEN, set(), at=NOON) == ()


@pytest.mark.parametrize(
    ("phase", "back", "mark"),
    [
        (Phase.FINISHED, False, "✅"),
        (Phase.FINISHED, True, "↩️"),
        (Phase.ABORTED, False, "🛑"),
        (Phase.ABORTED, True, "🛑"),
    ],
)
def test_what_was_rolled_back_is_no_success(phase: Phase, back: bool, mark: str) -> None:
    rollback = Rollback(by=BEN, at=NOON, seq=5, why="Checkout fails") if back else None
    ended = made(phase=phase, ended_at=NOON, ended_by=ANA, aftermath=Aftermath(rollback=rollback))
    assert f"{mark} *storefront v1.1 → production*" in said(home.draw(seen(ended=[ended])))
    heading = card.draw(ended, names={}, now=NOON).blocks[0]["text"]["text"]
    assert heading == f"{mark} storefront v1.1 → production"


# ── the drawing ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_home_says_what_to_do_next() -> None:
    view = home.draw(seen())
    assert check_view(view, surface="home") == []
    for words in ("Nothing waits for you", "`/deploy start` in a channel", "Nothing has ended yet"):
        assert words in said(view)


def test_alerts_stand_in_front_and_those_nobody_took_first() -> None:
    triggers = {"a": trigger(1, TriggerState.ACKNOWLEDGED), "b": trigger(2)}
    view = home.draw(seen(made(aftermath=Aftermath(triggers=triggers), care=given_to(BEN, 0))))
    assert view["blocks"][0]["text"]["text"] == "🚨 Alerts"
    assert "Trouble 2" in view["blocks"][1]["text"]["text"]
    assert said(view).index("Alerts") < said(view).index("Your open items (1)")
    assert home.alarms([made(aftermath=Aftermath(triggers=triggers))]) == {"1.1", "1.2"}


def test_each_drawing_of_a_box_has_a_name_of_its_own_and_its_link() -> None:
    deployment = made(care=given_to(BEN, 0, 2))
    first, second = (home.draw(seen(deployment, revision=revision)) for revision in (5, 6))
    ids = [[b["block_id"] for b in view["blocks"] if "block_id" in b] for view in (first, second)]
    assert not set(ids[0]) & set(ids[1])
    block = HomeBlock.read(ids[0][0])
    assert (block.deployment_id, block.positions, block.ticked) == (1, (0, 2), frozenset())
    assert block.write() == ids[0][0]
    assert "archives/C1/p1?thread_ts" in said(first)


def test_plain_times_are_in_the_persons_own_zone() -> None:
    ticks = {0: Tick(by=BEN, at=NOON, seq=4)}
    view = home.draw(seen(made(care=given_to(BEN, 0), ticks=ticks)))
    assert "21:00 JST" in said(view)
    assert "untick within 10 min" in said(view)


def test_a_group_nobody_knows_is_named() -> None:
    assert f"<!subteam^{GROUP}>" in said(home.draw(seen(unknown_groups=(GROUP,))))


def test_the_history_says_how_it_went_how_long_and_by_whom() -> None:
    ended = [
        made(1, phase=Phase.FINISHED, ended_at=NOON + timedelta(minutes=80), ended_by=BEN),
        made(2, phase=Phase.ABORTED, ended_at=NOON + timedelta(minutes=5), ended_by=ANA, reason="it <rains>"),
    ]
    text = said(home.draw(seen(ended=ended)))
    assert f"finished by <@{BEN}>, took 1 h 20 min" in text
    assert f"aborted by <@{ANA}>, took 5 min" in text
    assert "it &lt;rains&gt;" in text


def worst() -> Seen:
    """Twenty deployments of the whole production checklist, all of it Ben's, all in alarm."""
    checklist = parse(PRODUCTION.read_text(), name="production").checklist
    long = Item(key="long", text="Read this **long** item " * 60)
    sections = (
        *checklist.sections,
        Section(title="Long " * 40, groups=(Group(title="", items=(long,) * 9),)),
    )
    checklist = replace(checklist, sections=sections)
    running = [
        made(
            number,
            checklist,
            care=given_to(BEN, *range(len(checklist.items))),
            aftermath=Aftermath(triggers={f"{n}": trigger(n) for n in range(12)}),
        )
        for number in range(1, 21)
    ]
    ended = [
        made(n, phase=Phase.ABORTED, ended_at=NOON, ended_by=ANA, reason="because " * 120)
        for n in range(90, 100)
    ]
    usual = [
        StartAgain(service="s" * 50, environment=f"{n}" * 30, checklist="c" * 75, channel=CHANNEL)
        for n in range(4)
    ]
    return seen(*running, ended=ended, usual=usual, unknown_groups=(GROUP,) * 9)


def test_the_worst_home_fits() -> None:
    view = home.draw(worst())
    assert check_view(view, surface="home") == []
    assert len(view["blocks"]) <= home.BLOCKS
    # Nothing is cut off without a word, and the start and the history are there.
    assert "more of yours" in said(view)
    assert "Ended lately" in said(view)
    assert "and 8 more: `/deploy list`" in said(view)


def test_the_worst_list_fits_a_message() -> None:
    many = worst()
    text = home.listed(many.items, {d.id: d for d in many.running}, many.links, (GROUP,))
    assert len(text) < 4000
    assert "more; my *Home* tab lists them." in text


@settings(max_examples=60, deadline=None)
@given(
    positions=st.sets(st.integers(min_value=0, max_value=13)),
    ticked=st.sets(st.integers(min_value=0, max_value=13)),
)
def test_every_item_of_ones_own_is_drawn_once(positions: set[int], ticked: set[int]) -> None:
    ticks = {at: Tick(by=BEN, at=NOON, seq=3) for at in ticked}
    view = home.draw(seen(made(care=given_to(BEN, *positions), ticks=ticks)))
    assert check_view(view, surface="home") == []
    drawn: list[int] = []
    for block in view["blocks"]:
        for element in [*block.get("elements", ()), block.get("accessory") or {}]:
            if element.get("type") == "checkboxes":
                known = HomeBlock.read(block["block_id"])
                values = [int(option["value"]) for option in element["options"]]
                assert tuple(values) == known.positions
                shown = {int(option["value"]) for option in element.get("initial_options", ())}
                assert shown == known.ticked
                drawn += values
    assert drawn == sorted(positions)


@pytest.mark.parametrize(
    "block_id",
    [
        "",
        "home",
        "tick.1.2.3.4.0.3.0",
        "home.1.2.3.4.0-0.0",
        "home.1.2.3.4.2-1.0",
        "home.1.2.3.4.1.f",
        "home.1.2.3.4.x.0",
    ],
)
def test_a_foreign_block_is_refused(block_id: str) -> None:
    with pytest.raises(ForeignClick):
        HomeBlock.read(block_id)


@pytest.mark.parametrize("value", ["", "[]", "{}", '["a"]', "[1,2,3,4]", "null"])
def test_a_foreign_start_is_refused(value: str) -> None:
    with pytest.raises(ForeignClick):
        StartAgain.read(value)


# ── forms of shortcuts ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["", "short", "<&> 😀 " * 400])
def test_the_forms_of_shortcuts_fit(text: str) -> None:
    link = "https://example.slack.com/archives/C1/p1"
    checklist = parse(PRODUCTION.read_text(), name="production").checklist
    deployments = [made(number, checklist) for number in range(1, 140)]
    views = [
        shortcut_forms.note(deployments[0], text=text, link=link),
        shortcut_forms.nothing_open("/deploy"),
        modals.start(
            channel="", given={}, checklists=["production"], checklist="production", proposed=CHANNEL
        ),
        *(
            shortcut_forms.choose(view, deployments, likely=deployments[0], text=text, link=link)
            for view in (View.NOTE_FROM_MESSAGE, View.RAISE_FROM_MESSAGE)
        ),
    ]
    for view in views:
        assert check_view(view, surface="modal") == []


def test_a_list_of_many_items_is_grouped_by_section() -> None:
    items = tuple(Item(key=f"i{n}", text=f"Item {n}") for n in range(230))
    checklist = Checklist(
        title="Long", sections=(Section(title="One", groups=(Group(title="", items=items),)),)
    )
    view = shortcut_forms.note(made(1, checklist), text="", link="https://example.com/")
    assert check_view(view, surface="modal") == []
    [select] = [b["element"] for b in view["blocks"] if b.get("block_id") == "item"]
    assert [len(group["options"]) for group in select["option_groups"]] == [100, 100, 30]


def test_an_item_of_ones_own_says_whose_group_it_is() -> None:
    view = home.draw(seen(made(care=given_to(GROUP, 0)), names={ANA: "ana", GROUP: "Releasers"}))
    assert "given to Releasers by ana" in said(view)
