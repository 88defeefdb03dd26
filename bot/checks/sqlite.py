"""A query on an SQLite file, opened read-only, within bounds."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from bot.checks.kind import Broken, Context, NoData, TargetDown
from bot.checks.queries import MOST_BYTES, MOST_ROWS, Rows, plain

#: Virtual machine instructions between two looks at the clock.
_STEPS = 10_000
_READING = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)


def file_of(dsn: str, context: Context) -> Path:
    """The file of an `sqlite:///…` URL. Raises Broken for one outside the root, TargetDown without a file."""
    named = unquote(urlsplit(dsn).path)
    if not named.strip("/"):
        raise Broken("the SQLite URL names no file")
    # As SQLAlchemy reads them: three slashes and a relative path, four and an absolute one.
    path = context.path(named[1:])
    if not path.is_file():
        raise TargetDown(f"there is no database file {path.name}")
    return path


async def query(path: Path, statement: str, *, timeout: float) -> Rows:
    """The rows of one statement that only reads. Raises NoData, Broken."""
    return await asyncio.to_thread(_query, path, statement, timeout)


def _query(path: Path, statement: str, timeout: float) -> Rows:
    deadline = time.monotonic() + timeout
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=min(timeout, 1.0))
    try:
        connection.set_authorizer(_only_reads)
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
        cursor = connection.execute(statement)
        names = [column[0] for column in cursor.description or ()]
        found: list[dict[str, Any]] = []
        taken = 0
        for row in cursor:
            if len(found) == MOST_ROWS or taken > MOST_BYTES:
                return Rows(rows=found, more=True)
            values = {name: plain(value) for name, value in zip(names, row, strict=True)}
            taken += sum(len(str(value)) for value in values.values())
            found.append(values)
        return Rows(rows=found)
    except sqlite3.Error as error:
        said = str(error)
        if said == "interrupted":
            raise NoData(f"the query took longer than {timeout:g} s") from error
        if "locked" in said or "busy" in said:
            raise NoData("the database file is locked") from error
        if "not authorized" in said or "readonly" in said or "prohibited" in said:
            raise Broken("the query does more than read, and checks only read") from error
        raise Broken(f"the query fails: {said}") from error
    finally:
        connection.close()


def _only_reads(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
