"""Connections: how many there may be, are, and will be."""

from __future__ import annotations

from typing import Any

from bot.checks.postgres.session import APPLICATION, Session
from bot.domain.check import Observation

# Counted from pg_stat_database, which every role may see in full; a connection to no database (a WAL sender,
# a background worker) takes no place of max_connections since PostgreSQL 12.
_LIMITS = """
select current_setting('max_connections')::int as max_connections,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
       (select coalesce(sum(numbackends), 0)::int from pg_catalog.pg_stat_database) as used,
       (select numbackends from pg_catalog.pg_stat_database where datname = current_database())
         as used_database,
       (select datconnlimit from pg_catalog.pg_database where datname = current_database()) as database_limit,
       (select rolconnlimit from pg_catalog.pg_roles where rolname = current_user) as role_limit
"""

# Another check may watch for a while inside its transaction.
_IDLE = """
select count(*) filter (where state like 'idle in transaction%'
                        and state_change < now() - make_interval(secs => $1))::int as idle,
       coalesce(max(extract(epoch from now() - state_change))
                filter (where state like 'idle in transaction%'), 0)::float8 as longest,
       count(*) filter (where query = '<insufficient privilege>')::int as hidden
from pg_catalog.pg_stat_activity
where pid <> pg_backend_pid() and application_name is distinct from $2
"""

_HOLDERS = """
select coalesce(usename, '?') as role, coalesce(nullif(application_name, ''), '?') as application,
       count(*)::int as sessions
from pg_catalog.pg_stat_activity where datname is not null
group by 1, 2 order by 3 desc limit 5
"""


async def connections(session: Session, *, planned: int | None, idle_after: float) -> Observation:
    """Limits against what is used and what the application's pools will use (catalogue C3)."""
    limits = await session.row(_LIMITS)
    # -1 is no limit. A limit of the role or the database bites before that of the server does.
    own = [limits[name] for name in ("database_limit", "role_limit") if (limits[name] or -1) >= 0]
    available = min([limits["max_connections"] - limits["reserved"], *own])
    idle = await session.row(_IDLE, float(idle_after), APPLICATION)
    holders = await session.rows(_HOLDERS)
    server = limits["max_connections"] - limits["reserved"]
    values: dict[str, Any] = {
        "max_connections": limits["max_connections"],
        "reserved": limits["reserved"],
        "available": available,
        "used": limits["used"],
        "used_share": _share(limits["used"], server),
        "planned": planned,
        "planned_share": None if planned is None else _share(planned, available),
    }
    summary = f"{limits['used']} of {server} connections used"
    if planned is not None:
        summary += f", pools may take {planned} of {available}"
    # Another role's state is hidden from who is not a member of pg_read_all_stats: zero would be a guess.
    if not idle["hidden"]:
        values["idle_in_transaction"] = idle["idle"]
        values["longest_idle_in_transaction_s"] = round(idle["longest"], 1)
        summary += f", {idle['idle']} idle in a transaction for over {idle_after:g} s"
    else:
        summary += f", {idle['hidden']} sessions hidden (grant pg_monitor to {session.dsn.user})"
    return Observation(
        target=session.dsn.shown,
        values=values,
        summary=summary,
        excerpt="\n".join(f"{row['sessions']:>5}  {row['role']}  {row['application']}" for row in holders),
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole > 0 else float("inf")
