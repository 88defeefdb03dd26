"""A query of the sidecar: its rows as plain values, within bounds."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.checks.postgres.session import Session

#: Rows counted, and bytes of text taken, at most.
MOST_ROWS, MOST_BYTES = 1000, 256 * 1024
#: Rows whose values rules can speak of.
KEPT_ROWS = 50
#: Rows asked for at once: what one answer of the server can bring into memory.
BATCH = 20

_MARKER = re.compile(r"(?<![:\w]):marker\b")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The first rows of an answer."""

    rows: Sequence[Mapping[str, Any]]
    #: Whether there are more than were read.
    more: bool = False

    @property
    def values(self) -> dict[str, Any]:
        """`rows` (left out where there are more than were counted), and each row by its number."""
        numbered = {str(number): dict(row) for number, row in enumerate(self.rows[:KEPT_ROWS])}
        return numbered if self.more else {"rows": len(self.rows), **numbered}

    @property
    def summary(self) -> str:
        """How many rows, and the first."""
        count = f"more than {len(self.rows)} rows" if self.more else f"{len(self.rows)} rows"
        if not self.rows:
            return "no rows"
        first = ", ".join(f"{name}={value}" for name, value in list(self.rows[0].items())[:6])
        return first if len(self.rows) == 1 and not self.more else f"{count}; first: {first}"

    @property
    def excerpt(self) -> str:
        """The first ten rows, one a line."""
        return "\n".join(
            "  ".join(f"{name}={str(value)[:80]}" for name, value in row.items()) for row in self.rows[:10]
        )


async def read(session: Session, query: str, *arguments: Any) -> Rows:
    """The rows of a query, in batches, until one of the bounds is met."""
    found: list[dict[str, Any]] = []
    taken = 0
    cursor = await session.connection.cursor(query, *arguments)
    while batch := await cursor.fetch(BATCH):
        for row in batch:
            if len(found) == MOST_ROWS or taken > MOST_BYTES:
                return Rows(rows=found, more=True)
            values = {str(name): plain(value) for name, value in row.items()}
            taken += sum(len(str(value)) for value in values.values())
            found.append(values)
    return Rows(rows=found)


def plain(value: Any) -> Any:
    """A database's value as rules compare it: numbers, booleans, None, ISO times, else text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case decimal.Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return value.total_seconds()
        case list() | tuple():
            return [plain(inner) for inner in value]
        case bytes() | memoryview():
            return f"{len(value)} bytes"
    return str(value)


def with_marker(query: str) -> str:
    """A query with `:marker` as the driver's first parameter. Raises ValueError for one that has none."""
    found, count = _MARKER.subn("$1", query)
    if not count:
        raise ValueError("the query does not use :marker, so it would find anything")
    return found


def is_hit(rows: Rows) -> bool:
    """Whether an answer says that something was found: `count(*)` of zero, false and null do not."""
    if not rows.rows:
        return False
    first = next(iter(rows.rows[0].values()), None)
    return len(rows.rows) > 1 or len(rows.rows[0]) > 1 or first not in (None, 0, False, "")
