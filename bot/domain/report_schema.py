"""The JSON Schema (draft 2020-12) of the report, format 1: printed by `deploybot report --schema`."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_AT: dict[str, Any] = {"type": "string", "format": "date-time", "pattern": "Z$"}
_MAYBE_AT: dict[str, Any] = {"oneOf": [_AT, {"type": "null"}]}
_SECONDS: dict[str, Any] = {"type": "number", "minimum": 0}
_MAYBE_SECONDS: dict[str, Any] = {"type": ["number", "null"]}
_OUTCOME: dict[str, Any] = {"enum": ["pass", "warn", "fail", "unknown", "error", "skipped"]}


def _object(said: str, /, **properties: dict[str, Any]) -> dict[str, Any]:
    """An object with all of these; a later version may add others."""
    named = {name.rstrip("_"): value for name, value in properties.items()}
    return {"type": "object", "description": said, "required": list(named), "properties": named}


def _list(of: dict[str, Any], said: str = "") -> dict[str, Any]:
    return {"type": "array", "items": of, **({"description": said} if said else {})}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "null"}]}


def _said(schema: dict[str, Any], words: str) -> dict[str, Any]:
    return {**schema, "description": words}


_PART = _object(
    "What one check found; secrets are taken out before it is stored.",
    id=_TEXT,
    kind=_TEXT,
    target=_TEXT,
    outcome=_OUTCOME,
    observed=_TEXT,
    expected=_TEXT,
    reason=_said(_TEXT, "Why it is not a pass."),
    excerpt=_TEXT,
)
_EVIDENCE = _object(
    "The newest result of an item's checks.",
    outcome=_OUTCOME,
    at=_AT,
    expires_at=_said(_AT, "When it stops counting as verified."),
    ms=_SECONDS,
    runs=_said(_COUNT, "How often the item was checked."),
    parts=_list(_PART),
)
_ITEM = _object(
    "One box.",
    key=_TEXT,
    position=_COUNT,
    section=_TEXT,
    group=_TEXT,
    text=_TEXT,
    state={"enum": ["done", "open", "waived", "contradicted"]},
    by=_said(_TEXT, "Slack user id, `bot`, `file` (ticked in the checklist file), or empty."),
    name=_TEXT,
    at=_MAYBE_AT,
    reason=_said(_TEXT, "Why it was waived, or ticked against its check."),
    overruled={"type": "boolean"},
    assignees=_list(_TEXT),
    notes=_list(_TEXT),
    evidence=_or_null(_EVIDENCE),
    events=_list(_COUNT, "`seq` of the events about it."),
)
_ALERT = _object(
    "A rollback trigger that was raised.",
    key=_TEXT,
    title=_TEXT,
    source=_said(_TEXT, "`watch`, `person`, `alertmanager`, `hook`, `drill`."),
    drill={"type": "boolean"},
    raised_by=_TEXT,
    at=_AT,
    said=_TEXT,
    acknowledged_by=_TEXT,
    acknowledged_at=_MAYBE_AT,
    seconds_to_acknowledge=_MAYBE_SECONDS,
    recovered_at=_MAYBE_AT,
    cleared_by=_TEXT,
    cleared_at=_MAYBE_AT,
    seconds_to_clear=_MAYBE_SECONDS,
    reason=_TEXT,
    escalated=_said(_COUNT, "1: to the lead, 2: to the people on call."),
    worsened=_COUNT,
)

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A deployment's report by Deploybot",
    **_object(
        "Instants are ISO 8601 in UTC, spans are seconds. Properties may be added while `format` stays 1.",
        format={"const": 1},
        deployment=_object(
            "What was deployed, and how it ended.",
            id=_COUNT,
            name=_TEXT,
            service=_TEXT,
            version=_TEXT,
            environment=_TEXT,
            checklist=_TEXT,
            team=_said(_TEXT, "Slack team id."),
            channel=_said(_TEXT, "Slack channel id."),
            timezone=_said(_TEXT, "IANA name; the documents for people show times in it."),
            lead=_object("Who leads it.", id=_TEXT, name=_TEXT),
            phase={"enum": ["in_progress", "finished", "aborted"]},
            outcome=_said(_TEXT, "The phase in words, with the rollback."),
            reason=_said(_TEXT, "Why it was aborted."),
            started_at=_AT,
            over_turn_of=_or_null(
                _object("Whose turn in the queue was passed over by its start.", id=_TEXT, name=_TEXT)
            ),
            prepared_in=_or_null(
                _object("The freeze it was started in all the same.", name=_TEXT, reason=_TEXT, until=_AT)
            ),
            go_at=_MAYBE_AT,
            go_by=_TEXT,
            live_at=_said(_MAYBE_AT, "When the change was live."),
            ended_at=_MAYBE_AT,
            ended_by=_TEXT,
            seconds=_said(_SECONDS, "From the start to the end, or to now."),
        ),
        counts={"type": "object", "additionalProperties": _COUNT, "description": "How many of what."},
        history=_object(
            "The chain of events.", events=_COUNT, head=_TEXT, intact={"type": "boolean"}, problem=_TEXT
        ),
        phases=_list(_object("A phase.", name=_TEXT, from_=_AT, to=_MAYBE_AT, seconds=_SECONDS)),
        sections=_list(
            _object(
                "A section of the checklist, from its first tick to its last.",
                title=_TEXT,
                done=_COUNT,
                total=_COUNT,
                waived=_COUNT,
                first_tick_at=_MAYBE_AT,
                last_tick_at=_MAYBE_AT,
                seconds=_MAYBE_SECONDS,
            )
        ),
        people=_list(
            _object(
                "Somebody, or `bot`.",
                id=_TEXT,
                name=_TEXT,
                deeds={"type": "object", "additionalProperties": _COUNT},
                first_at=_AT,
                last_at=_AT,
            )
        ),
        items=_list(_ITEM, "In the order of the checklist."),
        rollback_steps=_list(_ITEM, "Empty where nobody went back."),
        overrides=_list(
            _object(
                "Two people's word to go on although items were open.",
                what=_TEXT,
                state={"enum": ["asked", "confirmed", "withdrawn"]},
                reason=_TEXT,
                first=_TEXT,
                second=_TEXT,
                at=_AT,
                open=_list(_TEXT),
            )
        ),
        alerts=_list(_ALERT),
        watch=_or_null(
            _object(
                "What the watch said last.",
                verdict=_TEXT,
                begun_at=_MAYBE_AT,
                ended_at=_MAYBE_AT,
                signals=_list(_object("A signal.", label=_TEXT, verdict=_TEXT, said=_TEXT)),
            )
        ),
        rollback=_or_null(
            _object(
                "The way back.",
                by=_TEXT,
                at=_AT,
                why=_TEXT,
                verified_at=_MAYBE_AT,
                done=_COUNT,
                total=_COUNT,
                times=_list(_object("A step of it.", what=_TEXT, at=_AT, seconds_after=_SECONDS)),
            )
        ),
        links=_list(
            {"type": "object"}, "Facts from other systems, as they were linked, without what is empty."
        ),
        recorder=_object(
            "The flight recorder's line of the metric; its marks are the timeline.",
            from_=_AT,
            to=_AT,
            moments=_list(_object("A moment.", name=_TEXT, at=_AT)),
            curve=_or_null(
                _object(
                    "The metric that was watched.",
                    label=_TEXT,
                    unit=_TEXT,
                    band=_or_null(
                        {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
                    ),
                    points=_list({"type": "array", "prefixItems": [_AT, {"type": "number"}], "minItems": 2}),
                )
            ),
        ),
        timeline=_list(
            _object(
                "An event in words.",
                seq=_COUNT,
                at=_AT,
                kind=_TEXT,
                actor=_said(_TEXT, "Slack user id, or `bot`."),
                name=_TEXT,
                text=_said(_TEXT, "What they did, as it goes on after the name."),
                item=_TEXT,
                key=_said({"type": "boolean"}, "Whether it decided the course of the deployment."),
            )
        ),
    ),
}
