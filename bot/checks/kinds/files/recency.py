"""Whether the newest backup is young enough and whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field

from bot.checks import backups
from bot.checks.backups import Backup
from bot.checks.commands import last_words, run_allowed
from bot.checks.kind import Context, Duration, Kind, NoData, Params, Pool, SecretValue
from bot.domain.check import Observation, Rules

#: How a tool is asked where no command is given.
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "pgbackrest": ("pgbackrest", "info", "--output=json"),
    "restic": ("restic", "snapshots", "--json"),
}
#: Clocks may differ by so many seconds.
SKEW_S = 300


class RecencyParams(Params):
    """Where backups are found: files, or a tool."""

    glob: str = Field(default="", description="Files, e.g. backups/*.dump.gz.")
    tool: Literal["", "pgbackrest", "restic", "json"] = Field(default="", description="Who lists them.")
    command: list[str] = Field(default_factory=list, description="How the tool is asked.")
    env: dict[str, str | SecretValue] = Field(default_factory=dict, description="The tool's environment.")
    stanza: str = Field(default="", description="pgBackRest's stanza.")
    entries: str = Field(
        default="", description="For json: JMESPath of a list of {time, size, name}, e.g. items[].{time: at}."
    )
    compare: bool = Field(default=True, description="Whether the size is compared with the one before.")
    settle: Duration = Field(
        default=120.0, ge=0, description="A file changed more recently than this is still being written."
    )
    restore_test: str = Field(default="", description="File (glob) that a test of restoring leaves behind.")


class FilesRecency(Kind[RecencyParams]):
    """Backups (catalogue C4)."""

    name = "files.recency"
    about = "Age and size of the newest backup: files, pgBackRest, restic, or JSON of a command."
    params = RecencyParams
    values: ClassVar[Mapping[str, str]] = {
        "age_hours": "hours since the newest",
        "size_mb": "its size in MB, where known",
        "size_ratio": "its size by that of the one before",
        "empty": "whether it has no bytes",
        "errored": "whether the tool calls it damaged",
        "count": "how many there are",
        "newest": "its name",
        "restore_test_days": "days since restoring was tested",
    }
    pool = Pool.COMMAND
    timeout = 30.0

    def defaults(self, params: RecencyParams) -> Rules:
        """At most 26 hours old, at least half as large as the one before; restoring tested within 30 days."""
        return Rules(
            fail={
                "age_hours": "> 26",
                "empty": True,
                "errored": True,
                **({"size_ratio": "< 0.5"} if params.compare else {}),
            },
            warn={"restore_test_days": "> 30"} if params.restore_test else {},
        )

    def problem(self, params: RecencyParams) -> str | None:
        """Not exactly one source, or one that is half described."""
        if bool(params.glob) == bool(params.tool):
            return "name one source: glob or tool"
        if params.tool == "json":
            if not params.command or not params.entries:
                return "tool json needs command and entries"
            try:
                jmespath.compile(params.entries)
            except JMESPathError as error:
                return f"entries: {str(error).splitlines()[0]}"
        return None

    async def observe(self, params: RecencyParams, context: Context) -> Observation:
        """List them and look at the newest."""
        now = context.now()
        found = _files(params, context, now) if params.glob else await self._listed(params, context)
        found = backups.newest_first(found)
        if not found:
            raise NoData(f"there is no backup: nothing matches {params.glob or params.tool}")
        newest = found[0]
        hours = (now - newest.at).total_seconds() / 3600
        if hours * 3600 < -SKEW_S:
            raise NoData(f"{newest.name} lies {-hours:.1f} hours in the future: clocks differ")
        values: dict[str, Any] = {
            "age_hours": round(max(hours, 0), 2),
            "errored": newest.errored,
            "empty": newest.size == 0,
            "count": len(found),
            "newest": newest.name,
        }
        said = f"{newest.name}, {max(hours, 0):.1f} hours old"
        if newest.size is not None:
            values["size_mb"] = round(newest.size / 1_048_576, 2)
            said += f", {values['size_mb']} MB"
        before = found[1].size if len(found) > 1 else None
        if newest.size is not None and before:
            values["size_ratio"] = round(newest.size / before, 3)
            said += f", {values['size_ratio']:.0%} of the one before"
        elif params.compare:
            said += ", no size to compare with"
        if params.restore_test:
            tested = max((at for _, at, _ in _matching(params.restore_test, context)), default=None)
            # Never tested is longer ago than any limit.
            days = (now - tested).total_seconds() / 86400 if tested else float("inf")
            values["restore_test_days"] = round(days, 1)
            said += f", restoring tested {days:.0f} days ago" if tested else ", restoring never tested"
        return Observation(
            target=params.glob or params.tool,
            values=values,
            summary=said,
            excerpt="\n".join(f"{one.at:%Y-%m-%d %H:%M}Z  {one.name}  {_size(one)}" for one in found[:5]),
        )

    @staticmethod
    async def _listed(params: RecencyParams, context: Context) -> list[Backup]:
        argv = params.command or list(_COMMANDS[params.tool])
        finished = await run_allowed(context, argv, env=params.env)
        if finished.code:
            raise NoData(f"{argv[0]} fails: {last_words(finished)}")
        try:
            return backups.read(finished.out, params.tool, stanza=params.stanza, entries=params.entries)
        except backups.Unreadable as error:
            raise NoData(f"{argv[0]}: {error}") from error


def _files(params: RecencyParams, context: Context, now: datetime) -> list[Backup]:
    """Files that match, without one that is still being written as long as there is another."""
    found = [Backup(name=name, at=at, size=size) for name, at, size in _matching(params.glob, context)]
    ages = {one: (now - one.at).total_seconds() for one in found}
    # One from the future is not young: clocks differ, and that must come out.
    settled = [one for one, age in ages.items() if age >= params.settle or age < -SKEW_S]
    return settled or found


def _matching(pattern: str, context: Context) -> Sequence[tuple[str, datetime, int]]:
    root = context.path("")
    context.path(pattern)
    found = []
    for path in root.glob(pattern):
        if path.is_file():
            stat = path.stat()
            found.append((path.name, datetime.fromtimestamp(stat.st_mtime, UTC), stat.st_size))
    return found


def _size(one: Backup) -> str:
    return "size unknown" if one.size is None else f"{one.size / 1_048_576:.1f} MB"
