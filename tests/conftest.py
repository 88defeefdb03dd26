"""What every test may ask for: a clean database on each engine, real servers, nothing mocked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bot.storage import migrating
from bot.storage.database import Database
from tests.postgres import PostgresServer

# A busy machine is no bug: nothing here fails for being slow.
settings.register_profile("calm", deadline=None)
settings.load_profile("calm")

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own on loopback."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deploybot.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database, once on each engine."""
    database = Database(database_url)
    await migrating.upgrade(database)
    yield database
    await database.close()
