"""Shortcuts on a message: keep it as a note at an item, raise a rollback trigger with it."""

from __future__ import annotations

import logging
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.deployment import Deployment
from bot.domain.errors import DeploybotError, ForeignClick, NoSuchItem
from bot.services import finding, tending
from bot.services.ports import Ports
from bot.slack import commands
from bot.slack.answering import Answerer, Payload, team_of, values_of
from bot.slack.blocks import alert_forms, modals, shortcut_forms
from bot.slack.blocks.words import Block
from bot.slack.conversation import Answer
from bot.slack.gateway import Gateway
from bot.slack.ids import Field, Shortcut, View

log = logging.getLogger(__name__)

_VIEWS = {Shortcut.NOTE: View.NOTE_FROM_MESSAGE, Shortcut.RAISE: View.RAISE_FROM_MESSAGE}


class ShortcutListeners:
    """The listeners, with what they need."""

    def __init__(self, *, ports: Ports, gateway: Gateway, answerer: Answerer, command: str) -> None:
        self._ports = ports
        self._gateway = gateway
        self._answerer = answerer
        self._command = command

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.message_shortcut(Shortcut.NOTE.value)(self._on_message)
        app.message_shortcut(Shortcut.RAISE.value)(self._on_message)
        app.view(View.NOTE_FROM_MESSAGE.value)(self._on_note)
        app.view(View.RAISE_FROM_MESSAGE.value)(self._on_raise)

    async def _on_message(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await self._answerer.answer_in_form(ack, body, self._form(body))

    async def _form(self, body: Payload) -> Answer:
        view = _VIEWS[Shortcut(body["callback_id"])]
        team, channel = team_of(body), str((body.get("channel") or {}).get("id", ""))
        message = body.get("message") or {}
        ts = str(body.get("message_ts") or message.get("ts") or "")
        thread = str(message.get("thread_ts") or "")
        text = " ".join(commands.typed(str(message.get("text") or "")).split())
        link = self._gateway.link(channel, ts, thread) or ""
        here = await finding.in_thread(self._ports, team, channel, thread or ts)
        if here is not None and here.phase.open:
            return Answer(view=_next(view, here, text=text, link=link))
        opened = (await finding.opened_to(self._ports, team, body["user"]["id"])).seen
        if not opened:
            return Answer(view=shortcut_forms.nothing_open(self._command))
        if len(opened) == 1:
            return Answer(view=_next(view, opened[0], text=text, link=link))
        in_channel = [deployment for deployment in opened if deployment.channel == channel]
        likely = in_channel[0] if len(in_channel) == 1 else None
        order = sorted(opened, key=lambda deployment: deployment.channel != channel)
        return Answer(view=shortcut_forms.choose(view, order, likely=likely, text=text, link=link))

    async def _on_raise(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        await self._go_on(ack, body, view, View.RAISE_FROM_MESSAGE)

    async def _on_note(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        if "deployment" not in modals.metadata(view):
            await self._go_on(ack, body, view, View.NOTE_FROM_MESSAGE)
            return

        async def note() -> dict[str, str]:
            told, values = modals.metadata(view), values_of(view)
            state = await self._state(body, told.get("deployment"))
            chosen = values.get(Field.ITEM, "")
            if not chosen.isdecimal():
                raise NoSuchItem
            await tending.note(
                self._ports,
                state.id,
                int(chosen),
                text=values.get(Field.NOTE, ""),
                link=str(told.get("link", "")),
                user=body["user"]["id"],
                delivery=f"view.{view['id']}",
            )
            return {}

        await self._answerer.submitted(ack, body, note(), channel=None, blame=Field.NOTE)

    async def _go_on(self, ack: AsyncAck, body: Payload, view: Payload, kind: View) -> None:
        """The deployment is chosen: the same form asks the rest."""
        values = values_of(view)
        try:
            state = await self._state(body, values.get(Field.DEPLOYMENT))
        except DeploybotError as error:
            await ack(response_action="errors", errors={Field.DEPLOYMENT.value: str(error)})
            return
        link = str(modals.metadata(view).get("link", ""))
        following = _next(kind, state, text=values.get(Field.NOTE, ""), link=link)
        await ack(response_action="update", view=following)

    async def _state(self, body: Payload, number: object) -> Deployment:
        if not str(number).isdecimal():
            raise ForeignClick
        return await finding.get(self._ports, int(str(number)), team=team_of(body))


def _next(view: View, deployment: Deployment, *, text: str, link: str) -> Block:
    if view is View.NOTE_FROM_MESSAGE:
        return shortcut_forms.note(deployment, text=text, link=link)
    return alert_forms.raise_by_hand(deployment, reason=text, link=link)
