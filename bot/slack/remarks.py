"""What a person should know about what they ticked; usually nothing."""

from __future__ import annotations

from bot.services.ticking import Ticked
from bot.slack.mrkdwn import plain


def remark(ticked: Ticked) -> str:
    """Sentences in plain text, one a line."""
    lines = [
        f"Step {step.number} (“{plain(step.text)}”) is ticked before step {earlier.number} "
        f"(“{plain(earlier.text)}”). It is recorded and marked as out of order."
        for step, earlier in ticked.out_of_order
    ]
    lines += [
        f"“{plain(item.text)}” was ticked again after your screen was drawn, so that tick stays."
        for item in ticked.outcome.kept
    ]
    lines += [
        f"“{plain(item.text)}” was not ticked: “{plain(gate.title)}” comes first, and "
        f"{len(ticked.deployment.open_in(gate))} of its required items are open."
        for item, gate in ticked.outcome.behind
    ]
    items = ticked.deployment.boxes
    lines += [
        f"“{plain(items[position].text)}” was not ticked: its check does not pass. "
        "Press “Results” under the section to see why, or to overrule it with a reason."
        for position in ticked.outcome.needs_reason
    ]
    return "\n".join(lines)
