"""The checks of included items come along: the sidecars of the included checklists merged into one.

An included check takes its preset and its file's defaults with it, so that neither can be mistaken for
another of the same name. Variables and secrets are shared by name; where two files declare one, the including
file's counts. What is watched and reminded of is the including checklist's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.checklists.markdown import Imported
from bot.checklists.sidecar import Environment, ItemChecks, Sidecar, SidecarFile
from bot.domain.checklist import RUNBOOK, Checklist


def merged(
    own: SidecarFile | None,
    included: Sequence[tuple[Imported, SidecarFile]],
    *,
    path: Path,
    checklist: Checklist,
) -> SidecarFile:
    """One sidecar for a checklist and all it includes. `path` is the checklist's, for one without its own."""
    base = own.content if own is not None else Sidecar(version=1)
    others = [file.content for _, file in included]
    steps = {step.key for step in checklist.runbook}
    items: dict[str, ItemChecks] = {}
    for what, file in included:
        for key, item in file.content.items.items():
            here = key if key.startswith(f"{RUNBOOK}/") and key in steps else what.keys.get(key)
            carried = _carried(item, file.content, what.keys)
            if here is not None and here not in base.items and carried is not None:
                items[here] = carried
    named = {name for content in (base, *others) for name in content.environments}
    content = base.model_copy(
        update={
            "vars": _joined([*[other.vars for other in others], base.vars]),
            "secrets": _joined([*[other.secrets for other in others], base.secrets]),
            "environments": {
                name: _environment([_block(content, name) for content in (base, *others)]) for name in named
            },
            "allow": _listed([base.allow, *[other.allow for other in others]]),
            "forbid": _listed([base.forbid, *[other.forbid for other in others]]),
            "commands": _listed([base.commands, *[other.commands for other in others]]),
            "root": _first([base.root, *[other.root for other in others]], unset="."),
            "ca_file": _first([base.ca_file, *[other.ca_file for other in others]], unset=""),
            "on_call": _first([base.on_call, *[other.on_call for other in others]], unset=""),
            "items": {**items, **base.items},
        }
    )
    files = [*([own] if own is not None else []), *[file for _, file in included]]
    digest = hashlib.sha256("".join(file.digest for file in files).encode()).hexdigest()
    return SidecarFile(path=own.path if own is not None else path, content=content, digest=digest)


def _carried(item: ItemChecks, content: Sidecar, keys: Mapping[str, str]) -> ItemChecks | None:
    """An item's checks with everything they took from their own file.

    None where a check is made of other items (`of`) and none of those was included.
    """
    check = None if item.check is None else _whole(item.check, content, keys)
    every = None if item.all is None else [_whole(one, content, keys) for one in item.all]
    if any("of" in one and not one["of"] for one in (check or {}, *(every or ()))):
        return None
    return item.model_copy(
        update={
            "check": check,
            "all": every,
            "freshness": content.defaults.freshness if item.freshness is None else item.freshness,
        }
    )


def _whole(check: Mapping[str, Any], content: Sidecar, keys: Mapping[str, str]) -> dict[str, Any]:
    preset = content.presets.get(str(check.get("use", "")), {})
    # A preset that is not there is left for binding to name.
    rest = {name: value for name, value in check.items() if name != "use" or not preset}
    defaults = {"timeout": content.defaults.timeout, "attempts": content.defaults.attempts}
    whole = {**defaults, **preset, **rest}
    if isinstance(whole.get("of"), list):
        whole["of"] = [keys[key] for key in whole["of"] if key in keys]
    return whole


def _block(content: Sidecar, name: str) -> Environment:
    return content.environments.get(name, content.environments.get("*", Environment()))


def _environment(blocks: Sequence[Environment]) -> Environment:
    """The first one's word counts; what is allowed and forbidden adds up."""
    return Environment(
        vars=_joined([block.vars for block in reversed(blocks)]),
        secrets=_joined([block.secrets for block in reversed(blocks)]),
        allow=_listed([block.allow for block in blocks]),
        forbid=_listed([block.forbid for block in blocks]),
        require=blocks[0].require,
    )


def _joined(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mapping in mappings:
        found |= mapping
    return found


def _listed(lists: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(one for listed in lists for one in listed))


def _first(values: Sequence[str], *, unset: str) -> str:
    return next((value for value in values if value != unset), unset)
