"""The lead: who has it now, asking one who has gone quiet, and the form that hands it over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.domain.deployment import Deployment
from bot.slack.blocks import words
from bot.slack.blocks.modals import form, input_block
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action, Field, View
from bot.templates import Mrkdwn, escape, render


def hand_over(deployment: Deployment) -> Block:
    """Asks who leads from now on."""
    element: Block = {
        "type": "users_select",
        "action_id": Field.PERSON.value,
        "placeholder": {"type": "plain_text", "text": "Choose a person"},
        "focus_on_load": True,
    }
    said = (
        f"*{escape(str(deployment.target))}* is led by {words.mention(deployment.lead)}. "
        "Reminders and alerts reach the new lead from then on, and the thread says so."
    )
    return form(
        View.HAND_OVER,
        title="Hand the lead over?",
        submit="Hand over",
        blocks=[words.section(said), input_block(Field.PERSON, "Who leads from now on?", element)],
        told={"deployment": deployment.id},
    )


def handed_over(content: Mapping[str, Any], names: Mapping[str, str]) -> Drawing:
    """The notice that somebody else leads; it mentions them."""
    return _to("lead", content, names)


def direct(deployment: Deployment, content: Mapping[str, Any], *, link: str | None) -> Drawing:
    """The question to the lead alone."""
    said = render(
        "quiet", target=str(deployment.target), open_count=content["open"], after=_after(deployment)
    )
    shown = f"{said} <{link}|Open its thread>" if link else said
    buttons = [
        words.button(
            Action.STILL_ON_IT.value,
            "Still on it",
            str(deployment.id),
            style="primary",
            says=f"Still on it: {deployment.name}",
        ),
        words.button(
            Action.HAND_OVER.value,
            "Hand over…",
            str(deployment.id),
            says=f"Hand over the lead of {deployment.name}",
        ),
    ]
    blocks = [words.section(shown), {"type": "actions", "elements": buttons}]
    return Drawing(blocks=blocks, text=said)


def in_thread(deployment: Deployment, content: Mapping[str, Any], names: Mapping[str, str]) -> Drawing:
    """The question to everybody: who takes over."""
    drawing = _to("quiet_thread", content, names, open_count=content["open"])
    take = words.button(
        Action.TAKE_OVER.value,
        "Take over",
        str(deployment.id),
        says=f"Take over the lead of {deployment.name}",
    )
    return Drawing(blocks=[*drawing.blocks, {"type": "actions", "elements": [take]}], text=drawing.text)


def freeze_line(deployment: Deployment, now: datetime) -> str:
    """That it was prepared in a freeze, while that holds; in mrkdwn, empty otherwise."""
    freeze = deployment.prepared_in
    if freeze is None or not deployment.phase.open or now >= freeze.until:
        return ""
    return (
        f"❄️ Prepared in the freeze *{escape(freeze.name).replace('*', '')}*, which holds until "
        f"{words.slack_time(freeze.until)}: “{escape(freeze.reason)}”. "
        "Go before then needs an emergency override."
    )


def _after(deployment: Deployment) -> str:
    return words.duration(deployment.quiet_lead) if deployment.quiet_lead is not None else "a while"


def _to(template: str, content: Mapping[str, Any], names: Mapping[str, str], **values: Any) -> Drawing:
    """Words about people: mentions on the screen, names in the text."""

    def said(name: Callable[[str], str]) -> str:
        by = content.get("by", "")
        return render(
            template, to=name(content["to"]), by=name(by) if by else "", own=by == content["to"], **values
        )

    shown = said(lambda user: Mrkdwn(words.mention(user)))
    return Drawing(blocks=words.paragraphs([shown]), text=said(lambda user: words.name_of(user, names)))
