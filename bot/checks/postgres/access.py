"""Who may do what, and over which wire."""

from __future__ import annotations

from typing import Any

import asyncpg

from bot.checks.kind import NoData
from bot.checks.postgres.session import SERVER_ROLES, Session
from bot.domain.check import Observation

# A member of a superuser role becomes one by SET ROLE.
_ROLE = """
select r.rolname as role, r.rolcreatedb as createdb, r.rolcreaterole as createrole,
       r.rolreplication as replication, r.rolbypassrls as bypass_rls,
       exists (select from pg_catalog.pg_roles s
               where s.rolsuper and pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER')) as superuser,
       exists (select from pg_catalog.pg_roles s
               where s.rolname = any($2::text[]) and pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER'))
         as server_access
from pg_catalog.pg_roles r where r.rolname = coalesce(nullif($1, ''), current_user)
"""

_TRUST = """
select line_number, type, array_to_string(database, ',') as databases,
       array_to_string(user_name, ',') as users, coalesce(address, '') as address,
       type = 'local' or address in ('127.0.0.1', '::1', 'samehost', 'localhost') as local
from pg_catalog.pg_hba_file_rules
where auth_method = 'trust' and error is null
order by line_number
"""

_TLS = """
select ssl as tls, version, cipher, bits from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()
"""

_OTHERS = """
select count(*) filter (where not s.ssl and a.client_addr is not null
                        and not (a.client_addr <<= '127.0.0.0/8' or a.client_addr = '::1'))::int as plain,
       count(*) filter (where a.query = '<insufficient privilege>')::int as hidden
from pg_catalog.pg_stat_activity a join pg_catalog.pg_stat_ssl s on s.pid = a.pid
where a.pid <> pg_backend_pid()
"""


async def roles(session: Session, *, role: str) -> Observation:
    """What a role may do, and whether pg_hba.conf lets anybody in without a login (catalogue B6)."""
    found = await session.rows(_ROLE, role, list(SERVER_ROLES))
    if not found:
        raise NoData(f"{session.dsn.shown} has no role {role}")
    flags = found[0]
    name = flags.pop("role")
    rules = await _trust_rules(session)
    held = [flag for flag, is_set in flags.items() if is_set]
    if rules is None:
        hba = "not readable"
        said = "pg_hba.conf cannot be read by this role"
    else:
        far = [rule for rule in rules if not rule["local"]]
        hba = "trust" if far else "local trust" if rules else "no trust"
        said = f"{len(rules)} trust rules in pg_hba.conf" if rules else "no trust rule in pg_hba.conf"
    return Observation(
        target=f"role {name} at {session.dsn.shown}",
        values={**flags, "role": name, "hba": hba},
        summary=f"{name}: {', '.join(held) or 'no special rights'}; {said}",
        excerpt="\n".join(
            f"line {rule['line_number']}: {rule['type']} {rule['databases']} {rule['users']} "
            f"{rule['address']} trust"
            for rule in rules or ()
        ),
    )


async def _trust_rules(session: Session) -> list[dict[str, Any]] | None:
    """The rules without a login; None where this role may not read them, which most may not."""
    try:
        async with session.connection.transaction():
            return await session.rows(_TRUST)
    except asyncpg.InsufficientPrivilegeError:
        return None


async def tls(session: Session) -> Observation:
    """How this session is encrypted, and how many others are not."""
    own = await session.row(_TLS)
    others = await session.row(_OTHERS)
    values: dict[str, Any] = {
        "tls": own["tls"],
        "tls_version": own["version"],
        "cipher": own["cipher"],
        "sslmode": session.dsn.sslmode,
    }
    if not others["hidden"]:
        values["plain_sessions"] = others["plain"]
    said = f"{own['version']}, {own['cipher']}" if own["tls"] else "not encrypted"
    return Observation(
        target=session.dsn.shown,
        values=values,
        summary=f"{said}, sslmode={session.dsn.sslmode}"
        + (f", {others['plain']} other sessions unencrypted" if not others["hidden"] else ""),
    )
