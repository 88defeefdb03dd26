"""Short messages in the thread, each posted once."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.deployment import Deployment
from bot.slack.blocks import words
from bot.slack.blocks.words import Drawing
from bot.slack.mrkdwn import plain
from bot.templates import Mrkdwn, render


def draw(deployment: Deployment, key: str, *, names: Mapping[str, str]) -> Drawing:
    """The notice `key`: `finished` or `aborted`."""
    values = {
        "target": str(deployment.target),
        "took": words.duration((deployment.ended_at or deployment.started_at) - deployment.started_at),
        "done": len(deployment.ticks),
        "total": len(deployment.checklist.items),
        "open_items": [plain(item.text) for item in deployment.open_items[:10]],
        "open_count": len(deployment.open_items),
        "reason": deployment.reason or "",
    }
    who = words.mention(deployment.ended_by or "")
    said = render(key, who=words.name_of(deployment.ended_by or "", names), **values)
    shown = render(key, who=Mrkdwn(who), **values)
    return Drawing(blocks=words.paragraphs([shown]), text=said)
