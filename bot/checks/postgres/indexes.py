"""Indexes that are broken, missing, double or of no use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.checks.postgres.session import Session
from bot.domain.check import Observation

#: An unused index counts from this size on (catalogue C2).
UNUSED_MB = 10
#: Looks at a table since the statistics were reset from which on it is known how it is used.
ENOUGH_SCANS = 100

_OWN = "n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"

# An index under construction is not valid yet. Who may not see what others build sees only that they do.
_INVALID = f"""
select n.nspname || '.' || c.relname as name, t.relname as "table",
       exists (select from pg_catalog.pg_stat_progress_create_index p
               where p.datid = (select oid from pg_catalog.pg_database where datname = current_database())
                 and (p.index_relid = i.indexrelid or p.relid is null))
         as building
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_class t on t.oid = i.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where not i.indisvalid and c.relkind = 'i' and {_OWN}
order by 1
"""

# A foreign key is served by an index whose first columns are its columns, in any order.
_FOREIGN_KEYS = f"""
select n.nspname || '.' || t.relname as "table", k.conname as name,
       pg_catalog.pg_get_constraintdef(k.oid) as definition, t.reltuples::bigint as rows
from pg_catalog.pg_constraint k
join pg_catalog.pg_class t on t.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = t.relnamespace
where k.contype = 'f' and k.conparentid = 0 and {_OWN}
  and greatest(t.reltuples, coalesce(pg_catalog.pg_stat_get_live_tuples(t.oid), 0)) >= $1
  and not exists (
    select from pg_catalog.pg_index i
    where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null
      and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
      and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] <@ k.conkey)
order by 4 desc, 1, 2
"""

_DUPLICATES = f"""
select n.nspname || '.' || t.relname as "table", array_agg(c.relname::text order by c.relname) as names,
       sum(pg_catalog.pg_relation_size(c.oid))::bigint as bytes
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_class t on t.oid = i.indrelid
join pg_catalog.pg_namespace n on n.oid = t.relnamespace
where i.indisvalid and {_OWN}
group by 1, i.indrelid, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text, c.relam,
         i.indnatts, i.indnkeyatts,
         pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid)
having count(*) > 1
order by 3 desc
"""

# On a table that is hardly looked at, an index that was never looked at says nothing.
_UNUSED = """
select s.schemaname || '.' || s.indexrelname as name, s.schemaname || '.' || s.relname as "table",
       pg_catalog.pg_relation_size(s.indexrelid)::bigint as bytes
from pg_catalog.pg_stat_user_indexes s
join pg_catalog.pg_index i on i.indexrelid = s.indexrelid
join pg_catalog.pg_stat_user_tables t on t.relid = s.relid
where s.idx_scan = 0 and not i.indisunique and not i.indisprimary and not i.indisexclusion and i.indisvalid
  and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid)
  and t.seq_scan + coalesce(t.idx_scan, 0) >= $1
  and pg_catalog.pg_relation_size(s.indexrelid) > $2
order by 3 desc
"""

# Every worker of a parallel scan counts as a scan that read its part; one that stops early reads hardly any.
_SCANNED = """
select schemaname || '.' || relname as "table", n_live_tup as rows, seq_scan as scans,
       coalesce(idx_scan, 0) as index_scans
from pg_catalog.pg_stat_user_tables
where n_live_tup >= $1 and seq_scan >= $2 and seq_scan > coalesce(idx_scan, 0)
  and seq_tup_read / seq_scan >= n_live_tup / 10
order by seq_tup_read desc
"""


async def indexes(session: Session, *, min_rows: int) -> Observation:
    """What is wrong with the indexes of this database (catalogue C2)."""
    invalid = await session.rows(_INVALID)
    broken = [row for row in invalid if not row["building"]]
    building = [row for row in invalid if row["building"]]
    keys = await session.rows(_FOREIGN_KEYS, float(min_rows))
    duplicates = await session.rows(_DUPLICATES)
    unused = await session.rows(_UNUSED, ENOUGH_SCANS, UNUSED_MB * 1024 * 1024)
    scanned = await session.rows(_SCANNED, min_rows, ENOUGH_SCANS)
    counts = {
        "invalid": len(broken),
        "building": len(building),
        "fk_without_index": len(keys),
        "duplicates": sum(len(row["names"]) - 1 for row in duplicates),
        "unused": len(unused),
        "seq_scan_heavy": len(scanned),
    }
    said = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    lines = [
        *_lines("invalid", broken, lambda row: f"{row['name']} on {row['table']}"),
        *_lines("building", building, lambda row: f"{row['name']} on {row['table']}"),
        *_lines("no index", keys, lambda row: f"{row['table']}: {row['definition']} ({row['rows']} rows)"),
        *_lines(
            "duplicate",
            duplicates,
            lambda row: f"{', '.join(row['names'])} on {row['table']} ({_size(row['bytes'])})",
        ),
        *_lines("unused", unused, lambda row: f"{row['name']} on {row['table']} ({_size(row['bytes'])})"),
        *_lines(
            "read whole",
            scanned,
            lambda row: (
                f"{row['table']}: {row['scans']} whole reads, {row['index_scans']} by index, "
                f"{row['rows']} rows"
            ),
        ),
    ]
    return Observation(
        target=session.dsn.shown,
        values=counts,
        summary=", ".join(said) or "no invalid, missing, duplicate or unused index",
        excerpt="\n".join(lines),
    )


def _lines(label: str, rows: Sequence[Mapping[str, Any]], show: Any) -> list[str]:
    """The first five of a finding."""
    shown = [f"{label:<10} {show(row)}" for row in rows[:5]]
    return shown + ([f"{label:<10} … and {len(rows) - 5} more"] if len(rows) > 5 else [])


def _size(count: int) -> str:
    return f"{count / 1_048_576:.1f} MB"
