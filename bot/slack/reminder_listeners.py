"""Clicks on reminders, and the form that schedules a review."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.errors import ForeignClick
from bot.domain.reminding import Snooze
from bot.services import finding, settling
from bot.services.ports import Ports
from bot.slack.answering import Answerer, Payload, delivery_of, team_of
from bot.slack.blocks import modals, reminder
from bot.slack.conversation import SILENCE, Answer
from bot.slack.gateway import QUICK_S, Gateway
from bot.slack.ids import Action, Asking, Field, View


class ReminderListeners:
    """The listeners, with what they need."""

    def __init__(self, *, ports: Ports, gateway: Gateway, answerer: Answerer) -> None:
        self._ports = ports
        self._gateway = gateway
        self._answerer = answerer

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.action(Action.REMINDER_DONE.value)(self._on_done)
        app.action(Action.REMINDER_SNOOZE.value)(self._on_snooze)
        app.action(Action.REMINDER_NOT_NEEDED.value)(self._on_not_needed)
        app.view(View.REVIEW.value)(self._on_review_submitted)

    async def _on_done(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def done() -> Answer:
            asking = Asking.read(action.get("value"))
            state, asked = await settling.find(self._ports, asking.reminder_id, team=team_of(body))
            wanted = settling.review_item(state)
            if wanted is not None and wanted in asked.open_in(state) and state.phase.open:
                return await review_form(self._ports, self._gateway, state.id, body)
            await settling.done(
                self._ports,
                asking.reminder_id,
                asking.round,
                user=body["user"]["id"],
                team=team_of(body),
                delivery=delivery_of(body, action),
            )
            return SILENCE

        await self._answerer.answer_with_form(ack, body, done())

    async def _on_snooze(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def snooze() -> Answer:
            chosen = str((action.get("selected_option") or {}).get("value", ""))
            value, _, how = chosen.rpartition(".")
            if how not in list(Snooze):
                raise ForeignClick
            asking = Asking.read(value)
            user = body["user"]["id"]
            person = await self._gateway.person(user, timeout=QUICK_S)
            await settling.snooze(
                self._ports,
                asking.reminder_id,
                asking.round,
                Snooze(how),
                user=user,
                timezone=person.timezone,
                team=team_of(body),
                delivery=delivery_of(body, action),
            )
            return SILENCE

        await self._answerer.answer_with_form(ack, body, snooze())

    async def _on_not_needed(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def not_needed() -> Answer:
            asking = Asking.read(action.get("value"))
            await settling.not_needed(
                self._ports,
                asking.reminder_id,
                asking.round,
                user=body["user"]["id"],
                team=team_of(body),
                delivery=delivery_of(body, action),
            )
            return SILENCE

        await self._answerer.answer_with_form(ack, body, not_needed())

    async def _on_review_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def schedule() -> dict[str, str]:
            number = int(modals.metadata(view)["deployment"])
            state = await finding.get(self._ports, number, team=team_of(body))
            await settling.schedule_review(
                self._ports,
                state.id,
                due_at=_chosen(view),
                user=body["user"]["id"],
                delivery=f"view.{view['id']}",
            )
            return {}

        await self._answerer.submitted(ack, body, schedule(), channel=None, blame=Field.WHEN)


async def review_form(ports: Ports, gateway: Gateway, deployment_id: int, body: Payload) -> Answer:
    """The form that asks for the time of the review, proposing tomorrow morning where the person is."""
    person = await gateway.person(body["user"]["id"], timeout=QUICK_S)
    state = await finding.get(ports, deployment_id, team=team_of(body))
    proposed = Snooze.TOMORROW.until(now=ports.clock.now(), timezone=person.timezone)
    return Answer(view=reminder.review(state, at=proposed, reader=person.reader))


def _chosen(view: Payload) -> datetime:
    """The instant chosen in the form."""
    element = (view["state"]["values"].get(Field.WHEN) or {}).get(Field.WHEN) or {}
    seconds = element.get("selected_date_time")
    if not isinstance(seconds, int):
        raise ForeignClick
    return datetime.fromtimestamp(seconds, UTC)
