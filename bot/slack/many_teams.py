"""The gateways of many workspaces, each with its own token; and what becomes of one that takes the app away.

What is known of a workspace is looked up again every few seconds, so that every process hears of an
installation, a removal or a new token. While the database does not answer, what was known goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import DeploybotError, NotInstalled, StorageBusy, StorageFailed
from bot.services.ports import Clock
from bot.slack.gateway import Account, Gateway, Identity, SlackFailure
from bot.slack.renewing import RENEW_BEFORE, Renewal
from bot.storage import installations
from bot.storage.database import Database
from bot.storage.installations import Installation
from bot.storage.sealing import Vault

log = logging.getLogger(__name__)

#: How long what is known of a workspace is good for, in seconds.
KNOWN_S = 5.0
#: News of a removal this close to an installation may be older than it: Slack comes again with news for
#: minutes, and clocks differ.
DOUBTFUL = timedelta(minutes=10)

#: Slack's answers to a token of a workspace that took the app away.
GONE = frozenset({"account_inactive", "token_revoked"})


@dataclass(frozen=True, kw_only=True)
class Home:
    """The workspace of the static token."""

    gateway: Gateway
    identity: Identity
    #: Since when the token is known to be good.
    since: datetime


@dataclass(kw_only=True)
class _Seat:
    gateway: Gateway
    #: The sealed token it was made with; None for the static one.
    sealed: str | None
    #: When it was looked up, in seconds of the monotonic clock.
    looked_at: float
    #: When its token expires; None for never.
    expires_at: datetime | None


class ManyTeams:
    """Knows the gateway of each workspace."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        vault: Vault,
        renewal: Renewal,
        connect: Callable[[str], AsyncWebClient],
        allowed: frozenset[str] = frozenset(),
        home: Home | None = None,
    ) -> None:
        """`connect` makes the SDK's client with a token; `allowed` are the workspaces served, if not any."""
        self._database = database
        self._clock = clock
        self._vault = vault
        self._renewal = renewal
        self._connect = connect
        self._allowed = allowed
        self._home = home
        self._seats: dict[str, _Seat] = {}

    async def start(self) -> None:
        """The static token works: whatever was noted of its workspace before, it has the bot."""
        if self._home is None:
            return
        team = self._home.identity.team
        async with self._database.write() as tx:
            noted = await installations.get(tx, team)
            if noted is not None and noted.revoked_at is not None:
                await installations.forget(tx, team)
                await installations.retry_posts(tx, team)

    async def stop(self) -> None:
        """Wait for tokens that are being renewed."""
        await self._renewal.stop()

    async def of(self, team: str) -> Gateway:
        """The workspace's gateway. Raises NotInstalled, TokenUnreadable, TokenNotRenewed, StorageFailed."""
        seat = self._seats.get(team)
        if seat is not None and self._known(seat):
            return seat.gateway
        try:
            async with self._database.read() as tx:
                found = await installations.get(tx, team)
        except (StorageBusy, StorageFailed):
            if seat is None:
                raise
            return seat.gateway
        if found is None and self._home is not None and self._home.identity.team == team:
            return self._take(team, self._home.gateway)
        shut_out = self._allowed and team not in self._allowed
        if found is None or found.revoked_at is not None or shut_out:
            self._seats.pop(team, None)
            raise NotInstalled(team)
        found = await self._renewal.current(found)
        if seat is not None and seat.sealed == found.token:
            return self._take(team, seat.gateway, found)
        return self._take(team, self._gateway(found, seat), found)

    def _known(self, seat: _Seat) -> bool:
        """Whether a seat is good without looking it up: seen just now, and its token not about to end."""
        if time.monotonic() - seat.looked_at >= KNOWN_S:
            return False
        return seat.expires_at is None or seat.expires_at > self._clock.now() + RENEW_BEFORE

    def _take(self, team: str, gateway: Gateway, found: Installation | None = None) -> Gateway:
        self._seats[team] = _Seat(
            gateway=gateway,
            sealed=found.token if found is not None else None,
            looked_at=time.monotonic(),
            expires_at=found.expires_at if found is not None else None,
        )
        return gateway

    def _gateway(self, found: Installation, before: _Seat | None) -> Gateway:
        token = self._vault.open(found.team, found.token or "", name=found.name)
        known = before.gateway.account if before is not None else None
        return Gateway(
            Account(
                client=self._connect(token),
                url=found.url,
                handle=found.handle,
                user=found.bot_user,
                bot=found.bot_id,
                people=known.people if known is not None else {},
                direct=known.direct if known is not None and known.user == found.bot_user else {},
            )
        )

    def forget(self, team: str) -> None:
        """Look the workspace up anew the next time."""
        self._seats.pop(team, None)

    async def refused(self, team: str, gateway: Gateway, failure: SlackFailure) -> None:
        """A token that Slack says is gone is erased; one that has ended is looked up again."""
        seat = self._seats.get(team)
        if seat is None or seat.gateway is not gateway or seat.sealed is None:
            return  # another token than the one we have now, or the static one
        if failure.code == "token_expired":
            seat.looked_at = 0.0
        if failure.code not in GONE:
            return
        try:
            async with self._database.write() as tx:
                if await installations.revoke(tx, team, at=self._clock.now(), token=seat.sealed):
                    log.warning("%s took the app away (%s): its messages wait", team, failure)
        except DeploybotError as error:
            log.warning("cannot note that %s took the app away: %s", team, error)
        self.forget(team)

    async def left(self, team: str, *, at: datetime) -> None:
        """Slack says that the workspace took the app away then: erase its token. Raises StorageFailed.

        News can be late, and come again after the app was installed anew; in doubt the token is asked.
        """
        self.forget(team)
        async with self._database.read() as tx:
            found = await installations.get(tx, team)
        home = self._home if self._home is not None and self._home.identity.team == team else None
        if (found is None and home is None) or (found is not None and found.revoked_at is not None):
            return
        since = found.installed_at if found is not None else home.since if home is not None else at
        if at < since - DOUBTFUL or (at < since + DOUBTFUL and await self._answers(team)):
            log.info("%s has the app again: old news of its removal is left aside", team)
            return
        now = self._clock.now()
        async with self._database.write() as tx:
            if found is not None:
                gone = await installations.revoke(tx, team, at=now, token=found.token)
            else:
                assert home is not None
                await installations.put(tx, _gone(home.identity, since=since, at=now))
                gone = True
        self.forget(team)
        if gone:
            log.warning("%s took the app away: its token is erased and its messages wait", team)

    async def _answers(self, team: str) -> bool:
        try:
            await (await self.of(team)).identity()
        except SlackFailure as failure:
            # Where Slack does not say, the news is not believed: the next call with the token tells.
            return failure.code not in GONE and failure.code != "invalid_auth"
        except DeploybotError:
            return False
        return True


def _gone(identity: Identity, *, since: datetime, at: datetime) -> Installation:
    return Installation(
        team=identity.team,
        name=identity.team_name,
        url=identity.url,
        app="",
        bot_user=identity.user,
        bot_id=identity.bot,
        handle=identity.name,
        scopes=identity.scopes,
        installer="",
        installed_at=since,
        token=None,
        revoked_at=at,
    )
