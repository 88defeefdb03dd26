"""Answers what people type about triggers, rollbacks, the watch and drills."""

from __future__ import annotations

from bot.domain.conduct import Permission
from bot.domain.deployment import Deployment
from bot.services import alerting, permitting
from bot.services.ports import Ports
from bot.slack import commands
from bot.slack.alert_listeners import rollback_form, told_of_raising, told_of_watch
from bot.slack.blocks import alert_forms, words
from bot.slack.conversation import SILENCE, Answer, Asked, Meaning
from bot.slack.ids import Action
from bot.templates import escape


class AlertConversation:
    """Part of the conversation; see `bot.slack.conversation.Conversation`."""

    def __init__(self, ports: Ports, meaning: Meaning) -> None:
        self._ports = ports
        self._meaning = meaning

    async def answer(self, asked: Asked, command: commands.Command) -> Answer | None:
        """The answer; None for a command about something else. Raises DeploybotError."""
        match command:
            case commands.Raise(words=said):
                return await self._raise(asked, said)
            case commands.RollBack(words=reason):
                return await self._roll_back(asked, reason)
            case commands.WatchLonger(name=name):
                state = await self._meaning.one(asked, "watch longer", name)
                if isinstance(state, Answer):
                    return state
                after = await alerting.watch_longer(
                    self._ports, state.id, user=asked.user, delivery=asked.delivery
                )
                return Answer(text=told_of_watch(after))
            case commands.Drill(name=name):
                state = await self._meaning.one(asked, "drill", name)
                if isinstance(state, Answer):
                    return state
                await alerting.drill(self._ports, state.id, user=asked.user, delivery=asked.delivery)
                return SILENCE
        return None

    async def _raise(self, asked: Asked, said: str) -> Answer:
        state, said = await self._meaning.first_word(asked, "raise", said)
        if isinstance(state, Answer):
            return state
        if said:
            raised = await alerting.raise_by_hand(
                self._ports, state.id, words=said, reason="", user=asked.user, delivery=asked.delivery
            )
            return told_of_raising(raised)
        if asked.can_open_view:
            return Answer(view=alert_forms.raise_by_hand(state))
        return _button("What is wrong?", Action.RAISE, state, "Raise a trigger")

    async def _roll_back(self, asked: Asked, reason: str) -> Answer:
        state, reason = await self._meaning.first_word(asked, "rollback", reason)
        if isinstance(state, Answer):
            return state
        await permitting.require(self._ports, state, Permission.ROLL_BACK, user=asked.user)
        form = rollback_form(state, reason=reason)
        if asked.can_open_view:
            return Answer(view=form)
        return _button(f"Roll {state.name} back?", Action.START_ROLLBACK, state, "Start rollback")


def _button(text: str, action: Action, state: Deployment, label: str) -> Answer:
    button = alert_forms.button_to(action, state, label, style="danger")
    shown = {**words.section(escape(text)), "accessory": button}
    return Answer(text=escape(text), blocks=[shown])
