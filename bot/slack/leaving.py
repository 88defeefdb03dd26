"""Hears that a workspace took the app away (Slack docs: `app_uninstalled`, `tokens_revoked`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncApp

from bot.slack.inflight import InFlight
from bot.slack.many_teams import ManyTeams


class LeavingListeners:
    """The listeners, with what they need."""

    def __init__(self, *, teams: ManyTeams, in_flight: InFlight) -> None:
        self._teams = teams
        self._in_flight = in_flight

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.event("app_uninstalled")(self._on_uninstalled)
        app.event("tokens_revoked")(self._on_revoked)

    async def _on_uninstalled(self, body: dict[str, Any]) -> None:
        await self._left(body)

    async def _on_revoked(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        # Tokens of people are listed as well; the bot has only its own.
        if (event.get("tokens") or {}).get("bot"):
            await self._left(body)

    async def _left(self, body: dict[str, Any]) -> None:
        at = datetime.fromtimestamp(int(body.get("event_time") or 0), UTC)
        await self._in_flight.begin(self._teams.left(str(body.get("team_id", "")), at=at))
