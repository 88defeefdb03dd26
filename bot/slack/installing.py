"""Adds the bot to a workspace: a state for the browser, then the token Slack gives for its code.

The state is what ties Slack's answer to the browser that began (Slack docs: Installing with OAuth): a random
word in a cookie, whose hash is kept for 10 minutes and used up by the first answer.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import (
    InstallCodeRefused,
    InstallDenied,
    InstallStateWrong,
    OrgInstallRefused,
    TeamNotAllowed,
    TooManyBegun,
)
from bot.services.ports import Clock
from bot.slack.gateway import Gateway, Identity, SlackFailure
from bot.slack.many_teams import ManyTeams
from bot.slack.oauth import Grant, OAuth
from bot.storage import installations
from bot.storage.database import Database
from bot.storage.installations import Installation
from bot.storage.sealing import Vault

log = logging.getLogger(__name__)

#: How long a person may take; Slack's code is good for as long.
STATE_FOR = timedelta(minutes=10)
#: Installations begun at once. Own choice: nobody means to finish so many, and each is a row.
MOST_BEGUN = 10_000

#: What to do about Slack's refusals of a code, by its own code.
_HINTS = {
    "bad_client_secret": "Whoever runs this bot must set SLACK_CLIENT_SECRET to the app's own.",
    "bad_redirect_uri": "Whoever runs this bot must make DEPLOYBOT_URL and the app's redirect URL the same.",
    "invalid_client_id": "Whoever runs this bot must set SLACK_CLIENT_ID to the app's own.",
    "no_bot_token": "The app asks for no bot scopes: whoever runs this bot updates it with its manifest.",
}
_AGAIN = "Begin again; if it stays so, tell whoever runs this bot."


@dataclass(frozen=True, kw_only=True)
class Begun:
    """An installation that a person may finish."""

    #: Where they allow it.
    url: str
    #: What their browser keeps, and for how many seconds.
    state: str
    seconds: int


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An installation that came about."""

    team_name: str
    #: The bot's handle there.
    handle: str
    #: The workspace's address.
    url: str
    #: Whether the app was there before.
    again: bool


class Installing:
    """Adds the bot to workspaces."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        vault: Vault,
        oauth: OAuth,
        teams: ManyTeams,
        connect: Callable[[str], AsyncWebClient],
        scopes: Collection[str],
        allowed: frozenset[str],
        ring: Callable[[], None],
    ) -> None:
        """`connect` makes the SDK's client with a token; `ring` wakes whoever sends what has waited.

        `allowed` are the workspaces that may, none for any.
        """
        self._database = database
        self._clock = clock
        self._vault = vault
        self._oauth = oauth
        self._teams = teams
        self._connect = connect
        self._scopes = frozenset(scopes)
        self._allowed = allowed
        self._ring = ring

    async def begin(self) -> Begun:
        """Where to go, and the state to keep. Raises TooManyBegun, StorageBusy, StorageFailed."""
        state = secrets.token_urlsafe(32)
        now = self._clock.now()
        async with self._database.write() as tx:
            if not await installations.begin(
                tx, _hash(state), at=now, until=now + STATE_FOR, most=MOST_BEGUN
            ):
                raise TooManyBegun
        return Begun(
            url=self._oauth.authorize_url(state), state=state, seconds=int(STATE_FOR.total_seconds())
        )

    async def finish(self, *, state: str, cookie: str, code: str, error: str = "") -> Installed:
        """Take Slack's answer. Raises InstallRefused, StorageBusy, StorageFailed; then nothing was kept."""
        if not state or not hmac.compare_digest(_bytes(state), _bytes(cookie)):
            raise InstallStateWrong
        async with self._database.write() as tx:
            begun = await installations.begun(tx, _hash(state), at=self._clock.now())
        if not begun:
            raise InstallStateWrong
        if error:
            raise InstallDenied(error)
        if not code:
            raise InstallStateWrong
        try:
            grant = await self._oauth.exchange(code)
        except SlackFailure as failure:
            log.warning("an installation came to nothing: %s", failure)
            raise InstallCodeRefused(failure.code, _HINTS.get(failure.code, _AGAIN)) from failure
        return await self._keep(grant)

    async def _keep(self, grant: Grant) -> Installed:
        gateway = Gateway(self._connect(grant.tokens.token))
        if grant.org_wide or not grant.team:
            await self._give_back(gateway)
            raise OrgInstallRefused
        if self._allowed and grant.team not in self._allowed:
            log.warning("%s (%s) is not allowed to install the bot", grant.team_name, grant.team)
            await self._give_back(gateway)
            raise TeamNotAllowed(grant.team)
        try:
            identity = await gateway.identity()
        except SlackFailure as failure:
            raise InstallCodeRefused(failure.code, _AGAIN) from failure
        if identity.team != grant.team:
            raise InstallCodeRefused("team_mismatch", _AGAIN)
        missing = self._scopes - grant.scopes
        if missing:
            log.warning("%s did not grant %s", grant.team, ", ".join(sorted(missing)))
        async with self._database.write() as tx:
            before = await installations.get(tx, grant.team)
            await installations.put(tx, self._installation(grant, identity))
            await installations.retry_posts(tx, grant.team)
        self._teams.forget(grant.team)
        self._ring()
        log.info("installed in %s (%s) by %s", identity.team_name, grant.team, grant.installer or "somebody")
        return Installed(
            team_name=identity.team_name,
            handle=identity.name,
            url=identity.url,
            again=before is not None,
        )

    async def _give_back(self, gateway: Gateway) -> None:
        try:
            await gateway.call("auth.revoke")
        except SlackFailure as failure:
            log.warning("a token that is not wanted could not be given back: %s", failure)

    def _installation(self, grant: Grant, identity: Identity) -> Installation:
        tokens, now = grant.tokens, self._clock.now()
        seal = self._vault.seal
        return Installation(
            team=grant.team,
            name=identity.team_name[:255],
            url=identity.url[:255],
            app=grant.app,
            bot_user=identity.user,
            bot_id=identity.bot,
            handle=identity.name[:255],
            scopes=grant.scopes,
            installer=grant.installer,
            installed_at=now,
            token=seal(grant.team, tokens.token),
            refresh_token=seal(grant.team, tokens.refresh_token) if tokens.refresh_token else None,
            expires_at=now + tokens.lifetime if tokens.lifetime is not None else None,
        )


def _hash(state: str) -> str:
    return hashlib.sha256(_bytes(state)).hexdigest()


def _bytes(sent: str) -> bytes:
    """What a browser sent, which need not be text."""
    return sent.encode("utf-8", "replace")
