"""Short messages in the thread, each posted once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain.check import Outcome
from bot.domain.deployment import Deployment
from bot.slack.blocks import words
from bot.slack.blocks.results import MARKS, in_words
from bot.slack.blocks.words import Drawing
from bot.slack.mrkdwn import plain
from bot.templates import Mrkdwn, render


def draw(
    deployment: Deployment, key: str, content: Mapping[str, Any], *, names: Mapping[str, str]
) -> Drawing:
    """The notice `key`: the end of the deployment, of a run of checks, Go, or what reopened."""
    match key.partition("-")[0]:
        case "checks":
            return _run(deployment, content, names)
        case "go":
            return _by("go", content["by"], names, target=str(deployment.target), open_count=content["open"])
        case "reopened":
            items = [(plain(deployment.boxes[position].text), why) for position, why in content["items"]]
            return _plain("reopened", purpose=content["purpose"], items=items)
    return _by(
        key,
        deployment.ended_by or "",
        names,
        target=str(deployment.target),
        took=words.duration((deployment.ended_at or deployment.started_at) - deployment.started_at),
        done=deployment.done_items,
        total=len(deployment.checklist.items),
        open_items=[plain(item.text) for item in deployment.open_items[:10]],
        open_count=len(deployment.open_items),
        reason=deployment.reason or "",
    )


def _run(deployment: Deployment, content: Mapping[str, Any], names: Mapping[str, str]) -> Drawing:
    failing = [
        (MARKS[Outcome(outcome)], plain(deployment.boxes[position].text), said, withdrawn)
        for position, outcome, said, withdrawn in content["failing"]
    ]
    return _by(
        "checks_ended",
        content["cancelled_by"] or content["by"],
        names,
        cancelled=bool(content["cancelled_by"]),
        purpose=content["purpose"],
        counts=in_words(content["counts"]),
        failing=failing,
        more=content["more"],
        left=content["left"],
        took=_seconds(content["seconds"]),
    )


def _seconds(took: float) -> str:
    return f"{took:.1f} s" if took < 60 else f"{int(took // 60)} min {int(took % 60)} s"


def _by(key: str, user: str, names: Mapping[str, str], **values: Any) -> Drawing:
    """A notice about what somebody did: a mention on the screen, the name in the text."""
    said = render(key, who=words.name_of(user, names), **values)
    shown = render(key, who=Mrkdwn(words.mention(user)), **values)
    return Drawing(blocks=words.paragraphs([shown]), text=said)


def _plain(key: str, **values: Any) -> Drawing:
    said = render(key, **values)
    return Drawing(blocks=words.paragraphs([said]), text=said)
