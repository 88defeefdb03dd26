"""A Markdown file as a checklist.

Read with a real CommonMark/GFM parser. `##` is a section and `###` a group, relative to the levels the file
uses; a bold line, a plain bullet with boxes under it or a `<summary>` can stand for a group heading. Boxes in
lists and in table rows are items. Under "Triggers" and "Rollback steps" stands the rollback plan, which is
not progress.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bot.checklists.inline import explicit_key, one_line, parser, plain
from bot.checklists.keys import Keys
from bot.domain.checklist import Checklist, Group, Item, Section
from bot.domain.errors import Finding

#: More items than this is more than a thread can carry well.
MANY_ITEMS = 250
#: A longer item cannot be shown in full (Slack: 3,000 characters in a section's text).
LONG_ITEM = 2_900

_BOX = re.compile(r"\[([ xX])\](?:\s+|$)")
_ALMOST = re.compile(r"\[(?:\s*[xX✓✔✗-]?\s*|\s{2,})\](?!\()")
_SIGN = re.compile(r"([☐☑☒])\s*")
_CELL = re.compile(r"(?:\[([ xX])\]|([☐☑☒✅⬜🔲]))\s*")
_OPEN_SIGNS = "☐⬜🔲"
_SUMMARY = re.compile(r"<summary[^>]*>(.*?)</summary>", re.DOTALL | re.IGNORECASE)


class _Place(Enum):
    """What kind of list a heading announces."""

    ITEMS = auto()
    TRIGGERS = auto()
    RUNBOOK = auto()
    #: The rollback plan itself: an ordered list without boxes directly under it is the runbook.
    PLAN = auto()


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What a checklist includes of another file."""

    path: Path
    #: Keys in this checklist by the items' keys in the other one.
    keys: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A checklist with what was noticed on the way."""

    checklist: Checklist
    findings: tuple[Finding, ...] = ()
    #: What came from other files, one each.
    imported: tuple[Imported, ...] = ()


def parse(text: str, *, name: str) -> Parsed:
    """The checklist a Markdown text holds. Never raises: what cannot be used is in the findings."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    environment: dict[str, Any] = {}
    tokens = parser().parse(text, environment)
    return _Reader(name, tokens, environment.get("references", {})).read()


@dataclass
class _GroupDraft:
    title: str
    items: list[Item] = field(default_factory=list)


@dataclass
class _SectionDraft:
    title: str
    groups: list[_GroupDraft] = field(default_factory=list)


class _Reader:
    """Walks the syntax tree once."""

    def __init__(self, name: str, tokens: Sequence[Token], references: dict[str, Any]) -> None:
        self._name = name
        self._tree = SyntaxTreeNode(tokens)
        self._references = references
        self._sections = [_SectionDraft("")]
        self._title = ""
        self._triggers: list[str] = []
        self._steps: list[str] = []
        self._findings: list[Finding] = []
        self._keys = Keys()
        self._place = _Place.ITEMS
        self._place_level = 0
        self._levels = self._heading_levels()

    def read(self) -> Parsed:
        """The result."""
        self._blocks(self._tree.children, depth=0)
        sections = tuple(
            Section(
                title=draft.title,
                groups=tuple(Group(title=g.title, items=tuple(g.items)) for g in draft.groups if g.items),
            )
            for draft in self._sections
            if any(group.items for group in draft.groups)
        )
        checklist = Checklist(
            title=self._title or _readable(self._name),
            sections=sections,
            triggers=tuple(self._triggers),
            rollback_steps=tuple(self._steps),
        )
        count = len(checklist.items)
        if not count:
            self._note(0, "It holds no boxes to tick: write items as `- [ ] text`.", fatal=True)
        elif count > MANY_ITEMS:
            self._note(0, f"{count} items are more than {MANY_ITEMS}: split it into several checklists.")
        return Parsed(checklist=checklist, findings=tuple(sorted(self._findings, key=lambda f: f.line)))

    def _note(self, line: int, message: str, *, fatal: bool = False) -> None:
        self._findings.append(Finding(line=line, message=message, fatal=fatal))

    # ── headings ─────────────────────────────────────────────────────────────────────────────────────────

    def _heading_levels(self) -> tuple[int, int]:
        """The level of the title (0: none) and of the sections in this file."""
        headings = [node for node in self._tree.walk() if node.type == "heading"]
        levels = [int(node.tag[1]) for node in headings]
        first_level = [node for node in headings if node.tag == "h1"]
        if not levels:
            return 0, 2
        if len(first_level) == 1 or (len(first_level) > 1 and _is_empty_before_next(headings, self._tree)):
            deeper = [level for level in levels if level > 1]
            only_first = len(first_level) > 1
            return 1, 1 if only_first else min(deeper, default=2)
        return 0, min(levels)

    def _heading(self, node: SyntaxTreeNode) -> None:
        level = int(node.tag[1])
        text = self._source(node.children[0]) if node.children else ""
        title_level, section_level = self._levels
        if level == title_level and not self._title:
            self._title = plain(text)
            return
        if level <= section_level:
            self._sections.append(_SectionDraft(text))
            self._place, self._place_level = _place_of(text, self._place, in_plan=False), level
        else:
            self._sections[-1].groups.append(_GroupDraft(text))
            if level <= self._place_level or self._place in (_Place.ITEMS, _Place.PLAN):
                in_plan = "rollback" in _folded(self._sections[-1].title)
                place = _place_of(text, self._place, in_plan=in_plan)
                if not (self._place is _Place.PLAN and place is _Place.ITEMS and level > self._place_level):
                    self._place, self._place_level = place, level

    def _subheading(self, title: str) -> None:
        """A bold line, a bullet or a summary that stands for a heading."""
        self._sections[-1].groups.append(_GroupDraft(title))
        place = _place_of(title, self._place, in_plan=False)
        if place in (_Place.TRIGGERS, _Place.RUNBOOK):
            self._place = place

    def _group(self) -> _GroupDraft:
        section = self._sections[-1]
        if not section.groups:
            section.groups.append(_GroupDraft(""))
        return section.groups[-1]

    def _back_to(self, title: str, place: _Place) -> None:
        """After a subheading's boxes, go on under the heading before it."""
        self._place = place
        if self._group().title != title:
            self._sections[-1].groups.append(_GroupDraft(title))

    # ── blocks ───────────────────────────────────────────────────────────────────────────────────────────

    def _blocks(self, nodes: Sequence[SyntaxTreeNode], *, depth: int) -> None:
        enclosing: list[tuple[str, _Place]] = []
        for node in nodes:
            match node.type:
                case "front_matter":
                    self._front_matter(node)
                case "heading":
                    self._heading(node)
                case "bullet_list" | "ordered_list":
                    self._list(node, depth=depth)
                case "table":
                    self._table(node)
                case "paragraph":
                    self._paragraph(node)
                case "html_block":
                    self._html(node, enclosing)
                case "blockquote":
                    self._blocks(node.children, depth=depth)

    def _front_matter(self, node: SyntaxTreeNode) -> None:
        try:
            told = YAML(typ="safe").load(node.content)
        except (YAMLError, ValueError):
            self._note(1, "The front matter is not YAML and was passed over.")
            return
        if isinstance(told, dict) and isinstance(told.get("title"), str):
            self._title = self._title or told["title"].strip()

    def _paragraph(self, node: SyntaxTreeNode) -> None:
        source = self._source(node.children[0]) if node.children else ""
        bold = re.fullmatch(r"(\*\*|__)(?P<title>[^*_].*?)\1(?P<colon>\s*:)?", source)
        if bold and plain(source).strip():
            self._subheading(bold["title"].rstrip(": "))
        elif _BOX.match(source):
            self._note(_line(node), "A box outside a list is not an item: put `- ` before it.")

    def _html(self, node: SyntaxTreeNode, enclosing: list[tuple[str, _Place]]) -> None:
        content = re.sub(r"<!--.*?-->", "", node.content, flags=re.DOTALL)
        if re.search(r"<details\b", content, re.IGNORECASE):
            enclosing.append((self._group().title, self._place))
        summary = _SUMMARY.search(content)
        if summary:
            text = html.unescape(re.sub(r"<[^>]+>", "", summary[1]))
            self._subheading(" ".join(text.split()))
        if re.search(r"^\s*(?:[-*+]|\d+[.)])\s+\[[ xX]\]", content, re.MULTILINE):
            self._note(
                _line(node), "Boxes right inside HTML are not read: put an empty line before the list."
            )
        if re.search(r"</details", content, re.IGNORECASE) and enclosing:
            self._back_to(*enclosing.pop())

    # ── lists ────────────────────────────────────────────────────────────────────────────────────────────

    def _list(self, node: SyntaxTreeNode, *, depth: int) -> None:
        ordered = node.type == "ordered_list"
        number = int(node.attrs.get("start", 1)) if ordered else None
        unused: list[SyntaxTreeNode] = []
        for entry in node.children:
            source = _own_text(entry)
            box = _box(source)
            if self._place is _Place.TRIGGERS:
                self._keep(self._triggers, entry)
            elif self._place is _Place.RUNBOOK or (self._place is _Place.PLAN and ordered and box is None):
                self._keep(self._steps, entry)
            elif box is not None:
                self._task(entry, box, source, number=number, depth=depth)
            elif _holds_box(entry):
                before = (self._group().title, self._place)
                self._subheading(one_line(source, self._references).strip("*_: ") or before[0])
                self._blocks(entry.children[1:] if source else entry.children, depth=depth)
                self._back_to(*before)
            else:
                if _ALMOST.match(source):
                    shown = " ".join(source.split())[:40]
                    self._note(_line(entry), f"“{shown}” looks like a box but is none: write `[ ]`.")
                else:
                    unused.append(entry)
                self._blocks([c for c in entry.children if c.type != "paragraph"], depth=depth)
            number = number + 1 if number is not None else None
        if unused:
            what = "1 entry" if len(unused) == 1 else f"{len(unused)} entries"
            self._note(_line(unused[0]), f"{what} without a box: not items. Write `- [ ] text` to tick them.")

    def _task(
        self, entry: SyntaxTreeNode, box: tuple[bool, int], source: str, *, number: int | None, depth: int
    ) -> None:
        checked, end = box
        texts = [one_line(source[end:], self._references)]
        nested: list[SyntaxTreeNode] = []
        for child in entry.children[1:]:
            if child.type == "paragraph" and child.children:
                texts.append(self._source(child.children[0]))
            elif child.type in ("bullet_list", "ordered_list") and not _holds_box(child):
                texts.append("; ".join(filter(None, (self._whole_text(e) for e in child.children))))
            elif child.type in ("fence", "code_block"):
                self._note(_line(child), "Code under an item is not shown in Slack: link to it instead.")
            else:
                nested.append(child)
        self._item(" ".join(filter(None, texts)), checked, entry, source=source, number=number, depth=depth)
        self._blocks(nested, depth=depth + 1)

    def _item(
        self,
        text: str,
        checked: bool,
        node: SyntaxTreeNode,
        *,
        source: str,
        number: int | None = None,
        depth: int = 0,
    ) -> None:
        line = _line(node)
        if not plain(text):
            self._note(line, "A box without text: say what is to be done.")
            return
        if len(text) > LONG_ITEM:
            self._note(line, f"{len(text)} characters in one item: Slack shows the first {LONG_ITEM}.")
        group = self._group()
        key = self._keys.take(self._sections[-1].title, group.title, text, explicit=explicit_key(source))
        group.items.append(
            Item(
                key=key,
                text=text,
                ordered=number is not None,
                number=number,
                checked=checked,
                depth=depth,
                line=line,
            )
        )

    def _keep(self, where: list[str], entry: SyntaxTreeNode) -> None:
        text = self._whole_text(entry)
        if text:
            where.append(text)

    def _whole_text(self, entry: SyntaxTreeNode) -> str:
        """All an entry says, on one line, without its box."""
        texts = []
        for node in entry.walk():
            if node.type == "inline":
                source = node.content
                box = _box(source)
                texts.append(one_line(source[box[1] :] if box else source, self._references))
        return "; ".join(filter(None, texts))

    # ── tables ───────────────────────────────────────────────────────────────────────────────────────────

    def _table(self, node: SyntaxTreeNode) -> None:
        for row in (n for n in node.walk() if n.type == "tr"):
            cells = [cell.children[0].content if cell.children else "" for cell in row.children]
            box_at, match = next(
                ((at, m) for at, cell in enumerate(cells) if (m := _CELL.match(cell))), (None, None)
            )
            if box_at is None or match is None:
                continue
            rest = [cells[box_at][match.end() :], *cells[:box_at], *cells[box_at + 1 :]]
            text = " · ".join(filter(None, (one_line(c, self._references) for c in rest)))
            checked = match[1] in ("x", "X") or (match[2] is not None and match[2] not in _OPEN_SIGNS)
            if self._place is _Place.TRIGGERS:
                self._triggers.append(text)
            elif self._place is _Place.RUNBOOK:
                self._steps.append(text)
            else:
                self._item(text, checked, row, source=" ".join(cells))

    def _source(self, inline: SyntaxTreeNode) -> str:
        return one_line(inline.content, self._references)


def _is_empty_before_next(headings: Sequence[SyntaxTreeNode], tree: SyntaxTreeNode) -> bool:
    """Whether the first of several h1 holds nothing, so that it is the title and the others are sections."""
    top = list(tree.children)
    first = next((at for at, node in enumerate(top) if node.type == "heading"), None)
    return (
        first is not None
        and top[first].tag == "h1"
        and first + 1 < len(top)
        and top[first + 1].type == "heading"
        and top[first + 1].tag == "h1"
    )


def _own_text(entry: SyntaxTreeNode) -> str:
    """The source of an entry's first paragraph, empty where it begins with something else."""
    first = entry.children[0] if entry.children else None
    if first is None or first.type != "paragraph" or not first.children:
        return ""
    return str(first.children[0].content)


def _box(source: str) -> tuple[bool, int] | None:
    """Whether the box an entry begins with is ticked, and where its text begins; None without a box."""
    match = _BOX.match(source)
    if match:
        return match[1] in "xX", match.end()
    sign = _SIGN.match(source)
    return (sign[1] not in _OPEN_SIGNS, sign.end()) if sign else None


def _holds_box(node: SyntaxTreeNode) -> bool:
    return any(n.type == "list_item" and _box(_own_text(n)) for n in node.walk() if n is not node)


def _line(node: SyntaxTreeNode) -> int:
    return node.map[0] + 1 if node.map else 0


def _folded(title: str) -> str:
    return re.sub(r"roll[\s-]+back", "rollback", plain(title).casefold())


def _place_of(title: str, before: _Place, *, in_plan: bool) -> _Place:
    words = re.sub(r"[^\w\s]", " ", _folded(title)).split()
    text = " ".join(words)
    rollback = "rollback" in words or in_plan or before is _Place.PLAN
    if text in ("triggers", "trigger") or (
        rollback and {"trigger", "triggers", "criteria", "conditions"} & set(words)
    ):
        return _Place.TRIGGERS
    if re.search(r"\b(when|if) to rollback\b|\brollback (when|if)\b", text):
        return _Place.TRIGGERS
    if rollback and {"steps", "procedure", "runbook", "instructions"} & set(words):
        return _Place.RUNBOOK
    if re.search(r"\bhow to rollback\b", text):
        return _Place.RUNBOOK
    if text in ("rollback", "rollback plan", "rollback strategy"):
        return _Place.PLAN
    return _Place.ITEMS


def _readable(name: str) -> str:
    return re.sub(r"[-_]+", " ", name).strip().capitalize() or "Checklist"
