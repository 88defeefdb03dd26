"""Copies of the database: standbys and the archive."""

from __future__ import annotations

from typing import Any

from bot.checks.kind import NoData
from bot.checks.postgres.session import Session
from bot.domain.check import Observation

# On a standby that has replayed all it received, the age of the last transaction is no lag.
_STANDBY = """
select pg_is_in_recovery() as standby,
       case when not pg_is_in_recovery() then null
            when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
            else extract(epoch from now() - pg_last_xact_replay_timestamp()) end::float8 as lag_s,
       exists (select from pg_catalog.pg_stat_wal_receiver where status = 'streaming') as receiving
"""

# A base backup in progress has a WAL sender too, in the state `backup`.
_SENDERS = """
select coalesce(nullif(application_name, ''), '?') as name, state, sync_state,
       coalesce(extract(epoch from replay_lag), 0)::float8 as lag_s,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint as lag_bytes
from pg_catalog.pg_stat_replication
where state is distinct from 'backup'
order by lag_bytes desc
"""

_SLOTS = "select count(*)::int as n from pg_catalog.pg_replication_slots where not active"

_ARCHIVER = """
select current_setting('archive_mode') as mode, archived_count::int as archived, failed_count::int as failed,
       extract(epoch from now() - last_archived_time)::float8 as archived_age_s,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as failing,
       last_failed_wal
from pg_catalog.pg_stat_archiver
"""


async def replication(session: Session, *, expected: int | None) -> Observation:
    """Standbys and their lag, seen from the primary; on a standby, its own. Raises NoData without any."""
    own = await session.row(_STANDBY)
    if own["standby"]:
        return _standby(session, own)
    if not await session.may_see_all():
        raise NoData(f"{session.dsn.user} may not see replication: grant it pg_monitor")
    senders = await session.rows(_SENDERS)
    slots = (await session.row(_SLOTS))["n"]
    if not senders and expected is None:
        raise NoData(f"{session.dsn.shown} has no standby; say `expected: 0` if it is to have none")
    streaming = [row for row in senders if row["state"] == "streaming"]
    lag_s = max((row["lag_s"] for row in senders), default=0.0)
    lag_bytes = max((row["lag_bytes"] for row in senders), default=0)
    return Observation(
        target=session.dsn.shown,
        values={
            "role": "primary",
            "receiving": None,
            "replicas": len(streaming),
            "catching_up": len(senders) - len(streaming),
            "lag_s": round(lag_s, 3),
            "lag_bytes": lag_bytes,
            "inactive_slots": slots,
        },
        summary=(
            f"{len(streaming)} standbys streaming, lag {lag_s:.1f} s and {lag_bytes} bytes"
            + (f", {slots} slots nobody reads" if slots else "")
        ),
        excerpt="\n".join(
            f"{row['name']}  {row['state']}  {row['sync_state']}  {row['lag_s']:.1f} s, {row['lag_bytes']} B"
            for row in senders
        ),
    )


def _standby(session: Session, own: dict[str, Any]) -> Observation:
    values: dict[str, Any] = {"role": "standby", "receiving": own["receiving"], "inactive_slots": 0}
    # What it lags behind is known only while it receives.
    if own["receiving"] and own["lag_s"] is not None:
        values["lag_s"] = round(own["lag_s"], 3)
        said = f"lag {own['lag_s']:.1f} s"
    else:
        said = "it receives nothing from its primary"
    return Observation(target=session.dsn.shown, values=values, summary=f"a standby, {said}")


async def archiver(session: Session) -> Observation:
    """Whether the write-ahead log is archived (catalogue C4). Raises NoData where archiving is off."""
    seen = await session.row(_ARCHIVER)
    if seen["mode"] == "off":
        raise NoData(f"{session.dsn.shown} archives nothing: archive_mode is off")
    if not seen["archived"] and not seen["failed"]:
        raise NoData(f"{session.dsn.shown} has archived nothing yet")
    age = seen["archived_age_s"]
    last = "never" if age is None else f"{age / 60:.0f} min ago"
    return Observation(
        target=session.dsn.shown,
        values={
            "failing": seen["failing"],
            "archived": seen["archived"],
            "failed": seen["failed"],
            "last_archived_age_s": None if age is None else round(age, 1),
        },
        summary=f"last archived {last}, {seen['failed']} failures" + (", failing now" * seen["failing"]),
        excerpt=f"last failed: {seen['last_failed_wal']}" if seen["last_failed_wal"] else "",
    )
