"""The alert of a rollback trigger: what got worse, since when, what speaks for and against it, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.domain import drilling
from bot.domain.deployment import Deployment
from bot.domain.monitoring import Measure
from bot.domain.triggering import EVIDENCE, TriggerFinding
from bot.domain.watching import Source, Trigger, TriggerState
from bot.slack.blocks import words
from bot.slack.blocks.heard import heard
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action, TriggerRef
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape

#: Most lines of each kind; a person under pressure reads no more.
LINES = 6
#: Who raised it as well, by line: the newest.
JOINED = 4
#: Longest line, longest list in one line, and longest words of a person or another system.
LINE, LISTED, SAID = 280, 1200, 1000
#: Spans one can snooze for, in minutes.
SNOOZES = ((15, "15 minutes"), (60, "1 hour"), (240, "4 hours"))

#: Of a difference: rates differ by percentage points, latencies by a share of what was usual.
_UNITS = {Measure.ERRORS.value: " pp", Measure.LATENCY.value: " %"}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart that Slack has."""

    #: Slack's id of the file.
    file: str
    #: The same in words.
    alt: str


def draw(
    deployment: Deployment,
    content: Mapping[str, Any],
    *,
    names: Mapping[str, str],
    chart: Chart | None = None,
) -> Drawing:
    """The message: the newest state, or what was announced where it was announced or raised anew since."""
    trigger = deployment.aftermath.trigger_of(content["fired"])
    current = trigger is not None and trigger.announced == content["announced"]
    title = trigger.title if trigger is not None else str(content["title"])
    finding = TriggerFinding.from_json(
        trigger.finding if trigger is not None and current else content["finding"]
    )
    deployed = deployed_at(deployment, trigger)
    figures = in_figures(finding, deployed)
    mark = _mark(trigger, current=current)
    again = " again, twice as bad" if content["announced"] > 1 else ""
    blocks = [words.section(f"{mark} *{_bold(title)}*{again}\n{_who_is_told(deployment, content)}")]
    said = [figures] if figures else []
    said += [shorten(finding.said, SAID)] if finding.said else []
    said += [f"• {shorten(line, LINE)}" for line in finding.found[:LINES]]
    if len(finding.found) > LINES:
        said.append(f"• and {len(finding.found) - LINES} more")
    shown = [escape(line) for line in said]
    if figures:
        shown[0] = f"*{_on_screen(figures, finding, deployed)}*"
    blocks += words.paragraphs(shown)
    for heading, lines in (
        ("Did not change", finding.unchanged),
        ("Speaks against this deployment", finding.contradicting),
    ):
        if lines:
            listed = "; ".join(shorten(line, LINE) for line in lines[:LINES])
            blocks.append(words.context(f"*{heading}:* {shorten(escape(listed), LISTED)}"))
            said.append(f"{heading}: {listed}.")
    if chart is not None:
        picture: Block = {
            "type": "image",
            "slack_file": {"id": chart.file},
            "alt_text": shorten(chart.alt, LISTED),
        }
        blocks.append(picture)
        said.append(f"Chart: {shorten(chart.alt, 600)}")
    links = _links([*finding.links, *((label, url) for label, url in content["links"])])
    if links:
        blocks.append(words.context(links))
    joined = _joined(trigger)
    blocks += words.paragraphs(joined)
    said += [heard(line, names) for line in joined]
    for line in _states(deployment, trigger, current=current):
        blocks.append(words.section(line))
    if trigger is not None and current and trigger.state.raised and deployment.phase.open:
        blocks.append(_buttons(deployment, trigger))
    head = f"{mark} {plain(title)}{again}. {_source(trigger, names)}{deployment.target}, led by "
    head += f"{words.name_of(deployment.lead, names)}."
    states = [heard(line, names) for line in _states(deployment, trigger, current=current)]
    text = escape("\n".join([head, *said, *states]))
    return Drawing(blocks=blocks, text=shorten(text, words.FALLBACK_TEXT - 100))


def draw_direct(deployment: Deployment, content: Mapping[str, Any], *, link: str | None) -> Drawing:
    """What the lead is told directly while nobody has acknowledged."""
    trigger = deployment.aftermath.trigger_of(content["fired"])
    title = trigger.title if trigger is not None else "A rollback trigger"
    figures = ""
    if trigger is not None:
        finding = TriggerFinding.from_json(trigger.finding)
        figures = in_figures(finding, deployed_at(deployment, trigger)) or finding.said
    said = f"{_mark(trigger, current=True)} Nobody has acknowledged *{_bold(title)}* yet: "
    said += escape(f"{deployment.target}. {shorten(figures, SAID)}")
    where = f"\n<{link}|Open the alert>" if link else ""
    blocks = words.paragraphs([f"{said}{where}"])
    return Drawing(blocks=blocks, text=said.replace("*", ""))


def _links(links: Sequence[tuple[str, str]]) -> str:
    """As many as fit, in their order; none is cut."""
    shown: list[str] = []
    for label, url in links[:LINES]:
        link = mrkdwn(f"[{shorten(label, 75)}](<{url}>)")
        if sum(map(len, shown)) + len(link) <= LISTED:
            shown.append(link)
    return " · ".join(shown)


def in_figures(finding: TriggerFinding, deployed: datetime | None) -> str:
    """`errors 0.2 % → 3.1 %, +2.9 pp [2.1–3.8], 41 of 1,320 requests, 3 of 3 samples, from T+4 min`.

    Plain text; empty where nothing was measured.
    """
    parts: list[str] = []
    if finding.label or finding.change:
        parts.append(f"{finding.label} {finding.change}".strip())
    if finding.difference is not None:
        unit = _UNITS.get(finding.measure, "")
        interval = ""
        if finding.low is not None and finding.high is not None:
            interval = f" [{number(finding.low)}–{number(finding.high)}]"
        sign = "+" if finding.difference > 0 else ""
        parts.append(f"{sign}{number(finding.difference)}{unit}{interval}")
    if finding.requests is not None:
        bad = f"{finding.bad:,} of " if finding.bad is not None else ""
        parts.append(f"{bad}{finding.requests:,} requests")
    if finding.samples is not None:
        parts.append(f"{finding.samples_bad or 0} of {finding.samples} samples")
    if finding.began_at is not None:
        parts.append(f"from {since(finding.began_at, deployed)}")
    return ", ".join(parts)


def _on_screen(figures: str, finding: TriggerFinding, deployed: datetime | None) -> str:
    """The figures in mrkdwn: an instant by the clock is in each reader's own zone."""
    began_at = finding.began_at
    if began_at is None or deployed is not None:
        return escape(figures)
    return escape(figures.removesuffix(since(began_at, None))) + words.slack_time(began_at)


def number(value: float) -> str:
    """A number with three significant digits, and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def since(at: datetime, deployed: datetime | None) -> str:
    """An instant as time after the deploy: `T+4 min`; by the clock where there was none."""
    if deployed is None:
        return f"{at:%H:%M} UTC"
    minutes = round((at - deployed).total_seconds() / 60)
    return f"T{'−' if minutes < 0 else '+'}{abs(minutes)} min"


def deployed_at(deployment: Deployment, trigger: Trigger | None) -> datetime | None:
    """What T is: the deploy; of a drill, the one that is made up."""
    if trigger is not None and trigger.source is Source.DRILL:
        return drilling.samples(trigger.at)[0]
    deployed = deployment.aftermath.deployed
    return deployed.at if deployed is not None else None


def _mark(trigger: Trigger | None, *, current: bool) -> str:
    if trigger is None:
        return "☑️"
    drill = "🧪 Drill · " if trigger.source is Source.DRILL else ""
    if trigger.state is TriggerState.CLEARED:
        return f"{drill}☑️"
    return f"{drill}{'🚨' if current and trigger.state is TriggerState.FIRING else '🔶'}"


def _bold(title: str) -> str:
    return shorten(mrkdwn(title).replace("*", ""), 2 * LINE)


def _source(trigger: Trigger | None, names: Mapping[str, str]) -> str:
    if trigger is None:
        return ""
    said = {
        Source.PERSON: f"Raised by {words.name_of(trigger.by, names)}. ",
        Source.ALERTMANAGER: "From Alertmanager. ",
        Source.HOOK: "From another system. ",
        Source.DRILL: f"A drill by {words.name_of(trigger.by, names)}: nothing is wrong. ",
    }
    return said.get(trigger.source, "")


def _joined(trigger: Trigger | None) -> list[str]:
    """Who raised it as well and what they saw, in mrkdwn; the newest where they are many."""
    if trigger is None:
        return []
    lines = []
    for one in trigger.joined[-JOINED:]:
        by, when = words.mention(one.by), words.slack_time(one.at)
        said = f": {shorten(escape(one.said), LINE)}" if one.said else ""
        evidence = f" {_links([(EVIDENCE, one.link)])}" if 0 < len(one.link) <= LINE else ""
        lines.append(f"🙋 Also raised by {by}, {when}{said}{evidence}")
    more = len(trigger.joined) - len(lines)
    return [f"🙋 {more} more raised it as well", *lines] if more else lines


def _who_is_told(deployment: Deployment, content: Mapping[str, Any]) -> str:
    trigger = deployment.aftermath.trigger_of(content["fired"])
    told = " ".join(filter(None, (words.mention(deployment.lead), group(content["on_call"]))))
    source = ""
    if trigger is not None:
        source = {
            Source.PERSON: f", raised by {words.mention(trigger.by)}",
            Source.ALERTMANAGER: ", from Alertmanager",
            Source.HOOK: ", from another system",
            Source.DRILL: f", a *drill* by {words.mention(trigger.by)}: nothing is wrong",
        }.get(trigger.source, "")
    return f"{told} {escape(str(deployment.target))}{source}"


def group(on_call: str) -> str:
    """A user group or a person as a mention (Slack docs: formatting, "Mentioning groups")."""
    if not on_call:
        return ""
    return f"<!subteam^{on_call}>" if on_call.startswith("S") else f"<@{on_call}>"


def _states(deployment: Deployment, trigger: Trigger | None, *, current: bool) -> list[str]:
    """What became of it, in mrkdwn."""
    if trigger is None:
        return ["Raised anew since: see the newer alert."]
    lines: list[str] = []
    if not current:
        lines.append("⬇️ Announced again since: see the newer alert.")
    if trigger.acknowledged_at is not None and trigger.state is not TriggerState.FIRING:
        when = words.slack_time(trigger.acknowledged_at)
        lines.append(f"👀 Acknowledged by {words.mention(trigger.acknowledged_by)}, {when}")
    if trigger.snoozed_until is not None and trigger.state.raised:
        by, until = words.mention(trigger.snoozed_by), words.slack_time(trigger.snoozed_until)
        lines.append(f"😴 Snoozed by {by} until {until}")
    if trigger.recovered_at is not None:
        latched = "; it stays raised until somebody clears it" if trigger.state.raised else ""
        when = words.slack_time(trigger.recovered_at)
        lines.append(f"💚 Back to normal, {when}: {escape(shorten(trigger.recovered, LINE))}{latched}")
    rollback = deployment.aftermath.rollback
    if rollback is not None and rollback.trigger == trigger.key:
        lines.append(f"↩️ Rollback started by {words.mention(rollback.by)}, {words.slack_time(rollback.at)}")
    if trigger.state is TriggerState.CLEARED and trigger.cleared_at is not None:
        when = words.slack_time(trigger.cleared_at)
        reason = escape(shorten(trigger.reason, SAID))
        deed = "Mended, says" if trigger.ours else "Cleared by"
        lines.append(f"☑️ {deed} {words.mention(trigger.cleared_by)}, {when}: {reason}")
    return lines


def _buttons(deployment: Deployment, trigger: Trigger) -> Block:
    value = TriggerRef(deployment_id=deployment.id, seq=trigger.seq).write()
    drill = trigger.source is Source.DRILL
    title = plain(trigger.title)

    def button(action: Action, label: str, about: str, style: str = "") -> Block:
        made: Block = {
            "type": "button",
            "action_id": action.value,
            "text": {"type": "plain_text", "text": label},
            "value": value,
            "accessibility_label": shorten(about, 75),
        }
        return {**made, "style": style} if style else made

    watch = deployment.aftermath.watch
    elements: list[Block] = []
    if not drill and deployment.aftermath.rollback is None:
        about = f"Start the rollback of {deployment.name}"
        elements.append(button(Action.START_ROLLBACK, "Start rollback", about, "danger"))
    if trigger.state is TriggerState.FIRING:
        elements.append(button(Action.ACKNOWLEDGE, "Acknowledge", f"Acknowledge {title}", "primary"))
    if not drill and watch is not None and watch.begun_at is not None:
        elements.append(button(Action.WATCH_LONGER, "Watch longer", f"Watch {deployment.name} longer"))
    label = "Not this deploy" if trigger.recovered_at is None else "Mended, or not this deploy"
    label = "End the drill" if drill else label
    elements.append(button(Action.NOT_THIS_DEPLOY, label, f"{label}: {title}"))
    elements.append(_snooze(deployment, trigger))
    return {"type": "actions", "elements": elements}


def _snooze(deployment: Deployment, trigger: Trigger) -> Block:
    options = [
        {
            "text": {"type": "plain_text", "text": label},
            "value": TriggerRef(deployment_id=deployment.id, seq=trigger.seq, number=minutes).write(),
        }
        for minutes, label in SNOOZES
    ]
    return {
        "type": "static_select",
        "action_id": Action.SNOOZE.value,
        "placeholder": {"type": "plain_text", "text": "Snooze"},
        "options": options,
    }
