"""The runbook while a rollback is under way: its steps as boxes, and the times when it is verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain import rollback
from bot.domain.deployment import Deployment
from bot.slack.blocks import section, words
from bot.slack.blocks.results import annotation
from bot.slack.blocks.words import Drawing
from bot.slack.mrkdwn import plain, shorten
from bot.templates import escape


def draw(
    deployment: Deployment,
    content: Mapping[str, Any],
    *,
    post_id: int,
    revision: int,
    names: Mapping[str, str],
) -> Drawing:
    """The message, or this part of it. While the deployment is open its boxes can be ticked."""
    begun, progress = deployment.aftermath.rollback, rollback.progress(deployment)
    if begun is None or progress is None:
        raise ValueError("there is no runbook without a rollback")
    first, last = content["first"], content["last"]
    items = deployment.boxes[first : last + 1]
    part = f" ({content['part']} of {content['parts']})" if content["parts"] > 1 else ""
    title = f"{'✅ Rolled back' if progress.over else '↩️ Rollback'}{part}"
    who = f"Started by {words.mention(begun.by)}, {words.slack_time(begun.at)}"
    blocks = [words.header(title)]
    if content["part"] == 1:
        blocks.append(words.section(f"{who}: {escape(begun.why)}"))
    if not items:
        blocks.append(words.section("The checklist has no rollback steps: do what the service needs."))
    else:
        done, total = progress.done, progress.total
        blocks.append(words.context(f"{words.bar(done, total)}  *{done}* of {total} steps done"))
    if deployment.phase.open:
        blocks.extend(
            section.boxes(deployment, run, post_id=post_id, revision=revision, names=names)
            for run in section.runs(items, first)
        )
    else:
        blocks += words.paragraphs(list(section.record(deployment, items, first, names)))
    blocks += section.buttons(deployment, first, last, "the rollback")
    times = in_words(deployment) if progress.over else ""
    if times:
        blocks.append(words.context(f"⏱ {in_words(deployment, shown=True)}"))
    lines = [f"{plain(title)}: {progress.done} of {progress.total} steps done."]
    lines.append(f"Started by {words.name_of(begun.by, names)}: {begun.why}")
    for position, item in enumerate(items, start=first):
        said = annotation(deployment, position, names).removeprefix("✓ ")
        box = section.box_of(deployment, position)
        lines.append(f"{box} {item.number}. {plain(item.text)}{f' ({said})' if said else ''}")
    lines += [times] if times else []
    return Drawing(blocks=blocks, text=shorten(escape("\n".join(lines)), words.FALLBACK_TEXT - 100))


def in_words(deployment: Deployment, *, shown: bool = False) -> str:
    """How long each part took: `alert 12:04 UTC → acknowledged +1 min 10 s → …; 9 min 3 s from …`.

    Plain text; `shown` is mrkdwn, which has the instant in each reader's own zone.
    """
    times = rollback.times(deployment)
    if not times:
        return ""
    what, at, _ = times[0]
    parts = [f"{what} {words.slack_time(at) if shown else words.local_time(at, deployment)}"]
    parts += [f"{what} +{words.exact(span)}" for what, _, span in times[1:]]
    whole = words.exact(times[-1][1] - times[0][1])
    return f"{' → '.join(parts)}; {whole} from {times[0][0]} to {times[-1][0]}"
