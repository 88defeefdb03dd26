"""What went over the wire between apps and workspace: a ring of entries for tests and the inspector."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from bot.workspace.clock import Clock

Json = dict[str, Any]
Direction = Literal["bot→slack", "slack→bot"]

#: How many entries are kept.
RING_SIZE = 2_000

_TOKEN = re.compile(r"\bx(oxb|oxp|oxe|app)[-.][\w.-]+")
_SECRET_KEYS = frozenset(
    {
        "access_token",
        "app_token",
        "authorization",
        "bot_token",
        "client_secret",
        "code",
        "refresh_token",
        "signing_secret",
        "token",
    }
)


def redact(value: Any) -> Any:
    """A copy with every token and secret taken out, safe to show."""
    if isinstance(value, str):
        return _TOKEN.sub(lambda found: f"x{found[1]}-…", value)
    if isinstance(value, dict):
        return {
            key: "…" if key.lower() in _SECRET_KEYS and isinstance(item, str) else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value


class Traffic:
    """The last calls and envelopes, each with a number that only grows."""

    def __init__(self, clock: Clock, *, size: int = RING_SIZE) -> None:
        self._clock = clock
        self._entries: deque[Json] = deque(maxlen=size)
        self._originals: dict[int, Json] = {}
        self._seq = 0
        self._size = size
        #: Called with each new entry.
        self.listeners: set[Callable[[Json], None]] = set()

    def record(
        self,
        *,
        direction: Direction,
        kind: str,
        name: str,
        status: int | str,
        ms: float = 0.0,
        request: Any = None,
        response: Any = None,
        note: str | None = None,
        original: Json | None = None,
    ) -> int:
        """Add an entry and return its number. `original` is kept aside, unredacted, for redelivery."""
        self._seq += 1
        entry: Json = {
            "seq": self._seq,
            "at": self._clock.now(),
            "direction": direction,
            "kind": kind,
            "name": name,
            "status": status,
            "ms": round(ms, 1),
            "request": redact(request),
            "response": redact(response),
        }
        if note:
            entry["note"] = note
        self._entries.append(entry)
        if original is not None:
            self._originals[self._seq] = original
            self._originals.pop(self._seq - self._size, None)
        for listener in tuple(self.listeners):
            listener(entry)
        return self._seq

    def entries(self, *, since: int = 0, name: str = "", limit: int = RING_SIZE) -> list[Json]:
        """Entries after `since`, oldest first; `name` narrows to one method or envelope type."""
        found = [e for e in self._entries if e["seq"] > since and (not name or e["name"] == name)]
        return found[:limit]

    def original(self, seq: int) -> Json | None:
        """The envelope recorded under this number, as it was sent."""
        return self._originals.get(seq)

    def clear(self) -> None:
        """Forget the entries; numbers go on growing."""
        self._entries.clear()
        self._originals.clear()
