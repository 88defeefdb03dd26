"""The migrations add up to the schema, on both engines."""

from __future__ import annotations

import warnings

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex

from bot.storage import migrating
from bot.storage.database import Database
from bot.storage.schema import deployments, metadata


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    with warnings.catch_warnings():
        # An index over an expression cannot be reflected; test_…_index_… compares it by its definition.
        warnings.simplefilter("ignore")
        return list(compare_metadata(context, metadata))


async def test_the_migrations_make_exactly_the_schema(database: Database) -> None:
    async with database.read() as tx:
        assert await tx.run_sync(_differences) == []
        tables = await tx.run_sync(_reflected_tables)
    assert tables == {*metadata.tables, "alembic_version"}


def _reflected_tables(connection: Connection) -> set[str]:
    reflected = MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reflected.reflect(connection)
    return set(reflected.tables)


async def test_one_open_deployment_per_service_and_environment_holds_in_the_database_itself(
    database: Database,
) -> None:
    """The expression index, which reflection skips, compared by what the engine says of it."""
    index = next(i for i in deployments.indexes if i.name == "uq_deployments_open")
    async with database.read() as tx:
        migrated = await _definition(tx, database)
    assert _folded(str(CreateIndex(index).compile(dialect=database.engine.dialect))) == _folded(migrated)


async def _definition(tx: AsyncConnection, database: Database) -> str:
    if database.is_sqlite:
        query = "SELECT sql FROM sqlite_master WHERE name = 'uq_deployments_open'"
    else:
        query = "SELECT indexdef FROM pg_indexes WHERE indexname = 'uq_deployments_open'"
    return str((await tx.execute(text(query))).scalar_one())


def _folded(sql: str) -> str:
    """SQL without the decoration engines add: casts, schema, access method, brackets, spaces."""
    for noise in ("::text", "public.", "USING btree", "(", ")", '"', "\n"):
        sql = sql.replace(noise, " ")
    return "".join(sql.split()).casefold().replace("::charactervarying", "")


async def test_migrating_down_and_up_again_leaves_nothing_behind(database: Database) -> None:
    def down(connection: Connection) -> None:
        config = migrating.alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    async with database.write() as tx:
        await tx.run_sync(down)
    async with database.read() as tx:
        assert await tx.run_sync(_reflected_tables) == {"alembic_version"}
    await migrating.upgrade(database)
    async with database.read() as tx:
        assert await tx.run_sync(_differences) == []


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    await migrating.upgrade(database)
    assert await migrating.revision_of(database) == migrating.newest()


async def test_an_empty_database_has_no_revision(database_url: str) -> None:
    database = Database(database_url)
    try:
        assert await migrating.revision_of(database) is None
    finally:
        await database.close()
