"""The workspace as CI's requests need it: who can lead, where the bot can post, links."""

from __future__ import annotations

from bot.domain.errors import SlackRefused
from bot.services.ci import Lead
from bot.slack.gateway import Gateway, Identity, SlackFailure

#: Longest wait for Slack, in seconds: GitHub waits 10 s for an answer of ours.
PATIENCE_S = 4.0
#: Nobody of this id, or not here (Slack docs: users.info).
_NOBODY = {"user_not_found", "user_not_visible", "users_not_found"}


class SlackUnavailable(SlackRefused):
    """Slack does not say who somebody is; it may the next time."""

    retryable = True


class SlackPremises:
    """The workspace the token belongs to."""

    def __init__(self, gateway: Gateway, identity: Identity) -> None:
        self._gateway = gateway
        self.team = identity.team
        self.bot = f"@{identity.name}"

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
