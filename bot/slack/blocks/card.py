"""The root of the thread: what is deployed, how far it is, who is at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from bot.domain.deployment import Deployment, Phase
from bot.slack.blocks import aftermath, gates, nudges, results, words
from bot.slack.blocks.heard import heard
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action, ItemRef, Scope
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape

#: Most sections and people listed by name.
SECTIONS, PEOPLE = 20, 10


def draw(deployment: Deployment, *, names: Mapping[str, str], now: datetime) -> Drawing:
    """The card."""
    items = deployment.checklist.items
    done = deployment.done_items
    mark = aftermath.mark(deployment)
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
    blocks += words.paragraphs(gates.lines(deployment))
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
    finish = _button(Action.FINISH, "Finish", deployment, "Finish the deployment")
    if complete:
        finish["style"] = "primary"
    abort = {**_button(Action.ABORT, "Abort", deployment, "Abort the deployment"), "style": "danger"}
    elements = [*_check_buttons(deployment), *_go_buttons(deployment), finish, abort, _menu(deployment)]
    return {"type": "actions", "elements": elements}


def _menu(deployment: Deployment) -> Block:
    """What is wanted more rarely."""
    choices = [("open", "What is open")]
    if deployment.go is not None:
        choices.append(("no_go", "Take Go back…"))
    elif deployment.run is not None:  # its button makes room for the one that stops the checks
        choices.append(("no_go", "No-go…"))
    choices += [("lead", "Hand the lead over…"), ("report", "Report")]
    return {
        "type": "overflow",
        "action_id": Action.CARD_MENU.value,
        "options": [
            {
                "text": {"type": "plain_text", "text": text},
                "value": ItemRef(deployment_id=deployment.id, position=0, deed=deed).write(),
            }
            for deed, text in choices
        ],
    }


def _check_buttons(deployment: Deployment) -> list[Block]:
    if deployment.run is not None:
        return [_button(Action.CANCEL_CHECKS, "Stop checks", deployment, "Stop the checks of")]
    if not deployment.bindings:
        return []
    run = _button(Action.RUN_CHECKS, "Run checks", deployment, "Run every check of")
    return [{**run, "value": Scope(deployment_id=deployment.id).write()}]


def _go_buttons(deployment: Deployment) -> list[Block]:
    if deployment.run is not None or deployment.go is not None:
        return []
    go = _button(Action.GO, "Go", deployment, "Look at the evidence again and give Go for")
    return [go, _button(Action.NO_GO, "No-go", deployment, "Say No-go for")]


def _button(action: Action, label: str, deployment: Deployment, heard: str) -> Block:
    return {
        "type": "button",
        "action_id": action.value,
        "text": {"type": "plain_text", "text": label},
        "value": str(deployment.id),
        "accessibility_label": shorten(f"{heard} {deployment.name}", 75),
    }


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
    shown = [*([frozen] if frozen else []), *gates.lines(deployment), *aftermath.lines(deployment)]
    lines += [f"{heard(line, names)}." for line in shown]
    if deployment.phase is Phase.ABORTED:
        who = words.name_of(deployment.ended_by or "", names)
        lines.append(f"Aborted by {who}: {deployment.reason}")
    elif deployment.phase is Phase.FINISHED:
        lines.append(f"Finished by {words.name_of(deployment.ended_by or '', names)}.")
    return shorten(escape(" ".join(lines)), words.FALLBACK_TEXT - 100)
