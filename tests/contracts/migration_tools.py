"""Contract programs: stand in for the command lines of Flyway, Prisma and Rails.

Each prints what the tool prints, after its published documentation and source: Flyway's "info" command and
`MigrationState`, Prisma's "migrate status" and `MigrateStatus.ts`, Rails' guide on migrations and
`databases.rake`. Django is run for real.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

RULE = "-" * 50


def flyway_info(*states: str, schema_version: str | None = "2") -> str:
    """`flyway info -outputType=json` for one versioned migration of each state."""
    return json.dumps(
        {
            "schemaVersion": schema_version,
            "schemaName": "public",
            "migrations": [
                {
                    "category": "Versioned",
                    "version": str(number),
                    "rawVersion": str(number),
                    "description": f"step {number}",
                    "type": "SQL",
                    "installedOnUTC": "" if state == "Pending" else "2026-03-02T12:00:00.000Z",
                    "state": state,
                    "undoable": "No",
                    "filepath": f"/flyway/sql/V{number}__step_{number}.sql",
                    "undoFilepath": "",
                    "installedBy": "",
                    "executionTime": 0,
                }
                for number, state in enumerate(states, 1)
            ],
            "allSchemasEmpty": False,
            "flywayVersion": "11.1.0",
            "database": "shop",
            "warnings": [],
            "operation": "info",
        },
        indent=2,
    )


FLYWAY_ERROR = json.dumps(
    {
        "error": {
            "errorCode": "DB_CONNECTION",
            "sqlState": "08001",
            "message": "Unable to obtain connection from database (jdbc:postgresql://db/shop) for user 'app'",
            "stackTrace": None,
        }
    }
)

_PRISMA_HEAD = """Environment variables loaded from .env
Prisma schema loaded from prisma/schema.prisma
Datasource "db": PostgreSQL database "shop", schema "public" at "db.internal:5432"

{count}
"""

PRISMA_UP_TO_DATE = (
    _PRISMA_HEAD.format(count="2 migrations found in prisma/migrations")
    + "\nDatabase schema is up to date!\n"
)
PRISMA_BEHIND = (
    _PRISMA_HEAD.format(count="2 migrations found in prisma/migrations")
    + """Following migration have not yet been applied:
20260301120000_add_note

To apply migrations in development run prisma migrate dev.
To apply migrations in production run prisma migrate deploy.
"""
)
#: The tool writes this to standard error.
PRISMA_DIVERGED = """Your local migration history and the migrations table from your database are different:

The last common migration is: 20260101000000_init

The migration have not yet been applied:
20260301120000_add_note

The migration from the database are not found locally in prisma/migrations:
20260201000000_hotfix
"""
PRISMA_FAILED = """Following migration have failed:
20260301120000_add_note

During development if the failed migration(s) have not been deployed to a production database you can then fix the migration(s) and run prisma migrate dev.

The failed migration(s) can be marked as rolled back or applied:
"""
PRISMA_UNMANAGED = """The current database is not managed by Prisma Migrate.

If you want to keep the current database structure and data and create new migrations, baseline this database with the migration "20260101000000_init":
"""
PRISMA_UNREACHABLE = "Error: P1001: Can't reach database server at `db.internal:5432`\n"
#: No migrations folder, and the tool is content.
PRISMA_NONE = (
    _PRISMA_HEAD.format(count="No migration found in prisma/migrations")
    + "\nDatabase schema is up to date!\n"
)


def rails_status(*rows: tuple[str, str, str]) -> str:
    """`rails db:migrate:status` with these rows of state, version and name."""
    lines = [f"{state:^8}  {version:<14}  {name}" for state, version, name in rows]
    head = ["", "database: shop_production", "", " Status   Migration ID    Migration Name", RULE]
    return "\n".join([*head, *lines, ""]) + "\n"


def program(folder: Path, name: str, *, out: str = "", err: str = "", code: int = 0) -> Path:
    """A program that prints this and ends so; it notes its arguments in a file beside it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "#!/bin/sh\n"
        f'echo "$@" > {shlex.quote(str(path))}.arguments\n'
        f"printf %s {shlex.quote(out)}\nprintf %s {shlex.quote(err)} >&2\nexit {code}\n"
    )
    path.chmod(0o755)
    return path
