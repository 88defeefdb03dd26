"""The database: one engine, read and write transactions, and its failures in words.

SQLite is the embedded default: write-ahead log, `synchronous=FULL` so that a committed fact survives a power
cut, one writer at a time. PostgreSQL is for several replicas; writers lock the deployment's row.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.domain.errors import DeploybotError, StorageBusy, StorageFailed

#: How long a writer waits for the lock. Slack wants an answer within 3 s (Slack docs: slash commands,
#: interactivity), and the answer must still be sent after a refusal.
LOCK_WAIT_S = 2.0

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}


def database_url(value: str) -> URL:
    """The URL with the async driver filled in; `postgres://` is understood. Raises StorageFailed."""
    try:
        url = make_url(value)
    except SQLAlchemyError as error:
        raise StorageFailed("DATABASE_URL is not a database URL like postgresql://user@host/name") from error
    driver = _DRIVERS.get(url.drivername, url.drivername)
    if driver not in _DRIVERS.values():
        raise StorageFailed(f"DATABASE_URL starts with {url.drivername}://; use sqlite:// or postgresql://")
    return url.set(drivername=driver)


class Database:
    """An engine with its two kinds of transaction."""

    def __init__(self, url: str) -> None:
        self.url = database_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writing = asyncio.Lock()
        self.engine = self._engine()

    def _engine(self) -> AsyncEngine:
        if not self.is_sqlite:
            return create_async_engine(
                self.url,
                pool_size=10,
                max_overflow=5,
                pool_timeout=LOCK_WAIT_S,
                pool_pre_ping=True,
                connect_args={
                    "timeout": LOCK_WAIT_S,
                    "command_timeout": 10,
                    "server_settings": {"lock_timeout": f"{int(LOCK_WAIT_S * 1000)}"},
                },
            )
        if self.url.database and self.url.database != ":memory:":
            _make_folder(Path(self.url.database).expanduser().parent)
        engine = create_async_engine(self.url, connect_args={"timeout": LOCK_WAIT_S})
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads. Raises StorageBusy, StorageFailed."""
        with _in_words():
            async with self.engine.connect() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end, or rolled back on any error.

        In one process, writers to SQLite queue here in order; another process holding the lock makes this
        raise StorageBusy after LOCK_WAIT_S. Raises StorageFailed for any other refusal.
        """
        async with self._writing if self.is_sqlite else contextlib.nullcontext():
            with _in_words():
                async with self.engine.connect() as connection:
                    await connection.execution_options(deploybot_write=True)
                    async with connection.begin():
                        yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"its folder {folder} cannot be made: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, so that a writer takes the lock at once
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(LOCK_WAIT_S * 1000)}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("deploybot_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        worded = in_words(error)
        if worded is None:
            raise
        raise worded from error


def in_words(error: BaseException) -> DeploybotError | None:
    """The database's own trouble as one of our errors; None for anything else."""
    if isinstance(error, DBAPIError) and not isinstance(error, OperationalError):
        text = str(error.orig)
        if "lock timeout" in text or "LockNotAvailable" in text or "canceling statement" in text:
            return StorageBusy()
        if error.connection_invalidated or "connection" in text.lower():
            return StorageFailed("the connection was lost")
        if "does not exist" in text:
            return StorageFailed("its tables are missing: run `deploybot migrate`")
        return None
    text = str(getattr(error, "orig", None) or error)
    if "locked" in text or "busy" in text or isinstance(error, TimeoutError):
        return StorageBusy()
    for sign, why in _TROUBLE:
        if sign in text:
            return StorageFailed(why)
    if isinstance(error, OperationalError | OSError):
        return StorageFailed("it cannot be reached")
    return None


_TROUBLE = (
    ("disk is full", "the disk is full"),
    ("disk I/O error", "the disk failed or is full"),
    ("No space left", "the disk is full"),
    ("DiskFull", "the disk is full"),
    ("readonly", "the file is read-only"),
    ("unable to open database file", "the database file cannot be opened"),
    ("no such table", "its tables are missing: run `deploybot migrate`"),
    ("not a database", "the file is not a database"),
    ("malformed", "the database file is damaged"),
)
