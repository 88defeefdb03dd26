"""The rollback plan as a message: what calls for a rollback, and the runbook."""

from __future__ import annotations

from bot.domain.deployment import Deployment
from bot.slack.blocks import words
from bot.slack.blocks.alert_forms import button_to
from bot.slack.blocks.words import Drawing
from bot.slack.ids import Action
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape


def draw(deployment: Deployment) -> Drawing:
    """The message."""
    checklist = deployment.checklist
    blocks = [words.header("↩️ Rollback plan")]
    text = ["Rollback plan."]
    if checklist.triggers:
        lines = [f"• {mrkdwn(trigger)}" for trigger in checklist.triggers]
        blocks += words.paragraphs(["*Roll back when there is*", *lines])
        text.append("Roll back when there is: " + "; ".join(map(plain, checklist.triggers)) + ".")
    if checklist.rollback_steps:
        lines = [f"{at}. {mrkdwn(step)}" for at, step in enumerate(checklist.rollback_steps, start=1)]
        blocks += words.paragraphs(["*Rollback steps*", *lines])
        steps = [f"{at}. {plain(step)}" for at, step in enumerate(checklist.rollback_steps, start=1)]
        text.append("Rollback steps: " + " ".join(steps))
    fitting = blocks[: words.MESSAGE_BLOCKS - 1]
    while words.size(fitting) > words.BLOCKS_CHARACTERS - 1_000:
        fitting = [*fitting[:-2], words.context("The rest of the plan is in the checklist file.")]
    if deployment.phase.open:
        buttons = [button_to(Action.RAISE, deployment, "Raise a trigger")]
        if deployment.aftermath.rollback is None:
            buttons.append(button_to(Action.START_ROLLBACK, deployment, "Start rollback", style="danger"))
        fitting = [*fitting, {"type": "actions", "elements": buttons}]
    return Drawing(blocks=fitting, text=shorten(escape(" ".join(text)), words.FALLBACK_TEXT - 100))
