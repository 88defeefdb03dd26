"""Which messages a deployment is shown in: the card, then one message a section, split where Slack's limits
would break in the worst case: every box ticked and annotated at full length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.domain.checklist import Group, Item
from bot.domain.deployment import Deployment
from bot.domain.post import PlannedPost
from bot.slack.blocks import words
from bot.slack.blocks.section import is_long, label
from bot.slack.ids import TickBlock

#: Budget for one message; the rest up to the limit is kept for what later drawings may add.
CHARACTERS = 12_300
BLOCKS = 46
#: A part smaller than this is filled up from the next group even if that splits the group.
WORTH_SPLITTING = 6_000

_EMPTY_BLOCK = 120 + len(
    TickBlock(
        deployment_id=10**8,
        post_id=10**8,
        revision=10**5,
        seq=10**5,
        first=100,
        count=10,
        ticked=frozenset(range(100, 110)),
    ).write()
)


class MessageLayout:
    """Plans the messages of a thread."""

    def plan(self, deployment: Deployment) -> Sequence[PlannedPost]:
        """The card and the messages of the thread, in order."""
        planned = [PlannedPost(kind="card", key="card")]
        first = 0
        for at, section in enumerate(deployment.checklist.sections):
            ranges = list(_ranges(section.groups, first))
            for number, (low, high) in enumerate(ranges, start=1):
                content = {
                    "section": at,
                    "part": number,
                    "parts": len(ranges),
                    "first": low,
                    "last": high,
                }
                planned.append(PlannedPost(kind="section", key=f"{at}.{number}", content=content))
            first += len(section.items)
        if deployment.checklist.triggers or deployment.checklist.rollback_steps:
            planned.append(PlannedPost(kind="rollback", key="rollback"))
        return planned

    def runbook(self, deployment: Deployment) -> Sequence[PlannedPost]:
        """The messages of the rollback's steps, in order; one that says so where there are none."""
        first = len(deployment.checklist.items)
        steps = Group(title="", items=deployment.checklist.runbook)
        ranges = list(_ranges([steps], first)) or [(first, first - 1)]
        return [
            PlannedPost(
                kind="runbook",
                key=f"{number}",
                content={"part": number, "parts": len(ranges), "first": low, "last": high},
            )
            for number, (low, high) in enumerate(ranges, start=1)
        ]


def _ranges(groups: Sequence[Group], first: int) -> Iterator[tuple[int, int]]:
    """Ranges of positions that fit one message each. Groups are kept whole where that wastes little."""
    low, used, blocks = first, 400, 2
    at = first
    for group in groups:
        whole_cost, whole_blocks = _cost(group.items)
        heading = len(group.title) * 2 + 160
        fits = used + heading + whole_cost <= CHARACTERS and blocks + 1 + whole_blocks <= BLOCKS
        if not fits and at > low and used >= WORTH_SPLITTING:
            yield low, at - 1
            low, used, blocks = at, 400, 2
        used, blocks = used + heading, blocks + 1
        row = 0
        for item in group.items:
            cost, more, row = _item_cost(item, row)
            if at > low and (used + cost > CHARACTERS or blocks + more > BLOCKS):
                yield low, at - 1
                low, used, blocks = at, 400 + heading, 3
                cost, more, row = _item_cost(item, 0)
            used, blocks, at = used + cost, blocks + more, at + 1
    if at > low:
        yield low, at - 1


def _cost(items: Sequence[Item]) -> tuple[int, int]:
    row = total = blocks = 0
    for item in items:
        cost, more, row = _item_cost(item, row)
        total, blocks = total + cost, blocks + more
    return total, blocks


def _item_cost(item: Item, row: int) -> tuple[int, int, int]:
    """Characters and blocks one more item costs, and how many boxes its element holds then."""
    description = {"type": "plain_text", "text": "M" * words.OPTION_TEXT}
    if is_long(item):
        option = {"text": {"type": "plain_text", "text": "Done"}, "value": "100", "description": description}
        text = words.size([words.section(label(item)[: words.SECTION_TEXT])])
        return _EMPTY_BLOCK + text + 2 * words.size([option]), 1, 0
    option = {
        "text": {"type": "mrkdwn", "text": label(item)},
        "value": "100",
        "description": description,
    }
    new = row % words.CHECKBOXES == 0
    return 2 * words.size([option]) + (_EMPTY_BLOCK if new else 0), int(new), row + 1
