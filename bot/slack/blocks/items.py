"""A section's items with what can be done about each besides ticking, and what is open; the small forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bot.domain.care import Care
from bot.domain.deployment import Deployment
from bot.domain.tending import NOTE
from bot.slack.blocks import words
from bot.slack.blocks.modals import form, input_block, words_input
from bot.slack.blocks.results import annotation
from bot.slack.blocks.words import Block
from bot.slack.ids import Action, Field, ItemRef, View
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape

#: Blocks of a modal (Slack docs: views), headings among them; some are kept for what stands at its end.
ROOM = 95
#: A select holds at most 100 options, an overflow menu five (@slack/types).
CHOICES = 100
OVERFLOW = 5
#: Notes that the menus of one list offer to remove, shared by its items: a modal has room for 250 kB.
REMOVABLE = 300


def listed(deployment: Deployment, positions: Sequence[int], *, names: Mapping[str, str]) -> Block:
    """The modal: each item under its heading, who has it, its notes, and a menu of what can be done."""
    blocks: list[Block] = []
    noted = sum(position in deployment.care.notes for position in positions[:ROOM])
    headings = _headings(deployment)
    # What care adds is said in full here, so not a second time in short.
    bare = replace(deployment, care=Care())
    above, shown = "", 0
    for position in positions:
        heading = headings[position]
        drawn = [words.header(heading)] if heading and heading != above else []
        if len(blocks) + len(drawn) >= ROOM:
            break
        above, shown = heading, shown + 1
        item = deployment.boxes[position]
        lines = [f"{_mark(deployment, position)} *{shorten(mrkdwn(item.text).replace('*', ''), 600)}*"]
        lines += _details(deployment, position, annotation(bare, position, names))
        block = words.section(shorten("\n".join(lines), words.SECTION_TEXT))
        if deployment.phase.open:
            block["accessory"] = _menu(deployment, position, names, notes=REMOVABLE // max(1, noted))
        blocks += [*drawn, block]
    if len(positions) > shown:
        blocks.append(words.context(f"… and {len(positions) - shown} more: name them in a command."))
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Items"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": blocks,
    }


def _headings(deployment: Deployment) -> list[str]:
    """What stands over each item, by position: its section and group."""
    checklist = deployment.checklist
    found = [
        " · ".join(filter(None, (plain(section.title), plain(group.title))))
        for section in checklist.sections
        for group in section.groups
        for _ in group.items
    ]
    return [*found, *["Rollback"] * (len(deployment.boxes) - len(found))]


def _mark(deployment: Deployment, position: int) -> str:
    if position in deployment.care.waivers:
        return "⊘"
    return "☑" if position in deployment.ticks else "☐"


def _details(deployment: Deployment, position: int, said: str) -> list[str]:
    """The lines under an item; `said` has who ticked it and what its check found, in plain text."""
    care, lines = deployment.care, []
    if said:
        lines.append(escape(said))
    waiver = care.waivers.get(position)
    if waiver is not None:
        lines.append(f"Not applicable, says {words.mention(waiver.by)}: {escape(waiver.reason)}")
    assigned = care.assignees(position)
    if assigned:
        lines.append(f"Given to {people(assigned)}")
    owners = deployment.conduct.owners(position)
    if owners:
        lines.append(f"Owned by {people(owners)}")
    if position in deployment.conduct.optional:
        lines.append("Optional")
    for note in care.notes.get(position, ()):
        link = f" <{note.link}>" if note.link else ""
        lines.append(f"📝 {escape(note.text)}{link} ({words.mention(note.by)})")
    return lines


def people(ids: Iterable[str]) -> str:
    """Mentions of people and user groups, in mrkdwn."""
    return ", ".join(f"<!subteam^{one}>" if one.startswith("S") else f"<@{one}>" for one in ids)


def _menu(deployment: Deployment, position: int, names: Mapping[str, str], *, notes: int) -> Block:
    """What can be done about an item, and its newest notes to remove, at most so many.

    What is undone is named by its event: whatever happens before the click, nothing else is undone.
    """
    removable = [
        ("unnote", note.seq, f"Remove {words.name_of(note.by, names)}'s note: {note.text or note.link}")
        for note in reversed(deployment.care.notes.get(position, ()))
    ]
    deeds = [*_deeds(deployment, position), *removable[:notes]][:CHOICES]
    options = [
        {
            "text": {"type": "plain_text", "text": shorten(text, words.OPTION_TEXT)},
            "value": ItemRef(deployment_id=deployment.id, position=position, deed=deed, seq=seq).write(),
        }
        for deed, seq, text in deeds
    ]
    menu: Block = {"type": "overflow", "action_id": Action.ITEM_MENU.value, "options": options}
    if len(options) > OVERFLOW:
        menu |= {"type": "static_select", "placeholder": {"type": "plain_text", "text": "More"}}
    return menu


def _deeds(deployment: Deployment, position: int) -> list[tuple[str, int, str]]:
    """What can be done about an item besides removing its notes: the deed, the event it undoes, its words."""
    care = deployment.care
    given = max((one.seq for one in care.assignments.get(position, ())), default=0)
    return [
        ("unwaive", 0, "It applies after all")
        if position in care.waivers
        else ("waive", 0, "Not applicable…"),
        ("assign", 0, "Assign…"),
        *([("unassign", given, "Unassign")] if given else []),
        ("note", 0, "Note or link…"),
    ]


def waive(deployment: Deployment, position: int) -> Block:
    """Asks why an item does not apply."""
    return form(
        View.WAIVE,
        title="Not applicable?",
        submit="Waive",
        blocks=[
            _about(deployment, position, "counts as done then; your reason stays with it."),
            words_input(Field.REASON, "Why?", "e.g. this release changes no schema"),
        ],
        told=_told(deployment, position),
    )


def assign(deployment: Deployment, position: int, *, groups: Sequence[tuple[str, str]]) -> Block:
    """Asks whom an item is given to: a person, or one of these user groups (id, name)."""
    person: Block = {
        "type": "users_select",
        "action_id": Field.PERSON.value,
        "placeholder": {"type": "plain_text", "text": "Choose a person"},
    }
    blocks = [
        _about(deployment, position, "is given to them; they are mentioned in the thread once."),
        {**input_block(Field.PERSON, "Person", person), "optional": bool(groups)},
    ]
    if groups:
        group: Block = {
            "type": "static_select",
            "action_id": Field.GROUP.value,
            "placeholder": {"type": "plain_text", "text": "Choose a user group"},
            "options": [
                {"text": {"type": "plain_text", "text": shorten(name, 75) or id_}, "value": id_}
                for id_, name in groups[:CHOICES]
            ],
        }
        blocks.append({**input_block(Field.GROUP, "Or a user group", group), "optional": True})
    return form(
        View.ASSIGN,
        title="Assign",
        submit="Assign",
        blocks=blocks,
        told=_told(deployment, position),
    )


def note(deployment: Deployment, position: int) -> Block:
    """Asks for words and an address."""
    link: Block = {
        "type": "url_text_input",
        "action_id": Field.LINK.value,
        "placeholder": {"type": "plain_text", "text": "https://…"},
    }
    text = words_input(Field.WORDS, "Words", "e.g. the replica lags by a minute, see the graph", longest=NOTE)
    return form(
        View.NOTE,
        title="Note",
        submit="Add the note",
        blocks=[
            _about(deployment, position, "keeps it for everybody."),
            {**text, "optional": True},
            {**input_block(Field.LINK, "Link", link), "optional": True},
        ],
        told=_told(deployment, position),
    )


def still_open(deployment: Deployment, *, links: Mapping[int, str]) -> Block:
    """The modal with nothing but what is open, to tick here; `links` lead to the sections' messages."""
    blocks: list[Block] = []
    position = shown = 0
    for at, section in enumerate(deployment.checklist.sections):
        left = []
        for item in section.items:
            if position not in deployment.done:
                left.append((position, item))
            position += 1
        if not left or len(blocks) > ROOM - 3:
            continue
        title = escape(shorten(plain(section.title) or "Checklist", 150))
        heading = f"*<{links[at]}|{title}>*" if at in links else f"*{title}*"
        blocks.append(words.section(f"{heading}  {len(left)} open"))
        for first in range(0, len(left), words.CHECKBOXES):
            if len(blocks) >= ROOM:
                break
            some = left[first : first + words.CHECKBOXES]
            shown += len(some)
            options = []
            for number, item in some:
                optional = " (optional)" if number in deployment.conduct.optional else ""
                text = shorten(plain(item.text), words.OPTION_TEXT - len(optional))
                if "(optional)" in text.casefold():
                    optional = ""
                options.append(
                    {"text": {"type": "plain_text", "text": text + optional}, "value": str(number)}
                )
            boxes: Block = {"type": "checkboxes", "action_id": "boxes", "options": options}
            blocks.append(
                {
                    "type": "input",
                    "block_id": f"open.{some[0][0]}",
                    "optional": True,
                    "label": {"type": "plain_text", "text": "Tick what is done"},
                    "element": boxes,
                }
            )
    total = len(deployment.open_items)
    if not total:
        blocks.append(words.section("Everything is done. 🎉"))
    elif total > shown:
        blocks.append(words.context(f"… and {total - shown} more in the thread."))
    if not total or not deployment.phase.open:
        return {
            "type": "modal",
            "title": {"type": "plain_text", "text": "What is open"},
            "close": {"type": "plain_text", "text": "Close"},
            "blocks": blocks,
        }
    return form(
        View.OPEN_ITEMS,
        title="What is open",
        submit="Tick these",
        blocks=blocks,
        told={"deployment": deployment.id},
    )


def _about(deployment: Deployment, position: int, what: str) -> Block:
    text = shorten(mrkdwn(deployment.boxes[position].text).replace("*", ""), 600)
    return words.section(f"*{text}* {what}")


def _told(deployment: Deployment, position: int) -> dict[str, int]:
    return {"deployment": deployment.id, "position": position}
