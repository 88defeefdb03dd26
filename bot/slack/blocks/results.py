"""What checks found, in the few characters a box has, and in words for the card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.domain.check import SEVERITY, Outcome
from bot.domain.checking import counts
from bot.domain.deployment import FILE, Deployment, Tick
from bot.domain.events import BOT
from bot.domain.verification import Bound, Result
from bot.slack.blocks import words
from bot.slack.mrkdwn import shorten

#: Longest name shown beside a tick, so that the time always fits the 75 characters of a description.
NAME = 24

MARKS = {
    Outcome.PASS: "✓",
    Outcome.WARN: "⚠",
    Outcome.FAIL: "✗",
    Outcome.UNKNOWN: "?",
    Outcome.ERROR: "⚡",
    Outcome.SKIPPED: "–",
}
OUTCOME_WORDS = {
    Outcome.PASS: "passed",
    Outcome.WARN: "passed with a warning",
    Outcome.FAIL: "failed",
    Outcome.UNKNOWN: "unknown",
    Outcome.ERROR: "broken",
    Outcome.SKIPPED: "skipped",
}


def annotation(deployment: Deployment, position: int, names: Mapping[str, str]) -> str:
    """What stands under an item: who ticked, waived or has it, what its check found, whether it has notes.

    Plain text, 75 characters.

    Empty where there is nothing to say.
    """
    found = _found(deployment, position, names)
    waiver, notes = deployment.care.waivers.get(position), len(deployment.care.notes.get(position, ()))
    if waiver is not None and position not in deployment.ticks:
        found = f"⊘ not applicable · {shorten(words.name_of(waiver.by, names), NAME)}: {waiver.reason}"
    elif position not in deployment.done:
        given = ", ".join(words.name_of(one, names) for one in deployment.care.assignees(position))
        found = " · ".join(filter(None, [f"→ {shorten(given, NAME)}" if given else "", found]))
    if notes:
        mark = f"📝{notes if notes > 1 else ''}"
        found = f"{shorten(found, words.OPTION_TEXT - len(mark) - 3)} · {mark}" if found else mark
    return shorten(found, words.OPTION_TEXT)


def _found(deployment: Deployment, position: int, names: Mapping[str, str]) -> str:
    """What is ticked and what its check found."""
    tick, result = deployment.ticks.get(position), deployment.results.get(position)
    bound = deployment.bindings.get(position)
    run = deployment.run
    if run is not None and position in run.pending:
        return shorten(f"⏳ being checked{_by_person(tick, deployment, names)}", words.OPTION_TEXT)
    if tick is not None:
        counts = deployment.counts(position)
        return shorten(_ticked(deployment, tick, bound, result, names, counts=counts), words.OPTION_TEXT)
    if result is None:
        return ""
    when = words.local_time(result.at, deployment)
    if result.outcome.ticks and bound is not None and bound.human:
        return shorten(f"🤖 {MARKS[result.outcome]} {when} · to judge: {bound.human}", words.OPTION_TEXT)
    if result.outcome.ticks:
        return shorten(f"🤖 reopened · {result.said}", words.OPTION_TEXT)
    return shorten(f"{MARKS[result.outcome]} {_short(result)} · {when}", words.OPTION_TEXT)


def _short(result: Result) -> str:
    """The reason, short enough that the time still fits."""
    room = words.OPTION_TEXT - 18
    word = "" if result.outcome is Outcome.FAIL else f"{OUTCOME_WORDS[result.outcome]}: "
    return shorten(f"{word}{result.said}", room)


def _by_person(tick: Tick | None, deployment: Deployment, names: Mapping[str, str]) -> str:
    if tick is None or tick.by in (BOT, FILE):
        return ""
    return f" · ✓ {shorten(words.name_of(tick.by, names), NAME)} {words.local_time(tick.at, deployment)}"


def _ticked(
    deployment: Deployment,
    tick: Tick,
    bound: Bound | None,
    result: Result | None,
    names: Mapping[str, str],
    *,
    counts: bool,
) -> str:
    if tick.by == FILE:
        return "✓ already ticked in the checklist file"
    when = words.local_time(tick.at, deployment)
    early = _early(deployment, tick)
    if tick.by == BOT:
        if result is None:
            return f"🤖 ✓ Deploybot · {when}{early}"
        if not result.outcome.ticks:
            now = f"{MARKS[result.outcome]} {OUTCOME_WORDS[result.outcome]}"
            return f"🤖 ✓ {when}{early}, now {now}: {result.said}"
        mark = MARKS[result.outcome]
        return f"🤖 {mark} {words.local_time(result.at, deployment)}{early} · {result.said}"
    done = f"✓ {shorten(words.name_of(tick.by, names), NAME)} · {when}{early}"
    if tick.reason:
        return f"{done} · overruled: {tick.reason}"
    if bound is None or result is None:
        return done if counts else f"{done} · counts once its check has passed"
    if result.outcome.ticks:
        return f"{done} · 🤖 {MARKS[result.outcome]}"
    return f"{done} · {'' if counts else 'does not count: '}🤖 {MARKS[result.outcome]} {result.said}"


def _early(deployment: Deployment, tick: Tick) -> str:
    """That earlier steps were still open."""
    if not tick.before:
        return ""
    number = deployment.boxes[tick.before[0]].number
    more = f" +{len(tick.before) - 1}" if len(tick.before) > 1 else ""
    return f" · ⚠ before step {number}{more}"


def summary(deployment: Deployment) -> str:
    """How the checks stand, one line in plain text; empty where there are none."""
    if not deployment.bindings:
        return ""
    run = deployment.run
    # Rollback steps count once there is a rollback.
    bound = [position for position in deployment.bindings if position < len(deployment.boxes)]
    if not bound:
        return ""
    counted = in_words(counts(deployment, bound))
    if run is not None:
        total = len(run.positions)
        return f"Checks: {run.finished} of {total} done{f'; {counted}' if counted else ''}"
    possible = "1 item can be checked" if len(bound) == 1 else f"{len(bound)} items can be checked"
    return f"Checks: {counted or possible}"


def in_words(counted: Mapping[str, int]) -> str:
    """Counts of outcomes, failures first: `2 failed, 1 unknown, 34 passed`."""
    return ", ".join(
        f"{counted[outcome]} {OUTCOME_WORDS[outcome]}" for outcome in _order(counted) if counted[outcome]
    )


def _order(counted: Iterable[str]) -> list[Outcome]:
    return [outcome for outcome in SEVERITY if outcome in counted]
