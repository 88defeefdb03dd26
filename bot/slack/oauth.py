"""Slack's side of OAuth 2: where people allow the app, and what its codes and refresh tokens are good for.

Source: Slack docs, "Installing with OAuth", "Using token rotation", `oauth.v2.access`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.gateway import CALL_S, SlackFailure, failure_of

#: Where people allow an app, beside the Web API.
_AUTHORIZE = "oauth/v2/authorize"


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What a code or a refresh token was exchanged for."""

    token: str = field(repr=False)
    #: Empty for a token that does not expire.
    refresh_token: str = field(default="", repr=False)
    #: How long it is good for; None for ever.
    lifetime: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A workspace's permission."""

    #: Empty where it was given for a whole organization.
    team: str
    team_name: str
    app: str
    bot_user: str
    #: Who gave it.
    installer: str
    scopes: frozenset[str]
    tokens: Tokens
    #: Whether it is for a whole Enterprise organization.
    org_wide: bool = False


class OAuth:
    """The app at Slack's OAuth endpoints."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        client_id: str,
        client_secret: str,
        scopes: Iterable[str],
        redirect_uri: str = "",
    ) -> None:
        """`client` has no token. Without `redirect_uri` Slack takes the first of the app's settings."""
        self._client = client
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = tuple(scopes)
        self._redirect_uri = redirect_uri

    def authorize_url(self, state: str) -> str:
        """Where a person allows the app to be installed."""
        base = self._client.base_url.removesuffix("/").removesuffix("api")
        asked = {"client_id": self._client_id, "scope": ",".join(self._scopes), "state": state}
        if self._redirect_uri:
            asked["redirect_uri"] = self._redirect_uri
        return f"{base}{_AUTHORIZE}?{urlencode(asked)}"

    async def exchange(self, code: str) -> Grant:
        """What a code stands for; it works once, for 10 minutes. Raises SlackFailure."""
        data = await self._access(code=code, redirect_uri=self._redirect_uri or None)
        team = data.get("team") or {}
        return Grant(
            team=str(team.get("id") or ""),
            team_name=str(team.get("name") or ""),
            app=str(data.get("app_id") or ""),
            bot_user=str(data.get("bot_user_id") or ""),
            installer=str((data.get("authed_user") or {}).get("id") or ""),
            scopes=frozenset(filter(None, str(data.get("scope") or "").split(","))),
            tokens=_tokens(data),
            org_wide=bool(data.get("is_enterprise_install")),
        )

    async def renew(self, refresh_token: str) -> Tokens:
        """The next token and refresh token; the old one has had its only use. Raises SlackFailure."""
        tokens = _tokens(await self._access(grant_type="refresh_token", refresh_token=refresh_token))
        if not tokens.refresh_token or tokens.lifetime is None:
            raise SlackFailure("oauth.v2.access", "no_refresh_token")
        return tokens

    async def _access(self, **arguments: Any) -> Mapping[str, Any]:
        method = "oauth.v2.access"
        try:
            async with asyncio.timeout(CALL_S):
                response = await self._client.oauth_v2_access(
                    client_id=self._client_id, client_secret=self._client_secret, **arguments
                )
        except SlackApiError as error:
            raise failure_of(method, error) from None  # the error's text has the answer in it
        except aiohttp.ClientConnectorError as error:
            raise SlackFailure(method, "connection") from error
        except TimeoutError as error:
            raise SlackFailure(method, "timeout", outcome_known=False) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SlackFailure(method, "connection", outcome_known=False) from error
        data = response.data
        return data if isinstance(data, dict) else {}


def _tokens(data: Mapping[str, Any]) -> Tokens:
    token, seconds = str(data.get("access_token") or ""), data.get("expires_in")
    if not token:
        raise SlackFailure("oauth.v2.access", "no_bot_token")
    return Tokens(
        token=token,
        refresh_token=str(data.get("refresh_token") or ""),
        lifetime=timedelta(seconds=int(seconds)) if seconds else None,
    )
