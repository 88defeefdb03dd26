"""Forms about rollback triggers: start a rollback, say that it is not this deployment, raise one by hand."""

from __future__ import annotations

from typing import Any

from bot.domain.deployment import Deployment
from bot.domain.watching import Source, Trigger
from bot.slack.blocks import words
from bot.slack.blocks.modals import form, input_block, words_input
from bot.slack.blocks.words import Block
from bot.slack.ids import Action, Field, TriggerRef, View
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape

#: A select holds at most 100 options (@slack/types).
CHOICES = 100
#: What was the cause of an alert that is cleared, the usual one first.
OURS = "ours"
CAUSES = {"other": "No, something else was the cause", OURS: "Yes, and it is mended"}


def roll_back(deployment: Deployment, trigger: Trigger | None, *, reason: str = "") -> Block:
    """Asks before a rollback is started, and why."""
    steps = deployment.checklist.rollback_steps
    lines = [
        f"*{escape(str(deployment.target))}* is rolled back by people: I post the steps and keep the times."
    ]
    if trigger is not None:
        lines.append(f"Because of: *{shorten(mrkdwn(trigger.title).replace('*', ''), 300)}*")
    if steps:
        lines += [f"{at}. {shorten(mrkdwn(step), 150)}" for at, step in enumerate(steps[:20], start=1)]
    else:
        lines.append("The checklist has no rollback steps.")
    ref = TriggerRef(deployment_id=deployment.id, seq=trigger.seq if trigger is not None else 0)
    return form(
        View.START_ROLLBACK,
        title="Start the rollback?",
        submit="Start rollback",
        blocks=[
            *words.paragraphs(lines),
            words_input(Field.REASON, "Why?", "e.g. checkout fails for guests", given=reason),
        ],
        told={"trigger": ref.write()},
    )


def not_this_deploy(deployment: Deployment, trigger: Trigger) -> Block:
    """Asks why a trigger is cleared."""
    drill = trigger.source is Source.DRILL
    title = shorten(mrkdwn(trigger.title).replace("*", ""), 300)
    return form(
        View.NOT_THIS_DEPLOY,
        title="End the drill?" if drill else "Clear the alert?",
        submit="End the drill" if drill else "Clear the trigger",
        blocks=[
            words.section(f"*{title}* is cleared; your reason stays on the alert."),
            *([] if drill else [_cause()]),
            words_input(Field.REASON, "Why?", "e.g. the payment provider is down everywhere"),
        ],
        told={"trigger": TriggerRef(deployment_id=deployment.id, seq=trigger.seq).write()},
    )


def _cause() -> Block:
    """Whether it was this deploy: what was mended and what was somebody else's trouble are counted apart."""
    options: list[Block] = [
        {"text": {"type": "plain_text", "text": text}, "value": value} for value, text in CAUSES.items()
    ]
    element: Block = {
        "type": "radio_buttons",
        "action_id": Field.CAUSE.value,
        "options": options,
        "initial_option": options[0],
    }
    return input_block(Field.CAUSE, "Was it this deploy?", element)


def raise_by_hand(deployment: Deployment, *, reason: str = "", link: str = "") -> Block:
    """Asks what is wrong: one of the checklist's triggers, or own words; `link` leads to the evidence."""
    blocks: list[Block] = [
        words.section(
            f"*{escape(str(deployment.target))}*: the lead and the people on call are told at once."
        )
    ]
    triggers = deployment.checklist.triggers[:CHOICES]
    if triggers:
        select: Block = {
            "type": "static_select",
            "action_id": Field.TRIGGER.value,
            "placeholder": {"type": "plain_text", "text": "One of the checklist's"},
            "options": [
                {
                    "text": {"type": "plain_text", "text": shorten(plain(trigger), words.OPTION_TEXT)},
                    "value": str(at),
                }
                for at, trigger in enumerate(triggers)
            ],
        }
        blocks.append({**input_block(Field.TRIGGER, "Rollback trigger", select), "optional": True})
    words_ = words_input(Field.WORDS, "What do you see?", "e.g. payments answer 500 since noon", given=reason)
    blocks.append({**words_, "optional": bool(triggers)})
    return form(
        View.RAISE,
        title="Raise a trigger",
        submit="Raise it",
        blocks=blocks,
        told={"deployment": deployment.id, **({"link": link} if link else {})},
    )


def button_to(action: Action, deployment: Deployment, label: str, *, style: str = "") -> Block:
    """A button that opens one of these forms."""
    made: dict[str, Any] = {
        "type": "button",
        "action_id": action.value,
        "text": {"type": "plain_text", "text": label},
        "value": TriggerRef(deployment_id=deployment.id).write(),
        "accessibility_label": shorten(f"{label}: {deployment.name}", 75),
    }
    return {**made, "style": style} if style else made
