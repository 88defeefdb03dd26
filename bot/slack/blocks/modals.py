"""Modals: start a deployment, finish one, abort one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.domain.deployment import LIMITS, REASON, Deployment
from bot.domain.errors import NoSuchDeployment
from bot.slack.blocks import words
from bot.slack.blocks.words import Block
from bot.slack.ids import Field, View
from bot.slack.mrkdwn import plain, shorten
from bot.templates import escape

#: Open items named before finishing.
NAMED = 15
#: The choice that leaves the checklist to services.yaml.
BY_SERVICE = "By service"
#: A select holds at most 100 options (@slack/types).
CHOICES = 100


def start(
    *,
    channel: str,
    given: Mapping[str, str],
    checklists: Sequence[str],
    checklist: str,
    proposed: str = "",
) -> Block:
    """The form that asks for what `/deploy start` was not told.

    Without a channel it asks for that, too, and proposes `proposed` or the one the person is looking at.
    """
    placeholders = {
        Field.SERVICE: ("Service", "storefront"),
        Field.VERSION: ("Version", "v1.4.2"),
        Field.ENVIRONMENT: ("Environment", "production"),
    }
    empty = next((field for field in placeholders if not given.get(field.value)), None)
    blocks: list[Block] = []
    for field, (title, example) in placeholders.items():
        element: Block = {
            "type": "plain_text_input",
            "action_id": field.value,
            "max_length": LIMITS[field.value],
            "placeholder": {"type": "plain_text", "text": f"e.g. {example}"},
        }
        value = given.get(field.value, "")[: LIMITS[field.value]]
        if value:
            element["initial_value"] = value
        elif field is empty:
            element["focus_on_load"] = True
        blocks.append(input_block(field, title, element))
    options = [_option(name) for name in checklists[:CHOICES]] or [_option(checklist)]
    chosen = next((option for option in options if option["value"] == checklist[:75]), options[0])
    select: Block = {
        "type": "static_select",
        "action_id": Field.CHECKLIST.value,
        "options": options,
        "initial_option": chosen,
    }
    blocks.append(input_block(Field.CHECKLIST, "Checklist", select))
    if not channel:
        blocks.append(input_block(Field.CHANNEL, "Channel", _channel(proposed)))
    return form(
        View.START,
        title="Start a deployment",
        submit="Start",
        blocks=blocks,
        told={"channel": channel},
    )


def _channel(proposed: str) -> Block:
    """Asks for a channel the bot could post in.

    `default_to_current_conversation` yields to an initial one (Slack docs: conversations select).
    """
    element: Block = {
        "type": "conversations_select",
        "action_id": Field.CHANNEL.value,
        "placeholder": {"type": "plain_text", "text": "Where its thread is to stand"},
        "filter": {"include": ["public", "private"]},
        "default_to_current_conversation": True,
        "response_url_enabled": False,
    }
    return {**element, "initial_conversation": proposed} if proposed else element


def finish(deployment: Deployment) -> Block:
    """Asks before a deployment is finished, naming what is still open."""
    still_open = deployment.open_items
    total = len(deployment.checklist.items)
    if still_open:
        lines = [f"*{len(still_open)} of {total} items are still open:*"]
        lines += [f"☐ {escape(shorten(plain(item.text), 150))}" for item in still_open[:NAMED]]
        if len(still_open) > NAMED:
            lines.append(f"… and {len(still_open) - NAMED} more")
        lines.append("They will stay open in the record.")
    else:
        lines = [f"All {total} items are done."]
    for trigger in deployment.aftermath.raised:
        lines.append(f"🚨 “{escape(shorten(trigger.title, 150))}” is raised and not cleared.")
    if any(position in deployment.results for position in deployment.done):
        lines.append("What was verified is looked at once more first; what no longer holds reopens instead.")
    return form(
        View.FINISH,
        title="Finish the deployment?",
        submit="Finish anyway" if still_open else "Finish",
        blocks=[words.section(f"*{escape(str(deployment.target))}*"), *words.paragraphs(lines)],
        told={"deployment": deployment.id},
    )


def abort(
    deployments: Sequence[Deployment], *, reason: str = "", missed: NoSuchDeployment | None = None
) -> Block:
    """Asks why a deployment is aborted, and which where there are several.

    `missed`: what was typed begins like the name of another, which is not there.
    """
    blocks: list[Block] = []
    if missed is not None:
        blocks.append(words.section(f"⚠️ {escape(_missed(missed, deployments))}"))
    told: dict[str, Any] = {}
    if len(deployments) == 1:
        only = deployments[0]
        blocks.append(words.section(f"*{escape(str(only.target))}* stops here. The record is kept."))
        told["deployment"] = only.id
    else:
        select = {
            "type": "static_select",
            "action_id": Field.DEPLOYMENT.value,
            "placeholder": {"type": "plain_text", "text": "Several are open here"},
            "options": choices(deployments),
        }
        blocks.append(input_block(Field.DEPLOYMENT, "Which deployment?", select))
    blocks.append(words_input(Field.REASON, "Why?", "e.g. checkout fails for guests", given=reason))
    return form(View.ABORT, title="Abort the deployment?", submit="Abort", blocks=blocks, told=told)


def _missed(missed: NoSuchDeployment, deployments: Sequence[Deployment]) -> str:
    hint = f" Did you mean {missed.nearest}?" if missed.nearest else ""
    about = "Choose the one you mean."
    if len(deployments) == 1:
        about = f"This form is about {deployments[0].name}: {deployments[0].target}."
    return f"There is no deployment called “{shorten(missed.name, 60)}”.{hint} {about}"


def choices(deployments: Sequence[Deployment]) -> list[Block]:
    """An option for each deployment."""
    return [
        {
            "text": {"type": "plain_text", "text": shorten(str(d.target), words.OPTION_TEXT)},
            "description": {"type": "plain_text", "text": shorten(d.name, words.OPTION_TEXT)},
            "value": str(d.id),
        }
        for d in deployments[:CHOICES]
    ]


def metadata(view: Mapping[str, Any]) -> dict[str, Any]:
    """What a form was told when it was opened; empty for one that is not ours."""
    try:
        told = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def form(view: View, *, title: str, submit: str, blocks: Sequence[Block], told: Mapping[str, Any]) -> Block:
    """A modal that is submitted, with what it is told for then."""
    return {
        "type": "modal",
        "callback_id": view.value,
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": submit},
        "close": {"type": "plain_text", "text": "Cancel"},
        "private_metadata": json.dumps(told),
        "blocks": list(blocks),
    }


def input_block(field: Field, title: str, element: Block) -> Block:
    """One input of a form."""
    return {
        "type": "input",
        "block_id": field.value,
        "label": {"type": "plain_text", "text": title},
        "element": element,
    }


def words_input(
    field: Field, label: str, example: str, *, given: str = "", longest: int = REASON, first: bool = True
) -> Block:
    """An input of several lines: a reason, a note; the cursor is in it where it is the `first` to fill."""
    element: Block = {
        "type": "plain_text_input",
        "action_id": field.value,
        "multiline": True,
        "max_length": longest,
        "focus_on_load": first,
        "placeholder": {"type": "plain_text", "text": example},
    }
    if given:
        element["initial_value"] = given[:longest]
    return input_block(field, label, element)


def _option(name: str) -> Block:
    return {"text": {"type": "plain_text", "text": name[:75]}, "value": name[:75]}
