"""Migrations: is the database where the code wants it?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from bot.checks import alembic_revisions, migration_reports, sqlite
from bot.checks.commands import run_allowed
from bot.checks.kind import Broken, Context, Finished, Kind, NoData, Params, Pool, SecretValue
from bot.checks.migration_reports import Report
from bot.checks.postgres.dsn import parse, scheme_of
from bot.checks.postgres.session import reading
from bot.domain.check import Observation, Rules

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")


class TableParams(Params):
    """Where a tool keeps what is applied."""

    dsn: SecretValue = Field(description="The database's URL, postgresql:// or an sqlite:/// file.")
    ca_file: str = Field(default="", description="CA certificates the server's is checked against (a path).")


async def _read(params: TableParams, context: Context, table: str, query: str) -> list[dict[str, Any]] | None:
    """The rows of a query of our own on a table; None where there is no such table."""
    if not _NAME.fullmatch(table):
        raise Broken(f"'{table}' is no table's name")
    dsn = params.dsn.reveal()
    if scheme_of(dsn) == "sqlite":
        path = sqlite.file_of(dsn, context)
        known = await sqlite.query(path, f"select 1 from sqlite_master where name = '{table}'", timeout=3)
        if not known.rows:
            return None
        return [dict(row) for row in (await sqlite.query(path, query, timeout=3)).rows]
    async with reading(parse(dsn), context, ca_file=params.ca_file) as session:
        if not (await session.row("select to_regclass($1) is not null as known", table))["known"]:
            return None
        return await session.rows(query)


def _target(params: TableParams) -> str:
    dsn = params.dsn.reveal()
    return dsn.rpartition("/")[2] if scheme_of(dsn) == "sqlite" else parse(dsn).shown


# ── Alembic ──────────────────────────────────────────────────────────────────────────────────────────────


class AlembicParams(TableParams):
    """Where Alembic's files and its table are."""

    config: str = Field(default="alembic.ini", description="Alembic's ini file or pyproject.toml.")
    scripts: str = Field(default="", description="Its folder of scripts, instead of `config`.")
    table: str = Field(default="alembic_version", description="Its table, with the schema if need be.")


class Alembic(Kind[AlembicParams]):
    """Heads of the code against the revision in the database (catalogue C1, H2).

    The files are read, not run (`bot.checks.alembic_revisions`).
    """

    name = "migrations.alembic"
    about = "Alembic's revision in the database against the heads of the migration files."
    params = AlembicParams
    values: ClassVar[Mapping[str, str]] = {
        "at_head": "whether every migration is applied and none is unknown to the code",
        "behind": "migrations that are not applied",
        "unknown": "revisions in the database that the code does not have",
        "head_count": "heads of the migration files",
        "current": "the database's revisions; none where it has no table for them",
        "heads": "the heads",
    }

    def defaults(self, params: AlembicParams) -> Rules:
        """At head; better one head."""
        return Rules(must={"at_head": True}, warn={"head_count": "> 1"})

    async def observe(self, params: AlembicParams, context: Context) -> Observation:
        """Read the files and the table."""
        folders, recursive = alembic_revisions.version_folders(
            context, config=params.config, scripts=params.scripts
        )
        revisions = alembic_revisions.read_folders(folders, recursive=recursive)
        if not len(revisions):
            raise NoData("there are no migration files")
        rows = await _read(params, context, params.table, f"select version_num from {params.table}")
        current = sorted(str(row["version_num"]) for row in rows or ())
        heads = revisions.heads
        behind = len(revisions.missing(current))
        unknown = [name for name in current if name not in revisions]
        at_head = not behind and not unknown
        said = f"at {', '.join(current) or 'no revision'}, head {', '.join(heads)}"
        if behind:
            said += f", {behind} of {len(revisions)} not applied"
        if unknown:
            said += f", {', '.join(unknown)} not in the code"
        if rows is None:
            said += f"; there is no table {params.table}"
        return Observation(
            target=_target(params),
            values={
                "at_head": at_head,
                "behind": behind,
                "unknown": len(unknown),
                "head_count": len(heads),
                "current": current,
                "heads": heads,
            },
            summary=said,
            facts={"migration_head": ", ".join(heads), "migration_current": ", ".join(current)},
        )


# ── a recorded revision ──────────────────────────────────────────────────────────────────────────────────


class ExpectedParams(TableParams):
    """Which revision the database must be at."""

    revision: str | list[str] = Field(description="The revision recorded before the deployment.")
    tool: Literal["alembic", "flyway", "rails"] = Field(default="alembic", description="Whose table it is.")
    table: str = Field(default="", description="The tool's table, where it is not the usual one.")


#: Table and query of each tool.
_TABLES: Mapping[str, tuple[str, str]] = {
    "alembic": ("alembic_version", "select version_num as version, '' as type from {}"),
    "flyway": (
        "flyway_schema_history",
        "select version, type from {} where success and version is not null order by installed_rank",
    ),
    "rails": ("schema_migrations", "select version, '' as type from {}"),
}


class Expected(Kind[ExpectedParams]):
    """The database is back at a recorded revision (catalogue K2)."""

    name = "migrations.expected"
    about = "The database is at one given revision (Alembic, Flyway or Rails)."
    params = ExpectedParams
    values: ClassVar[Mapping[str, str]] = {
        "matches": "whether it is at that revision",
        "current": "the revision it is at; several with branches",
    }

    def defaults(self, params: ExpectedParams) -> Rules:
        """At that revision."""
        return Rules(must={"matches": True})

    async def observe(self, params: ExpectedParams, context: Context) -> Observation:
        """Read the table."""
        usual, query = _TABLES[params.tool]
        table = params.table or usual
        rows = await _read(params, context, table, query.format(table))
        if rows is None:
            raise NoData(f"{_target(params)} has no table {table}")
        current = _current(params.tool, rows)
        wanted = sorted([params.revision] if isinstance(params.revision, str) else params.revision)
        return Observation(
            target=_target(params),
            values={"matches": current == wanted, "current": current},
            summary=f"at {', '.join(current) or 'no revision'}, expected {', '.join(wanted)}",
            facts={"migration_current": ", ".join(current)},
        )


def _current(tool: str, rows: list[dict[str, Any]]) -> list[str]:
    """The revision rows stand for: Alembic's heads as they are, of the others the newest that is applied."""
    if tool == "alembic":
        return sorted(str(row["version"]) for row in rows)
    applied: set[str] = set()
    for row in rows:
        version = str(row["version"])
        # An undo is a row of its own in Flyway's history.
        if str(row["type"]).startswith(("UNDO", "DELETE")):
            applied.discard(version)
        else:
            applied.add(version)
    return [max(applied, key=_in_order)] if applied else []


def _in_order(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


# ── tools that are asked by command ──────────────────────────────────────────────────────────────────────


class ToolParams(Params):
    """How a tool is started."""

    command: list[str] = Field(
        default_factory=list, description="Program, and arguments before the tool's own."
    )
    arguments: list[str] = Field(default_factory=list, description="Arguments after the tool's own.")
    cwd: str = Field(default="", description="Folder to run it in.")
    env: dict[str, str | SecretValue] = Field(default_factory=dict, description="Its environment.")


class MigrationTool(Kind[ToolParams]):
    """A migration tool that tells by command whether all is applied."""

    params = ToolParams
    values: ClassVar[Mapping[str, str]] = {
        "at_head": "whether nothing is pending, failed or diverged",
        "pending": "migrations that are not applied",
        "failed": "migrations that failed",
        "diverged": "migrations the code does not have, or out of turn",
        "current": "the newest applied, where the tool tells it",
    }
    pool = Pool.COMMAND
    #: A JVM or a framework takes its time to start.
    timeout = 60.0
    #: Program where none is given, and the tool's own arguments.
    program: ClassVar[tuple[str, ...]]
    asks: ClassVar[tuple[str, ...]]

    def defaults(self, params: ToolParams) -> Rules:
        """At head."""
        return Rules(must={"at_head": True}, fail={"failed": "> 0", "diverged": "> 0"})

    def read(self, finished: Finished) -> Report:
        """What it prints, understood. Raises NoData where it says nothing of use."""
        raise NotImplementedError

    async def observe(self, params: ToolParams, context: Context) -> Observation:
        """Run it and read what it prints."""
        argv = [*(params.command or self.program), *self.asks, *params.arguments]
        finished = await run_allowed(context, argv, cwd=params.cwd, env=params.env)
        report = self.read(finished)
        found = {"pending": report.pending, "failed": report.failed, "diverged": report.diverged}
        said = [f"{len(names)} {what}" for what, names in found.items() if names] or ["all applied"]
        if report.current:
            said.append(f"at {report.current}")
        facts = {"migration_current": report.current} if report.current else {}
        return Observation(
            target=" ".join(argv[:4]),
            values={
                "at_head": report.at_head,
                **{what: len(names) for what, names in found.items()},
                "current": report.current,
            },
            summary=", ".join([*said, *report.notes]),
            excerpt="\n".join(f"{what}: {name}" for what, names in found.items() for name in names[:10]),
            facts=facts,
        )


class Django(MigrationTool):
    """Django (catalogue C1)."""

    name = "migrations.django"
    about = "Django's plan of migrations is empty (`manage.py migrate --plan --check`)."
    program = ("python3", "manage.py")
    asks = ("migrate", "--plan", "--check", "--no-color")

    def read(self, finished: Finished) -> Report:
        """Its own format."""
        return migration_reports.django(finished)


class Flyway(MigrationTool):
    """Flyway (catalogue C1)."""

    name = "migrations.flyway"
    about = "Flyway has nothing pending, failed or missing (`flyway info -outputType=json`)."
    program = ("flyway",)
    asks = ("info", "-outputType=json")

    def read(self, finished: Finished) -> Report:
        """Its own format."""
        return migration_reports.flyway(finished)


class Prisma(MigrationTool):
    """Prisma (catalogue C1)."""

    name = "migrations.prisma"
    about = "Prisma's migrations are all applied (`prisma migrate status`)."
    program = ("npx", "--no-install", "prisma")
    asks = ("migrate", "status")

    def read(self, finished: Finished) -> Report:
        """Its own format."""
        return migration_reports.prisma(finished)


class Rails(MigrationTool):
    """Rails (catalogue C1)."""

    name = "migrations.rails"
    about = "Rails' migrations are all up (`bin/rails db:migrate:status`)."
    program = ("bin/rails",)
    asks = ("db:migrate:status",)

    def read(self, finished: Finished) -> Report:
        """Its own format."""
        return migration_reports.rails(finished)


KINDS = (Alembic(), Expected(), Django(), Flyway(), Prisma(), Rails())
