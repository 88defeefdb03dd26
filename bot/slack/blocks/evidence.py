"""Modals that show what checks found, and ask why one is overruled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bot.domain.check import SEVERITY, Evidence, ItemResult
from bot.domain.deployment import Deployment
from bot.domain.events import BOT
from bot.slack.blocks import words
from bot.slack.blocks.modals import form, words_input
from bot.slack.blocks.results import MARKS, OUTCOME_WORDS, in_words
from bot.slack.blocks.words import Block
from bot.slack.ids import Action, Field, Scope, View
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape

#: Items shown with a block each; a modal holds 100 blocks (Slack docs).
SHOWN = 45
#: A channel's id in the middle of words (Slack docs: conversations).
_CHANNEL = re.compile(r"\b[CG](?=[A-Z]*[0-9])[A-Z0-9]{8,}\b")


def results(deployment: Deployment, positions: Sequence[int], found: Mapping[int, ItemResult]) -> Block:
    """What the newest checks of these items found: what does not pass first, each with its evidence."""
    bound = [position for position in positions if position in deployment.bindings]
    order = sorted(
        (position for position in bound if position in found),
        key=lambda position: (SEVERITY.index(found[position].outcome), position),
    )
    outcomes = [found[position].outcome for position in order]
    counted = in_words({outcome.value: outcomes.count(outcome) for outcome in set(outcomes)})
    waiting = len(bound) - len(order)
    head = counted or "Nothing was checked here yet"
    if waiting and counted:
        head += f"; {waiting} not checked yet"
    people = len(positions) - len(bound)
    blocks: list[Block] = [words.section(f"*{escape(head)}*")]
    for position in order[:SHOWN]:
        blocks.extend(_item(deployment, position, found[position]))
    if len(order) > SHOWN:
        blocks.append(words.context(f"and {len(order) - SHOWN} more that passed"))
    if people:
        what = "1 item here is" if people == 1 else f"{people} items here are"
        blocks.append(words.context(f"{what} for people alone: no check is set up for them."))
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "What the checks found"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": blocks,
    }


def _item(deployment: Deployment, position: int, result: ItemResult) -> list[Block]:
    item = deployment.boxes[position]
    mark = MARKS[result.outcome]
    lines = [f"{mark} *{shorten(mrkdwn(item.text).replace('*', ''), 200)}*  {OUTCOME_WORDS[result.outcome]}"]
    lines.extend(_with_channels(_one_line(part), part) for part in result.evidence)
    button: Block = {
        "type": "button",
        "action_id": Action.EVIDENCE.value,
        "text": {"type": "plain_text", "text": "Evidence"},
        "value": Scope(deployment_id=deployment.id, first=position, last=position).write(),
        "accessibility_label": shorten(f"Evidence for {plain(item.text)}", 75),
    }
    text = shorten("\n".join(lines), words.SECTION_TEXT)
    return [{**words.section(text), "accessory": button, "block_id": f"result.{position}"}]


def _one_line(part: Evidence) -> str:
    name = f"{part.id}: " if part.id else ""
    said = part.reason or part.observed
    if part.observed and part.observed not in said:
        said = f"{said}; saw {part.observed}"
    took = f" ({_took(part.ms)})" if part.ms else ""
    return f"{name}{said}{took}"


def _with_channels(text: str, part: Evidence) -> str:
    """Words of the evidence in mrkdwn. What the bot did itself it did in channels it knows by their id: they
    are shown by name. Elsewhere such a word may be anything."""
    shown = escape(text)
    return _CHANNEL.sub(r"<#\g<0>>", shown) if part.kind == "event" else shown


def _took(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 1000 else f"{ms:.0f} ms"


def evidence(deployment: Deployment, position: int, result: ItemResult | None) -> Block:
    """Everything the newest check of an item saw, with a way to overrule it where it stands in the way."""
    item = deployment.boxes[position]
    blocks: list[Block] = [words.section(f"*{shorten(mrkdwn(item.text).replace('*', ''), 2000)}*")]
    if result is None:
        blocks.append(words.section("It was not checked yet."))
    else:
        seq = deployment.results[position].seq if position in deployment.results else 0
        when = words.slack_time(result.at)
        until = words.slack_time(result.expires_at)
        counted = f"*{OUTCOME_WORDS[result.outcome].capitalize()}*, {when}; counts until {until}"
        version = f", by version {escape(result.checks)} of the checks" if result.checks else ""
        blocks.append(words.context(f"{counted}. Event {seq} of {escape(deployment.name)}{version}."))
        for part in result.evidence[:12]:
            blocks.extend(_part(part))
    bound = deployment.bindings.get(position)
    if bound is not None and bound.human:
        blocks.append(words.section(f"*Left for a person:* {escape(bound.human)}"))
    tick = deployment.ticks.get(position)
    if tick is not None and tick.reason:
        said = f"*Overruled* by {words.mention(tick.by)}: {escape(tick.reason)}"
        blocks.append(words.section(shorten(said, words.SECTION_TEXT)))
    elif deployment.phase.open and deployment.wants_reason(position) and not _stands(deployment, position):
        button: Block = {
            "type": "button",
            "action_id": Action.OVERRULE.value,
            "text": {"type": "plain_text", "text": "Overrule…"},
            "style": "danger",
            "value": Scope(deployment_id=deployment.id, first=position, last=position).write(),
        }
        blocks.append({"type": "actions", "elements": [button]})
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Evidence"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": blocks,
    }


def _stands(deployment: Deployment, position: int) -> bool:
    """Whether a person's tick is enough, whatever the check says."""
    tick = deployment.ticks.get(position)
    return tick is not None and tick.by != BOT and position in deployment.done


def _part(part: Evidence) -> list[Block]:
    name = f" {escape(part.id)}" if part.id else ""
    lines = [f"{MARKS[part.outcome]}{name}  `{escape(part.kind)}`  {OUTCOME_WORDS[part.outcome]}"]
    told = (
        ("Looked at", part.target),
        ("Observed", part.observed),
        ("Expected", part.expected),
        ("Why", part.reason),
    )
    lines += [f"*{title}:* {_with_channels(text, part)}" for title, text in told if text]
    tries = f", {part.attempts} tries" if part.attempts > 1 else ""
    looks = f", {part.samples} looks" if part.samples > 1 else ""
    lines.append(f"Took {_took(part.ms)}{tries}{looks}")
    blocks = [words.section(shorten("\n".join(lines), words.SECTION_TEXT))]
    if part.excerpt:
        excerpt = escape(part.excerpt.replace("```", "ˋˋˋ"))
        blocks.append(words.section(f"```{shorten(excerpt, words.SECTION_TEXT - 10)}```"))
    return blocks


def overrule(deployment: Deployment, position: int) -> Block:
    """Asks why an item may be ticked although its check does not pass."""
    item = deployment.boxes[position]
    result = deployment.results.get(position)
    said = f"{OUTCOME_WORDS[result.outcome]}: {result.said}" if result is not None else ""
    text = f"*{mrkdwn(item.text).replace('*', '')}*\nIts check came to: {escape(said)}"
    return form(
        View.OVERRULE,
        title="Overrule the check?",
        submit="Tick it as me",
        blocks=[
            words.section(shorten(text, words.SECTION_TEXT)),
            words_input(
                Field.REASON,
                "Why may it be ticked all the same?",
                "e.g. it is renewed at noon; checked by hand",
            ),
        ],
        told={
            "deployment": deployment.id,
            "position": position,
            "seen": result.outcome.value if result is not None else None,
        },
    )
