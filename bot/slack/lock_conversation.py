"""Answers what people type about locks and the queue, and clicks on what a refused start offers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.errors import AlreadyLocked
from bot.domain.locks import Lock, read_place
from bot.services import finding, locking, queueing
from bot.services.ports import Ports
from bot.slack import commands
from bot.slack.answering import Answerer, Payload, delivery_of, team_of
from bot.slack.blocks import locks, words
from bot.slack.conversation import SILENCE, Answer, Asked, Conversation
from bot.slack.gateway import QUICK_S, Gateway
from bot.slack.ids import Action, StartRef, number_of
from bot.templates import escape

Handler = Callable[[Payload, Any, str], Awaitable[Answer]]


class LockConversation:
    """Part of the conversation; see `bot.slack.conversation.Conversation`."""

    def __init__(self, ports: Ports, gateway: Gateway) -> None:
        self._ports = ports
        self._gateway = gateway

    async def answer(self, asked: Asked, command: commands.Command) -> Answer | None:
        """The answer; None for a command about something else. Raises DeploybotError."""
        match command:
            case commands.LockIt(words=said):
                return await self._lock(asked, said)
            case commands.UnlockIt(words=said):
                service, environment = read_place(said)
                found = await locking.unlock(
                    self._ports,
                    team=asked.team,
                    channel=asked.channel,
                    service=service,
                    environment=environment,
                    user=asked.user,
                    delivery=asked.delivery,
                )
                return told_of_unlock(found, user=asked.user)
            case commands.ListLocks():
                lines = locks.lock_lines(await locking.listed(self._ports, asked.team))
                nothing = f"Nothing is locked. `{asked.prefix} lock SERVICE REASON` locks something."
                return Answer(text="\n".join(lines) or nothing)
            case commands.ListQueue():
                lines = locks.queue_lines(await queueing.listed(self._ports, asked.team))
                nothing = "Nobody waits. Where something is in the way of a start, I offer the queue."
                return Answer(text="\n".join(lines) or nothing)
            case commands.LeaveQueue(service=service):
                places = await queueing.leave(
                    self._ports, team=asked.team, user=asked.user, service=service, delivery=asked.delivery
                )
                what = " and ".join(f"{one.target.service} in {one.target.environment}" for one in places)
                return Answer(text=escape(f"You do not wait any more for {what}.")) if places else SILENCE
        return None

    async def _lock(self, asked: Asked, said: str) -> Answer:
        person = await self._gateway.person(asked.user, timeout=QUICK_S)
        try:
            made = await locking.lock(
                self._ports,
                team=asked.team,
                channel=asked.channel,
                words=said,
                user=asked.user,
                timezone=person.timezone,
                delivery=asked.delivery,
            )
        except AlreadyLocked as error:
            told = escape(error.told(by="\0")).replace("\0", words.mention(error.by))
            return Answer(text=told)
        lift = f"`{asked.prefix} unlock {escape(f'{made.service} {made.environment}'.strip())}` lifts it."
        text = (
            f"🔒 *{escape(made.what)}* is locked {locks.ends(made.until)}: “{escape(made.reason)}”.\n{lift}"
        )
        opened = await finding.opened_to(self._ports, asked.team, asked.user)
        covered = [one for one in opened.seen if made.covers(one.target)]
        return Answer(text="\n".join([text, *locks.under_way(covered)]))


class LockListeners:
    """Clicks on what a refused start offers, and on the message about a turn."""

    def __init__(self, *, ports: Ports, conversation: Conversation, answerer: Answerer) -> None:
        self._ports = ports
        self._conversation = conversation
        self._answerer = answerer

    def register(self, app: AsyncApp) -> None:
        """Attach every listener to the Bolt app."""
        handlers: dict[Action, Handler] = {
            Action.QUEUE: self._queue,
            Action.PREPARE: self._prepare,
            Action.START_ALL_THE_SAME: self._start_all_the_same,
            Action.START_TURN: self._start_turn,
            Action.LEAVE_QUEUE: self._leave,
            Action.UNLOCK: self._unlock,
        }
        for action, handler in handlers.items():
            app.action(action.value)(self._listener(handler))

    def _listener(self, handler: Handler) -> Callable[..., Awaitable[None]]:
        async def heard(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
            work = handler(body, action.get("value"), delivery_of(body, action))
            await self._answerer.answer_with_form(ack, body, _awaited(work))

        return heard

    async def _queue(self, body: Payload, value: Any, delivery: str) -> Answer:
        ref = StartRef.read(value)
        place, before = await queueing.join(
            self._ports,
            team=team_of(body),
            channel=ref.channel,
            user=body["user"]["id"],
            service=ref.service,
            version=ref.version,
            environment=ref.environment,
            checklist=ref.checklist,
            delivery=delivery,
        )
        return Answer(text=locks.told_of_place(place, before))

    async def _prepare(self, body: Payload, value: Any, delivery: str) -> Answer:
        return await self._start(body, StartRef.read(value), delivery, over_freeze=True)

    async def _start_all_the_same(self, body: Payload, value: Any, delivery: str) -> Answer:
        return await self._start(body, StartRef.read(value), delivery, over_turn=True)

    async def _start_turn(self, body: Payload, value: Any, delivery: str) -> Answer:
        place = await queueing.place_of(self._ports, number_of(value), user=body["user"]["id"])
        ref = StartRef(
            service=place.target.service,
            version=place.target.version,
            environment=place.target.environment,
            checklist=place.checklist,
            channel=place.channel,
        )
        return await self._start(body, ref, delivery)

    async def _start(
        self,
        body: Payload,
        ref: StartRef,
        delivery: str,
        *,
        over_freeze: bool = False,
        over_turn: bool = False,
    ) -> Answer:
        """The ordinary way of a start, refusals and all."""
        request = await self._conversation.request(
            service=ref.service,
            version=ref.version,
            environment=ref.environment,
            checklist=ref.checklist,
            team=team_of(body),
            channel=ref.channel,
            user=body["user"]["id"],
            delivery=delivery,
            over_freeze=over_freeze,
            over_turn=over_turn,
        )
        return await self._conversation.begin(request)

    async def _leave(self, body: Payload, value: Any, delivery: str) -> Answer:
        user = body["user"]["id"]
        await queueing.not_any_more(self._ports, number_of(value), user=user, delivery=delivery)
        return SILENCE

    async def _unlock(self, body: Payload, value: Any, delivery: str) -> Answer:
        user = body["user"]["id"]
        found = await locking.unlock_one(
            self._ports,
            number_of(value),
            team=team_of(body),
            channel=str((body.get("container") or {}).get("channel_id") or ""),
            user=user,
            delivery=delivery,
        )
        return told_of_unlock([found], user=user)


async def _awaited(work: Awaitable[Answer]) -> Answer:
    return await work


def told_of_unlock(found: Sequence[Lock], *, user: str) -> Answer:
    """What is unlocked now, and who is told; nothing for a delivery that came twice."""
    if not found:
        return SILENCE
    what = escape(" and ".join(one.what for one in found))
    others = sorted({one.by for one in found} - {user})
    told = f" I tell {' and '.join(map(words.mention, others))}, who had locked it." if others else ""
    return Answer(text=f"🔓 *{what}* {'is' if len(found) == 1 else 'are'} unlocked.{told}")
