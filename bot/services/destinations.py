"""Where facts are announced outside: the operator's webhooks, and GitHub's deployments.

The addresses are the operator's own settings, so the hosts that checks are kept to do not apply to them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.deployment import Deployment
from bot.domain.errors import DestinationsUnusable
from bot.domain.events import Event
from bot.domain.outbound import github_status_of, message_of
from bot.domain.webhook_signing import secret_bytes
from bot.storage import github_deployments, outbound
from bot.storage.outbound import NewMessage

#: GitHub's REST API.
GITHUB_API = "https://api.github.com"
WEBHOOK, GITHUB = "webhook", "github"


@dataclass(frozen=True, kw_only=True)
class Destinations:
    """Where to announce; what is not set is not told."""

    #: Addresses by the digest that names them in the database: an address may hold a token.
    webhooks: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What webhooks are signed with.
    key: bytes = field(default=b"", repr=False)
    #: May write deployment statuses.
    github_token: str = field(default="", repr=False)
    github_api: str = GITHUB_API

    async def hear(self, tx: AsyncConnection, after: Deployment, added: Sequence[Event]) -> None:
        """Write what is to be told of these events into the transaction that stores them."""
        new: list[NewMessage] = []
        theirs: list[tuple[str, int]] | None = None
        for event in added:
            message = message_of(after, event) if self.webhooks else None
            if message is not None:
                new += [_new(after, event, f"{WEBHOOK}:{digest}", message) for digest in self.webhooks]
            status = github_status_of(after, event) if self.github_token else None
            if status is None:
                continue
            if theirs is None:
                theirs = await github_deployments.theirs(tx, after.id)
            new += [_new(after, event, f"{GITHUB}:{repo}/{number}", status) for repo, number in theirs]
        if new:
            await outbound.add(tx, new, at=added[-1].fact.at)


def _new(after: Deployment, event: Event, target: str, body: Mapping[str, object]) -> NewMessage:
    return NewMessage(
        # Of the event alone: the same message, wherever and however often it is sent.
        uid=f"msg_{event.hash[:40]}",
        deployment_id=after.id,
        seq=event.seq,
        target=target,
        kind=event.fact.kind,
        body=json.dumps(body, ensure_ascii=False),
    )


def digest_of(url: str) -> str:
    """The name of an address in the database."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def destinations(*, urls: str, secret: str, github_token: str, github_api: str = GITHUB_API) -> Destinations:
    """From the settings; `urls` are apart by commas or spaces. Raises DestinationsUnusable."""
    problems = []
    listed = [url for url in re.split(r"[\s,]+", urls) if url]
    for at, url in enumerate(listed, start=1):
        if not _usable(url):
            problems.append(f"DEPLOYBOT_WEBHOOK_URLS: address {at} is no http or https address.")
    key = b""
    if secret:
        try:
            key = secret_bytes(secret)
        except ValueError as error:
            problems.append(
                f"DEPLOYBOT_WEBHOOK_SECRET can't be used: {error}; "
                '`echo "whsec_$(openssl rand -base64 32)"` makes one.'
            )
    elif listed:
        problems.append(
            "DEPLOYBOT_WEBHOOK_URLS is set, DEPLOYBOT_WEBHOOK_SECRET is not: nothing is sent unsigned; "
            '`echo "whsec_$(openssl rand -base64 32)"` makes one.'
        )
    if not _usable(github_api):
        problems.append("DEPLOYBOT_GITHUB_API_URL is no http or https address.")
    if problems:
        raise DestinationsUnusable(tuple(problems))
    return Destinations(
        webhooks={digest_of(url): url for url in listed},
        key=key,
        github_token=github_token,
        github_api=github_api.rstrip("/"),
    )


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
