"""Wires everything together; the only place that does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncApp

from bot.checklists.library import ChecklistLibrary
from bot.config import Settings
from bot.domain.errors import AudienceUnknown, DeploybotError, GroupUnknown
from bot.scheduling import scheduler
from bot.services.attending import Attendance
from bot.services.ci import CiDesk
from bot.services.destinations import Destinations, destinations
from bot.services.github import GitHubDesk
from bot.services.outgoing import GIVEN_UP_SHOWN, Outbox
from bot.services.planning import SidecarPolicies, SidecarRulebook, SidecarSchedule
from bot.services.ports import Clock, Ports, SystemClock, Watching
from bot.services.receiving import receive
from bot.services.reminding import Reminders
from bot.services.running import CheckRunner
from bot.services.sampling import SidecarWatching
from bot.services.ticking import TickQueue
from bot.services.verifying import SidecarVerifier
from bot.services.watching import WatchRunner
from bot.slack.alert_conversation import AlertConversation
from bot.slack.alert_listeners import AlertListeners
from bot.slack.answering import Answerer
from bot.slack.blocks.layout import MessageLayout
from bot.slack.check_listeners import CheckListeners
from bot.slack.connection import SocketConnection
from bot.slack.conversation import Conversation, Meaning, Part
from bot.slack.gate_conversation import GateConversation
from bot.slack.gate_listeners import GateListeners
from bot.slack.gateway import CALL_S, Gateway
from bot.slack.home_conversation import HomeConversation
from bot.slack.home_listeners import HomeListeners
from bot.slack.homes import Homes
from bot.slack.inflight import InFlight
from bot.slack.item_conversation import ItemConversation
from bot.slack.item_listeners import ItemListeners
from bot.slack.lead_listeners import LeadConversation, LeadListeners
from bot.slack.leaving import LeavingListeners
from bot.slack.listeners import Listeners
from bot.slack.lock_conversation import LockConversation, LockListeners
from bot.slack.pinger import Pinger
from bot.slack.premises import SlackOffices, links_by
from bot.slack.publisher import Publisher
from bot.slack.reaching import Distribution, Reached, reach_slack
from bot.slack.reminder_listeners import ReminderListeners
from bot.slack.report_conversation import ReportConversation
from bot.slack.shortcut_listeners import ShortcutListeners
from bot.slack.teams import Teams, delivery_middleware
from bot.storage import installations, migrating, outbound, posts
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from bot.storage.outbound import Figures
from bot.web import CiHooks, Hooks, InstallPages, WebServer, application

log = logging.getLogger(__name__)

#: What somebody reads who uses the bot where it was taken away meanwhile, or its token can't be read.
NOT_HERE = (
    "I can't act in this workspace: I am not installed here any more, or my token can't be used. "
    "Whoever installed me can install me again."
)
#: A backlog older than this many seconds means that the screens are not what they should be.
BACKLOG_S = 60
#: How long a stopping process waits for work under way. Platforms kill after 10 to 30 s.
DRAIN_S = 8.0


class _LateBell:
    """A bell that can be hung before there is anybody to hear it."""

    def __init__(self) -> None:
        self.hearers: list[Publisher | CheckRunner | Homes | Pinger] = []

    def ring(self) -> None:
        for hearer in self.hearers:
            hearer.ring()


class _LatePeople:
    """Who is in which user group and channel, once there is a Slack to ask; until then nobody is."""

    def __init__(self) -> None:
        self.teams: Teams | None = None

    async def members(self, team: str, group: str) -> frozenset[str]:
        return await (await self._gateway(team, partial(GroupUnknown, group))).members(group)

    async def audience(self, team: str, channel: str) -> frozenset[str] | None:
        return await (await self._gateway(team, partial(AudienceUnknown, channel))).audience(channel)

    async def _gateway(self, team: str, unknown: Callable[[str], DeploybotError]) -> Gateway:
        if self.teams is None:
            raise unknown("not connected to Slack")
        try:
            return await self.teams.of(team)
        except DeploybotError as error:
            raise unknown(str(error)) from error


def make_ports(
    settings: Settings,
    clock: Clock | None = None,
    *,
    process: Mapping[str, str] | None = None,
    watching: Watching | None = None,
) -> tuple[Ports, _LateBell]:
    """The services' ports on the configured database and checklists.

    `process` has the variables that checklists' checks are filled in with; the process's own unless given.
    """
    bell, people = _LateBell(), _LatePeople()
    clock = clock or SystemClock()
    library = ChecklistLibrary([settings.checklists, SHIPPED_CHECKLISTS])
    verifier = SidecarVerifier(
        library, clock, process=process, secrets=settings.secrets, shipped=SHIPPED_CHECKLISTS
    )
    ports = Ports(
        database=Database(settings.database_url),
        deployments=Deployments([announced_to(settings).hear]),
        clock=clock,
        library=library,
        layout=MessageLayout(),
        bell=bell,
        verifier=verifier,
        watching=watching or SidecarWatching(verifier),
        schedule=SidecarSchedule(library, process=process),
        rulebook=SidecarRulebook(library, process=process),
        groups=people,
        channels=people,
        policies=SidecarPolicies(library),
    )
    return ports, bell


def announced_to(settings: Settings) -> Destinations:
    """Where facts are announced outside. Raises DestinationsUnusable."""
    return destinations(
        urls=settings.webhook_urls.get_secret_value(),
        secret=settings.webhook_secret.get_secret_value().strip(),
        github_token=settings.github_deployments_token.get_secret_value().strip(),
        github_api=settings.github_api_url,
    )


#: The checklists that come with the bot.
SHIPPED_CHECKLISTS = next(
    (
        folder
        for folder in (
            Path(__file__).parent / "_shipped" / "checklists",
            Path(__file__).parent.parent / "checklists",
        )
        if folder.is_dir()
    ),
    Path("checklists"),
)


class Application:
    """The bot: started, running, stopped."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        process: Mapping[str, str] | None = None,
        watching: Watching | None = None,
    ) -> None:
        self.settings = settings
        self.ports, self._bell = make_ports(settings, clock, process=process, watching=watching)
        self._in_flight = InFlight()
        self._session: aiohttp.ClientSession | None = None
        self._socket: SocketConnection | None = None
        self._publisher: Publisher | None = None
        self._homes: Homes | None = None
        self._runner: CheckRunner | None = None
        self._web: WebServer | None = None
        self._outbox: Outbox | None = None
        self._watches = WatchRunner(self.ports)
        self._reminders = Reminders(self.ports)
        self._pinger: Pinger | None = None
        self._scheduler = scheduler(
            self.ports, self._watches, self._reminders, Attendance(self.ports), wake=self._send_out
        )
        self._reached: Reached | None = None
        self._slack_problem = "not started yet"
        #: The port that is listened on, once started.
        self.port = settings.port

    async def start(self) -> None:
        """Bring the database up to date, connect to Slack and begin to publish.

        Raises DeploybotError where a checklist's checks or the database cannot be used, SlackFailure where
        the token is refused, OSError where the port is taken.
        """
        settings = self.settings
        self.ports.verifier.validate()
        self.ports.library.routing()
        await migrating.upgrade(self.ports.database)
        timeout = aiohttp.ClientTimeout(total=CALL_S, connect=3)
        self._session = aiohttp.ClientSession(timeout=timeout)
        reached = await reach_slack(
            token=settings.slack_bot_token.get_secret_value(),
            api_url=settings.api_url,
            session=self._session,
            distribution=_distribution(settings),
            database=self.ports.database,
            clock=self.ports.clock,
            ring=self._bell.ring,
        )
        self._reached, gateway = reached, reached.gateway
        if isinstance(self.ports.groups, _LatePeople):
            self.ports.groups.teams = reached.teams
        # Bolt sees SLACK_CLIENT_ID in the environment and prepares a flow of its own; it is used nowhere.
        bolt = AsyncApp(
            client=reached.client,
            authorize=reached.authorize,
            user_facing_authorize_error_message=NOT_HERE,
            signing_secret=settings.slack_signing_secret.get_secret_value() or None,
            request_verification_enabled=not settings.socket_mode,
            logger=logging.getLogger("slack_bolt"),
        )
        if reached.many is not None:
            bolt.use(delivery_middleware(reached.teams))
            LeavingListeners(teams=reached.many, in_flight=self._in_flight).register(bolt)
        answerer = Answerer(gateway, self._in_flight)
        meaning = Meaning(self.ports)
        reports = ReportConversation(
            self.ports, meaning, gateway=gateway, answerer=answerer, in_flight=self._in_flight
        )
        parts: list[Part] = [
            AlertConversation(self.ports, meaning),
            HomeConversation(self.ports, gateway, meaning),
            GateConversation(self.ports, meaning),
            ItemConversation(self.ports, meaning, gateway),
            LockConversation(self.ports, gateway),
            LeadConversation(self.ports, gateway, meaning),
            reports,
        ]
        conversation = Conversation(self.ports, gateway, bot_name=reached.handle, parts=parts)
        queue = TickQueue(self.ports)
        listeners = Listeners(
            ports=self.ports,
            conversation=conversation,
            queue=queue,
            answerer=answerer,
            in_flight=self._in_flight,
            gateway=gateway,
            command=settings.command,
        )
        listeners.register(bolt)
        HomeListeners(
            ports=self.ports,
            conversation=conversation,
            queue=queue,
            answerer=answerer,
            in_flight=self._in_flight,
            told_of=listeners.told_of,
        ).register(bolt)
        ShortcutListeners(
            ports=self.ports, gateway=gateway, answerer=answerer, command=settings.command
        ).register(bolt)
        CheckListeners(ports=self.ports, answerer=answerer).register(bolt)
        GateListeners(ports=self.ports, answerer=answerer, in_flight=self._in_flight).register(bolt)
        ItemListeners(
            ports=self.ports,
            gateway=gateway,
            answerer=answerer,
            in_flight=self._in_flight,
            told=reports.told,
        ).register(bolt)
        ReminderListeners(ports=self.ports, gateway=gateway, answerer=answerer).register(bolt)
        AlertListeners(ports=self.ports, answerer=answerer).register(bolt)
        LockListeners(ports=self.ports, conversation=conversation, answerer=answerer).register(bolt)
        LeadListeners(ports=self.ports, gateway=gateway, answerer=answerer).register(bolt)
        reports.register(bolt)
        self._publisher = Publisher(
            database=self.ports.database,
            deployments=self.ports.deployments,
            clock=self.ports.clock,
            teams=reached.teams,
        )
        self._runner = CheckRunner(self.ports)
        self._homes = Homes(ports=self.ports, teams=reached.teams, command=settings.command)
        self._pinger = Pinger(database=self.ports.database, clock=self.ports.clock, teams=reached.teams)
        self._bell.hearers = [self._publisher, self._runner, self._homes, self._pinger]
        await self._publisher.start()
        await self._homes.start()
        await self._pinger.start()
        await self._runner.start()
        await self._watches.start()
        await self._reminders.start()
        self._outbox = Outbox(self.ports, announced_to(settings), link=links_by(reached.teams))
        await self._outbox.start()
        offices = SlackOffices(reached.teams, home=reached.identity)
        ci_desk = CiDesk(self.ports, offices)
        web_app = application(
            readiness=self.readiness,
            bolt=None if settings.socket_mode else bolt,
            hooks=Hooks(
                token=settings.hook_token.get_secret_value().strip(),
                receive=partial(receive, self.ports, offices),
            ),
            ci=CiHooks(
                ports=self.ports,
                token=settings.hook_token.get_secret_value().strip(),
                github_secret=settings.github_webhook_secret.get_secret_value().strip(),
                ci=ci_desk,
                github=GitHubDesk(self.ports, ci_desk),
            ),
            pages=InstallPages(install=reached.installing, command=settings.command)
            if reached.installing is not None
            else None,
        )
        self._web = WebServer(web_app, host=settings.host, port=settings.port)
        self.port = await self._web.start()
        if settings.socket_mode:
            self._socket = SocketConnection(
                bolt, settings.slack_app_token.get_secret_value(), self._in_flight
            )
            await self._socket.start()
        self._scheduler.start()
        self._in_flight.begin_beside(self._warm_up())
        log.info(
            "ready in %s, %s, port %d",
            reached,
            "Socket Mode" if settings.socket_mode else "HTTP delivery",
            self.port,
        )

    async def _warm_up(self) -> None:
        try:
            await self.ports.verifier.warm_up()
        except DeploybotError as error:
            log.error("%s", error)

    async def _send_out(self) -> None:
        if self._outbox is not None:
            await self._outbox.wake()

    async def stop(self) -> None:
        """Finish what people asked for, send what is being sent, and close."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        left = await self._in_flight.drain(within=DRAIN_S / 2)
        if self._socket is not None:
            await self._socket.stop()
        if self._web is not None:
            await self._web.stop()
        left = await self._in_flight.drain(within=DRAIN_S / 4) if left else 0
        if self._runner is not None:
            await self._runner.stop()
        await self._watches.stop()
        if self._outbox is not None:
            await self._outbox.stop()
        if self._publisher is not None:
            await self._publisher.stop(within=DRAIN_S / 2)
        if self._homes is not None:
            await self._homes.stop(within=DRAIN_S / 4)
        if self._pinger is not None:
            await self._pinger.stop(within=DRAIN_S / 4)
        if self._reached is not None and self._reached.many is not None:
            await self._reached.many.stop()
        if self._session is not None:
            await self._session.close()
        await self.ports.database.close()
        log.info("stopped%s", f"; {left} requests were cut off" if left else "")

    async def settle(self, *, within: float = 30.0) -> bool:
        """Wait until what people asked for is done and Slack shows it; False where it takes longer than
        `within` seconds."""
        began = time.monotonic()
        if self._publisher is None or not await self._in_flight.answered(within=within):
            return False
        return await self._publisher.settle(within=max(0.0, within - (time.monotonic() - began)))

    async def connected(self) -> bool:
        """Whether deliveries can reach us; HTTP delivery needs no connection of ours."""
        return self._socket is None or await self._socket.connected()

    async def readiness(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether people can use the bot right now, and why not."""
        now = self.ports.clock.now()
        problems: list[str] = []
        connected = await self.connected()
        if not connected and self._socket is not None:
            problems.append(f"Slack: {self._socket.problem or 'the connection was lost'}")
        waiting, oldest, trouble = 0, None, None
        outside: Figures | None = None
        counted: Mapping[str, int] | None = None
        try:
            async with asyncio.timeout(2), self.ports.database.read() as tx:
                backlog = await posts.backlog(tx)
                outside = await outbound.figures(tx, since=now - GIVEN_UP_SHOWN)
                counted = await installations.counted(tx)
            waiting, oldest, trouble = backlog.waiting, backlog.oldest, backlog.problem
            database = "ok"
        except (DeploybotError, TimeoutError) as error:
            database = str(error) or "it does not answer"
            problems.append(f"Database: {database}")
        identity = self._reached.identity if self._reached is not None else None
        age = (now - oldest).total_seconds() if oldest is not None else 0.0
        if age > BACKLOG_S:
            problems.append(
                f"{waiting} messages wait to be sent, for {age:.0f} s: {trouble or 'no reason noted'}"
            )
        return not problems, {
            "problems": problems,
            "slack": {
                "mode": "socket" if self.settings.socket_mode else "http",
                "connected": connected,
                "team": identity.team if identity else None,
                "installations": counted if self.settings.many_teams else None,
                "last_event_at": _iso(self._in_flight.last_heard),
            },
            "database": database,
            "backlog": {"posts": waiting, "oldest_seconds": round(age, 1), "problem": trouble},
            # Other systems that are away are no reason not to use the bot.
            "outbound": None
            if outside is None
            else {
                "waiting": outside.waiting,
                "oldest_at": _iso(outside.oldest),
                "given_up": outside.given_up,
                "problem": outside.problem,
            },
        }


def _distribution(settings: Settings) -> Distribution | None:
    """What many workspaces need; None where there is the one of the static token."""
    if not settings.many_teams:
        return None
    return Distribution(
        client_id=settings.slack_client_id,
        client_secret=settings.slack_client_secret.get_secret_value(),
        keys=settings.encryption_key.get_secret_value(),
        redirect_uri=settings.redirect_uri,
        allowed=settings.allowed,
    )


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
