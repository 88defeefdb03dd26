"""What a database URL says, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from bot.checks.kind import Broken

#: libpq's `sslmode`, from the weakest (PostgreSQL documentation, "SSL Mode Descriptions").
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True, kw_only=True)
class PostgresDsn:
    """A PostgreSQL address with its login; nothing shows the password."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    #: One of SSL_MODES.
    sslmode: str
    #: File of CA certificates the URL names; empty for the system's.
    root_cert: str = ""
    #: libpq's `options`, e.g. `-c search_path=shop`.
    options: str = ""

    @property
    def shown(self) -> str:
        """Without the password."""
        return f"{self.host}:{self.port}/{self.database}"


def scheme_of(dsn: str) -> str:
    """`postgresql` for `postgresql+asyncpg://…`; empty where there is none."""
    return dsn.partition("://")[0].partition("+")[0].casefold() if "://" in dsn else ""


def parse(dsn: str) -> PostgresDsn:
    """A PostgreSQL URL in parts. Raises Broken, whose text quotes nothing of the URL but its scheme."""
    scheme = scheme_of(dsn)
    if scheme not in ("postgres", "postgresql"):
        raise Broken(no_driver(scheme))
    try:
        parts = urlsplit(dsn)
        port = parts.port or 5432
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    except ValueError as error:
        why = "the port is no number" if "ort" in str(error) else "its brackets do not match"
        raise Broken(f"the database URL cannot be read: {why}") from None
    if "," in parts.netloc.rpartition("@")[2]:
        raise Broken("the database URL names several hosts; check each of them by itself")
    host = parts.hostname or ""
    if not host or host.startswith(("/", "%2f")):
        raise Broken("the database URL names no host; checks do not use UNIX sockets")
    sslmode = options.get("sslmode", options.get("ssl", "prefer"))
    sslmode = {"true": "require", "1": "require", "false": "disable", "0": "disable"}.get(sslmode, sslmode)
    if sslmode not in SSL_MODES:
        raise Broken(f"the database URL's sslmode is none of {', '.join(SSL_MODES)}")
    user = unquote(parts.username or "")
    if not user:
        raise Broken("the database URL names no user")
    return PostgresDsn(
        host=host,
        port=port,
        database=unquote(parts.path.lstrip("/")) or user,
        user=user,
        password=unquote(parts.password or ""),
        sslmode=sslmode,
        root_cert=options.get("sslrootcert", ""),
        options=options.get("options", ""),
    )


def no_driver(scheme: str) -> str:
    """Why a URL of this scheme cannot be used, in one sentence."""
    if not scheme:
        return "the database URL has no scheme; write postgresql://user:password@host:5432/database"
    if scheme == "sqlite":
        return "this check needs PostgreSQL, and the database URL is one for SQLite"
    return (
        f"no driver for {scheme} is bundled: checks speak PostgreSQL and read SQLite files; "
        "for others use the kind `command` with the database's own client"
    )
