"""A real PgBouncer on a free port, in front of a database of the test PostgreSQL."""

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
from pathlib import Path

from bot.example.programs import free_port

_CONFIG = """
[databases]
shop = host=127.0.0.1 port={postgres_port} dbname={database} user=app

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = {auth}
auth_file = {folder}/users.txt
stats_users = stats
pool_mode = {mode}
default_pool_size = {pool_size}
max_client_conn = {clients}
logfile = {folder}/log
pidfile = {folder}/pid
{tls}
"""


@contextlib.contextmanager
def pgbouncer(
    *,
    postgres_port: int,
    database: str = "postgres",
    auth: str = "trust",
    mode: str = "transaction",
    pool_size: int = 5,
    clients: int = 50,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[int]:
    """PgBouncer for as long as the block runs; its port. The roles are `app` and, for the console, `stats`."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    folder = Path(tempfile.mkdtemp(prefix="deploybot-pgbouncer-"))
    port = free_port()
    tls = ""
    if certificate is not None:
        for source, name in zip(certificate, ("server.pem", "server.key"), strict=True):
            shutil.copy(source, folder / name)
        tls = f"client_tls_sslmode = allow\nclient_tls_cert_file = {folder}/server.pem\n"
        tls += f"client_tls_key_file = {folder}/server.key"
    (folder / "users.txt").write_text('"app" "correct-horse"\n"stats" "correct-horse"\n')
    (folder / "pgbouncer.ini").write_text(
        _CONFIG.format(
            postgres_port=postgres_port,
            database=database,
            port=port,
            folder=folder,
            auth=auth,
            mode=mode,
            pool_size=pool_size,
            clients=clients,
            tls=tls,
        )
    )
    command = [program, str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:  # it refuses to run as root
        subprocess.run(["chown", "-R", "postgres", str(folder)], check=True)
        command = ["runuser", "-u", "postgres", "--", *command]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _wait_for(port, process, folder / "log")
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"pgbouncer did not start: {log.read_text() if log.exists() else ''}")
