"""A person's App Home: alerts, what is theirs to do, what runs, a start, what has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.domain.belonging import LINGERS, Claim, Own, still_open
from bot.domain.deployment import Deployment, Phase
from bot.domain.watching import Source, Trigger, TriggerState
from bot.slack.blocks import aftermath, card, words
from bot.slack.blocks.results import annotation
from bot.slack.blocks.section import is_long, label
from bot.slack.blocks.words import Block
from bot.slack.ids import Action, HomeBlock, StartAgain
from bot.slack.mrkdwn import mrkdwn, plain, shorten
from bot.templates import escape

#: Blocks of a Home tab (Slack docs: views.publish), and how many of them go to alerts, to one's own items
#: and to running deployments; the rest is headings, the start and the history.
BLOCKS, ALERTS, OWN_BLOCKS, RUNNING = 100, 8, 54, 12
#: Longest list of one's own items as a message: `text` beyond 4,000 characters is cut (Slack docs:
#: chat.postMessage), and the end of the list says how many more there are.
LISTED = 3500


@dataclass(frozen=True, kw_only=True)
class Place:
    """A message of a thread that has boxes."""

    post_id: int
    #: Positions of its first and last box.
    first: int
    last: int
    #: What stands over it: the section's title.
    title: str
    #: None until it is sent.
    link: str | None


@dataclass(frozen=True, kw_only=True)
class Links:
    """Where to find things in Slack; what is missing is not sent yet."""

    #: The card, by deployment.
    cards: Mapping[int, str] = field(default_factory=dict)
    #: The messages with boxes, by deployment.
    places: Mapping[int, Sequence[Place]] = field(default_factory=dict)
    #: The newest alert, by deployment and the event that raised the trigger.
    alerts: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def place(self, deployment: Deployment, position: int) -> Place | None:
        """The message that has this box."""
        return next((p for p in self.places.get(deployment.id, ()) if p.first <= position <= p.last), None)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one person sees in their home."""

    #: Their items by deployment, and those deployments: also where they see nothing else of them.
    items: Mapping[int, tuple[Own, ...]]
    deployments: Mapping[int, Deployment]
    #: What they see of all that runs and has ended.
    running: Sequence[Deployment]
    ended: Sequence[Deployment]
    usual: Sequence[StartAgain]
    links: Links
    names: Mapping[str, str]
    #: IANA time zone of the person: plain text shows times in it.
    timezone: str
    now: datetime
    #: New with each drawing.
    revision: int
    unknown_groups: Sequence[str] = ()
    unknown_channels: Sequence[str] = ()
    #: The slash command, for what to do next.
    command: str = "/deploy"


def draw(seen: Seen) -> Block:
    """The view."""
    blocks: list[Block] = []
    for part in (_alerts, _own, _running, _start, _ended):
        drawn = list(part(seen))
        blocks += [{"type": "divider"}, *drawn] if blocks and drawn else drawn
    return {"type": "home", "blocks": blocks[:BLOCKS]}


def alarms(running: Sequence[Deployment]) -> frozenset[str]:
    """Names of the alerts a home shows: a new one among them must be seen at once."""
    return frozenset(
        f"{deployment.id}.{trigger.seq}" for deployment in running for trigger in deployment.aftermath.raised
    )


def listed(
    items: Mapping[int, tuple[Own, ...]],
    deployments: Mapping[int, Deployment],
    links: Links,
    unknown_groups: Sequence[str] = (),
) -> str:
    """One's open items as a message, in mrkdwn; empty where there are none."""
    lines: list[str] = []
    shown, total = 0, sum(still_open(own) for own in items.values())
    for deployment_id, own in items.items():
        deployment = deployments[deployment_id]
        waiting = [one for one in own if not one.lingers]
        heading = f"*{_target(deployment, links)}*  {len(waiting)} open"
        for one in waiting:
            more = [heading, _line(deployment, one, links)]
            if len("\n".join([*lines, *more])) > LISTED:
                break
            lines += more if heading not in lines else more[1:]
            shown += 1
    if shown < total:
        lines.append(f"… and {total - shown} more; my *Home* tab lists them.")
    if lines and unknown_groups:
        lines.append(_unknown(unknown_groups))
    return "\n".join(lines)


def _line(deployment: Deployment, one: Own, links: Links) -> str:
    item = deployment.boxes[one.position]
    place = links.place(deployment, one.position)
    text = escape(shorten(plain(item.text), 150))
    told = f"<{place.link}|{text}>" if place is not None and place.link else text
    return f"☐ {told}  _{escape(_claim(one, {}))}_"


# ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────


def _alerts(seen: Seen) -> Iterator[Block]:
    raised = [(d, trigger) for d in seen.running for trigger in d.aftermath.raised]
    raised.sort(key=lambda one: (one[1].state is not TriggerState.FIRING, one[1].at))
    if not raised:
        return
    yield words.header("🚨 Alerts")
    for deployment, trigger in raised[:ALERTS]:
        yield words.section(_alert(seen, deployment, trigger))
    if len(raised) > ALERTS:
        yield words.context(f"and {len(raised) - ALERTS} more, in the threads of their deployments")


def _alert(seen: Seen, deployment: Deployment, trigger: Trigger) -> str:
    title = shorten(mrkdwn(trigger.title).replace("*", ""), 300)
    who = "nobody has acknowledged it"
    if trigger.state is TriggerState.ACKNOWLEDGED:
        who = f"acknowledged by {words.mention(trigger.acknowledged_by)}"
    change = str(trigger.finding.get("change") or "")
    link = seen.links.alerts.get((deployment.id, trigger.seq))
    mark = "🧪" if trigger.source is Source.DRILL else "🚨"
    lines = [
        f"{mark} *{title}*{f'  {escape(shorten(change, 200))}' if change else ''}",
        f"{_target(deployment, seen.links)}, since {words.slack_time(trigger.at)}: {who}",
    ]
    if link is not None:
        lines.append(f"<{link}|Open the alert>")
    return "\n".join(lines)


# ── one's own items ──────────────────────────────────────────────────────────────────────────────────────


def _own(seen: Seen) -> Iterator[Block]:
    count = sum(still_open(own) for own in seen.items.values())
    yield words.header(f"Your open items ({count})" if count else "Your open items")
    left = OWN_BLOCKS
    hidden = 0
    for deployment_id, own in seen.items.items():
        deployment = seen.deployments[deployment_id]
        drawn = list(_boxes(seen, deployment, own))
        waiting = f"{still_open(own)} open" if still_open(own) else "all of yours are done"
        blocks = [words.section(f"*{_target(deployment, seen.links)}*  {waiting}")]
        for positions, more in drawn:
            if len(blocks) + len(more) > left:
                hidden += len(positions)
                continue
            blocks += more
        if len(blocks) > 1:
            yield from blocks
            left -= len(blocks)
    if hidden:
        told = f"and {hidden} more of yours: `{seen.command} mine` lists them, their threads have the boxes"
        yield words.context(told)
    if not seen.items:
        yield words.section(
            "Nothing waits for you. What is given to you, to a group of yours or in a section you own "
            "appears here, and can be ticked here."
        )
    if seen.unknown_groups:
        yield words.context(_unknown(seen.unknown_groups))


def _unknown(groups: Sequence[str]) -> str:
    named = ", ".join(f"<!subteam^{group}>" for group in groups[:5])
    return f"⚠️ Slack does not say who is in {named}: what was given to them may be missing here."


def _boxes(seen: Seen, deployment: Deployment, own: Sequence[Own]) -> Iterator[tuple[list[Own], list[Block]]]:
    """The boxes of one deployment, as few blocks as Slack allows: (items, blocks)."""
    # Times in the person's own zone; whom it was given to is said beside it.
    care = replace(deployment.care, assignments={})
    at_home = replace(deployment, timezone=seen.timezone, care=care)
    heading: Place | None = None
    held: list[Own] = []

    def flush(place: Place) -> Iterator[tuple[list[Own], list[Block]]]:
        nonlocal heading
        if held:
            blocks = [] if heading == place else [_over(place)]
            heading = place
            yield list(held), [*blocks, _group(seen, at_home, place, held)]
            held.clear()

    before: Place | None = None
    for one in own:
        place = seen.links.place(deployment, one.position)
        if place is None:
            continue  # Its message is planned with the deployment: there is none only for a moment.
        if before is not None and (before != place or len(held) == words.CHECKBOXES):
            yield from flush(before)
        before = place
        if is_long(deployment.boxes[one.position]):
            yield from flush(place)
            blocks = [] if heading == place else [_over(place)]
            heading = place
            yield [one], [*blocks, _long(seen, at_home, place, one)]
            continue
        held.append(one)
    if before is not None:
        yield from flush(before)


def _over(place: Place) -> Block:
    title = escape(shorten(place.title, 150))
    return words.context(f"<{place.link}|{title}>" if place.link else title)


def _group(seen: Seen, deployment: Deployment, place: Place, own: Sequence[Own]) -> Block:
    options: list[Block] = []
    for one in own:
        text = {"type": "mrkdwn", "text": label(deployment.boxes[one.position])}
        options.append({"text": text, "value": str(one.position), **_description(seen, deployment, one)})
    return {
        "type": "actions",
        "block_id": _block_id(seen, deployment, place, own),
        "elements": [_checkboxes(deployment, own, options)],
    }


def _long(seen: Seen, deployment: Deployment, place: Place, one: Own) -> Block:
    done = {"type": "plain_text", "text": "Done"}
    option: Block = {"text": done, "value": str(one.position), **_description(seen, deployment, one)}
    text = shorten(label(deployment.boxes[one.position]), words.SECTION_TEXT)
    return {
        **words.section(text),
        "block_id": _block_id(seen, deployment, place, [one]),
        "accessory": _checkboxes(deployment, [one], [option]),
    }


def _checkboxes(deployment: Deployment, own: Sequence[Own], options: Sequence[Block]) -> Block:
    element: Block = {
        "type": "checkboxes",
        "action_id": Action.HOME_TICK.value,
        "options": list(options),
    }
    ticked = [option for one, option in zip(own, options, strict=True) if one.position in deployment.ticks]
    return {**element, "initial_options": ticked} if ticked else element


def _block_id(seen: Seen, deployment: Deployment, place: Place, own: Sequence[Own]) -> str:
    positions = tuple(one.position for one in own)
    return HomeBlock(
        deployment_id=deployment.id,
        post_id=place.post_id,
        revision=seen.revision,
        seq=deployment.seq,
        positions=positions,
        ticked=frozenset(position for position in positions if position in deployment.ticks),
    ).write()


def _description(seen: Seen, deployment: Deployment, one: Own) -> Block:
    said = annotation(deployment, one.position, seen.names)
    if one.lingers:
        minutes = int(LINGERS.total_seconds()) // 60
        told = f"{shorten(said, 50)} · untick within {minutes} min"
    else:
        claim = _claim(one, seen.names)
        told = f"{claim} · {said}" if said else claim
    return {"description": {"type": "plain_text", "text": shorten(told, words.OPTION_TEXT)}}


def _claim(one: Own, names: Mapping[str, str]) -> str:
    """Why it is theirs, in plain text."""
    by = f" by {shorten(names[one.given_by], 24)}" if one.given_by in names else ""
    match one.claim:
        case Claim.PERSON:
            return f"given to you{by}"
        case Claim.GROUP:
            return f"given to {shorten(names.get(one.through, 'your group'), 24)}{by}"
        case Claim.SECTION:
            return "in a section of yours"


# ── running, start, ended ────────────────────────────────────────────────────────────────────────────────


def _running(seen: Seen) -> Iterator[Block]:
    yield words.header("Running deployments")
    if not seen.running:
        yield words.section(
            f"No deployment is running. Start one below, or type `{seen.command} start` in a channel."
        )
    if seen.unknown_channels:
        yield words.context(words.unknown_channels(seen.unknown_channels))
    order = sorted(seen.running, key=lambda d: (not d.aftermath.raised, d.id))
    for deployment in order[:RUNNING]:
        yield words.section(_progress(seen, deployment))
    if len(order) > RUNNING:
        yield words.context(f"and {len(order) - RUNNING} more: `{seen.command} list` names them")


def _progress(seen: Seen, deployment: Deployment) -> str:
    done, total = deployment.done_items, len(deployment.checklist.items)
    raised = len(deployment.aftermath.raised)
    mark = "🚨" if raised else aftermath.mark(deployment)
    lines = [
        f"{mark} *{_target(deployment, seen.links)}*  led by {words.mention(deployment.lead)}, "
        f"since {words.slack_time(deployment.started_at)}",
        f"{words.bar(done, total)}  *{done}* of {total} ({words.percent(done, total)} %)  "
        f"{escape(shorten(card.phase(deployment), 200))}",
    ]
    watched = aftermath.watch(deployment.aftermath.watch)
    if watched:
        lines.append(escape(shorten(watched, 300)))
    return "\n".join(lines)


def _start(seen: Seen) -> Iterator[Block]:
    yield words.header("Start a deployment")
    buttons = [_button("Start…", StartAgain(), style="primary")]
    buttons += [_button(f"{one.service} → {one.environment}", one) for one in seen.usual]
    yield {"type": "actions", "elements": buttons}
    if seen.usual:
        yield words.context("What you deployed lately opens the form filled in; the version is asked.")


def _button(text: str, value: StartAgain, *, style: str = "") -> Block:
    # action_ids are unique in a block (Slack docs: block elements).
    name = f"{Action.HOME_START.value}.{value.service}.{value.environment}".rstrip(".")
    button: Block = {
        "type": "button",
        "action_id": name,
        "text": {"type": "plain_text", "text": shorten(text, 75)},
        "value": value.write(),
        "accessibility_label": shorten(f"Start a deployment: {text}", 75),
    }
    return {**button, "style": style} if style else button


def _ended(seen: Seen) -> Iterator[Block]:
    yield words.header("Ended lately")
    if not seen.ended:
        yield words.section("Nothing has ended yet. What ends is kept here, with how it went and how long.")
    yield from words.paragraphs([_outcome(seen, deployment) for deployment in seen.ended])


def _outcome(seen: Seen, deployment: Deployment) -> str:
    word = words.PHASE_WORDS[deployment.phase].lower()
    after = aftermath.at_the_end(deployment)
    by = words.mention(deployment.ended_by or deployment.lead)
    line = f"{aftermath.mark(deployment)} *{_target(deployment, seen.links)}*  {word}{escape(after)} by {by}"
    line += f", took {card.elapsed(deployment, seen.now)}"
    if deployment.ended_at is not None:
        line += f", {words.slack_time(deployment.ended_at)}"
    if deployment.phase is Phase.ABORTED and deployment.reason:
        line += f": {escape(shorten(deployment.reason, 100))}"
    return line


def _target(deployment: Deployment, links: Links) -> str:
    """The target as a link to its card, in mrkdwn."""
    text = escape(str(deployment.target))
    link = links.cards.get(deployment.id)
    return f"<{link}|{text}>" if link else text
