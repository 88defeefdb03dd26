"""A real PostgreSQL server for the tests, on loopback, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path

from bot.example.programs import free_port


class PostgresServer:
    """initdb, start, databases on demand, stop. Raises RuntimeError where PostgreSQL is not installed."""

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        on_path = shutil.which("initdb")
        if not found and not on_path:
            raise RuntimeError("PostgreSQL is not installed: run `make test`, or apt-get install postgresql")
        self._bin = found[0] if found else Path(str(on_path)).parent
        # The server refuses to run as root, so its folder must be reachable for the user postgres.
        self._root = os.geteuid() == 0
        self._folder = Path(tempfile.mkdtemp(prefix="deploybot-pg-")) if self._root else folder
        self._port = free_port()
        # Without a log of its own the server keeps pg_ctl's output open, and nobody sees the end of it.
        self._log = str(self._folder / "log")
        self._numbers = count(1)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if self._root:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def start(self, *settings: str) -> None:
        """Make a cluster and start it, with more `name=value` settings where they are given."""
        data = self._folder / "data"
        if self._root:
            shutil.chown(self._folder, "postgres")
        self._run("initdb", "-D", str(data), "-A", "trust", "-U", "deploybot", "-E", "UTF8", "--no-sync")
        options = f"-p {self._port} -h 127.0.0.1 -k {self._folder} -c fsync=off -c max_connections=200"
        options += "".join(f" -c {setting}" for setting in settings)
        self._run("pg_ctl", "-D", str(data), "-w", "-l", self._log, "-o", options, "start")

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"deploybot_{next(self._numbers)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "deploybot", name)
        return f"postgresql://deploybot@127.0.0.1:{self._port}/{name}"

    def restart(self) -> None:
        """Stop and start it, cutting every connection."""
        data = str(self._folder / "data")
        self._run("pg_ctl", "-D", data, "-w", "-l", self._log, "-m", "immediate", "restart")

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)
