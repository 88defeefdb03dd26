"""Clicks and forms about checks: run them, stop them, look at the evidence, overrule one."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.check import Outcome
from bot.domain.errors import ForeignClick
from bot.services import checking, finding
from bot.services.ports import Ports
from bot.slack.answering import Answerer, Payload, delivery_of, team_of, values_of
from bot.slack.blocks import evidence, modals
from bot.slack.conversation import SILENCE, Answer, told_of_checks
from bot.slack.ids import Action, Field, Scope, View, number_of


class CheckListeners:
    """The listeners, with what they need."""

    def __init__(self, *, ports: Ports, answerer: Answerer) -> None:
        self._ports = ports
        self._answerer = answerer

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        app.action(Action.RUN_CHECKS.value)(self._on_run)
        app.action(Action.CHOOSE_CHECK.value)(self._on_chosen)
        app.action(Action.CANCEL_CHECKS.value)(self._on_cancel)
        app.action(Action.RESULTS.value)(self._on_results)
        app.action(Action.EVIDENCE.value)(self._on_evidence)
        app.action(Action.OVERRULE.value)(self._on_overrule)
        app.view(View.OVERRULE.value)(self._on_overrule_submitted)

    async def _on_run(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def run() -> Answer:
            scope = Scope.read(action.get("value"))
            state = await finding.get(self._ports, scope.deployment_id, team=team_of(body))
            who = {"user": body["user"]["id"], "delivery": delivery_of(body, action)}
            if scope.first < 0:
                asked = await checking.request(self._ports, state.id, words="", **who)
            else:
                positions = scope.positions(len(state.boxes))
                asked = await checking.check_positions(self._ports, state.id, positions, **who)
            return told_of_checks(asked) if asked.joined else SILENCE

        await self._answer(ack, body, run())

    async def _on_chosen(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def run() -> Answer:
            chosen = (action.get("selected_option") or {}).get("value")
            state = await finding.get(self._ports, number_of(chosen), team=team_of(body))
            asked = await checking.request(
                self._ports, state.id, words="", user=body["user"]["id"], delivery=delivery_of(body, action)
            )
            return told_of_checks(asked)

        await self._answer(ack, body, run())

    async def _on_cancel(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def cancel() -> Answer:
            state = await finding.get(self._ports, number_of(action.get("value")), team=team_of(body))
            await checking.cancel(
                self._ports, state.id, user=body["user"]["id"], delivery=delivery_of(body, action)
            )
            return SILENCE

        await self._answer(ack, body, cancel())

    async def _on_results(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def show() -> Answer:
            scope = Scope.read(action.get("value"))
            state = await finding.get(self._ports, scope.deployment_id, team=team_of(body))
            positions = scope.positions(len(state.boxes))
            found = await checking.all_evidence(self._ports, state, positions)
            return Answer(view=evidence.results(state, positions, found))

        await self._answer(ack, body, show())

    async def _on_evidence(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def show() -> Answer:
            scope = Scope.read(action.get("value"))
            state = await finding.get(self._ports, scope.deployment_id, team=team_of(body))
            position = _one(scope, len(state.boxes))
            found = await checking.all_evidence(self._ports, state, [position])
            return Answer(view=evidence.evidence(state, position, found.get(position)))

        await self._answer(ack, body, show())

    async def _on_overrule(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        async def ask() -> Answer:
            scope = Scope.read(action.get("value"))
            state = await finding.get(self._ports, scope.deployment_id, team=team_of(body))
            return Answer(view=evidence.overrule(state, _one(scope, len(state.boxes))))

        await self._answer(ack, body, ask())

    async def _on_overrule_submitted(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def overrule() -> dict[str, str]:
            told = modals.metadata(view)
            state = await finding.get(self._ports, int(told["deployment"]), team=team_of(body))
            position = int(told["position"])
            if position not in range(len(state.boxes)):
                raise ForeignClick
            seen = told.get("seen")
            await checking.overrule(
                self._ports,
                state.id,
                position,
                user=body["user"]["id"],
                reason=values_of(view).get(Field.REASON, ""),
                delivery=f"view.{view['id']}",
                seen=None if seen is None else Outcome(seen),
            )
            return {}

        await self._answerer.submitted(ack, body, overrule(), channel=None, blame=Field.REASON, clear=True)

    async def _answer(self, ack: AsyncAck, body: Payload, work: Coroutine[Any, Any, Answer]) -> None:
        await self._answerer.answer_with_form(ack, body, work)


def _one(scope: Scope, total: int) -> int:
    positions = scope.positions(total)
    if len(positions) != 1:
        raise ForeignClick
    return positions[0]
