"""What the services need from outside: the time, the checklists, the layout of messages, a bell to ring."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from bot.domain.check import Binding, ItemResult
from bot.domain.checklist import Checklist
from bot.domain.conduct import Conduct
from bot.domain.deployment import Deployment
from bot.domain.policy import Policy
from bot.domain.post import PlannedPost
from bot.domain.reminding import ReminderPlan
from bot.domain.routing import Routing
from bot.domain.signals import Measured, Signal, WatchPlan
from bot.storage.database import Database
from bot.storage.deployments import Deployments


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The current instant, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current instant, in UTC."""
        return datetime.now(UTC)


class ShiftedClock:
    """The machine's clock plus an offset: moved by tests and by the local workspace."""

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self.offset = offset

    def now(self) -> datetime:
        """The current instant, in UTC."""
        return datetime.now(UTC) + self.offset

    def forward(self, by: timedelta) -> None:
        """Let time pass."""
        self.offset += by


class Library(Protocol):
    """The checklists a deployment can be started with."""

    def names(self) -> tuple[str, ...]:
        """The names that can be asked for, in order."""

    def load(self, name: str) -> Checklist:
        """The checklist of that name. Raises ChecklistUnusable."""

    def routing(self) -> Routing:
        """Which service goes by which checklist, as services.yaml says now. Raises ServicesUnusable."""

    def fill(self, checklist: Checklist, variables: dict[str, str]) -> Checklist:
        """The checklist with its variables filled in. Raises ChecklistUnusable."""


class Layout(Protocol):
    """Decides which messages a deployment is shown in."""

    def plan(self, deployment: Deployment) -> Sequence[PlannedPost]:
        """The card and the messages of the thread, in order."""

    def runbook(self, deployment: Deployment) -> Sequence[PlannedPost]:
        """The messages of the rollback's steps, in order."""


class Bell(Protocol):
    """Wakes whoever redraws messages."""

    def ring(self) -> None:
        """Something changed and was committed."""


class Schedule(Protocol):
    """Knows what a checklist reminds of, and when."""

    async def reminders(
        self, checklist: str, *, service: str, version: str, environment: str
    ) -> ReminderPlan:
        """The plan. Raises ChecklistUnusable, SidecarUnusable."""


class Rulebook(Protocol):
    """Knows the rules people keep to."""

    async def conduct(self, checklist: str, *, service: str, version: str, environment: str) -> Conduct:
        """The rules of a deployment that starts now. Raises ChecklistUnusable, SidecarUnusable."""


class Groups(Protocol):
    """Knows who is in which user group."""

    async def members(self, team: str, group: str) -> frozenset[str]:
        """Slack ids of its people, at most a few minutes old.

        Raises GroupUnknown where Slack does not say: whoever asks must then refuse.
        """


class Channels(Protocol):
    """Knows who may read which channel."""

    async def audience(self, team: str, channel: str) -> frozenset[str] | None:
        """Slack ids of the people of a private channel, at most a few minutes old; None for a public one.

        Empty where the bot cannot see the channel. Raises AudienceUnknown where Slack does not say.
        """


class Policies(Protocol):
    """Knows when a checklist lets nothing be deployed, and how long its lead may be quiet."""

    async def policy(self, checklist: str) -> Policy:
        """As its sidecar says now. Raises ChecklistUnusable, SidecarUnusable."""


class Deeds(Protocol):
    """What the bot itself did for a deployment."""

    async def find(self, what: str) -> Mapping[str, Any] | None:
        """The newest thing of this name, e.g. `started`, or None."""


class Verifier(Protocol):
    """Knows which checks verify a checklist's items, and runs them."""

    def validate(self) -> None:
        """See that the checks of every checklist can be used. Raises SidecarUnusable."""

    async def warm_up(self) -> None:
        """Read beside other work what is not needed at once. Raises SidecarUnusable."""

    async def bindings(
        self, checklist: str, *, service: str, version: str, environment: str
    ) -> Mapping[str, Binding]:
        """By item key; empty for a checklist without checks. Raises ChecklistUnusable, SidecarUnusable."""

    async def run(
        self,
        deployment: Deployment,
        keys: Sequence[str],
        *,
        deeds: Deeds,
        on_result: Callable[[ItemResult], Awaitable[None]],
    ) -> None:
        """Run the checks of these items, each result handed on as it comes. Raises SidecarUnusable."""


class Watching(Protocol):
    """Knows what is watched after a deploy, and measures it."""

    async def plan(self, checklist: str, *, service: str, version: str, environment: str) -> WatchPlan:
        """What is declared; a plan without signals for a checklist that declares none.

        Raises ChecklistUnusable, SidecarUnusable.
        """

    async def measure(self, deployment: Deployment, signal: Signal, *, window: float) -> Measured:
        """One look at a signal now, over the last `window` seconds. Never raises for the target's sake."""

    async def history(
        self, deployment: Deployment, signal: Signal, *, start: datetime, end: datetime, window: float
    ) -> Sequence[Measured]:
        """The samples of a past span, one a window; empty where a signal cannot be asked for back in time.

        Raises NoHistory where it could be and there is no answer.
        """

    async def forget(self, deployment_id: int) -> None:
        """A deployment is not watched any more."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything the services reach the world through."""

    database: Database
    deployments: Deployments
    clock: Clock
    library: Library
    layout: Layout
    bell: Bell
    verifier: Verifier
    watching: Watching
    schedule: Schedule
    rulebook: Rulebook
    groups: Groups
    channels: Channels
    policies: Policies
