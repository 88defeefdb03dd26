"""Any team's Markdown is read the way its author meant it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.checklists.markdown import Parsed, parse
from bot.domain.checklist import Checklist, Group, Item, Section
from tests.conftest import REPOSITORY

SEED = REPOSITORY / "checklists" / "production.md"


def read(text: str) -> Parsed:
    return parse(text, name="sample")


def texts(text: str) -> list[str]:
    return [item.text for item in read(text).checklist.items]


def places(text: str) -> list[tuple[str, str, str]]:
    return [
        (section.title, group.title, item.text)
        for section in read(text).checklist.sections
        for group in section.groups
        for item in group.items
    ]


def test_the_seed_is_read_exactly() -> None:
    parsed = parse(SEED.read_text(encoding="utf-8"), name="production")
    checklist = parsed.checklist
    groups = [group for section in checklist.sections for group in section.groups]
    assert parsed.findings == ()
    assert checklist.title == "Production Deployment Checklist"
    assert (len(checklist.items), len(groups)) == (107, 18)
    assert [len(section.items) for section in checklist.sections] == [41, 17, 18, 10, 21]
    assert len({item.key for item in checklist.items}) == 107
    assert sum(item.ordered for item in checklist.items) == 17
    assert checklist.triggers == (
        "Significant error rate increase",
        "Performance degradation",
        "Critical functionality failure",
        "Security vulnerability",
    )
    assert checklist.rollback_steps[0] == "Scale down services"
    assert len(checklist.rollback_steps) == 6
    assert checklist.items[0].key == (
        "pre-deployment-checks/environment-configuration/all-environment-variables-are-set-and-validated"
    )


@pytest.mark.parametrize(
    ("markdown", "items"),
    [
        ("- [ ] a\n* [ ] b\n+ [x] c", ["a", "b", "c"]),
        ("1. [ ] a\n2) [ ] b", ["a", "b"]),
        ("- [ ] a", ["a"]),
        ("- [ ] a\r\n- [ ] b\r\n", ["a", "b"]),
        ("\ufeff- [ ] a", ["a"]),
        ("> - [ ] quoted", ["quoted"]),
        ("```\n- [ ] code\n```\n- [ ] a", ["a"]),
        ("    - [ ] indented code\n\n- [ ] a", ["a"]),
        ("~~~md\n- [ ] code\n~~~\n- [ ] a", ["a"]),
        ("<!-- - [ ] hidden -->\n\n- [ ] a <!-- note -->", ["a"]),
        (
            "- [ ] **bold** and `code` and [link](https://x.y)",
            ["**bold** and `code` and [link](https://x.y)"],
        ),
        ("- [ ] see [the guide][g]\n\n[g]: https://x.y/z", ["see [the guide](<https://x.y/z>)"]),
        ("- [ ] `[g]` stays [g]\n\n[g]: https://x.y", ["`[g]` stays [g](<https://x.y>)"]),
        ("- [ ] one\n  line two", ["one line two"]),
        ("- [ ] one\n\n  second paragraph", ["one second paragraph"]),
        ("- [ ] a\n  - note one\n  - note two", ["a note one; note two"]),
        ("- [ ] a < b & c > d", ["a < b & c > d"]),
        ("- [ ] ship it :rocket: 🚀", ["ship it :rocket: 🚀"]),
        ("- [ ] 本番環境の確認\n- [ ] Größe prüfen\n- [ ] Проверить журнал", None),
        ("- [ ]　全角の空白", ["全角の空白"]),
        ("- ☐ open\n- ☑ done", ["open", "done"]),
        (
            "| | What | Who |\n|--|--|--|\n| [ ] | Ship | Ana |\n| [x] | Tell | Ben |",
            ["Ship · Ana", "Tell · Ben"],
        ),
        ("| What | Done |\n|--|--|\n| Ship | ☐ |\n| Tell | ✅ |\n| no box | |", ["Ship", "Tell"]),
        ("- [ ] a\n  - [ ] b\n    - [ ] c\n      - [ ] d", ["a", "b", "c", "d"]),
        ("No list here.\n", []),
        ("", []),
    ],
)
def test_items_are_found(markdown: str, items: list[str] | None) -> None:
    found = texts(markdown)
    assert found == items if items is not None else len(found) == 3


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("# T\n## S\n### G\n- [ ] a", [("S", "G", "a")]),
        ("# T\n- [ ] before\n## S\n- [ ] a", [("", "", "before"), ("S", "", "a")]),
        ("- [ ] a", [("", "", "a")]),
        ("Title\n=====\n\nSection\n-------\n\n- [ ] a", [("Section", "", "a")]),
        ("# One\n- [ ] a\n# Two\n- [ ] b", [("One", "", "a"), ("Two", "", "b")]),
        ("# T\n# One\n- [ ] a\n# Two\n- [ ] b", [("One", "", "a"), ("Two", "", "b")]),
        ("### One\n- [ ] a\n#### Sub\n- [ ] b", [("One", "", "a"), ("One", "Sub", "b")]),
        ("## S ##\n- [ ] a", [("S", "", "a")]),
        (
            "## S\n**Backend:**\n- [ ] a\n\n**Frontend**\n\n- [ ] b",
            [("S", "Backend", "a"), ("S", "Frontend", "b")],
        ),
        ("## S\n- Backend\n  - [ ] a\n- [ ] b", [("S", "Backend", "a"), ("S", "", "b")]),
        (
            "## S\n<details><summary>More <b>x</b></summary>\n\n- [ ] a\n\n</details>\n\n- [ ] b",
            [("S", "More x", "a"), ("S", "", "b")],
        ),
        ("## S\n- [ ] a\n## S\n- [ ] b", [("S", "", "a"), ("S", "", "b")]),
        ("## S\n#### Deep\n- [ ] a", [("S", "Deep", "a")]),
        ("## Monitoring\n### Alert triggers\n- [ ] a", [("Monitoring", "Alert triggers", "a")]),
        ("## Rollback\n- [ ] plan reviewed", [("Rollback", "", "plan reviewed")]),
    ],
)
def test_headings_of_every_kind_make_sections_and_groups(
    markdown: str, expected: list[tuple[str, str, str]]
) -> None:
    assert places(markdown) == expected


def test_steps_keep_their_numbers_across_a_table() -> None:
    markdown = "3. [ ] a\n4. [ ] b\n\n| x |\n|--|\n| y |\n\n5. [x] c\n"
    found = [(item.number, item.ordered, item.checked) for item in read(markdown).checklist.items]
    assert found == [(3, True, False), (4, True, False), (5, True, True)]


def test_nested_tasks_know_their_depth() -> None:
    items = read("- [ ] a\n  - [ ] b\n    1. [ ] c\n       - [ ] d\n").checklist.items
    assert [item.depth for item in items] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "heading", ["Triggers", "Rollback triggers", "When to roll back", "Rollback criteria"]
)
def test_triggers_are_not_progress_even_with_boxes(heading: str) -> None:
    checklist = read(f"## Rollback Plan\n### {heading}\n- errors\n- [ ] slow\n").checklist
    assert checklist.triggers == ("errors", "slow")
    assert checklist.items == ()


@pytest.mark.parametrize("heading", ["Rollback Steps", "Rollback procedure", "How to roll back", "Steps"])
def test_rollback_steps_are_the_runbook(heading: str) -> None:
    checklist = read(f"## Rollback\n### {heading}\n1. stop\n2. [ ] restore\n## After\n- [ ] tell\n").checklist
    assert checklist.rollback_steps == ("stop", "restore")
    assert [item.text for item in checklist.items] == ["tell"]


def test_front_matter_gives_the_title_and_nothing_else() -> None:
    parsed = read("---\ntitle: Web service\nowner: ana\n---\n- [ ] a\n")
    assert parsed.checklist.title == "Web service"
    assert parse("- [ ] a", name="web-service_v2").checklist.title == "Web service v2"


def test_twins_get_keys_of_their_own_and_a_renamed_neighbour_changes_nothing() -> None:
    before = read("## S\n- [ ] same\n- [ ] same\n- [ ] other\n").checklist.items
    assert [item.key for item in before] == ["s/general/same", "s/general/same-2", "s/general/other"]
    after = read("## S\n- [ ] same\n- [ ] same\n- [ ] renamed\n").checklist.items
    assert [item.key for item in after[:2]] == [item.key for item in before[:2]]


def test_an_id_comment_names_the_item() -> None:
    [item] = read("## S\n- [ ] Run tests <!-- id: final-tests -->\n").checklist.items
    assert (item.key, item.text) == ("s/general/final-tests", "Run tests")


@pytest.mark.parametrize(
    ("markdown", "line", "said"),
    [
        ("- [] a\n- [ ] b", 1, "looks like a box"),
        ("- [ ] b\n- [ x ] a", 2, "looks like a box"),
        ("- [ ] b\n- [-] a", 2, "looks like a box"),
        ("- [ ]\n- [ ] b", 1, "A box without text"),
        ("- [ ] b\n- plain\n", 2, "without a box"),
        ("- [ ] b\n\n[ ] outside\n", 3, "outside a list"),
        ("- [ ] b\n\n<details>\n- [ ] raw\n</details>\n", 3, "right inside HTML"),
        ("- [ ] b\n\n  ```\n  code\n  ```\n", 3, "Code under an item"),
        ("---\n: [\n---\n- [ ] b\n", 1, "front matter"),
        ("text only", 0, "no boxes to tick"),
        (f"- [ ] {'long ' * 700}\n", 1, "characters in one item"),
        ("- [ ] item\n" * 251, 0, "251 items"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_line(markdown: str, line: int, said: str) -> None:
    assert any(f.line == line and said in f.message for f in read(markdown).findings), read(markdown).findings


def test_250_items_and_700_characters_are_read_quickly() -> None:
    markdown = "## S\n" + "".join(f"- [ ] {number} {'word ' * 139}\n" for number in range(250))
    began = time.process_time()
    assert len(read(markdown).checklist.items) == 250
    assert time.process_time() - began < 2


@pytest.mark.parametrize("hostile", ["[" * 50_000, "<!--" * 20_000, "`" * 50_000, "- [ ] " + "*a " * 20_000])
def test_hostile_text_takes_no_forever(hostile: str) -> None:
    began = time.process_time()
    read(f"- [ ] x {hostile}\n\n[a]: b\n")
    assert time.process_time() - began < 10


# ── properties ───────────────────────────────────────────────────────────────────────────────────────────

MARKDOWNISH = st.lists(
    st.sampled_from(
        [
            "- [ ] ",
            "- [x] ",
            "1. [ ] ",
            "* ",
            "# ",
            "## ",
            "### ",
            "\n",
            "  ",
            "```\n",
            "| a | b |\n",
            "|--|--|\n",
            "<details>",
            "<summary>",
            "<!--",
            "-->",
            "**",
            "`",
            "[",
            "](",
            ")",
            "[ ]",
            "> ",
            "---\n",
            "Triggers",
            "x",
        ]
    )
    | st.text(max_size=5),
    max_size=60,
).map("".join)


@given(MARKDOWNISH | st.text(max_size=400))
@settings(max_examples=500, deadline=None)
def test_no_text_is_too_odd_to_read_and_keys_are_unique(text: str) -> None:
    checklist = read(text).checklist
    keys = [item.key for item in checklist.items]
    assert len(keys) == len(set(keys))
    assert all(item.text for item in checklist.items)


WORD = st.from_regex(r"[a-zäöü日本語дом][a-z0-9äöü語м]{0,8}", fullmatch=True)
TEXT = st.lists(WORD, min_size=1, max_size=5).map(" ".join)
TITLE = TEXT.map(lambda t: f"h {t}")


@st.composite
def groups(draw: st.DrawFn) -> Group:
    ordered = draw(st.booleans())
    count = draw(st.integers(1, 5))
    items = tuple(
        Item(
            key="",
            text=draw(TEXT),
            ordered=ordered,
            number=n if ordered else None,
            checked=draw(st.booleans()),
        )
        for n in range(1, count + 1)
    )
    return Group(title=draw(TITLE), items=items)


CHECKLISTS = st.builds(
    Checklist,
    title=TITLE,
    sections=st.lists(
        st.builds(Section, title=TITLE, groups=st.lists(groups(), min_size=1, max_size=3).map(tuple)),
        min_size=1,
        max_size=3,
    ).map(tuple),
    triggers=st.lists(TEXT, max_size=3).map(tuple),
    rollback_steps=st.lists(TEXT, max_size=3).map(tuple),
)


def written(checklist: Checklist) -> str:
    lines = [f"# {checklist.title}", ""]
    for section in checklist.sections:
        lines += [f"## {section.title}", ""]
        for group in section.groups:
            lines += [f"### {group.title}", ""]
            for item in group.items:
                mark = f"{item.number}." if item.ordered else "-"
                lines.append(f"{mark} [{'x' if item.checked else ' '}] {item.text}")
            lines.append("")
    lines += ["## Rollback Plan", "", "### Triggers", "", *(f"- {t}" for t in checklist.triggers), ""]
    lines += ["### Rollback Steps", "", *(f"{n}. {s}" for n, s in enumerate(checklist.rollback_steps, 1)), ""]
    return "\n".join(lines)


def without_keys(checklist: Checklist) -> Checklist:
    return replace(
        checklist,
        sections=tuple(
            replace(
                section,
                groups=tuple(
                    replace(group, items=tuple(replace(item, key="", line=0) for item in group.items))
                    for group in section.groups
                ),
            )
            for section in checklist.sections
        ),
    )


@given(CHECKLISTS)
@settings(max_examples=150, deadline=None)
def test_a_checklist_written_down_is_read_back_the_same(checklist: Checklist) -> None:
    assert without_keys(read(written(checklist)).checklist) == checklist


@given(CHECKLISTS, st.data())
@settings(max_examples=100, deadline=None)
def test_renaming_an_item_changes_no_other_key(checklist: Checklist, data: st.DataObject) -> None:
    before = read(written(checklist)).checklist.items
    at = data.draw(st.integers(0, len(before) - 1))
    markdown = written(checklist).split("\n")
    line = before[at].line - 1
    markdown[line] = markdown[line].replace(before[at].text, "renamed by nobody else")
    after = read("\n".join(markdown)).checklist.items
    twins = [item.key.removesuffix("-2").removesuffix("-3") for item in before]
    if twins.count(twins[at]) == 1:
        assert [i.key for n, i in enumerate(after) if n != at] == [
            i.key for n, i in enumerate(before) if n != at
        ]


def test_the_shipped_checklists_are_all_readable() -> None:
    for path in Path(REPOSITORY / "checklists").glob("*.md"):
        assert parse(path.read_text(encoding="utf-8"), name=path.stem).checklist.items
