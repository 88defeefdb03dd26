"""Answers `mine`: the same list as in a person's App Home."""

from __future__ import annotations

from bot.services import surveying
from bot.services.ports import Ports
from bot.slack import commands
from bot.slack.blocks import home
from bot.slack.conversation import Answer, Asked, Meaning
from bot.slack.gateway import Gateway
from bot.slack.home_links import links_to
from bot.templates import escape


class HomeConversation:
    """Part of the conversation; see `bot.slack.conversation.Conversation`."""

    def __init__(self, ports: Ports, gateway: Gateway, meaning: Meaning) -> None:
        self._ports = ports
        self._gateway = gateway
        self._meaning = meaning

    async def answer(self, asked: Asked, command: commands.Command) -> Answer | None:
        """The answer; None for a command about something else. Raises DeploybotError."""
        match command:
            case commands.Mine():
                return await self._mine(asked)
        return None

    async def _mine(self, asked: Asked) -> Answer:
        here = await self._meaning.here(asked)
        only = None if here is None else here.id
        mine = await surveying.mine(self._ports, asked.team, asked.user, only=only)
        links = links_to(
            mine.messages,
            mine.deployments,
            lambda post: self._gateway.link(post.channel, post.ts, post.thread_ts),
        )
        listed = home.listed(mine.items, mine.deployments, links, mine.unknown_groups)
        if listed:
            return Answer(text=listed)
        if here is not None:
            where = f"in {escape(str(here.target))}"
            return Answer(text=f"Nothing waits for you {where}. `{asked.prefix} status` says how far it is.")
        return Answer(
            text="Nothing waits for you. What is given to you, to a group of yours or in a section you own "
            f"is listed here; `{asked.prefix} list` shows every open deployment."
        )
