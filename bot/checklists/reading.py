"""Read a checklist file, whatever its bytes are."""

from __future__ import annotations

from pathlib import Path

from bot.checklists.markdown import Parsed, parse
from bot.domain.errors import ChecklistUnusable, Finding

#: Largest file. Own choice: 250 items of 3,000 characters fit.
LARGEST = 1024 * 1024


def read(path: Path) -> Parsed:
    """The checklist in a file. Raises ChecklistUnusable for a file that is missing, unreadable or no text."""
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
    return parse(text, name=path.stem)


def _unusable(path: Path, message: str, *, line: int = 0) -> ChecklistUnusable:
    return ChecklistUnusable(str(path), (Finding(line=line, message=message, fatal=True),))
