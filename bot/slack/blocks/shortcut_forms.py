"""Forms that shortcuts open on a message: add it to an item as a note, raise a rollback trigger with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.domain.deployment import Deployment
from bot.domain.tending import NOTE
from bot.slack.blocks import words
from bot.slack.blocks.modals import choices, form, input_block, words_input
from bot.slack.blocks.words import Block
from bot.slack.ids import Field, View
from bot.slack.mrkdwn import plain, shorten
from bot.templates import escape

#: A select has at most 100 groups of at most 100 options (@slack/types).
GROUP = 100


def choose(
    view: View, deployments: Sequence[Deployment], *, likely: Deployment | None, text: str, link: str
) -> Block:
    """Asks first which deployment a message is about; the next form asks the rest."""
    select: Block = {
        "type": "static_select",
        "action_id": Field.DEPLOYMENT.value,
        "placeholder": {"type": "plain_text", "text": "Choose a deployment"},
        "options": choices(deployments),
    }
    if likely is not None:
        [select["initial_option"]] = choices([likely])
    label = "Note" if view is View.NOTE_FROM_MESSAGE else "What do you see?"
    return form(
        view,
        title="Which deployment?",
        submit="Next",
        blocks=[input_block(Field.DEPLOYMENT, "Which deployment?", select), _words(label, text, link)],
        told={"link": link},
    )


def note(deployment: Deployment, *, text: str, link: str) -> Block:
    """Asks at which item a message is kept, and in which words."""
    select: Block = {
        "type": "static_select",
        "action_id": Field.ITEM.value,
        "placeholder": {"type": "plain_text", "text": "Choose an item"},
        "option_groups": list(_items(deployment)),
    }
    heading = (
        f"*{escape(str(deployment.target))}*: the note stands at the item and leads back to the message."
    )
    return form(
        View.NOTE_FROM_MESSAGE,
        title="Add a note",
        submit="Add the note",
        blocks=[
            words.section(heading),
            input_block(Field.ITEM, "Item", select),
            _words("Note", text, link),
        ],
        told={"deployment": deployment.id, "link": link},
    )


def nothing_open(command: str) -> Block:
    """Says that there is nothing a message could be about."""
    text = f"No deployment is open. `{command} start` in a channel begins one."
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "No deployment is open"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": [words.section(text)],
    }


def _items(deployment: Deployment) -> Iterator[Block]:
    """Every item, by section; done ones say so."""
    boxes = deployment.boxes
    parts = [(plain(s.title), len(s.items)) for s in deployment.checklist.sections]
    parts.append(("Rollback steps", len(boxes) - sum(count for _, count in parts)))
    first = 0
    for title, count in parts:
        for low in range(first, first + count, GROUP):
            positions = range(low, min(low + GROUP, first + count))
            yield {
                "label": {
                    "type": "plain_text",
                    "text": shorten(title or plain(deployment.checklist.title), words.OPTION_TEXT),
                },
                "options": [_option(deployment, position) for position in positions],
            }
        first += count


def _option(deployment: Deployment, position: int) -> Block:
    done = "✓ " if position in deployment.done else ""
    text = shorten(f"{done}{plain(deployment.boxes[position].text)}", words.OPTION_TEXT)
    return {"text": {"type": "plain_text", "text": text}, "value": str(position)}


def _words(label: str, text: str, link: str) -> Block:
    example = "e.g. the replica has caught up"
    drawn = words_input(Field.NOTE, label, example, given=shorten(text, NOTE), longest=NOTE, first=False)
    return {**drawn, "optional": bool(link)}
