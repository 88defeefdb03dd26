"""Follows the links of a document: into its repository, and out to the web."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.checks import documents
from bot.checks.kind import Context, Refused, TargetDown
from bot.checks.repository import Repository

#: Links of a document that are followed at most, and seconds for each.
MOST_LINKS, LINK_S = 40, 5.0


async def follow(
    links: Sequence[str], path: str, repository: Repository, ref: str, context: Context
) -> tuple[list[str], int, int]:
    """Dead links, how many were followed, how many could not be judged."""

    async def one(link: str) -> bool | None:
        inner = documents.relative(path, link)
        if inner is not None:
            return not inner.startswith("..") and await repository.exists(inner, ref)
        if not link.startswith(("http://", "https://")):
            return None if link.startswith("//") else True  # an anchor, an address
        return await _answers(link, context)

    followed = links[:MOST_LINKS]
    states = await asyncio.gather(*map(one, followed))
    dead = [link for link, state in zip(followed, states, strict=True) if state is False]
    unchecked = sum(state is None for state in states) + len(links) - len(followed)
    return dead, len(followed), unchecked


async def _answers(link: str, context: Context) -> bool | None:
    """Whether there is something at a URL; None where that cannot be told from here."""
    try:
        for method in ("HEAD", "GET"):  # some servers know no HEAD
            answer = await context.web.request(method, link, max_bytes=1000, timeout=LINK_S)
            if answer.status < 400:
                return True
        return False if answer.status in (404, 410) else None
    except Refused:
        return None
    except TargetDown:
        return False
