"""Databases: a query of one's own, the connection, a marker's trace, PgBouncer; and the presets."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from bot.checks import queries, sqlite
from bot.checks.kind import Broken, Context, Duration, Kind, NoData, Params, SecretValue, TargetDown
from bot.checks.postgres import presets
from bot.checks.postgres.console import console
from bot.checks.postgres.dsn import SSL_MODES, parse, scheme_of
from bot.checks.postgres.presets import DatabaseParams, open_session
from bot.checks.postgres.session import LoginRefused
from bot.domain.check import Observation, Rules

# ── a query ──────────────────────────────────────────────────────────────────────────────────────────────


class SqlParams(DatabaseParams):
    """A query of one's own."""

    query: str = Field(min_length=1, description="One statement that reads; it may return 1000 rows.")


class Sql(Kind[SqlParams]):
    """What a query returns: `0.n` is the column `n` of the first row."""

    name = "sql"
    about = "The rows a read-only query returns (PostgreSQL, or an SQLite file under the root)."
    params = SqlParams
    values: ClassVar[Mapping[str, str]] = {
        "rows": "how many rows there are; not known beyond 1000",
        "*": "`0.column`: a column of a row, rows counted from 0, the first 50",
    }

    async def observe(self, params: SqlParams, context: Context) -> Observation:
        """Run the query in a read-only transaction as a role without special powers."""
        dsn = params.dsn.reveal()
        if scheme_of(dsn) == "sqlite":
            path = sqlite.file_of(dsn, context)
            target = path.name
            rows = await sqlite.query(path, params.query, timeout=params.statement_timeout)
        else:
            async with open_session(params, context) as session:
                await session.refuse_powers()
                target = session.dsn.shown
                rows = await queries.read(session, params.query)
        return Observation(target=target, values=rows.values, summary=rows.summary, excerpt=rows.excerpt)


class ConnectParams(DatabaseParams):
    """Which database and user are expected."""

    database: str = Field(default="", description="Name the database must have.")
    user: str = Field(default="", description="Name the role must have.")


class SqlConnect(Kind[ConnectParams]):
    """The connection itself (catalogue A3)."""

    name = "sql.connect"
    about = "Connects to PostgreSQL: which database, as whom, how safely, how quickly."
    params = ConnectParams
    values: ClassVar[Mapping[str, str]] = {
        "connected": "true",
        "database": "name of the database",
        "user": "name of the role",
        "version": "the server's version, e.g. 15.18",
        "major": "its first number",
        "tls": "whether the connection is encrypted",
        "sslmode": "how strictly the URL demands TLS, from disable to verify-full",
        "connect_ms": "milliseconds until the login was through",
        "ms": "milliseconds of one query on the open connection",
    }
    scales: ClassVar[Mapping[str, Sequence[str]]] = {"sslmode": SSL_MODES}

    def defaults(self, params: ConnectParams) -> Rules:
        """The right database; TLS checked in full; an answer within 50 ms."""
        named = {"database": params.database, "user": params.user}
        return Rules(
            must={"connected": True, **{name: f"== {value}" for name, value in named.items() if value}},
            warn={"sslmode": "< verify-full", "ms": "> 50"},
        )

    async def observe(self, params: ConnectParams, context: Context) -> Observation:
        """Log in and ask who and where one is."""
        try:
            async with open_session(params, context) as session:
                began = time.perf_counter()
                seen = await session.row('select current_database() as database, current_user as "user"')
                ms = (time.perf_counter() - began) * 1000
                major, minor = session.version
                dsn = session.dsn
        except LoginRefused as error:
            # For this check a login that is refused is the finding, not a lack of one.
            refused = TargetDown(str(error))
            refused.retryable = False
            raise refused from error
        tls = "TLS" if session.encrypted else "no TLS"
        return Observation(
            target=dsn.shown,
            values={
                **seen,
                "connected": True,
                "version": f"{major}.{minor}",
                "major": major,
                "tls": session.encrypted,
                "sslmode": dsn.sslmode,
                "connect_ms": round(session.connect_ms, 1),
                "ms": round(ms, 2),
            },
            summary=(
                f"PostgreSQL {major}.{minor}, database {seen['database']} as {seen['user']}, "
                f"{tls} (sslmode={dsn.sslmode}), {ms:.1f} ms"
            ),
        )


class MarkerParams(DatabaseParams):
    """What to do, and where its trace must appear."""

    url: str = Field(description="The address of the marked action.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="Its HTTP method."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers; {marker} stands for the marker."
    )
    body: dict[str, Any] | None = Field(
        default=None, description="JSON body; {marker} stands for the marker."
    )
    bearer: SecretValue | None = Field(default=None, description="Token for the Authorization header.")
    marker_header: str = Field(default="X-Request-ID", description="Header that carries the marker.")
    marker_form: Literal["text", "uuid"] = Field(default="text", description="What the marker looks like.")
    query: str = Field(description="Query that finds the trace; it must use :marker.")
    within: Duration = Field(
        default=60.0, gt=0, le=300, description="How long to look for it, at most 5 min."
    )
    every: Duration = Field(default=1.0, ge=0.05, description="Time between looks.")


class SqlMarker(Kind[MarkerParams]):
    """A marked action must leave its trace in the audit log (catalogue B7, S5)."""

    name = "sql.marker"
    about = "Sends a marked request and looks for the marker in a table, e.g. the audit log."
    params = MarkerParams
    values: ClassVar[Mapping[str, str]] = {
        "found": "whether the trace appeared",
        "delay_s": "seconds until it did",
        "status": "HTTP status of the action",
    }
    cheap = False
    repeatable = False
    #: The longest `within`, and what the action takes.
    timeout = 330.0

    def defaults(self, params: MarkerParams) -> Rules:
        """Found within the time; better within 15 s."""
        return Rules(must={"found": True}, warn={"delay_s": "> 15"})

    def problem(self, params: MarkerParams) -> str | None:
        """A query that does not use the marker."""
        try:
            queries.with_marker(params.query)
        except ValueError as error:
            return str(error)
        return None

    async def observe(self, params: MarkerParams, context: Context) -> Observation:
        """Make sure that nothing is found yet, act, and look until it is."""
        marker = (
            str(uuid.uuid4()) if params.marker_form == "uuid" else f"{context.marker}-{secrets.token_hex(4)}"
        )
        query = queries.with_marker(params.query)
        if await self._found(params, context, query, marker):
            raise Broken("the query finds the marker before it was sent: it would find anything")
        status = await self._act(params, context, marker)
        began = time.monotonic()
        while True:
            found = await self._found(params, context, query, marker)
            delay = time.monotonic() - began
            if found or delay + params.every > params.within:
                break
            await context.sleep(params.every)
        said = f"found after {delay:.1f} s" if found else f"not found within {params.within:g} s"
        return Observation(
            target=parse(params.dsn.reveal()).shown,
            values={"found": found, "status": status, "delay_s": round(delay, 2)},
            summary=f"marker {marker} {said}; the action answered {status}",
        )

    async def _act(self, params: MarkerParams, context: Context, marker: str) -> int:
        headers = {name: value.replace("{marker}", marker) for name, value in params.headers.items()}
        headers[params.marker_header] = marker
        if params.bearer is not None:
            headers["Authorization"] = f"Bearer {params.bearer.reveal()}"
        answer = await context.web.request(
            params.method,
            params.url.replace("{marker}", marker),
            headers=headers,
            json=_marked(params.body, marker),
        )
        if answer.status >= 500:
            raise NoData(f"the marked action itself failed with {answer.status}, so no trace can be expected")
        return answer.status

    @staticmethod
    async def _found(params: MarkerParams, context: Context, query: str, marker: str) -> bool:
        async with open_session(params, context) as session:
            await session.refuse_powers()
            return queries.is_hit(await queries.read(session, query, marker))


def _marked(body: Any, marker: str) -> Any:
    match body:
        case str():
            return body.replace("{marker}", marker)
        case dict():
            return {name: _marked(value, marker) for name, value in body.items()}
        case list():
            return [_marked(value, marker) for value in body]
    return body


# ── PgBouncer ────────────────────────────────────────────────────────────────────────────────────────────


class PgBouncerParams(Params):
    """Which console."""

    dsn: SecretValue = Field(
        description="The console's URL, postgresql://stats:password@host:6432/pgbouncer."
    )
    ca_file: str = Field(default="", description="CA certificates the server's is checked against (a path).")
    database: str = Field(default="", description="Count the pools of this database only.")


class PgBouncer(Kind[PgBouncerParams]):
    """PgBouncer's pools (catalogue C3). The limits of waiting are our own: a healthy queue is empty."""

    name = "sql.pgbouncer"
    about = "PgBouncer: pool mode, clients, and how long they wait for a connection."
    params = PgBouncerParams
    values: ClassVar[Mapping[str, str]] = {
        "pool_mode": "session, transaction or statement; the modes of all pools",
        "pools": "how many pools there are",
        "waiting_clients": "clients that wait for a connection",
        "max_wait_s": "seconds the first of them has waited",
        "clients": "clients connected",
        "max_client_conn": "clients allowed",
        "client_share": "clients of those allowed, 0 to 1",
        "servers": "connections to PostgreSQL",
        "default_pool_size": "connections of a pool",
    }

    def defaults(self, params: PgBouncerParams) -> Rules:
        """Nobody waits for long, and there is room for more."""
        return Rules(
            fail={"max_wait_s": "> 10", "client_share": "> 0.9"},
            warn={"max_wait_s": "> 1", "client_share": "> 0.75"},
        )

    async def observe(self, params: PgBouncerParams, context: Context) -> Observation:
        """SHOW CONFIG and SHOW POOLS."""
        dsn = parse(params.dsn.reveal())
        async with console(dsn, context, ca_file=params.ca_file) as admin:
            config = {row.get("key", ""): row.get("value", "") for row in await admin.show("CONFIG")}
            everything = await admin.show("POOLS")
        own = [row for row in everything if row.get("database") != "pgbouncer"]
        pools = [row for row in own if row["database"] == params.database] if params.database else own
        if params.database and not pools:
            raise NoData(f"PgBouncer has no pool for {params.database} yet: nobody has connected through it")
        if "max_client_conn" not in config:
            raise NoData(f"{dsn.shown} is no PgBouncer console")
        # Its limit of clients counts those of every database.
        clients = sum(_whole(row, "cl_active") + _whole(row, "cl_waiting") for row in everything)
        most = int(config["max_client_conn"])
        waiting = sum(_whole(row, "cl_waiting") for row in pools)
        longest = max(
            (_whole(row, "maxwait") + _whole(row, "maxwait_us") / 1e6 for row in pools), default=0.0
        )
        modes = sorted({row.get("pool_mode", "") for row in pools} - {""}) or [config.get("pool_mode", "")]
        return Observation(
            target=dsn.shown,
            values={
                "pool_mode": modes[0] if len(modes) == 1 else modes,
                "pools": len(pools),
                "waiting_clients": waiting,
                "max_wait_s": round(longest, 3),
                "clients": clients,
                "max_client_conn": most,
                "client_share": round(clients / most, 4) if most else 0.0,
                "servers": sum(_whole(row, "sv_active") + _whole(row, "sv_idle") for row in pools),
                "default_pool_size": int(config.get("default_pool_size", 0)),
            },
            summary=(
                f"pool mode {', '.join(modes)}, {clients} of {most} clients, {waiting} waiting"
                + (f" (longest {longest:.1f} s)" if waiting else "")
            ),
            excerpt="\n".join(
                f"{row['database']}/{row['user']}: {row.get('cl_active')} clients, "
                f"{row.get('cl_waiting')} waiting, {row.get('sv_active')} busy and {row.get('sv_idle')} idle"
                for row in pools
            ),
        )


def _whole(row: Mapping[str, str], name: str) -> int:
    text = row.get(name, "0")
    return int(text) if text.isdecimal() else 0


KINDS = (
    Sql(),
    SqlConnect(),
    SqlMarker(),
    presets.PgConnections(),
    presets.PgSlowStatements(),
    presets.PgIndexes(),
    presets.PgRoles(),
    presets.PgTls(),
    presets.PgReplication(),
    presets.PgArchiver(),
    PgBouncer(),
)
