"""PostgreSQL as production has it: statistics, TLS from a throw-away CA, roles, a standby on demand."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.domain.check import Secret
from bot.example.programs import free_port
from tests.postgres import PostgresServer

_ROLES = """
create role app login;
create role reader login password 'correct-horse';
create role watcher login; grant pg_monitor to watcher;
create role locked login password 'correct-horse';
create role auditor login;
create role climber login; grant deploybot to climber;
create role filer login; grant pg_read_server_files to filer;
create role maker login createdb createrole;
alter role app connection limit 20;
"""


def throw_away_ca(folder: Path, *names: str) -> tuple[Path, Path, Path]:
    """A CA and a certificate of it for these names and addresses: CA file, certificate file, key file."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throw-away CA")])

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
        )

    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        builder(subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_file, certificate_file, key_file = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    key_file.chmod(0o600)
    return ca_file, certificate_file, key_file


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class ProductionPostgres(PostgresServer):
    """A server with pg_stat_statements, TLS for the name `localhost`, and roles of every kind."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ca_file = self._folder / "ca.pem"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._folder / "data"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def start(self, *settings: str) -> None:
        """Start it, make the roles, demand a password of two of them."""
        _, certificate, key = throw_away_ca(self._folder, "localhost")
        if self._root:
            shutil.chown(key, "postgres")
            shutil.chown(certificate, "postgres")
        super().start(
            "shared_preload_libraries=pg_stat_statements",
            "ssl=on",
            f"ssl_cert_file={certificate}",
            f"ssl_key_file={key}",
            f"archive_command={self._folder}/archive",
            "archive_mode=on",
            "wal_level=replica",
            *settings,
        )
        self.run("postgres", "create extension pg_stat_statements; " + _ROLES)
        hba = self.hba.read_text()
        self.hba.write_text(f"host all reader,locked 127.0.0.1/32 scram-sha-256\n{hba}")
        self._run("pg_ctl", "-D", str(self.data), "reload")

    @property
    def hba(self) -> Path:
        """Its pg_hba.conf."""
        return self.data / "pg_hba.conf"

    def archive_with(self, program: str) -> None:
        """What archives a segment from now on."""
        script = self._folder / "archive"
        script.write_text(f"#!/bin/sh\n{program}\n")
        script.chmod(0o755)

    def run(self, database: str, sql: str) -> str:
        """Run statements as the superuser; what they print."""
        where = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "deploybot", "-d", database]
        done = subprocess.run(
            [str(self._bin / "psql"), *where, "-v", "ON_ERROR_STOP=1", "-qAt", "-f", "-"],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def dsn(self, database: str, user: str = "app", *, host: str = "localhost", query: str = "") -> Secret:
        """A URL as a check gets it."""
        login = f"{user}:correct-horse" if user in ("reader", "locked") else user
        url = f"postgresql://{login}@{host}:{self._port}/{database}"
        return Secret("db", url + (f"?{query}" if query else ""))

    def make_database(self, sql: str = "") -> str:
        """A new database with pg_stat_statements in it; its name."""
        name = self.new_database().rpartition("/")[2]
        self.run(name, "create extension pg_stat_statements; grant all on schema public to app;" + sql)
        return name

    @contextlib.contextmanager
    def standby(self) -> Iterator[int]:
        """A standby that streams from this server; its port."""
        folder = Path(tempfile.mkdtemp(prefix="deploybot-standby-"))
        port = free_port()
        if self._root:
            shutil.chown(folder, "postgres")
        source = f"host=127.0.0.1 port={self._port} user=deploybot application_name=standby_one"
        data = str(folder / "data")
        try:
            self._run(
                "pg_basebackup", "-D", data, "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync"
            )
            options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c archive_mode=off -c ssl=off"
            options += " -c max_connections=200 -c shared_preload_libraries=pg_stat_statements"
            self._run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
            try:
                yield port
            finally:
                self._run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def production_postgres() -> Iterator[ProductionPostgres]:
    """A server for as long as the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="deploybot-production-"))
    server = ProductionPostgres(folder)
    server.archive_with("exit 0")
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
