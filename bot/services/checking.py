"""What people ask about checks: run them, stop them, overrule one; and what concludes once they are run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import checking, gating
from bot.domain.check import SEVERITY, ItemResult, Outcome, result_from_json
from bot.domain.conduct import Hold, Permission
from bot.domain.deployment import Deployment, finished
from bot.domain.errors import NoSuchDeployment
from bot.domain.events import BOT, Fact
from bot.domain.post import PlannedPost
from bot.domain.verification import Purpose, Run
from bot.services import permitting
from bot.services.ports import Ports
from bot.services.rolling_back import note_progress
from bot.storage import deliveries, posts

#: Most failing items named in the notice of a run; the sections show all of them.
NAMED = 8


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What came of a request to check."""

    deployment: Deployment
    #: How many items are being checked for it.
    items: int
    #: Whether a run was under way already, which this one joined.
    joined: bool


async def request(ports: Ports, deployment_id: int, *, words: str, user: str, delivery: str) -> Asked:
    """Check everything, or the section, group or item that `words` name.

    Everything is, before the change is live, what can be verified before that.

    Raises NoSuchDeployment, DeploymentClosed, NoChecks, NothingCalled, StorageBusy, StorageFailed.
    """
    words = words.strip()

    def positions(state: Deployment) -> Sequence[int]:
        return checking.in_scope(state.checklist, words) if words else checking.everything(state)

    return await _ask(ports, deployment_id, positions, user=user, delivery=delivery, scope=words)


async def check_positions(
    ports: Ports, deployment_id: int, positions: Sequence[int], *, user: str, delivery: str
) -> Asked:
    """Check these items. Raises as `request`."""
    return await _ask(ports, deployment_id, lambda _: positions, user=user, delivery=delivery, scope="")


async def _ask(
    ports: Ports,
    deployment_id: int,
    positions: Callable[[Deployment], Sequence[int]],
    *,
    user: str,
    delivery: str,
    scope: str,
) -> Asked:
    def fact(state: Deployment) -> list[Fact]:
        return [checking.request(state, positions(state), user=user, at=ports.clock.now(), scope=scope)]

    before, after = await act(ports, deployment_id, delivery, fact)
    run = after.run
    added = len(run.pending - (before.run.pending if before.run else frozenset())) if run is not None else 0
    return Asked(deployment=after, items=added, joined=before.run is not None)


async def cancel(ports: Ports, deployment_id: int, *, user: str, delivery: str) -> Deployment:
    """Stop the run under way. Raises NoSuchDeployment, NoRun, StorageBusy, StorageFailed."""
    _, after = await act(
        ports,
        deployment_id,
        delivery,
        lambda state: [checking.cancelled(state, user=user, at=ports.clock.now())],
    )
    return after


async def overrule(
    ports: Ports,
    deployment_id: int,
    position: int,
    *,
    user: str,
    reason: str,
    delivery: str,
    seen: Outcome | None = None,
) -> Deployment:
    """Tick an item although its check does not pass, as the person, with their reason.

    `seen` is the outcome they were shown. Raises NoSuchDeployment, DeploymentClosed, NothingToOverrule,
    AlreadyOverruled, EvidenceMoved, OverruleReasonMissing, ReasonTooLong, NotPermitted, GroupUnknown.
    """
    await permitting.require_for(ports, deployment_id, Permission.WAIVE, user=user)

    def fact(state: Deployment) -> list[Fact]:
        now = ports.clock.now()
        return [checking.overruled(state, position, user=user, at=now, reason=reason, seen=seen)]

    _, after = await act(ports, deployment_id, delivery, fact)
    return after


async def conclude(
    ports: Ports,
    deployment_id: int,
    purpose: Purpose,
    *,
    user: str,
    delivery: str,
    allowed: Callable[[Deployment], None] = lambda state: None,
) -> Deployment:
    """Give Go, or finish: at once where no evidence has to be looked at again, else when that is done.

    `allowed` raises where it may not happen. Raises what that raises, NoSuchDeployment, DeploymentClosed,
    StorageBusy, StorageFailed.
    """

    def facts(state: Deployment) -> list[Fact]:
        now = ports.clock.now()
        allowed(state)
        again = checking.look_again(state, user=user, at=now, purpose=purpose)
        if again is not None:
            return [again]
        return concluding(state, purpose, user=user, at=now)

    _, after = await act(ports, deployment_id, delivery, facts, purpose=purpose)
    return after


def concluding(
    state: Deployment,
    purpose: Purpose,
    *,
    user: str,
    at: datetime,
    reopened: bool = False,
    go_by: str = "",
    obstacles: Sequence[str] = (),
) -> list[Fact]:
    """The facts that conclude: what has expired reopens; where nothing reopened, it is Go or finished.

    `go_by` is who gave Go where somebody else finishes with the same look at the evidence; `obstacles` keep
    from Go besides gates. What came in the way meanwhile holds Go, or the end, back.
    """
    expired = checking.expire(state, purpose, at=at)
    if expired or reopened:
        return list(expired)
    facts: list[Fact] = []
    giver = user if purpose is Purpose.GO else go_by
    if giver:
        held = gating.held(state, Hold.GO, user=giver, at=at, obstacles=obstacles)
        facts.append(held or checking.gone(state, user=giver, at=at))
    if purpose is Purpose.GO:
        return facts
    gone = any(fact.kind == "deployment.go" for fact in facts)
    missing = () if gone else gating.go_missing(state, at=at)
    held = gating.held(state, Hold.FINISH, user=user, at=at, obstacles=missing)
    return [*facts, held or finished(state, user=user, at=at)]


async def all_evidence(ports: Ports, state: Deployment, positions: Sequence[int]) -> dict[int, ItemResult]:
    """The newest whole evidence of these items, by position."""
    found: dict[int, ItemResult] = {}
    async with ports.database.read() as tx:
        for position in positions:
            result = state.results.get(position)
            event = await ports.deployments.event(tx, state.id, result.seq) if result is not None else None
            if event is not None:
                found[position] = result_from_json(event.fact.data["result"])
    return found


async def act(
    ports: Ports,
    deployment_id: int,
    delivery: str,
    made: Callable[[Deployment], Sequence[Fact]],
    *,
    purpose: Purpose | None = None,
    also: Callable[[AsyncConnection, Deployment, Sequence[Fact]], Awaitable[None]] | None = None,
) -> tuple[Deployment, Deployment]:
    """Add the facts that `made` makes of the state; the state before and after.

    The same delivery again changes nothing. `purpose` says what the facts conclude, where they conclude;
    `also` is done in the same transaction, with the state after.
    """
    async with ports.database.write() as tx:
        before = await ports.deployments.get(tx, deployment_id, locked=True)
        if before is None:
            raise NoSuchDeployment(str(deployment_id))
        seen, _ = await deliveries.effect(tx, delivery)
        if seen:
            return before, before
        facts = made(before)
        after = await ports.deployments.append(tx, before, facts)
        now = ports.clock.now()
        await redraw(tx, before, after, at=now)
        await note_progress(tx, before, after, at=now)
        cancelled = next((fact for fact in facts if fact.kind == "checks.cancelled"), None)
        if cancelled is not None and before.run is not None:
            await add_run_notice(ports, tx, before.run, after, cancelled, at=now)
        elif purpose is not None and after.run is None:
            await add_conclusion(tx, after, purpose, facts, at=now)
        if also is not None:
            await also(tx, after, facts)
        await deliveries.add(tx, delivery, at=now, deployment_id=after.id)
    ports.bell.ring()
    return before, after


async def redraw(tx: AsyncConnection, before: Deployment, after: Deployment, *, at: datetime) -> None:
    """Ask for the card to be drawn again, and those sections that look different now."""
    changed = checking.touched(before, after)
    only = None if changed is None else await posts.holding(tx, after.id, changed)
    if only is not None and before.care.overrides != after.care.overrides:
        only |= {post.id for post in await posts.of_kind(tx, after.id, "override")}
    settled = changed is None or (before.run is not None and after.run is None)
    await posts.want(tx, deployment_id=after.id, at=at, only=only, settled=settled)


async def withdrawn_since(ports: Ports, tx: AsyncConnection, deployment_id: int, seq: int) -> list[Fact]:
    """The facts of the bot taking ticks back, after this event."""
    events = await ports.deployments.since(tx, deployment_id, seq, "item.unticked")
    return [event.fact for event in events if event.fact.actor == BOT]


async def add_run_notice(
    ports: Ports, tx: AsyncConnection, run: Run, after: Deployment, end: Fact, *, at: datetime
) -> None:
    """Own the message that says how a run ended: counts, the failures first, what is left."""
    withdrawn = {fact.data["position"] for fact in await withdrawn_since(ports, tx, after.id, run.seq)}
    data = end.data
    left = set(data.get("left", ()))
    failing = [
        (after.results[position], position)
        for position in run.positions
        if position not in left and position in after.results and not after.results[position].outcome.ticks
    ]
    failing.sort(key=lambda found: (SEVERITY.index(found[0].outcome), found[1]))
    content = {
        "counts": data["counts"],
        "failing": [
            [position, result.outcome.value, result.said, position in withdrawn]
            for result, position in failing[:NAMED]
        ],
        "more": max(0, len(failing) - NAMED),
        "left": len(left),
        "by": run.by,
        "purpose": run.purpose.value,
        "cancelled_by": end.actor if end.kind == "checks.cancelled" else "",
        "seconds": (at - run.at).total_seconds(),
    }
    await _add(tx, after, PlannedPost(kind="notice", key=f"checks-{run.seq}", content=content), at)


async def add_conclusion(
    tx: AsyncConnection, after: Deployment, purpose: Purpose, facts: Iterable[Fact], *, at: datetime
) -> None:
    """Own the message that says it is Go or finished, or what reopened instead."""
    facts = list(facts)
    if any(fact.kind == "deployment.go" for fact in facts) and after.go is not None:
        asked = [
            one.id for one in await posts.of_kind(tx, after.id, "notice") if one.key.startswith("go_asked")
        ]
        await posts.want(tx, deployment_id=after.id, at=at, only=asked, settled=True, card=False)
    if not after.phase.open:
        await _add(tx, after, PlannedPost(kind="report", key=after.phase), at)
        return
    if any(fact.kind == "deployment.go" for fact in facts) and after.go is not None:
        second = next((one.second for one in after.care.confirmed if one.confirmed_at == after.go.at), "")
        content = {
            "by": after.go.by,
            "open": len(after.open_items),
            "failing": checking.failing(after),
            "alerts": [trigger.title for trigger in after.aftermath.raised],
            "second": second,
        }
        await _add(tx, after, PlannedPost(kind="notice", key=f"go-{after.seq}", content=content), at)
    for held in (fact for fact in facts if fact.kind == "conclusion.held"):
        content = {**held.data, "purpose": held.data["what"], "by": held.actor}
        key = f"held-{after.seq}-{held.data['what']}"
        await _add(tx, after, PlannedPost(kind="notice", key=key, content=content), at)
    if all(fact.kind not in ("deployment.go", "conclusion.held") for fact in facts):
        reopened = [
            [fact.data["position"], fact.data["why"]]
            for fact in facts
            if fact.kind == "item.unticked" and fact.actor == BOT
        ]
        content = {"purpose": purpose.value, "items": reopened}
        await _add(tx, after, PlannedPost(kind="notice", key=f"reopened-{after.seq}", content=content), at)


async def _add(tx: AsyncConnection, state: Deployment, post: PlannedPost, at: datetime) -> None:
    await posts.add(tx, [post], deployment_id=state.id, channel=state.channel, at=at)
