"""Ids in Slack's form."""

from __future__ import annotations

import secrets

_ID_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


def new_id(letter: str) -> str:
    """An id in Slack's form: a letter for the kind and ten more characters."""
    return letter + "".join(secrets.choice(_ID_LETTERS) for _ in range(10))
