"""The objects blocks are made of: texts, options, confirmations (Slack docs: composition objects).

Numbers: slack_sdk's models and @slack/types; where they differ, the smaller one.
"""

from __future__ import annotations

from typing import Any

from bot.workspace.shapes import (
    Check,
    Report,
    boolean,
    exactly_one,
    items,
    one_of,
    pattern,
    record,
    string,
    typed,
)

Json = dict[str, Any]

#: block_id, action_id, callback_id, external_id.
MAX_ID = 255
MAX_URL = 3_000
MAX_OPTION_TEXT = MAX_OPTION_DESCRIPTION = 75
#: 150 in slack_sdk, 75 in @slack/types: the smaller.
MAX_OPTION_VALUE = 75
#: Any text object.
MAX_TEXT_OBJECT = 3_000

URL = pattern(r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s]+", "a URL", MAX_URL)
WEB_URL = pattern(r"https?://[^\s]+", "an http or https URL", MAX_URL)
ID = string(1, MAX_ID)


def _plain(high: int) -> Check:
    return record({"type": one_of("plain_text"), "text": string(1, high)}, {"emoji": boolean})


def _mrkdwn(high: int) -> Check:
    return record({"type": one_of("mrkdwn"), "text": string(1, high)}, {"verbatim": boolean})


def plain_text(high: int) -> Check:
    """A plain_text object of at most so many characters."""
    return typed({"plain_text": _plain(high)}, "text object (plain_text only)")


def any_text(high: int) -> Check:
    """A plain_text or mrkdwn object of at most so many characters."""
    return typed({"plain_text": _plain(high), "mrkdwn": _mrkdwn(high)}, "text object")


#: Title 100, text 300, buttons 30, all plain text (slack_sdk ConfirmObject; Slack docs: confirmation dialog).
CONFIRM = record(
    {"title": plain_text(100), "text": plain_text(300), "confirm": plain_text(30), "deny": plain_text(30)},
    {"style": one_of("primary", "danger")},
)

_DESCRIPTION = {"description": plain_text(MAX_OPTION_DESCRIPTION)}
_VALUE = string(1, MAX_OPTION_VALUE)
#: An option of a menu: plain text only.
OPTION = record({"text": plain_text(MAX_OPTION_TEXT), "value": _VALUE}, _DESCRIPTION)
#: An option of checkboxes and radio buttons: mrkdwn too (@slack/types MrkdwnOption).
RICH_OPTION = record({"text": any_text(MAX_OPTION_TEXT), "value": _VALUE}, _DESCRIPTION)
#: An option of an overflow menu: may be a link.
LINK_OPTION = record({"text": plain_text(MAX_OPTION_TEXT), "value": _VALUE}, {**_DESCRIPTION, "url": URL})
OPTION_GROUP = record({"label": plain_text(75), "options": items(OPTION, 1, 100)})

DISPATCH_ACTION_CONFIG = record(
    {"trigger_actions_on": items(one_of("on_enter_pressed", "on_character_entered"), 1, 2)}
)
SLACK_FILE = record(None, {"url": WEB_URL, "id": ID}, exactly_one("url", "id"))
CONVERSATION_FILTER = record(
    None,
    {
        "include": items(one_of("im", "mpim", "private", "public"), 1, 4),
        "exclude_bot_users": boolean,
        "exclude_external_shared_channels": boolean,
    },
)


def all_options(element: Json) -> list[Json]:
    """An element's options, out of their groups."""
    groups = element.get("option_groups") or [{"options": element.get("options") or []}]
    return [option for group in groups for option in group["options"]]


def distinct_values(element: Any, at: str, report: Report) -> None:
    """No two options of an element have the same value."""
    seen: set[str] = set()
    for option in all_options(element):
        if option["value"] in seen:
            report.add(at, f"option values must be unique: {option['value']!r} appears twice")
        seen.add(option["value"])


def initial_among_options(element: Any, at: str, report: Report) -> None:
    """Initial options equal options exactly, text and all (Slack docs: checkboxes element)."""
    offered = all_options(element)
    for key in ("initial_option", "initial_options"):
        value = element.get(key)
        chosen = [] if value is None else value if isinstance(value, list) else [value]
        for index, option in enumerate(chosen):
            pointer = f"{at}/{key}/{index}" if key == "initial_options" else f"{at}/{key}"
            if option not in offered:
                report.add(pointer, "must be exactly equal to one of the options")
            elif option in chosen[:index]:
                report.add(pointer, "appears twice")
