"""Slow statements by pg_stat_statements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from bot.checks.kind import Context, NoData
from bot.checks.postgres.session import Session
from bot.domain.check import Observation

_INSTALLED = """
select extversion, quote_ident(nspname) as schema
from pg_catalog.pg_extension join pg_catalog.pg_namespace n on n.oid = extnamespace
where extname = 'pg_stat_statements'
"""

# What maintenance and dumps take is no query time; a statement about roles may bear a password.
_NOT_QUERIES = (
    r"^\s*(vacuum|analyze|reindex|cluster|refresh|create|alter|drop|grant|revoke|copy|begin|start|commit|end"
    r"|rollback|savepoint|release|set|reset|show|discard|listen|unlisten|notify|deallocate|checkpoint)\M"
)

_STATEMENTS = """
select userid, queryid, query, calls::float8 as calls, {total}::float8 as total_ms
from {schema}.pg_stat_statements
where dbid = (select oid from pg_catalog.pg_database where datname = current_database())
  and query !~* $1 and query not like '%pg_stat_statements%'
"""

#: Longest text of a statement in the evidence, in characters.
TEXT = 160

Totals = Mapping[tuple[Any, Any, str], Mapping[str, Any]]


async def slow_statements(
    session: Session, context: Context, *, min_calls: int, min_share: float, window: float
) -> Observation:
    """The slowest mean among statements of this database that were called often enough (catalogue M2, R3).

    With a window, what happened within it; else since the statistics were reset. Raises NoData.
    """
    installed = await session.rows(_INSTALLED)
    if not installed:
        raise NoData(
            f"{session.dsn.shown} has no pg_stat_statements: put it into shared_preload_libraries, restart, "
            "and CREATE EXTENSION pg_stat_statements"
        )
    version = tuple(map(int, installed[0]["extversion"].split(".")))
    query = _STATEMENTS.format(
        schema=installed[0]["schema"], total="total_exec_time" if version >= (1, 8) else "total_time"
    )
    try:
        totals = await _totals(session, query)
        if window:
            await context.sleep(window)
            totals = difference(totals, await _totals(session, query))
    except asyncpg.ObjectNotInPrerequisiteStateError as error:
        raise NoData(
            "pg_stat_statements is created but not loaded: put it into shared_preload_libraries and restart"
        ) from error
    return judged(
        list(totals.values()),
        min_calls=min_calls,
        min_share=min_share,
        target=session.dsn.shown,
        period=f"in {window:g} s" if window else "since the statistics were reset",
    )


async def _totals(session: Session, query: str) -> Totals:
    found: dict[tuple[Any, Any, str], dict[str, Any]] = {}
    for row in await session.rows(query, _NOT_QUERIES):
        if row["queryid"] is None:
            # Neither texts nor ids of other roles' statements: the slow one may be among them.
            raise NoData(f"{session.dsn.user} may not see other roles' statements: grant it pg_monitor")
        key = (row["userid"], row["queryid"], row["query"])
        if key in found:
            found[key]["calls"] += row["calls"]
            found[key]["total_ms"] += row["total_ms"]
        else:
            found[key] = row
    return found


def difference(before: Totals, after: Totals) -> Totals:
    """What was added between two looks; a statement whose counts fell back began anew."""
    added: dict[tuple[Any, Any, str], Mapping[str, Any]] = {}
    for key, row in after.items():
        old = before.get(key)
        if old is None or old["calls"] > row["calls"]:
            added[key] = row
        elif row["calls"] > old["calls"]:
            added[key] = {
                **row,
                "calls": row["calls"] - old["calls"],
                "total_ms": row["total_ms"] - old["total_ms"],
            }
    return added


def judged(
    rows: Sequence[Mapping[str, Any]], *, min_calls: int, min_share: float, target: str, period: str
) -> Observation:
    """The figures of statements. Raises NoData where none was called often enough to speak of a mean."""
    whole = sum(row["total_ms"] for row in rows)
    often = [row for row in rows if row["calls"] >= min_calls]
    if not often:
        raise NoData(f"no statement was called {min_calls} times {period}")
    measured = [
        (row["total_ms"] / row["calls"], row["total_ms"] / whole if whole else 0.0, row) for row in often
    ]
    heavy = [entry for entry in measured if entry[1] >= min_share]
    slowest = sorted(heavy, key=lambda entry: entry[0], reverse=True)
    mean, share = (slowest[0][0], slowest[0][1]) if slowest else (0.0, 0.0)
    least = f" with at least {min_share:.0%} of the time" if min_share else ""
    return Observation(
        target=target,
        values={
            "worst_mean_ms": round(mean, 2),
            "worst_share": round(share, 4),
            "statements": len(often),
            "calls": int(sum(row["calls"] for row in often)),
        },
        summary=(
            f"slowest of {len(heavy)} statements{least} takes {mean:.1f} ms on average, "
            f"{share:.0%} of all time, {period}"
        ),
        excerpt="\n".join(
            f"{mean_:9.1f} ms  {share_:4.0%}  {int(row['calls']):>8} calls  {_shown(row['query'])}"
            for mean_, share_, row in slowest[:3]
        ),
    )


def _shown(query: str) -> str:
    # Statements come normalised, with $1 for each constant; a literal that is left must not be evidence.
    text = re.sub(r"'(?:[^']|'')*'", "'…'", " ".join(query.split()))
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"
