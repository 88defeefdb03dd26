"""A real Redis server on a free port."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.domain.check import Secret
from bot.example.programs import free_port


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """Where it listens, and how to stop it early."""

    port: int
    process: subprocess.Popen[bytes]

    def url(self, *, user: str = "", password: str = "", scheme: str = "redis", db: int = 0) -> Secret:
        """A URL as a check gets it."""
        login = f"{user}:{password}@" if password else ""
        return Secret("cache", f"{scheme}://{login}localhost:{self.port}/{db}")

    def stop(self) -> None:
        """Kill it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def redis_server(*options: str, tls: tuple[Path, Path] | None = None) -> Iterator[RedisServer]:
    """Redis for as long as the block runs; options as on its command line, e.g. `--maxmemory`, `10mb`."""
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("Redis is not installed: run `make test`, or apt-get install redis-server")
    folder = tempfile.mkdtemp(prefix="deploybot-redis-")
    port = free_port()
    where = ["--port", str(port)]
    if tls is not None:
        where = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"]
        where += ["--tls-cert-file", str(tls[0]), "--tls-key-file", str(tls[1])]
        where += ["--tls-ca-cert-file", str(tls[0])]
    process = subprocess.Popen(
        [
            program,
            *where,
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
            "--daemonize",
            "no",
            *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = RedisServer(port=port, process=process)
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None:
                raise RuntimeError("redis-server ended at once")
            time.sleep(0.02)
        else:
            raise RuntimeError("redis-server did not start")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
