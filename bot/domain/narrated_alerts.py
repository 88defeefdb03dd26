"""The sentences of what comes after the deploy: rollback triggers, the watch, the rollback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.domain.events import BOT, Fact
from bot.domain.watching import Source

#: Who raised a trigger, in words.
SOURCES = {
    Source.WATCH: "the watch",
    Source.PERSON: "a person",
    Source.ALERTMANAGER: "Alertmanager",
    Source.HOOK: "another system",
    Source.DRILL: "a drill",
}


def alert_sentence(fact: Fact, *, triggers: Mapping[str, str], clock: Callable[[str], str]) -> str:
    """What happened, as words after a name; empty for a kind that is not known.

    Raises KeyError, TypeError, ValueError for other particulars than ours.
    """
    if fact.kind.startswith("trigger."):
        return _of_trigger(fact, f"“{triggers.get(fact.data['key'], fact.data['key'])}”", clock)
    return _of_watch(fact, triggers, clock)


def _of_trigger(fact: Fact, title: str, clock: Callable[[str], str]) -> str:
    data = fact.data
    match fact.kind:
        case "trigger.fired":
            change = data["finding"].get("change") or data["finding"].get("said") or ""
            made_up = " (a drill: it is made up)" if data["source"] == Source.DRILL else ""
            return f"raised “{data['title']}”{made_up}{f': {change}' if change else ''}"
        case "trigger.worsened":
            change = data["finding"].get("change", "")
            return f"raised {title} again, twice as bad{f': {change}' if change else ''}"
        case "trigger.updated":
            change = data["finding"].get("change", "")
            return f"renewed the figures of {title}{f': {change}' if change else ''}"
        case "trigger.joined":
            said = data.get("said", "")
            return f"raised {title} as well{f': {said}' if said else ''}"
        case "trigger.acknowledged":
            return f"acknowledged {title}"
        case "trigger.snoozed":
            return f"snoozed {title} until {clock(data['until'])}"
        case "trigger.awoke":
            return f"ended the snooze of {title}"
        case "trigger.escalated":
            whom = {1: "the lead", 2: "the people on call"}.get(data["level"], "people")
            return f"told {whom} that nobody has acknowledged {title}"
        case "trigger.recovered":
            return f"saw {title} recover: {data['said']}"
        case "trigger.cleared":
            verb = "ended" if fact.actor == BOT else "mended" if data.get("ours") else "cleared"
            return f"{verb} {title}: {data['reason']}"
    return ""


def _of_watch(fact: Fact, triggers: Mapping[str, str], clock: Callable[[str], str]) -> str:
    data = fact.data
    match fact.kind:
        case "watch.prepared":
            labels = ", ".join(data["labels"].values())
            return f"prepared the watch{f' of {labels}' if labels else ''}"
        case "watch.begun":
            labels = ", ".join(data["labels"].values())
            return f"began the watch{f' of {labels}' if labels else ''}, until {clock(data['until'])}"
        case "watch.judged":
            said = "; ".join(_verdict(name, one) for name, one in data["signals"].items())
            return f"judged {said}" if said else "judged nothing"
        case "watch.extended":
            return f"prolonged the watch until {clock(data['until'])}"
        case "watch.ended":
            return "ended the watch"
        case "rollback.started":
            key = data.get("trigger", "")
            because = f", because of “{triggers.get(key, key)}”" if key else ""
            return f"started the rollback{because}: {data['why']}"
    return ""


def _verdict(name: str, judged: Mapping[str, Any]) -> str:
    said = judged.get("said", "")
    return f"{name} {judged['verdict']}{f' ({said})' if said else ''}"
