"""What Bolt hears, handed on: commands, mentions, clicks and forms.

Every listener acknowledges within Slack's 3 s (Slack docs: interactivity, slash commands), after the work is
committed where that is quick enough, and answers the person in a sentence whatever happens.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.deployment import Deployment
from bot.domain.errors import AlreadyDeploying, BotNotInChannel, InvalidName
from bot.services import ending, finding, settling, starting
from bot.services.ports import Ports
from bot.services.ticking import Click, Ticked, TickQueue
from bot.slack import commands
from bot.slack.answering import Answerer, Payload, ack_with, in_time, team_of, values_of
from bot.slack.blocks import evidence, modals
from bot.slack.conversation import Answer, Asked, Conversation
from bot.slack.gateway import Gateway
from bot.slack.ids import Action, Field, TickBlock, View
from bot.slack.inflight import InFlight
from bot.slack.remarks import remark
from bot.slack.reminder_listeners import review_form
from bot.templates import escape

log = logging.getLogger(__name__)


class Listeners:
    """The listeners, with what they need."""

    def __init__(
        self,
        *,
        ports: Ports,
        conversation: Conversation,
        queue: TickQueue,
        answerer: Answerer,
        in_flight: InFlight,
        gateway: Gateway,
        command: str,
    ) -> None:
        self._ports = ports
        self._conversation = conversation
        self._queue = queue
        self._answerer = answerer
        self._in_flight = in_flight
        self._gateway = gateway
        self._command = command

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.use(self._heard)
        app.command(self._command)(self._on_command)
        app.event("app_mention")(self._on_mention)
        app.action(Action.TICK.value)(self._on_tick)
        app.action(Action.ABORT.value)(self._on_abort)
        app.action(Action.OPEN_START.value)(self._on_open_start)
        app.view(View.START.value)(self._on_start_submitted)
        app.view(View.ABORT.value)(self._on_abort_submitted)
        app.error(self._on_error)

    async def _heard(self, next: Callable[[], Awaitable[Any]]) -> Any:
        self._in_flight.last_heard = self._ports.clock.now()
        return await next()

    async def _on_error(self, error: Exception) -> None:
        log.error("a listener failed: %s", type(error).__name__, exc_info=error)

    # ── commands and mentions ────────────────────────────────────────────────────────────────────────────

    async def _on_command(self, ack: AsyncAck, command: dict[str, Any]) -> None:
        asked = Asked(
            team=command["team_id"],
            user=command["user_id"],
            channel=command["channel_id"],
            text=command.get("text", ""),
            delivery=f"command.{command['trigger_id']}",
            prefix=self._command,
        )
        work = self._in_flight.begin(self._answerer.guarded(self._conversation.answer(asked)))
        answer = await in_time(work)
        if answer is None:
            await ack()
            answer = await work
            await self._answerer.tell(asked.channel, asked.user, answer, None)
        elif answer.view is not None:
            refusal = await self._answerer.open(command["trigger_id"], answer.view)
            await (ack(text=refusal) if refusal else ack())
        elif answer.text:
            await ack_with(ack, answer)
        else:
            await ack()

    async def _on_mention(self, event: dict[str, Any], body: dict[str, Any], context: Any) -> None:
        user = event.get("user")
        if not user or event.get("bot_id"):
            return
        text = event.get("text", "")
        before, at, after = text.partition(f"<@{context.get('bot_user_id')}>")
        asked = Asked(
            team=body.get("team_id") or event.get("team", ""),
            user=user,
            channel=event["channel"],
            text=after.lstrip(" :,") if at else before,
            delivery=f"event.{body['event_id']}",
            prefix=f"@{self._conversation.bot_name}",
            thread_ts=event.get("thread_ts"),
            can_open_view=False,
        )
        answer = await self._in_flight.begin(self._answerer.guarded(self._conversation.answer(asked)))
        await self._answerer.tell(asked.channel, asked.user, answer, asked.thread_ts)

    # ── clicks ───────────────────────────────────────────────────────────────────────────────────────────

    async def _on_tick(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        await self._answerer.answer_with_form(ack, body, self._tick(body, action))

    async def _tick(self, body: Payload, action: Payload) -> Answer:
        block = TickBlock.read(str(action.get("block_id", "")))
        container = body.get("container") or {}
        click = Click(
            deployment_id=block.deployment_id,
            post_id=block.post_id,
            team=team_of(body),
            channel=container.get("channel_id") or (body.get("channel") or {}).get("id", ""),
            message_ts=container.get("message_ts", ""),
            user=body["user"]["id"],
            action_ts=micros(str(action.get("action_ts", "0"))),
            drawing=str(action["block_id"]),
            drawn_seq=block.seq,
            positions=block.positions,
            base=block.ticked,
            selected=block.selected(option.get("value") for option in action.get("selected_options") or ()),
        )
        return await self.told_of(await self._queue.submit(click), body)

    async def told_of(self, ticked: Ticked, body: Payload) -> Answer:
        """What the person should know, or is asked, after their click; usually nothing."""
        if (form := await self._review(ticked, body)) is not None:
            return form
        if len(ticked.outcome.needs_reason) == 1:
            return Answer(view=evidence.overrule(ticked.deployment, ticked.outcome.needs_reason[0]))
        return Answer(text=escape(remark(ticked)))

    async def _review(self, ticked: Ticked, body: Payload) -> Answer | None:
        """Who ticks the item of the review is asked for its time; the tick stands whatever they answer."""
        position = settling.review_item(ticked.deployment)
        new = {
            fact.data["position"]
            for fact in ticked.outcome.facts
            if fact.kind == "item.ticked" and not fact.data.get("moot")
        }
        if position is None or position not in {*new, *ticked.outcome.needs_reason}:
            return None
        return await review_form(self._ports, self._gateway, ticked.deployment.id, body)

    async def _on_abort(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        await self._form(ack, body, action.get("value"), lambda deployment: modals.abort([deployment]))

    async def _on_open_start(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def answer() -> Answer:
            return self._conversation.start_form(
                channel=str(action.get("value", "")), start=commands.Start(), can_open_view=True
            )

        await self._answerer.answer_with_form(ack, body, answer())

    async def _form(
        self,
        ack: AsyncAck,
        body: Payload,
        deployment_id: object,
        draw: Callable[[Deployment], dict[str, Any]],
    ) -> None:
        async def answer() -> Answer:
            number = int(deployment_id) if str(deployment_id).isdecimal() else 0  # type: ignore[call-overload]
            deployment = await finding.get(self._ports, number, team=team_of(body))
            if not deployment.phase.open:
                return Answer(text=f"{deployment.name} has ended already; nothing was changed.")
            return Answer(view=draw(deployment))

        await self._answerer.answer_with_form(ack, body, answer())

    # ── forms ────────────────────────────────────────────────────────────────────────────────────────────

    async def _on_start_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        values = values_of(view)
        # Opened without a channel, the form asked for it, and nobody can be answered in one.
        known = modals.metadata(view).get("channel", "") or None
        channel = known or values.get(Field.CHANNEL, "")

        async def start() -> dict[str, str]:
            try:
                request = await self._conversation.request(
                    service=values.get(Field.SERVICE, ""),
                    version=values.get(Field.VERSION, ""),
                    environment=values.get(Field.ENVIRONMENT, ""),
                    checklist=values.get(Field.CHECKLIST, "").replace(modals.BY_SERVICE, ""),
                    team=team_of(body),
                    channel=channel,
                    user=body["user"]["id"],
                    delivery=f"view.{view['id']}",
                )
                await starting.start(self._ports, request)
            except InvalidName as error:
                return {error.what: str(error)}
            except BotNotInChannel:
                if known is not None:
                    raise
                bot = f"@{self._conversation.bot_name}"
                return {Field.CHANNEL.value: str(BotNotInChannel(bot, chosen=True))}
            except AlreadyDeploying as held:
                told = await self._conversation.held(held)
                self._in_flight.begin(self._answerer.tell(known, body["user"]["id"], told, None))
                return {Field.SERVICE.value: await self._conversation.held_in_plain(held)}
            return {}

        await self._answerer.submitted(ack, body, start(), channel=known, blame=Field.SERVICE)

    async def _on_abort_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        values = values_of(view)

        async def abort() -> dict[str, str]:
            number = modals.metadata(view).get("deployment") or values.get(Field.DEPLOYMENT) or 0
            deployment = await finding.get(self._ports, int(number), team=team_of(body))
            await ending.abort(
                self._ports,
                deployment.id,
                user=body["user"]["id"],
                reason=values.get(Field.REASON, ""),
                delivery=f"view.{view['id']}",
            )
            return {}

        await self._answerer.submitted(ack, body, abort(), channel=None, blame=Field.REASON)


def micros(ts: str) -> int:
    """A Slack timestamp like `1548426417.840180` in microseconds."""
    seconds, _, fraction = ts.partition(".")
    try:
        return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or 0)
    except ValueError:
        return 0
