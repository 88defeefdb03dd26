"""What people do in their App Home: open it, tick there, start a deployment."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.errors import DeploybotError, ForeignClick
from bot.services import finding, surveying
from bot.services.ports import Ports
from bot.services.ticking import Click, Ticked, TickQueue
from bot.slack import commands
from bot.slack.answering import Answerer, Payload, team_of
from bot.slack.conversation import Answer, Conversation
from bot.slack.ids import Action, HomeBlock, Shortcut, StartAgain
from bot.slack.inflight import InFlight
from bot.slack.listeners import micros


class HomeListeners:
    """The listeners, with what they need."""

    def __init__(
        self,
        *,
        ports: Ports,
        conversation: Conversation,
        queue: TickQueue,
        answerer: Answerer,
        in_flight: InFlight,
        told_of: Callable[[Ticked, Payload], Awaitable[Answer]],
    ) -> None:
        self._ports = ports
        self._conversation = conversation
        self._queue = queue
        self._answerer = answerer
        self._in_flight = in_flight
        #: What a person should know of a tick, as in a thread.
        self._told_of = told_of

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.event("app_home_opened")(self._on_opened)
        app.action(Action.HOME_TICK.value)(self._on_tick)
        app.action(re.compile(rf"{Action.HOME_START}(\..*)?"))(self._on_start)
        app.global_shortcut(Shortcut.START.value)(self._on_shortcut)

    async def _on_opened(self, event: dict[str, Any], body: dict[str, Any]) -> None:
        if event.get("tab") != "home":
            return  # The Messages tab opens with the same event (Slack docs: app_home_opened).
        user, team = event["user"], body.get("team_id", "")

        async def opened() -> Answer:
            await surveying.opened(self._ports, team, user)
            return Answer()

        # An event is acknowledged already; what cannot be noted now is when the tab is opened again.
        await self._in_flight.begin(self._answerer.guarded(opened()))

    async def _on_tick(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        await self._answerer.answer_in_form(ack, body, self._tick(body, action))

    async def _tick(self, body: Payload, action: Payload) -> Answer:
        block = HomeBlock.read(str(action.get("block_id", "")))
        message = await finding.message(self._ports, block.post_id)
        if message is None:
            raise ForeignClick
        user = body["user"]["id"]
        click = Click(
            deployment_id=block.deployment_id,
            post_id=block.post_id,
            team=team_of(body),
            channel=message.channel,
            message_ts=message.ts or "",
            user=user,
            action_ts=micros(str(action.get("action_ts", "0"))),
            drawing=str(action["block_id"]),
            drawn_seq=block.seq,
            positions=range(block.positions[0], block.positions[-1] + 1),
            base=block.ticked,
            selected=block.selected(option.get("value") for option in action.get("selected_options") or ()),
        )
        try:
            ticked = await self._queue.submit(click)
        finally:
            # Whatever became of it: the person's screen shows their click, and is to show the truth. What was
            # recorded stands, and is drawn as every change, also where this cannot be noted.
            with contextlib.suppress(DeploybotError):
                await surveying.changed(self._ports, click.team, user)
        return await self._told_of(ticked, body)

    async def _on_start(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def form() -> Answer:
            again = StartAgain.read(action.get("value"))
            start = commands.Start(
                service=again.service, environment=again.environment, checklist=again.checklist
            )
            if start.checklist and start.checklist not in self._ports.library.names():
                start = commands.Start(service=again.service, environment=again.environment)
            return self._conversation.start_form(
                channel="", start=start, can_open_view=True, proposed=again.channel
            )

        await self._answerer.answer_in_form(ack, body, form())

    async def _on_shortcut(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        async def form() -> Answer:
            return self._conversation.start_form(channel="", start=commands.Start(), can_open_view=True)

        await self._answerer.answer_in_form(ack, body, form())
