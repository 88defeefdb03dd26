"""Who leads: what people type about it, and clicks of a lead who was asked, and of who takes over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.deployment import Deployment
from bot.domain.errors import DeploymentClosed, NobodyToLead
from bot.services import finding, leading
from bot.services.ports import Ports
from bot.slack import commands
from bot.slack.answering import Answerer, Payload, delivery_of, team_of, values_of
from bot.slack.blocks import modals, nudges, words
from bot.slack.conversation import SILENCE, Answer, Asked, Meaning
from bot.slack.gateway import QUICK_S, Gateway
from bot.slack.ids import Action, Field, View, number_of

Handler = Callable[[Payload, Deployment, str], Awaitable[Answer]]


class LeadConversation:
    """Part of the conversation; see `bot.slack.conversation.Conversation`."""

    def __init__(self, ports: Ports, gateway: Gateway, meaning: Meaning) -> None:
        self._ports = ports
        self._gateway = gateway
        self._meaning = meaning

    async def answer(self, asked: Asked, command: commands.Command) -> Answer | None:
        """The answer; None for a command about something else. Raises DeploybotError."""
        if not isinstance(command, commands.HandOver):
            return None
        state = await self._meaning.one(asked, "lead @name", command.name)
        if isinstance(state, Answer):
            return state
        if not command.user:
            if asked.can_open_view:
                return Answer(view=hand_over_form(state))
            return Answer(text=f"Say who: `{asked.prefix} lead @name`, or `{asked.prefix} lead me`.")
        to = asked.user if command.user == "me" else command.user
        await see_that_a_person_leads(self._gateway, to)
        await leading.hand_over(self._ports, state.id, to=to, user=asked.user, delivery=asked.delivery)
        return SILENCE


class LeadListeners:
    """The listeners, with what they need."""

    def __init__(self, *, ports: Ports, gateway: Gateway, answerer: Answerer) -> None:
        self._ports = ports
        self._gateway = gateway
        self._answerer = answerer

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        handlers: dict[Action, Handler] = {
            Action.HAND_OVER: self._ask_whom,
            Action.TAKE_OVER: self._take_over,
            Action.STILL_ON_IT: self._still_on_it,
        }
        for action, handler in handlers.items():
            app.action(action.value)(self._listener(handler))
        app.view(View.HAND_OVER.value)(self._on_hand_over)

    def _listener(self, handler: Handler) -> Callable[..., Awaitable[None]]:
        async def heard(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
            async def work() -> Answer:
                number = number_of(action.get("value"))
                state = await finding.get(self._ports, number, team=team_of(body))
                return await handler(body, state, delivery_of(body, action))

            await self._answerer.answer_with_form(ack, body, work())

        return heard

    async def _ask_whom(self, body: Payload, state: Deployment, _: str) -> Answer:
        return Answer(view=hand_over_form(state))

    async def _take_over(self, body: Payload, state: Deployment, delivery: str) -> Answer:
        user = body["user"]["id"]
        await leading.hand_over(self._ports, state.id, to=user, user=user, delivery=delivery)
        return SILENCE

    async def _still_on_it(self, body: Payload, state: Deployment, delivery: str) -> Answer:
        after = await leading.present(self._ports, state.id, user=body["user"]["id"], delivery=delivery)
        again = f" I ask again after {words.duration(after.quiet_lead)}." if after.quiet_lead else ""
        return Answer(text=f"👍 Noted.{again}")

    async def _on_hand_over(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def hand_over() -> dict[str, str]:
            number = number_of(modals.metadata(view).get("deployment"))
            state = await finding.get(self._ports, number, team=team_of(body))
            to = values_of(view).get(Field.PERSON, "")
            await see_that_a_person_leads(self._gateway, to)
            await leading.hand_over(
                self._ports, state.id, to=to, user=body["user"]["id"], delivery=f"view.{view['id']}"
            )
            return {}

        await self._answerer.submitted(ack, body, hand_over(), channel=None, blame=Field.PERSON)


def hand_over_form(state: Deployment) -> dict[str, Any]:
    """The form that asks who leads from now on. Raises DeploymentClosed: nobody should choose for nothing."""
    if not state.phase.open:
        raise DeploymentClosed(state.name, state.phase)
    return nudges.hand_over(state)


async def see_that_a_person_leads(gateway: Gateway, user: str) -> None:
    """Raises NobodyToLead for nobody and for apps; where Slack does not say, for nobody alone."""
    if not user or (await gateway.person(user, timeout=QUICK_S)).bot:
        raise NobodyToLead
