"""The root of the thread: what is deployed, how far it is, who is at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from bot.domain.deployment import Deployment, Phase
from bot.slack.blocks import aftermath, nudges, results, words
from bot.slack.blocks.heard import heard
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action, Scope
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape

_MARKS = {Phase.IN_PROGRESS: "🚀", Phase.FINISHED: "✅", Phase.ABORTED: "🛑"}
#: Most sections and people listed by name.
SECTIONS, PEOPLE = 20, 10


def draw(deployment: Deployment, *, names: Mapping[str, str], now: datetime) -> Drawing:
    """The card."""
    items = deployment.checklist.items
    done = deployment.done_items
    mark = _MARKS[deployment.phase]
    blocks: list[Block] = [
        words.header(f"{mark} {deployment.target}"),
        {
            "type": "section",
            "fields": [
                {"type": "mrkdwn", "text": text}
                for text in (
                    f"*Service*\n{escape(deployment.target.service)}",
                    f"*Version*\n{escape(deployment.target.version)}",
                    f"*Environment*\n{escape(deployment.target.environment)}",
                    f"*Led by*\n<@{deployment.lead}>",
                    f"*Phase*\n{escape(phase(deployment))}",
                    f"*Elapsed*\n{elapsed(deployment, now)}, since {words.slack_time(deployment.started_at)}",
                )
            ],
        },
        words.section(
            f"{words.bar(done, len(items), width=16)}  *{done} of {len(items)}* "
            f"({words.percent(done, len(items))} %)"
        ),
        *words.paragraphs(_section_lines(deployment)),
    ]
    checks = results.summary(deployment)
    if checks:
        blocks.append(words.context(f"🤖 {escape(checks)}"))
    if deployment.go is not None:
        blocks.append(words.context(f"*Go* by <@{deployment.go.by}>, {words.slack_time(deployment.go.at)}"))
    if frozen := nudges.freeze_line(deployment, now):
        blocks.append(words.section(frozen))
    blocks += words.paragraphs(aftermath.lines(deployment))
    if deployment.phase is Phase.ABORTED:
        reason = shorten(escape(deployment.reason or ""), 2000)
        blocks.append(words.section(f"*Aborted* by <@{deployment.ended_by}>: {reason}"))
    elif deployment.phase is Phase.FINISHED:
        blocks.append(words.section(f"*Finished* by <@{deployment.ended_by}>"))
    people = _people(deployment)
    blocks.append(words.context(f"{people}{escape(deployment.name)}"))
    if deployment.phase.open:
        blocks.append(_buttons(deployment, complete=done == len(items)))
    return Drawing(blocks=blocks, text=_text(deployment, names, now))


def phase(deployment: Deployment) -> str:
    """The phase in words, with the section that is being worked on."""
    rolling = aftermath.phase(deployment)
    if rolling:
        return (
            rolling if deployment.phase.open else f"{words.PHASE_WORDS[deployment.phase]}, {_lower(rolling)}"
        )
    word = words.PHASE_WORDS[deployment.phase]
    current = current_section(deployment)
    return f"{word}: {current}" if deployment.phase.open and current else word


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def current_section(deployment: Deployment) -> str:
    """The title of the first section with an open item; empty when all is done or it has no title."""
    position = 0
    for section in deployment.checklist.sections:
        end = position + len(section.items)
        if any(at not in deployment.done for at in range(position, end)):
            return plain(section.title)
        position = end
    return "everything is ticked"


def elapsed(deployment: Deployment, now: datetime) -> str:
    """How long it took, or has taken so far."""
    return words.duration((deployment.ended_at or now) - deployment.started_at)


def section_counts(deployment: Deployment) -> list[tuple[str, int, int]]:
    """Each section's title with its ticked and its total items."""
    counts, position = [], 0
    for section in deployment.checklist.sections:
        total = len(section.items)
        done = sum(at in deployment.done for at in range(position, position + total))
        counts.append((section.title or "Checklist", done, total))
        position += total
    return counts


def _section_lines(deployment: Deployment) -> list[str]:
    counts = section_counts(deployment)
    lines = [
        f"{'✅' if done == total else '🔸' if done else '▫️'} {shorten(mrkdwn(title), 120)}  *{done}*/{total}"
        for title, done, total in counts[:SECTIONS]
    ]
    if len(counts) > SECTIONS:
        rest = counts[SECTIONS:]
        ticked, total = sum(done for _, done, _ in rest), sum(total for *_, total in rest)
        lines.append(f"▫️ and {len(rest)} more sections  *{ticked}*/{total}")
    return lines


def _people(deployment: Deployment) -> str:
    counts = Counter(tick.by for tick in deployment.ticks.values())
    if not counts:
        return ""
    shown = [f"{words.mention(user)} {count}" for user, count in counts.most_common(PEOPLE)]
    more = f" · and {len(counts) - PEOPLE} more" if len(counts) > PEOPLE else ""
    return f"Ticked by {' · '.join(shown)}{more}  |  "


def _buttons(deployment: Deployment, *, complete: bool) -> Block:
    finish: Block = {
        "type": "button",
        "action_id": Action.FINISH.value,
        "text": {"type": "plain_text", "text": "Finish"},
        "value": str(deployment.id),
        "accessibility_label": f"Finish the deployment {deployment.name}",
    }
    if complete:
        finish["style"] = "primary"
    abort: Block = {
        "type": "button",
        "action_id": Action.ABORT.value,
        "text": {"type": "plain_text", "text": "Abort"},
        "style": "danger",
        "value": str(deployment.id),
        "accessibility_label": f"Abort the deployment {deployment.name}",
    }
    return {"type": "actions", "elements": [*_check_buttons(deployment), finish, abort]}


def _check_buttons(deployment: Deployment) -> list[Block]:
    if not deployment.bindings:
        return []
    scope = Scope(deployment_id=deployment.id).write()
    if deployment.run is not None:
        cancel: Block = {
            "type": "button",
            "action_id": Action.CANCEL_CHECKS.value,
            "text": {"type": "plain_text", "text": "Stop checks"},
            "value": str(deployment.id),
            "accessibility_label": f"Stop the checks of {deployment.name}",
        }
        return [cancel]
    run: Block = {
        "type": "button",
        "action_id": Action.RUN_CHECKS.value,
        "text": {"type": "plain_text", "text": "Run checks"},
        "value": scope,
        "accessibility_label": f"Run every check of {deployment.name}",
    }
    go: Block = {
        "type": "button",
        "action_id": Action.GO.value,
        "text": {"type": "plain_text", "text": "Go"},
        "value": str(deployment.id),
        "accessibility_label": f"Look at the evidence of {deployment.name} again and give Go",
    }
    return [run, go] if deployment.go is None else [run]


def summary(deployment: Deployment, names: Mapping[str, str], now: datetime) -> str:
    """One line for lists and notifications, in plain text."""
    done, total = deployment.done_items, len(deployment.checklist.items)
    lead = words.name_of(deployment.lead, names)
    return (
        f"{deployment.target}, led by {lead}. {phase(deployment)}. "
        f"{done} of {total} done ({words.percent(done, total)} %), {elapsed(deployment, now)}."
    )


def _text(deployment: Deployment, names: Mapping[str, str], now: datetime) -> str:
    lines = [f"Deployment of {summary(deployment, names, now)}"]
    checks = results.summary(deployment)
    lines += [f"{checks}."] if checks else []
    lines += [f"{plain(title)}: {done} of {total}." for title, done, total in section_counts(deployment)]
    frozen = nudges.freeze_line(deployment, now)
    lines += [
        f"{heard(line, names)}." for line in (*([frozen] if frozen else []), *aftermath.lines(deployment))
    ]
    if deployment.phase is Phase.ABORTED:
        who = words.name_of(deployment.ended_by or "", names)
        lines.append(f"Aborted by {who}: {deployment.reason}")
    elif deployment.phase is Phase.FINISHED:
        lines.append(f"Finished by {words.name_of(deployment.ended_by or '', names)}.")
    return shorten(escape(" ".join(lines)), words.FALLBACK_TEXT - 100)
