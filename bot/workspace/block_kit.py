"""Block Kit's front door: is this message, modal or home one that Slack would take?

Everything that is wrong is reported at once, with JSON pointers. Written from Slack's documents and checked
against nothing else: it must stay independent of whatever builds the blocks.
"""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Iterator
from typing import Any

from bot.workspace.block_objects import plain_text
from bot.workspace.block_types import BLOCK
from bot.workspace.shapes import (
    Check,
    Problem,
    Report,
    boolean,
    items,
    one_of,
    record,
    string,
)

Json = dict[str, Any]

__all__ = ["Problem", "check_message_blocks", "check_view", "fill_ids"]

#: Slack docs: blocks.
MAX_BLOCKS = {"message": 50, "modal": 100, "home": 100}
#: Characters of a message's blocks as JSON. Slack publishes none; 13,200 were refused (bolt-js#2509).
MAX_MESSAGE_JSON = 13_000
#: Characters of all markdown blocks of a message together (Slack docs: markdown block).
MAX_MARKDOWN = 12_000
#: slack_sdk's models: views.
MAX_TITLE, MAX_PRIVATE_METADATA = 24, 3_000
#: Slack docs: views.open, `view_too_large`.
MAX_VIEW_BYTES = 250_000

_ELEMENT_KEYS = ("accessory", "element", "elements", "actions")


def _blocks_check(surface: str) -> Check:
    return items(BLOCK, 1, MAX_BLOCKS[surface])


def _view_check(surface: str) -> Check:
    common: dict[str, Check] = {
        "private_metadata": string(0, MAX_PRIVATE_METADATA),
        "callback_id": string(0, 255),
        "external_id": string(0, 255),
    }
    required: dict[str, Check] = {"type": one_of(surface), "blocks": _blocks_check(surface)}
    if surface == "home":
        return record(required, common)
    return record(
        {**required, "title": plain_text(MAX_TITLE)},
        {
            **common,
            "submit": plain_text(MAX_TITLE),
            "close": plain_text(MAX_TITLE),
            "clear_on_close": boolean,
            "notify_on_close": boolean,
            "submit_disabled": boolean,
        },
        _needs_submit,
    )


def _needs_submit(value: Any, at: str, report: Report) -> None:
    if "submit" not in value and any(block["type"] == "input" for block in value["blocks"]):
        report.add(at, "missing required field: submit (the view has an input block)")


def check_message_blocks(blocks: Any) -> list[Problem]:
    """Everything Slack would refuse in a message's blocks. An empty list of blocks is fine."""
    report = Report("message")
    if blocks == []:
        return []
    _blocks_check("message")(blocks, "/blocks", report)
    if isinstance(blocks, list):
        _across(blocks, "/blocks", report)
        size = len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))
        if size > MAX_MESSAGE_JSON:
            report.add(
                "/blocks",
                f"must be at most {MAX_MESSAGE_JSON} characters of JSON, are {size}",
                "msg_blocks_too_long",
            )
        written = [len(str(b.get("text", ""))) for b in _objects(blocks) if b.get("type") == "markdown"]
        if len(written) > 1 and sum(written) > MAX_MARKDOWN:
            report.add("/blocks", f"markdown blocks must be at most {MAX_MARKDOWN} characters together")
    return report.problems


def check_view(view: Any, *, surface: str) -> list[Problem]:
    """Everything Slack would refuse in a view. `surface` is `modal` or `home`."""
    report = Report(surface)
    if surface not in ("modal", "home"):
        report.add("/type", "must be one of modal, home")
        return report.problems
    _view_check(surface)(view, "", report)
    if isinstance(view, dict):
        if isinstance(view.get("blocks"), list):
            _across(view["blocks"], "/blocks", report)
        if len(json.dumps(view, ensure_ascii=False).encode()) > MAX_VIEW_BYTES:
            report.add("", f"must be at most {MAX_VIEW_BYTES} bytes of JSON", "view_too_large")
    return report.problems


# Rules that look at several blocks


def _objects(value: Any) -> Iterator[Json]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _across(blocks: list[Any], at: str, report: Report) -> None:
    seen: set[str] = set()
    tables = focused = 0
    for pointer, block in _all_blocks(blocks, at):
        block_id = block.get("block_id")
        if isinstance(block_id, str):
            if block_id in seen:
                report.add(f"{pointer}/block_id", f"must be unique: {block_id!r} appears twice")
            seen.add(block_id)
        tables += block.get("type") == "table"
        actions: set[str] = set()
        for place, element in _elements(block, pointer):
            action_id = element.get("action_id")
            if isinstance(action_id, str):
                if action_id in actions:
                    report.add(f"{place}/action_id", f"must be unique in its block: {action_id!r}")
                actions.add(action_id)
            focused += element.get("focus_on_load") is True
    if tables > 1:
        report.add(at, "must have at most one table")
    if focused > 1:
        report.add(at, "must have at most one element with focus_on_load")


def _all_blocks(blocks: Any, at: str) -> Iterator[tuple[str, Json]]:
    for index, block in enumerate(blocks if isinstance(blocks, list) else []):
        if not isinstance(block, dict):
            continue
        pointer = f"{at}/{index}"
        yield pointer, block
        yield from _all_blocks(block.get("child_blocks"), f"{pointer}/child_blocks")
        if block.get("type") == "carousel":
            yield from _all_blocks(block.get("elements"), f"{pointer}/elements")


def _elements(block: Json, at: str) -> Iterator[tuple[str, Json]]:
    for key in _ELEMENT_KEYS:
        found = block.get(key)
        if isinstance(found, dict):
            yield f"{at}/{key}", found
        elif isinstance(found, list) and block.get("type") not in ("carousel", "rich_text"):
            for index, element in enumerate(found):
                if isinstance(element, dict):
                    yield f"{at}/{key}/{index}", element


# What Slack adds


def fill_ids(blocks: list[Json]) -> list[Json]:
    """A copy as Slack keeps it: every block_id and action_id there, and its defaults written out."""
    filled: list[Json] = copy.deepcopy(blocks)
    for pointer, block in _all_blocks(filled, ""):
        block.setdefault("block_id", secrets.token_urlsafe(4)[:5])
        for _, element in _elements(block, pointer):
            if element.get("type") not in ("image", "plain_text", "mrkdwn", "task_card"):
                element.setdefault("action_id", secrets.token_urlsafe(4)[:5])
    _write_defaults(filled)
    return filled


def _write_defaults(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _write_defaults(item)
    elif isinstance(value, dict):
        if value.get("type") == "plain_text":
            value.setdefault("emoji", True)
        elif value.get("type") == "mrkdwn":
            value.setdefault("verbatim", False)
        for item in value.values():
            _write_defaults(item)
