"""Read a checklist file, whatever its bytes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bot.checklists.including import Includer, Origin
from bot.checklists.markdown import Imported, Parsed, parse
from bot.domain.checklist import Checklist
from bot.domain.errors import ChecklistUnusable, Finding

#: Largest file. Own choice: 250 items of 3,000 characters fit.
LARGEST = 1024 * 1024


def read(path: Path, folders: Sequence[Path] = ()) -> Parsed:
    """The checklist in a file, with what it includes; included files are looked for in `folders` as well.

    Raises ChecklistUnusable for a file that is missing, unreadable or no text, and for an include that leads
    nowhere or in a circle.
    """
    includer = Includer(read_text, folders)
    text = read_text(path)
    expanded = includer.expand(path, text)
    if not expanded.included:
        return parse(text, name=path.stem)
    parsed = parse(expanded.text, name=path.stem)
    origins = expanded.origins
    imported = []
    for other in expanded.included:
        # The keys the other file's own YAML binds: those its items have there.
        alone = includer.expand(other, read_text(other))
        own = {
            alone.origins[item.line - 1].line: item.key
            for item in parse(alone.text, name=other.stem).checklist.items
            if alone.origins[item.line - 1].path == other
        }
        keys = {
            own[origin.line]: item.key
            for item in parsed.checklist.items
            if (origin := origins[item.line - 1]).path == other and origin.line in own
        }
        imported.append(Imported(path=other, keys=keys))
    return Parsed(
        checklist=_placed(parsed.checklist, origins),
        findings=tuple(_found(finding, path, origins) for finding in parsed.findings),
        imported=tuple(imported),
    )


def _placed(checklist: Checklist, origins: Sequence[Origin]) -> Checklist:
    """With each item's line in the file that was asked for."""
    return replace(
        checklist,
        sections=tuple(
            replace(
                section,
                groups=tuple(
                    replace(
                        group,
                        items=tuple(
                            replace(item, line=origins[item.line - 1].shown) if item.line else item
                            for item in group.items
                        ),
                    )
                    for group in section.groups
                ),
            )
            for section in checklist.sections
        ),
    )


def _found(finding: Finding, path: Path, origins: Sequence[Origin]) -> Finding:
    """With its place: in this file, or named where it is in an included one."""
    if not finding.line:
        return finding
    origin = origins[finding.line - 1]
    where = "" if origin.path == path else f"{origin.path.name}:{origin.line}: "
    return replace(finding, line=origin.shown, message=f"{where}{finding.message}")


def read_text(path: Path) -> str:
    """The text of a file. Raises ChecklistUnusable for one that is missing, unreadable or no text."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except IsADirectoryError as error:
        raise _unusable(path, "it is a folder, not a Markdown file") from error
    except FileNotFoundError as error:
        raise _unusable(path, "there is no such file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unusable(path, f"it cannot be read ({reason})") from error
    if len(data) > LARGEST:
        raise _unusable(path, "it is larger than 1 MiB; a checklist is not")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unusable(path, "it is not UTF-8 text from here on; save it as UTF-8", line=line) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _unusable(path, "it holds a NUL character, so it is not a text file", line=line)
    return text


def _unusable(path: Path, message: str, *, line: int = 0) -> ChecklistUnusable:
    return ChecklistUnusable(str(path), (Finding(line=line, message=message, fatal=True),))
