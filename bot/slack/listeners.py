"""What Bolt hears, handed on: commands, mentions, clicks and forms.

Every listener acknowledges within Slack's 3 s (Slack docs: interactivity, slash commands), after the work is
committed where that is quick enough, and answers the person in a sentence whatever happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.deployment import Deployment
from bot.domain.errors import AlreadyDeploying, DeploybotError, InvalidName, StorageBusy, StorageFailed
from bot.services import ending, finding, starting
from bot.services.ports import Ports
from bot.services.starting import DEFAULT_CHECKLIST
from bot.services.ticking import Click, Ticked, TickQueue
from bot.slack import commands
from bot.slack.blocks import modals
from bot.slack.conversation import SILENCE, Answer, Asked, Conversation
from bot.slack.gateway import Gateway, SlackFailure
from bot.slack.ids import Action, Field, TickBlock, View
from bot.slack.inflight import InFlight
from bot.slack.mrkdwn import plain, shorten
from bot.templates import escape

log = logging.getLogger(__name__)

#: The ack must be out before Slack's 3 s are over; Bolt looks for it every 10 ms.
ACK_WITHIN_S = 2.5
#: Longest ephemeral answer; `text` is cut by Slack at 40,000, but nobody reads that.
ANSWER = 3900

Payload = Mapping[str, Any]


class Listeners:
    """The listeners, with what they need."""

    def __init__(
        self,
        *,
        ports: Ports,
        conversation: Conversation,
        queue: TickQueue,
        gateway: Gateway,
        in_flight: InFlight,
        command: str,
    ) -> None:
        self._ports = ports
        self._conversation = conversation
        self._queue = queue
        self._gateway = gateway
        self._in_flight = in_flight
        self._command = command

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.use(self._heard)
        app.command(self._command)(self._on_command)
        app.event("app_mention")(self._on_mention)
        app.action(Action.TICK.value)(self._on_tick)
        app.action(Action.FINISH.value)(self._on_finish)
        app.action(Action.ABORT.value)(self._on_abort)
        app.action(Action.CHOOSE.value)(self._on_choose)
        app.action(Action.OPEN_START.value)(self._on_open_start)
        app.view(View.START.value)(self._on_start_submitted)
        app.view(View.FINISH.value)(self._on_finish_submitted)
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
        work = self._in_flight.begin(self._guarded(self._conversation.answer(asked)))
        answer = await _in_time(work)
        if answer is None:
            await ack()
            answer = await work
            await self._tell(asked.channel, asked.user, answer, None)
        elif answer.view is not None:
            refusal = await self._open(command["trigger_id"], answer.view)
            await (ack(text=refusal) if refusal else ack())
        elif answer.text:
            await _ack_with(ack, answer)
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
        answer = await self._in_flight.begin(self._guarded(self._conversation.answer(asked)))
        await self._tell(asked.channel, asked.user, answer, asked.thread_ts)

    # ── clicks ───────────────────────────────────────────────────────────────────────────────────────────

    async def _on_tick(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        work = self._in_flight.begin(self._guarded(self._tick(body, action)))
        answer = await _in_time(work)
        await ack()
        if answer is None:
            answer = await work
        await self._answer_click(body, answer)

    async def _tick(self, body: Payload, action: Payload) -> Answer:
        block = TickBlock.read(str(action.get("block_id", "")))
        container = body.get("container") or {}
        click = Click(
            deployment_id=block.deployment_id,
            post_id=block.post_id,
            team=_team(body),
            channel=container.get("channel_id") or (body.get("channel") or {}).get("id", ""),
            message_ts=container.get("message_ts", ""),
            user=body["user"]["id"],
            action_ts=_micros(str(action.get("action_ts", "0"))),
            drawing=str(action["block_id"]),
            drawn_seq=block.seq,
            positions=block.positions,
            base=block.ticked,
            selected=block.selected(option.get("value") for option in action.get("selected_options") or ()),
        )
        return _remark(await self._queue.submit(click))

    async def _on_finish(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        await self._form(ack, body, action.get("value"), modals.finish)

    async def _on_abort(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        await self._form(ack, body, action.get("value"), lambda deployment: modals.abort([deployment]))

    async def _on_choose(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        chosen = (action.get("selected_option") or {}).get("value")
        await self._form(ack, body, chosen, modals.finish)

    async def _on_open_start(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def answer() -> Answer:
            return self._conversation.start_form(
                channel=str(action.get("value", "")), start=commands.Start(), can_open_view=True
            )

        await self._answer_with_form(ack, body, answer())

    async def _form(
        self,
        ack: AsyncAck,
        body: Payload,
        deployment_id: object,
        draw: Callable[[Deployment], dict[str, Any]],
    ) -> None:
        async def answer() -> Answer:
            number = int(deployment_id) if str(deployment_id).isdecimal() else 0  # type: ignore[call-overload]
            deployment = await finding.get(self._ports, number, team=_team(body))
            if not deployment.phase.open:
                return Answer(text=f"{deployment.name} has ended already; nothing was changed.")
            return Answer(view=draw(deployment))

        await self._answer_with_form(ack, body, answer())

    async def _answer_with_form(
        self, ack: AsyncAck, body: Payload, work: Coroutine[Any, Any, Answer]
    ) -> None:
        async def form() -> Answer:
            answer = await self._guarded(work)
            if answer.view is None:
                return answer
            refusal = await self._open(str(body.get("trigger_id", "")), answer.view)
            return Answer(text=refusal) if refusal else SILENCE

        task = self._in_flight.begin(form())
        await _in_time(task)
        await ack()
        await self._answer_click(body, await task)

    # ── forms ────────────────────────────────────────────────────────────────────────────────────────────

    async def _on_start_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        values = _values(view)
        channel = modals.metadata(view).get("channel", "")

        async def start() -> dict[str, str]:
            try:
                request = await self._conversation.request(
                    service=values.get(Field.SERVICE, ""),
                    version=values.get(Field.VERSION, ""),
                    environment=values.get(Field.ENVIRONMENT, ""),
                    checklist=values.get(Field.CHECKLIST) or DEFAULT_CHECKLIST,
                    team=_team(body),
                    channel=channel,
                    user=body["user"]["id"],
                    delivery=f"view.{view['id']}",
                )
                await starting.start(self._ports, request)
            except InvalidName as error:
                return {error.what: str(error)}
            except AlreadyDeploying as held:
                told = await self._conversation.held(held)
                self._in_flight.begin(self._tell(channel, body["user"]["id"], told, None))
                return {Field.SERVICE.value: await self._conversation.held_in_plain(held)}
            return {}

        await self._submitted(ack, body, start(), channel=channel, blame=Field.SERVICE)

    async def _on_finish_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def finish() -> dict[str, str]:
            deployment = await finding.get(
                self._ports, int(modals.metadata(view)["deployment"]), team=_team(body)
            )
            await ending.finish(
                self._ports, deployment.id, user=body["user"]["id"], delivery=f"view.{view['id']}"
            )
            return {}

        await self._submitted(ack, body, finish(), channel=None, blame=None)

    async def _on_abort_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        values = _values(view)

        async def abort() -> dict[str, str]:
            number = modals.metadata(view).get("deployment") or values.get(Field.DEPLOYMENT) or 0
            deployment = await finding.get(self._ports, int(number), team=_team(body))
            await ending.abort(
                self._ports,
                deployment.id,
                user=body["user"]["id"],
                reason=values.get(Field.REASON, ""),
                delivery=f"view.{view['id']}",
            )
            return {}

        await self._submitted(ack, body, abort(), channel=None, blame=Field.REASON)

    async def _submitted(
        self,
        ack: AsyncAck,
        body: Payload,
        work: Coroutine[Any, Any, dict[str, str]],
        *,
        channel: str | None,
        blame: Field | None,
    ) -> None:
        """Close the form, or show beside its inputs what is wrong; `blame` is where other trouble goes."""

        async def guarded() -> tuple[dict[str, str], str]:
            try:
                return await work, ""
            except DeploybotError as error:
                return {}, str(error)
            except Exception:
                log.exception("a form could not be handled")
                return {}, _TROUBLE

        task = self._in_flight.begin(guarded())
        result = await _in_time(task)
        if result is None:
            await ack()
            errors, trouble = await task
            said = trouble or " ".join(errors.values())
            if said:
                await self._tell(channel, body["user"]["id"], Answer(text=escape(said)), None)
            return
        errors, trouble = result
        if errors:
            await ack(response_action="errors", errors=errors)
        elif trouble and blame is not None:
            await ack(response_action="errors", errors={blame.value: trouble})
        elif trouble:
            await ack(response_action="update", view=_said(trouble))
        else:
            await ack()

    # ── answering ────────────────────────────────────────────────────────────────────────────────────────

    async def _guarded(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer, or the error as one."""
        try:
            return await work
        except StorageBusy as error:
            log.warning("%s", error)
            return Answer(text=escape(str(error)))
        except StorageFailed as error:
            log.error("%s", error)
            return Answer(text=escape(str(error)))
        except DeploybotError as error:
            return Answer(text=escape(str(error)))
        except Exception:
            log.exception("a request could not be handled")
            return Answer(text=_TROUBLE)

    async def _open(self, trigger_id: str, view: dict[str, Any]) -> str:
        """Open a modal; the sentence to show where Slack refuses, else empty."""
        try:
            await self._gateway.open_view(trigger_id, view)
        except SlackFailure as failure:
            log.warning("cannot open a form: %s", failure)
            return f"Slack did not open the form ({failure.code}). Try again."
        return ""

    async def _answer_click(self, body: Payload, answer: Answer) -> None:
        container = body.get("container") or {}
        channel = container.get("channel_id") or (body.get("channel") or {}).get("id")
        await self._tell(channel, body["user"]["id"], answer, container.get("thread_ts"))

    async def _tell(self, channel: str | None, user: str, answer: Answer, thread_ts: str | None) -> None:
        if not answer.text and answer.view is None:
            return
        try:
            # A direct message reaches the person where there is no channel to speak in.
            await self._gateway.tell(
                channel=channel or user,
                user=user,
                text=shorten(answer.text, ANSWER),
                blocks=answer.blocks,
                thread_ts=thread_ts,
            )
        except SlackFailure as failure:
            log.warning("cannot tell %s: %s. It was: %s", user, failure, answer.text)


_TROUBLE = (
    "Something went wrong on my side and nothing was recorded. "
    "Try again; if it stays so, tell whoever runs this bot: the log has the cause."
)


async def _in_time(task: asyncio.Task[Any]) -> Any:
    """The result if it comes in time for the ack, else None; the work goes on either way."""
    await asyncio.wait({task}, timeout=ACK_WITHIN_S)
    return task.result() if task.done() else None


async def _ack_with(ack: AsyncAck, answer: Answer) -> None:
    text = shorten(answer.text, ANSWER)
    if answer.blocks is None:
        await ack(text=text, response_type="ephemeral")
    else:
        await ack(text=text, blocks=answer.blocks, response_type="ephemeral")


def _remark(ticked: Ticked) -> Answer:
    """What the person should know about their click; usually nothing."""
    lines = [
        f"Step {step.number} (“{plain(step.text)}”) is ticked before step {earlier.number} "
        f"(“{plain(earlier.text)}”). It is recorded and marked as out of order."
        for step, earlier in ticked.out_of_order
    ]
    lines += [
        f"“{plain(item.text)}” was ticked again after your screen was drawn, so that tick stays."
        for item in ticked.outcome.kept
    ]
    return Answer(text=escape("\n".join(lines)))


def _said(sentence: str) -> dict[str, Any]:
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Not done"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": [{"type": "section", "text": {"type": "plain_text", "text": sentence}}],
    }


def _team(body: Payload) -> str:
    return str((body.get("team") or {}).get("id") or (body.get("user") or {}).get("team_id") or "")


def _micros(ts: str) -> int:
    """A Slack timestamp like `1548426417.840180` in microseconds."""
    seconds, _, fraction = ts.partition(".")
    try:
        return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or 0)
    except ValueError:
        return 0


def _values(view: Payload) -> dict[str, str]:
    """The inputs of a form, by field."""
    found: dict[str, str] = {}
    for inputs in view["state"]["values"].values():
        for name, element in inputs.items():
            option = element.get("selected_option") or {}
            found[name] = (element.get("value") or option.get("value") or "").strip()
    return found
