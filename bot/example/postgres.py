"""PostgreSQL for the shop: passwords, TLS, statistics of statements, and a role that may only look."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from bot.example.certificates import Certificates
from bot.example.programs import LOOPBACK, ExampleTrouble, Programs, find, free_port, run

DATABASE = "storefront"
#: Who owns the cluster, who owns the shop's tables, who may look at everything and change nothing.
ADMIN, OWNER, READER = "admin", "storefront", "deploybot_check"

#: Connections of the shop's pool.
POOL_SIZE = 5
KEPT_BACKUPS = 3

_HBA = """
hostssl all all 127.0.0.1/32 scram-sha-256
"""


class Postgres:
    """A cluster in a folder, kept between runs."""

    def __init__(
        self, folder: Path, programs: Programs, certificates: Certificates, passwords: dict[str, str]
    ) -> None:
        self.port = free_port()
        self._folder = folder
        self._programs = programs
        self._certificates = certificates
        self._passwords = passwords
        # The server refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None

    @staticmethod
    def folder_of_programs() -> Path | None:
        """Where initdb and postgres are: Debian keeps them out of PATH."""
        installed = sorted(
            Path("/usr/lib/postgresql").glob("*/bin/initdb"),
            key=lambda path: int(path.parts[-3]),
            reverse=True,
        )
        on_path = find("initdb")
        return installed[0].parent if installed else Path(on_path).parent if on_path else None

    @classmethod
    def installed(cls) -> bool:
        """Whether there is one."""
        return cls.folder_of_programs() is not None

    def dsn(self, role: str) -> str:
        """The database's address for a role, with its password; the certificate is verified."""
        return (
            f"postgresql://{role}:{self._passwords[role]}@{LOOPBACK}:{self.port}/{DATABASE}"
            f"?sslmode=verify-full&sslrootcert={self._certificates.ca_file}"
        )

    async def connect(self, role: str, *, database: str = DATABASE) -> Any:
        """A connection, to be closed. Raises OSError, asyncpg's errors."""
        return await asyncpg.connect(
            host=LOOPBACK,
            port=self.port,
            user=role,
            password=self._passwords[role],
            database=database,
            ssl=self._certificates.context(),
            timeout=5,
        )

    async def start(self) -> None:
        """Start the cluster, made where there is none, with its roles and its database.

        Raises ExampleTrouble.
        """
        programs = self.folder_of_programs()
        assert programs is not None
        data = self._reachable_folder() / "data"
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)
            await self._make(programs, data)
        (data / "pg_hba.conf").write_text(_HBA)
        for source, name in (
            (self._certificates.good.chain, "server.crt"),
            (self._certificates.good.key, "server.key"),
        ):
            shutil.copyfile(source, data / name)
            (data / name).chmod(0o600)
            if self._user:
                shutil.chown(data / name, self._user)
        settings: dict[str, Any] = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "ssl": "on",
            "password_encryption": "scram-sha-256",
            "shared_preload_libraries": "pg_stat_statements",
            "max_connections": 60,
            "shared_buffers": "32MB",
            # The data can be made again at any time.
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        await self._programs.start(
            "postgres",
            [str(programs / "postgres"), "-D", str(data), *options],
            ready=self._ready,
            user=self._user,
            stop_signal=signal.SIGINT,
        )
        await self._set_up()

    async def back_up(self, folder: Path) -> None:
        """Dump the database into a folder; the newest few dumps stay. Raises ExampleTrouble."""
        _make_room(folder)
        programs = self.folder_of_programs()
        assert programs is not None
        target = folder / f"{DATABASE}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.dump"
        argv = [str(programs / "pg_dump"), "--format=custom", f"--file={target}"]
        argv += ["--host", LOOPBACK, "--port", str(self.port), "--username", OWNER, "--no-password", DATABASE]
        tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(self._certificates.ca_file)}
        await run(argv, env={"PGPASSWORD": self._passwords[OWNER], **tls})

    def _reachable_folder(self) -> Path:
        """Its folder, or one in the system's place for such where its user cannot get into ours."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._user is None:
            return self._folder
        shutil.chown(self._folder, self._user)
        self._folder.chmod(0o700)
        postgres = pwd.getpwnam(self._user)
        for folder in self._folder.resolve().parents:
            found = folder.stat()
            shift = 6 if found.st_uid == postgres.pw_uid else 3 if found.st_gid == postgres.pw_gid else 0
            if not found.st_mode >> shift & 1:
                elsewhere = Path(tempfile.mkdtemp(prefix="deploybot-example-"))
                self._programs.keep_elsewhere(elsewhere)
                shutil.chown(elsewhere, self._user)
                return elsewhere
        return self._folder

    async def _make(self, programs: Path, data: Path) -> None:
        password_file = data.parent / "password"
        password_file.touch(0o600)
        password_file.write_text(self._passwords[ADMIN])
        if self._user:
            shutil.chown(password_file, self._user)
        argv = [str(programs / "initdb"), "-D", str(data), "-U", ADMIN, "-A", "scram-sha-256"]
        argv += ["--pwfile", str(password_file), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        try:
            await run(argv, user=self._user)
        finally:
            password_file.unlink()

    async def _ready(self) -> bool:
        try:
            connection = await self.connect(ADMIN, database="postgres")
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError, TimeoutError):
            return False
        except asyncpg.InvalidPasswordError as error:
            raise ExampleTrouble(
                f"the cluster in {self._folder} has another password: remove it to have it made anew"
            ) from error
        await connection.close()
        return True

    async def _set_up(self) -> None:
        """Roles, database, rights; everything may be there already."""
        connection = await self.connect(ADMIN, database="postgres")
        try:
            for role in (OWNER, READER):
                if not await connection.fetchval("select 1 from pg_roles where rolname = $1", role):
                    await connection.execute(f"create role {role} login")
                # Our own, without quotes in it: a role's password cannot be a parameter.
                await connection.execute(f"alter role {role} password '{self._passwords[role]}'")
            await connection.execute(f"grant pg_monitor to {READER}")
            await connection.execute(f"alter role {READER} connection limit 20")
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {DATABASE} owner {OWNER}")
        finally:
            await connection.close()
        connection = await self.connect(ADMIN)
        try:
            await connection.execute("create extension if not exists pg_stat_statements")
            # Statements of an earlier run, and ours while starting, say nothing about the shop.
            await connection.execute("select pg_stat_statements_reset()")
            await connection.execute(f"alter schema public owner to {OWNER}")
            await connection.execute(f"grant usage on schema public to {READER}")
            await connection.execute(
                f"alter default privileges for role {OWNER} in schema public"
                f" grant select on tables to {READER}"
            )
        finally:
            await connection.close()


def backups(folder: Path) -> list[Path]:
    """The dumps in a folder, oldest first."""
    return sorted(folder.glob(f"{DATABASE}-*.dump"))


def _make_room(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in backups(folder)[: 1 - KEPT_BACKUPS]:
        old.unlink()


class Statements:
    """A statement that is slow again and again, until it is forgotten."""

    SLOW = "select o.id, o.total_cents, pg_sleep(0.8) from orders o order by o.placed_at desc limit 1"

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def run_slow(self) -> None:
        """Run it once, as the shop."""
        connection = await self._postgres.connect(OWNER)
        try:
            await connection.fetch(self.SLOW)
        finally:
            await connection.close()

    async def forget(self) -> None:
        """Take it out of the statistics."""
        connection = await self._postgres.connect(ADMIN)
        try:
            await connection.execute(
                "select pg_stat_statements_reset(userid, dbid, queryid) from pg_stat_statements"
                " where query like '%pg_sleep%'"
            )
        finally:
            await connection.close()
