"""Plans by the sidecars of a library of checklists: reminders, policies, and the rules people keep to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from bot.checklists.conduct import conduct_of, optional_by_text
from bot.checklists.freezes import policy_of
from bot.checklists.reminders import plan_of
from bot.checks.kind import seconds
from bot.domain.conduct import Conduct
from bot.domain.policy import Policy
from bot.domain.reminding import ReminderPlan, default_reminders
from bot.services.verifying import SidecarLibrary


class SidecarSchedule:
    """The `Schedule` of a library of checklists."""

    def __init__(self, library: SidecarLibrary, *, process: Mapping[str, str] | None = None) -> None:
        self._library = library
        self._process = os.environ if process is None else process

    async def reminders(
        self, checklist: str, *, service: str, version: str, environment: str
    ) -> ReminderPlan:
        """What its sidecar plans, or the defaults. Raises ChecklistUnusable, SidecarUnusable."""
        # Off the loop: reading a sidecar takes a good part of a second.
        return await asyncio.to_thread(
            self._plan, checklist, service=service, version=version, environment=environment
        )

    def _plan(self, checklist: str, *, service: str, version: str, environment: str) -> ReminderPlan:
        loaded = self._library.load(checklist)
        file = self._library.sidecar(checklist)
        if file is None:
            return ReminderPlan(reminders=default_reminders(loaded))
        return plan_of(
            file,
            loaded,
            duration=seconds,
            environment=environment,
            service=service,
            version=version,
            process=self._process,
        )


class SidecarRulebook:
    """The `Rulebook` of a library of checklists."""

    def __init__(self, library: SidecarLibrary, *, process: Mapping[str, str] | None = None) -> None:
        self._library = library
        self._process = os.environ if process is None else process

    async def conduct(self, checklist: str, *, service: str, version: str, environment: str) -> Conduct:
        """What its sidecar rules; without one, only what items say of themselves.

        Raises ChecklistUnusable, SidecarUnusable.
        """
        return await asyncio.to_thread(
            self._conduct, checklist, service=service, version=version, environment=environment
        )

    def _conduct(self, checklist: str, *, service: str, version: str, environment: str) -> Conduct:
        loaded = self._library.load(checklist)
        file = self._library.sidecar(checklist)
        if file is None:
            return Conduct(optional=optional_by_text(loaded))
        return conduct_of(
            file,
            loaded,
            environment=environment,
            service=service,
            version=version,
            process=self._process,
        )


class SidecarPolicies:
    """The `Policies` of a library of checklists."""

    def __init__(self, library: SidecarLibrary) -> None:
        self._library = library

    async def policy(self, checklist: str) -> Policy:
        """What its sidecar lays down, or the defaults. Raises ChecklistUnusable, SidecarUnusable."""
        return await asyncio.to_thread(self._policy, checklist)

    def _policy(self, checklist: str) -> Policy:
        file = self._library.sidecar(checklist)
        return Policy() if file is None else policy_of(file, duration=seconds)
