"""A read-only session with PostgreSQL at a checked address, and its errors in words."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg

from bot.checks.kind import Broken, Context, NoData, TargetDown
from bot.checks.postgres.dsn import PostgresDsn

#: Seconds to connect to one address, the login included.
CONNECT_S = 5.0
#: Seconds a statement waits for a lock: a check never queues behind a migration for long.
LOCK_S = 1.0
APPLICATION = "deploybot-check"

#: Roles that reach the server's files and programs, which a read-only transaction does not prevent
#: (PostgreSQL documentation, "Predefined Roles").
SERVER_ROLES = ("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program")

# A member of a superuser's role becomes one within a statement, by set_config('role', …).
_POWERS = """
select exists (select from pg_catalog.pg_roles own, pg_catalog.pg_roles reached
               where own.rolname in (current_user, session_user) and reached.rolsuper
                 and pg_catalog.pg_has_role(own.oid, reached.oid, 'MEMBER')) as superuser,
       exists (select from pg_catalog.pg_roles own, pg_catalog.pg_roles reached
               where own.rolname in (current_user, session_user) and reached.rolname = any($1::text[])
                 and pg_catalog.pg_has_role(own.oid, reached.oid, 'MEMBER')) as server_access
"""


class Session:
    """An open connection inside a read-only transaction."""

    def __init__(self, connection: Any, dsn: PostgresDsn, *, connect_ms: float, encrypted: bool) -> None:
        self.connection = connection
        self.dsn = dsn
        #: Milliseconds until the login was through.
        self.connect_ms = connect_ms
        self.encrypted = encrypted

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the server."""
        version = self.connection.get_server_version()
        return (version.major, version.minor)

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """The rows of a query of our own."""
        return [dict(row) for row in await self.connection.fetch(query, *arguments)]

    async def row(self, query: str, *arguments: Any) -> dict[str, Any]:
        """The first row of a query of our own. Raises NoData where there is none."""
        found = await self.connection.fetchrow(query, *arguments)
        if found is None:
            raise NoData(f"{self.dsn.shown} knows nothing of it")
        return dict(found)

    async def refuse_powers(self) -> None:
        """Raises Broken where the role could read files or run programs in spite of the transaction."""
        powers = await self.row(_POWERS, list(SERVER_ROLES))
        if powers["superuser"]:
            raise Broken(
                f"{self.dsn.user} connects as a superuser (or can become one), whom a read-only "
                "transaction does not keep from the server's files; use a role of its own for checks "
                "(member of pg_monitor)"
            )
        if powers["server_access"]:
            raise Broken(
                f"{self.dsn.user} may reach the server's files or programs, which a read-only transaction "
                "does not prevent; use a role of its own for checks (member of pg_monitor)"
            )

    async def may_see_all(self) -> bool:
        """Whether the statistics of other roles' sessions are visible."""
        return bool(
            await self.connection.fetchval(
                "select exists (select from pg_catalog.pg_roles where rolname = 'pg_read_all_stats'"
                " and pg_catalog.pg_has_role(current_user, oid, 'USAGE'))"
            )
        )


@contextlib.asynccontextmanager
async def reading(
    dsn: PostgresDsn, context: Context, *, statement_timeout: float = 3.0, ca_file: str = ""
) -> AsyncIterator[Session]:
    """A session in a read-only transaction, rolled back at the end.

    Raises TargetDown where nothing answers, NoData where the login or a permission is refused or a statement
    takes too long, Broken for a statement that cannot be right.
    """
    began = time.perf_counter()
    # The server keeps to the limit itself; past it by this much, it or the way to it is gone.
    answer_s = statement_timeout + CONNECT_S
    connection, encrypted = await _connect(dsn, context, ca_file, answer_s)
    connect_ms = (time.perf_counter() - began) * 1000
    try:
        with in_words(dsn, statement_timeout):
            transaction = connection.transaction(readonly=True)
            await transaction.start()
            await connection.execute(
                f"set local statement_timeout = {int(statement_timeout * 1000)};"
                f"set local lock_timeout = {int(LOCK_S * 1000)}"
            )
            yield Session(connection, dsn, connect_ms=connect_ms, encrypted=encrypted)
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await transaction.rollback()
    finally:
        try:
            await connection.close(timeout=1)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()


@contextlib.contextmanager
def in_words(dsn: PostgresDsn, statement_timeout: float) -> Iterator[None]:
    """Errors of a statement as troubles of a check."""
    try:
        yield
    except asyncpg.QueryCanceledError as error:
        raise NoData(f"the query took longer than {statement_timeout:g} s") from error
    except asyncpg.LockNotAvailableError as error:
        raise NoData("the query waited for a lock that something else holds") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise NoData(f"{dsn.user} has no permission: {_first_line(error)}") from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise Broken("the query writes, and checks only read") from error
    except (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError) as error:
        raise TargetDown(f"{dsn.shown} broke off: {_first_line(error)}") from error
    except asyncpg.DataError as error:
        raise Broken(f"the query and its data do not fit: {_first_line(error)}") from error
    except asyncpg.PostgresError as error:
        raise Broken(f"the query fails: {_first_line(error)}") from error
    except TimeoutError as error:
        raise TargetDown(f"{dsn.shown} stopped answering") from error
    except (OSError, asyncpg.InterfaceError) as error:
        raise TargetDown(f"{dsn.shown} broke off: {_first_line(error)}") from error


async def _connect(dsn: PostgresDsn, context: Context, ca_file: str, answer_s: float) -> tuple[Any, bool]:
    """A connection to the first checked address that answers, and whether it is encrypted."""
    address = await context.egress.resolve(dsn.host, dsn.port)
    last: Exception | None = None
    for ip in address.ips:
        for tls in _ways(dsn, context, ca_file):
            try:
                connection = await asyncpg.connect(
                    host=ip,
                    port=dsn.port,
                    user=dsn.user,
                    password=dsn.password,
                    database=dsn.database,
                    ssl=tls or "disable",
                    timeout=min(CONNECT_S, context.timeout),
                    command_timeout=answer_s,
                    # Prepared statements do not outlive a transaction behind PgBouncer.
                    statement_cache_size=0,
                    target_session_attrs="any",
                    server_settings={
                        "application_name": APPLICATION,
                        **({"options": dsn.options} if dsn.options else {}),
                    },
                )
            except ssl.SSLCertVerificationError as error:
                raise TargetDown(
                    f"{dsn.host}:{dsn.port}: its certificate is not accepted ({error.verify_message})"
                ) from error
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                last = error
                if not _worth_another_way(error):
                    break
            else:
                return connection, tls is not None
    raise _refusal(dsn, last) from last


def _ways(dsn: PostgresDsn, context: Context, ca_file: str) -> tuple[ssl.SSLContext | None, ...]:
    """How to try, in order: encrypted, plain."""
    if dsn.sslmode == "disable":
        return (None,)
    encrypted = tls_context(dsn, context, ca_file)
    return (encrypted, None) if dsn.sslmode in ("allow", "prefer") else (encrypted,)


def tls_context(dsn: PostgresDsn, context: Context, ca_file: str) -> ssl.SSLContext:
    """TLS as the URL's sslmode demands it. Raises Broken where a CA file cannot be used."""
    tls = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.name = dsn.host
    roots = context.path(ca_file) if ca_file else Path(dsn.root_cert) if dsn.root_cert else None
    # libpq: with a CA file at hand, `require` checks the chain as `verify-ca` does.
    verify = dsn.sslmode.startswith("verify-") or (dsn.sslmode == "require" and roots is not None)
    tls.check_hostname = dsn.sslmode == "verify-full"
    if not verify:
        tls.verify_mode = ssl.CERT_NONE
    elif roots is None or str(roots) == "system":
        tls.load_default_certs()
    else:
        try:
            tls.load_verify_locations(roots)
        except OSError as error:
            raise Broken(f"the CA file {roots.name} cannot be used: {error.strerror or error}") from error
    return tls


class NamedContext(ssl.SSLContext):
    """TLS that asks for and checks one name, whatever address is connected to.

    The driver takes the address it connects to for the name; the address is a checked one, the name is not in
    it.
    """

    name: str = ""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the standard library does it, for our name."""
        return super().wrap_bio(incoming, outgoing, server_side, self.name or server_hostname, session)


def _worth_another_way(error: Exception) -> bool:
    """Whether the server may accept the plain connection that `prefer` allows."""
    return isinstance(error, ConnectionError) and "SSL upgrade" in str(error)


class LoginRefused(NoData):
    """The database answers and does not let the role in: nothing was seen of it."""


def _refusal(dsn: PostgresDsn, error: Exception | None) -> Exception:
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return LoginRefused(f"{dsn.shown} does not let {dsn.user} in: {_first_line(error)}")
        case asyncpg.InvalidCatalogNameError():
            return LoginRefused(f"{dsn.host}:{dsn.port} has no database {dsn.database}")
        case asyncpg.InsufficientPrivilegeError():
            return LoginRefused(f"{dsn.user} may not connect to {dsn.shown}")
        case asyncpg.PostgresError():
            return TargetDown(f"{dsn.shown} takes no connection: {_first_line(error)}")
        case TimeoutError():
            return TargetDown(f"no answer from {dsn.host}:{dsn.port} within {CONNECT_S:g} s")
        case ConnectionRefusedError():
            return TargetDown(f"nothing listens at {dsn.host}:{dsn.port}")
        case ConnectionError() if "SSL upgrade" in str(error):
            return TargetDown(f"{dsn.host}:{dsn.port} offers no TLS, which sslmode={dsn.sslmode} demands")
        case None:
            return TargetDown(f"{dsn.host} has no address")
    return TargetDown(f"{dsn.host}:{dsn.port}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
