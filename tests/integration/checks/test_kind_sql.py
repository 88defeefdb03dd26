"""Databases: queries, the connection, PostgreSQL's own statistics, PgBouncer - all on real servers."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.pgbouncer import pgbouncer
from tests.servers.postgres import ProductionPostgres, production_postgres, throw_away_ca


@pytest.fixture(scope="module")
def server() -> Iterator[ProductionPostgres]:
    with production_postgres() as started:
        yield started


@pytest.fixture(scope="module")
def shop(server: ProductionPostgres) -> str:
    """A database with an orders table of three rows."""
    return server.make_database(
        "create table orders (id int primary key, total numeric, at timestamptz, note text);"
        "insert into orders values (1, 9.50, '2026-03-02 12:00+00', 'x'), (2, 20, null, null), (3, 1, null, null);"
        "grant select on orders to app, reader; create table secrets_table (n int);"
    )


async def sql(dsn: Secret, query: str, **more: Any) -> Evidence:
    return await examine("sql", {"dsn": dsn, "query": query, **more.pop("params", {})}, **more)


# ── a query ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_rows_of_a_query_are_values(server: ProductionPostgres, shop: str) -> None:
    seen = await sql(
        server.dsn(shop),
        "select id, total, at, note from orders order by id",
        expect={"rows": 3, "0.total": ">= 9.5", "1.total": 20, "0.at": "~ ^2026-03-02T12", "1.note": None},
    )
    assert seen.outcome is Outcome.PASS, seen.reason
    assert seen.target == f"localhost:{server.port}/{shop}"


async def test_a_count_of_zero_fails_a_rule_for_one(server: ProductionPostgres, shop: str) -> None:
    seen = await sql(
        server.dsn(shop), "select count(*) as n from orders where id > 99", expect={"0.n": ">= 1"}
    )
    assert seen.outcome is Outcome.FAIL
    assert seen.reason == "0.n is 0, not >= 1"


async def test_a_warning_of_a_query_warns(server: ProductionPostgres, shop: str) -> None:
    seen = await sql(
        server.dsn(shop), "select count(*) as n from orders", expect={"0.n": "> 0"}, warn={"0.n": "< 5"}
    )
    assert seen.outcome is Outcome.WARN


async def test_no_row_where_a_rule_wants_one_is_unknown(server: ProductionPostgres, shop: str) -> None:
    seen = await sql(server.dsn(shop), "select id from orders where id > 99", fail={"0.id": "> 5"})
    assert seen.outcome is Outcome.UNKNOWN


async def test_a_null_compared_is_unknown(server: ProductionPostgres, shop: str) -> None:
    seen = await sql(server.dsn(shop), "select max(total) as n from orders where id > 9", fail={"0.n": "> 5"})
    assert seen.outcome is Outcome.UNKNOWN


async def test_more_rows_than_are_counted_leave_their_number_open(
    server: ProductionPostgres, shop: str
) -> None:
    query = "select generate_series(1, 5000) as n"
    seen = await sql(server.dsn(shop), query, fail={"rows": "> 100000"})
    assert seen.outcome is Outcome.UNKNOWN
    assert "rows was not observed" in seen.reason
    assert (await sql(server.dsn(shop), query, expect={"0.n": 1})).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "query",
    [
        "delete from orders returning id",
        "select nextval('numbers')",
        "insert into orders values (9)",
        "create table more (n int)",
    ],
)
async def test_a_query_that_writes_is_an_error(server: ProductionPostgres, shop: str, query: str) -> None:
    server.run(shop, "create sequence if not exists numbers; grant all on sequence numbers to app;")
    server.run(shop, "grant all on orders to app; grant create on schema public to app;")
    seen = await sql(server.dsn(shop), query, expect={"rows": ">= 0"})
    assert seen.outcome is Outcome.ERROR
    assert "writes" in seen.reason
    assert server.run(shop, "select count(*) from orders") == "3"


@pytest.mark.parametrize(
    "query",
    [
        "commit; delete from orders",
        "do $$ begin commit; delete from orders; end $$",
        "select set_config('transaction_read_only', 'off', false)",
    ],
)
async def test_no_query_leaves_the_read_only_transaction(
    server: ProductionPostgres, shop: str, query: str
) -> None:
    server.run(shop, "grant all on orders to app")
    seen = await sql(server.dsn(shop), query, expect={"rows": ">= 0"})
    assert seen.outcome is Outcome.ERROR
    assert server.run(shop, "select count(*) from orders") == "3"


async def test_a_slow_query_is_cut_off_and_unknown(server: ProductionPostgres, shop: str) -> None:
    seen = await sql(
        server.dsn(shop), "select pg_sleep(30)", expect={"rows": 1}, params={"statement_timeout": "100ms"}
    )
    assert (seen.outcome, seen.reason) == (Outcome.UNKNOWN, "the query took longer than 0.1 s")


async def test_a_table_out_of_reach_is_unknown(server: ProductionPostgres, shop: str) -> None:
    seen = await sql(server.dsn(shop, "reader"), "select * from secrets_table", expect={"rows": 0})
    assert seen.outcome is Outcome.UNKNOWN
    assert "reader has no permission" in seen.reason


async def test_a_misspelt_query_is_an_error(server: ProductionPostgres, shop: str) -> None:
    seen = await sql(server.dsn(shop), "select n from ordres", expect={"rows": 0})
    assert (seen.outcome, seen.reason) == (
        Outcome.ERROR,
        'the query fails: relation "ordres" does not exist',
    )


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("deploybot", "connects as a superuser"),
        ("climber", "connects as a superuser"),
        ("filer", "server's files or programs"),
    ],
)
async def test_a_role_that_reads_the_servers_files_is_refused(
    server: ProductionPostgres, shop: str, user: str, why: str
) -> None:
    """False green and worse: a read-only transaction does not stop pg_read_file."""
    query = "select pg_read_file('/etc/hostname') as n"
    seen = await sql(server.dsn(shop, user), query, expect={"rows": 1})
    assert seen.outcome is Outcome.ERROR
    assert why in seen.reason
    assert not seen.values


async def test_nothing_listening_fails(shop: str) -> None:
    dsn = Secret("db", f"postgresql://app@localhost:{free_port()}/{shop}")
    seen = await sql(dsn, "select 1 as n", expect={"rows": 1})
    assert seen.outcome is Outcome.FAIL
    assert "nothing listens at localhost" in seen.reason


async def test_a_database_outside_the_allow_list_is_an_error(server: ProductionPostgres, shop: str) -> None:
    context = make_context(allow=["db.example.com"])
    seen = await sql(server.dsn(shop), "select 1 as n", expect={"rows": 1}, context=context)
    assert seen.outcome is Outcome.ERROR
    assert "not on the list of allowed hosts" in seen.reason


async def test_the_password_appears_nowhere(server: ProductionPostgres, shop: str) -> None:
    dsn = Secret("db", f"postgresql://reader:wrong-horse@localhost:{server.port}/{shop}")
    for query in ("select 1 as n", "select nonsense"):
        for secret in (dsn, server.dsn(shop, "reader")):
            seen = await sql(secret, query, expect={"rows": 1})
            assert "horse" not in repr(seen)


async def test_the_search_path_of_the_url_is_used(server: ProductionPostgres) -> None:
    name = server.make_database(
        "create schema shop; create table shop.here (n int); insert into shop.here values (7);"
        "grant usage on schema shop to app; grant select on shop.here to app;"
    )
    dsn = server.dsn(name, query="options=-c%20search_path%3Dshop")
    assert (await sql(dsn, "select n from here", expect={"0.n": 7})).outcome is Outcome.PASS


# ── SQLite and others ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sqlite_root(tmp_path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript("create table orders (id int); insert into orders values (1), (2);")
    return tmp_path


async def test_an_sqlite_file_under_the_root_can_be_asked(sqlite_root: Path) -> None:
    dsn = Secret("db", "sqlite:///shop.db")
    context = make_context(root=sqlite_root)
    seen = await sql(dsn, "select count(*) as n from orders", expect={"0.n": 2}, context=context)
    assert seen.outcome is Outcome.PASS, seen.reason
    seen = await sql(dsn, "select count(*) as n from orders", expect={"0.n": 3}, context=context)
    assert seen.outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("dsn", "query", "why"),
    [
        ("sqlite:////etc/passwd", "select 1", "leads out of"),
        ("sqlite:///../shop.db", "select 1", "leads out of"),
        ("sqlite://", "select 1", "names no file"),
        ("sqlite:///shop.db", "delete from orders", "does more than read"),
        ("sqlite:///shop.db", "attach '/tmp/other.db' as other", "does more than read"),
        ("sqlite:///shop.db", "select * from ordres", "no such table"),
        ("mysql://app:pw@localhost/shop", "select 1", "no driver for mysql is bundled"),
        ("mongodb+srv://localhost/shop", "select 1", "no driver for mongodb is bundled"),
    ],
)
async def test_other_databases_are_refused_with_the_reason(
    sqlite_root: Path, dsn: str, query: str, why: str
) -> None:
    seen = await sql(Secret("db", dsn), query, expect={"rows": 1}, context=make_context(root=sqlite_root))
    assert seen.outcome is Outcome.ERROR
    assert why in seen.reason


async def test_an_endless_sqlite_query_is_cut_off(sqlite_root: Path) -> None:
    query = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    seen = await sql(
        Secret("db", "sqlite:///shop.db"),
        query,
        expect={"rows": 1},
        context=make_context(root=sqlite_root),
        params={"statement_timeout": "100ms"},
    )
    assert seen.outcome is Outcome.UNKNOWN


# ── the connection ───────────────────────────────────────────────────────────────────────────────────────


async def connect(
    server: ProductionPostgres, dsn: Secret, *, expected: dict[str, Any] | None = None, **more: Any
) -> Evidence:
    context = make_context(root=server.ca_file.parent)
    return await examine("sql.connect", {"dsn": dsn, **(expected or {})}, context=context, **more)


async def test_a_verified_connection_to_the_right_database_passes(
    server: ProductionPostgres, shop: str
) -> None:
    seen = await connect(
        server,
        server.dsn(shop, query="sslmode=verify-full"),
        expected={"database": shop, "user": "app", "ca_file": "ca.pem"},
        warn={"ms": "> 5000"},
    )
    assert seen.outcome is Outcome.PASS, seen.reason
    assert seen.values["tls"] is True
    assert seen.values["sslmode"] == "verify-full"


async def test_the_name_in_the_url_is_the_one_that_is_verified(server: ProductionPostgres, shop: str) -> None:
    """The certificate is for localhost; the same server by its address must not pass as verified."""
    dsn = server.dsn(shop, host="127.0.0.1", query="sslmode=verify-full")
    seen = await connect(server, dsn, expected={"ca_file": "ca.pem"})
    assert seen.outcome is Outcome.FAIL
    assert "certificate is not accepted" in seen.reason
    weaker = server.dsn(shop, host="127.0.0.1", query="sslmode=verify-ca")
    seen = await connect(server, weaker, expected={"ca_file": "ca.pem"})
    assert seen.outcome is Outcome.WARN


async def test_a_certificate_of_an_unknown_ca_fails(
    server: ProductionPostgres, shop: str, tmp_path: Path
) -> None:
    seen = await connect(server, server.dsn(shop, query="sslmode=verify-full"))
    assert seen.outcome is Outcome.FAIL
    other, _, _ = throw_away_ca(tmp_path, "localhost")
    seen = await connect(server, server.dsn(shop, query=f"sslmode=verify-full&sslrootcert={other}"))
    assert seen.outcome is Outcome.FAIL
    assert "certificate is not accepted" in seen.reason


@pytest.mark.parametrize(
    ("query", "tls"), [("sslmode=disable", False), ("sslmode=require", True), ("", True)]
)
async def test_a_connection_that_is_not_verified_warns(
    server: ProductionPostgres, shop: str, query: str, tls: bool
) -> None:
    seen = await connect(server, server.dsn(shop, query=query))
    assert seen.outcome is Outcome.WARN
    assert "sslmode is" in seen.reason
    assert seen.values["tls"] is tls


async def test_the_wrong_database_fails(server: ProductionPostgres, shop: str) -> None:
    seen = await connect(server, server.dsn("postgres"), expected={"database": shop})
    assert seen.outcome is Outcome.FAIL
    assert f"database is postgres, not == {shop}" in seen.reason


@pytest.mark.parametrize(
    ("user", "password", "database", "why"),
    [
        ("locked", "wrong", "postgres", "does not let locked in"),
        ("nobody", "x", "postgres", "does not let nobody in"),
        ("app", "x", "nowhere", "has no database nowhere"),
    ],
)
async def test_a_refused_login_fails(
    server: ProductionPostgres, user: str, password: str, database: str, why: str
) -> None:
    dsn = Secret("db", f"postgresql://{user}:{password}@localhost:{server.port}/{database}")
    seen = await connect(server, dsn)
    assert seen.outcome is Outcome.FAIL
    assert why in seen.reason


async def test_a_refused_login_leaves_other_checks_unknown(server: ProductionPostgres) -> None:
    dsn = Secret("db", f"postgresql://locked:wrong@localhost:{server.port}/postgres")
    assert (await sql(dsn, "select 1", expect={"rows": 1})).outcome is Outcome.UNKNOWN


async def test_a_password_login_works(server: ProductionPostgres, shop: str) -> None:
    assert (await connect(server, server.dsn(shop, "reader"))).values["user"] == "reader"


async def test_a_ca_file_that_is_missing_is_an_error(server: ProductionPostgres, shop: str) -> None:
    seen = await connect(
        server, server.dsn(shop, query="sslmode=verify-full"), expected={"ca_file": "no.pem"}
    )
    assert seen.outcome is Outcome.ERROR


async def test_a_server_without_tls_is_never_silently_accepted_for_require(postgres: Any) -> None:
    """The test suite's plain server offers no TLS."""
    url = postgres.new_database()
    seen = await examine("sql.connect", {"dsn": Secret("db", f"{url}?sslmode=require")})
    assert seen.outcome is Outcome.FAIL
    assert "offers no TLS" in seen.reason
    seen = await examine("sql.connect", {"dsn": Secret("db", f"{url}?sslmode=prefer")})
    assert (seen.outcome, seen.values["tls"]) == (Outcome.WARN, False)


# ── a marker's trace ─────────────────────────────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def audited_app(
    dsn: str, *, audits: bool = True, status: int = 200, delay: float = 0
) -> AsyncIterator[str]:
    """An application that writes its audit log into the database; its address."""
    tasks: set[asyncio.Task[None]] = set()

    async def record(marker: str) -> None:
        await asyncio.sleep(delay)
        connection = await asyncpg.connect(dsn)
        await connection.execute("insert into audit_log (request_id) values ($1)", marker)
        await connection.close()

    async def act(request: web.Request) -> web.Response:
        if audits:
            task = asyncio.create_task(record(request.headers["X-Request-ID"]))
            tasks.add(task)
            if not delay:
                await task
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/act", act)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://localhost:{port}/act"
    finally:
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.cleanup()


@pytest.fixture(scope="module")
def audit(server: ProductionPostgres) -> str:
    return server.make_database("create table audit_log (request_id text); grant all on audit_log to app;")


async def marker(server: ProductionPostgres, database: str, url: str, **more: Any) -> Evidence:
    params = {
        "dsn": server.dsn(database),
        "url": url,
        "query": "select count(*) from audit_log where request_id = :marker",
        "within": "2s",
        "every": "50ms",
    }
    rules = {name: more.pop(name) for name in ("warn", "fail") if name in more}
    return await examine("sql.marker", {**params, **more}, **rules)


async def test_an_audited_action_passes(server: ProductionPostgres, audit: str) -> None:
    async with audited_app(server.dsn(audit).reveal()) as url:
        seen = await marker(server, audit, url)
    assert seen.outcome is Outcome.PASS, seen.reason
    assert seen.values["status"] == 200


async def test_a_late_trace_is_waited_for_and_warns(server: ProductionPostgres, audit: str) -> None:
    async with audited_app(server.dsn(audit).reveal(), delay=0.2) as url:
        seen = await marker(server, audit, url, warn={"delay_s": "> 0.05"})
    assert seen.outcome is Outcome.WARN, seen.reason


async def test_an_action_without_a_trace_fails(server: ProductionPostgres, audit: str) -> None:
    async with audited_app(server.dsn(audit).reveal(), audits=False) as url:
        seen = await marker(server, audit, url, within="200ms")
    assert seen.outcome is Outcome.FAIL
    assert "not found within 0.2 s" in seen.observed


async def test_an_action_that_breaks_is_unknown(server: ProductionPostgres, audit: str) -> None:
    async with audited_app(server.dsn(audit).reveal(), status=500) as url:
        seen = await marker(server, audit, url)
    assert seen.outcome is Outcome.UNKNOWN


async def test_a_query_that_finds_anything_is_an_error(server: ProductionPostgres, audit: str) -> None:
    """False green: the marker is in the query and decides nothing."""
    server.run(audit, "insert into audit_log values ('old')")
    async with audited_app(server.dsn(audit).reveal(), audits=False) as url:
        seen = await marker(
            server, audit, url, query="select * from audit_log where request_id = :marker or true"
        )
    assert seen.outcome is Outcome.ERROR
    assert "would find anything" in seen.reason


async def test_a_marker_can_be_a_uuid(server: ProductionPostgres) -> None:
    name = server.make_database("create table audit_log (request_id uuid); grant all on audit_log to app;")
    async with audited_app(server.dsn(name).reveal()) as url:
        seen = await marker(server, name, url, marker_form="uuid")
    assert seen.outcome is Outcome.PASS, seen.reason


# ── connections ──────────────────────────────────────────────────────────────────────────────────────────


async def preset(
    server: ProductionPostgres, name: str, database: str = "postgres", user: str = "watcher", **params: Any
) -> Evidence:
    rules = {part: params.pop(part) for part in ("expect", "fail", "warn") if part in params}
    return await examine(f"sql.pg.{name}", {"dsn": server.dsn(database, user), **params}, **rules)


async def test_pools_that_fit_pass(server: ProductionPostgres, shop: str) -> None:
    seen = await preset(server, "connections", shop, replicas=4, pool_size=10)
    assert seen.outcome is Outcome.PASS, seen.reason
    assert seen.values["available"] == 197
    assert seen.values["planned"] == 40


async def test_pools_that_exceed_the_server_fail(server: ProductionPostgres, shop: str) -> None:
    seen = await preset(server, "connections", shop, replicas=20, pool_size=10)
    assert seen.outcome is Outcome.FAIL
    assert "planned_share is 1.015" in seen.reason


async def test_the_limit_of_the_role_counts(server: ProductionPostgres, shop: str) -> None:
    """False green: the server has room for 197, and the role app may have 20."""
    seen = await preset(server, "connections", shop, "app", replicas=3, pool_size=10)
    assert seen.outcome is Outcome.FAIL
    assert seen.values["available"] == 20


async def test_a_server_that_is_nearly_full_warns_and_fails(server: ProductionPostgres, shop: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(10):
            connection = await asyncpg.connect(server.dsn(shop, "watcher").reveal())
            stack.push_async_callback(connection.close)
        seen = await preset(server, "connections", shop, warn={"used_share": "> 0.05"})
        assert seen.outcome is Outcome.WARN
        seen = await preset(server, "connections", shop, fail={"used_share": "> 0.05"})
        assert seen.outcome is Outcome.FAIL


async def test_a_session_idle_in_its_transaction_warns(server: ProductionPostgres, shop: str) -> None:
    connection = await asyncpg.connect(server.dsn(shop).reveal())
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("select 1")
    try:
        seen = await preset(server, "connections", shop, idle_after=0)
        assert seen.outcome is Outcome.WARN, seen.reason
        seen = await preset(server, "connections", shop, idle_after="1h")
        assert seen.outcome is Outcome.PASS, seen.reason
    finally:
        await connection.close()


async def test_sessions_that_are_hidden_leave_it_unknown(server: ProductionPostgres, shop: str) -> None:
    connection = await asyncpg.connect(server.dsn(shop).reveal())
    try:
        seen = await preset(server, "connections", shop, "reader")
    finally:
        await connection.close()
    assert seen.outcome is Outcome.UNKNOWN
    assert "grant pg_monitor to reader" in seen.observed


# ── slow statements ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def measured(server: ProductionPostgres, shop: str) -> AsyncIterator[asyncpg.Connection]:
    """A session of the application, with clean statistics."""
    server.run(shop, "select pg_stat_statements_reset()")
    connection = await asyncpg.connect(server.dsn(shop).reveal())
    yield connection
    await connection.close()


async def run(connection: asyncpg.Connection, query: str, times: int) -> None:
    for _ in range(times):
        await connection.fetch(query)


async def test_quick_statements_pass(server: ProductionPostgres, shop: str, measured: Any) -> None:
    await run(measured, "select * from orders where note = 'very-private'", 12)
    seen = await preset(server, "slow_statements", shop)
    assert seen.outcome is Outcome.PASS, seen.reason
    assert "select * from orders where note = $1" in seen.excerpt
    assert "very-private" not in seen.excerpt


async def test_a_slow_statement_warns_and_fails(server: ProductionPostgres, shop: str, measured: Any) -> None:
    await run(measured, "select pg_sleep(0.03)", 10)
    assert (await preset(server, "slow_statements", shop)).outcome is Outcome.PASS
    seen = await preset(server, "slow_statements", shop, warn={"worst_mean_ms": "> 20"})
    assert seen.outcome is Outcome.WARN
    seen = await preset(server, "slow_statements", shop, fail={"worst_mean_ms": "> 20"})
    assert seen.outcome is Outcome.FAIL
    assert "pg_sleep" in seen.excerpt


async def test_a_statement_that_ran_once_does_not_count(
    server: ProductionPostgres, shop: str, measured: Any
) -> None:
    await run(measured, "select 1", 10)
    await run(measured, "select pg_sleep(0.1)", 1)
    seen = await preset(server, "slow_statements", shop, fail={"worst_mean_ms": "> 50"})
    assert seen.outcome is Outcome.PASS


async def test_a_slow_statement_that_takes_little_of_the_time_can_be_left_out(
    server: ProductionPostgres, shop: str, measured: Any
) -> None:
    await run(measured, "select pg_sleep(0.02)", 10)
    await run(measured, "select pg_sleep(0.001), 1", 10)
    limits: dict[str, Any] = {"fail": {"worst_mean_ms": "> 10"}}
    heavy = await preset(server, "slow_statements", shop, min_share=0.5, **limits)
    assert heavy.outcome is Outcome.FAIL
    assert heavy.values["worst_share"] > 0.5
    seen = await preset(server, "slow_statements", shop, min_share=0.9999, **limits)
    assert (seen.outcome, seen.values["worst_mean_ms"]) == (Outcome.PASS, 0)


async def test_too_few_calls_are_unknown(server: ProductionPostgres, shop: str, measured: Any) -> None:
    await run(measured, "select pg_sleep(0.001)", 3)
    seen = await preset(server, "slow_statements", shop)
    assert seen.outcome is Outcome.UNKNOWN
    assert "no statement was called 10 times" in seen.reason


async def test_a_window_counts_what_happens_within_it(
    server: ProductionPostgres, shop: str, measured: Any
) -> None:
    await run(measured, "select pg_sleep(0.03)", 10)
    seen = await preset(server, "slow_statements", shop, window="100ms")
    assert seen.outcome is Outcome.UNKNOWN
    busy = asyncio.create_task(run(measured, "select 1 as quick", 2000))
    seen = await preset(server, "slow_statements", shop, window="300ms", fail={"worst_mean_ms": "> 20"})
    assert seen.outcome is Outcome.PASS, seen.reason
    await busy


async def test_without_the_extension_it_is_unknown(postgres: Any) -> None:
    seen = await examine("sql.pg.slow_statements", {"dsn": Secret("db", postgres.new_database())})
    assert seen.outcome is Outcome.UNKNOWN
    assert "CREATE EXTENSION pg_stat_statements" in seen.reason


async def test_created_and_not_loaded_it_is_unknown(postgres: Any) -> None:
    url = postgres.new_database()
    connection = await asyncpg.connect(url)
    await connection.execute("create extension pg_stat_statements")
    await connection.close()
    seen = await examine("sql.pg.slow_statements", {"dsn": Secret("db", url)})
    assert seen.outcome is Outcome.UNKNOWN
    assert "not loaded" in seen.reason


async def test_statements_of_others_that_are_hidden_leave_it_unknown(
    server: ProductionPostgres, shop: str, measured: Any
) -> None:
    """False green: the checks' own quick queries are all that this role may see."""
    await run(measured, "select pg_sleep(0.001)", 10)
    seen = await preset(server, "slow_statements", shop, "reader")
    assert seen.outcome is Outcome.UNKNOWN
    assert "grant it pg_monitor" in seen.reason


# ── indexes ──────────────────────────────────────────────────────────────────────────────────────────────

_TABLES = """
create table customers (id int primary key, email text);
create table visits (id int primary key, customer int references customers, page text);
insert into customers select g, g || '@example.com' from generate_series(1, 2000) g;
insert into visits select g, g, 'p' from generate_series(1, 2000) g;
"""


async def test_sound_indexes_pass(server: ProductionPostgres) -> None:
    name = server.make_database(_TABLES + "create index on visits (customer); analyze;")
    seen = await preset(server, "indexes", name, min_rows=1000)
    assert seen.outcome is Outcome.PASS, seen.reason


async def test_an_invalid_index_fails(server: ProductionPostgres) -> None:
    name = server.make_database(_TABLES + "insert into visits values (9999, 1, 'p');")
    with contextlib.suppress(RuntimeError):
        server.run(name, "create unique index concurrently visits_page on visits (page)")
    seen = await preset(server, "indexes", name)
    assert seen.outcome is Outcome.FAIL
    assert "public.visits_page on visits" in seen.excerpt


async def test_an_index_under_construction_is_no_failure(server: ProductionPostgres) -> None:
    """False alarm: it is invalid until it is built, here held up by a transaction that has the table."""
    name = server.make_database(_TABLES)
    holder = await asyncpg.connect(server.dsn(name, "deploybot").reveal())
    builder = await asyncpg.connect(server.dsn(name, "deploybot").reveal())
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("insert into visits values (5001, 1, 'q')")
    building = asyncio.create_task(builder.execute("create index concurrently late on visits (page)"))
    try:
        for _ in range(200):
            seen = await preset(server, "indexes", name, min_rows=100_000)
            if seen.values["building"]:
                break
            await asyncio.sleep(0.02)
        assert (seen.outcome, seen.values["invalid"]) == (Outcome.WARN, 0)
    finally:
        await transaction.rollback()
        await building
        await holder.close()
        await builder.close()


async def test_a_foreign_key_without_an_index_warns_on_larger_tables_only(server: ProductionPostgres) -> None:
    name = server.make_database(_TABLES + "create index on visits (page, customer); analyze;")
    seen = await preset(server, "indexes", name, min_rows=1000)
    assert (seen.outcome, seen.values["fk_without_index"]) == (Outcome.WARN, 1)
    assert "FOREIGN KEY (customer)" in seen.excerpt
    assert (await preset(server, "indexes", name, min_rows=5000)).outcome is Outcome.PASS


async def test_a_duplicate_index_warns_and_a_similar_one_does_not(server: ProductionPostgres) -> None:
    name = server.make_database(
        _TABLES
        + "create index a on visits (customer); create index b on visits (customer);"
        + "create index c on visits (customer) where page = 'p'; create index d on visits (customer desc);"
    )
    seen = await preset(server, "indexes", name, min_rows=100_000)
    assert (seen.outcome, seen.values["duplicates"]) == (Outcome.WARN, 1)
    assert "a, b on public.visits" in seen.excerpt


async def test_a_large_unused_index_and_a_table_read_whole_warn(server: ProductionPostgres) -> None:
    name = server.make_database(
        "create table wide (id int primary key, filler text);"
        "insert into wide select g, (select string_agg(md5(g || '/' || n), '') from generate_series(1, 26) n)"
        "  from generate_series(1, 14000) g;"
        "create index wide_filler on wide (filler); analyze wide;"
    )
    seen = await preset(server, "indexes", name)
    assert seen.outcome is Outcome.PASS, "a table nobody has read yet proves nothing"
    server.run(
        name,
        "do $$ begin for i in 1..120 loop perform sum(length(filler)) from wide; end loop; end $$;"
        "select pg_stat_force_next_flush();",
    )
    seen = await preset(server, "indexes", name)
    assert seen.outcome is Outcome.WARN, seen.excerpt
    assert (seen.values["unused"], seen.values["seq_scan_heavy"]) == (1, 1)


# ── roles, TLS ───────────────────────────────────────────────────────────────────────────────────────────


async def test_an_ordinary_role_passes_and_says_that_it_cannot_read_pg_hba(
    server: ProductionPostgres,
) -> None:
    seen = await preset(server, "roles", user="app")
    assert seen.outcome is Outcome.PASS, seen.reason
    assert "pg_hba.conf cannot be read" in seen.observed
    demanded = await preset(server, "roles", user="app", expect={"hba": "no trust"})
    assert demanded.outcome is Outcome.FAIL


@pytest.mark.parametrize("user", ["deploybot", "climber", "filer"])
async def test_a_role_with_the_servers_powers_fails(server: ProductionPostgres, user: str) -> None:
    seen = await preset(server, "roles", role=user)
    assert seen.outcome is Outcome.FAIL, seen.reason


async def test_a_role_that_makes_others_warns(server: ProductionPostgres) -> None:
    seen = await preset(server, "roles", role="maker")
    assert (seen.outcome, seen.values["createrole"]) == (Outcome.WARN, True)


async def test_a_role_there_is_not_is_unknown(server: ProductionPostgres) -> None:
    assert (await preset(server, "roles", role="nobody")).outcome is Outcome.UNKNOWN


async def test_trust_rules_are_judged_where_they_can_be_read(server: ProductionPostgres) -> None:
    server.run(
        "postgres",
        "grant select on pg_hba_file_rules to auditor;"
        "grant execute on function pg_hba_file_rules() to auditor;",
    )
    seen = await preset(server, "roles", user="auditor")
    assert (seen.outcome, seen.values["hba"]) == (Outcome.WARN, "local trust")
    before = server.hba.read_text()
    try:
        server.hba.write_text(before + "host all app 10.0.0.0/8 trust\n")
        seen = await preset(server, "roles", user="auditor")
        assert (seen.outcome, seen.values["hba"]) == (Outcome.FAIL, "trust")
        assert "10.0.0.0" in seen.excerpt
        server.hba.write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        assert (await preset(server, "roles", user="auditor")).outcome is Outcome.PASS
    finally:
        server.hba.write_text(before)


async def test_an_encrypted_connection_passes_and_a_plain_one_fails(server: ProductionPostgres) -> None:
    params = {"dsn": server.dsn("postgres", "watcher", query="sslmode=require")}
    seen = await examine("sql.pg.tls", params)
    assert (seen.outcome, seen.values["tls_version"]) == (Outcome.PASS, "TLSv1.3")
    seen = await examine("sql.pg.tls", params, warn={"sslmode": "< verify-full"})
    assert seen.outcome is Outcome.WARN
    plain = {"dsn": server.dsn("postgres", "watcher", query="sslmode=disable")}
    seen = await examine("sql.pg.tls", plain)
    assert (seen.outcome, seen.observed[:13]) == (Outcome.FAIL, "not encrypted")


# ── standbys, archive ────────────────────────────────────────────────────────────────────────────────────


async def test_without_a_standby_it_is_unknown_unless_none_is_expected(server: ProductionPostgres) -> None:
    seen = await preset(server, "replication")
    assert (seen.outcome, "has no standby" in seen.reason) == (Outcome.UNKNOWN, True)
    assert (await preset(server, "replication", expected=0)).outcome is Outcome.PASS
    assert (await preset(server, "replication", expected=1)).outcome is Outcome.FAIL


async def test_replication_that_is_hidden_is_unknown(server: ProductionPostgres) -> None:
    seen = await preset(server, "replication", user="app", expected=1)
    assert (seen.outcome, "pg_monitor" in seen.reason) == (Outcome.UNKNOWN, True)


async def test_a_streaming_standby_passes_and_a_slot_nobody_reads_warns(server: ProductionPostgres) -> None:
    with server.standby() as port:
        for _ in range(200):
            seen = await preset(server, "replication", expected=1)
            if seen.outcome is Outcome.PASS:
                break
            await asyncio.sleep(0.05)
        assert seen.outcome is Outcome.PASS, seen.reason
        assert "standby_one  streaming" in seen.excerpt
        assert (await preset(server, "replication", expected=2)).outcome is Outcome.FAIL
        own = await examine(
            "sql.pg.replication", {"dsn": Secret("db", f"postgresql://watcher@localhost:{port}/postgres")}
        )
        assert (own.outcome, own.values["role"]) == (Outcome.PASS, "standby"), own.reason
        server.run("postgres", "select pg_create_physical_replication_slot('left_over', true)")
        try:
            seen = await preset(server, "replication", expected=1)
            assert seen.outcome is Outcome.WARN
        finally:
            server.run("postgres", "select pg_drop_replication_slot('left_over')")


async def test_an_archive_that_fails_is_seen(server: ProductionPostgres) -> None:
    async def archived(until: Outcome) -> Evidence:
        for _ in range(200):
            server.run("postgres", "create table if not exists t (n int); insert into t values (1);")
            server.run("postgres", "select pg_switch_wal()")
            seen = await preset(server, "archiver")
            if seen.outcome is until:
                return seen
            await asyncio.sleep(0.05)
        raise AssertionError(seen)

    await archived(Outcome.PASS)
    server.archive_with("exit 1")
    try:
        seen = await archived(Outcome.FAIL)
    finally:
        server.archive_with("exit 0")
    assert "failing now" in seen.observed


async def test_no_archive_is_unknown(postgres: Any) -> None:
    seen = await examine("sql.pg.archiver", {"dsn": Secret("db", postgres.new_database())})
    assert (seen.outcome, "archive_mode is off" in seen.reason) == (Outcome.UNKNOWN, True)


PRESETS = ("connections", "slow_statements", "indexes", "roles", "tls", "replication", "archiver")


@pytest.mark.parametrize("name", PRESETS)
async def test_no_preset_is_green_where_it_sees_nothing(server: ProductionPostgres, name: str) -> None:
    refused = Secret("db", f"postgresql://locked:wrong@localhost:{server.port}/postgres")
    down = Secret("db", f"postgresql://app@localhost:{free_port()}/postgres")
    other = Secret("db", "mysql://app@localhost/shop")
    for dsn, outcome in ((refused, Outcome.UNKNOWN), (down, Outcome.FAIL), (other, Outcome.ERROR)):
        assert (await examine(f"sql.pg.{name}", {"dsn": dsn})).outcome is outcome


async def test_a_database_that_stops_answering_fails(server: ProductionPostgres) -> None:
    """A way that swallows what is sent once the login is through: the limit of the server is never heard of."""

    async def relay(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def up() -> None:
            while data := await client.read(65536):
                if b"pg_stat_activity" not in data:
                    writer.write(data)

        async def down() -> None:
            while data := await reader.read(65536):
                back.write(data)

        await asyncio.gather(up(), down(), return_exceptions=True)

    port = free_port()
    listener = await asyncio.start_server(relay, "127.0.0.1", port)
    dsn = Secret("db", f"postgresql://watcher@localhost:{port}/postgres?sslmode=disable")
    params = {"dsn": dsn, "statement_timeout": "50ms"}
    seen = await examine("sql.pg.connections", params, timeout=30)
    listener.close()
    assert (seen.outcome, "stopped answering" in seen.reason) == (Outcome.FAIL, True), seen.reason


# ── PgBouncer ────────────────────────────────────────────────────────────────────────────────────────────


def stats(
    port: int, *, database: str = "pgbouncer", password: str = "correct-horse", query: str = ""
) -> dict[str, Any]:
    return {"dsn": Secret("db", f"postgresql://stats:{password}@localhost:{port}/{database}{query}")}


@pytest.mark.parametrize("auth", ["trust", "md5", "scram-sha-256", "plain"])
async def test_an_idle_pgbouncer_passes_with_every_login(server: ProductionPostgres, auth: str) -> None:
    with pgbouncer(postgres_port=server.port, auth=auth) as port:
        seen = await examine("sql.pgbouncer", stats(port), expect={"pool_mode": "transaction"})
        assert seen.outcome is Outcome.PASS, seen.reason
        if auth != "trust":
            refused = await examine("sql.pgbouncer", stats(port, password="wrong"))
            assert refused.outcome is Outcome.UNKNOWN, refused


async def test_the_wrong_pool_mode_fails(server: ProductionPostgres) -> None:
    with pgbouncer(postgres_port=server.port, mode="session") as port:
        seen = await examine("sql.pgbouncer", stats(port), expect={"pool_mode": "transaction"})
        assert seen.reason == "pool_mode is session, not transaction"


async def test_clients_that_wait_warn_and_fail(server: ProductionPostgres) -> None:
    with pgbouncer(postgres_port=server.port, pool_size=1, clients=8) as port:
        url = f"postgresql://app@localhost:{port}/shop"
        connections = [await asyncpg.connect(url, statement_cache_size=0, ssl="disable") for _ in range(2)]
        transaction = connections[0].transaction()
        await transaction.start()
        waiting = asyncio.create_task(connections[1].execute("select 1"))
        try:
            for _ in range(100):
                seen = await examine("sql.pgbouncer", stats(port), warn={"waiting_clients": "> 0"})
                if seen.outcome is Outcome.WARN:
                    break
                await asyncio.sleep(0.02)
            assert seen.values["waiting_clients"] == 1
            strict = await examine(
                "sql.pgbouncer", stats(port) | {"database": "shop"}, fail={"waiting_clients": "> 0"}
            )
            assert strict.outcome is Outcome.FAIL
            full = await examine("sql.pgbouncer", stats(port), fail={"client_share": "> 0.3"})
            assert full.outcome is Outcome.FAIL
        finally:
            await transaction.rollback()
            await waiting
            for connection in connections:
                await connection.close()


async def test_pgbouncer_over_tls_is_verified(server: ProductionPostgres, tmp_path: Path) -> None:
    ca, certificate, key = throw_away_ca(tmp_path, "localhost")
    with pgbouncer(postgres_port=server.port, certificate=(certificate, key)) as port:
        context = make_context(root=tmp_path)
        params = stats(port, query="?sslmode=verify-full") | {"ca_file": ca.name}
        assert (await examine("sql.pgbouncer", params, context=context)).outcome is Outcome.PASS
        seen = await examine("sql.pgbouncer", stats(port, query="?sslmode=verify-full"))
        assert (seen.outcome, "certificate" in seen.reason) == (Outcome.FAIL, True)


async def test_a_pool_that_is_not_there_and_a_postgres_are_unknown(server: ProductionPostgres) -> None:
    with pgbouncer(postgres_port=server.port) as port:
        seen = await examine("sql.pgbouncer", stats(port) | {"database": "nowhere"})
        assert seen.outcome is Outcome.UNKNOWN
    dsn = server.dsn("postgres")
    seen = await examine("sql.pgbouncer", {"dsn": dsn})
    assert seen.outcome is Outcome.UNKNOWN


async def test_no_pgbouncer_fails_and_another_database_is_an_error() -> None:
    assert (await examine("sql.pgbouncer", stats(free_port()))).outcome is Outcome.FAIL
    seen = await examine("sql.pgbouncer", {"dsn": Secret("db", "mysql://x@localhost/pgbouncer")})
    assert seen.outcome is Outcome.ERROR
