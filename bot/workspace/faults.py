"""Faults on demand: what goes wrong between Slack and an app, switched on by a test or by the inspector."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

#: The modes each kind of fault knows.
MODES: dict[str, frozenset[str]] = {
    "api": frozenset({"ratelimited", "status", "slow", "lost_answer", "drop", "error"}),
    "delivery": frozenset({"duplicate", "reorder", "drop"}),
    "socket": frozenset({"disconnect", "abort", "deaf", "refuse", "stale_url", "warning"}),
}
#: Which field names the calls a fault applies to, by kind.
_TARGET = {"api": "method", "delivery": "type"}
#: Socket faults that happen once, at the moment they are asked for.
IMMEDIATE = frozenset({"disconnect", "abort", "deaf", "warning"})


class UnknownFault(ValueError):
    """There is no such fault."""


@dataclass
class Fault:
    """One fault, waiting for the calls it applies to."""

    #: Number to remove it by.
    id: int
    #: What the caller asked for, as it was sent.
    spec: Json
    #: How often it still strikes; negative for ever.
    left: int

    def get(self, key: str, default: Any = None) -> Any:
        """A field of the request."""
        return self.spec.get(key, default)


@dataclass
class Faults:
    """The faults that are switched on."""

    _active: list[Fault] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, spec: Json) -> Fault:
        """Switch a fault on."""
        kind, mode = spec.get("kind"), spec.get("mode")
        if kind not in MODES or mode not in MODES[kind]:
            raise UnknownFault(f"unknown fault: kind {kind!r}, mode {mode!r}")
        fault = Fault(id=next(self._ids), spec=dict(spec), left=int(spec.get("times", 1)))
        if not (kind == "socket" and mode in IMMEDIATE):
            self._active.append(fault)
        return fault

    def take(self, kind: str, name: str = "", *, modes: frozenset[str] | None = None) -> Fault | None:
        """The first fault that applies to this call, counted as having struck."""
        for fault in self._active:
            target = fault.get(_TARGET.get(kind, ""), "*")
            if fault.get("kind") != kind or target not in ("*", name):
                continue
            if modes is not None and fault.get("mode") not in modes:
                continue
            if fault.left > 0:
                fault.left -= 1
                if fault.left == 0:
                    self._active.remove(fault)
            return fault
        return None

    def remove(self, fault_id: int | None = None) -> None:
        """Switch one fault off, or all of them."""
        self._active = [f for f in self._active if fault_id is not None and f.id != fault_id]

    def listing(self) -> list[Json]:
        """What is switched on, for people."""
        return [{**fault.spec, "id": fault.id, "left": fault.left} for fault in self._active]
