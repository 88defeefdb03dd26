"""The kinds there are, found by looking into `bot.checks.kinds` and imported when first asked for."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import Any

from bot.checks import kinds
from bot.checks.kind import Kind


class Catalogue:
    """Kinds by name. A family's module is imported when one of its kinds is asked for."""

    def __init__(self) -> None:
        self._families = tuple(sorted(module.name for module in pkgutil.iter_modules(kinds.__path__)))
        self._kinds: dict[str, Kind[Any]] = {}
        self._loaded: set[str] = set()

    def get(self, name: str) -> Kind[Any] | None:
        """The kind of this name, or None."""
        self._load(name.partition(".")[0])
        return self._kinds.get(name)

    def add(self, kind: Kind[Any]) -> None:
        """One kind more, made elsewhere."""
        self._loaded.add(kind.name.partition(".")[0])
        self._kinds[kind.name] = kind

    def all(self) -> tuple[Kind[Any], ...]:
        """Every kind, by name."""
        for family in self._families:
            self._load(family)
        return tuple(self._kinds[name] for name in sorted(self._kinds))

    def nearest(self, name: str) -> str | None:
        """The kind somebody may have meant."""
        known = [kind.name for kind in self.all()]
        found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        return found[0] if found else next((known_ for known_ in known if known_.startswith(name)), None)

    def _load(self, family: str) -> None:
        if family in self._loaded or family not in self._families:
            return
        module = importlib.import_module(f"{kinds.__name__}.{family}")
        for kind in module.KINDS:
            self._kinds[kind.name] = kind
        self._loaded.add(family)
