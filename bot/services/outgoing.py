"""Sends what other systems are to be told: claimed with a lease, tried again with growing waits, in order.

A message that was sent and not noted as sent is sent again with the same id: a receiver that keeps ids has
each once. GitHub keeps none, so a status whose outcome is not known is looked for before it is posted again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import webhook_signing
from bot.domain.errors import DeploybotError
from bot.domain.outbound import with_link
from bot.services.destinations import GITHUB, WEBHOOK, Destinations
from bot.services.ports import Ports
from bot.storage import outbound, posts
from bot.storage.outbound import GIVEN_UP, SENT, Message
from bot.storage.posts import Post

log = logging.getLogger(__name__)

#: Longest attempt in seconds (Standard Webhooks: 15 to 30 s), and how long it stays another process's.
ATTEMPT_S, LEASE = 20.0, timedelta(seconds=60)
#: Waits after the first attempts, in seconds; the last one again and again.
RETRY_S = (5, 30, 120, 600, 1800, 3600, 7200, 14400)
#: When a message is given up. Own choice: a receiver that is away for a weekend asks for what it missed.
GIVE_UP = timedelta(hours=24)
#: For how long the health page and the doctor tell of what was given up.
GIVEN_UP_SHOWN = timedelta(days=7)
#: How long a message waits for the card, to have its link.
FOR_THE_CARD, LOOK_AGAIN = timedelta(seconds=15), timedelta(seconds=0.5)
#: Messages under way at once.
AT_ONCE = 10
#: Longest wait a receiver can ask for.
LONGEST_WAIT = timedelta(hours=4)

#: A link to a message of a workspace: team, channel and ts.
Link = Callable[[str, str, str | None], Awaitable[str | None]]


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What became of an attempt."""

    #: Empty where it was taken.
    problem: str = ""
    #: No later attempt can do better.
    final: bool = False
    #: What the receiver asked for.
    wait: timedelta | None = None


class Outbox:
    """Sends what is due whenever it is woken."""

    def __init__(self, ports: Ports, destinations: Destinations, *, link: Link) -> None:
        self._ports = ports
        self._destinations = destinations
        self._link = link
        self._owner = uuid.uuid4().hex
        self._client: httpx.AsyncClient | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._claiming = asyncio.Lock()

    async def start(self) -> None:
        """Begin. On SQLite nobody else can be sending what a process before held."""
        self._client = httpx.AsyncClient(timeout=ATTEMPT_S, follow_redirects=False)
        if self._ports.database.is_sqlite:
            async with self._ports.database.write() as tx:
                await outbound.release(tx, owner=None)

    async def stop(self, *, within: float = 3.0) -> None:
        """Finish what is under way, for at most so many seconds; what is cut off is sent again later."""
        async with self._claiming:
            if self._under_way:
                _, late = await asyncio.wait(self._under_way, timeout=within)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)
            if self._client is not None:
                await self._client.aclose()
                self._client = None
        with contextlib.suppress(DeploybotError):
            async with self._ports.database.write() as tx:
                await outbound.release(tx, owner=self._owner)

    async def wake(self) -> None:
        """Begin to send what is due. Never raises: trouble is for the next time."""
        if self._claiming.locked() or self._client is None:
            return
        async with self._claiming:
            try:
                for message in await self._claim():
                    task = asyncio.create_task(self._send(message), name=f"outbound {message.id}")
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
            except DeploybotError as error:
                log.warning("cannot see what is to be sent: %s", error)

    async def settled(self) -> None:
        """Wait until everything that was begun has ended."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _claim(self) -> list[Message]:
        room = AT_ONCE - len(self._under_way)
        now = self._ports.clock.now()
        if room <= 0:
            return []
        async with self._ports.database.read() as tx:
            if not await outbound.any_due(tx, at=now):
                return []
        taken = []
        async with self._ports.database.write() as tx:
            for message in await outbound.due(tx, at=now, most=room):
                complete = await self._completed(tx, message, now)
                if complete is None:
                    await outbound.postpone(tx, message.id, until=now + LOOK_AGAIN)
                    continue
                await outbound.claim(tx, message.id, body=complete.body, owner=self._owner, until=now + LEASE)
                taken.append(complete)
        return taken

    async def _completed(self, tx: AsyncConnection, message: Message, now: datetime) -> Message | None:
        """With its link, before the first attempt; None while the card may still come."""
        if message.attempts:
            return message  # what was sent once is sent again as it was
        card = await posts.card(tx, message.deployment_id)
        link = await self._link_to(tx, card) if card is not None else None
        if link is None and now - message.created_at < FOR_THE_CARD:
            return None
        body = json.dumps(with_link(json.loads(message.body), link), ensure_ascii=False)
        return Message(**{**vars(message), "body": body})

    async def _link_to(self, tx: AsyncConnection, card: Post) -> str | None:
        state = await self._ports.deployments.get(tx, card.deployment_id)
        return None if state is None else await self._link(state.team, card.channel, card.ts)

    async def _send(self, message: Message) -> None:
        try:
            async with asyncio.timeout(ATTEMPT_S * 2):
                outcome = await self._attempt(message)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            outcome = _Outcome(problem=f"{type(error).__name__}: {error}".rstrip(": "))
        except Exception as error:
            # Whatever it is, it must not keep the others from being sent; it is tried again, and seen.
            log.exception("message %s could not be sent", message.uid)
            outcome = _Outcome(problem=f"it could not be sent ({type(error).__name__})")
        try:
            await self._note(message, outcome)
        except DeploybotError as error:
            log.warning("what became of message %s waits for its lease to end: %s", message.uid, error)

    async def _attempt(self, message: Message) -> _Outcome:
        kind, _, where = message.target.partition(":")
        if kind == WEBHOOK:
            url = self._destinations.webhooks.get(where)
            if url is None:
                return _Outcome(
                    problem="its address is not among DEPLOYBOT_WEBHOOK_URLS any more", final=True
                )
            return await self._webhook(message, url)
        if kind == GITHUB and self._destinations.github_token:
            return await self._github_status(message, where)
        return _Outcome(problem="DEPLOYBOT_GITHUB_DEPLOYMENTS_TOKEN is not set any more", final=True)

    async def _webhook(self, message: Message, url: str) -> _Outcome:
        body = message.body.encode()
        # Not the clock port's time: receivers compare it with their own, and refuse what is minutes away.
        signed = webhook_signing.headers(
            uid=message.uid, at=datetime.now(UTC), body=body, key=self._destinations.key
        )
        answer = await self._post(url, body, {"content-type": "application/json", **signed})
        if answer.is_success:
            return _Outcome()
        # 410: "the receiver never wants to receive again" (Standard Webhooks).
        gone = answer.status_code == 410
        return _Outcome(problem=f"HTTP {answer.status_code}", final=gone, wait=_asked_for(answer))

    async def _github_status(self, message: Message, where: str) -> _Outcome:
        repository, _, number = where.rpartition("/")
        url = f"{self._destinations.github_api}/repos/{repository}/deployments/{number}/statuses"
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {self._destinations.github_token}",
            "x-github-api-version": "2022-11-28",
            "content-type": "application/json",
        }
        if message.attempts and await self._is_there(url, headers, json.loads(message.body)):
            return _Outcome()
        answer = await self._post(url, message.body.encode(), headers)
        if answer.is_success:
            return _Outcome()
        said = _github_says(answer)
        return _Outcome(
            problem=f"GitHub: HTTP {answer.status_code}{said}",
            final=answer.status_code == 422,
            wait=_asked_for(answer),
        )

    async def _is_there(self, url: str, headers: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
        assert self._client is not None
        answer = await self._client.get(url, headers=dict(headers), params={"per_page": 100})
        if not answer.is_success:
            return False
        listed = answer.json()
        return any(
            (one.get("state"), one.get("description")) == (wanted["state"], wanted["description"])
            for one in listed
            if isinstance(one, dict)
        )

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        assert self._client is not None
        agent = {"user-agent": "deploybot"}
        async with self._client.stream("POST", url, content=body, headers={**agent, **headers}) as answer:
            # Of an answer that is a page, the beginning will do.
            read = bytearray()
            async for chunk in answer.aiter_bytes():
                read += chunk
                if len(read) > 64 * 1024:
                    break
        return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=bytes(read))

    async def _note(self, message: Message, outcome: _Outcome) -> None:
        now = self._ports.clock.now()
        problem = outcome.problem[:500]
        async with self._ports.database.write() as tx:
            if not problem:
                await outbound.settle(tx, message.id, state=SENT, at=now)
                return
            if outcome.final or now - message.created_at >= GIVE_UP:
                await outbound.settle(tx, message.id, state=GIVEN_UP, at=now, problem=problem)
            else:
                wait = outcome.wait or _backoff(message.attempts)
                await outbound.postpone(tx, message.id, until=now + wait, problem=problem)
                log.warning("message %s (%s) waits: %s", message.uid, message.kind, problem)
                return
        log.error(
            "message %s (%s, deployment %d) is given up after %d attempts: %s",
            message.uid,
            message.kind,
            message.deployment_id,
            message.attempts + 1,
            problem,
        )


def _backoff(attempts: int) -> timedelta:
    """The wait after so many attempts, spread: who comes back is not met by everything at once."""
    seconds = RETRY_S[min(attempts, len(RETRY_S) - 1)]
    return timedelta(seconds=seconds * random.uniform(1.0, 1.2))


def _asked_for(answer: httpx.Response) -> timedelta | None:
    """What Retry-After asks for (RFC 9110: seconds or a date), or GitHub's rate limit."""
    asked = answer.headers.get("retry-after", "").strip()
    reset = answer.headers.get("x-ratelimit-reset", "").strip()
    try:
        if asked.isdecimal():
            wait = timedelta(seconds=int(asked))
        elif asked:
            wait = parsedate_to_datetime(asked) - datetime.now(UTC)
        elif answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
            wait = datetime.fromtimestamp(int(reset), UTC) - datetime.now(UTC)
        else:
            return None
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta(seconds=1)), LONGEST_WAIT)


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Without what says how the body was sent: it has been read."""
    left_out = ("content-encoding", "content-length", "transfer-encoding")
    return {name: value for name, value in headers.items() if name.lower() not in left_out}


def _github_says(answer: httpx.Response) -> str:
    try:
        told = answer.json()
    except ValueError:
        return ""
    message = told.get("message") if isinstance(told, dict) else None
    return f", {message}" if isinstance(message, str) else ""
