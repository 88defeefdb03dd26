"""The message that closes a deployment or a rollback: how it ended, the figures, the flight recorder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.domain.deployment import Deployment
from bot.domain.report import Report
from bot.domain.retelling import counted
from bot.domain.spans import spoken
from bot.slack.blocks import notices, words
from bot.slack.blocks.alert import LISTED, Chart
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action
from bot.slack.mrkdwn import shorten
from bot.templates import escape


def draw(
    deployment: Deployment,
    key: str,
    content: Mapping[str, Any],
    *,
    report: Report,
    names: Mapping[str, str],
    picture: Chart | None,
) -> Drawing:
    """The notice of how it ended, with the figures under it, the picture once there is one, and the files."""
    notice = notices.draw(deployment, key, content, names=names)
    figures = in_figures(report)
    blocks: list[Block] = [*notice.blocks, words.context(escape(figures))]
    text = f"{notice.text}\n{escape(figures)}"
    if picture is not None:
        blocks.append(
            {
                "type": "image",
                "slack_file": {"id": picture.file},
                "alt_text": shorten(picture.alt, LISTED),
            }
        )
        text += f"\n{escape(shorten(picture.alt, 600))}"
    blocks.append(buttons(report))
    return Drawing(blocks=blocks, text=shorten(text, words.FALLBACK_TEXT - 100))


def in_figures(report: Report) -> str:
    """The figures on one line: times, people, checks, exceptions, alerts."""
    count = counted(report)
    parts = [f"{span.name} {spoken(span.took)}" for span in report.spans if span.name != "In all"]
    parts.append(_of(count["people"], "person", "people"))
    if count["checked"]:
        bad = f", {count['not_passed']} of them not passed" if count["not_passed"] else ""
        parts.append(f"{_of(count['checked'], 'item')} checked by machine{bad}")
    if count["waived"]:
        parts.append(f"{count['waived']} waived")
    if count["overruled"]:
        parts.append(f"{_of(count['overruled'], 'check')} overruled")
    if overrides := sum(one.state == "confirmed" for one in report.overrides):
        parts.append(_of(overrides, "override"))
    if report.real_alerts:
        taken = [alert.to_acknowledge for alert in report.real_alerts if alert.to_acknowledge is not None]
        parts.append(f"{_of(len(report.real_alerts), 'alert')}{_taken(taken, len(report.real_alerts))}")
    return " · ".join(parts)


def _taken(taken: list[timedelta], alerts: int) -> str:
    if not taken:
        return ", never acknowledged" if alerts == 1 else ", none acknowledged"
    slowest = spoken(max(taken))
    if len(taken) < alerts:
        return f", {len(taken)} acknowledged, the slowest after {slowest}"
    return f", acknowledged after {slowest}{' at most' if alerts > 1 else ''}"


def _of(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def summary(report: Report) -> Drawing:
    """What the person who asks for a report gets to see, with the files on offer."""
    lines = [
        f"*{escape(report.name)}*: {escape(report.target)}, *{escape(report.outcome)}*"
        f" after {spoken(report.took)}, {report.done} of {len(report.items)} items done.",
        escape(in_figures(report)),
    ]
    lines += [
        f"• {words.slack_time(entry.at)} {escape(shorten(f'{entry.who} {entry.text}', 200))}"
        for entry in report.key_moments[-8:]
    ]
    said = "\n".join(lines)
    return Drawing(blocks=[*words.paragraphs(lines), buttons(report)], text=shorten(said, 3000))


def buttons(report: Report) -> Block:
    """The files a report can be had as; they go to the thread."""

    def button(action: Action, label: str) -> Block:
        return {
            "type": "button",
            "action_id": action.value,
            "text": {"type": "plain_text", "text": label},
            "accessibility_label": f"{label} of {report.name}, as a file in its thread"[:75],
            "value": str(report.id),
        }

    elements = [
        button(Action.REPORT_HTML, "Full report (HTML)"),
        button(Action.REPORT_MARKDOWN, "Full report (Markdown)"),
    ]
    return {"type": "actions", "elements": elements}
