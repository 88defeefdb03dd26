"""Who has taken a row for work, and until when: the columns `leased_by` and `leased_until` of many tables."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Table, or_


def free(table: Table, *, owner: str, at: datetime) -> ColumnElement[bool]:
    """Whether a row can be taken: nobody has it, its time is over, or it is this process's own."""
    c = table.c
    return or_(c.leased_until.is_(None), c.leased_until < at, c.leased_by == owner)


def held(table: Table, owner: str | None) -> ColumnElement[bool]:
    """Whether this process has taken a row; None: whether anybody has."""
    return table.c.leased_by.is_not(None) if owner is None else table.c.leased_by == owner
