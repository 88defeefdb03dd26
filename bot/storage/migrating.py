"""Bring a database up to the newest schema, or tell how far it is."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bot.domain.errors import StorageFailed
from bot.storage.database import Database

#: PostgreSQL advisory lock that lets one of several starting replicas migrate. Any number would do.
_LOCK = 7_340_011


def _scripts() -> Path:
    package = Path(__file__).parent.parent
    for folder in (package / "_shipped" / "migrations", package.parent / "migrations"):
        if folder.is_dir():
            return folder
    raise StorageFailed("the migrations folder is missing from this installation")


def alembic_config() -> Config:
    """Alembic on the migrations that come with the bot."""
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    return config


async def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations that are missing, in one transaction. Raises StorageFailed, StorageBusy."""

    def run(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    if await revision_of(database) == newest():
        return
    async with database.write() as tx:
        if not database.is_sqlite:
            await tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        await tx.run_sync(run)


async def revision_of(database: Database) -> str | None:
    """The revision the database is at, None for an empty one."""
    async with database.read() as tx:
        return await tx.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())


def newest() -> str | None:
    """The newest revision there is."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()
