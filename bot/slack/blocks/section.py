"""A section of the checklist, or a part of it, as one message of the thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.domain.checklist import Checklist, Group, Item
from bot.domain.conduct import Hold
from bot.domain.deployment import Deployment
from bot.slack.blocks import words
from bot.slack.blocks.results import annotation
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action, Scope, TickBlock
from bot.slack.mrkdwn import length, mrkdwn, plain, shorten
from bot.templates import escape


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which boxes a message holds."""

    #: Index of the section, and this message's number among the section's messages.
    section: int
    part: int
    parts: int
    #: Positions of the first and the last box.
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """Boxes of one group that stand in one element: up to ten short ones, or a single long one."""

    first: int
    items: tuple[Item, ...]
    long: bool


def label(item: Item) -> str:
    """The item's text in mrkdwn, with its number and its place under other items."""
    branch = "  " * (item.depth - 1) + "└ " if item.depth else ""
    number = f"{item.number}. " if item.ordered and item.number is not None else ""
    return f"{branch}{number}{mrkdwn(item.text)}"


def is_long(item: Item) -> bool:
    """Whether the text does not fit an option."""
    return length(label(item)) > words.OPTION_TEXT


def runs(items: tuple[Item, ...], first: int) -> Iterator[Run]:
    """The items of a group, in order, as the elements they are drawn in."""
    held: list[Item] = []
    for at, item in enumerate(items):
        if is_long(item):
            if held:
                yield Run(first=first + at - len(held), items=tuple(held), long=False)
            held = []
            yield Run(first=first + at, items=(item,), long=True)
            continue
        held.append(item)
        if len(held) == words.CHECKBOXES:
            yield Run(first=first + at + 1 - len(held), items=tuple(held), long=False)
            held = []
    if held:
        yield Run(first=first + len(items) - len(held), items=tuple(held), long=False)


def groups_between(checklist: Checklist, part: Part) -> Iterator[tuple[Group, int, tuple[Item, ...]]]:
    """The groups of the part's section with the items that fall into it: (group, first position, items)."""
    start = 0
    for at, section in enumerate(checklist.sections):
        for group in section.groups:
            end = start + len(group.items)
            if at == part.section and end > part.first and start <= part.last:
                low, high = max(start, part.first), min(end, part.last + 1)
                yield group, low, group.items[low - start : high - start]
            start = end


def draw(
    deployment: Deployment, part: Part, *, post_id: int, revision: int, names: Mapping[str, str]
) -> Drawing:
    """The message. While the deployment is open its boxes can be ticked; afterwards it is a record."""
    title = plain(deployment.checklist.sections[part.section].title) or plain(deployment.checklist.title)
    if part.parts > 1:
        title = f"{title} ({part.part} of {part.parts})"
    positions = range(part.first, part.last + 1)
    done = sum(position in deployment.done for position in positions)
    mark = "✅ " if done == len(positions) else ""
    blocks = [
        words.header(f"{mark}{title}"),
        words.context(
            f"{words.bar(done, len(positions))}  *{done}* of {len(positions)} done"
            f"{_ruled(deployment, positions, names)}"
        ),
    ]
    for group, first, items in groups_between(deployment.checklist, part):
        in_group = sum(position in deployment.done for position in range(first, first + len(items)))
        if group.title:
            heading = shorten(mrkdwn(group.title).replace("*", ""), 400)
            blocks.append(words.section(f"*{heading}*   {in_group}/{len(items)}"))
        if deployment.phase.open:
            blocks.extend(
                boxes(deployment, run, post_id=post_id, revision=revision, names=names)
                for run in runs(items, first)
            )
        else:
            blocks.extend(words.paragraphs(list(record(deployment, items, first, names))))
    about = plain(deployment.checklist.sections[part.section].title) or "the checklist"
    blocks += buttons(deployment, part.first, part.last, about)
    return Drawing(blocks=blocks, text=_text(deployment, part, title, names))


def boxes(
    deployment: Deployment, run: Run, *, post_id: int, revision: int, names: Mapping[str, str]
) -> Block:
    """Boxes that can be ticked, each with who ticked it and what its check found."""
    options, ticked = [], set()
    for offset, item in enumerate(run.items):
        position = run.first + offset
        option: Block = {
            "text": {"type": "mrkdwn", "text": label(item)}
            if not run.long
            else {"type": "plain_text", "text": "Done"},
            "value": str(position),
        }
        tick = deployment.ticks.get(position)
        if tick is not None:
            ticked.add(position)
        said = annotation(deployment, position, names)
        if said:
            option["description"] = {"type": "plain_text", "text": said}
        options.append(option)
    element: Block = {"type": "checkboxes", "action_id": Action.TICK.value, "options": options}
    if ticked:
        element["initial_options"] = [options[position - run.first] for position in sorted(ticked)]
    block_id = TickBlock(
        deployment_id=deployment.id,
        post_id=post_id,
        revision=revision,
        seq=deployment.seq,
        first=run.first,
        count=len(run.items),
        ticked=frozenset(ticked),
    ).write()
    if run.long:
        text = shorten(label(run.items[0]), words.SECTION_TEXT)
        return {**words.section(text), "block_id": block_id, "accessory": element}
    return {"type": "actions", "block_id": block_id, "elements": [element]}


def record(
    deployment: Deployment, items: tuple[Item, ...], first: int, names: Mapping[str, str]
) -> Iterator[str]:
    """The same as lines, once nothing can be ticked any more."""
    for position, item in enumerate(items, start=first):
        box = box_of(deployment, position)
        said = escape(annotation(deployment, position, names)).replace("_", "\u2060_")
        yield f"{box} {shorten(label(item), words.SECTION_TEXT - 100)}{f'  _{said}_' if said else ''}"


def box_of(deployment: Deployment, position: int) -> str:
    """Ticked, waived or open, as one character."""
    if position in deployment.ticks:
        return "☑"
    return "⊘" if position in deployment.care.waivers else "☐"


def _ruled(deployment: Deployment, positions: range, names: Mapping[str, str]) -> str:
    """Which of the items hold something up, and who owns them; without mentions, which would call people."""
    said = []
    for gate in deployment.conduct.gates:
        if gate.first < positions.stop and gate.last >= positions.start:
            what = " and ".join(_HELD[hold] for hold in sorted(gate.holds))
            whole = gate.first <= positions.start and gate.last >= positions.stop - 1
            mark = "✅" if not deployment.open_in(gate) else "🚧"
            title = "" if whole else f"{escape(shorten(plain(gate.title), 60))}: "
            said.append(f"{mark} {title}{what} {'wait' if ' and ' in what else 'waits'} for it")
    owners = dict.fromkeys(owner for position in positions for owner in deployment.conduct.owners(position))
    if owners:
        shown = ", ".join(escape(words.name_of(owner, names)) for owner in list(owners)[:5])
        said.append(f"owned by {shorten(shown, 150)}")
    return "".join(f"  ·  {one}" for one in said[:4])


_HELD = {Hold.GO: "Go", Hold.NEXT: "what follows", Hold.FINISH: "the end"}


def buttons(deployment: Deployment, first: int, last: int, title: str) -> list[Block]:
    """What can be done about these items besides ticking them; nothing where nothing can be done."""
    elements: list[Block] = []
    if any(position in deployment.bindings for position in range(first, last + 1)):
        elements += check_buttons(deployment, first, last, title)
    if deployment.phase.open and last >= first:
        elements.append(
            {
                "type": "button",
                "action_id": Action.ITEMS.value,
                "text": {"type": "plain_text", "text": "Items…"},
                "value": Scope(deployment_id=deployment.id, first=first, last=last).write(),
                "accessibility_label": shorten(f"Waive, assign or note items of {title}", 75),
            }
        )
    return [{"type": "actions", "elements": elements}] if elements else []


def check_buttons(deployment: Deployment, first: int, last: int, title: str) -> list[Block]:
    """Check these items again, and see what was found."""
    value = Scope(deployment_id=deployment.id, first=first, last=last).write()
    run: Block = {
        "type": "button",
        "action_id": Action.RUN_CHECKS.value,
        "text": {"type": "plain_text", "text": "Run checks"},
        "value": value,
        "accessibility_label": shorten(f"Run the checks of {title}", 75),
    }
    look: Block = {
        "type": "button",
        "action_id": Action.RESULTS.value,
        "text": {"type": "plain_text", "text": "Results"},
        "value": value,
        "accessibility_label": shorten(f"What the checks of {title} found", 75),
    }
    return [run, look] if deployment.phase.open else [look]


def _text(deployment: Deployment, part: Part, title: str, names: Mapping[str, str]) -> str:
    """Everything the blocks say; where that is too long, what is open comes first."""
    positions = range(part.first, part.last + 1)
    done = sum(position in deployment.done for position in positions)
    head = f"{title}: {done} of {len(positions)} done."
    lines, still_open = [], []
    for group, first, items in groups_between(deployment.checklist, part):
        if group.title:
            lines.append(f"{plain(group.title)}:")
        for position, item in enumerate(items, start=first):
            number = f"{item.number}. " if item.ordered and item.number is not None else ""
            text = f"{number}{plain(item.text)}"
            said = annotation(deployment, position, names).removeprefix("✓ ")
            if position not in deployment.done:
                still_open.append(text)
            box = box_of(deployment, position)
            lines.append(f"{box} {text}{f' ({said})' if said else ''}")
    # `text` is mrkdwn to Slack, so it is escaped as such; escaping can only lengthen it.
    whole = escape("\n".join([head, *lines]))
    if len(whole) <= words.FALLBACK_TEXT - 100:
        return whole
    return shorten(escape(f"{head} Open: " + "; ".join(still_open)), words.FALLBACK_TEXT - 100)
