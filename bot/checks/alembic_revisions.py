"""Alembic's revisions, read from the migration files without running them.

Importing them, as Alembic does, would execute the project's code inside the bot, and fail where what they
import is not installed. Their revision, down_revision, depends_on and branch_labels are constants.
"""

from __future__ import annotations

import ast
import configparser
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.checks.kind import Broken, Context

_NAMES = ("revision", "down_revision", "depends_on", "branch_labels")


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One migration file."""

    id: str
    down: tuple[str, ...] = ()
    #: Revisions or branch labels it depends on.
    depends: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class Revisions:
    """All migration files of a project. Raises Broken for a set that does not hang together."""

    def __init__(self, revisions: Iterable[Revision]) -> None:
        self._by_id: dict[str, Revision] = {}
        by_label: dict[str, str] = {}
        for one in revisions:
            if one.id in self._by_id:
                raise Broken(f"two migration files have the revision {one.id}")
            self._by_id[one.id] = one
            by_label |= dict.fromkeys(one.labels, one.id)
        self._needs: dict[str, set[str]] = {}
        for one in self._by_id.values():
            needs = {*one.down, *(by_label.get(name, name) for name in one.depends)}
            strange = needs - self._by_id.keys()
            if strange:
                raise Broken(f"the migration {one.id} refers to {min(strange)}, which is not there")
            self._needs[one.id] = needs

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, revision: str) -> bool:
        return revision in self._by_id

    @property
    def heads(self) -> list[str]:
        """Revisions nothing follows."""
        followed = {name for one in self._by_id.values() for name in one.down}
        return sorted(self._by_id.keys() - followed)

    def missing(self, current: Iterable[str]) -> set[str]:
        """Revisions a database at `current` does not have."""
        applied: set[str] = set()
        waiting = [name for name in current if name in self._by_id]
        while waiting:
            name = waiting.pop()
            if name not in applied:
                applied.add(name)
                waiting.extend(self._needs[name])
        return self._by_id.keys() - applied


def read_folders(folders: Iterable[Path], *, recursive: bool = False) -> Revisions:
    """The revisions in these folders. Raises Broken for files that cannot be read without running them."""
    return Revisions(_revisions(folders, recursive=recursive))


def _revisions(folders: Iterable[Path], *, recursive: bool) -> Iterator[Revision]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py") if recursive else folder.glob("*.py")):
            if path.name.startswith((".#", "__init__")):
                continue
            found = revision_of(path.read_text("utf-8", "replace"), path.name)
            if found is not None:
                yield found


def revision_of(source: str, name: str) -> Revision | None:
    """The revision a file declares, None where it declares none. Raises Broken."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise Broken(f"{name} is no Python: line {error.lineno}: {error.msg}") from None
    declared: dict[str, Any] = {}
    for statement in tree.body:
        for target, value in _assignments(statement):
            if target in _NAMES:
                try:
                    declared[target] = ast.literal_eval(value)
                except ValueError:
                    raise Broken(f"{name}: {target} is computed, so it cannot be read") from None
    if not isinstance(declared.get("revision"), str):
        return None
    return Revision(
        id=declared["revision"],
        down=_several(declared.get("down_revision")),
        depends=_several(declared.get("depends_on")),
        labels=_several(declared.get("branch_labels")),
    )


def _assignments(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value


def _several(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def version_folders(context: Context, *, config: str, scripts: str) -> tuple[list[Path], bool]:
    """The folders with migration files, and whether folders inside them count. Raises Broken."""
    if scripts:
        options: Mapping[str, str] = {"script_location": str(context.path(scripts))}
        base = context.path("")
    else:
        path = context.path(config)
        if not path.is_file():
            raise Broken(
                f"there is no {config}: name Alembic's ini file in `config` or its folder in `scripts`"
            )
        options, base = _options(path), path.parent
    location = options.get("script_location", "")
    if not location:
        raise Broken(f"{config} sets no script_location")
    written = options.get("version_locations", "")
    found = _split(written, options) if written else [f"{location}/versions"]
    folders = []
    for name in found:
        # `package:folder` is a folder inside an installed package; here it is looked for under the root.
        relative = name.replace(":", "/") if ":" in name else name
        folder = context.path(str(base / relative))
        if not folder.is_dir():
            raise Broken(f"there is no folder {relative} with migration files")
        folders.append(folder)
    return folders, options.get("recursive_version_locations", "").casefold() in ("true", "1", "yes", "on")


def _options(path: Path) -> Mapping[str, str]:
    """Alembic's own section of an ini file or of pyproject.toml."""
    here = {"here": str(path.parent)}
    try:
        if path.suffix == ".toml":
            section = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("alembic", {})
            return {
                name: (";".join(value) if isinstance(value, list) else str(value)).replace(
                    "%(here)s", here["here"]
                )
                for name, value in section.items()
            }
        parser = configparser.ConfigParser(here, interpolation=None)
        parser.read(path, encoding="utf-8")
        section = dict(parser["alembic"]) if parser.has_section("alembic") else {}
    except (configparser.Error, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Broken(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from None
    return {
        name: value.replace("%(here)s", here["here"]).replace("%%", "%") for name, value in section.items()
    }


def _split(text: str, options: Mapping[str, str]) -> list[str]:
    separator = options.get("path_separator", options.get("version_path_separator", ""))
    between = {"os": ":", ":": ":", ";": ";", "newline": "\n", "space": " "}.get(separator)
    if between is None:
        between = ";" if ";" in text else None
    return [part.strip() for part in text.split(between) if part.strip()]
