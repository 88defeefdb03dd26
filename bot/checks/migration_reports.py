"""What the migration tools print about the state of a database, as plain figures.

Formats: Django 5.2 `migrate --plan --check` (run here), Flyway `info -outputType=json` (its documentation and
`MigrationState`), Prisma `migrate status` (its documentation and `MigrateStatus.ts`), Rails
`db:migrate:status` (its guide and `databases.rake`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.checks.commands import last_words
from bot.checks.kind import Finished, NoData


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a tool says."""

    #: Names of migrations that are not applied, failed, or applied and not in the code (or out of turn).
    pending: Sequence[str] = ()
    failed: Sequence[str] = ()
    diverged: Sequence[str] = ()
    #: The newest applied, where the tool says which.
    current: str | None = None
    #: What else is worth saying.
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def at_head(self) -> bool:
        """Whether the database is as the code wants it."""
        return not (self.pending or self.failed or self.diverged)


def django(finished: Finished) -> Report:
    """`manage.py migrate --plan --check --no-color`: the plan, and exit code 1 where there is one.

    A crash exits with 1 as well, so that only what is printed counts. Raises NoData.
    """
    _, found, plan = finished.out.partition("Planned operations:")
    if not found:
        conflict = re.search(r"Conflicting migrations detected.*?\((.*)\)", finished.err, re.DOTALL)
        if conflict:
            return Report(diverged=[" ".join(conflict[1].split())], notes=["several leaf nodes"])
        if "InconsistentMigrationHistory" in finished.err:
            return Report(diverged=[last_words(finished)])
        raise NoData(f"Django does not say: {last_words(finished)}")
    # Names start a line, their operations are indented.
    pending = [line.strip() for line in plan.splitlines() if line and not line[0].isspace()]
    if not pending and (finished.code or "No planned migration operations" not in plan):
        raise NoData(f"Django's plan cannot be read: {last_words(finished)}")
    return Report(pending=pending)


#: States by what they mean for a deployment; others (Success, Baseline, Superseded, Above Target …) are fine.
_FLYWAY_PENDING = frozenset({"Pending", "Outdated"})
_FLYWAY_DIVERGED = frozenset({"Ignored", "Missing", "Future"})
_FLYWAY_FINE = frozenset(
    {
        "Success",
        "Baseline",
        "Out of Order",
        "Undone",
        "Available",
        "Superseded",
        "Deleted",
        "Above Target",
        "Below Baseline",
        "Ignored (Baseline)",
    }
)


def flyway(finished: Finished) -> Report:
    """`flyway info -outputType=json`. Raises NoData."""
    try:
        # Warnings may come before the JSON.
        said = json.loads(finished.out[finished.out.index("{") :])
    except ValueError:
        raise NoData(f"Flyway prints no JSON: {last_words(finished)}") from None
    if "error" in said:
        raise NoData(f"Flyway fails: {_first_line((said['error'] or {}).get('message'))}")
    listed = said.get("migrations")
    if not isinstance(listed, list) or not listed:
        raise NoData("Flyway found no migrations: look at its `locations`")
    failed, pending, diverged, strange = [], [], [], []
    for one in listed:
        state = str(one.get("state", ""))
        name = f"{one.get('version') or 'repeatable'} {one.get('description', '')}".strip()
        if "Failed" in state:
            failed.append(name)
        elif state in _FLYWAY_PENDING:
            pending.append(name)
        elif state in _FLYWAY_DIVERGED:
            diverged.append(f"{name} ({state})")
        elif state not in _FLYWAY_FINE:
            strange.append(state)
    if strange:
        raise NoData(f"Flyway tells a state that is not known here: {strange[0]}")
    return Report(
        pending=pending, failed=failed, diverged=diverged, current=said.get("schemaVersion") or None
    )


def prisma(finished: Finished) -> Report:
    """`prisma migrate status`: exit code 0 only where all is applied (since 4.3.0). Raises NoData."""
    text = f"{finished.out}\n{finished.err}"
    if re.search(r"^No migration found in", text, re.MULTILINE):
        # It then calls the schema up to date, whatever the database looks like.
        raise NoData("Prisma found no migrations in prisma/migrations")
    pending = _listed(text, r"migrations? have not yet been applied:")
    failed = _listed(text, r"Following migrations? have failed:")
    diverged = _listed(text, r"from the database are not found locally in .*:")
    if "is not managed by Prisma Migrate" in text:
        return Report(pending=pending, diverged=["no migrations table"])
    if pending or failed or diverged:
        return Report(pending=pending, failed=failed, diverged=diverged)
    if finished.code == 0 and "Database schema is up to date" in text:
        return Report()
    error = re.search(r"^(?:Error: )?(P\d{4}\b.*)$", text, re.MULTILINE)
    raise NoData(f"Prisma does not say: {error[1] if error else last_words(finished)}")


def _listed(text: str, heading: str) -> list[str]:
    """The names on the lines below a heading, up to an empty one."""
    found = re.search(heading + r"[ \t]*\n(.*?)(?:\n[ \t]*\n|\Z)", text, re.DOTALL)
    return [line.strip() for line in found[1].splitlines() if line.strip()] if found else []


_RAILS = re.compile(r"^[ \t]*(up|down)[ \t]+(\d+)[ \t]+(.*?)[ \t]*$", re.MULTILINE)


def rails(finished: Finished) -> Report:
    """`rails db:migrate:status`: a table of up and down, one for each database. Raises NoData."""
    if "Schema migrations table does not exist yet" in finished.out + finished.err:
        return Report(diverged=["no schema_migrations table"])
    rows = _RAILS.findall(finished.out)
    if finished.code or not rows:
        raise NoData(f"Rails does not say: {last_words(finished)}")
    up = [version for state, version, name in rows if state == "up"]
    # Old files are deleted once the schema is dumped, so one that is gone is worth a note, not a failure,
    # unless it is newer than all there are: then the code is older than the database.
    known = [version for _, version, name in rows if "NO FILE" not in name]
    gone = [version for _, version, name in rows if "NO FILE" in name]
    newest = max(known, key=int, default="0")
    return Report(
        pending=[f"{version} {name}" for state, version, name in rows if state == "down"],
        diverged=[f"{version} is not in the code" for version in gone if int(version) > int(newest)],
        current=max(up, key=int, default=None),
        notes=[f"{len(gone)} applied migrations have no file"] if gone else [],
    )


def _first_line(text: Any) -> str:
    return str(text or "no message").strip().splitlines()[0][:200]
