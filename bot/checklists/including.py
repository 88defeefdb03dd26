"""Sections of another checklist in this one: `<!-- include: production.md#security -->` on a line of its own.

The words after `#` are a heading as GitHub links to it, with the headings above it where it stands more than
once: `#final-verification/security`. Without them the whole file is meant, but for its title. The lines are
put in as they are, before anything is read: an included `###` group belongs to the `##` section above it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.checklists.inline import parser
from bot.checklists.keys import slug
from bot.domain.errors import ChecklistUnusable, Finding

_DIRECTIVE = re.compile(r"\s*<!--\s*include:\s*(?P<file>[^\s#]*)(?:#(?P<section>\S+))?\s*-->\s*")
_FENCE = re.compile(r" {0,3}(```|~~~)")
#: Most lines after everything is included. Own choice: twenty times the largest checklist anybody reads.
MOST_LINES = 20_000


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a line comes from."""

    path: Path
    #: 1-based line in that file.
    line: int
    #: 1-based line in the file that was asked for: its own, or that of the include.
    shown: int


@dataclass(frozen=True, kw_only=True)
class Expanded:
    """A text with everything included."""

    text: str
    #: Of each line, in order.
    origins: tuple[Origin, ...]

    @property
    def included(self) -> tuple[Path, ...]:
        """The other files something came from, in order."""
        return tuple(dict.fromkeys(one.path for one in self.origins if one.path != self.origins[0].path))


def includes_something(text: str) -> bool:
    """Whether a text has an include, without reading what it includes."""
    return any(_DIRECTIVE.fullmatch(line) for line in text.split("\n"))


class Includer:
    """Puts included sections in; looks for files beside the one that names them, then in `folders`."""

    def __init__(self, read_text: Callable[[Path], str], folders: Sequence[Path] = ()) -> None:
        self._read_text = read_text
        self._folders = tuple(folders)

    def expand(self, path: Path, text: str) -> Expanded:
        """The text of a file with its includes. Raises ChecklistUnusable, with the file and line."""
        lines: list[str] = []
        origins: list[Origin] = []
        for line, origin in self._lines(path, text, (path.resolve(),)):
            lines.append(line)
            origins.append(origin)
            if len(lines) > MOST_LINES:
                raise _unusable(path, origin.shown, f"it has more than {MOST_LINES} lines, includes and all")
        return Expanded(text="\n".join(lines), origins=tuple(origins))

    def _lines(self, path: Path, text: str, stack: tuple[Path, ...]) -> Iterator[tuple[str, Origin]]:
        fence = ""
        for number, line in enumerate(_split(text), start=1):
            marks = _FENCE.match(line)
            if marks and (not fence or marks[1] == fence):
                fence = "" if fence else marks[1]
            found = None if fence else _DIRECTIVE.fullmatch(line)
            if found is None:
                yield line, Origin(path=path, line=number, shown=number)
                continue
            here = Origin(path=path, line=number, shown=number)
            # Empty lines around it: an included list does not grow together with its neighbours.
            yield "", here
            for inner, origin in self._included(path, number, found, stack):
                yield inner, Origin(path=origin.path, line=origin.line, shown=number)
            yield "", here

    def _included(
        self, path: Path, number: int, found: re.Match[str], stack: tuple[Path, ...]
    ) -> Iterator[tuple[str, Origin]]:
        name, section = found["file"], found["section"] or ""
        other = self._find(path, number, name)
        if other.resolve() in stack:
            way = " → ".join(one.name for one in (*stack, other))
            raise _unusable(path, number, f"it includes itself: {way}")
        text = self._read_text(other)
        first, last = _range(path, number, other, text, section)
        for line, origin in self._lines(other, text, (*stack, other.resolve())):
            # Of what the other file includes itself, `shown` is the line of its include.
            if first <= origin.shown < last:
                yield line, origin

    def _find(self, path: Path, number: int, name: str) -> Path:
        if not name or Path(name).name != name or name.startswith("."):
            raise _unusable(
                path, number, "an include names a file of the same folder: write `include: production.md`"
            )
        for folder in (path.parent, *self._folders):
            if (folder / name).is_file():
                return folder / name
        there = sorted(one.name for one in path.parent.glob("*.md"))
        near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise _unusable(path, number, f"there is no {name} to include{hint}")


@dataclass(frozen=True, kw_only=True)
class _Heading:
    level: int
    #: 1-based line, and its own and its ancestors' slugs.
    line: int
    path: tuple[str, ...]


def _headings(text: str) -> list[_Heading]:
    found: list[_Heading] = []
    above: list[tuple[int, str]] = []
    tokens = parser().parse(text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.map and token.level == 0:
            level = int(token.tag[1])
            above = [one for one in above if one[0] < level]
            above.append((level, slug(tokens[at + 1].content)))
            found.append(_Heading(level=level, line=token.map[0] + 1, path=tuple(name for _, name in above)))
    return found


def _range(path: Path, number: int, other: Path, text: str, section: str) -> tuple[int, int]:
    """First line and the line after the last of what is meant in the other file."""
    end = len(_split(text)) + 1
    headings = _headings(text)
    if not section:
        title = next((one for one in headings if one.level == 1), None)
        return (1 if title is None else title.line + 1), end
    wanted = tuple(slug(part) for part in section.split("/"))
    meant = [one for one in headings if one.path[-len(wanted) :] == wanted]
    if len(meant) > 1:
        ways = " or ".join(f"#{'/'.join(one.path[-len(wanted) - 1 :])}" for one in meant)
        raise _unusable(path, number, f"#{section} stands for several sections of {other.name}: write {ways}")
    if not meant:
        near = difflib.get_close_matches(wanted[-1], [one.path[-1] for one in headings], n=1, cutoff=0.5)
        hint = f" (did you mean #{near[0]}?)" if near else ""
        raise _unusable(path, number, f"{other.name} has no section #{section}{hint}")
    [heading] = meant
    after = [one.line for one in headings if one.line > heading.line and one.level <= heading.level]
    return heading.line, min(after, default=end)


def _split(text: str) -> list[str]:
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    return lines[:-1] if lines and lines[-1] == "" else lines


def _unusable(path: Path, line: int, message: str) -> ChecklistUnusable:
    return ChecklistUnusable(str(path), (Finding(line=line, message=message, fatal=True),))
