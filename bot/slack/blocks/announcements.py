"""What other channels are told of a deployment: somebody's words, or the figures; always with a link."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.domain.deployment import Deployment
from bot.slack.blocks import results, words
from bot.slack.blocks.card import summary
from bot.slack.blocks.words import Drawing
from bot.slack.mrkdwn import plain, shorten
from bot.templates import Mrkdwn, render

#: Most measured lines in a report.
MEASURED = 20


def draw(
    deployment: Deployment,
    content: Mapping[str, Any],
    *,
    link: str | None,
    names: Mapping[str, str],
    now: datetime,
) -> Drawing:
    """The message."""
    user = content["by"]
    values = {
        "target": str(deployment.target),
        "words": content["words"],
        "summary": summary(deployment, names, now),
        "checks": results.summary(deployment),
        "measured": _measured(deployment) if content["what"] == "share" else [],
        "link": Mrkdwn(f"<{link}|Open the thread>") if link else "",
    }
    said = render("announcement", who=words.name_of(user, names), **{**values, "link": ""})
    shown = render("announcement", who=Mrkdwn(words.mention(user)), **values)
    return Drawing(blocks=words.paragraphs([shown]), text=shorten(said, words.FALLBACK_TEXT - 100))


def _measured(deployment: Deployment) -> list[tuple[str, str, str]]:
    """What the checks of metrics and performance found: (mark, item, what was seen)."""
    found, position = [], 0
    for section in deployment.checklist.sections:
        for group in section.groups:
            title = f"{section.title} {group.title}".casefold()
            for item in group.items:
                result = deployment.results.get(position)
                if result is not None and ("metric" in title or "performance" in title):
                    found.append((results.MARKS[result.outcome], plain(item.text), result.said))
                position += 1
    return found[:MEASURED]
