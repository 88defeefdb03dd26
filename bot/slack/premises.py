"""The workspace as CI's requests need it: who can lead, where the bot can post, links."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.domain.errors import (
    NotInstalled,
    SlackRefused,
    TokenNotRenewed,
    TokenUnreadable,
    WrongWorkspace,
)
from bot.services.ci import Lead
from bot.slack.gateway import Gateway, Identity, SlackFailure
from bot.slack.teams import OneTeam, Teams

#: Longest wait for Slack, in seconds: GitHub waits 10 s for an answer of ours.
PATIENCE_S = 4.0
#: Nobody of this id, or not here (Slack docs: users.info).
_NOBODY = {"user_not_found", "user_not_visible", "users_not_found"}


class SlackUnavailable(SlackRefused):
    """Slack does not say who somebody is; it may the next time."""

    retryable = True


class SlackOffices:
    """The workspaces the bot is in."""

    def __init__(self, teams: Teams, *, home: Identity | None) -> None:
        self._teams = teams
        self._home = home

    async def premises(self, team: str) -> SlackPremises:
        """The workspace of this id; without one, that of the static token. Raises WrongWorkspace."""
        home = self._home
        team = team or (home.team if home is not None else "")
        if not team or (isinstance(self._teams, OneTeam) and home is not None and team != home.team):
            raise WrongWorkspace(team)
        try:
            gateway = await self._teams.of(team)
        except (NotInstalled, TokenNotRenewed, TokenUnreadable) as error:
            raise WrongWorkspace(team) from error
        handle = home.name if home is not None and home.team == team else gateway.handle
        return SlackPremises(gateway, team=team, handle=handle)


def links_by(teams: Teams) -> Callable[[str, str, str | None], Awaitable[str | None]]:
    """Links to messages of any workspace: by team, channel and ts; None where the bot is not in it."""

    async def link(team: str, channel: str, ts: str | None) -> str | None:
        try:
            return (await teams.of(team)).link(channel, ts)
        except (NotInstalled, TokenNotRenewed, TokenUnreadable):
            return None

    return link


class SlackPremises:
    """One workspace."""

    def __init__(self, gateway: Gateway, *, team: str, handle: str) -> None:
        self._gateway = gateway
        self.team = team
        self.bot = f"@{handle}"

    async def lead(self, user: str) -> Lead | None:
        """The person; None for nobody, a bot, or somebody who has left. Raises SlackUnavailable."""
        try:
            found = (await self._gateway.call("users.info", timeout=PATIENCE_S, user=user)).get("user") or {}
        except SlackFailure as failure:
            if failure.code in _NOBODY:
                return None
            raise SlackUnavailable(failure.method, failure.code, failure.hint) from failure
        if found.get("deleted") or found.get("is_bot"):
            return None
        return Lead(id=user, timezone=found.get("tz") or "UTC")

    async def may_post(self, channel: str) -> bool:
        """Whether the bot is in the channel. Raises SlackUnavailable where Slack does not say."""
        try:
            return await self._gateway.is_member(channel)
        except SlackFailure as failure:
            if failure.code == "missing_scope":
                return True  # Slack does not say; the post itself will
            raise SlackUnavailable(failure.method, failure.code, failure.hint) from failure

    def link(self, channel: str, ts: str | None) -> str | None:
        """To a message."""
        return self._gateway.link(channel, ts)
