"""Values and ports the tests are made from.

The same three people everywhere: Ana deploys, Ben is on the team, Carla is not.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.check import Binding, Evidence, ItemResult, Outcome
from bot.domain.checklist import Checklist, Group, Item, Section
from bot.domain.conduct import Conduct
from bot.domain.deployment import Deployment
from bot.domain.errors import ChecklistUnusable, Finding, GroupUnknown, NoHistory
from bot.domain.policy import Policy
from bot.domain.reminding import ReminderPlan
from bot.domain.routing import Routing
from bot.domain.signals import Measured, Signal, WatchPlan
from bot.services import starting
from bot.services.ports import Clock, Deeds, Layout, Ports, Watching
from bot.services.starting import StartRequest
from bot.services.ticking import Click
from bot.slack.blocks.layout import MessageLayout
from bot.slack.ids import TickBlock
from bot.storage import posts
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from bot.storage.posts import Post

ANA, BEN, CARLA = "UANA0000001", "UBEN0000002", "UCARLA00003"
TEAM, CHANNEL = "T0TEAM00001", "C0DEPLOYS01"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

_numbers = itertools.count(1)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = NOON) -> None:
        self._at = at

    def now(self) -> datetime:
        """The instant it was set to."""
        return self._at

    def forward(self, **span: float) -> None:
        """Move on by a timedelta given by keywords."""
        self._at += timedelta(**span)


class ListedLibrary:
    """Checklists kept in memory."""

    def __init__(self, routing: Routing | None = None, **checklists: Checklist) -> None:
        self._checklists = checklists
        self.rules = routing or Routing()

    def names(self) -> tuple[str, ...]:
        """In the order given."""
        return tuple(self._checklists)

    def load(self, name: str) -> Checklist:
        """The one of that name."""
        if name not in self._checklists:
            raise ChecklistUnusable(
                name, (Finding(line=0, message="there is no such checklist", fatal=True),)
            )
        return self._checklists[name]

    def routing(self) -> Routing:
        """As given."""
        return self.rules

    def fill(self, checklist: Checklist, variables: dict[str, str]) -> Checklist:
        """As it is."""
        return checklist


class ScriptedVerifier:
    """Checks whose results are written beforehand, by item key."""

    def __init__(self, bindings: Sequence[Binding] = ()) -> None:
        self._bindings = {binding.key: binding for binding in bindings}
        self.outcomes: dict[str, Outcome] = {}
        self.facts: dict[str, dict[str, str]] = {}
        #: Items wait here until the event is set, by key.
        self.gates: dict[str, asyncio.Event] = {}
        #: The keys of each run, in order.
        self.runs: list[list[str]] = []
        self.clock: ManualClock | None = None

    def validate(self) -> None:
        """All is well."""

    async def warm_up(self) -> None:
        """Nothing to read."""

    async def bindings(
        self, checklist: str, *, service: str, version: str, environment: str
    ) -> dict[str, Binding]:
        """As given."""
        return self._bindings

    async def run(
        self,
        deployment: Deployment,
        keys: Sequence[str],
        *,
        deeds: Deeds,
        on_result: Callable[[ItemResult], Awaitable[None]],
    ) -> None:
        """Hand on what was written, each item when its gate opens."""
        self.runs.append(list(keys))

        async def one(key: str) -> None:
            if key in self.gates:
                await self.gates[key].wait()
            await on_result(self.result(key))

        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(one(key))

    def result(self, key: str) -> ItemResult:
        """The result an item has coming."""
        outcome = self.outcomes.get(key, Outcome.PASS)
        now = self.clock.now() if self.clock is not None else datetime.now(UTC)
        binding = self._bindings.get(key)
        part = Evidence(
            id="",
            kind="http",
            target="https://shop.example.com/",
            outcome=outcome,
            observed="status 200",
            expected="status 200",
            reason="" if outcome is Outcome.PASS else f"{key} is {outcome}",
            facts=self.facts.get(key, {}),
            started_at=now,
            ms=12.0,
        )
        fresh = binding.freshness if binding is not None else timedelta(minutes=10)
        return ItemResult(key=key, outcome=outcome, evidence=(part,), at=now, expires_at=now + fresh, ms=12.0)


class ScriptedWatching:
    """Signals whose numbers are written beforehand."""

    def __init__(self, plan: WatchPlan | None = None, *, clock: ManualClock | None = None) -> None:
        self.written = plan or WatchPlan()
        self.clock = clock
        #: What each signal gives now, and at any instant of the past, by name.
        self.now: dict[str, Callable[[datetime], Measured]] = {}
        self.past: dict[str, Callable[[datetime], Measured]] = {}
        #: Set while the source of the past is away.
        self.away = ""
        self.forgotten: list[int] = []
        #: (signal, window) of each look.
        self.looks: list[tuple[str, float]] = []

    async def plan(self, checklist: str, *, service: str, version: str, environment: str) -> WatchPlan:
        """As given."""
        return self.written

    async def measure(self, deployment: Deployment, signal: Signal, *, window: float) -> Measured:
        """What is written for now."""
        self.looks.append((signal.name, window))
        now = self.clock.now() if self.clock is not None else datetime.now(UTC)
        return self.now[signal.name](now)

    async def history(
        self, deployment: Deployment, signal: Signal, *, start: datetime, end: datetime, window: float
    ) -> list[Measured]:
        """What is written for the past, one a window."""
        if self.away:
            raise NoHistory(self.away)
        told = self.past.get(signal.name)
        if told is None:
            return []
        step = timedelta(seconds=window)
        return [told(end - step * back) for back in range((end - start) // step, -1, -1)]

    async def forget(self, deployment_id: int) -> None:
        """Remembered."""
        self.forgotten.append(deployment_id)


class WrittenSchedule:
    """Reminders that are written beforehand."""

    def __init__(self, plan: ReminderPlan | None = None) -> None:
        self.plan = plan or ReminderPlan()

    async def reminders(
        self, checklist: str, *, service: str, version: str, environment: str
    ) -> ReminderPlan:
        """As given."""
        return self.plan


class WrittenRulebook:
    """Rules that are written beforehand."""

    def __init__(self, rules: Conduct | None = None) -> None:
        self.rules = rules or Conduct()
        #: Other rules, by environment.
        self.there: dict[str, Conduct] = {}

    async def conduct(self, checklist: str, *, service: str, version: str, environment: str) -> Conduct:
        """As given."""
        return self.there.get(environment, self.rules)


class ListedGroups:
    """User groups kept in memory, by id."""

    def __init__(self, **groups: Sequence[str]) -> None:
        self._groups = groups

    async def members(self, team: str, group: str) -> frozenset[str]:
        """As given. Raises GroupUnknown for a group that is not there."""
        if group not in self._groups:
            raise GroupUnknown(group, "no_such_subteam")
        return frozenset(self._groups[group])


class ListedChannels:
    """Private channels kept in memory, by id; every other one is public."""

    def __init__(self, **private: Sequence[str]) -> None:
        self._private = private

    async def audience(self, team: str, channel: str) -> frozenset[str] | None:
        """As given."""
        return frozenset(self._private[channel]) if channel in self._private else None


class WrittenPolicies:
    """A policy that is written beforehand."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.written = policy or Policy()

    async def policy(self, checklist: str) -> Policy:
        """As given."""
        return self.written


class CountingBell:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.rung = 0

    def ring(self) -> None:
        """Once more."""
        self.rung += 1


def make_checklist(*, sections: int = 2, boxes: int = 3, steps: int = 4) -> Checklist:
    """Sections with a group of boxes and a group of numbered steps each."""
    return Checklist(
        title="Deployment",
        sections=tuple(
            Section(
                title=f"Section {s}",
                groups=(
                    Group(
                        title="Boxes",
                        items=tuple(
                            Item(key=f"s{s}/boxes/{b}", text=f"Box {s}.{b}") for b in range(1, boxes + 1)
                        ),
                    ),
                    Group(
                        title="Steps",
                        items=tuple(
                            Item(key=f"s{s}/steps/{n}", text=f"Step {s}.{n}", ordered=True, number=n)
                            for n in range(1, steps + 1)
                        ),
                    ),
                ),
            )
            for s in range(1, sections + 1)
        ),
        triggers=("Errors rise",),
        rollback_steps=("Scale down", "Restore"),
    )


def make_ports(
    database: Database,
    *,
    checklist: Checklist | None = None,
    clock: Clock | None = None,
    layout: Layout | None = None,
    verifier: ScriptedVerifier | None = None,
    watching: Watching | None = None,
    schedule: WrittenSchedule | None = None,
    rules: Conduct | None = None,
    groups: ListedGroups | None = None,
    channels: ListedChannels | None = None,
    policies: WrittenPolicies | None = None,
) -> Ports:
    """Ports on a real database, with everything else in memory."""
    return Ports(
        database=database,
        deployments=Deployments(),
        clock=clock or ManualClock(),
        library=ListedLibrary(production=checklist or make_checklist()),
        layout=layout or MessageLayout(),
        verifier=verifier or ScriptedVerifier(),
        watching=watching or ScriptedWatching(),
        schedule=schedule or WrittenSchedule(),
        rulebook=WrittenRulebook(rules),
        groups=groups or ListedGroups(),
        channels=channels or ListedChannels(),
        policies=policies or WrittenPolicies(),
        bell=CountingBell(),
    )


def start_request(**changed: Any) -> StartRequest:
    """Ana starts storefront v1.4.2 in production."""
    values: dict[str, Any] = {
        "service": "storefront",
        "version": "v1.4.2",
        "environment": "production",
        "checklist": "production",
        "team": TEAM,
        "channel": CHANNEL,
        "lead": ANA,
        "timezone": "UTC",
        "delivery": f"command.{next(_numbers)}",
    }
    return StartRequest(**values | changed)


async def start(ports: Ports, **changed: Any) -> Deployment:
    """A started deployment."""
    return await starting.start(ports, start_request(**changed))


async def posts_of(ports: Ports, deployment_id: int) -> list[Post]:
    """Its messages, in order."""
    async with ports.database.read() as tx:
        return [post for post in await posts.pending(tx) if post.deployment_id == deployment_id]


def make_click(
    deployment: Deployment,
    post: Post,
    *,
    selected: set[int],
    user: str = BEN,
    base: set[int] | None = None,
    first: int = 0,
    count: int = 3,
    action_ts: int | None = None,
    seq: int | None = None,
    revision: int = 1,
) -> Click:
    """A click on a drawing of a group of the deployment."""
    block = TickBlock(
        deployment_id=deployment.id,
        post_id=post.id,
        revision=revision,
        seq=deployment.seq if seq is None else seq,
        first=first,
        count=count,
        ticked=frozenset(base or set()),
    )
    return Click(
        deployment_id=deployment.id,
        post_id=post.id,
        team=deployment.team,
        channel=deployment.channel,
        message_ts=post.ts or "1.000001",
        user=user,
        action_ts=next(_numbers) * 1000 if action_ts is None else action_ts,
        drawing=block.write(),
        drawn_seq=block.seq,
        positions=block.positions,
        base=block.ticked,
        selected=frozenset(selected),
    )
