"""Short messages in the thread, each posted once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from bot.domain.check import Outcome
from bot.domain.deployment import Deployment
from bot.domain.events import BOT
from bot.domain.triggering import TriggerFinding
from bot.slack.blocks import aftermath, alert, nudges, runbook, words
from bot.slack.blocks.results import MARKS, in_words
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import Action
from bot.slack.mrkdwn import plain, shorten
from bot.templates import Mrkdwn, render

#: How verdicts of the watch are marked.
VERDICTS = {"healthy": "✅", "degraded": "🚨", "inconclusive": "❔"}


def draw(
    deployment: Deployment, key: str, content: Mapping[str, Any], *, names: Mapping[str, str]
) -> Drawing:
    """The notice `key`: an end, of the deployment or of a run of checks, Go, what reopened, triggers."""
    match key.partition("-")[0]:
        case "checks":
            return _run(deployment, content, names)
        case "escalated" | "awoke":
            return _to_people(key.partition("-")[0], deployment, content, names)
        case "recovered":
            return _plain("recovered", title=plain(content["title"]), said=content["said"])
        case "drill":
            return _drill(content, names)
        case "lead":
            return nudges.handed_over(content, names)
        case "nudge":
            return nudges.in_thread(deployment, content, names)
        case "rolled_back":
            return _rolled_back(deployment, content["by"], names)
        case "deployed":
            live = {name: content[name] for name in ("said", "url")}
            return _by("deployed", content["by"], names, target=str(deployment.target), **live)
        case "go":
            return _go(deployment, content, names)
        case "no_go":
            other = {"other": content.get("instead_of", "")}
            why = content["reason"]
            return _by("no_go", content["by"], names, other, target=str(deployment.target), reason=why)
        case "held":
            held = {item.key: plain(item.text) for item in deployment.boxes}
            left = [held.get(item, item) for item in content["open"]]
            said = content.get("obstacles", ())
            return _plain(
                "held", purpose=content["purpose"], obstacles=said, items=left[:10], count=len(left)
            )
        case "go_asked":
            return _go_asked(deployment, content, names)
        case "assigned":
            return _assigned(deployment, content["to"], names)
        case "watch":
            lines = [(VERDICTS[verdict], label, said) for label, verdict, said in content["lines"]]
            return _plain("watch_ended", verdict=content["verdict"], lines=lines)
        case "reopened":
            items = [(plain(deployment.boxes[position].text), why) for position, why in content["items"]]
            return _plain("reopened", purpose=content["purpose"], items=items)
    raised = deployment.aftermath.raised
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
        mark="↩️" if deployment.aftermath.rollback is not None else "🔶" if raised else "✅",
        rolling=aftermath.at_the_end(deployment),
        raised=[plain(trigger.title) for trigger in raised[:10]],
        raised_count=len(raised),
    )


def _go(deployment: Deployment, content: Mapping[str, Any], names: Mapping[str, str]) -> Drawing:
    """Go, by one person, or by two in an emergency."""
    return _by(
        "go",
        content["by"],
        names,
        {"second": content.get("second", "")},
        target=str(deployment.target),
        open_count=content["open"],
        failing=content.get("failing", 0),
        alerts=[plain(title) for title in content.get("alerts", ())[:5]],
    )


def _go_asked(deployment: Deployment, content: Mapping[str, Any], names: Mapping[str, str]) -> Drawing:
    group = content["group"]
    values = {"target": str(deployment.target), "lead": Mrkdwn(words.mention(content["by"]))}
    shown = render("go_asked", whom=Mrkdwn(f"<!subteam^{group}>") if group else "", **values)
    heard = {**values, "lead": words.name_of(content["by"], names)}
    said = render("go_asked", whom=names.get(group, "the approvers") if group else "", **heard)
    go: Block = {
        "type": "button",
        "action_id": Action.GO.value,
        "style": "primary",
        "text": {"type": "plain_text", "text": "Go"},
        "value": str(deployment.id),
        "accessibility_label": shorten(f"Give Go for {deployment.name}", 75),
    }
    no_go: Block = {
        "type": "button",
        "action_id": Action.NO_GO.value,
        "text": {"type": "plain_text", "text": "No-go"},
        "value": str(deployment.id),
        "accessibility_label": shorten(f"Say No-go for {deployment.name}", 75),
    }
    blocks = [words.section(shown)]
    if deployment.phase.open and deployment.care.go_awaited is not None:
        blocks.append({"type": "actions", "elements": [go, no_go]})
    return Drawing(blocks=blocks, text=said)


def _assigned(deployment: Deployment, to: str, names: Mapping[str, str]) -> Drawing:
    """One message a person or group, for all that was given to them."""
    theirs = sorted(
        position for position, some in deployment.care.assignments.items() if to in {o.to for o in some}
    )
    items = [plain(deployment.boxes[position].text) for position in theirs]
    by = [o.by for position in theirs for o in deployment.care.assignments[position] if o.to == to]
    givers = list(dict.fromkeys(by))
    values = {"items": items[:20], "count": len(items)}
    mention = f"<!subteam^{to}>" if to.startswith("S") else f"<@{to}>"
    shown = render(
        "assigned", who=Mrkdwn(mention), by=Mrkdwn(", ".join(words.mention(one) for one in givers)), **values
    )
    said = render(
        "assigned",
        who=words.name_of(to, names),
        by=", ".join(words.name_of(one, names) for one in givers),
        **values,
    )
    return Drawing(blocks=words.paragraphs([shown]), text=said)


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


def _to_people(
    template: str, deployment: Deployment, content: Mapping[str, Any], names: Mapping[str, str]
) -> Drawing:
    """A reminder of a raised trigger, with mentions on the screen."""
    trigger = deployment.aftermath.trigger_of(content["fired"])
    said = ""
    if trigger is not None:
        finding = TriggerFinding.from_json(trigger.finding)
        said = alert.in_figures(finding, alert.deployed_at(deployment, trigger)) or finding.said
    values = {"title": plain(content["title"]), "said": shorten(said, 500)}
    on_call = alert.group(content.get("on_call", ""))
    whom = on_call or words.mention(content.get("by") or deployment.lead)
    heard = words.name_of(content.get("by") or deployment.lead, names)
    spoken = render(template, who=heard if not on_call else "the people on call", **values)
    return Drawing(blocks=words.paragraphs([render(template, who=Mrkdwn(whom), **values)]), text=spoken)


def _drill(content: Mapping[str, Any], names: Mapping[str, str]) -> Drawing:
    how_far = ("the thread", "a direct message to the lead", "the people on call")[content["escalated"]]

    def said(name: Callable[[str], str]) -> str:
        return render(
            "drill",
            by=name(content["by"]),
            taken_by=name(content["taken_by"]) if content["taken_by"] else "",
            ended_by=name(content["ended_by"]) if content["ended_by"] != BOT else "",
            took=words.exact(timedelta(seconds=content["seconds"])),
            how_far=how_far,
        )

    shown = said(lambda user: Mrkdwn(words.mention(user)))
    return Drawing(blocks=words.paragraphs([shown]), text=said(lambda user: words.name_of(user, names)))


def _seconds(took: float) -> str:
    return f"{took:.1f} s" if took < 60 else f"{int(took // 60)} min {int(took % 60)} s"


def _rolled_back(deployment: Deployment, by: str, names: Mapping[str, str]) -> Drawing:
    """That it is done and how long each part took, from an instant that everybody has on their own clock."""
    told = {"target": str(deployment.target), "times": runbook.in_words(deployment)}
    shown = told | {"times": Mrkdwn(runbook.in_words(deployment, shown=True))}
    drawn = render("rolled_back", who=Mrkdwn(words.mention(by)), **shown)
    return Drawing(
        blocks=words.paragraphs([drawn]),
        text=render("rolled_back", who=words.name_of(by, names), **told),
    )


def _by(
    key: str, user: str, names: Mapping[str, str], others: Mapping[str, str] | None = None, **values: Any
) -> Drawing:
    """A notice about what somebody did: a mention on the screen, the name in the text.

    `others` are more people, by what the template calls them; empty for nobody.
    """
    people = {"who": user, **(others or {})}

    def said(name: Callable[[str], str]) -> str:
        return render(key, **{role: name(one) if one else "" for role, one in people.items()}, **values)

    shown = said(lambda one: Mrkdwn(words.mention(one)))
    return Drawing(blocks=words.paragraphs([shown]), text=said(lambda one: words.name_of(one, names)))


def _plain(key: str, **values: Any) -> Drawing:
    said = render(key, **values)
    return Drawing(blocks=words.paragraphs([said]), text=said)
