"""People's App Homes: who opened theirs lately, what it shows, and who is drawing it.

What a home shows changes with every event of any deployment of the workspace. So nothing is written here
then: a stamp of the workspace's deployments, compared with the stamp a home shows, says that it is behind.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Phase
from bot.storage import leases
from bot.storage.installations import served
from bot.storage.schema import deployments, homes, posts

#: Kinds of messages a home links to: once one is sent, its link can be drawn.
LINKED = ("card", "section", "runbook", "alert")


@dataclass(frozen=True, kw_only=True)
class Home:
    """One person's home."""

    team: str
    user: str
    opened_at: datetime
    #: How often it was asked for, and how many of these the screen answers.
    wanted: int
    shown: int
    #: The workspace's stamp that is on the screen, and the alerts that are.
    stamp: str
    alarms: frozenset[str]
    shown_at: datetime | None
    leased_by: str | None
    leased_until: datetime | None
    failures: int
    retry_at: datetime | None

    @property
    def key(self) -> tuple[str, str]:
        """The workspace and the person."""
        return self.team, self.user


async def want(tx: AsyncConnection, team: str, user: str, *, at: datetime, opened: bool) -> None:
    """Ask for a home to be drawn; `opened` where the person just opened it.

    Raises IntegrityError where another process added it at the same moment: try again then.
    """
    values: dict[str, Any] = {"wanted": homes.c.wanted + 1, "retry_at": None}
    if opened:
        values["opened_at"] = at
    known = await tx.execute(update(homes).where(_is(team, user)).values(values))
    if known.rowcount or not opened:
        return
    await tx.execute(
        insert(homes).values(
            team=team, user=user, opened_at=at, wanted=1, shown=0, stamp="", alarms="[]", failures=0
        )
    )


async def opened_since(tx: AsyncConnection, since: datetime) -> list[Home]:
    """The homes that were opened since then, those drawn longest ago first."""
    query = select(homes).where(homes.c.opened_at > since, served(homes.c.team))
    return [_home(row) for row in await tx.execute(query.order_by(homes.c.shown_at, homes.c.opened_at))]


async def stamps(tx: AsyncConnection, teams: Collection[str]) -> dict[str, str]:
    """What each workspace's deployments are now, as a word that changes with them and with their messages."""
    events = select(deployments.c.team, func.sum(deployments.c.seq)).where(deployments.c.team.in_(teams))
    sent = (
        select(deployments.c.team, func.count(posts.c.id))
        .join(posts, posts.c.deployment_id == deployments.c.id)
        .where(
            deployments.c.team.in_(teams),
            deployments.c.phase == Phase.IN_PROGRESS,
            posts.c.kind.in_(LINKED),
            posts.c.ts.is_not(None),
        )
    )
    seqs: dict[str, int] = {row[0]: row[1] for row in await tx.execute(events.group_by(deployments.c.team))}
    counts: dict[str, int] = {row[0]: row[1] for row in await tx.execute(sent.group_by(deployments.c.team))}
    return {team: f"{int(seqs.get(team) or 0)}.{counts.get(team, 0)}" for team in teams}


async def claim(
    tx: AsyncConnection, team: str, user: str, *, owner: str, at: datetime, until: datetime
) -> Home | None:
    """Take a home for drawing, or None where another process has it."""
    free = leases.free(homes, owner=owner, at=at)
    query = select(homes).where(_is(team, user), free).with_for_update(skip_locked=True)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    await tx.execute(update(homes).where(_is(team, user)).values(leased_by=owner, leased_until=until))
    return _home(row)


async def drawn(
    tx: AsyncConnection,
    home: Home,
    *,
    stamp: str,
    alarms: Collection[str],
    at: datetime,
) -> None:
    """Note what a claimed home shows now."""
    await tx.execute(
        update(homes)
        .where(_is(home.team, home.user))
        .values(
            shown=home.wanted,
            stamp=stamp,
            alarms=json.dumps(sorted(alarms)),
            shown_at=at,
            leased_by=None,
            leased_until=None,
            failures=0,
            retry_at=None,
        )
    )


async def failed(tx: AsyncConnection, home: Home, *, retry_at: datetime) -> None:
    """Note that drawing it failed, and when to try again."""
    await tx.execute(
        update(homes)
        .where(_is(home.team, home.user))
        .values(failures=homes.c.failures + 1, retry_at=retry_at, leased_by=None, leased_until=None)
    )


async def let_go(tx: AsyncConnection, home: Home) -> None:
    """Give a claimed home back as it is."""
    query = update(homes).where(_is(home.team, home.user))
    await tx.execute(query.values(leased_by=None, leased_until=None))


async def release(tx: AsyncConnection, *, owner: str | None) -> None:
    """Give back what this process took; None: what anybody took, where no other process can be running."""
    query = update(homes).where(leases.held(homes, owner))
    await tx.execute(query.values(leased_by=None, leased_until=None))


async def prune(tx: AsyncConnection, *, before: datetime) -> None:
    """Forget homes nobody opened since then."""
    await tx.execute(delete(homes).where(homes.c.opened_at < before))


def _is(team: str, user: str) -> Any:
    return and_(homes.c.team == team, homes.c.user == user)


def _home(row: Row[Any]) -> Home:
    return Home(
        team=row.team,
        user=row.user,
        opened_at=row.opened_at,
        wanted=row.wanted,
        shown=row.shown,
        stamp=row.stamp,
        alarms=frozenset(json.loads(row.alarms)),
        shown_at=row.shown_at,
        leased_by=row.leased_by,
        leased_until=row.leased_until,
        failures=row.failures,
        retry_at=row.retry_at,
    )
