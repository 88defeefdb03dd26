"""Messages the bot owns: what each should show by now, what it shows, and who is sending it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.post import PlannedPost
from bot.storage import leases
from bot.storage.installations import of_served
from bot.storage.schema import Instant, posts

#: Kinds of messages that are posted once and say what was then; nothing draws them again.
ONCE = ("notice", "announcement", "reminder", "direct", "report")
#: Longer than any message waits for more changes to come.
SETTLED = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Post:
    """A message the bot owns."""

    id: int
    #: Travels in the message's metadata, so that a post with an unknown outcome can be found.
    uid: str
    deployment_id: int
    kind: str
    key: str
    channel: str
    #: Order within the thread.
    place: int
    content: Mapping[str, Any]
    #: Slack's id of the message, None until it is sent.
    ts: str | None
    #: The thread it was sent to; None for the card.
    thread_ts: str | None
    #: Revision the state asks for, and the one on the screen.
    wanted: int
    shown: int
    #: When the oldest and the newest change not shown yet were made.
    first_wanted_at: datetime
    last_wanted_at: datetime
    shown_at: datetime | None
    #: When a first post was tried whose outcome is not known.
    attempted_at: datetime | None
    failures: int
    retry_at: datetime | None
    problem: str | None
    #: The process that is sending it, and until when it may take.
    leased_by: str | None
    leased_until: datetime | None


async def add(
    tx: AsyncConnection,
    planned: Sequence[PlannedPost],
    *,
    deployment_id: int,
    channel: str,
    at: datetime,
) -> None:
    """Own new messages, each with a uid of its own, after those the deployment has."""
    query = select(func.coalesce(func.max(posts.c.place), -1)).where(posts.c.deployment_id == deployment_id)
    last = (await tx.execute(query)).scalar_one()
    await tx.execute(
        insert(posts),
        [
            {
                "uid": uuid.uuid4().hex,
                "deployment_id": deployment_id,
                "kind": post.kind,
                "key": post.key,
                "channel": channel,
                "place": last + offset,
                "content": json.dumps(post.content, ensure_ascii=False),
                "wanted": 1,
                "shown": 0,
                "first_wanted_at": at,
                "last_wanted_at": at,
                "failures": 0,
            }
            for offset, post in enumerate(planned, start=1)
        ],
    )


async def want(
    tx: AsyncConnection,
    *,
    deployment_id: int,
    at: datetime,
    only: Iterable[int] | None = None,
    settled: bool = False,
    card: bool = True,
) -> None:
    """Ask for a redraw of the deployment's messages, or of the card and those with the ids in `only`.

    Without `card`, of those in `only` alone.
    `settled` says that nothing more is to be expected for now, so that there is nothing to wait for.
    """
    query = update(posts).where(posts.c.deployment_id == deployment_id)
    if only is not None:
        chosen = posts.c.id.in_(list(only))
        query = query.where(or_(chosen, posts.c.kind == "card") if card else chosen)
    else:
        query = query.where(posts.c.kind.not_in(ONCE))
    up_to_date = posts.c.wanted == posts.c.shown
    await tx.execute(
        query.values(
            wanted=posts.c.wanted + 1,
            first_wanted_at=case((up_to_date, literal(at, Instant())), else_=posts.c.first_wanted_at),
            last_wanted_at=at - SETTLED if settled else at,
        )
    )


async def want_one(tx: AsyncConnection, post_id: int, *, at: datetime) -> None:
    """Ask for one message to be redrawn soon, and nothing else."""
    up_to_date = posts.c.wanted == posts.c.shown
    first = case((up_to_date, literal(at, Instant())), else_=posts.c.first_wanted_at)
    values = {"wanted": posts.c.wanted + 1, "first_wanted_at": first, "last_wanted_at": at - SETTLED}
    await tx.execute(update(posts).where(posts.c.id == post_id).values(values))


async def holding(tx: AsyncConnection, deployment_id: int, positions: Iterable[int]) -> set[int]:
    """The ids of the deployment's messages with boxes, runbook included, that show any of these positions."""
    wanted = set(positions)
    query = select(posts.c.id, posts.c.content).where(
        posts.c.deployment_id == deployment_id, posts.c.kind.in_(["section", "runbook"])
    )
    found = set()
    for row in await tx.execute(query):
        content = json.loads(row.content)
        if any(content["first"] <= position <= content["last"] for position in wanted):
            found.add(row.id)
    return found


async def reminding(tx: AsyncConnection, deployment_id: int, rounds: Iterable[tuple[int, int]]) -> set[int]:
    """The ids of the messages, in the thread and direct, that ask about any of these (reminder, round)."""
    wanted = set(rounds)
    query = select(posts.c.id, posts.c.content).where(
        posts.c.deployment_id == deployment_id, posts.c.kind.in_(["reminder", "direct"])
    )
    return {
        row.id
        for row in await tx.execute(query)
        if any((shown[0], shown[1]) in wanted for shown in json.loads(row.content).get("reminders", ()))
    }


async def of_kind(tx: AsyncConnection, deployment_id: int, *kinds: str) -> list[Post]:
    """The deployment's messages of these kinds, in order."""
    query = select(posts).where(posts.c.deployment_id == deployment_id, posts.c.kind.in_(kinds))
    return [_post(row) for row in await tx.execute(query.order_by(posts.c.place))]


async def of_all(tx: AsyncConnection, deployment_ids: Iterable[int], *kinds: str) -> list[Post]:
    """The messages of these kinds of all these deployments, in order."""
    query = select(posts).where(posts.c.deployment_id.in_(list(deployment_ids)), posts.c.kind.in_(kinds))
    rows = await tx.execute(query.order_by(posts.c.deployment_id, posts.c.place))
    return [_post(row) for row in rows]


async def learn(tx: AsyncConnection, post_id: int, **more: Any) -> None:
    """Add to what a message's drawing needs."""
    query = select(posts.c.content).where(posts.c.id == post_id).with_for_update()
    content = json.loads((await tx.execute(query)).scalar_one()) | more
    text = json.dumps(content, ensure_ascii=False)
    await tx.execute(update(posts).where(posts.c.id == post_id).values(content=text))


async def unpictured(tx: AsyncConnection, kind: str, *, since: datetime) -> list[Post]:
    """Messages of a kind that were last sent since then and never got their picture."""
    query = select(posts).where(
        posts.c.kind == kind,
        posts.c.ts.is_not(None),
        posts.c.shown_at >= since,
        ~posts.c.content.contains('"chart":'),
    )
    return [_post(row) for row in await tx.execute(query.order_by(posts.c.id))]


async def pending(tx: AsyncConnection) -> list[Post]:
    """Messages that show less than they should, in the order of their threads.

    Not those of workspaces that took the app away: they wait until it is back.
    """
    query = select(posts).where(posts.c.wanted > posts.c.shown, of_served(posts.c.deployment_id))
    rows = await tx.execute(query.order_by(posts.c.deployment_id, posts.c.place))
    return [_post(row) for row in rows]


async def claim(
    tx: AsyncConnection, post_id: int, *, owner: str, at: datetime, until: datetime, first: bool
) -> Post | None:
    """Take a message for sending, or None where another process was quicker. `first` marks the attempt."""
    free = leases.free(posts, owner=owner, at=at)
    query = select(posts).where(posts.c.id == post_id, posts.c.wanted > posts.c.shown, free)
    row = (await tx.execute(query.with_for_update(skip_locked=True))).one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = {"leased_by": owner, "leased_until": until}
    if first and row.ts is None and row.attempted_at is None:
        values["attempted_at"] = at
    await tx.execute(update(posts).where(posts.c.id == post_id).values(values))
    return _post(row)


async def sent(
    tx: AsyncConnection,
    post_id: int,
    *,
    ts: str,
    thread_ts: str | None,
    revision: int,
    at: datetime,
) -> None:
    """Note that Slack shows this revision of the message (0: some revision, not known which)."""
    await tx.execute(
        update(posts)
        .where(posts.c.id == post_id)
        .values(
            ts=ts,
            thread_ts=thread_ts,
            shown=case((posts.c.shown < revision, revision), else_=posts.c.shown),
            shown_at=at,
            # What changed while it was being sent is as old as its newest change, at the most.
            first_wanted_at=posts.c.last_wanted_at,
            attempted_at=None,
            leased_by=None,
            leased_until=None,
            failures=0,
            retry_at=None,
            problem=None,
        )
    )


async def failed(
    tx: AsyncConnection,
    post_id: int,
    *,
    problem: str,
    retry_at: datetime,
    outcome_known: bool,
    forget_ts: bool = False,
) -> None:
    """Note that sending failed and when to try again; `forget_ts` where Slack no longer has the message."""
    values: dict[str, Any] = {
        "failures": posts.c.failures + 1,
        "retry_at": retry_at,
        "problem": problem,
        "leased_by": None,
        "leased_until": None,
    }
    if outcome_known:
        values["attempted_at"] = None
    if forget_ts:
        values["ts"] = None
    await tx.execute(update(posts).where(posts.c.id == post_id).values(values))


async def release(tx: AsyncConnection, *, owner: str | None) -> None:
    """Give back what this process took; None: what anybody took, where no other process can be running."""
    query = update(posts).values(leased_by=None, leased_until=None)
    query = query.where(leases.held(posts, owner))
    await tx.execute(query)


async def retry_now(tx: AsyncConnection) -> None:
    """Try again at once whatever failed before: a new process may have a new token, or a new network."""
    await tx.execute(update(posts).where(posts.c.wanted > posts.c.shown).values(retry_at=None))


async def get(tx: AsyncConnection, post_id: int) -> Post | None:
    """One message, or None."""
    row = (await tx.execute(select(posts).where(posts.c.id == post_id))).one_or_none()
    return None if row is None else _post(row)


async def card(tx: AsyncConnection, deployment_id: int) -> Post | None:
    """The root of a deployment's thread."""
    query = select(posts).where(posts.c.deployment_id == deployment_id, posts.c.kind == "card")
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _post(row)


async def announcement(tx: AsyncConnection, deployment_id: int, sign: str) -> Post | None:
    """The newest announcement whose key begins so, of those Slack has."""
    query = select(posts).where(
        posts.c.deployment_id == deployment_id,
        posts.c.kind == "announcement",
        posts.c.key.startswith(sign, autoescape=True),
        posts.c.ts.is_not(None),
    )
    row = (await tx.execute(query.order_by(posts.c.id.desc()).limit(1))).one_or_none()
    return None if row is None else _post(row)


async def deployment_at(tx: AsyncConnection, channel: str, ts: str) -> int | None:
    """The deployment whose thread has this root, or which owns this message."""
    query = select(posts.c.deployment_id).where(
        posts.c.channel == channel, or_(posts.c.ts == ts, posts.c.thread_ts == ts)
    )
    return (await tx.execute(query.limit(1))).scalar_one_or_none()


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How far the screens are behind."""

    #: Messages that show less than they should.
    waiting: int
    #: When the oldest change among them was made.
    oldest: datetime | None
    #: What went wrong last with any of them.
    problem: str | None


async def backlog(tx: AsyncConnection) -> Backlog:
    """What is still to be sent."""
    query = select(func.count(), func.min(posts.c.first_wanted_at), func.max(posts.c.problem)).where(
        posts.c.wanted > posts.c.shown, of_served(posts.c.deployment_id)
    )
    waiting, oldest, problem = (await tx.execute(query)).one()
    return Backlog(waiting=waiting, oldest=oldest, problem=problem)


def _post(row: Row[Any]) -> Post:
    return Post(
        id=row.id,
        uid=row.uid,
        deployment_id=row.deployment_id,
        kind=row.kind,
        key=row.key,
        channel=row.channel,
        place=row.place,
        content=json.loads(row.content),
        ts=row.ts,
        thread_ts=row.thread_ts,
        wanted=row.wanted,
        shown=row.shown,
        first_wanted_at=row.first_wanted_at,
        last_wanted_at=row.last_wanted_at,
        shown_at=row.shown_at,
        attempted_at=row.attempted_at,
        failures=row.failures,
        retry_at=row.retry_at,
        problem=row.problem,
        leased_by=row.leased_by,
        leased_until=row.leased_until,
    )
