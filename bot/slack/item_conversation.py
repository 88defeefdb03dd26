"""Answers what people type about items: waive, assign, note, and back; what is open."""

from __future__ import annotations

from bot.domain.deployment import Deployment
from bot.domain.errors import AssigneeUnusable, ItemMissing, SeveralItems
from bot.services import tending
from bot.services.ports import Ports
from bot.slack import commands
from bot.slack.blocks import words
from bot.slack.conversation import Answer, Asked, Meaning
from bot.slack.gateway import Gateway
from bot.slack.ids import Action
from bot.slack.item_listeners import open_items
from bot.slack.mrkdwn import plain
from bot.templates import escape

#: How each command goes on.
_USAGE = {
    "waive": "ITEM because REASON",
    "unwaive": "ITEM",
    "assign": "ITEM @somebody",
    "unassign": "ITEM @somebody",
    "note": "ITEM: WORDS",
}


class ItemConversation:
    """Part of the conversation; see `bot.slack.conversation.Conversation`."""

    def __init__(self, ports: Ports, meaning: Meaning, gateway: Gateway) -> None:
        self._ports = ports
        self._meaning = meaning
        self._gateway = gateway

    async def answer(self, asked: Asked, command: commands.Command) -> Answer | None:
        """The answer; None for a command about something else. Raises DeploybotError."""
        who = {"user": asked.user, "delivery": asked.delivery}
        match command:
            case commands.OpenItems(name=name):
                return await self._open(asked, name)
            case commands.Waive(words=said, reason=reason):
                state, rest = await self._meaning.first_word(asked, "waive", said)
                if isinstance(state, Answer):
                    return state
                position = self._item(asked, "waive", state, rest)
                await tending.waive(self._ports, state.id, position, reason=reason, **who)
                return _done(state, position, "does not apply; it counts as done")
            case commands.Unwaive(words=said):
                state, rest = await self._meaning.first_word(asked, "unwaive", said)
                if isinstance(state, Answer):
                    return state
                position = self._item(asked, "unwaive", state, rest)
                await tending.unwaive(self._ports, state.id, position, **who)
                return _done(state, position, "applies after all")
            case commands.Assign(words=said, to=to):
                state, rest = await self._meaning.first_word(asked, "assign", said)
                if isinstance(state, Answer):
                    return state
                positions = self._called(asked, "assign", state, rest)
                if not to:
                    raise AssigneeUnusable
                await tending.assign(self._ports, state.id, positions, to=to, **who)
                return Answer(text=f"{_of(state, positions)} given to them; the thread says so.")
            case commands.Unassign(words=said, to=to):
                state, rest = await self._meaning.first_word(asked, "unassign", said)
                if isinstance(state, Answer):
                    return state
                position = self._item(asked, "unassign", state, rest)
                await tending.unassign(
                    self._ports, state.id, position, to=to, user=asked.user, delivery=asked.delivery
                )
                return _done(state, position, "is not given to them any more")
            case commands.NoteItem(words=said, text=text, link=link):
                state, rest = await self._meaning.first_word(asked, "note", said)
                if isinstance(state, Answer):
                    return state
                position = self._item(asked, "note", state, rest)
                await tending.note(self._ports, state.id, position, text=text, link=link, **who)
                return _done(state, position, "has your note")
        return None

    async def _open(self, asked: Asked, name: str) -> Answer:
        state = await self._meaning.one(asked, "open", name)
        if isinstance(state, Answer):
            return state
        if asked.can_open_view:
            return Answer(view=await open_items(self._ports, self._gateway, state))
        left = len(state.open_items)
        text = escape(f"{left} items of {state.target} are open." if left else "Everything is done.")
        button = {
            "type": "button",
            "action_id": Action.OPEN_ITEMS.value,
            "text": {"type": "plain_text", "text": "What is open"},
            "value": str(state.id),
        }
        return Answer(text=text, blocks=[{**words.section(text), "accessory": button}])

    def _called(self, asked: Asked, command: str, state: Deployment, said: str) -> tuple[int, ...]:
        if not said:
            raise ItemMissing(f"{asked.prefix} {command} {_USAGE[command]}")
        return tending.called(state, said)

    def _item(self, asked: Asked, command: str, state: Deployment, said: str) -> int:
        positions = self._called(asked, command, state, said)
        if len(positions) != 1:
            raise SeveralItems(said, tuple(plain(state.boxes[at].text) for at in positions))
        return positions[0]


def _done(state: Deployment, position: int, what: str) -> Answer:
    return Answer(text=escape(f"“{plain(state.boxes[position].text)}” {what}."))


def _of(state: Deployment, positions: tuple[int, ...]) -> str:
    if len(positions) == 1:
        return escape(f"“{plain(state.boxes[positions[0]].text)}” is")
    return f"{len(positions)} items are"
