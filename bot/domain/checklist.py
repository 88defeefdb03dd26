"""A checklist as plain values: sections, groups and items, the rollback triggers and the runbook.

Texts are inline Markdown exactly as the author wrote them (entities and emphasis included), with line
breaks folded to one space; turning them into Slack's mrkdwn or into plain text is for whoever shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


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

    def walk(self) -> Iterator[Item]:
        """Each item in the order of the file."""
        for section in self.sections:
            for group in section.groups:
                yield from group.items
