"""What other systems are told of a deployment: webhook messages and GitHub's deployment statuses. Pure.

A message is what the Standard Webhooks specification makes of one: `type`, `timestamp`, `data`. People are
Slack ids only. Drills are nobody's business outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain.deployment import Deployment
from bot.domain.events import Event
from bot.domain.reading import cut
from bot.domain.watching import Source

#: The kinds of facts that are told, and as what.
TYPES = {
    "deployment.started": "deployment.started",
    "deployment.go": "deployment.go",
    "deployment.no_go": "deployment.no_go",
    "deployment.finished": "deployment.finished",
    "deployment.aborted": "deployment.aborted",
    "rollback.started": "deployment.rolled_back",
    "trigger.fired": "alert.fired",
    "trigger.cleared": "alert.cleared",
}
#: What GitHub is told, by the kind of fact (REST API: deployment statuses, `state`).
GITHUB_STATES = {
    "deployment.go": "in_progress",
    "deployment.no_go": "queued",
    "deployment.finished": "success",
    "deployment.aborted": "failure",
    "rollback.started": "failure",
}
#: How the description of a status of ours begins: it comes back to us as a webhook.
GITHUB_SIGN = "Deploybot: "
#: Longest description of a status (REST API: "the maximum description length is 140 characters").
GITHUB_DESCRIPTION = 140


def message_of(deployment: Deployment, event: Event) -> dict[str, Any] | None:
    """The body of a webhook about this event, without the link to the thread; None where none is sent."""
    fact, kind = event.fact, TYPES.get(event.fact.kind)
    if kind is None:
        return None
    more: dict[str, Any] = {}
    match fact.kind:
        case "deployment.finished":
            more = {"open_items": list(fact.data["open_items"])}
        case "deployment.aborted" | "deployment.no_go":
            more = {"reason": fact.data["reason"]}
        case "rollback.started":
            more = {"reason": fact.data["why"], "alert": fact.data.get("trigger")}
        case "trigger.fired" | "trigger.cleared":
            trigger = deployment.aftermath.triggers.get(fact.data["key"])
            if trigger is None or trigger.source is Source.DRILL:
                return None
            more = {
                "alert": {
                    "key": trigger.key,
                    "title": trigger.title,
                    "source": trigger.source.value,
                    "said": str(trigger.finding.get("said", "")),
                    "reason": fact.data.get("reason"),
                }
            }
    return {
        "type": kind,
        "timestamp": fact.at.isoformat(),
        "data": {
            "deployment": {
                "id": deployment.id,
                "name": deployment.name,
                "service": deployment.target.service,
                "version": deployment.target.version,
                "environment": deployment.target.environment,
                "checklist": deployment.checklist_name,
                "team": deployment.team,
                "channel": deployment.channel,
                "lead": deployment.lead,
                "started_at": deployment.started_at.isoformat(),
                "state": deployment.phase.value,
                "url": None,
            },
            "actor": fact.actor,
            "event": event.seq,
            **more,
        },
    }


def github_status_of(deployment: Deployment, event: Event) -> dict[str, Any] | None:
    """The status GitHub's deployment gets for this event, without the link; None where it gets none."""
    state = GITHUB_STATES.get(event.fact.kind)
    if state is None:
        return None
    if state == "success" and deployment.aftermath.rollback is not None:
        return None  # the end of a rollback is no success; the failure was told when it began
    if event.fact.kind == "deployment.no_go" and not event.fact.data.get("not_live"):
        return None  # no Go was taken back, or the change is live all the same
    said = {
        "deployment.go": "Go",
        "deployment.finished": "finished",
        "deployment.no_go": f"No-go: {event.fact.data.get('reason', '')}",
        "deployment.aborted": f"aborted: {event.fact.data.get('reason', '')}",
        "rollback.started": f"rolled back: {event.fact.data.get('why', '')}",
    }[event.fact.kind]
    # The event tells attempts of the same status apart from new ones.
    tail = f" ({deployment.name}, event {event.seq})"
    words = cut(f"{GITHUB_SIGN}{said}", GITHUB_DESCRIPTION - len(tail))
    return {"state": state, "description": f"{words}{tail}", "log_url": None}


def with_link(body: Mapping[str, Any], url: str | None) -> dict[str, Any]:
    """A body with the link to the deployment's thread; without one, GitHub's has no field for it."""
    if "log_url" in body:
        rest = {name: value for name, value in body.items() if name != "log_url"}
        return {**rest, "log_url": url} if url else rest
    data = body["data"]
    return {**body, "data": {**data, "deployment": {**data["deployment"], "url": url}}}


_TEXT = {"type": "string"}
_INSTANT = {"type": "string", "format": "date-time"}
_MAYBE = {"type": ["string", "null"]}


def _object(needed: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    properties = {**needed, **optional}
    return {
        "type": "object",
        "properties": properties,
        "required": list(needed),
        "additionalProperties": False,
    }


def message_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of every webhook body."""
    deployment = _object(
        {
            "id": {"type": "integer"},
            "name": {**_TEXT, "description": "What people call it, e.g. storefront-12."},
            "service": _TEXT,
            "version": _TEXT,
            "environment": _TEXT,
            "checklist": _TEXT,
            "team": {**_TEXT, "description": "Slack team id."},
            "channel": {**_TEXT, "description": "Slack channel id."},
            "lead": {**_TEXT, "description": "Slack user id."},
            "started_at": _INSTANT,
            "state": {"enum": ["in_progress", "finished", "aborted"]},
            "url": {**_MAYBE, "description": "The thread in Slack."},
        }
    )
    alert = _object(
        {
            "key": _TEXT,
            "title": _TEXT,
            "source": {"enum": [source.value for source in Source if source is not Source.DRILL]},
            "said": _TEXT,
            "reason": {**_MAYBE, "description": "Why it was cleared."},
        }
    )
    data = _object(
        {
            "deployment": deployment,
            "actor": {**_TEXT, "description": "Slack user id, bot or ci."},
            "event": {"type": "integer", "description": "Its number in the deployment's history."},
        },
        open_items={"type": "array", "items": _TEXT, "description": "Keys of items left open at finish."},
        reason={**_TEXT, "description": "Why it was aborted or rolled back, or may not go on."},
        alert={"anyOf": [alert, _MAYBE], "description": "The alert; of a rollback, its key or null."},
    )
    body = _object({"type": {"enum": sorted(set(TYPES.values()))}, "timestamp": _INSTANT, "data": data})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Webhooks of Deploybot",
        "description": "deployment.rolled_back is sent when somebody starts the rollback.",
        **body,
    }
