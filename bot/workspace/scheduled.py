"""Posting scheduled messages when they are due."""

from __future__ import annotations

from typing import Any

from bot.workspace.base import Base
from bot.workspace.messages import Author, Messages

Json = dict[str, Any]

#: How often it looks, in seconds; moving the clock forward makes it look at once.
TICK = 1.0


class Postman:
    """Looks for due messages and posts them."""

    def __init__(self, base: Base, messages: Messages) -> None:
        self._base = base
        self._messages = messages

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            now = self._base.clock.now()
            due = [s for s in self._base.state.scheduled.values() if s["post_at"] <= now]
            for scheduled in sorted(due, key=lambda s: float(s["post_at"])):
                self._post(scheduled)
            if due:
                await self._base.store.commit()
            await self._base.clock.sleep(TICK)

    def _post(self, scheduled: Json) -> None:
        state = self._base.state
        state.save_plain("scheduled", scheduled["id"], None)
        app = state.apps.get(scheduled["app_id"])
        channel = state.channels.get(scheduled["channel"])
        # With metadata it never posts (Slack docs: chat.scheduleMessage, "Bug alert").
        if app is None or channel is None or scheduled["metadata"]:
            return
        self._messages.post(
            channel,
            Author.app(app, state.team["id"]),
            scheduled["text"],
            blocks=scheduled["blocks"],
            thread_ts=scheduled["thread_ts"],
        )
