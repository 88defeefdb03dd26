"""Presets: what PostgreSQL says of itself, as kinds of checks. `bot.checks.kinds.sql` lists them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, Generic, TypeVar

from pydantic import Field

from bot.checks.kind import Context, Duration, Kind, Params, SecretValue
from bot.checks.postgres import access, activity, indexes, replication, statements
from bot.checks.postgres.dsn import SSL_MODES, parse
from bot.checks.postgres.session import Session, reading
from bot.domain.check import Observation, Rules


class DatabaseParams(Params):
    """Which database, and how long a statement may take."""

    dsn: SecretValue = Field(description="The database's URL, postgresql://user:password@host:5432/database.")
    ca_file: str = Field(default="", description="CA certificates the server's is checked against (a path).")
    statement_timeout: Duration = Field(
        default=3.0, gt=0, le=60, description="Longest time of one statement, at most 60 s."
    )


DatabaseP = TypeVar("DatabaseP", bound=DatabaseParams)


@asynccontextmanager
async def open_session(params: DatabaseParams, context: Context) -> AsyncIterator[Session]:
    """A read-only session. Raises what `reading` raises."""
    dsn = parse(params.dsn.reveal())
    async with reading(
        dsn, context, statement_timeout=params.statement_timeout, ca_file=params.ca_file
    ) as session:
        yield session


class Preset(Kind[DatabaseP], Generic[DatabaseP]):
    """Queries of our own, in one read-only session."""

    async def observe(self, params: DatabaseP, context: Context) -> Observation:
        """Ask in one session."""
        async with open_session(params, context) as session:
            return await self.ask(session, params, context)

    async def ask(self, session: Session, params: DatabaseP, context: Context) -> Observation:
        """The preset's own queries."""
        raise NotImplementedError


class ConnectionsParams(DatabaseParams):
    """What the application will open."""

    replicas: int | None = Field(default=None, ge=1, description="Processes that hold a pool, old and new.")
    pool_size: int | None = Field(
        default=None, ge=1, description="Most connections of one pool, overflow too."
    )
    idle_after: Duration = Field(
        default=60.0, ge=0, description="Time after which a session counts as idle in its transaction."
    )


class PgConnections(Preset[ConnectionsParams]):
    """Places for connections (catalogue C3)."""

    name = "sql.pg.connections"
    about = "PostgreSQL's connections: used, and what the pools will take, against the limit."
    params = ConnectionsParams
    values: ClassVar[Mapping[str, str]] = {
        "max_connections": "places the server has",
        "reserved": "of them for superusers and reserved roles",
        "available": "places this role can have here: the server's, the database's and its own limit",
        "used": "connections now",
        "used_share": "used of the server's places, 0 to 1",
        "planned": "replicas times pool size",
        "planned_share": "planned of available, 0 to 1 and above",
        "idle_in_transaction": "sessions idle in a transaction for longer than `idle_after`",
        "longest_idle_in_transaction_s": "seconds the oldest of them has been idle",
    }

    def defaults(self, params: ConnectionsParams) -> Rules:
        """The pools fit; less than 90 % used, better 75 %; nothing idle in a transaction."""
        planned = {"planned_share": "> 1"} if params.replicas else {}
        return Rules(
            fail={**planned, "used_share": "> 0.9"},
            warn={"used_share": "> 0.75", "idle_in_transaction": "> 0"},
        )

    def problem(self, params: ConnectionsParams) -> str | None:
        """One of the two factors without the other."""
        if (params.replicas is None) != (params.pool_size is None):
            return "replicas and pool_size belong together"
        return None

    async def ask(self, session: Session, params: ConnectionsParams, context: Context) -> Observation:
        """Limits and use."""
        planned = params.replicas * params.pool_size if params.replicas and params.pool_size else None
        return await activity.connections(session, planned=planned, idle_after=params.idle_after)


class StatementsParams(DatabaseParams):
    """Which statements count."""

    min_calls: int = Field(default=10, ge=1, description="Statements called less often are left out.")
    min_share: float = Field(
        default=0.0, ge=0, le=1, description="Statements with less of the total time are left out (0 to 1)."
    )
    window: Duration = Field(
        default=0.0, ge=0, le=300, description="Time to watch; 0 takes all since the statistics were reset."
    )


class PgSlowStatements(Preset[StatementsParams]):
    """Query times (catalogue M2, R3)."""

    name = "sql.pg.slow_statements"
    about = "The slowest statement on average, by pg_stat_statements."
    params = StatementsParams
    values: ClassVar[Mapping[str, str]] = {
        "worst_mean_ms": "highest mean time of a statement in milliseconds; 0 where none has `min_share`",
        "worst_share": "that statement's share of all time, 0 to 1",
        "statements": "statements called often enough",
        "calls": "their calls",
    }
    #: The longest window, and the queries.
    timeout = 330.0

    def defaults(self, params: StatementsParams) -> Rules:
        """Means up to 500 ms, better 200."""
        return Rules(fail={"worst_mean_ms": "> 500"}, warn={"worst_mean_ms": "> 200"})

    async def ask(self, session: Session, params: StatementsParams, context: Context) -> Observation:
        """Totals, once or twice."""
        return await statements.slow_statements(
            session, context, min_calls=params.min_calls, min_share=params.min_share, window=params.window
        )


class IndexesParams(DatabaseParams):
    """Which tables count."""

    min_rows: int = Field(default=10_000, ge=0, description="Smaller tables need no index.")


class PgIndexes(Preset[IndexesParams]):
    """Indexes (catalogue C2)."""

    name = "sql.pg.indexes"
    about = "Invalid, missing, duplicate and unused indexes."
    params = IndexesParams
    values: ClassVar[Mapping[str, str]] = {
        "invalid": "invalid indexes that nobody is building",
        "building": "indexes under construction",
        "fk_without_index": "foreign keys of larger tables without an index",
        "duplicates": "indexes that equal another",
        "unused": "indexes over 10 MB that were never used, on tables that are",
        "seq_scan_heavy": "larger tables that are mostly read whole",
    }

    def defaults(self, params: IndexesParams) -> Rules:
        """No invalid one; better none of the others either."""
        others = ("building", "fk_without_index", "duplicates", "unused", "seq_scan_heavy")
        return Rules(fail={"invalid": "> 0"}, warn=dict.fromkeys(others, "> 0"))

    async def ask(self, session: Session, params: IndexesParams, context: Context) -> Observation:
        """The catalogue and the statistics."""
        return await indexes.indexes(session, min_rows=params.min_rows)


class RolesParams(DatabaseParams):
    """Whose rights."""

    role: str = Field(default="", description="The application's role; the one of the URL if empty.")


class PgRoles(Preset[RolesParams]):
    """Rights (catalogue B6)."""

    name = "sql.pg.roles"
    about = "What a role may do beyond its tables, and trust rules in pg_hba.conf where they can be read."
    params = RolesParams
    values: ClassVar[Mapping[str, str]] = {
        "role": "the role",
        "superuser": "whether it is or can become a superuser",
        "server_access": "whether it may reach the server's files or programs",
        "createdb": "whether it may create databases",
        "createrole": "whether it may create roles",
        "replication": "whether it may replicate",
        "bypass_rls": "whether row security does not apply to it",
        "hba": "pg_hba.conf: no trust, local trust, trust (over the network), not readable",
    }

    def defaults(self, params: RolesParams) -> Rules:
        """No superuser, no way to the server's files, no login without proof over the network."""
        return Rules(
            fail={"superuser": True, "server_access": True, "hba": "trust"},
            warn={
                "createdb": True,
                "createrole": True,
                "replication": True,
                "bypass_rls": True,
                "hba": "local trust",
            },
        )

    async def ask(self, session: Session, params: RolesParams, context: Context) -> Observation:
        """Flags and rules."""
        return await access.roles(session, role=params.role)


class PgTls(Preset[DatabaseParams]):
    """Encryption (catalogue B6)."""

    name = "sql.pg.tls"
    about = "Whether the connection to PostgreSQL is encrypted, by pg_stat_ssl."
    params = DatabaseParams
    values: ClassVar[Mapping[str, str]] = {
        "tls": "whether this connection is encrypted",
        "tls_version": "e.g. TLSv1.3; absent without TLS",
        "cipher": "the cipher",
        "sslmode": "how strictly the URL demands TLS",
        "plain_sessions": "other sessions from elsewhere without TLS; known to members of pg_monitor",
    }
    scales: ClassVar[Mapping[str, Sequence[str]]] = {
        "sslmode": SSL_MODES,
        "tls_version": ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    }

    def defaults(self, params: DatabaseParams) -> Rules:
        """TLS 1.2 or newer."""
        return Rules(must={"tls": True}, fail={"tls_version": "< TLSv1.2"})

    async def ask(self, session: Session, params: DatabaseParams, context: Context) -> Observation:
        """The server's own view."""
        return await access.tls(session)


class ReplicationParams(DatabaseParams):
    """How many standbys."""

    expected: int | None = Field(
        default=None, ge=0, description="Standbys there must be at least; 0 for none."
    )


class PgReplication(Preset[ReplicationParams]):
    """Standbys. The limits of lag are our own: 10 s is more than a quiet network needs, 60 s loses orders."""

    name = "sql.pg.replication"
    about = "Standbys that stream, and how far they lag behind."
    params = ReplicationParams
    values: ClassVar[Mapping[str, str]] = {
        "role": "primary or standby",
        "replicas": "standbys that stream; known on the primary",
        "catching_up": "standbys that do not stream yet",
        "receiving": "on a standby: whether it receives",
        "lag_s": "largest lag in seconds",
        "lag_bytes": "largest lag in bytes; known on the primary",
        "inactive_slots": "replication slots that nobody reads: they keep the log for ever",
    }

    def defaults(self, params: ReplicationParams) -> Rules:
        """As many as expected, at most 60 s behind, better 10 s."""
        counted = {} if params.expected is None else {"replicas": f"< {params.expected}"}
        return Rules(
            fail={**counted, "receiving": False, "lag_s": "> 60"},
            warn={"lag_s": "> 10", "inactive_slots": "> 0"},
        )

    async def ask(self, session: Session, params: ReplicationParams, context: Context) -> Observation:
        """The server's own view."""
        return await replication.replication(session, expected=params.expected)


class PgArchiver(Preset[DatabaseParams]):
    """The archive of the log (catalogue C4)."""

    name = "sql.pg.archiver"
    about = "Whether PostgreSQL's write-ahead log is being archived."
    params = DatabaseParams
    values: ClassVar[Mapping[str, str]] = {
        "failing": "whether the last attempt failed",
        "archived": "segments archived since the statistics were reset",
        "failed": "attempts that failed since then",
        "last_archived_age_s": "seconds since the last segment; a quiet database needs none",
    }

    def defaults(self, params: DatabaseParams) -> Rules:
        """The last attempt succeeded."""
        return Rules(fail={"failing": True})

    async def ask(self, session: Session, params: DatabaseParams, context: Context) -> Observation:
        """The server's own view."""
        return await replication.archiver(session)
