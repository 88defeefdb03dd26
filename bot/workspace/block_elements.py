"""Block elements: which keys they have and what those may hold (Slack docs: block elements)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.workspace.block_objects import (
    CONFIRM,
    CONVERSATION_FILTER,
    DISPATCH_ACTION_CONFIG,
    ID,
    LINK_OPTION,
    OPTION,
    OPTION_GROUP,
    RICH_OPTION,
    SLACK_FILE,
    URL,
    WEB_URL,
    distinct_values,
    initial_among_options,
    plain_text,
)
from bot.workspace.rich_text import RICH_TEXT
from bot.workspace.shapes import (
    Check,
    Report,
    boolean,
    exactly_one,
    integer,
    items,
    one_of,
    only_on,
    pattern,
    record,
    string,
)

Json = dict[str, Any]

#: Options of checkboxes and radio buttons; of menus; of an overflow menu (Slack docs).
MAX_BOXES, MAX_MENU, MAX_OVERFLOW = 10, 100, 5
#: Characters of a text field (slack_sdk PlainTextInputElement).
MAX_INPUT = 3_000

_PLACEHOLDER = plain_text(150)
_DATE = pattern(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "a date: YYYY-MM-DD")
_TIME = pattern(r"([01]\d|2[0-3]):[0-5]\d", "a time: HH:mm")
_NUMBER = pattern(r"-?\d+(\.\d+)?", "a number written as a string")


def _element(
    kind: str,
    required: Mapping[str, Check] | None = None,
    optional: Mapping[str, Check] | None = None,
    *also: Check,
) -> Check:
    return record({"type": one_of(kind), **(required or {})}, {"action_id": ID, **(optional or {})}, *also)


def _input(
    kind: str,
    required: Mapping[str, Check] | None = None,
    optional: Mapping[str, Check] | None = None,
    *also: Check,
) -> Check:
    common: dict[str, Check] = {"placeholder": _PLACEHOLDER, "focus_on_load": _focus}
    return _element(kind, required, {**common, **(optional or {})}, *also)


def _focus(value: Any, at: str, report: Report) -> None:
    boolean(value, at, report)
    if value is True and report.surface == "message":
        report.add(at, "not allowed in a message")


def _lengths(value: Any, at: str, report: Report) -> None:
    if value.get("min_length", 0) > value.get("max_length", MAX_INPUT):
        report.add(f"{at}/min_length", "must not be greater than max_length")


def _numbers(value: Any, at: str, report: Report) -> None:
    low, high = value.get("min_value"), value.get("max_value")
    if low is not None and high is not None and float(low) > float(high):
        report.add(f"{at}/min_value", "must not be greater than max_value")
    if not value["is_decimal_allowed"]:
        for key in ("min_value", "max_value", "initial_value"):
            if key in value and not re.fullmatch(r"-?\d+", value[key]):
                report.add(f"{at}/{key}", "must be a whole number")


_BOXES: dict[str, Check] = {"options": items(RICH_OPTION, 1, MAX_BOXES)}
_MENU: dict[str, Check] = {
    "options": items(OPTION, 1, MAX_MENU),
    "option_groups": items(OPTION_GROUP, 1, MAX_MENU),
}
_MULTI: dict[str, Check] = {"max_selected_items": integer(1, 10**6), "confirm": CONFIRM}
_STATIC = (exactly_one("options", "option_groups"), distinct_values, initial_among_options)
_CONVERSATIONS: dict[str, Check] = {
    "default_to_current_conversation": boolean,
    "filter": CONVERSATION_FILTER,
}
_IDS = items(ID, 1, 100)

#: Every element by type.
ELEMENTS: dict[str, Check] = {
    "button": _element(
        "button",
        {"text": plain_text(75)},
        {
            "url": URL,
            "value": string(1, 2_000),
            "style": one_of("primary", "danger"),
            "confirm": CONFIRM,
            "accessibility_label": string(1, 75),
            "agent_prompt": string(1, 4_000),
        },
    ),
    "checkboxes": _element(
        "checkboxes",
        _BOXES,
        {"initial_options": items(RICH_OPTION, 1, MAX_BOXES), "confirm": CONFIRM, "focus_on_load": _focus},
        distinct_values,
        initial_among_options,
    ),
    "radio_buttons": _element(
        "radio_buttons",
        _BOXES,
        {"initial_option": RICH_OPTION, "confirm": CONFIRM, "focus_on_load": _focus},
        distinct_values,
        initial_among_options,
    ),
    "overflow": _element(
        "overflow", {"options": items(LINK_OPTION, 1, MAX_OVERFLOW)}, {"confirm": CONFIRM}, distinct_values
    ),
    "static_select": _input(
        "static_select", None, {**_MENU, "initial_option": OPTION, "confirm": CONFIRM}, *_STATIC
    ),
    "multi_static_select": _input(
        "multi_static_select",
        None,
        {**_MENU, **_MULTI, "initial_options": items(OPTION, 1, MAX_MENU)},
        *_STATIC,
    ),
    "external_select": _input(
        "external_select",
        None,
        {"min_query_length": integer(0, 3_000), "initial_option": OPTION, "confirm": CONFIRM},
    ),
    "multi_external_select": _input(
        "multi_external_select",
        None,
        {"min_query_length": integer(0, 3_000), "initial_options": items(OPTION, 1, MAX_MENU), **_MULTI},
    ),
    "users_select": _input("users_select", None, {"initial_user": ID, "confirm": CONFIRM}),
    "multi_users_select": _input("multi_users_select", None, {"initial_users": _IDS, **_MULTI}),
    "conversations_select": _input(
        "conversations_select",
        None,
        {
            **_CONVERSATIONS,
            "initial_conversation": ID,
            "confirm": CONFIRM,
            "response_url_enabled": boolean,
        },
    ),
    "multi_conversations_select": _input(
        "multi_conversations_select", None, {**_CONVERSATIONS, "initial_conversations": _IDS, **_MULTI}
    ),
    "channels_select": _input(
        "channels_select",
        None,
        {"initial_channel": ID, "confirm": CONFIRM, "response_url_enabled": boolean},
    ),
    "multi_channels_select": _input("multi_channels_select", None, {"initial_channels": _IDS, **_MULTI}),
    "datepicker": _input("datepicker", None, {"initial_date": _DATE, "confirm": CONFIRM}),
    "timepicker": _input(
        "timepicker", None, {"initial_time": _TIME, "timezone": string(1, 100), "confirm": CONFIRM}
    ),
    "datetimepicker": _element(
        "datetimepicker",
        None,
        # Ten digits (Slack docs: datetimepicker).
        {
            "initial_date_time": integer(1_000_000_000, 9_999_999_999),
            "confirm": CONFIRM,
            "focus_on_load": _focus,
        },
    ),
    "plain_text_input": _input(
        "plain_text_input",
        None,
        {
            "initial_value": string(1, MAX_INPUT),
            "multiline": boolean,
            "min_length": integer(0, MAX_INPUT),
            "max_length": integer(1, MAX_INPUT),
            "dispatch_action_config": DISPATCH_ACTION_CONFIG,
        },
        _lengths,
    ),
    "email_text_input": _input(
        "email_text_input",
        None,
        {"initial_value": string(1, MAX_INPUT), "dispatch_action_config": DISPATCH_ACTION_CONFIG},
        only_on("modal"),
    ),
    "url_text_input": _input(
        "url_text_input",
        None,
        {"initial_value": WEB_URL, "dispatch_action_config": DISPATCH_ACTION_CONFIG},
        only_on("modal"),
    ),
    "number_input": _input(
        "number_input",
        {"is_decimal_allowed": boolean},
        {
            "initial_value": _NUMBER,
            "min_value": _NUMBER,
            "max_value": _NUMBER,
            "dispatch_action_config": DISPATCH_ACTION_CONFIG,
        },
        only_on("modal"),
        _numbers,
    ),
    "rich_text_input": _input(
        "rich_text_input",
        None,
        {"initial_value": RICH_TEXT, "dispatch_action_config": DISPATCH_ACTION_CONFIG},
    ),
    "file_input": _element(
        "file_input",
        None,
        {"filetypes": items(string(1, 20), 1, 100), "max_files": integer(1, 10)},
        only_on("modal"),
    ),
    "image": record(
        {"type": one_of("image"), "alt_text": string(1, 2_000)},
        {"image_url": WEB_URL, "slack_file": SLACK_FILE},
        exactly_one("image_url", "slack_file"),
    ),
    "feedback_buttons": _element(
        "feedback_buttons",
        {
            key: record(
                {"text": plain_text(75), "value": string(1, 2_000)}, {"accessibility_label": string(1, 75)}
            )
            for key in ("positive_button", "negative_button")
        },
    ),
    "icon_button": _element(
        "icon_button",
        {"icon": string(1, 50), "text": plain_text(75)},
        {
            "accessibility_label": string(1, 75),
            "value": string(1, 2_000),
            "visible_to_user_ids": _IDS,
            "confirm": CONFIRM,
        },
    ),
}

_SELECTS = tuple(name for name in ELEMENTS if name.endswith("_select"))
_SHARED = ("checkboxes", "datepicker", "radio_buttons", "timepicker", *_SELECTS)
#: What may be beside a section, in an actions block, in an input block (@slack/types).
ACCESSORIES = ("button", "image", "overflow", *_SHARED)
ACTIONS = ("button", "datetimepicker", "overflow", *_SHARED)
INPUTS = (
    "datetimepicker",
    "email_text_input",
    "file_input",
    "number_input",
    "plain_text_input",
    "rich_text_input",
    "url_text_input",
    *_SHARED,
)
CONTEXT_ACTIONS = ("feedback_buttons", "icon_button")


def pick(*names: str) -> dict[str, Check]:
    """These elements only."""
    return {name: ELEMENTS[name] for name in names}
