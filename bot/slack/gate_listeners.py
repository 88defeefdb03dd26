"""Clicks and forms about going on: Go, No-go, finish, the emergency override."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain import gating
from bot.domain.conduct import Hold, Permission
from bot.domain.deployment import Deployment
from bot.domain.errors import GateClosed
from bot.domain.verification import Purpose
from bot.services import ending, finding, going, permitting
from bot.services.ports import Ports
from bot.slack.answering import Answerer, Payload, delivery_of, team_of, values_of
from bot.slack.blocks import gates, modals
from bot.slack.conversation import SILENCE, Answer, told_of_conclusion
from bot.slack.ids import Action, Field, OverrideRef, View, number_of
from bot.slack.inflight import InFlight
from bot.templates import escape


class GateListeners:
    """The listeners, with what they need."""

    def __init__(self, *, ports: Ports, answerer: Answerer, in_flight: InFlight) -> None:
        self._ports = ports
        self._answerer = answerer
        self._in_flight = in_flight

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.action(Action.GO.value)(self._on_go)
        app.action(Action.NO_GO.value)(self._on_no_go)
        app.action(Action.FINISH.value)(self._on_finish)
        app.action(Action.CHOOSE.value)(self._on_finish)
        app.action(Action.OVERRIDE_GATE.value)(self._on_override)
        app.action(Action.CONFIRM_OVERRIDE.value)(self._settling(going.confirm_override))
        app.action(Action.WITHDRAW_OVERRIDE.value)(self._settling(going.withdraw_override))
        app.view(View.FINISH.value)(self._on_finish_submitted)
        app.view(View.NO_GO.value)(self._on_no_go_submitted)
        app.view(View.OVERRIDE_GATE.value)(self._on_override_submitted)

    async def _on_go(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def go() -> Answer:
            state = await self._state(body, action.get("value"))
            return await give_go(
                self._ports, state, user=body["user"]["id"], delivery=delivery_of(body, action)
            )

        await self._answerer.answer_with_form(ack, body, go())

    async def _on_no_go(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def ask() -> Answer:
            state = await self._state(body, action.get("value"))
            await permitting.require(self._ports, state, Permission.APPROVE, user=body["user"]["id"])
            if not state.phase.open:
                return _ended(state)
            return Answer(view=gates.no_go(state))

        await self._answerer.answer_with_form(ack, body, ask())

    async def _on_finish(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def ask() -> Answer:
            chosen = (action.get("selected_option") or {}).get("value") or action.get("value")
            state = await self._state(body, chosen)
            await permitting.require(self._ports, state, Permission.END, user=body["user"]["id"])
            return _ended(state) if not state.phase.open else await finish_form(self._ports, state)

        await self._answerer.answer_with_form(ack, body, ask())

    async def _on_override(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def ask() -> Answer:
            ref = OverrideRef.read(action.get("value"))
            state = await finding.get(self._ports, ref.deployment_id, team=team_of(body))
            await permitting.require(self._ports, state, Permission.OVERRIDE, user=body["user"]["id"])
            if not state.phase.open:
                return _ended(state)
            await going.check_override(self._ports, state, Hold(ref.what))
            return Answer(view=gates.override_form(state, Hold(ref.what)))

        await self._answerer.answer_with_form(ack, body, ask())

    def _settling(self, settle: Callable[..., Awaitable[Deployment]]) -> Callable[..., Awaitable[None]]:
        async def heard(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
            async def work() -> Answer:
                ref = OverrideRef.read(action.get("value"))
                await settle(
                    self._ports,
                    ref.deployment_id,
                    ref.seq,
                    user=body["user"]["id"],
                    team=team_of(body),
                    delivery=delivery_of(body, action),
                )
                return SILENCE

            await self._answerer.answer_with_form(ack, body, work())

        return heard

    # ── forms ────────────────────────────────────────────────────────────────────────────────────────────

    async def _on_finish_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def finish() -> dict[str, str]:
            deployment = await self._state(body, modals.metadata(view).get("deployment"))
            user = body["user"]["id"]
            state = await ending.finish(self._ports, deployment.id, user=user, delivery=f"view.{view['id']}")
            told = told_of_conclusion(state, Purpose.FINISH)
            if told.text:
                self._in_flight.begin(self._answerer.tell(state.channel, user, told, None))
            return {}

        await self._answerer.submitted(ack, body, finish(), channel=None, blame=None)

    async def _on_no_go_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def refuse() -> None:
            state = await self._state(body, modals.metadata(view).get("deployment"))
            await going.refuse_go(
                self._ports,
                state.id,
                user=body["user"]["id"],
                team=team_of(body),
                reason=values_of(view).get(Field.REASON, ""),
                delivery=f"view.{view['id']}",
            )

        await self._answerer.submitted(ack, body, refuse(), channel=None, blame=Field.REASON, clear=True)

    async def _on_override_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def request() -> None:
            ref = OverrideRef.read(modals.metadata(view).get("override"))
            await going.request_override(
                self._ports,
                ref.deployment_id,
                Hold(ref.what),
                user=body["user"]["id"],
                team=team_of(body),
                reason=values_of(view).get(Field.REASON, ""),
                delivery=f"view.{view['id']}",
            )

        await self._answerer.submitted(ack, body, request(), channel=None, blame=Field.REASON, clear=True)

    async def _state(self, body: Payload, value: object) -> Deployment:
        return await finding.get(self._ports, number_of(value), team=team_of(body))


def _ended(state: Deployment) -> Answer:
    return Answer(text=f"{escape(state.name)} has ended already; nothing was changed.")


async def give_go(ports: Ports, state: Deployment, *, user: str, delivery: str) -> Answer:
    """Go, or what is in its way with what can be done about it."""
    try:
        gone = await going.give_go(ports, state.id, user=user, team=state.team, delivery=delivery)
    except GateClosed as closed:
        return refused(state, Hold.GO, closed)
    if gone.asked:
        return Answer(text="Your own Go does not count here, so I asked for somebody else's in the thread.")
    return told_of_conclusion(gone.deployment, Purpose.GO)


async def finish_form(ports: Ports, state: Deployment) -> Answer:
    """The form, or what is in the way of the end."""
    try:
        gating.check_gates(state, Hold.FINISH, obstacles=await going.obstacles(ports, state, Hold.FINISH))
    except GateClosed as closed:
        return refused(state, Hold.FINISH, closed)
    return Answer(view=modals.finish(state))


def refused(state: Deployment, hold: Hold, closed: GateClosed) -> Answer:
    """What is in the way, with what can be done about it."""
    said = escape(str(closed))
    return Answer(text=said, blocks=gates.refusal(state, hold, said))
