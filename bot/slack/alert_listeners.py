"""Clicks and forms about rollback triggers and the rollback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain import triggering
from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment
from bot.domain.errors import ForeignClick, RollbackUnderWay
from bot.services import alerting, finding, permitting, rolling_back
from bot.services.ports import Ports
from bot.slack.answering import Answerer, Payload, delivery_of, team_of, values_of
from bot.slack.blocks import alert_forms, modals, words
from bot.slack.conversation import SILENCE, Answer
from bot.slack.ids import Action, Field, TriggerRef, View
from bot.slack.mrkdwn import plain
from bot.templates import escape

Handler = Callable[[Payload, TriggerRef, str], Awaitable[Answer]]


class AlertListeners:
    """The listeners, with what they need."""

    def __init__(self, *, ports: Ports, answerer: Answerer) -> None:
        self._ports = ports
        self._answerer = answerer

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        handlers: dict[Action, Handler] = {
            Action.ACKNOWLEDGE: self._acknowledge,
            Action.WATCH_LONGER: self._watch_longer,
            Action.SNOOZE: self._snooze,
            Action.NOT_THIS_DEPLOY: self._ask_why,
            Action.START_ROLLBACK: self._ask_to_roll_back,
            Action.RAISE: self._ask_what,
        }
        for action, handler in handlers.items():
            app.action(action.value)(self._listener(handler))
        app.view(View.START_ROLLBACK.value)(self._on_rollback)
        app.view(View.NOT_THIS_DEPLOY.value)(self._on_not_this_deploy)
        app.view(View.RAISE.value)(self._on_raise)

    def _listener(self, handler: Handler) -> Callable[..., Awaitable[None]]:
        async def heard(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
            async def work() -> Answer:
                option = action.get("selected_option") or {}
                ref = TriggerRef.read(option.get("value") or action.get("value"))
                return await handler(body, ref, delivery_of(body, action))

            await self._answerer.answer_with_form(ack, body, work())

        return heard

    # ── clicks ───────────────────────────────────────────────────────────────────────────────────────────

    async def _acknowledge(self, body: Payload, ref: TriggerRef, delivery: str) -> Answer:
        await self._state(body, ref)
        user = body["user"]["id"]
        await alerting.acknowledge(self._ports, ref.deployment_id, ref.seq, user=user, delivery=delivery)
        return SILENCE

    async def _watch_longer(self, body: Payload, ref: TriggerRef, delivery: str) -> Answer:
        state = await self._state(body, ref)
        after = await alerting.watch_longer(
            self._ports, state.id, user=body["user"]["id"], delivery=delivery, seq=ref.seq or None
        )
        return Answer(text=told_of_watch(after))

    async def _snooze(self, body: Payload, ref: TriggerRef, delivery: str) -> Answer:
        await self._state(body, ref)
        await alerting.snooze(
            self._ports,
            ref.deployment_id,
            ref.seq,
            user=body["user"]["id"],
            span=timedelta(minutes=ref.number),
            delivery=delivery,
        )
        return SILENCE

    async def _ask_why(self, body: Payload, ref: TriggerRef, _: str) -> Answer:
        state = await self._state(body, ref)
        return Answer(view=alert_forms.not_this_deploy(state, triggering.raised_by(state, ref.seq)))

    async def _ask_to_roll_back(self, body: Payload, ref: TriggerRef, _: str) -> Answer:
        state = await self._state(body, ref)
        await permitting.require(self._ports, state, Permission.ROLL_BACK, user=body["user"]["id"])
        return Answer(view=rollback_form(state, ref.seq))

    async def _ask_what(self, body: Payload, ref: TriggerRef, _: str) -> Answer:
        return Answer(view=alert_forms.raise_by_hand(await self._state(body, ref)))

    async def _state(self, body: Payload, ref: TriggerRef) -> Deployment:
        return await finding.get(self._ports, ref.deployment_id, team=team_of(body))

    # ── forms ────────────────────────────────────────────────────────────────────────────────────────────

    async def _on_rollback(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def start() -> None:
            ref = TriggerRef.read(modals.metadata(view).get("trigger"))
            await self._state(body, ref)
            await rolling_back.start(
                self._ports,
                ref.deployment_id,
                user=body["user"]["id"],
                why=values_of(view).get(Field.REASON, ""),
                delivery=f"view.{view['id']}",
                seq=ref.seq or None,
            )

        await self._answerer.submitted(ack, body, start(), channel=None, blame=Field.REASON)

    async def _on_not_this_deploy(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        async def clear() -> None:
            ref = TriggerRef.read(modals.metadata(view).get("trigger"))
            await self._state(body, ref)
            values = values_of(view)
            await alerting.clear(
                self._ports,
                ref.deployment_id,
                ref.seq,
                user=body["user"]["id"],
                reason=values.get(Field.REASON, ""),
                ours=values.get(Field.CAUSE) == alert_forms.OURS,
                delivery=f"view.{view['id']}",
            )

        await self._answerer.submitted(ack, body, clear(), channel=None, blame=Field.REASON)

    async def _on_raise(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        told: list[tuple[str, Answer]] = []

        async def raise_it() -> None:
            number = str(modals.metadata(view).get("deployment"))
            if not number.isdecimal():
                raise ForeignClick
            state = await finding.get(self._ports, int(number), team=team_of(body))
            values = values_of(view)
            raised = await alerting.raise_by_hand(
                self._ports,
                state.id,
                words=_chosen(state, values.get(Field.TRIGGER, "")),
                reason=values.get(Field.WORDS, ""),
                user=body["user"]["id"],
                delivery=f"view.{view['id']}",
                link=str(modals.metadata(view).get("link", "")),
            )
            told.append((state.channel, told_of_raising(raised)))

        await self._answerer.submitted(ack, body, raise_it(), channel=None, blame=Field.WORDS)
        for channel, answer in told:
            await self._answerer.tell(channel, body["user"]["id"], answer, None)


def rollback_form(state: Deployment, seq: int = 0, *, reason: str = "") -> dict[str, Any]:
    """The form that starts a rollback, because of the trigger of an alert or of the newest one raised.

    Raises RollbackUnderWay, NoSuchTrigger: nobody should write a reason for nothing.
    """
    if state.aftermath.rollback is not None:
        raise RollbackUnderWay(state.name)
    raised = state.aftermath.raised
    trigger = triggering.raised_by(state, seq) if seq else raised[-1] if raised else None
    return alert_forms.roll_back(state, trigger, reason=reason)


def told_of_raising(raised: alerting.Raised) -> Answer:
    """That it was raised already, and what can be done; nothing where it is announced now."""
    if raised.joined is None:
        return SILENCE
    title = escape(plain(raised.joined.title))
    return Answer(
        text=f"“{title}” is raised already, so nobody is called again. Your report stands on its alert in "
        "the thread: acknowledge it there, or start the rollback."
    )


def told_of_watch(state: Deployment) -> str:
    """That the watch goes on, and until when, in mrkdwn."""
    watch = state.aftermath.watch
    if watch is None or watch.until is None:
        return ""
    return f"{escape(state.name)} is watched until {words.slack_time(watch.until)}."


def _chosen(state: Deployment, value: str) -> str:
    """The checklist's trigger that was chosen; empty for none."""
    triggers = state.checklist.triggers
    return triggers[int(value)] if value.isdecimal() and int(value) < len(triggers) else ""
