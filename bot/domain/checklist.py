"""A checklist as plain values: sections, groups and items, the rollback triggers and the runbook.

Texts are inline Markdown exactly as the author wrote them (entities and emphasis included), with line
breaks folded to one space; turning them into Slack's mrkdwn or into plain text is for whoever shows them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

#: The first part of every rollback step's key.
RUNBOOK = "rollback"


def slugged(text: str) -> str:
    """A text as part of a key: lower case, words joined by hyphens, at most 60 characters."""
    plain = re.sub(r"&\w+;|[*_`]", "", text.casefold())
    return re.sub(r"[^\w]+", "-", plain).strip("-")[:60].rstrip("-") or "step"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One box to tick."""

    #: Stable name, `section/group/item` slugs, unique in its checklist.
    key: str
    #: Inline Markdown, one line.
    text: str
    #: True for an item of an ordered list: a step.
    ordered: bool = False
    #: The step's number as written in the list, None for an unordered item.
    number: int | None = None
    #: Ticked in the file already.
    checked: bool = False
    #: How many items it is nested under; 0 for a top-level item.
    depth: int = 0
    #: 1-based line in the file, 0 where unknown.
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class Group:
    """Items under one `###` heading (or a bold line or bullet used as one)."""

    #: Inline Markdown; empty for items that stand directly under their section.
    title: str
    #: The items in the order of the file.
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Section:
    """Groups under one `##` heading."""

    #: Inline Markdown; empty for what stands before the first heading.
    title: str
    #: The groups in the order of the file, without those that hold no item.
    groups: tuple[Group, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        """Every item of the section, in order."""
        return tuple(item for group in self.groups for item in group.items)


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """A whole checklist file."""

    #: The `#` heading, or the file's name where there is none.
    title: str
    #: The sections that hold items, in the order of the file.
    sections: tuple[Section, ...] = ()
    #: What calls for a rollback, as inline Markdown.
    triggers: tuple[str, ...] = ()
    #: The runbook, in order, as inline Markdown.
    rollback_steps: tuple[str, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        """Every item, in order. An item's index here is its position."""
        return tuple(self.walk())

    @cached_property
    def runbook(self) -> tuple[Item, ...]:
        """The rollback steps as boxes. Their positions follow those of the items."""
        found: Counter[str] = Counter()
        steps = []
        for number, text in enumerate(self.rollback_steps, start=1):
            key = f"{RUNBOOK}/{slugged(text)}"
            found[key] += 1
            if found[key] > 1:
                key = f"{key}-{found[key]}"
            steps.append(Item(key=key, text=text, ordered=True, number=number))
        return tuple(steps)

    @property
    def boxes(self) -> tuple[Item, ...]:
        """Items, then rollback steps: what a position counts in."""
        return self.items + self.runbook

    def walk(self) -> Iterator[Item]:
        """Each item in the order of the file."""
        for section in self.sections:
            for group in section.groups:
                yield from group.items


def checklist_to_json(checklist: Checklist) -> dict[str, Any]:
    """The copy kept in the first event."""
    return {
        "title": checklist.title,
        "sections": [
            {
                "title": section.title,
                "groups": [
                    {"title": group.title, "items": [_item_to_json(item) for item in group.items]}
                    for group in section.groups
                ],
            }
            for section in checklist.sections
        ],
        "triggers": list(checklist.triggers),
        "rollback_steps": list(checklist.rollback_steps),
    }


def _item_to_json(item: Item) -> dict[str, Any]:
    return {
        "key": item.key,
        "text": item.text,
        "ordered": item.ordered,
        "number": item.number,
        "checked": item.checked,
        "depth": item.depth,
        "line": item.line,
    }


def checklist_from_json(data: Mapping[str, Any]) -> Checklist:
    """The checklist a copy holds."""
    return Checklist(
        title=data["title"],
        sections=tuple(
            Section(
                title=section["title"],
                groups=tuple(
                    Group(title=group["title"], items=tuple(Item(**item) for item in group["items"]))
                    for group in section["groups"]
                ),
            )
            for section in data["sections"]
        ),
        triggers=tuple(data["triggers"]),
        rollback_steps=tuple(data["rollback_steps"]),
    )
