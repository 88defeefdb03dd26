"""Whether a pattern occurs in files."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from bot.checks.kind import Context, Kind, NoData, Params
from bot.domain.check import Observation, Rules

#: Files looked into, and bytes of each, at most.
MOST_FILES, LARGEST = 5000, 1_000_000


class RegexParams(Params):
    """What to look for, and where."""

    files: list[str] = Field(min_length=1, description="Globs of files, e.g. src/**/*.tsx.")
    pattern: str = Field(min_length=1, description="Regular expression, line by line.")
    exclude: list[str] = Field(default_factory=list, description="Globs of files to leave out.")


class FilesRegex(Kind[RegexParams]):
    """A pattern in the source: a weak sign that something is in place (catalogue D7)."""

    name = "files.regex"
    about = "How often a pattern occurs in files."
    params = RegexParams
    values: ClassVar[Mapping[str, str]] = {
        "matches": "lines that match",
        "matching_files": "files with such a line",
        "files": "files looked into",
    }

    def defaults(self, params: RegexParams) -> Rules:
        """It occurs; write `expect: {matches: 0}` for what must not occur."""
        return Rules(must={"matches": ">= 1"})

    def problem(self, params: RegexParams) -> str | None:
        """A pattern that is none."""
        try:
            re.compile(params.pattern)
        except re.error as error:
            return f"'{params.pattern}' is no regular expression: {error}"
        return None

    async def observe(self, params: RegexParams, context: Context) -> Observation:
        """Look into every file."""
        return await asyncio.to_thread(_look, params, context)


def _look(params: RegexParams, context: Context) -> Observation:
    root = context.path("")
    wanted = re.compile(params.pattern)
    for pattern in (*params.files, *params.exclude):
        context.path(pattern)
    excluded = {path for pattern in params.exclude for path in root.glob(pattern)}
    paths = sorted({path for pattern in params.files for path in root.glob(pattern)} - excluded)
    files = [path for path in paths if path.is_file() and path.resolve().is_relative_to(root)]
    if not files:
        raise NoData(f"no file matches {', '.join(params.files)}")
    if len(files) > MOST_FILES:
        raise NoData(f"more than {MOST_FILES} files match; name fewer")
    found: list[str] = []
    matching: set[str] = set()
    skipped = 0
    for path in files:
        if path.stat().st_size > LARGEST:
            skipped += 1
            continue
        name = str(path.relative_to(root))
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if wanted.search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
                matching.add(name)
    if skipped:
        raise NoData(f"{skipped} files are larger than 1 MB and were not looked into; exclude them")
    return Observation(
        target=", ".join(params.files),
        values={"matches": len(found), "matching_files": len(matching), "files": len(files)},
        summary=f"{len(found)} lines match in {len(matching)} of {len(files)} files",
        excerpt="\n".join(found[:10]),
    )
