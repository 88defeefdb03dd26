"""`deploybot migrate`: bring the database up to date."""

from __future__ import annotations

from bot.cli import settings as cli_settings
from bot.cli.serve import run
from bot.config import Settings
from bot.storage import migrating
from bot.storage.database import Database


def migrate() -> None:
    """Bring the database of DATABASE_URL up to the newest schema; safe to run again and again."""
    run(_migrate(cli_settings.load()))


async def _migrate(settings: Settings) -> None:
    database = Database(settings.database_url)
    try:
        before = await migrating.revision_of(database)
        await migrating.upgrade(database)
    finally:
        await database.close()
    newest = migrating.newest()
    print(f"The database is at {newest}." if before == newest else f"Migrated from {before} to {newest}.")
