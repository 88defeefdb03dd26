"""Where a workspace keeps what must survive a restart: one SQLite table of JSON values, or nothing at all."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Store:
    """Key → JSON values by kind. Changes are collected and written in one transaction per commit.

    A commit has returned before an API call is answered, so killing the process loses no answered call. The
    file is in WAL mode: a kill cannot corrupt it (SQLite docs: Write-Ahead Logging).
    """

    def __init__(self, path: Path | None) -> None:
        self._pending: dict[tuple[str, str], Any] = {}
        self._committing = asyncio.Lock()
        self._writing = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS entry"
                " (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key))"
            )
            connection.execute("PRAGMA user_version = 1")
            self._connection = connection

    def load(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Every saved value of a kind, in key order."""
        if self._connection is None:
            return
        rows = self._connection.execute("SELECT key, value FROM entry WHERE kind = ? ORDER BY key", (kind,))
        for key, value in rows.fetchall():
            yield key, json.loads(value)

    def put(self, kind: str, key: str, value: Any) -> None:
        """Save this value with the next commit; `None` removes the key."""
        if self._connection is not None:
            self._pending[kind, key] = value

    async def commit(self) -> None:
        """Return once everything put before this call is on disk. Commits that meet share a transaction."""
        if self._connection is None:
            return
        async with self._committing:
            batch = self._take()
            if batch:
                await asyncio.to_thread(self._write, batch)

    def commit_now(self) -> None:
        """The same, on the calling thread: for start and stop, where nobody waits."""
        batch = self._take()
        if batch:
            self._write(batch)

    def clear(self) -> None:
        """Forget everything."""
        self._pending.clear()
        if self._connection is not None:
            with self._writing:
                self._connection.execute("DELETE FROM entry")

    def close(self) -> None:
        """Write what is left and let go of the file."""
        if self._connection is not None:
            self.commit_now()
            with self._writing:
                self._connection.close()
                self._connection = None

    def _take(self) -> list[tuple[str, str, str | None]]:
        pending, self._pending = self._pending, {}
        return [
            (kind, key, None if value is None else json.dumps(value, ensure_ascii=False))
            for (kind, key), value in pending.items()
        ]

    def _write(self, batch: list[tuple[str, str, str | None]]) -> None:
        with self._writing:
            connection = self._connection
            if connection is None:
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT INTO entry (kind, key, value) VALUES (?, ?, ?)"
                    " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
                    [row for row in batch if row[2] is not None],
                )
                connection.executemany(
                    "DELETE FROM entry WHERE kind = ? AND key = ?",
                    [(kind, key) for kind, key, value in batch if value is None],
                )
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
