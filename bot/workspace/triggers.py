"""Trigger ids: one use, three seconds; and response URLs: five uses, thirty minutes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from bot.workspace.base import Base

Json = dict[str, Any]

#: Slack docs: Handling user interaction.
TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 30 * 60.0
RESPONSE_URL_USES = 5


@dataclass
class Trigger:
    """Leave to open a view, from one interaction of one person."""

    app_id: str
    user: str
    expires: float
    #: The modal the interaction happened in, if any: what `views.push` needs.
    view_id: str = ""
    used: bool = False


@dataclass
class ResponseUrl:
    """Leave to answer one interaction."""

    app_id: str
    user: str
    channel: str
    expires: float
    #: The message the interaction happened in; empty for a command.
    message_ts: str = ""
    thread_ts: str = ""
    ephemeral: bool = False
    left: int = RESPONSE_URL_USES


class Triggers:
    """What interactions hand out."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._triggers: dict[str, Trigger] = {}
        self._urls: dict[str, ResponseUrl] = {}

    def issue(self, app_id: str, user: str, *, view_id: str = "") -> str:
        """A new trigger id."""
        now = self._base.clock.monotonic()
        # Kept a while after they expire, so that late use gets the right error.
        self._triggers = {k: t for k, t in self._triggers.items() if t.expires > now - 60}
        trigger = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[trigger] = Trigger(app_id, user, now + TRIGGER_SECONDS, view_id)
        return trigger

    def use(self, app_id: str, trigger_id: str) -> Trigger | str:
        """Spend a trigger id: the trigger, or the error Slack gives."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None or trigger.app_id != app_id:
            return "invalid_trigger_id"
        if trigger.used:
            return "exchanged_trigger_id"
        if trigger.expires < self._base.clock.monotonic():
            return "expired_trigger_id"
        trigger.used = True
        return trigger

    def response_url(
        self,
        app_id: str,
        user: str,
        channel: str,
        *,
        message_ts: str = "",
        thread_ts: str = "",
        ephemeral: bool = False,
    ) -> str:
        """A new response URL."""
        now = self._base.clock.now()
        self._urls = {k: u for k, u in self._urls.items() if u.expires > now}
        token = secrets.token_urlsafe(24)
        self._urls[token] = ResponseUrl(
            app_id, user, channel, now + RESPONSE_URL_SECONDS, message_ts, thread_ts, ephemeral
        )
        return f"{self._base.url}/respond/{token}"

    def use_url(self, token: str) -> ResponseUrl | str:
        """Spend one use of a response URL: what it answers, or the error."""
        url = self._urls.get(token)
        if url is None:
            return "expired_url"
        if url.expires < self._base.clock.now():
            return "expired_url"
        if url.left <= 0:
            return "used_url"
        url.left -= 1
        return url
