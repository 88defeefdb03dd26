"""Reminders as messages: what is still open, with its newest numbers, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot.domain.check import Outcome
from bot.domain.deployment import Deployment
from bot.domain.events import BOT, CI
from bot.domain.localtime import Reader, moment, on_the_clock
from bot.domain.reminding import MORNING, Level, Origin, Reminder, Snooze, State
from bot.slack.blocks import words
from bot.slack.blocks.modals import form, input_block
from bot.slack.blocks.results import MARKS, OUTCOME_WORDS
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action, Asking, Field, View
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape

#: Items named under one reminder; the sections show all.
NAMED = 8
#: People and groups mentioned because of their items, besides the lead and who asked. Own choice: a message
#: that calls everybody calls nobody.
CONCERNED = 5
#: Longest line of an item. Own choice: two lines on a screen.
LINE = 260
#: Characters of a reminder's buttons and of the JSON around it, at the most.
BUTTONS = 950
SNOOZES = {Snooze.QUARTER: "15 min", Snooze.HOUR: "1 h", Snooze.TOMORROW: "Tomorrow 9:00"}


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A reminder as this message asks about it."""

    reminder: Reminder
    #: The items it named when it was sent.
    items: tuple[int, ...]
    #: Whether it was snoozed since: a later message asks.
    old: bool

    @property
    def asks(self) -> bool:
        return self.reminder.state is State.SENT and not self.old


def people_in(deployment: Deployment, rows: Iterable[Reminder]) -> set[str]:
    """Whose names the drawing needs."""
    named = {
        user for row in rows for user in (row.for_user, row.settled_by, *row.concerned(deployment)) if user
    }
    return {deployment.lead, *named} - {BOT, CI}


def draw(
    deployment: Deployment,
    content: Mapping[str, Any],
    rows: Mapping[int, Reminder],
    *,
    names: Mapping[str, str],
    link: str | None,
    now: datetime,
    reader: Reader | None = None,
) -> Drawing:
    """The message, in the thread or direct, as it should look now; a direct one has one `reader`."""
    entries = [
        _Entry(reminder=rows[id_], items=tuple(items), old=rows[id_].round != round_)
        for id_, round_, items in content["reminders"]
        if id_ in rows
    ]
    asking = deployment.phase.open and any(entry.asks for entry in entries)
    blocks: list[Block] = []
    lines: list[str] = []
    several = len(entries) > 1
    room = min(words.SECTION_TEXT, (words.BLOCKS_CHARACTERS - 800) // max(1, len(entries)) - BUTTONS)
    if asking:
        heading = _heading(deployment, content, entries, link=link, reader=reader)
        blocks.append(words.section(heading(_mentioned)))
        lines.append(heading(lambda user: escape(words.name_of(user, names))))
    for entry in entries:
        if deployment.phase.open and entry.asks:
            label = _label(deployment, entry.reminder, late=content["late"], reader=reader) if several else ""
            blocks.append(words.section(shorten(_open(deployment, entry, label, now=now), room)))
            blocks.append(_buttons(entry, content["level"], reader))
            lines.append(_open(deployment, entry, label, now=now, drawn=plain))
        else:
            shown, said = (_settled(deployment, entry, who=who, reader=reader) for who in _voices(names))
            blocks.append(words.context(shorten(shown, room)))
            lines.append(said)
    return Drawing(
        blocks=blocks[: words.MESSAGE_BLOCKS],
        text=shorten("\n".join(lines), words.FALLBACK_TEXT - 100),
    )


def _mentioned(user: str) -> str:
    return f"<!subteam^{user}>" if user.startswith("S") else words.mention(user)


def _voices(names: Mapping[str, str]) -> tuple[Any, Any]:
    """How people are named on the screen, and in the text that is read out."""
    return words.mention, lambda user: escape(words.name_of(user, names))


def _heading(
    deployment: Deployment,
    content: Mapping[str, Any],
    entries: Sequence[_Entry],
    *,
    link: str | None,
    reader: Reader | None,
) -> Any:
    """Makes the first line, given how people are named."""
    asking = [replace(entry.reminder, items=entry.items) for entry in entries if entry.asks]
    called = dict.fromkeys(filter(None, [deployment.lead, *(one.for_user for one in asking)]))
    theirs = dict.fromkeys(user for one in asking for user in one.concerned(deployment) if user not in called)
    concerned, more = [*called, *list(theirs)[:CONCERNED]], len(theirs) - CONCERNED
    level, late = content["level"], content["late"]
    target = escape(str(deployment.target))

    def said(name: Any) -> str:
        who = " ".join([*map(name, concerned), *([f"and {more} more"] if more > 0 else [])])
        if level == Level.LEAD:
            where = f"<{link}|{target}>" if link and name is _mentioned else target
            return f"⏰ *Nobody has reacted to this reminder in the thread of {where}*"
        if level == Level.GROUP:
            on_call = name(content["mention"]) if name is _mentioned else "On call"
            return f"⏰ {on_call} {who}: *nobody has reacted to this reminder*"
        if len(entries) > 1:
            missed = "Missed while I was away" if late else "Still open"
            return f"⏰ {who} *{missed}*"
        label = _label(deployment, entries[0].reminder, late=late, reader=reader)
        open_items = bool(entries[0].items)
        return f"⏰ {who} *{label}{', still open' if open_items else ''}*"

    return said


def _label(
    deployment: Deployment, reminder: Reminder, *, late: bool = False, reader: Reader | None = None
) -> str:
    """What the reminder is, in a few words of plain text."""
    deployed = deployment.aftermath.deployed
    if reminder.round:
        label = "You asked to be reminded again" if not late else "Snoozed until then"
    elif reminder.origin is Origin.PLAN and deployed is not None:
        label = f"{_span(reminder.due_at - deployed.at)} after the deploy"
    else:
        label = "The review" if reminder.origin is Origin.REVIEW else "Reminder"
    return f"{label} (was due at {words.local_time(reminder.due_at, deployment, reader)})" if late else label


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h" if hours and not rest else words.duration(span)


def _open(deployment: Deployment, entry: _Entry, label: str, *, now: datetime, drawn: Any = mrkdwn) -> str:
    """What is still open of it, a line an item, as mrkdwn."""
    shown = (lambda text: escape(plain(text))) if drawn is plain else mrkdwn
    lines = [f"*{escape(label)}*"] if label else []
    if entry.reminder.text:
        lines.append(escape(entry.reminder.text))
    still_open = [position for position in entry.items if position not in deployment.done]
    if not still_open and entry.items:
        lines.append("Everything it was about is done.")
    for position in still_open[:NAMED]:
        found = _found(deployment, position, now)
        line = f"☐ {shown(deployment.boxes[position].text)}"
        lines.append(shorten(f"{line} — {escape(found)}" if found else line, LINE))
    if len(still_open) > NAMED:
        lines.append(f"… and {len(still_open) - NAMED} more")
    return "\n".join(lines)


def _found(deployment: Deployment, position: int, now: datetime) -> str:
    """What the item's check saw last and when, in plain text; empty for an item without a check."""
    result, bound, run = deployment.results.get(position), deployment.bindings.get(position), deployment.run
    being = "is being checked" if run is not None and position in run.pending else ""
    if result is None:
        return being or ("not checked yet" if bound is not None else "")
    age = now - result.at
    ago = "just now" if age < timedelta(minutes=1) else f"{words.duration(age)} ago"
    word = (
        "" if result.outcome.ticks or result.outcome is Outcome.FAIL else f"{OUTCOME_WORDS[result.outcome]}: "
    )
    said = f"{MARKS[result.outcome]} {word}{shorten(result.said, 140)} ({ago})"
    judge = f"; to judge: {bound.human}" if bound is not None and bound.human and result.outcome.ticks else ""
    return f"{said}{judge}{f'; {being}' if being else ''}"


def _buttons(entry: _Entry, level: int, reader: Reader | None) -> Block:
    reminder = entry.reminder
    asking = Asking(reminder_id=reminder.id, round=reminder.round)
    options = [
        {"text": {"type": "plain_text", "text": said}, "value": f"{asking.write()}.{how.value}"}
        for how, said in _snoozes(reader).items()
    ]
    return {
        "type": "actions",
        "block_id": f"reminder.{asking.write()}.{level}",
        "elements": [
            {
                "type": "button",
                "action_id": Action.REMINDER_DONE.value,
                "style": "primary",
                "text": {"type": "plain_text", "text": "Done"},
                "value": asking.write(),
            },
            {
                "type": "static_select",
                "action_id": Action.REMINDER_SNOOZE.value,
                "placeholder": {"type": "plain_text", "text": "Snooze"},
                "options": options,
            },
            {
                "type": "button",
                "action_id": Action.REMINDER_NOT_NEEDED.value,
                "text": {"type": "plain_text", "text": "Not needed"},
                "value": asking.write(),
            },
        ],
    }


def _snoozes(reader: Reader | None) -> dict[Snooze, str]:
    """For how long, with the clock of the one who reads it."""
    if reader is None:
        return SNOOZES
    return {**SNOOZES, Snooze.TOMORROW: f"Tomorrow {on_the_clock(MORNING, 0, reader)}"}


def _settled(deployment: Deployment, entry: _Entry, *, who: Any, reader: Reader | None) -> str:
    """What became of it, in one line of mrkdwn."""
    reminder = entry.reminder
    about = reminder.text or ", ".join(plain(deployment.boxes[at].text) for at in entry.items[:3])
    if len(entry.items) > 3:
        about += f" and {len(entry.items) - 3} more"
    at = words.local_time(reminder.settled_at, deployment, reader) if reminder.settled_at else ""
    by = who(reminder.settled_by)
    snoozed = reminder.state is State.WAITING and bool(reminder.settled_by)
    if snoozed:
        became = f"💤 snoozed by {by} until {words.slack_time(reminder.due_at, reader)}"
    elif entry.old:
        became = "asked again later"
    elif reminder.state is State.DONE:
        became = "✓ done" if reminder.settled_by == BOT else f"✓ done, says {by} · {at}"
    elif reminder.state is State.NOT_NEEDED:
        became = f"– not needed, says {by} · {at}"
    elif not deployment.phase.open:
        became = "the deployment has ended"
    else:
        became = "another reminder asks about it"
    return f"⏰ {escape(shorten(about, LINE))}: {became}"


def review(deployment: Deployment, *, at: datetime, reader: Reader) -> Block:
    """Asks the reader when the review is; `at` is what is proposed."""
    picker: Block = {
        "type": "datetimepicker",
        "action_id": Field.WHEN.value,
        "initial_date_time": int(at.timestamp()) // 300 * 300,
    }
    hint = f"Proposed: {moment(at, reader)}, where you are ({reader.timezone})."
    return form(
        View.REVIEW,
        title="Schedule the review",
        submit="Remind us",
        blocks=[
            words.section(
                f"When is the review of *{escape(str(deployment.target))}*? I remind the thread at that "
                "time, as long as the deployment is open then."
            ),
            {**input_block(Field.WHEN, "Review at", picker), "hint": {"type": "plain_text", "text": hint}},
        ],
        told={"deployment": deployment.id},
    )
