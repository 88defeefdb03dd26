"""Blocks: which keys they have, what those may hold, and where each may be used (Slack docs: blocks).

Numbers: Slack docs and slack_sdk's models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.workspace.block_elements import ACCESSORIES, ACTIONS, CONTEXT_ACTIONS, ELEMENTS, INPUTS, pick
from bot.workspace.block_objects import ID, SLACK_FILE, URL, WEB_URL, any_text, plain_text
from bot.workspace.rich_text import RICH_TEXT
from bot.workspace.shapes import (
    Check,
    Report,
    any_of,
    boolean,
    exactly_one,
    items,
    nullable,
    number,
    one_of,
    only_on,
    record,
    string,
    typed,
)

Json = dict[str, Any]

MAX_SECTION_TEXT, MAX_FIELDS, MAX_FIELD = 3_000, 10, 2_000
MAX_HEADER = 150
MAX_CONTEXT, MAX_ACTIONS, MAX_CONTEXT_ACTIONS = 10, 25, 5
MAX_LABEL = 2_000
MAX_ALT, MAX_IMAGE_TITLE = 2_000, 2_000
MAX_MARKDOWN = 12_000
MAX_ROWS, MAX_COLUMNS = 100, 20
#: Slack docs give 200 for an alert's text (Java SDK's AlertBlock).
MAX_ALERT = 200
MAX_CARD_TITLE, MAX_CARD_BODY, MAX_CARD_ACTIONS, MAX_CARDS = 150, 200, 3, 10
MAX_CHILDREN = 10
MAX_TASKS = 50


def _block(
    kind: str,
    required: Mapping[str, Check] | None = None,
    optional: Mapping[str, Check] | None = None,
    *also: Check,
) -> Check:
    return record({"type": one_of(kind), **(required or {})}, {"block_id": ID, **(optional or {})}, *also)


def _input_dispatch(value: Any, at: str, report: Report) -> None:
    # A file cannot be sent while it is being chosen (Slack docs: file input).
    if value.get("dispatch_action") and value["element"]["type"] == "file_input":
        report.add(f"{at}/dispatch_action", "not allowed with a file_input")
    if value["element"].get("response_url_enabled") and report.surface != "modal":
        report.add(f"{at}/element/response_url_enabled", "only allowed in a modal")


def _no_response_url(value: Any, at: str, report: Report) -> None:
    for key in ("accessory", "elements"):
        found = value.get(key)
        for element in found if isinstance(found, list) else [found]:
            if isinstance(element, dict) and element.get("response_url_enabled"):
                report.add(f"{at}/{key}", "response_url_enabled is only allowed in an input block of a modal")


def _collapsible(value: Any, at: str, report: Report) -> None:
    if value.get("default_collapsed") and not value.get("is_collapsible"):
        report.add(f"{at}/default_collapsed", "needs is_collapsible")
    if value.get("has_header_divider") and value.get("is_collapsible"):
        report.add(f"{at}/has_header_divider", "not allowed with is_collapsible")


_IMAGE_KEYS: dict[str, Check] = {
    "image_url": WEB_URL,
    "slack_file": SLACK_FILE,
    "title": plain_text(MAX_IMAGE_TITLE),
}
_IMAGE = ELEMENTS["image"]
_CELL = typed(
    {
        "raw_text": record({"type": one_of("raw_text"), "text": string(1, 3_000)}),
        "raw_number": record({"type": one_of("raw_number"), "text": string(1, 100), "value": number}),
        "rich_text": RICH_TEXT,
    },
    "table cell",
)
_COLUMN = record(None, {"align": one_of("left", "center", "right"), "is_wrapped": boolean})
_CARD = _block(
    "card",
    None,
    {
        "hero_image": _IMAGE,
        "icon": _IMAGE,
        "title": any_text(MAX_CARD_TITLE),
        "subtitle": any_text(MAX_CARD_TITLE),
        "body": any_text(MAX_CARD_BODY),
        "actions": items(typed(pick("button"), "card action"), 1, MAX_CARD_ACTIONS),
    },
    any_of("hero_image", "title", "actions", "body"),
)
_TASK = _block(
    "task_card",
    {"task_id": ID, "title": string(1, 3_000)},
    {
        "status": one_of("pending", "in_progress", "complete", "error"),
        "details": RICH_TEXT,
        "output": RICH_TEXT,
        "sources": items(
            record({"type": one_of("url"), "url": URL}, {"text": string(1, 3_000)}), 0, MAX_CHILDREN
        ),
    },
    only_on("message"),
)

#: Every block by type, but those that hold other blocks.
_SIMPLE: dict[str, Check] = {
    "section": _block(
        "section",
        None,
        {
            "text": any_text(MAX_SECTION_TEXT),
            "fields": items(any_text(MAX_FIELD), 1, MAX_FIELDS),
            "accessory": typed(pick(*ACCESSORIES), "section accessory"),
            "expand": boolean,
        },
        any_of("text", "fields"),
        _no_response_url,
    ),
    "divider": _block("divider"),
    "header": _block("header", {"text": plain_text(MAX_HEADER)}),
    "image": _block(
        "image", {"alt_text": string(1, MAX_ALT)}, _IMAGE_KEYS, exactly_one("image_url", "slack_file")
    ),
    "context": _block(
        "context",
        {
            "elements": items(
                typed(
                    {"image": _IMAGE, "plain_text": plain_text(3_000), "mrkdwn": any_text(3_000)},
                    "context element",
                ),
                1,
                MAX_CONTEXT,
            )
        },
    ),
    "actions": _block(
        "actions",
        {"elements": items(typed(pick(*ACTIONS), "actions element"), 1, MAX_ACTIONS)},
        None,
        _no_response_url,
    ),
    "input": _block(
        "input",
        {"label": plain_text(MAX_LABEL), "element": typed(pick(*INPUTS), "input element")},
        {"hint": plain_text(MAX_LABEL), "optional": boolean, "dispatch_action": boolean},
        _input_dispatch,
    ),
    "rich_text": RICH_TEXT,
    "video": _block(
        "video",
        {
            "alt_text": string(1, MAX_ALT),
            "title": plain_text(199),
            "thumbnail_url": WEB_URL,
            "video_url": WEB_URL,
        },
        {
            "title_url": WEB_URL,
            "description": plain_text(199),
            "provider_icon_url": WEB_URL,
            "provider_name": string(1, 50),
            "author_name": string(1, 49),
        },
    ),
    "markdown": _block("markdown", {"text": string(1, MAX_MARKDOWN)}, None, only_on("message")),
    "table": _block(
        "table",
        {"rows": items(items(_CELL, 1, MAX_COLUMNS), 1, MAX_ROWS)},
        {"column_settings": items(nullable(_COLUMN), 0, MAX_COLUMNS)},
        only_on("message", "home"),
    ),
    "alert": _block(
        "alert",
        {"text": any_text(MAX_ALERT)},
        {"level": one_of("default", "info", "warning", "error", "success")},
        only_on("modal"),
    ),
    "card": _CARD,
    "carousel": _block(
        "carousel",
        {"elements": items(typed({"card": _CARD}, "carousel element"), 1, MAX_CARDS)},
        None,
        only_on("message", "home"),
    ),
    "context_actions": _block(
        "context_actions",
        {"elements": items(typed(pick(*CONTEXT_ACTIONS), "context action"), 1, MAX_CONTEXT_ACTIONS)},
        None,
        only_on("message"),
    ),
    "task_card": _TASK,
    "plan": _block(
        "plan",
        {"title": string(1, 3_000)},
        {"tasks": items(typed({"task_card": _TASK}, "plan task"), 0, MAX_TASKS)},
        only_on("message"),
    ),
}

#: What a container may hold (@slack/types); `file` cannot be sent by apps.
_CHILDREN = (
    "actions",
    "context",
    "divider",
    "header",
    "image",
    "input",
    "rich_text",
    "section",
    "table",
    "video",
)
_CONTAINER = _block(
    "container",
    {"child_blocks": items(typed({k: _SIMPLE[k] for k in _CHILDREN}, "child block"), 1, MAX_CHILDREN)},
    {
        "title": plain_text(150),
        "rich_text_title": RICH_TEXT,
        "subtitle": any_text(150),
        "width": one_of("narrow", "standard", "wide", "full"),
        "icon": _IMAGE,
        "is_collapsible": boolean,
        "default_collapsed": boolean,
        "has_header_divider": boolean,
    },
    only_on("message"),
    any_of("title", "rich_text_title"),
    _collapsible,
)

#: Any block. `file` and `call` cannot be posted by apps; `data_table`, `data_visualization` are not modelled.
BLOCK = typed({**_SIMPLE, "container": _CONTAINER}, "block")
