"""JavaScript bundles: which files a build made, which of them are loaded at first, how large each is.

Reads what the usual builds leave behind: Vite's `manifest.json` (`build.manifest`), webpack's `stats.json`,
and the flat `asset-manifest.json` / `manifest.json` of its plugins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: A dynamic import, or a chunk's path in the list that Vite writes for its preloads.
_IMPORTS = re.compile(r"""\bimport\s*\(\s*(?:/\*.*?\*/\s*)?["'`]([^"'`]+\.m?js)["'`]""", re.DOTALL)
_STATIC = re.compile(r"""(?:\bfrom|\bimport)\s*["']([^"']+\.m?js)["']""")
_VITE_LIST = re.compile(r"""__vite__mapDeps[^\[]{0,200}\[([^\]]*)\]""")
_QUOTED = re.compile(r"""["']([^"']+\.m?js)["']""")
#: The run time of webpack and its kin, whose chunks have no names a reader could find.
_NAMELESS = ("webpackChunk", "webpackJsonp", "__webpack_require__", "parcelRequire", "turbopack")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One JavaScript file of a build."""

    name: str
    #: Whether the first page needs it; None where the manifest does not say.
    initial: bool | None
    #: Bytes before compression where the manifest says.
    size: int | None = None


class NoManifest(Exception):
    """It is no manifest this module can read; `str()` is why."""


def read_manifest(data: Any) -> tuple[Bundle, ...]:
    """The JavaScript files of a build's manifest. Raises NoManifest."""
    if not isinstance(data, Mapping):
        raise NoManifest("it is no JSON object")
    if isinstance(data.get("assets"), list):
        found = _webpack_stats(data)
    elif any(isinstance(entry, Mapping) and "file" in entry for entry in data.values()):
        found = _vite(data)
    else:
        found = _flat(data)
    unique = {
        bundle.name: bundle for bundle in found if bundle.name.partition("?")[0].endswith((".js", ".mjs"))
    }
    if not unique:
        raise NoManifest("it names no JavaScript file")
    return tuple(unique.values())


def imports_of(code: str) -> list[str]:
    """The other files that a script names as its chunks, as written there."""
    listed = [name for found in _VITE_LIST.findall(code) for name in _QUOTED.findall(found)]
    return list(dict.fromkeys([*_IMPORTS.findall(code), *_STATIC.findall(code), *listed]))


def hides_its_chunks(code: str) -> bool:
    """Whether a script loads chunks by a table that cannot be read without running it."""
    return any(sign in code for sign in _NAMELESS)


def _vite(data: Mapping[str, Any]) -> list[Bundle]:
    entries = {key: entry for key, entry in data.items() if isinstance(entry, Mapping) and "file" in entry}
    initial: set[str] = set()
    waiting = [key for key, entry in entries.items() if entry.get("isEntry")]
    while waiting:
        key = waiting.pop()
        if key in entries and key not in initial:
            initial.add(key)
            waiting += entries[key].get("imports", [])
    return [Bundle(name=str(entry["file"]), initial=key in initial) for key, entry in entries.items()]


def _webpack_stats(data: Mapping[str, Any]) -> list[Bundle]:
    first = {
        str(asset["name"] if isinstance(asset, Mapping) else asset)
        for entry in (data.get("entrypoints") or {}).values()
        for asset in entry.get("assets", [])
    }
    return [
        Bundle(
            name=str(asset["name"]),
            initial=str(asset["name"]) in first if first else None,
            size=asset.get("size"),
        )
        for asset in data["assets"]
        if isinstance(asset, Mapping) and "name" in asset
    ]


def _flat(data: Mapping[str, Any]) -> list[Bundle]:
    files = data.get("files") if isinstance(data.get("files"), Mapping) else data
    first = {str(name).lstrip("/") for name in data.get("entrypoints") or [] if isinstance(name, str)}
    assert files is not None
    return [
        Bundle(name=name, initial=name.lstrip("/") in first if first else None)
        for name in files.values()
        if isinstance(name, str)
    ]
