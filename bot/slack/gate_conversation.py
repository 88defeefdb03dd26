"""Answers what people type about going on: Go, No-go, finish, the emergency override."""

from __future__ import annotations

from bot.domain.conduct import Hold, Permission
from bot.domain.errors import GateClosed
from bot.domain.verification import Purpose
from bot.services import ending, going, permitting
from bot.services.ports import Ports
from bot.slack import commands
from bot.slack.blocks import gates, words
from bot.slack.conversation import (
    SILENCE,
    Answer,
    Asked,
    Meaning,
    nothing_open,
    told_of_conclusion,
    which,
)
from bot.slack.gate_listeners import finish_form, give_go, refused
from bot.slack.ids import Action, OverrideRef
from bot.templates import escape


class GateConversation:
    """Part of the conversation; see `bot.slack.conversation.Conversation`."""

    def __init__(self, ports: Ports, meaning: Meaning) -> None:
        self._ports = ports
        self._meaning = meaning

    async def answer(self, asked: Asked, command: commands.Command) -> Answer | None:
        """The answer; None for a command about something else. Raises DeploybotError."""
        match command:
            case commands.GiveGo(name=name):
                state = await self._meaning.one(asked, "go", name)
                if isinstance(state, Answer):
                    return state
                return await give_go(self._ports, state, user=asked.user, delivery=asked.delivery)
            case commands.Finish(name=name):
                return await self._finish(asked, name)
            case commands.NoGo(words=said):
                return await self._no_go(asked, said)
            case commands.Override(words=said):
                return await self._override(asked, said)
        return None

    async def _finish(self, asked: Asked, name: str) -> Answer:
        found = [await self._meaning.named(asked, name)] if name else await self._meaning.meant(asked)
        if not found:
            return Answer(text=nothing_open(asked))
        if len(found) > 1:
            return which("finish", found)
        only = found[0]
        await permitting.require(self._ports, only, Permission.END, user=asked.user)
        if not only.phase.open or not only.open_items:
            try:
                state = await ending.finish(self._ports, only.id, user=asked.user, delivery=asked.delivery)
            except GateClosed as closed:
                return refused(only, Hold.FINISH, closed)
            return told_of_conclusion(state, Purpose.FINISH)
        answer = await finish_form(self._ports, only)
        if asked.can_open_view or answer.view is None:
            return answer
        text = escape(f"{len(only.open_items)} items of {only.target} are still open.")
        button = {
            "type": "button",
            "action_id": Action.FINISH.value,
            "text": {"type": "plain_text", "text": "Finish…"},
            "value": str(only.id),
        }
        return Answer(text=text, blocks=[{**words.section(text), "accessory": button}])

    async def _no_go(self, asked: Asked, said: str) -> Answer:
        state, reason = await self._meaning.first_word(asked, "no-go", said)
        if isinstance(state, Answer):
            return state
        if not reason and asked.can_open_view:
            await permitting.require(self._ports, state, Permission.APPROVE, user=asked.user)
            return Answer(view=gates.no_go(state))
        await going.refuse_go(
            self._ports,
            state.id,
            user=asked.user,
            team=asked.team,
            reason=reason,
            delivery=asked.delivery,
        )
        return SILENCE

    async def _override(self, asked: Asked, said: str) -> Answer:
        """Of the end where Go was given, or nothing holds it up, else of Go."""
        state, reason = await self._meaning.first_word(asked, "override", said)
        if isinstance(state, Answer):
            return state
        await permitting.require(self._ports, state, Permission.OVERRIDE, user=asked.user)
        hold = await going.held_up(self._ports, state)
        await going.check_override(self._ports, state, hold)
        if asked.can_open_view:
            return Answer(view=gates.override_form(state, hold, reason=reason))
        if not reason:
            ref = OverrideRef(deployment_id=state.id, what=hold.value).write()
            text = escape(f"Override the rules of {state.name}?")
            button = {
                "type": "button",
                "action_id": Action.OVERRIDE_GATE.value,
                "text": {"type": "plain_text", "text": "Emergency override…"},
                "style": "danger",
                "value": ref,
            }
            return Answer(text=text, blocks=[{**words.section(text), "accessory": button}])
        await going.request_override(
            self._ports,
            state.id,
            hold,
            user=asked.user,
            team=asked.team,
            reason=reason,
            delivery=asked.delivery,
        )
        return SILENCE
