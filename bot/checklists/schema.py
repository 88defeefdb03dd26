"""The JSON Schema of a sidecar, for editors: the models' own, with one shape for each kind of check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.checklists.binding import KindLike
from bot.checklists.sidecar import Sidecar

#: Stands for a value that is filled in from a variable.
_REFERENCE = {"type": "string", "pattern": r"\$\{[^}]+\}"}
_CONDITION = {
    "description": "A value (equal), a comparison like '< 7' or '~ ^HIT', or a list (one of these).",
    "type": ["string", "number", "boolean", "null", "array"],
}
_RULES = {"type": "object", "additionalProperties": _CONDITION}
_DURATION = {"type": ["string", "number"], "examples": ["10s", "5m", "26h"]}
_COMMON: dict[str, Any] = {
    "use": {"type": "string", "description": "Name of a preset whose keys this check takes over."},
    "id": {"type": "string", "description": "Name of the check within its item, where there are several."},
    "expect": {**_RULES, "description": "What must hold, else the check fails."},
    "pass": {**_RULES, "description": "The same as expect."},
    "fail": {**_RULES, "description": "What makes it fail."},
    "warn": {**_RULES, "description": "What makes it warn."},
    "timeout": {**_DURATION, "description": "Hard limit of one attempt."},
    "attempts": {"type": "integer", "minimum": 1, "maximum": 5},
    "samples": {
        "type": "object",
        "description": "Look several times; fail only where so many looks fail.",
        "properties": {
            "count": {"type": "integer", "minimum": 1},
            "every": _DURATION,
            "fail_when": {"type": "integer", "minimum": 1},
        },
        "required": ["count", "every", "fail_when"],
        "additionalProperties": False,
    },
}


def sidecar_schema(kinds: Iterable[KindLike]) -> dict[str, Any]:
    """The schema (JSON Schema 2020-12)."""
    schema = Sidecar.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    names = []
    for kind in kinds:
        name = f"check.{kind.name}"
        definitions[name] = _check(kind, definitions)
        names.append(name)
    definitions["check"] = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names] + [_BY_PRESET]}
    item = definitions["ItemChecks"]["properties"]
    item["check"] = {"$ref": "#/$defs/check", "description": item["check"].get("description", "")}
    item["all"] = {"type": "array", "items": {"$ref": "#/$defs/check"}, "minItems": 1}
    signal = definitions["WatchedSignal"]["properties"]
    for form in ("series", "probe", "findings"):
        signal[form] = {"$ref": "#/$defs/check", "description": signal[form].get("description", "")}
    reminders = schema["properties"]["reminders"]
    plan = {"type": "array", "items": {"$ref": "#/$defs/PlannedReminder"}}
    reminders["anyOf"] = [*reminders["anyOf"], plan]
    variables = schema["properties"]["vars"]
    variables["additionalProperties"] = {
        "anyOf": [{"$ref": "#/$defs/Variable"}, {"type": ["string", "number", "boolean", "array"]}]
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Checks of a checklist",
        **{key: value for key, value in schema.items() if key != "title"},
    }


#: A check whose kind its preset names: only the preset says which keys it has.
_BY_PRESET: dict[str, Any] = {
    "type": "object",
    "properties": _COMMON,
    "required": ["use"],
}


def _check(kind: KindLike, definitions: dict[str, Any]) -> dict[str, Any]:
    own = kind.params.model_json_schema(ref_template=f"#/$defs/{kind.name}.{{model}}")
    for name, definition in own.pop("$defs", {}).items():
        definitions[f"{kind.name}.{name}"] = definition
    properties = {
        name: {"anyOf": [value, _REFERENCE], **_told(value)}
        for name, value in own.get("properties", {}).items()
    }
    return {
        "type": "object",
        "description": getattr(kind, "about", ""),
        "properties": {"kind": {"const": kind.name}, **properties, **_COMMON},
        "required": ["kind", *own.get("required", ())],
        "additionalProperties": False,
    }


def _told(value: dict[str, Any]) -> dict[str, Any]:
    return {"description": value["description"]} if "description" in value else {}
