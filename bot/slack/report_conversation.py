"""Answers what people ask about the past: one deployment's report, and figures over many."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.deployment import Deployment
from bot.domain.errors import NoSuchDeployment, ReportNotSent
from bot.domain.figures import Figures
from bot.services import finding, measuring, reporting
from bot.services.exporting import Form, written
from bot.services.ports import Ports
from bot.slack import canvas, commands, figures_chart
from bot.slack.answering import Answerer, delivery_of, team_of
from bot.slack.blocks import reports, words
from bot.slack.conversation import SILENCE, Answer, Asked, Meaning
from bot.slack.gateway import Gateway, SlackFailure
from bot.slack.ids import Action
from bot.slack.inflight import InFlight
from bot.storage import deliveries
from bot.templates import escape
from bot.templates.figures_text import in_words

log = logging.getLogger(__name__)


class ReportConversation:
    """Part of the conversation (see `bot.slack.conversation.Conversation`), and its buttons."""

    def __init__(
        self, ports: Ports, meaning: Meaning, *, gateway: Gateway, answerer: Answerer, in_flight: InFlight
    ) -> None:
        self._ports = ports
        self._meaning = meaning
        self._gateway = gateway
        self._answerer = answerer
        self._in_flight = in_flight

    def register(self, app: AsyncApp) -> None:
        """Attach the listeners of the buttons to the Bolt app."""
        app.action(Action.REPORT_HTML.value)(self._on_file)
        app.action(Action.REPORT_MARKDOWN.value)(self._on_file)

    async def answer(self, asked: Asked, command: commands.Command) -> Answer | None:
        """The answer; None for a command about something else. Raises DeploybotError."""
        match command:
            case commands.TellReport(name=name):
                return await self._report(asked, name)
            case commands.Stats() as wanted:
                return await self._stats(asked, wanted)
        return None

    # ── one deployment ───────────────────────────────────────────────────────────────────────────────────

    async def _report(self, asked: Asked, name: str) -> Answer:
        found = await self._meant(asked, name)
        if isinstance(found, Answer):
            return found
        return await self.told(found)

    async def told(self, state: Deployment) -> Answer:
        """What happened in a deployment, for the person who asks. Raises StorageBusy, StorageFailed."""
        told = await reporting.report(self._ports, state.id, names=self._gateway.names)
        drawn = reports.summary(told)
        return Answer(text=drawn.text, blocks=drawn.blocks)

    async def _meant(self, asked: Asked, name: str) -> Deployment | Answer:
        """The one that is named, or the thread's, or the channel's open one, or its newest."""
        if name:
            return await self._meaning.named(asked, name)
        found = await self._meaning.meant(asked)
        if len(found) > 1:
            names = ", ".join(one.name for one in found[:15])
            return Answer(text=escape(f"Several are open here: {names}. Say which, by its name."))
        if found:
            return found[0]
        newest = await finding.newest(self._ports, asked.team, asked.channel)
        if newest is None:
            said = f"There was no deployment in this channel yet. `{asked.prefix} report NAME` takes any."
            return Answer(text=said)
        return newest

    async def _on_file(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        await self._answerer.answer_with_form(ack, body, self._file(body, action))

    async def _file(self, body: dict[str, Any], action: dict[str, Any]) -> Answer:
        value = str(action.get("value", ""))
        form = Form.HTML if action.get("action_id") == Action.REPORT_HTML else Form.MARKDOWN
        state = await finding.get(self._ports, int(value) if value.isdecimal() else 0, team=team_of(body))
        root = await finding.card(self._ports, state.id)
        if root is None or root.ts is None:
            raise NoSuchDeployment(state.name)
        delivery = delivery_of(body, action)
        async with self._ports.database.write() as tx:
            seen, _ = await deliveries.effect(tx, delivery)
            if seen:
                return SILENCE
            await deliveries.add(tx, delivery, at=self._ports.clock.now(), deployment_id=state.id)
        told = await reporting.report(self._ports, state.id, names=self._gateway.names)
        document = await asyncio.to_thread(written, told, form)
        who = words.mention(body["user"]["id"])
        try:
            await self._gateway.upload(
                document.data,
                name=document.name,
                title=f"Report of {state.name}",
                channel=root.channel,
                thread_ts=root.ts,
                comment=f"📄 The report of {escape(str(state.target))}, for {who}.",
            )
        except SlackFailure as failure:
            raise ReportNotSent(failure.code, failure.hint) from failure
        link = self._gateway.link(root.channel, root.ts)
        here = (body.get("container") or {}).get("thread_ts") == root.ts
        return SILENCE if here else Answer(text=f"It is in <{link}|the thread>.")

    # ── many deployments ─────────────────────────────────────────────────────────────────────────────────

    async def _stats(self, asked: Asked, wanted: commands.Stats) -> Answer:
        made = await measuring.figures(
            self._ports,
            team=asked.team,
            service=wanted.service,
            environment=wanted.environment,
            days=wanted.days,
        )
        if made.deployments and canvas.available():
            self._in_flight.begin(self._send_chart(asked, made))
        return Answer(text=escape(in_words(made)))

    async def _send_chart(self, asked: Asked, made: Figures) -> None:
        """To the person directly: an ephemeral message holds no file (slackapi/node-slack-sdk#1790), and in
        the channel it would be for everybody."""
        try:
            shown = figures_chart.shown(made)
            data = await asyncio.to_thread(figures_chart.draw, shown)
            await self._gateway.upload(
                data,
                name="deployments.png",
                title=shown.title,
                alt=shown.alt,
                channel=await self._gateway.direct(asked.user),
                comment=f"📊 {escape(shown.title)}. {escape(shown.alt)}",
            )
        except SlackFailure as failure:
            log.warning("no chart of figures for %s: %s. %s", asked.user, failure, failure.hint)
        except Exception:
            log.exception("the chart of figures could not be made")
