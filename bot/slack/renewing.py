"""Exchanges tokens that expire before they do, one process at a time: a refresh token works once.

Source: Slack docs, "Using token rotation": a token lives 12 hours, and at most two are good at once, so the
old one goes on working for the processes that have not heard of the new one yet.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import timedelta

from bot.domain.errors import DeploybotError, TokenNotRenewed
from bot.services.ports import Clock
from bot.slack.gateway import CALL_S, SlackFailure
from bot.slack.oauth import OAuth, Tokens
from bot.storage import installations
from bot.storage.database import Database
from bot.storage.installations import Installation
from bot.storage.sealing import Vault

log = logging.getLogger(__name__)

#: How long before its end a token is exchanged (the SDK's own rotation takes 2 hours, too).
RENEW_BEFORE = timedelta(hours=2)
#: How long the others leave it to one process: longer than the call and the storing after it take.
LEASE = timedelta(seconds=CALL_S + 50)
#: How long a delivery waits for another process to exchange a token that has ended, in seconds.
PATIENCE_S = 2.0
#: Tries to store what was received, a second apart: lost, the workspace would have to install anew.
STORE_TRIES = 30

#: Slack's answers after which a refresh token is of no use any more.
_SPENT = {"account_inactive", "invalid_grant", "invalid_refresh_token", "token_revoked"}


class Renewal:
    """Keeps tokens that expire from expiring."""

    def __init__(self, *, database: Database, clock: Clock, vault: Vault, oauth: OAuth) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._oauth = oauth
        self._owner = uuid.uuid4().hex
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def current(self, installation: Installation) -> Installation:
        """The installation with a token that is good now, exchanged beside other work where its end is near.

        Raises TokenNotRenewed, StorageFailed.
        """
        now = self._clock.now()
        if installation.expires_at is None or installation.expires_at > now + RENEW_BEFORE:
            return installation
        task = self._begin(installation.team)
        if installation.expires_at > now:
            return installation
        await asyncio.wait({task})
        return await self._renewed(installation)

    async def stop(self) -> None:
        """Wait for what is under way: its answer must not be lost."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    def _begin(self, team: str) -> asyncio.Task[None]:
        task = self._under_way.get(team)
        if task is None:
            task = asyncio.create_task(self._renew(team), name=f"renew the token of {team}")
            self._under_way[team] = task
            task.add_done_callback(lambda _: self._under_way.pop(team, None))
        return task

    async def _renewed(self, installation: Installation) -> Installation:
        """Wait a moment for whoever exchanges it. Raises TokenNotRenewed."""
        end = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            async with self._database.read() as tx:
                now_there = await installations.get(tx, installation.team)
            if now_there is None or now_there.revoked_at is not None:
                raise TokenNotRenewed(installation.team, installation.name)
            if now_there.expires_at is None or now_there.expires_at > self._clock.now():
                return now_there
            if asyncio.get_running_loop().time() > end:
                raise TokenNotRenewed(installation.team, installation.name)
            await asyncio.sleep(0.1)

    async def _renew(self, team: str) -> None:
        try:
            now = self._clock.now()
            async with self._database.write() as tx:
                turn = await installations.take_turn(
                    tx, team, owner=self._owner, at=now, until=now + LEASE, expiring=now + RENEW_BEFORE
                )
            if turn is not None:
                await self._exchange(turn)
        except DeploybotError as error:
            log.warning("the token of %s is not renewed yet: %s", team, error)

    async def _exchange(self, turn: Installation) -> None:
        try:
            assert turn.refresh_token is not None
            old = self._vault.open(turn.team, turn.refresh_token, name=turn.name)
            tokens = await self._oauth.renew(old)
        except SlackFailure as failure:
            await self._not_exchanged(turn, failure)
            return
        except DeploybotError:
            async with self._database.write() as tx:
                await installations.end_turn(tx, turn.team, owner=self._owner)
            raise
        await self._keep(turn, tokens)

    async def _keep(self, turn: Installation, tokens: Tokens) -> None:
        assert tokens.lifetime is not None
        for left in reversed(range(STORE_TRIES)):
            try:
                async with self._database.write() as tx:
                    kept = await installations.exchanged(
                        tx,
                        turn.team,
                        owner=self._owner,
                        token=self._vault.seal(turn.team, tokens.token),
                        refresh_token=self._vault.seal(turn.team, tokens.refresh_token),
                        expires_at=self._clock.now() + tokens.lifetime,
                    )
            except DeploybotError as error:
                if not left:
                    raise
                log.warning("the renewed token of %s is not stored yet: %s", turn.team, error)
                await asyncio.sleep(1)
            else:
                if kept:
                    log.info("renewed the token of %s (%s)", turn.name, turn.team)
                return

    async def _not_exchanged(self, turn: Installation, failure: SlackFailure) -> None:
        async with self._database.write() as tx:
            if failure.code in _SPENT:
                await installations.revoke(tx, turn.team, at=self._clock.now(), token=turn.token)
                said = "it must be installed again at /slack/install"
            else:
                await installations.end_turn(tx, turn.team, owner=self._owner)
                said = "it is tried again"
        log.warning("Slack did not renew the token of %s (%s): %s", turn.name, turn.team, failure)
        log.warning("%s: %s", turn.team, said)
