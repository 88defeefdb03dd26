"""Packages with their versions, read from lock files.

uv.lock, poetry.lock, requirements.txt with pins, package-lock.json (versions 1 to 3). What cannot be judged,
such as a requirement without a pin, is told, never dropped.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Ecosystem = Literal["PyPI", "npm"]


@dataclass(frozen=True, order=True)
class Package:
    """A package as it is installed."""

    ecosystem: Ecosystem
    name: str
    version: str


@dataclass(kw_only=True)
class Locked:
    """What a lock file says."""

    packages: set[Package] = field(default_factory=set)
    #: Entries whose version or origin it does not tell: unpinned, from git or a URL.
    unjudged: list[str] = field(default_factory=list)


def read(name: str, text: str, *, dev: bool) -> Locked:
    """A lock file by its name; `dev`: with what only development needs, where that is marked.

    Raises ValueError for a file that is not what its name says, or lists nothing.
    """
    base = name.rpartition("/")[2]
    if base.endswith("package-lock.json") or base == "npm-shrinkwrap.json":
        locked = _npm(json.loads(text), dev=dev)
    elif base.endswith(".lock"):
        locked = _toml(tomllib.loads(text), dev=dev)
    elif base.endswith(".txt"):
        locked = _requirements(text)
    else:
        raise ValueError(
            "no lock file that can be read: uv.lock, poetry.lock, requirements.txt, package-lock.json"
        )
    if not locked.packages and not locked.unjudged:
        raise ValueError("it lists no packages")
    return locked


def _toml(data: Mapping[str, Any], *, dev: bool) -> Locked:
    """uv's and Poetry's format: `[[package]]` with name, version, source."""
    locked = Locked()
    for entry in data.get("package") or ():
        source = entry.get("source") or {}
        # uv: the project itself and its workspace; Poetry: a folder or file of the project.
        if {"virtual", "editable", "directory", "path"} & source.keys() or source.get("type") in (
            "directory",
            "file",
        ):
            continue
        if not dev and (entry.get("category") == "dev" or entry.get("groups") == ["dev"]):
            continue
        name, version = str(entry["name"]), entry.get("version")
        if (
            version is None
            or "git" in source
            or source.get("type") in ("git", "url")
            or "url" in _foreign(source)
        ):
            locked.unjudged.append(name)
        else:
            locked.packages.add(Package("PyPI", _normal(name), str(version)))
    return locked


def _foreign(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """A source that is no package index."""
    return {} if "registry" in source or source.get("type") == "legacy" else source


_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*={2,3}\s*([^\s;#,]+)\s*(?:[;#].*)?$")


def _requirements(text: str) -> Locked:
    locked = Locked()
    for line in text.replace("\\\n", " ").splitlines():
        entry = re.sub(r"\s--hash=\S+", "", line.partition(" #")[0]).strip()
        if (
            not entry
            or entry.startswith("#")
            or re.match(r"--?(index|extra|i\b|f\b|find|no-|only|trusted|pre)", entry)
        ):
            continue
        pin = _PIN.match(entry)
        if pin and "*" not in pin[2]:
            locked.packages.add(Package("PyPI", _normal(pin[1]), pin[2]))
        else:
            locked.unjudged.append(entry[:60])
    return locked


def _npm(data: Mapping[str, Any], *, dev: bool) -> Locked:
    locked = Locked()
    entries = _flat(data["packages"]) if "packages" in data else _nested(data.get("dependencies") or {})
    for called, entry in entries:
        if entry.get("link") or (not dev and entry.get("dev")):
            continue
        name, version = called, str(entry.get("version") or "")
        if version.startswith("npm:"):  # an alias: `npm:other@1.2.3`
            name, _, version = version.removeprefix("npm:").rpartition("@")
        foreign = str(entry.get("resolved") or "").startswith(("git", "file:"))
        if foreign or not re.match(r"\d", version):
            locked.unjudged.append(called)
        else:
            locked.packages.add(Package("npm", name, version))
    return locked


def _flat(packages: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, entry in packages.items():
        if "node_modules/" in path:  # others are the project itself and its workspaces
            yield str(entry.get("name") or path.rpartition("node_modules/")[2]), entry


def _nested(dependencies: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, entry in dependencies.items():
        yield name, entry
        yield from _nested(entry.get("dependencies") or {})


def _normal(name: str) -> str:
    """PyPI's normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
