"""The history in sentences: one for each event, worded once for every form of the report.

A sentence goes on after the name of whoever did it: `ticked “Scale down workers”`. An event of a kind that
this version does not know, or with other particulars than it expects, is told by the words of its kind: it is
never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bot.domain.events import BOT, Event, Fact
from bot.domain.narrated_alerts import alert_sentence

#: Kinds that tell the course of a deployment; the rest is read where somebody wants every detail.
KEY_KINDS = frozenset(
    (
        "deployment.started",
        "deployment.go",
        "deployment.no_go",
        "deployment.finished",
        "deployment.aborted",
        "go.requested",
        "conclusion.held",
        "deployment.reported",
        "item.waived",
        "item.unwaived",
        "item.overruled",
        "override.requested",
        "override.confirmed",
        "override.withdrawn",
        "lead.handed_over",
        "watch.begun",
        "watch.ended",
        "watch.extended",
        "checks.ended",
        "checks.cancelled",
        "trigger.fired",
        "trigger.worsened",
        "trigger.joined",
        "trigger.acknowledged",
        "trigger.escalated",
        "trigger.recovered",
        "trigger.cleared",
        "rollback.started",
    )
)
#: Longest words of a check in a sentence; the evidence has all of them.
SAID = 300


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What sentences need besides their event."""

    #: The words of each box, by position, as plain text.
    boxes: Sequence[str]
    #: The same by key.
    keys: Mapping[str, str]
    #: What a person is called, by Slack id.
    call: Callable[[str], str]
    #: An instant (ISO 8601) as people read it.
    clock: Callable[[str], str]
    #: Titles of rollback triggers by key, notes and requests by the event that made them, reminders by key.
    triggers: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)
    requests: Mapping[int, str] = field(default_factory=dict)
    reminders: Mapping[str, str] = field(default_factory=dict)

    def box(self, data: Mapping[str, Any]) -> str:
        """The item an event is about, quoted."""
        position = data.get("position")
        if isinstance(position, int) and 0 <= position < len(self.boxes):
            return f"“{self.boxes[position]}”"
        key = str(data.get("item", ""))
        return f"“{self.keys.get(key, key)}”"


def scene(
    events: Iterable[Event],
    *,
    boxes: Sequence[str],
    keys: Sequence[str],
    call: Callable[[str], str],
    clock: Callable[[str], str],
) -> Scene:
    """The scene of a history: what later sentences refer to is gathered from all of it."""
    triggers: dict[str, str] = {}
    notes: dict[int, str] = {}
    requests: dict[int, str] = {}
    reminders: dict[str, str] = {}
    for event in events:
        data = event.fact.data
        match event.fact.kind:
            case "trigger.fired":
                triggers[str(data.get("key"))] = str(data.get("title", ""))
            case "item.noted":
                notes[event.seq] = str(data.get("text", ""))
            case "override.requested":
                requests[event.seq] = str(data.get("what", ""))
            case "reminder.added":
                reminders[str(data.get("key"))] = _reminded_of(data, boxes)
    return Scene(
        boxes=boxes,
        keys=dict(zip(keys, boxes, strict=True)),
        call=call,
        clock=clock,
        triggers=triggers,
        notes=notes,
        requests=requests,
        reminders=reminders,
    )


def told(event: Event, scene: Scene) -> str:
    """What happened, as words after the name of who did it. Never raises, never empty."""
    try:
        said = _sentence(event.fact, scene)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        said = ""  # other particulars than ours: told by its kind
    return said or _by_its_kind(event.fact, scene)


def _by_its_kind(fact: Fact, scene: Scene) -> str:
    words = " ".join(fact.kind.replace(".", " ").replace("_", " ").split()) or "something happened"
    about = f" {scene.box(fact.data)}" if "position" in fact.data or "item" in fact.data else ""
    said = next((fact.data[name] for name in ("reason", "text", "said", "why") if name in fact.data), "")
    return f"{words}{about}{f': {said}' if isinstance(said, str) and said else ''}"


def _sentence(fact: Fact, scene: Scene) -> str:
    area = fact.kind.partition(".")[0]
    if area in ("trigger", "watch", "rollback"):
        return alert_sentence(fact, triggers=scene.triggers, clock=scene.clock)
    return _SENTENCES[area](fact, scene) if area in _SENTENCES else ""


def _of_deployment(fact: Fact, scene: Scene) -> str:
    data = fact.data
    match fact.kind:
        case "deployment.started":
            what = f"{data['service']} {data['version']} → {data['environment']}"
            return f"started {what}{_although(data, scene)}"
        case "deployment.go":
            left = len(data.get("open_items", ()))
            return f"gave Go{f', {_items(left)} open' if left else ''}{_overriding(data, scene)}"
        case "deployment.no_go":
            return f"said No-go{_because(data)}"
        case "deployment.finished":
            left = len(data.get("open_items", ()))
            return f"finished it{f', {_items(left)} open' if left else ''}{_overriding(data, scene)}"
        case "deployment.aborted":
            return f"aborted it{_because(data)}"
        case "deployment.announced":
            words = f": {data['words']}" if data.get("words") else ""
            return f"told another channel{' the figures' if data['what'] == 'share' else ''}{words}"
        case "deployment.reported":
            said = f": {data['said']}" if data.get("said") else ""
            return f"said that it is {data['state']}{said}"
        case "deployment.linked":
            return _linked(data, scene)
    return ""


def _although(data: Mapping[str, Any], scene: Scene) -> str:
    """What a start went over: somebody's turn in the queue, a freeze."""
    turn, freeze = data.get("over_turn_of"), data.get("frozen")
    said = f", although it was the turn of {scene.call(str(turn))}" if turn else ""
    if freeze:
        said += f", prepared in the freeze “{freeze['name']}” until {scene.clock(freeze['until'])}"
        said += _because(freeze)
    return said


def _linked(data: Mapping[str, Any], scene: Scene) -> str:
    what = str(data["what"]).replace("_", " ")
    if data["what"] == "commits":
        count = int(data.get("count", 0))
        which = f"{count} commit{'' if count == 1 else 's'}" if count else "its commits"
        since = data.get("first_commit_at")
        first = f", the first of {scene.clock(since)}" if since else ""
        return f"linked {which}{first}"
    where = data.get("url") or data.get("repository") or ""
    return (
        f"linked the {what.replace('ci ', 'CI ').replace('github', 'GitHub')}{f': {where}' if where else ''}"
    )


def _of_go(fact: Fact, scene: Scene) -> str:
    if fact.kind != "go.requested":
        return ""
    group = str(fact.data.get("group", ""))
    return f"asked {scene.call(group)} for Go" if group else "asked for somebody else's Go"


def _of_conclusion(fact: Fact, scene: Scene) -> str:
    if fact.kind != "conclusion.held":
        return ""
    left = len(fact.data["open"])
    what = "finish" if fact.data["what"] == "finish" else "give Go"
    said = list(map(str, fact.data.get("obstacles", ())))
    opened = f"{_items(left)} of a gate opened while the evidence was looked at"
    return f"could not {what}: {' '.join([*([opened] if left else []), *said])}"


def _of_lead(fact: Fact, scene: Scene) -> str:
    if fact.kind == "lead.present":
        return "is still on it"
    to = scene.call(str(fact.data["to"]))
    match fact.kind:
        case "lead.handed_over":
            return f"handed the lead over from {scene.call(str(fact.data['from']))} to {to}"
        case "lead.nudged" if fact.data.get("level", 1) > 1:
            return f"asked the thread who takes over from {to}"
        case "lead.nudged":
            return f"asked the lead, {to}, whether they are still on it"
    return ""


def _of_override(fact: Fact, scene: Scene) -> str:
    data = fact.data
    match fact.kind:
        case "override.requested":
            what = _concluded(str(data["what"]))
            return f"asked to {what} with {_items(len(data.get('open', ())))} open{_because(data)}"
        case "override.confirmed":
            return f"confirmed the override to {_concluded(scene.requests.get(data['request'], ''))}"
        case "override.withdrawn":
            return f"withdrew the override to {_concluded(scene.requests.get(data['request'], ''))}"
    return ""


def _of_item(fact: Fact, scene: Scene) -> str:
    data, box = fact.data, scene.box(fact.data)
    match fact.kind:
        case "item.ticked" if data.get("wanted_reason"):
            return f"clicked {box}, whose check does not pass: a reason was asked for"
        case "item.ticked" if data.get("moot"):
            return f"ticked {box}, which changed nothing"
        case "item.ticked":
            early = len(data.get("before", ()))
            order = f", with {early} earlier step{'' if early == 1 else 's'} open" if early else ""
            return f"ticked {box}{order}"
        case "item.unticked" if data.get("moot"):
            return f"unticked {box}, which changed nothing"
        case "item.unticked":
            return f"unticked {box}{_because(data, 'why')}"
        case "item.overruled":
            return f"ticked {box} although its check does not pass{_because(data)}"
        case "item.waived":
            return f"waived {box}{_because(data)}"
        case "item.unwaived":
            return f"took back the waiver of {box}"
        case "item.assigned":
            return f"assigned {box} to {scene.call(str(data['to']))}"
        case "item.unassigned":
            return f"took {box} off {scene.call(str(data['to']))}"
        case "item.noted":
            link = f" ({data['link']})" if data.get("link") else ""
            return f"noted on {box}: {data['text']}{link}"
        case "item.note_removed":
            said = scene.notes.get(data["note"], "")
            return f"removed a note from {box}{f': {said}' if said else ''}"
    return ""


def _of_checks(fact: Fact, scene: Scene) -> str:
    data = fact.data
    match fact.kind:
        case "check.recorded":
            result = data["result"]
            seen = _seen(result)
            return f"checked {scene.box(data)}: {result['outcome']}{f', {seen}' if seen else ''}"
        case "checks.requested":
            why = {"go": ", before Go", "finish": ", before the end"}.get(data["purpose"], "")
            count = len(data["positions"])
            return f"had {_items(count)} checked{why}"
        case "checks.ended":
            return f"went through the checks: {_counts(data['counts'])}"
        case "checks.cancelled":
            return f"stopped the checks: {_counts(data['counts'])}, {len(data['left'])} not looked at"
    return ""


def _of_reminder(fact: Fact, scene: Scene) -> str:
    data = fact.data
    if fact.kind == "reminder.added":
        verb = "planned to remind" if fact.actor == BOT else "asked for a reminder"
        return f"{verb} of {scene.reminders[data['key']]}, {scene.clock(data['due_at'])}"
    of = "; ".join(scene.reminders.get(key, "something") for key in data["keys"])
    match fact.kind:
        case "reminder.sent":
            return f"reminded of {of}"
        case "reminder.escalated":
            whom = {1: "the lead", 2: "the people on call"}.get(data.get("level", 0), "people")
            return f"reminded {whom} of {of}"
        case "reminder.snoozed":
            return f"put off until {scene.clock(data['until'])}: {of}"
        case "reminder.done":
            return f"settled the reminder of {of}"
        case "reminder.not_needed":
            return f"said that no reminder is needed of {of}"
        case "reminder.dropped":
            return f"dropped the reminder of {of}"
    return ""


_SENTENCES: Mapping[str, Callable[[Fact, Scene], str]] = {
    "deployment": _of_deployment,
    "go": _of_go,
    "conclusion": _of_conclusion,
    "lead": _of_lead,
    "override": _of_override,
    "item": _of_item,
    "check": _of_checks,
    "checks": _of_checks,
    "reminder": _of_reminder,
}


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"


def _because(data: Mapping[str, Any], name: str = "reason") -> str:
    return f": {data[name]}" if data.get(name) else ""


def _overriding(data: Mapping[str, Any], scene: Scene) -> str:
    made = data.get("override")
    if not made:
        return ""
    both = f"{scene.call(str(made['first']))} and {scene.call(str(made['second']))}"
    return f", overriding what is open: {made['reason']} ({both})"


def _concluded(what: str) -> str:
    return {"go": "give Go", "finish": "finish"}.get(what, what or "go on")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing was checked"


def _seen(result: Mapping[str, Any]) -> str:
    """The most telling line of a result: why it is not a pass, or what was observed."""
    parts = result["evidence"]
    telling = next((p for p in parts if p["outcome"] == result["outcome"]), parts[0] if parts else {})
    said = str(telling.get("reason") or telling.get("observed") or "")
    return said if len(said) <= SAID else f"{said[:SAID]}…"


def _reminded_of(data: Mapping[str, Any], boxes: Sequence[str]) -> str:
    if data.get("text"):
        return f"“{data['text']}”"
    named = [boxes[at] for at in data.get("items", ()) if isinstance(at, int) and 0 <= at < len(boxes)]
    if len(named) == 1:
        return f"“{named[0]}”"
    return _items(len(named)) if named else "what is open"


def instant(text: str) -> datetime:
    """An instant as events keep it."""
    return datetime.fromisoformat(text).astimezone(UTC)
