"""Alembic's entry: runs the migrations on the connection it is handed, or on DATABASE_URL."""

from __future__ import annotations

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from bot.storage.database import Database
from bot.storage.schema import metadata


def run(connection: Connection) -> None:
    """Migrate on this connection."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_on_database_url() -> None:
    """Migrate the database of DATABASE_URL: for the `alembic` command."""
    database = Database(os.environ.get("DATABASE_URL", "sqlite:///deploybot.db"))
    async with database.write() as tx:
        await tx.run_sync(run)
    await database.close()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    asyncio.run(run_on_database_url())
