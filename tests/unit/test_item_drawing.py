"""The list of items and its menus, and that they fit Slack's limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.care import Assignment, Care, Note, Waiver
from bot.domain.checklist import Group, Item, Section
from bot.domain.deployment import Tick
from bot.domain.errors import ForeignClick
from bot.slack.blocks import items
from bot.slack.blocks.words import Block
from bot.slack.ids import ItemRef
from bot.workspace.block_kit import check_view
from tests.makers import ANA, BEN, CARLA, NOON, make_checklist
from tests.unit.test_drawing import deployment_of


def notes(count: int, text: str = "see the graph", first: int = 10) -> tuple[Note, ...]:
    return tuple(Note(by=BEN, at=NOON, seq=first + n, text=f"{n} {text}") for n in range(count))


def menu(care: Care) -> Block:
    """The menu of the first item."""
    view = items.listed(deployment_of(make_checklist(), care=care), range(3), names={BEN: "ben"})
    assert check_view(view, surface="modal") == []
    made: Block = view["blocks"][1]["accessory"]
    return made


def refs(made: Block) -> list[ItemRef]:
    return [ItemRef.read(option["value"]) for option in made["options"]]


def test_each_entry_that_undoes_something_names_the_event_it_undoes() -> None:
    given = (Assignment(to=ANA, by=BEN, at=NOON, seq=7), Assignment(to=BEN, by=BEN, at=NOON, seq=8))
    made = menu(Care(assignments={0: given}, notes={0: notes(1)}))
    assert made["type"] == "overflow"
    assert [(ref.deed, ref.seq) for ref in refs(made)] == [
        ("waive", 0),
        ("assign", 0),
        ("unassign", 8),
        ("note", 0),
        ("unnote", 10),
    ]
    more = menu(Care(assignments={0: given}, notes={0: notes(2)}))
    assert more["type"] == "static_select", "an overflow menu holds five"
    assert [ref.seq for ref in refs(more)[-2:]] == [11, 10]


def test_of_more_notes_than_a_menu_holds_the_newest_can_be_removed() -> None:
    made = menu(Care(notes={0: notes(120)}))
    assert len(made["options"]) == items.CHOICES
    assert refs(made)[3] == ItemRef(deployment_id=123_456, position=0, deed="unnote", seq=129)
    assert made["options"][3]["text"]["text"] == "Remove ben's note: 119 see the graph"


def test_many_items_with_many_long_notes_fit_into_a_form() -> None:
    checklist = make_checklist(sections=8)
    care = Care(notes={at: notes(100, "länger " * 120, first=10**6 + 100 * at) for at in range(50)})
    view = items.listed(deployment_of(checklist, care=care), range(56), names={BEN: "b" * 80})
    assert check_view(view, surface="modal") == []
    menus = [block["accessory"]["options"] for block in view["blocks"] if "accessory" in block]
    assert [len(options) - 3 for options in menus[:50]] == [items.REMOVABLE // 50] * 50


def test_what_is_known_of_an_item_is_said_once() -> None:
    care = Care(
        waivers={0: Waiver(by=BEN, at=NOON, seq=6, reason="no schema changes")},
        assignments={1: (Assignment(to=CARLA, by=BEN, at=NOON, seq=7),)},
        notes={2: notes(1)},
    )
    ticks = {2: Tick(by=BEN, at=NOON, seq=9)}
    names = {BEN: "ben", CARLA: "carla"}
    view = items.listed(deployment_of(make_checklist(), care=care, ticks=ticks), range(3), names=names)
    assert check_view(view, surface="modal") == []
    assert [block["text"]["text"].split("\n")[1:] for block in view["blocks"] if "accessory" in block] == [
        [f"Not applicable, says <@{BEN}>: no schema changes"],
        [f"Given to <@{CARLA}>"],
        ["✓ ben · 13:00 CET", f"📝 0 see the graph (<@{BEN}>)"],
    ]


def test_items_stand_under_their_section_and_group_as_far_as_a_form_has_room() -> None:
    def titled(section: str, group: str, count: int) -> Section:
        listed = tuple(Item(key=f"{section}-{n}", text=f"Box {n}") for n in range(count))
        return Section(title=section, groups=(Group(title=group, items=listed),))

    def headings(*sections: Section) -> tuple[list[str], Block]:
        checklist = replace(make_checklist(), sections=sections)
        view = items.listed(deployment_of(checklist), range(len(checklist.items)), names={})
        assert check_view(view, surface="modal") == []
        return [b["text"]["text"] for b in view["blocks"] if b["type"] == "header"], view["blocks"][-1]

    found, _ = headings(titled("Before *Go*", "Data", 2), titled("After Go", "", 2), titled("", "", 1))
    assert found == ["Before Go · Data", "After Go"]
    found, last = headings(*(titled(f"{n} {'long ' * 60}", "Group", 2) for n in range(40)))
    assert len(found) == 32
    assert "and 17 more" in last["elements"][0]["text"], "63 items and 32 headings are 95 blocks"


def test_a_menu_drawn_before_it_named_events_is_read_and_undoes_nothing() -> None:
    assert ItemRef.read("1.2.unnote") == ItemRef(deployment_id=1, position=2, deed="unnote", seq=0)
    for foreign in ("1.2", "1.2.unnote.x", "1.x.unnote.3", "1.2.unnote.3.4", None):
        with pytest.raises(ForeignClick):
            ItemRef.read(foreign)
