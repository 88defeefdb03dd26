"""The facts of checking a deployment: asking, recording what was found, overruling, looking again.

A check never ticks what it did not see pass, a tick of the bot's does not outlive its evidence, and nobody's
name is put on what the bot did or taken off what they did.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bot.domain.check import ItemResult, Outcome, result_to_json
from bot.domain.checklist import Checklist, Item
from bot.domain.deployment import REASON, Deployment, Tick, open_steps_before
from bot.domain.errors import (
    AlreadyOverruled,
    BehindGate,
    DeploymentClosed,
    EvidenceMoved,
    NoChecks,
    NoRun,
    NothingCalled,
    NothingToOverrule,
    OverruleReasonMissing,
    ReasonTooLong,
)
from bot.domain.events import BOT, Fact
from bot.domain.verification import Bound, Purpose, Result
from bot.domain.watching import says_it_is_live


def in_scope(checklist: Checklist, words: str) -> tuple[int, ...]:
    """The positions of the items a person means: everything, a section, a group or an item, by its words.

    Raises NothingCalled, with the nearest titles.
    """
    wanted = _folded(words)
    if not wanted:
        return tuple(range(len(checklist.items)))
    named: dict[str, list[int]] = {}
    titles: dict[str, str] = {}
    keys = {item.key: position for position, item in enumerate(checklist.items)}
    position = 0
    for section in checklist.sections:
        for group in section.groups:
            for item in group.items:
                both = f"{section.title} / {group.title}" if section.title and group.title else ""
                for name in filter(None, (section.title, group.title, both, item.text)):
                    titles.setdefault(_folded(name), name)
                    named.setdefault(_folded(name), []).append(position)
                position += 1
    if wanted in named:
        return tuple(named[wanted])
    if words.strip() in keys:
        return (keys[words.strip()],)
    parts = [name for name in named if wanted in name]
    if len(parts) == 1:
        return tuple(named[parts[0]])
    nearest = parts[:3] or difflib.get_close_matches(wanted, named, n=3, cutoff=0.5)
    raise NothingCalled(words, nearest=tuple(titles[name] for name in nearest))


def _folded(words: str) -> str:
    return " ".join(words.replace("*", "").replace("`", "").casefold().split())


def request(
    deployment: Deployment,
    positions: Iterable[int],
    *,
    user: str,
    at: datetime,
    scope: str = "",
    quiet: bool = False,
) -> Fact:
    """Somebody asks for these items to be checked; those without a check are left out.

    `quiet` where nobody waits for a word about the run itself. Raises DeploymentClosed, NoChecks.
    """
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    bound = [position for position in positions if position in deployment.bindings]
    # What has passed and is over is looked at again only where nothing else is asked for.
    bound = [position for position in bound if not _over(deployment, position)] or bound
    if not bound:
        raise NoChecks(deployment.checklist_name, scope)
    return _requested(bound, user=user, at=at, purpose=Purpose.ASKED, scope=scope, quiet=quiet)


def _over(deployment: Deployment, position: int) -> bool:
    return deployment.bindings[position].once and _by_bot(deployment, position)


def everything(deployment: Deployment) -> range:
    """The positions of a whole run: what can be verified by now.

    Before the change is live that is what stands in front of the item that says it is: the rest is about the
    new version, and would be green for the old one. The steps of a rollback are part of it once it is begun.
    """
    items, aftermath = deployment.checklist.items, deployment.aftermath
    if aftermath.rollback is not None:
        return range(len(deployment.boxes))
    said = (at for at, item in enumerate(items) if says_it_is_live(item.key))
    return range(len(items) if aftermath.deployed is not None else next(said, len(items)))


def _requested(
    positions: Sequence[int], *, user: str, at: datetime, purpose: Purpose, scope: str, quiet: bool = False
) -> Fact:
    data: dict[str, Any] = {"positions": list(positions), "purpose": purpose.value, "scope": scope}
    if quiet:
        data["quiet"] = True
    return Fact(kind="checks.requested", actor=user, at=at, data=data)


def look_again(deployment: Deployment, *, user: str, at: datetime, purpose: Purpose) -> Fact | None:
    """The request to look again, before Go or finish, at what was verified cheaply; None with nothing to see.

    What verified the deploy is left as it was once that is rolled back: it cannot hold any more. A run under
    way is waited for: what it finds may be in the way. Raises DeploymentClosed.
    """
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    again = [
        position
        for position in ([] if _rolled_back(deployment, purpose) else sorted(deployment.done))
        if position in deployment.bindings
        and deployment.bindings[position].cheap
        and not deployment.bindings[position].once
        and (result := deployment.results.get(position)) is not None
        and (result.outcome.ticks or _by_bot(deployment, position))
    ]
    if not again and deployment.run is None:
        return None
    return _requested(again, user=user, at=at, purpose=purpose, scope="")


def _rolled_back(deployment: Deployment, purpose: Purpose) -> bool:
    """Whether it is the end of a deploy that was taken back."""
    return purpose is Purpose.FINISH and deployment.aftermath.rollback is not None


def failing(deployment: Deployment) -> int:
    """How many items are open with a check that fails."""
    items = len(deployment.checklist.items)
    return sum(
        result.outcome is Outcome.FAIL and position < items and position not in deployment.done
        for position, result in deployment.results.items()
    )


def _by_bot(deployment: Deployment, position: int) -> bool:
    """Whether the bot ticked it; what was waived is done without a tick."""
    tick = deployment.ticks.get(position)
    return tick is not None and tick.by == BOT


def record(
    deployment: Deployment, position: int, result: ItemResult, *, at: datetime, run_seq: int | None = None
) -> tuple[Fact, ...]:
    """The facts a result makes: the evidence, and the tick it gives, takes away or leaves alone.

    The evidence's event will be the next of the deployment. `run_seq` is the run it was found in. A result
    nobody waits for any more (its run was cancelled, even if another began since, or the deployment has
    ended) makes none.
    """
    run = deployment.run
    if run is None or position not in run.pending or not deployment.phase.open:
        return ()
    if run_seq is not None and run_seq != run.seq:
        return ()
    item = deployment.boxes[position]
    data = {"item": item.key, "position": position, "run": run.seq, "result": result_to_json(result)}
    facts = [Fact(kind="check.recorded", actor=BOT, at=at, data=data)]
    seq = deployment.seq + 1
    tick, before = deployment.ticks.get(position), deployment.results.get(position)
    bound = deployment.bindings.get(position)
    asked, human = run.purpose is Purpose.ASKED, bound is not None and bool(bound.human)
    waived = position in deployment.care.waivers
    moved = _moved(before, result) if before is not None else ""
    if (
        moved
        and tick is not None
        and _rests_on_it(tick, bound)
        and (human or (not asked and result.outcome.ticks))
    ):
        # What a person judged besides is judged anew as soon as it is another thing they would judge.
        facts.append(_reopened(item, position, at=at, evidence=seq, why=moved))
    elif result.outcome.ticks:
        left = tick is None and not waived and position not in run.unticked
        if left and bound is not None and not human:
            ticked: dict[str, Any] = {"item": item.key, "position": position, "evidence": seq}
            earlier = open_steps_before(
                deployment.checklist, position, {**deployment.ticks, **deployment.care.waivers}
            )
            if earlier:
                ticked["before"] = list(earlier)
            facts.append(Fact(kind="item.ticked", actor=BOT, at=at, data=ticked))
    elif tick is not None and tick.by == BOT:
        # One look without an answer does not take back what passed a moment ago; a second one does, however
        # soon it comes: the evidence would never grow old otherwise.
        fresh = asked and before is not None and before.outcome.ticks and before.expires_at > at
        if result.outcome is Outcome.FAIL or not fresh:
            part = result.decisive
            said = part.reason if part is not None and part.reason else "it could not be verified again"
            facts.append(_reopened(item, position, at=at, evidence=seq, why=said))
    return tuple(facts)


def _rests_on_it(tick: Tick, bound: Bound | None) -> bool:
    """Whether a tick stands only as long as its check's evidence does: the bot's, and a person's confirmation
    of what a check showed them; not what a person took on themselves."""
    return bound is not None and not tick.reason and (tick.by == BOT or bool(bound.human))


def _moved(before: Result, now: ItemResult) -> str:
    """What the evidence rested on and is different now; empty where nothing is."""
    facts = now.facts
    changed = [name for name, value in before.facts.items() if name in facts and facts[name] != value]
    if not changed:
        return ""
    names = ", ".join(name.rpartition(".")[2].replace("_", " ") for name in changed)
    looked = "verified" if before.outcome.ticks else "looked at"
    return f"the {names} changed since it was {looked} at {before.at:%H:%M} UTC"


def _reopened(item: Item, position: int, *, at: datetime, evidence: int, why: str) -> Fact:
    data = {"item": item.key, "position": position, "evidence": evidence, "why": why}
    return Fact(kind="item.unticked", actor=BOT, at=at, data=data)


def expire(deployment: Deployment, purpose: Purpose, *, at: datetime) -> tuple[Fact, ...]:
    """At Go and at finish: ticks of the bot's, and confirmations, whose evidence is older than its freshness
    reopen; ticks of the bot's as well whose check came to nothing when it was looked at last."""
    facts = []
    for position in () if _rolled_back(deployment, purpose) else sorted(deployment.ticks):
        tick, result = deployment.ticks[position], deployment.results.get(position)
        bound = deployment.bindings.get(position)
        if result is None or not _rests_on_it(tick, bound) or (bound is not None and bound.once):
            continue
        if result.outcome.ticks and result.expires_at <= at:
            why = f"its evidence of {result.at:%H:%M} UTC is older than it may be: run its check again"
        elif not result.outcome.ticks and tick.by == BOT:
            why = f"its check could not verify it at {result.at:%H:%M} UTC: {result.said}"
        else:
            continue
        item = deployment.boxes[position]
        facts.append(_reopened(item, position, at=at, evidence=result.seq, why=why))
    return tuple(facts)


def ended(deployment: Deployment, *, at: datetime) -> Fact:
    """The end of a run that is complete, with the counts. Raises NoRun."""
    run = deployment.run
    if run is None:
        raise NoRun(deployment.name)
    data = {"run": run.seq, "positions": list(run.positions), "counts": counts(deployment, run.positions)}
    return Fact(kind="checks.ended", actor=BOT, at=at, data=data)


def cancelled(deployment: Deployment, *, user: str, at: datetime) -> Fact:
    """Somebody stops the run: what is there stays, the rest is not looked at. Raises NoRun."""
    run = deployment.run
    if run is None:
        raise NoRun(deployment.name)
    data = {"run": run.seq, "left": sorted(run.pending), "positions": list(run.positions)}
    data["counts"] = counts(deployment, [p for p in run.positions if p not in run.pending])
    return Fact(kind="checks.cancelled", actor=user, at=at, data=data)


def touched(before: Deployment, after: Deployment) -> set[int] | None:
    """The positions that look different now; None where everything does, because the deployment has ended."""
    if before.phase is not after.phase:
        return None
    waiting = [state.run.pending if state.run is not None else frozenset() for state in (before, after)]
    ticks = {
        position
        for position in {*before.ticks, *after.ticks}
        if before.ticks.get(position) != after.ticks.get(position)
    }
    found = {
        position for position, result in after.results.items() if before.results.get(position) is not result
    }
    tended = {
        position
        for was, now in (
            (before.care.waivers, after.care.waivers),
            (before.care.assignments, after.care.assignments),
            (before.care.notes, after.care.notes),
        )
        for position in {*was, *now}
        if was.get(position) != now.get(position)
    }
    return ticks | found | tended | (waiting[0] ^ waiting[1])


def counts(deployment: Deployment, positions: Iterable[int]) -> dict[str, int]:
    """How many of these items came to each outcome."""
    found = [deployment.results[position].outcome for position in positions if position in deployment.results]
    return {outcome.value: found.count(outcome) for outcome in Outcome if outcome in found}


def overruled(
    deployment: Deployment,
    position: int,
    *,
    user: str,
    at: datetime,
    reason: str,
    seen: Outcome | None = None,
) -> Fact:
    """A person ticks an item although its check does not pass, and says why.

    `seen` is the outcome they were shown: nobody overrules what they have not seen.

    Raises DeploymentClosed, OverruleReasonMissing, ReasonTooLong, NothingToOverrule, AlreadyOverruled,
    EvidenceMoved, BehindGate.
    """
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    item = deployment.boxes[position]
    if (gate := deployment.closed_gate(position)) is not None:
        raise BehindGate(item.text, gate.title)
    if not deployment.wants_reason(position):
        raise NothingToOverrule(item.text)
    current, result = deployment.ticks.get(position), deployment.results[position]
    if current is not None and current.reason and current.by != user:
        raise AlreadyOverruled(item.text)
    if seen is not None and result.outcome is not seen:
        raise EvidenceMoved(item.text, now=f"{result.outcome}: {result.said}")
    reason = " ".join(reason.split())
    if not reason:
        raise OverruleReasonMissing
    if len(reason) > REASON:
        raise ReasonTooLong(len(reason), limit=REASON)
    data: dict[str, Any] = {
        "item": item.key,
        "position": position,
        "reason": reason,
        "evidence": result.seq,
    }
    before = open_steps_before(
        deployment.checklist, position, {**deployment.ticks, **deployment.care.waivers}
    )
    if before:
        data["before"] = list(before)
    return Fact(kind="item.overruled", actor=user, at=at, data=data)


def gone(deployment: Deployment, *, user: str, at: datetime) -> Fact:
    """Go: somebody says the deployment may go on; what is open then is named. Raises DeploymentClosed."""
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    left = [item.key for item in deployment.open_items]
    return Fact(kind="deployment.go", actor=user, at=at, data={"open_items": left})
