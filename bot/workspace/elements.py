"""The interactive elements of a drawing: finding them, and reading what a person chose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

#: What each element's value is called in `actions` and `state`. Elements not listed keep no state.
VALUE_KEY = {
    "checkboxes": "selected_options",
    "radio_buttons": "selected_option",
    "static_select": "selected_option",
    "external_select": "selected_option",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "users_select": "selected_user",
    "multi_users_select": "selected_users",
    "conversations_select": "selected_conversation",
    "multi_conversations_select": "selected_conversations",
    "channels_select": "selected_channel",
    "multi_channels_select": "selected_channels",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "plain_text_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "number_input": "value",
    "rich_text_input": "rich_text_value",
    "file_input": "files",
}
#: Where an element's first value is written.
_INITIAL_KEY = {
    "selected_options": "initial_options",
    "selected_option": "initial_option",
    "selected_user": "initial_user",
    "selected_users": "initial_users",
    "selected_conversation": "initial_conversation",
    "selected_conversations": "initial_conversations",
    "selected_channel": "initial_channel",
    "selected_channels": "initial_channels",
    "selected_date": "initial_date",
    "selected_time": "initial_time",
    "selected_date_time": "initial_date_time",
    "value": "initial_value",
    "rich_text_value": "initial_value",
}
_LISTS = frozenset(
    {"selected_options", "selected_users", "selected_conversations", "selected_channels", "files"}
)
_REQUIRED = "Please complete this required field."


class BadValue(Exception):
    """The page sent something this element cannot give."""


def walk(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every interactive element with its block, also inside containers, cards and carousels."""
    for block in blocks:
        for element in (block.get("accessory"), block.get("element")):
            if isinstance(element, dict) and "action_id" in element:
                yield block, element
        for element in [*block.get("elements", ()), *block.get("actions", ())]:
            if isinstance(element, dict) and "action_id" in element:
                yield block, element
        yield from walk(block.get("child_blocks", []))
        if block.get("type") == "carousel":
            yield from walk(block.get("elements", []))


def find(blocks: list[Json], block_id: str, action_id: str) -> tuple[Json, Json] | None:
    """A block and its element, by their ids."""
    for block, element in walk(blocks):
        if block.get("block_id") == block_id and element["action_id"] == action_id:
            return block, element
    return None


def options(element: Json) -> dict[str, Json]:
    """An element's options by value."""
    groups = element.get("option_groups") or [{"options": element.get("options") or []}]
    return {option["value"]: option for group in groups for option in group["options"]}


def read(element: Json, sent: Json, offered: dict[str, Json] | None = None) -> Json:
    """What a person chose, in full: `{value key: value}`. `offered` holds an external select's options."""
    kind = element["type"]
    key = "selected_option" if kind == "overflow" else VALUE_KEY.get(kind)
    if key is None:
        return {}
    value = sent.get(key)
    if key in _LISTS and value is None:
        value = []
    if key not in ("selected_option", "selected_options"):
        return {key: value if value != "" else None}
    known = {**options(element), **(offered or {})}
    if key == "selected_options":
        chosen = [_option(known, item, element) for item in value or []]
        # Slack sends them in the order of the options, each once.
        order = list(known)
        chosen.sort(key=lambda item: order.index(item["value"]))
        return {key: chosen}
    return {key: _option(known, value, element) if value else None}


def _option(known: dict[str, Json], item: Any, element: Json) -> Json:
    value = item.get("value") if isinstance(item, dict) else None
    if value not in known:
        raise BadValue(f"element {element['action_id']!r} has no option {value!r}")
    return known[value]


def initial(element: Json) -> Json:
    """An element's value before anyone touched it."""
    key = VALUE_KEY[element["type"]]
    value = element.get(_INITIAL_KEY.get(key, ""))
    return {key: value if value is not None else ([] if key in _LISTS else None)}


def state_values(blocks: list[Json], sent: Json, offered: dict[str, dict[str, Json]]) -> Json:
    """`state.values` of a drawing: what the client showed, or the initial value where it sent none."""
    values: Json = {}
    for block, element in walk(blocks):
        if element["type"] not in VALUE_KEY:
            continue
        shown = (sent.get(block["block_id"]) or {}).get(element["action_id"])
        value = initial(element) if shown is None else read(element, shown, offered.get(element["action_id"]))
        entry = {"type": element["type"], **value}
        values.setdefault(block["block_id"], {})[element["action_id"]] = entry
    return values


def input_errors(blocks: list[Json], values: Json) -> Json:
    """What Slack's client refuses to submit, by block_id."""
    errors: Json = {}
    for block in blocks:
        if block.get("type") != "input":
            continue
        element = block["element"]
        entry = (values.get(block["block_id"]) or {}).get(element["action_id"], {})
        value = entry.get(VALUE_KEY.get(element["type"], ""))
        if value in (None, "", []):
            if not block.get("optional"):
                errors[block["block_id"]] = _REQUIRED
            continue
        problem = _content_problem(element, value)
        if problem:
            errors[block["block_id"]] = problem
    return errors


def _content_problem(element: Json, value: Any) -> str:
    kind = element["type"]
    if kind == "plain_text_input":
        if len(value) < element.get("min_length", 0):
            return f"This must be at least {element['min_length']} characters."
        if len(value) > element.get("max_length", 3000):
            return f"This must be at most {element.get('max_length', 3000)} characters."
    elif kind == "number_input":
        return _number_problem(element, str(value))
    elif kind == "email_text_input" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        return "Please enter a valid email address."
    elif kind == "url_text_input" and not re.fullmatch(r"https?://\S+", value):
        return "Please enter a valid URL."
    elif kind.startswith("multi_") and len(value) > element.get("max_selected_items", len(value)):
        return f"Please select at most {element['max_selected_items']} items."
    return ""


def _number_problem(element: Json, value: str) -> str:
    pattern = r"-?\d+(\.\d+)?" if element.get("is_decimal_allowed") else r"-?\d+"
    if not re.fullmatch(pattern, value):
        wanted = "a number" if element.get("is_decimal_allowed") else "a whole number"
        return f"Please enter {wanted}."
    lowest, highest = element.get("min_value"), element.get("max_value")
    if lowest is not None and float(value) < float(lowest):
        return f"This must be at least {lowest}."
    if highest is not None and float(value) > float(highest):
        return f"This must be at most {highest}."
    return ""
