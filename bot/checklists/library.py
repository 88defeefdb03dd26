"""The checklists a deployment can be started with: one Markdown file each, found by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from bot.checklists.including import includes_something
from bot.checklists.markdown import Parsed
from bot.checklists.merging import merged
from bot.checklists.reading import read
from bot.checklists.services import NAME as SERVICES
from bot.checklists.services import read_services
from bot.checklists.sidecar import SidecarFile, read_sidecar
from bot.checklists.variables import fill
from bot.domain.checklist import Checklist
from bot.domain.errors import ChecklistUnusable, Finding
from bot.domain.routing import Routing

SUFFIXES = (".md", ".markdown")


#: What changes with a file: when it was written, and how long it is.
_Stamp = tuple[int, int]


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


class ChecklistLibrary:
    """Looks into folders, the first one first; a name is a file's name without its ending."""

    def __init__(self, folders: Iterable[Path], *, includes: Iterable[Path] = ()) -> None:
        """`includes`: where else files to include may be; their checklists are not offered."""
        self._folders = tuple(dict.fromkeys(folder.resolve() for folder in folders))
        self._includes = (*self._folders, *includes)
        self._routing: tuple[tuple[Path, _Stamp], Routing] | None = None
        self._sidecars: dict[Path, tuple[_Stamp, SidecarFile]] = {}
        self._checklists: dict[Path, tuple[_Stamp, Parsed]] = {}

    def names(self) -> tuple[str, ...]:
        """The names that can be asked for, `production` first, then by the alphabet."""
        return tuple(sorted(self._files(), key=lambda name: (name != "production", name)))

    def load(self, name: str) -> Checklist:
        """The checklist of that name, as the file says now.

        Raises ChecklistUnusable, which names what there is, for one that is missing.
        """
        return self._parsed(self.path(name)).checklist

    def path(self, name: str) -> Path:
        """The file of the checklist of that name. Raises ChecklistUnusable."""
        files = self._files()
        # Looked up in the listing, never joined to a path: a name cannot lead out of the folders.
        path = files.get(name) or {key.casefold(): value for key, value in files.items()}.get(name.casefold())
        if path is None:
            raise ChecklistUnusable(name[:60], (Finding(line=0, message=_missing(name, files), fatal=True),))
        return path

    def sidecar_path(self, name: str) -> Path | None:
        """Where the checks of that checklist are; None where it has none. Raises ChecklistUnusable."""
        return _beside(self.path(name))

    def sidecar_paths(self, name: str) -> tuple[Path, ...]:
        """Every file that holds checks of that checklist: its own, and those of what it includes.

        Raises ChecklistUnusable.
        """
        path = self.path(name)
        imported = self._parsed(path).imported if _may_include(path) else ()
        found = [_beside(path), *(_beside(one.path) for one in imported)]
        return tuple(one for one in found if one is not None)

    def sidecar(self, name: str) -> SidecarFile | None:
        """The checks that belong to the checklist of that name; None where it has none.

        Raises ChecklistUnusable for a checklist that is missing, SidecarUnusable.
        """
        path = self.path(name)
        beside = _beside(path)
        own = None if beside is None else self._read(beside)
        if not _may_include(path):
            return own
        parsed = self._parsed(path)
        included = [
            (one, self._read(other))
            for one in parsed.imported
            if (other := _beside(one.path)) is not None and other != beside
        ]
        return merged(own, included, path=path, checklist=parsed.checklist) if included else own

    def _parsed(self, path: Path) -> Parsed:
        # A start asks for its checklist four times over. One that includes others changes with them, and is
        # read anew. Raises ChecklistUnusable.
        try:
            stamp = _stamp(path)
        except OSError:
            return read(path, self._includes)  # says what is wrong
        kept = self._checklists.get(path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        parsed = read(path, self._includes)
        if not parsed.imported:
            self._checklists[path] = (stamp, parsed)
        return parsed

    def _read(self, found: Path) -> SidecarFile:
        # Reading one takes a good part of a second, and people wait for the start of a deployment.
        stamp = _stamp(found)
        if self._sidecars.get(found, (None, None))[0] != stamp:
            self._sidecars[found] = (stamp, read_sidecar(found))
        return self._sidecars[found][1]

    def routing(self) -> Routing:
        """Which service goes by which checklist; no rules where there is no services.yaml.

        Raises ServicesUnusable.
        """
        for folder in self._folders:
            path = folder / SERVICES
            if path.is_file():
                stamp = _stamp(path)
                if self._routing is None or self._routing[0] != (path, stamp):
                    self._routing = ((path, stamp), read_services(path, self.names()))
                return self._routing[1]
        return Routing()

    def fill(self, checklist: Checklist, variables: dict[str, str]) -> Checklist:
        """The checklist with its variables filled in. Raises ChecklistUnusable."""
        return fill(checklist, variables)

    def _files(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._folders:
            try:
                entries = sorted(folder.iterdir())
            except OSError:
                continue
            for path in entries:
                if path.suffix.casefold() in SUFFIXES and path.is_file() and not path.name.startswith("."):
                    found.setdefault(path.stem, path)
        return found


def _beside(path: Path) -> Path | None:
    """The sidecar of a Markdown file."""
    beside = (path.with_suffix(ending) for ending in (".yaml", ".yml"))
    return next((sidecar for sidecar in beside if sidecar.is_file()), None)


def _may_include(path: Path) -> bool:
    """Whether it is worth reading for includes; a file nobody can read has none."""
    try:
        return includes_something(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return False


def _missing(name: str, files: dict[str, Path]) -> str:
    if not files:
        return "there is no checklist yet: put a Markdown file with `- [ ]` items into checklists/"
    nearest = difflib.get_close_matches(name.casefold(), list(files), n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"there is no such checklist.{hint} There is: {', '.join(sorted(files))}"
