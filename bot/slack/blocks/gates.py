"""What is in the way of Go or of the end, and the emergency override of it: refusals, forms, the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain.care import Override
from bot.domain.conduct import Hold
from bot.domain.deployment import Deployment
from bot.domain.events import BOT
from bot.slack.blocks import words
from bot.slack.blocks.modals import form, words_input
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action, Field, OverrideRef, View
from bot.slack.mrkdwn import plain, shorten
from bot.templates import escape

#: What is overridden, in words.
DEEDS = {Hold.GO: "Go", Hold.FINISH: "the end"}
#: Open items named on the message of an override.
NAMED = 10


def refusal(deployment: Deployment, hold: Hold, said: str) -> list[Block]:
    """The sentence, with what a person can do next."""
    look = _button(
        Action.OPEN_ITEMS, "What is open", str(deployment.id), f"What is open in {deployment.name}"
    )
    ref = OverrideRef(deployment_id=deployment.id, what=hold.value).write()
    override = _button(
        Action.OVERRIDE_GATE, "Emergency override…", ref, f"Override in an emergency: {deployment.name}"
    )
    return [
        words.section(shorten(said, words.SECTION_TEXT)),
        {"type": "actions", "elements": [look, {**override, "style": "danger"}]},
    ]


def no_go(deployment: Deployment, *, reason: str = "") -> Block:
    """Asks why it is No-go."""
    taken_back = " The Go that was given is taken back." if deployment.go is not None else ""
    return form(
        View.NO_GO,
        title="No-go?",
        submit="No-go",
        blocks=[
            words.section(f"*{escape(str(deployment.target))}* does not go on for now.{taken_back}"),
            words_input(Field.REASON, "Why?", "e.g. the payment provider announced an outage", given=reason),
        ],
        told={"deployment": deployment.id},
    )


def override_form(deployment: Deployment, hold: Hold, *, reason: str = "") -> Block:
    """Asks why it cannot wait."""
    return form(
        View.OVERRIDE_GATE,
        title="Emergency override?",
        submit="Ask for a second name",
        blocks=[
            words.section(
                f"🟥 {DEEDS[hold]} of *{escape(str(deployment.target))}* without what the rules ask for. "
                "Somebody else has to put their name to it as well. It is shown on the card and in the "
                "report for ever after."
            ),
            words_input(
                Field.REASON, "Why can it not wait?", "e.g. fixes the outage we are in", given=reason
            ),
        ],
        told={"override": OverrideRef(deployment_id=deployment.id, what=hold.value).write()},
    )


def draw(deployment: Deployment, content: Mapping[str, Any], *, names: Mapping[str, str]) -> Drawing:
    """The message of an override: who asks, why, what is open; then who put their name to it."""
    override = deployment.care.override(content["seq"])
    if override is None:
        raise ValueError("there is no message of an override nobody asked for")
    deed = DEEDS[Hold(override.what)]
    texts = {item.key: plain(item.text) for item in deployment.boxes}
    left = [texts.get(key, key) for key in override.open]
    lines = [f"{words.mention(override.first)} asks for it: {escape(override.reason)}"]
    lines += [escape(said) for said in override.obstacles]
    if left:
        named = "; ".join(escape(shorten(text, 100)) for text in left[:NAMED])
        more = f"; and {len(left) - NAMED} more" if len(left) > NAMED else ""
        lines.append(f"Open: {named}{more}")
    lines.append(_settled(override, words.mention) or "Somebody else has to put their name to it as well.")
    blocks = [words.header(f"🟥 Emergency override of {deed}"), *words.paragraphs(lines)]
    if override.pending and deployment.phase.open:
        ref = OverrideRef(deployment_id=deployment.id, what=override.what, seq=override.seq).write()
        confirm = _button(
            Action.CONFIRM_OVERRIDE, "Put my name to it", ref, f"Confirm the override of {deployment.name}"
        )
        confirm["style"] = "danger"
        confirm["confirm"] = {
            "title": {"type": "plain_text", "text": "Emergency override"},
            "text": {
                "type": "plain_text",
                "text": f"Your name stands beside it for ever after, and {deed} is given at once.",
            },
            "confirm": {"type": "plain_text", "text": "Put my name to it"},
            "deny": {"type": "plain_text", "text": "Cancel"},
        }
        withdraw = _button(
            Action.WITHDRAW_OVERRIDE, "Withdraw", ref, f"Withdraw the override of {deployment.name}"
        )
        blocks.append({"type": "actions", "elements": [confirm, withdraw]})
    said = [f"Emergency override of {deed}, asked for by {words.name_of(override.first, names)}: "]
    said.append(override.reason + ". " + " ".join(override.obstacles))
    if left:
        said.append(f" Open: {'; '.join(left[:NAMED])}.")
    said.append(f" {_settled(override, lambda user: words.name_of(user, names))}")
    return Drawing(blocks=blocks, text=shorten(escape("".join(said)), words.FALLBACK_TEXT - 100))


def _settled(override: Override, name: Any) -> str:
    if override.second:
        return f"*In force*: {name(override.second)} put their name to it as well."
    if override.withdrawn_by == BOT:
        return "Go or No-go was said meanwhile, so it is not asked for any more."
    if override.withdrawn_by:
        return f"Withdrawn by {name(override.withdrawn_by)}."
    return ""


def lines(deployment: Deployment) -> list[str]:
    """For the card, in mrkdwn: No-go, who is asked for Go, overrides."""
    care, found = deployment.care, []
    if care.no_go is not None:
        found.append(
            f"⛔ *No-go* by {words.mention(care.no_go.by)}, {words.slack_time(care.no_go.at)}: "
            f"{escape(shorten(care.no_go.reason, 500))}"
        )
    if care.go_awaited is not None and deployment.go is None and deployment.phase.open:
        group = care.go_awaited.group
        whom = f"<!subteam^{group}>" if group else "anybody but the lead"
        found.append(f"⏳ Go is asked for: {whom} has to give it")
    for override in care.overrides:
        deed = DEEDS[Hold(override.what)]
        if override.pending and deployment.phase.open:
            found.append(
                f"🟥 An emergency override of {deed}, asked for by {words.mention(override.first)}, "
                "waits for a second name"
            )
        elif override.second:
            at = override.confirmed_at
            found.append(
                f"🟥 *Emergency override* of {deed} by {words.mention(override.first)} and "
                f"{words.mention(override.second)}{f', {words.slack_time(at)}' if at else ''}: "
                f"{escape(shorten(override.reason, 500))}"
            )
    return found


def _button(action: Action, label: str, value: str, heard: str) -> Block:
    return {
        "type": "button",
        "action_id": action.value,
        "text": {"type": "plain_text", "text": label},
        "value": value,
        "accessibility_label": shorten(heard, 75),
    }
