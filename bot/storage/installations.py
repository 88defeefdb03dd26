"""Workspaces the bot was added to: who they are, their sealed tokens, and whether they still want it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, not_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.schema import deployments, installations, oauth_states, posts


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The bot in one workspace."""

    #: Slack's id of the workspace (`T…`), and its name.
    team: str
    name: str
    #: Its address, e.g. `https://acme.slack.com/`.
    url: str
    #: Slack's ids of the app, of the bot's user and of the bot.
    app: str
    bot_user: str
    bot_id: str
    #: The bot's handle there.
    handle: str
    #: What the token may do.
    scopes: frozenset[str]
    #: Who added it, and when.
    installer: str
    installed_at: datetime
    #: Sealed; None once it was taken away.
    token: str | None = field(repr=False)
    #: Sealed; None for a token that does not expire.
    refresh_token: str | None = field(default=None, repr=False)
    #: When the token expires; None for never.
    expires_at: datetime | None = None
    #: When the workspace took the app away; None while it is wanted.
    revoked_at: datetime | None = None


def served(team: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a workspace wants the bot: everything but what took it away."""
    gone = select(installations.c.team).where(
        installations.c.team == team, installations.c.revoked_at.is_not(None)
    )
    return not_(gone.exists())


def of_served(deployment_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the deployment belongs to a workspace that wants the bot."""
    gone = (
        select(deployments.c.id)
        .join(installations, installations.c.team == deployments.c.team)
        .where(deployments.c.id == deployment_id, installations.c.revoked_at.is_not(None))
    )
    return not_(gone.exists())


async def get(tx: AsyncConnection, team: str, *, locked: bool = False) -> Installation | None:
    """One workspace's, or None."""
    query = select(installations).where(installations.c.team == team)
    row = (await tx.execute(query.with_for_update() if locked else query)).one_or_none()
    return None if row is None else _installation(row)


async def every(tx: AsyncConnection) -> list[Installation]:
    """All of them, the oldest first."""
    query = select(installations).order_by(installations.c.installed_at, installations.c.team)
    return [_installation(row) for row in await tx.execute(query)]


async def counted(tx: AsyncConnection) -> dict[str, int]:
    """How many workspaces have the bot (`live`), and how many took it away (`revoked`)."""
    query = select(func.count(), func.count(installations.c.revoked_at)).select_from(installations)
    total, revoked = (await tx.execute(query)).one()
    return {"live": total - revoked, "revoked": revoked}


async def put(tx: AsyncConnection, installation: Installation) -> None:
    """Add a workspace, or put a new installation in the place of the one it has."""
    values = {name: getattr(installation, name) for name in Installation.__dataclass_fields__}
    values["scopes"] = ",".join(sorted(installation.scopes))
    values |= {"leased_by": None, "leased_until": None}
    replace = update(installations).where(installations.c.team == installation.team).values(values)
    if (await tx.execute(replace)).rowcount:
        return
    try:
        async with tx.begin_nested():
            await tx.execute(insert(installations).values(values))
    except IntegrityError:  # somebody else has added it this very moment: the later one counts
        await tx.execute(replace)


async def revoke(tx: AsyncConnection, team: str, *, at: datetime, token: str | None = None) -> bool:
    """Note that the workspace took the app away, and erase its tokens; False where that is known.

    With `token`, only while it still has this sealed one: what was added again meanwhile stays.
    """
    query = update(installations).where(installations.c.team == team, installations.c.revoked_at.is_(None))
    if token is not None:
        query = query.where(installations.c.token == token)
    gone = {"token": None, "refresh_token": None, "expires_at": None, "leased_by": None, "leased_until": None}
    return bool((await tx.execute(query.values(revoked_at=at, **gone))).rowcount)


async def forget(tx: AsyncConnection, team: str) -> None:
    """Take a workspace out of the list."""
    await tx.execute(delete(installations).where(installations.c.team == team))


async def retry_posts(tx: AsyncConnection, team: str) -> None:
    """Try again at once whatever could not be sent to a workspace: it has a new token."""
    theirs = select(deployments.c.id).where(deployments.c.team == team)
    query = update(posts).where(posts.c.wanted > posts.c.shown, posts.c.deployment_id.in_(theirs))
    await tx.execute(query.values(retry_at=None))


async def teams_of(tx: AsyncConnection, deployment_ids: Sequence[int]) -> dict[int, str]:
    """The workspace of each of these deployments."""
    query = select(deployments.c.id, deployments.c.team).where(deployments.c.id.in_(deployment_ids))
    return {row.id: row.team for row in await tx.execute(query)}


# ── tokens that expire ───────────────────────────────────────────────────────────────────────────────────


async def take_turn(
    tx: AsyncConnection, team: str, *, owner: str, at: datetime, until: datetime, expiring: datetime
) -> Installation | None:
    """Take the lease to exchange a token that expires by `expiring`; None where nothing is to be done here.

    A refresh token works once (Slack docs: token rotation), so only one process may use it.
    """
    free = or_(installations.c.leased_until.is_(None), installations.c.leased_until < at)
    taken = await tx.execute(
        update(installations)
        .where(
            installations.c.team == team,
            installations.c.revoked_at.is_(None),
            installations.c.refresh_token.is_not(None),
            installations.c.expires_at <= expiring,
            free,
        )
        .values(leased_by=owner, leased_until=until)
    )
    return await get(tx, team) if taken.rowcount else None


async def exchanged(
    tx: AsyncConnection, team: str, *, owner: str, token: str, refresh_token: str, expires_at: datetime
) -> bool:
    """Keep what the token was exchanged for; False where the lease was lost."""
    kept = await tx.execute(
        update(installations)
        .where(installations.c.team == team, installations.c.leased_by == owner)
        .values(
            token=token,
            refresh_token=refresh_token,
            expires_at=expires_at,
            leased_by=None,
            leased_until=None,
        )
    )
    return bool(kept.rowcount)


async def end_turn(tx: AsyncConnection, team: str, *, owner: str) -> None:
    """Give the lease back."""
    await tx.execute(
        update(installations)
        .where(installations.c.team == team, installations.c.leased_by == owner)
        .values(leased_by=None, leased_until=None)
    )


async def reseal(tx: AsyncConnection, old: Installation, *, token: str, refresh_token: str | None) -> bool:
    """Keep the same tokens under another key; False where they were changed meanwhile."""
    same = and_(installations.c.team == old.team, installations.c.token == old.token)
    values: dict[str, Any] = {"token": token, "refresh_token": refresh_token}
    return bool((await tx.execute(update(installations).where(same).values(values))).rowcount)


# ── installations begun ──────────────────────────────────────────────────────────────────────────────────


async def begin(tx: AsyncConnection, hashed: str, *, at: datetime, until: datetime, most: int) -> bool:
    """Remember that somebody has begun; False where more than `most` have and none is over yet."""
    await tx.execute(delete(oauth_states).where(oauth_states.c.expires_at <= at))
    if (await tx.execute(select(func.count()).select_from(oauth_states))).scalar_one() >= most:
        return False
    await tx.execute(insert(oauth_states).values(hash=hashed, expires_at=until))
    return True


async def begun(tx: AsyncConnection, hashed: str, *, at: datetime) -> bool:
    """Whether this was begun and is not over; asked once, it is used up."""
    used = await tx.execute(
        delete(oauth_states).where(oauth_states.c.hash == hashed, oauth_states.c.expires_at > at)
    )
    return bool(used.rowcount)


def _installation(row: Row[Any]) -> Installation:
    return Installation(
        team=row.team,
        name=row.name,
        url=row.url,
        app=row.app,
        bot_user=row.bot_user,
        bot_id=row.bot_id,
        handle=row.handle,
        scopes=frozenset(scope for scope in row.scopes.split(",") if scope),
        installer=row.installer,
        installed_at=row.installed_at,
        token=row.token,
        refresh_token=row.refresh_token,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
