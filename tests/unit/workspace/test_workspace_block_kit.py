"""The validator: payloads that each break one limit, and their nearest good neighbours."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from slack_sdk.models.blocks import Block

from bot.workspace.block_kit import check_message_blocks, check_view, fill_ids

Json = dict[str, Any]


def plain(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain(), **more}


def option(value: str = "v", text: str = "x", **more: Any) -> Json:
    return {"text": plain(text), "value": value, **more}


def boxes(*options: Json, **more: Any) -> Json:
    return {"type": "checkboxes", "options": list(options), **more}


def select(*options: Json, **more: Any) -> Json:
    return {"type": "static_select", "options": list(options), **more}


def actions(*elements: Json, **more: Any) -> Json:
    return {"type": "actions", "elements": list(elements), **more}


def entry(element: Json, **more: Any) -> Json:
    return {"type": "input", "label": plain(), "element": element, **more}


def rich(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": list(elements)}


def rich_section(*inline: Json) -> Json:
    return {"type": "rich_text_section", "elements": list(inline)}


def table(rows: int, columns: int, **more: Any) -> Json:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * columns] * rows, **more}


def without(view: Json, key: str) -> Json:
    return {k: v for k, v in view.items() if k != key}


IMAGE: Json = {"type": "image", "image_url": "https://e.example/i.png", "alt_text": "x"}
FIELD: Json = {"type": "plain_text_input", "action_id": "a"}
CONFIRM: Json = {"title": plain(), "text": plain(), "confirm": plain(), "deny": plain()}
CHILD: Json = {"type": "container", "title": plain(), "child_blocks": [section()]}

GOOD: dict[str, list[Json]] = {
    "nothing": [],
    "50 blocks": [{"type": "divider"}] * 50,
    "section of 3000": [section("x" * 3000)],
    "10 fields of 1000": [{"type": "section", "fields": [mrkdwn("x" * 1000)] * 10}],
    "section with accessory": [section(accessory=boxes(option()))],
    "header of 150": [{"type": "header", "text": plain("x" * 150)}],
    "context of 10": [{"type": "context", "elements": [IMAGE, *[mrkdwn()] * 9]}],
    "25 buttons": [actions(*[button(action_id=f"a{n}") for n in range(25)])],
    "button with everything": [
        actions(button(url="https://e.example", value="v", style="danger", confirm=CONFIRM))
    ],
    "10 boxes, mrkdwn": [actions(boxes(*[{"text": mrkdwn(), "value": f"{n}"} for n in range(10)]))],
    "ticked boxes": [actions(boxes(option("a"), option("b"), initial_options=[option("b")]))],
    "100 options": [actions(select(*[option(str(n)) for n in range(100)]))],
    "option groups": [
        actions({"type": "static_select", "option_groups": [{"label": plain(), "options": [option()]}]})
    ],
    "overflow": [section(accessory={"type": "overflow", "options": [option(url="https://e.example")]})],
    "input in a message": [entry(FIELD, dispatch_action=True)],
    "rich text": [
        rich(
            rich_section(
                {"type": "text", "text": "x", "style": {"bold": True}}, {"type": "user", "user_id": "U1"}
            ),
            {
                "type": "rich_text_list",
                "style": "bullet",
                "indent": 1,
                "elements": [rich_section({"type": "link", "url": "https://e.example"})],
            },
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x"}]},
        )
    ],
    "table": [table(100, 2, column_settings=[{"align": "right"}, None])],
    "markdown": [{"type": "markdown", "text": "# x"}],
    "container": [{**CHILD, "is_collapsible": True, "default_collapsed": True}],
    "card": [{"type": "card", "title": mrkdwn(), "actions": [button()]}],
    "plan": [
        {"type": "plan", "title": "x", "tasks": [{"type": "task_card", "task_id": "1", "title": "x"}]},
    ],
    "dates": [
        actions(
            {"type": "datepicker", "initial_date": "2026-11-24"},
            {"type": "timepicker", "initial_time": "23:59"},
            {"type": "datetimepicker", "initial_date_time": 1_800_000_000},
            {"type": "users_select", "initial_user": "U1"},
        )
    ],
}

BAD: list[tuple[str, list[Any], str, str]] = [
    ("51 blocks", [{"type": "divider"}] * 51, "/blocks", "at most 50"),
    ("unknown block", [{"type": "marquee"}], "/blocks/0/type", "unsupported block"),
    ("no type", [{}], "/blocks/0/type", "unsupported"),
    ("not an object", ["x"], "/blocks/0", "must be an object"),
    ("unknown key", [{"type": "divider", "colour": "red"}], "/blocks/0/colour", "unknown field"),
    ("file block", [{"type": "file", "external_id": "1", "source": "remote"}], "/blocks/0/type", "unsupp"),
    ("empty section", [{"type": "section"}], "/blocks/0", "at least one of text, fields"),
    ("section of 3001", [section("x" * 3001)], "/blocks/0/text/text", "at most 3000"),
    ("section of nothing", [section("")], "/blocks/0/text/text", "not be empty"),
    ("11 fields", [{"type": "section", "fields": [mrkdwn()] * 11}], "/blocks/0/fields", "at most 10"),
    ("field of 2001", [{"type": "section", "fields": [mrkdwn("x" * 2001)]}], "/blocks/0/fields/0/text", "2000"),
    ("text without type", [{"type": "section", "text": {"text": "x"}}], "/blocks/0/text/type", "unsupp"),
    ("emoji in mrkdwn", [{"type": "section", "text": {**mrkdwn(), "emoji": True}}], "/blocks/0/text/emoji", ""),
    ("header of 151", [{"type": "header", "text": plain("x" * 151)}], "/blocks/0/text/text", "at most 150"),
    ("mrkdwn header", [{"type": "header", "text": mrkdwn()}], "/blocks/0/text/type", "plain_text only"),
    ("context of 11", [{"type": "context", "elements": [mrkdwn()] * 11}], "/blocks/0/elements", "most 10"),
    ("empty context", [{"type": "context", "elements": []}], "/blocks/0/elements", "at least 1"),
    ("button in context", [{"type": "context", "elements": [button()]}], "/blocks/0/elements/0/type", "unsu"),
    ("26 buttons", [actions(*[button(action_id=f"a{n}") for n in range(26)])], "/blocks/0/elements", "25"),
    ("no buttons", [actions()], "/blocks/0/elements", "at least 1"),
    ("text field in actions", [actions(FIELD)], "/blocks/0/elements/0/type", "unsupported"),
    ("button text of 76", [actions({**button(), "text": plain("x" * 76)})], "/blocks/0/elements/0/text/text", "75"),
    ("mrkdwn button", [actions({**button(), "text": mrkdwn()})], "/blocks/0/elements/0/text/type", "plain"),
    ("button style", [actions(button(style="default"))], "/blocks/0/elements/0/style", "primary, danger"),
    ("button value of 2001", [actions(button(value="x" * 2001))], "/blocks/0/elements/0/value", "2000"),
    ("button url of 3001", [actions(button(url="https://" + "x" * 3000))], "/blocks/0/elements/0/url", "3000"),
    ("button url of no sort", [actions(button(url="nowhere"))], "/blocks/0/elements/0/url", "a URL"),
    ("button value number", [actions(button(value=1))], "/blocks/0/elements/0/value", "a string"),
    ("label of 76", [actions(button(accessibility_label="x" * 76))], "/blocks/0/elements/0/accessibility_label", ""),
    ("confirm title", [actions(button(confirm={**CONFIRM, "title": plain("x" * 101)}))], "/blocks/0/elements/0/confirm/title/text", "100"),
    ("confirm text", [actions(button(confirm={**CONFIRM, "text": plain("x" * 301)}))], "/blocks/0/elements/0/confirm/text/text", "300"),
    ("confirm button", [actions(button(confirm={**CONFIRM, "deny": plain("x" * 31)}))], "/blocks/0/elements/0/confirm/deny/text", "30"),
    ("confirm without title", [actions(button(confirm=without(CONFIRM, "title")))], "/blocks/0/elements/0/confirm", "title"),
    ("11 boxes", [actions(boxes(*[option(str(n)) for n in range(11)]))], "/blocks/0/elements/0/options", "10"),
    ("no boxes", [actions(boxes())], "/blocks/0/elements/0/options", "at least 1"),
    ("option text of 76", [actions(boxes(option(text="x" * 76)))], "/blocks/0/elements/0/options/0/text/text", "75"),
    ("option value of 76", [actions(boxes(option("x" * 76)))], "/blocks/0/elements/0/options/0/value", "75"),
    ("description of 76", [actions(boxes(option(description=plain("x" * 76))))], "/blocks/0/elements/0/options/0/description/text", "75"),
    ("mrkdwn description", [actions(boxes(option(description=mrkdwn())))], "/blocks/0/elements/0/options/0/description/type", "plain"),
    ("box with url", [actions(boxes(option(url="https://e.example")))], "/blocks/0/elements/0/options/0/url", "unkn"),
    ("same value twice", [actions(boxes(option("a"), option("a", "y")))], "/blocks/0/elements/0", "unique"),
    ("ticked but not offered", [actions(boxes(option("a"), initial_options=[option("b")]))], "/blocks/0/elements/0/initial_options/0", "exactly equal"),
    ("ticked in other words", [actions(boxes(option("a"), initial_options=[option("a", "y")]))], "/blocks/0/elements/0/initial_options/0", "exactly equal"),
    ("empty initial_options", [actions(boxes(option(), initial_options=[]))], "/blocks/0/elements/0/initial_options", "at least 1"),
    ("wrong initial_option", [actions(select(option("a"), initial_option=option("b")))], "/blocks/0/elements/0/initial_option", "exactly equal"),
    ("mrkdwn in a menu", [actions(select({"text": mrkdwn(), "value": "v"}))], "/blocks/0/elements/0/options/0/text/type", "plain"),
    ("101 options", [actions(select(*[option(str(n)) for n in range(101)]))], "/blocks/0/elements/0/options", "100"),
    ("options and groups", [actions(select(option(), option_groups=[{"label": plain(), "options": [option()]}]))], "/blocks/0/elements/0", "exactly one"),
    ("placeholder of 151", [actions(select(option(), placeholder=plain("x" * 151)))], "/blocks/0/elements/0/placeholder/text", "150"),
    ("placeholder on boxes", [actions(boxes(option(), placeholder=plain()))], "/blocks/0/elements/0/placeholder", "unkn"),
    ("overflow of 6", [actions({"type": "overflow", "options": [option(str(n)) for n in range(6)]})], "/blocks/0/elements/0/options", "at most 5"),
    ("action_id of 256", [actions(button(action_id="x" * 256))], "/blocks/0/elements/0/action_id", "at most 255"),
    ("block_id of 256", [{"type": "divider", "block_id": "x" * 256}], "/blocks/0/block_id", "at most 255"),
    ("same block_id", [{"type": "divider", "block_id": "b"}] * 2, "/blocks/1/block_id", "unique"),
    ("same action_id", [actions(button(action_id="a"), button(action_id="a"))], "/blocks/0/elements/1/action_id", "uniq"),
    ("input without label", [{"type": "input", "element": FIELD}], "/blocks/0", "label"),
    ("label of 2001", [entry(FIELD, label=plain("x" * 2001))], "/blocks/0/label/text", "2000"),
    ("button as input", [entry(button())], "/blocks/0/element/type", "unsupported"),
    ("max_length of 3001", [entry({**FIELD, "max_length": 3001})], "/blocks/0/element/max_length", "3000"),
    ("min above max", [entry({**FIELD, "min_length": 9, "max_length": 3})], "/blocks/0/element/min_length", "great"),
    ("email in a message", [entry({"type": "email_text_input"})], "/blocks/0/element", "only in: modal"),
    ("focus in a message", [entry({**FIELD, "focus_on_load": True})], "/blocks/0/element/focus_on_load", "not allowed"),
    ("image without alt", [{"type": "image", "image_url": "https://e.example"}], "/blocks/0", "alt_text"),
    ("image alt of 2001", [{**IMAGE, "alt_text": "x" * 2001}], "/blocks/0/alt_text", "2000"),
    ("image without source", [{"type": "image", "alt_text": "x"}], "/blocks/0", "exactly one"),
    ("image url of a file", [{**IMAGE, "image_url": "file:///x"}], "/blocks/0/image_url", "http"),
    ("bad date", [actions({"type": "datepicker", "initial_date": "24.11.2026"})], "/blocks/0/elements/0/initial_date", "YYYY"),
    ("bad time", [actions({"type": "timepicker", "initial_time": "24:00"})], "/blocks/0/elements/0/initial_time", "HH"),
    ("alert in a message", [{"type": "alert", "text": mrkdwn()}], "/blocks/0", "only in: modal"),
    ("markdown of 12001", [{"type": "markdown", "text": "x" * 12_001}], "/blocks/0/text", "12000"),
    ("markdown together", [{"type": "markdown", "text": "x" * 6_100}] * 2, "/blocks", "together"),
    ("two tables", [table(1, 1), table(1, 1)], "/blocks", "at most one table"),
    ("101 rows", [table(101, 1)], "/blocks/0/rows", "at most 100"),
    ("21 columns", [table(1, 21)], "/blocks/0/rows/0", "at most 20"),
    ("mrkdwn cell", [{"type": "table", "rows": [[mrkdwn()]]}], "/blocks/0/rows/0/0/type", "unsupported table cell"),
    ("column align", [table(1, 1, column_settings=[{"align": "top"}])], "/blocks/0/column_settings/0/align", "left"),
    ("rich text of text", [rich({"type": "text", "text": "x"})], "/blocks/0/elements/0/type", "unsupported"),
    ("rich style", [rich(rich_section({"type": "text", "text": "x", "style": {"loud": True}}))], "/blocks/0/elements/0/elements/0/style/loud", "unknown"),
    ("list style", [rich({"type": "rich_text_list", "style": "dash", "elements": [rich_section()]})], "/blocks/0/elements/0/style", "bullet"),
    ("11 children", [{**CHILD, "child_blocks": [section()] * 11}], "/blocks/0/child_blocks", "at most 10"),
    ("container in container", [{**CHILD, "child_blocks": [CHILD]}], "/blocks/0/child_blocks/0/type", "unsupp"),
    ("container untitled", [{"type": "container", "child_blocks": [section()]}], "/blocks/0", "title"),
    ("collapsed only", [{**CHILD, "default_collapsed": True}], "/blocks/0/default_collapsed", "is_collapsible"),
    ("card body of 201", [{"type": "card", "body": mrkdwn("x" * 201)}], "/blocks/0/body/text", "200"),
    ("empty card", [{"type": "card"}], "/blocks/0", "at least one"),
    ("task status", [{"type": "task_card", "task_id": "1", "title": "x", "status": "done"}], "/blocks/0/status", ""),
    ("too long together", [section("x" * 2_800)] * 5, "/blocks", "13000 characters"),
    ("response_url in a message", [entry({"type": "conversations_select", "response_url_enabled": True})], "/blocks/0/element/response_url_enabled", "modal"),
]  # fmt: skip


@pytest.mark.parametrize("blocks", GOOD.values(), ids=GOOD.keys())
def test_good_blocks_pass(blocks: list[Json]) -> None:
    assert [str(problem) for problem in check_message_blocks(blocks)] == []


@pytest.mark.parametrize(
    ("blocks", "pointer", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_one_broken_limit_is_the_one_problem(blocks: list[Any], pointer: str, message: str) -> None:
    problems = check_message_blocks(blocks)
    assert [problem.pointer for problem in problems] == [pointer]
    assert message in problems[0].message


def modal(**changes: Any) -> Json:
    return {"type": "modal", "title": plain(), "submit": plain(), "blocks": [entry(FIELD)], **changes}


def home(**changes: Any) -> Json:
    return {"type": "home", "blocks": [section()], **changes}


GOOD_VIEWS = [
    modal(),
    modal(
        blocks=[{"type": "divider"}] * 100, private_metadata="x" * 3000, callback_id="c", notify_on_close=True
    ),
    modal(blocks=[{"type": "alert", "text": mrkdwn(), "level": "warning"}]),
    modal(blocks=[entry({"type": "number_input", "is_decimal_allowed": False, "min_value": "1"})]),
    modal(blocks=[entry({"type": "conversations_select", "response_url_enabled": True})]),
    home(),
    home(blocks=[table(1, 1), actions(boxes(option()))]),
]
BAD_VIEWS = [
    (modal(title=plain("x" * 25)), "/title/text", "at most 24"),
    (modal(submit=plain("x" * 25)), "/submit/text", "at most 24"),
    (without(modal(), "submit"), "", "submit"),
    (without(modal(), "title"), "", "title"),
    (modal(blocks=[{"type": "divider"}] * 101), "/blocks", "at most 100"),
    (modal(private_metadata="x" * 3001), "/private_metadata", "3000"),
    (modal(callback_id="x" * 256), "/callback_id", "255"),
    (modal(blocks=[{"type": "markdown", "text": "x"}]), "/blocks/0", "only in: message"),
    (modal(blocks=[table(1, 1)]), "/blocks/0", "only in: message, home"),
    (modal(blocks=[entry({"type": "number_input"})]), "/blocks/0/element", "is_decimal_allowed"),
    (modal(blocks=[entry({**FIELD, "focus_on_load": True}), entry({**FIELD, "focus_on_load": True})]), "/blocks", "focus"),
    (modal(external="x"), "/external", "unknown field"),
    (home(title=plain()), "/title", "unknown field"),
    (home(blocks=[CHILD]), "/blocks/0", "only in: message"),
    (home(blocks=[{"type": "alert", "text": mrkdwn()}]), "/blocks/0", "only in: modal"),
    (home(type="modal"), "/type", "must be one of home"),
    (modal(blocks=[section("x" * 3000)] * 90), "", "250000 bytes"),
]  # fmt: skip


@pytest.mark.parametrize("view", GOOD_VIEWS)
def test_good_views_pass(view: Json) -> None:
    assert [str(problem) for problem in check_view(view, surface=view["type"])] == []


@pytest.mark.parametrize(("view", "pointer", "message"), BAD_VIEWS)
def test_one_broken_limit_of_a_view_is_the_one_problem(view: Json, pointer: str, message: str) -> None:
    surface = "home" if "title" not in view or view["type"] == "home" else "modal"
    if "submit" in view:
        surface = "modal"
    problems = check_view(view, surface=surface)
    assert [problem.pointer for problem in problems] == [pointer]
    assert message in problems[0].message


def test_every_problem_is_reported_at_once_with_its_code() -> None:
    blocks = [{"type": "header", "text": plain("x" * 200)}, *[section("x" * 2_900)] * 5]
    problems = check_message_blocks(blocks)
    assert [problem.code for problem in problems] == ["invalid_blocks", "msg_blocks_too_long"]
    assert str(problems[0]) == "/blocks/0/text/text: must be at most 150 characters"
    assert problems[0].for_slack() == (
        "[ERROR] must be at most 150 characters [json-pointer:/blocks/0/text/text]"
    )


def test_no_value_makes_the_validator_stumble() -> None:
    values: list[Any] = [
        None,
        1,
        "x",
        {},
        [None],
        [[]],
        [{"type": []}],
        [{"type": "actions", "elements": "x"}],
    ]
    for value in values:
        assert check_message_blocks(value), value
        assert check_view(value, surface="modal"), value
    odd = [{"type": "section", "block_id": ["x"], "text": mrkdwn(), "accessory": {"type": "checkboxes"}}]
    assert len(check_message_blocks(odd)) == 2


def test_filling_in_gives_every_block_and_element_an_id_and_writes_defaults_out() -> None:
    blocks = [actions(button(), boxes(option())), {**CHILD, "child_blocks": [actions(button())]}, section()]
    given = copy.deepcopy(blocks)
    filled = fill_ids(blocks)
    assert blocks == given
    assert all(block["block_id"] for block in filled)
    assert filled[0]["elements"][0]["action_id"]
    assert filled[1]["child_blocks"][0]["elements"][0]["action_id"]
    assert filled[2]["text"] == {"type": "mrkdwn", "text": "x", "verbatim": False}
    assert filled[0]["elements"][1]["options"][0]["text"]["emoji"] is True
    assert check_message_blocks(filled) == []


def test_what_the_sdk_builds_from_good_blocks_is_good() -> None:
    for blocks in GOOD.values():
        parsed = [Block.parse(json.loads(json.dumps(block))) for block in blocks]
        assert check_message_blocks([block.to_dict() for block in parsed if block is not None]) == []
