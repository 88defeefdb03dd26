"""Answers what people ask, the same for a slash command, a mention, a button and a form."""

from __future__ import annotations

import asyncio
import contextlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.domain.deployment import Deployment
from bot.domain.errors import (
    AlreadyDeploying,
    AudienceUnknown,
    BotNotInChannel,
    DeployingInPrivate,
    NoSuchDeployment,
    NotYourTurn,
    SlackRefused,
    StartRefused,
    TargetLocked,
    WhenMissing,
    WhenNotUnderstood,
)
from bot.domain.localtime import Reader
from bot.domain.reminding import read_when
from bot.domain.verification import Purpose
from bot.services import announcing, checking, ending, finding, locking, seeing, settling, starting
from bot.services.choosing import checklist_for
from bot.services.ports import Ports
from bot.services.starting import StartRequest
from bot.slack import commands
from bot.slack.blocks import card, locks, modals, words
from bot.slack.blocks.words import Block
from bot.slack.gateway import QUICK_S, Gateway, SlackFailure
from bot.slack.ids import Action, StartRef
from bot.slack.mrkdwn import plain
from bot.templates import escape, render

#: Deployments described in one answer.
DESCRIBED = 15


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Something a person typed."""

    team: str
    user: str
    channel: str
    text: str
    #: Stable name of the Slack delivery.
    delivery: str
    #: How the bot was addressed: `/deploy` or `@deploybot`.
    prefix: str
    #: The thread it was asked in.
    thread_ts: str | None = None
    #: Whether a modal can be opened in answer.
    can_open_view: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What only the person who asked gets to see: nothing, words, or a form."""

    text: str = ""
    blocks: Sequence[Block] | None = None
    view: Block | None = None


SILENCE = Answer()


class Part(Protocol):
    """Answers some of the commands."""

    async def answer(self, asked: Asked, command: commands.Command) -> Answer | None:
        """The answer, or None where the command is not one of these. Raises DeploybotError."""


class Meaning:
    """Which deployments a person means."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def meant(self, asked: Asked) -> Sequence[Deployment]:
        """The deployment of the thread, else the open ones of the channel."""
        here = await self.here(asked)
        if here is not None:
            return [here]
        return await finding.opened(self._ports, asked.team, asked.channel)

    async def here(self, asked: Asked) -> Deployment | None:
        """The deployment of the thread it was asked in."""
        if asked.thread_ts is None:
            return None
        return await finding.in_thread(self._ports, asked.team, asked.channel, asked.thread_ts)

    async def by_name(self, asked: Asked, name: str) -> Deployment:
        """By name alone, where the person may see it. Raises NoSuchDeployment, AudienceUnknown."""
        return await finding.named(self._ports, asked.team, name, user=asked.user, channel=asked.channel)

    async def named(self, asked: Asked, name: str) -> Deployment:
        """By name, or by the service of an open deployment of the channel. Raises NoSuchDeployment."""
        try:
            return await self.by_name(asked, name)
        except NoSuchDeployment:
            here = await finding.opened(self._ports, asked.team, asked.channel)
            same = [d for d in here if d.target.service.casefold() == name.casefold()]
            if len(same) != 1:
                raise
            return same[0]

    async def one(self, asked: Asked, command: str, name: str) -> Deployment | Answer:
        """The one deployment that is meant, or what to say where it is not clear. Raises NoSuchDeployment."""
        found: Sequence[Deployment]
        found = [await self.named(asked, name)] if name else await self.meant(asked)
        if not found:
            return Answer(text=nothing_open(asked))
        if len(found) > 1:
            names = ", ".join(deployment.name for deployment in found[:DESCRIBED])
            text = f"Several are open here: {names}. Say which: `{asked.prefix} {command} {found[0].name}`."
            return Answer(text=escape(text))
        return found[0]

    async def first_word(self, asked: Asked, command: str, said: str) -> tuple[Deployment | Answer, str]:
        """The deployment the first word names, or the one meant anyhow; and the words that are left."""
        first, _, rest = said.partition(" ")
        if finding.looks_like_a_name(first):
            return await self.one(asked, command, first), rest.strip()
        return await self.one(asked, command, ""), said


class Conversation:
    """Turns requests into services' calls, and their results into answers."""

    def __init__(self, ports: Ports, gateway: Gateway, *, bot_name: str, parts: Sequence[Part] = ()) -> None:
        self._ports = ports
        self._gateway = gateway
        self._meaning = Meaning(ports)
        #: Answer what is not answered here.
        self._parts = tuple(parts)
        self._bot_name = bot_name

    @property
    def bot_name(self) -> str:
        """The bot's handle in the workspace that is answered, as in `@deploybot`."""
        return self._gateway.handle or self._bot_name

    async def answer(self, asked: Asked) -> Answer:
        """The answer to a typed command. Raises DeploybotError with the sentence to show."""
        match commands.parse(asked.text):
            case commands.Start() as start:
                return await self._start(asked, start)
            case commands.Status(name=name):
                return await self._status(asked, name)
            case commands.ListOpen():
                return await self._list(asked)
            case commands.Check(words=rest):
                return await self._check(asked, rest)
            case commands.StopChecks(name=name):
                return await self._stop_checks(asked, name)
            case commands.Remind() as remind:
                return await self._remind(asked, remind)
            case commands.Tell() as tell:
                return await self._tell(asked, tell)
            case commands.Abort(words=rest):
                return await self._abort(asked, rest)
            case commands.Help():
                return Answer(
                    text=render(
                        "help",
                        prefix=asked.prefix,
                        bot=self.bot_name,
                        checklists=[f"`{name}`" for name in self._ports.library.names()],
                    )
                )
            case commands.NotUnderstood(why=why, nearest=nearest):
                return Answer(text=render("not_understood", why=why, nearest=nearest, prefix=asked.prefix))
            case command:
                for part in self._parts:
                    answer = await part.answer(asked, command)
                    if answer is not None:
                        return answer
        raise ValueError(f"nobody answers {command}")

    # ── start ────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self, asked: Asked, start: commands.Start) -> Answer:
        if start.checklist and start.checklist not in self._ports.library.names():
            self._ports.library.load(start.checklist)  # raises the sentence that names those there are
        if not start.complete:
            return self.start_form(channel=asked.channel, start=start, can_open_view=asked.can_open_view)
        request = await self.request(
            service=start.service,
            version=start.version,
            environment=start.environment,
            checklist=start.checklist,
            team=asked.team,
            channel=asked.channel,
            user=asked.user,
            delivery=asked.delivery,
        )
        return await self.begin(request)

    async def begin(self, request: StartRequest) -> Answer:
        """Start it, or say what stands in the way and what can be done about it."""
        try:
            await starting.start(self._ports, request)
        except StartRefused as refused:
            return await self.refused(refused, request)
        return SILENCE

    def start_form(
        self, *, channel: str, start: commands.Start, can_open_view: bool, proposed: str = ""
    ) -> Answer:
        """The form for a new deployment, or a button to it where no form can be opened yet.

        Without a `channel` the form asks for it, and proposes `proposed`.
        """
        if can_open_view:
            given = {
                "service": start.service,
                "version": start.version,
                "environment": start.environment,
            }
            names = self._ports.library.names()
            checklist = start.checklist or checklist_for(self._ports, start.service, start.environment)
            if not start.checklist and not start.service and self._ports.library.routing().services:
                names, checklist = (modals.BY_SERVICE, *names), modals.BY_SERVICE
            if not names:
                self._ports.library.load(checklist)
            return Answer(
                view=modals.start(
                    channel=channel,
                    given=given,
                    checklists=names,
                    checklist=checklist,
                    proposed=proposed,
                )
            )
        button = {
            "type": "button",
            "action_id": Action.OPEN_START.value,
            "style": "primary",
            "text": {"type": "plain_text", "text": "Start a deployment"},
            "value": channel,
        }
        text = "Tell me what to deploy:"
        return Answer(text=text, blocks=[{**words.section(text), "accessory": button}])

    async def request(
        self,
        *,
        service: str,
        version: str,
        environment: str,
        checklist: str,
        team: str,
        channel: str,
        user: str,
        delivery: str,
        over_freeze: bool = False,
        over_turn: bool = False,
    ) -> StartRequest:
        """The request to start, once it is clear that the bot can post. Raises BotNotInChannel."""
        person, member = await asyncio.gather(
            self._gateway.person(user, timeout=QUICK_S), self._may_post(channel)
        )
        if not member:
            raise BotNotInChannel(f"@{self.bot_name}")
        return StartRequest(
            service=service,
            version=version,
            environment=environment,
            checklist=checklist,
            team=team,
            channel=channel,
            lead=user,
            timezone=person.timezone,
            delivery=delivery,
            over_freeze=over_freeze,
            over_turn=over_turn,
        )

    async def _may_post(self, channel: str) -> bool:
        try:
            return await self._gateway.is_member(channel)
        except SlackFailure as failure:
            if failure.permanent and failure.code != "missing_scope":
                raise SlackRefused(failure.method, failure.code, failure.hint) from failure
            return True  # Slack does not say; the post itself will

    async def refused(self, refused: StartRefused, request: StartRequest) -> Answer:
        """What stands in the way of a start, with a link to who holds it, and buttons."""
        link = None
        refused = await self._as_seen(refused, request)
        if isinstance(refused, AlreadyDeploying):
            post = await finding.card(self._ports, refused.deployment_id)
            link = None if post is None else self._gateway.link(post.channel, post.ts)
        ref = StartRef(
            service=request.service,
            version=request.version,
            environment=request.environment,
            checklist=request.checklist,
            channel=request.channel,
        )
        text, blocks = locks.refusal(refused, ref, link=link)
        return Answer(text=text, blocks=blocks)

    async def refused_in_plain(self, refused: StartRefused, request: StartRequest) -> str:
        """The same where neither mentions nor links nor buttons are shown."""
        refused = await self._as_seen(refused, request)
        who = ""
        match refused:
            case (
                AlreadyDeploying(lead=user)
                | DeployingInPrivate(lead=user)
                | TargetLocked(by=user)
                | NotYourTurn(user=user)
            ):
                who = user
        name = (await self._gateway.person(who)).name if who else ""
        said = locks.sentence(
            refused, person=lambda _: name, time=lambda at: words.in_zone(at, request.timezone)
        )
        return html.unescape(said)

    async def _as_seen(self, refused: StartRefused, request: StartRequest) -> StartRefused:
        """The refusal without what is told only to those who may see the deployment in the way."""
        if not isinstance(refused, AlreadyDeploying):
            return refused
        holder = await finding.get(self._ports, refused.deployment_id, team=request.team)
        try:
            seen = holder.channel == request.channel or await seeing.may_see(
                self._ports, request.lead, holder
            )
        except AudienceUnknown:
            seen = False
        return refused if seen else DeployingInPrivate(refused)

    # ── status, list ─────────────────────────────────────────────────────────────────────────────────────

    async def _status(self, asked: Asked, name: str) -> Answer:
        if name:
            found = [await self._meaning.named(asked, name)]
        elif asked.thread_ts and (here := await self._meaning.here(asked)):
            found = [here]
        else:
            found = await finding.opened(self._ports, asked.team, asked.channel)
        if not found:
            return Answer(text=nothing_open(asked))
        return await self._describe(found)

    async def _list(self, asked: Asked) -> Answer:
        sight = await finding.opened_to(self._ports, asked.team, asked.user)
        found = sight.seen
        locked = locks.lock_lines(await locking.listed(self._ports, asked.team))
        none = f"No deployment is open. `{asked.prefix} start` begins one."
        described = (await self._describe(found)).text if found else none
        missing = [words.unknown_channels(sight.unknown)] if sight.unknown else []
        return Answer(text="\n".join([described, *missing, *locked]))

    async def _describe(self, found: Sequence[Deployment]) -> Answer:
        shown = found[:DESCRIBED]
        names = await self._gateway.names(sorted({deployment.lead for deployment in shown}))
        now = self._ports.clock.now()
        lines = []
        for deployment in shown:
            post = await finding.card(self._ports, deployment.id)
            link = None if post is None else self._gateway.link(post.channel, post.ts)
            title = f"<{link}|{escape(deployment.name)}>" if link else escape(deployment.name)
            done, total = deployment.done_items, len(deployment.checklist.items)
            summary = escape(card.summary(deployment, names, now))
            lines.append(f"{words.bar(done, total)}  *{title}*: {summary}")
        if len(found) > DESCRIBED:
            lines.append(f"… and {len(found) - DESCRIBED} more.")
        return Answer(text="\n".join(lines))

    # ── abort ────────────────────────────────────────────────────────────────────────────────────────────

    async def _abort(self, asked: Asked, rest: str) -> Answer:
        first, _, more = rest.partition(" ")
        found: Sequence[Deployment] = []
        reason = rest
        missed: NoSuchDeployment | None = None
        if finding.looks_like_a_name(first):
            try:
                found, reason = [await self._meaning.by_name(asked, first)], more
            except NoSuchDeployment as error:
                # A slip in a name, or a reason that begins like one: nothing is ended on a guess.
                if not more or not asked.can_open_view:
                    raise
                missed = error
        if not found:
            found = await self._meaning.meant(asked)
        if not found and missed is not None:
            raise missed
        if not found:
            return Answer(text=nothing_open(asked))
        if len(found) == 1 and reason and missed is None:
            await ending.abort(
                self._ports, found[0].id, user=asked.user, reason=reason, delivery=asked.delivery
            )
            return SILENCE
        if asked.can_open_view:
            return Answer(view=modals.abort(found, reason=reason, missed=missed))
        if len(found) == 1:
            text = f"Why is {found[0].name} aborted? `{asked.prefix} abort REASON` says it."
            return Answer(text=escape(text))
        names = ", ".join(deployment.name for deployment in found[:DESCRIBED])
        text = f"Several are open here: {names}. Say which: `{asked.prefix} abort {found[0].name} REASON`."
        return Answer(text=escape(text))

    # ── checks ───────────────────────────────────────────────────────────────────────────────────────────

    async def _check(self, asked: Asked, rest: str) -> Answer:
        first, _, more = rest.partition(" ")
        found: Sequence[Deployment] = []
        if finding.looks_like_a_name(first):
            with contextlib.suppress(NoSuchDeployment):
                found, rest = [await self._meaning.by_name(asked, first)], more.strip()
        found = found or await self._meaning.meant(asked)
        if not found:
            return Answer(text=nothing_open(asked))
        if len(found) > 1:
            return which("check", found, action=Action.CHOOSE_CHECK)
        result = await checking.request(
            self._ports, found[0].id, words=rest, user=asked.user, delivery=asked.delivery
        )
        return told_of_checks(result)

    async def _stop_checks(self, asked: Asked, name: str) -> Answer:
        found = [await self._meaning.named(asked, name)] if name else await self._meaning.meant(asked)
        running = [deployment for deployment in found if deployment.run is not None]
        if not running:
            return Answer(text="No checks are running here.")
        if len(running) > 1:
            text = (
                f"Checks are running for several: `{asked.prefix} check stop {running[0].name}` says which."
            )
            return Answer(text=escape(text))
        await checking.cancel(self._ports, running[0].id, user=asked.user, delivery=asked.delivery)
        return SILENCE

    async def _remind(self, asked: Asked, remind: commands.Remind) -> Answer:
        if not remind.when:
            raise WhenNotUnderstood(remind.words) if remind.words else WhenMissing
        first, _, more = remind.words.partition(" ")
        found: Sequence[Deployment] = []
        wanted = remind.words
        if finding.looks_like_a_name(first):
            with contextlib.suppress(NoSuchDeployment):
                found, wanted = [await self._meaning.by_name(asked, first)], more.strip()
        found = found or await self._meaning.meant(asked)
        if not found:
            return Answer(text=nothing_open(asked))
        if len(found) > 1:
            text = f"Several are open here. Say which: `{asked.prefix} remind {found[0].name} {remind.when}`."
            return Answer(text=escape(text))
        person = await self._gateway.person(asked.user, timeout=QUICK_S)
        due_at = read_when(remind.when, now=self._ports.clock.now(), timezone=person.timezone)
        added = await settling.add(
            self._ports,
            found[0].id,
            words=wanted.strip("\"'“”„«»"),
            due_at=due_at,
            user=asked.user,
            delivery=asked.delivery,
        )
        return told_of_reminder(added, person.reader)

    async def _tell(self, asked: Asked, tell: commands.Tell) -> Answer:
        found = await self._meaning.meant(asked)
        if not found:
            return Answer(text=nothing_open(asked))
        if len(found) > 1:
            names = ", ".join(escape(deployment.name) for deployment in found[:DESCRIBED])
            text = f"Several are open here ({names}): mention me in the thread of the one you mean."
            return Answer(text=text)
        channel = tell.channel or asked.channel
        if not await self._may_post(channel):
            raise BotNotInChannel(f"@{self.bot_name}", there=True)
        await announcing.announce(
            self._ports,
            found[0].id,
            what=tell.what,
            channel=channel,
            words=tell.words,
            user=asked.user,
            delivery=asked.delivery,
        )
        return Answer(text=f"Told <#{channel}>.") if channel != asked.channel else SILENCE


def nothing_open(asked: Asked) -> str:
    """What to say where no deployment is meant."""
    return (
        f"No deployment is open in this channel. `{asked.prefix} start` begins one, "
        f"`{asked.prefix} list` shows those elsewhere."
    )


def told_of_checks(asked: checking.Asked) -> Answer:
    """What the person who asked for checks gets to see at once."""
    name, items = asked.deployment.name, "1 item" if asked.items == 1 else f"{asked.items} items"
    if asked.joined:
        joined = f"{items} joined them" if asked.items else "yours are among them"
        said = f"Checks are running for {name} already; {joined}."
    else:
        said = f"Checking {items} of {name}; what I find appears in the thread."
    return Answer(text=escape(said))


def told_of_reminder(added: settling.Added, reader: Reader) -> Answer:
    """When the thread is reminded, and of what, for the one who asked."""
    texts = [plain(added.deployment.boxes[position].text) for position in added.items]
    if added.text:
        what = f"“{added.text}”"
    elif len(texts) == 1:
        what = f"“{texts[0]}”"
    elif len(texts) == len(added.deployment.checklist.items):
        what = "what is still open then"
    else:
        what = f"what is open then of {len(texts)} items"
    target = escape(str(added.deployment.target))
    when = words.slack_time(added.due_at, reader)
    return Answer(text=f"I remind the thread of {target} at {when}, of {escape(what)}.")


def told_of_conclusion(state: Deployment, purpose: Purpose) -> Answer:
    """That evidence is looked at first; nothing where it is done already, the thread says so."""
    run = state.run
    if run is None or (run.purpose is not purpose and not (purpose is Purpose.GO and run.go_by)):
        return SILENCE
    then = "finish" if purpose is Purpose.FINISH else "give Go"
    count = "1 item" if len(run.pending) == 1 else f"{len(run.pending)} items"
    return Answer(text=f"I look at the evidence of {count} again, then {then} if it still holds.")


def which(command: str, found: Sequence[Deployment], *, action: Action = Action.CHOOSE) -> Answer:
    """Asks which of several is meant."""
    text = f"Several deployments are open in this channel. Which one do you want to {command}?"
    select: dict[str, Any] = {
        "type": "static_select",
        "action_id": action.value,
        "placeholder": {"type": "plain_text", "text": "Choose a deployment"},
        "options": modals.choices(found),
    }
    return Answer(text=text, blocks=[{**words.section(text), "accessory": select}])
