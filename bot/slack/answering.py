"""Answers a person, whatever happened: a sentence or a form; never a stack trace, never silence."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Mapping
from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.domain.errors import (
    AudienceUnknown,
    DeploybotError,
    FourEyes,
    GroupUnknown,
    NotPermitted,
    StorageBusy,
    StorageFailed,
)
from bot.slack.conversation import SILENCE, Answer
from bot.slack.gateway import Gateway, SlackFailure
from bot.slack.ids import Field
from bot.slack.inflight import InFlight
from bot.slack.mrkdwn import shorten
from bot.templates import escape

log = logging.getLogger(__name__)

#: The ack must be out before Slack's 3 s are over; Bolt looks for it every 10 ms.
ACK_WITHIN_S = 2.5
#: Longest ephemeral answer; `text` is cut by Slack at 40,000, but nobody reads that.
ANSWER = 3900

Payload = Mapping[str, Any]


TROUBLE = (
    "Something went wrong on my side and nothing was recorded. "
    "Try again; if it stays so, tell whoever runs this bot: the log has the cause."
)


async def in_time(task: asyncio.Task[Any]) -> Any:
    """The result if it comes in time for the ack, else None; the work goes on either way."""
    await asyncio.wait({task}, timeout=ACK_WITHIN_S)
    return task.result() if task.done() else None


async def ack_with(ack: AsyncAck, answer: Answer) -> None:
    text = shorten(answer.text, ANSWER)
    if answer.blocks is None:
        await ack(text=text, response_type="ephemeral")
    else:
        await ack(text=text, blocks=answer.blocks, response_type="ephemeral")


class Answerer:
    """Speaks to the person who asked."""

    def __init__(self, gateway: Gateway, in_flight: InFlight) -> None:
        self._gateway = gateway
        self._in_flight = in_flight

    async def guarded(self, work: Coroutine[Any, Any, Answer]) -> Answer:
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
            return Answer(text=in_mrkdwn(error))
        except Exception:
            log.exception("a request could not be handled")
            return Answer(text=TROUBLE)

    async def open(self, trigger_id: str, view: dict[str, Any], *, on_top: bool = False) -> str:
        """Open a modal, `on_top` of one that is open; what to say where Slack refuses, else nothing."""
        try:
            await self._gateway.open_view(trigger_id, view, on_top=on_top)
        except SlackFailure as failure:
            log.warning("cannot open a form: %s", failure)
            return f"Slack did not open the form ({failure.code}). Try again."
        return ""

    async def answer_click(self, body: Payload, answer: Answer) -> None:
        container = body.get("container") or {}
        channel = container.get("channel_id") or (body.get("channel") or {}).get("id")
        await self.tell(channel, body["user"]["id"], answer, container.get("thread_ts"))

    async def tell(self, channel: str | None, user: str, answer: Answer, thread_ts: str | None) -> None:
        if not answer.text and answer.view is None:
            return
        text = shorten(answer.text, ANSWER)
        try:
            if channel:
                await self._gateway.tell(
                    channel=channel, user=user, text=text, blocks=answer.blocks, thread_ts=thread_ts
                )
            else:  # A direct message reaches the person where there is no channel to speak in.
                await self._gateway.write_to(user, text, blocks=answer.blocks)
        except SlackFailure as failure:
            log.warning("cannot tell %s: %s. It was: %s", user, failure, answer.text)

    async def answer_with_form(self, ack: AsyncAck, body: Payload, work: Coroutine[Any, Any, Answer]) -> None:
        async def form() -> Answer:
            answer = await self.guarded(work)
            if answer.view is None:
                return answer
            refusal = await self.open(str(body.get("trigger_id", "")), answer.view, on_top=_in_a_modal(body))
            return Answer(text=refusal) if refusal else SILENCE

        task = self._in_flight.begin(form())
        await in_time(task)
        await ack()
        await self.answer_click(body, await task)

    async def answer_in_form(self, ack: AsyncAck, body: Payload, work: Coroutine[Any, Any, Answer]) -> None:
        """The same where there is no channel to answer in: words come as a form, or directly."""

        async def form() -> Answer:
            answer = await self.guarded(work)
            view = answer.view or (said(answer.text) if answer.text else None)
            if view is None:
                return SILENCE
            refusal = await self.open(str(body.get("trigger_id", "")), view, on_top=_in_a_modal(body))
            return Answer(text=answer.text or refusal) if refusal else SILENCE

        task = self._in_flight.begin(form())
        await in_time(task)
        await ack()
        await self.tell(None, body["user"]["id"], await task, None)

    async def submitted(
        self,
        ack: AsyncAck,
        body: Payload,
        work: Coroutine[Any, Any, dict[str, str] | None],
        *,
        channel: str | None,
        blame: Field | None,
        clear: bool = False,
    ) -> None:
        """Close the form, or show beside its inputs what `work` says is wrong; other trouble at `blame`.

        `clear` closes the forms under it as well: they show what was before.
        """

        async def guarded() -> tuple[dict[str, str], str]:
            try:
                return await work or {}, ""
            except _POINTING:
                raise
            except DeploybotError as error:
                return {}, str(error)
            except Exception:
                log.exception("a form could not be handled")
                return {}, TROUBLE

        async def pointed() -> tuple[dict[str, str], str]:
            """A form shows no mentions: whom to ask is said outside it."""
            try:
                return await guarded()
            except _POINTING as error:
                said = Answer(text=in_mrkdwn(error))
                self._in_flight.begin(self.tell(channel, body["user"]["id"], said, None))
                return {}, ""

        task = self._in_flight.begin(pointed())
        result = await in_time(task)
        if result is None:
            await ack()
            errors, trouble = await task
            said = trouble or " ".join(errors.values())
            if said:
                await self.tell(channel, body["user"]["id"], Answer(text=escape(said)), None)
            return
        errors, trouble = result
        if errors:
            await ack(response_action="errors", errors=errors)
        elif trouble and blame is not None:
            await ack(response_action="errors", errors={blame.value: trouble})
        elif trouble:
            await ack(response_action="update", view=refusal(trouble))
        elif clear:
            await ack(response_action="clear")
        else:
            await ack()


#: Refusals that mention whom to ask.
_POINTING = (AudienceUnknown, FourEyes, GroupUnknown, NotPermitted)
_MENTION = re.compile(r"&lt;(!subteam\^S[A-Z0-9]+|@[UW][A-Z0-9]+|#[CG][A-Z0-9]+)&gt;")


def in_mrkdwn(error: DeploybotError) -> str:
    """The sentence as Slack shows it, with mentions where it points at somebody."""
    said = escape(str(error))
    return _MENTION.sub(r"<\1>", said) if isinstance(error, _POINTING) else said


def refusal(sentence: str) -> dict[str, Any]:
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Not done"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": [{"type": "section", "text": {"type": "plain_text", "text": sentence}}],
    }


def said(text: str) -> dict[str, Any]:
    """Words, in mrkdwn, as a form that is only closed."""
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Deploybot"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": shorten(text, 3000)}}],
    }


def _in_a_modal(body: Payload) -> bool:
    """Whether somebody clicked in a form; an App Home is a view, too, and nothing is pushed on top of it."""
    return bool((body.get("view") or {}).get("type") == "modal")


def team_of(body: Payload) -> str:
    return str((body.get("team") or {}).get("id") or (body.get("user") or {}).get("team_id") or "")


def delivery_of(body: Payload, action: Payload) -> str:
    """The click's name: the same one again has no second effect."""
    return f"action.{body['user']['id']}.{action.get('action_id')}.{action.get('action_ts')}"


def values_of(view: Payload) -> dict[str, str]:
    """The inputs of a form, by field."""
    found: dict[str, str] = {}
    for inputs in view["state"]["values"].values():
        for name, element in inputs.items():
            option = element.get("selected_option") or {}
            picked = element.get("selected_user") or element.get("selected_conversation")
            found[name] = (element.get("value") or option.get("value") or picked or "").strip()
    return found


def ticked_in(view: Payload) -> list[str]:
    """The values of all boxes of a form that are ticked."""
    return [
        option["value"]
        for inputs in view["state"]["values"].values()
        for element in inputs.values()
        for option in element.get("selected_options") or ()
    ]
