"""Reaches Slack: as one workspace with a static token, or as every workspace that installs the bot."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.services.ports import Clock
from bot.slack.gateway import Gateway, Identity, SlackFailure, web_client
from bot.slack.installing import Installing
from bot.slack.manifest import SCOPES
from bot.slack.many_teams import Home, ManyTeams
from bot.slack.oauth import OAuth
from bot.slack.renewing import Renewal
from bot.slack.teams import DeliveryGateway, OneTeam, Teams, authorize_by
from bot.storage.database import Database
from bot.storage.sealing import Vault

log = logging.getLogger(__name__)

#: Refusals of the static token itself: with other workspaces to serve, the bot starts without it.
_TOKEN_IS_BAD = {"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"}


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """What it takes to be installed by many workspaces."""

    #: The app's own.
    client_id: str
    client_secret: str
    #: What tokens are encrypted with, separated by commas.
    keys: str
    #: Where Slack sends people back to; empty where the app's settings say it.
    redirect_uri: str
    #: The workspaces that may install it; empty for any.
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Reached:
    """Slack as the bot reaches it."""

    #: For Bolt.
    client: AsyncWebClient
    authorize: Callable[..., Awaitable[Any]]
    teams: Teams
    #: What answers people.
    gateway: Gateway
    #: Whose the static token is.
    identity: Identity | None
    #: Where there are many workspaces.
    many: ManyTeams | None = None
    installing: Installing | None = None

    @property
    def handle(self) -> str:
        """The bot's handle, where no workspace says otherwise."""
        return self.identity.name if self.identity is not None else "deploybot"

    def __str__(self) -> str:
        """For the log."""
        where = [f"{self.identity.team_name} as @{self.identity.name}"] if self.identity is not None else []
        return " and ".join([*where, *(["every workspace that installs it"] if self.many else [])])


async def reach_slack(
    *,
    token: str,
    api_url: str,
    session: aiohttp.ClientSession,
    distribution: Distribution | None,
    database: Database,
    clock: Clock,
    ring: Callable[[], None],
) -> Reached:
    """Find out who we are with the static token, and get ready for the other workspaces' own.

    Raises SlackFailure where the token is refused, EncryptionKeyUnusable, StorageFailed.
    """
    tls = ssl.create_default_context()

    def connect(token: str) -> AsyncWebClient:
        return web_client(token, api_url, session, tls)

    home = Gateway(connect(token))
    if distribution is None:
        identity = await home.identity()
        return Reached(
            client=home.client,
            authorize=_as(identity, token),
            teams=OneTeam(home),
            gateway=home,
            identity=identity,
        )
    found = await _identity(home) if token else None
    vault = Vault(distribution.keys)
    oauth = OAuth(
        connect(""),
        client_id=distribution.client_id,
        client_secret=distribution.client_secret,
        scopes=SCOPES,
        redirect_uri=distribution.redirect_uri,
    )
    many = ManyTeams(
        database=database,
        clock=clock,
        vault=vault,
        renewal=Renewal(database=database, clock=clock, vault=vault, oauth=oauth),
        connect=connect,
        allowed=distribution.allowed,
        home=Home(gateway=home, identity=found, since=clock.now()) if found is not None else None,
    )
    await many.start()
    return Reached(
        client=connect(""),
        authorize=authorize_by(many),
        teams=many,
        gateway=DeliveryGateway(),
        identity=found,
        many=many,
        installing=Installing(
            database=database,
            clock=clock,
            vault=vault,
            oauth=oauth,
            teams=many,
            connect=connect,
            scopes=SCOPES,
            allowed=distribution.allowed,
            ring=ring,
        ),
    )


async def _identity(home: Gateway) -> Identity | None:
    """Whose the static token is; None where it is refused. Raises SlackFailure where Slack does not say."""
    try:
        return await home.identity()
    except SlackFailure as failure:
        if failure.code not in _TOKEN_IS_BAD:
            raise
        log.error("SLACK_BOT_TOKEN is refused (%s): its workspace is not served. %s", failure, failure.hint)
        return None


def _as(identity: Identity, token: str) -> Callable[..., Awaitable[Any]]:
    """Whom Bolt acts as: known since the start, so that no delivery waits for an `auth.test` of its own."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None,
            team_id=identity.team,
            bot_token=token,
            bot_id=identity.bot,
            bot_user_id=identity.user,
        )

    return authorize
