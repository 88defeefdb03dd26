"""Verifies items by their sidecar: binds them to checks for an environment and runs the engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from bot.checklists.binding import BoundChecklist, bind
from bot.checklists.conduct import conduct_of
from bot.checklists.reminders import plan_of
from bot.checklists.sidecar import SidecarFile
from bot.checks.catalogue import Catalogue
from bot.checks.egress import AllowList
from bot.checks.engine import Engine
from bot.checks.kind import Context, seconds
from bot.checks.places import DEFAULT_LIMITS, Limits, Places
from bot.checks.processes import LocalProcesses
from bot.checks.redaction import Redactor
from bot.checks.web import WebClient
from bot.domain.check import Binding, ItemResult, Secret
from bot.domain.checklist import Checklist
from bot.domain.deployment import Deployment
from bot.domain.errors import SidecarUnusable
from bot.services.ports import Clock, Deeds


class SidecarLibrary(Protocol):
    """Checklists with their sidecars."""

    def names(self) -> tuple[str, ...]:
        """The names there are."""

    def load(self, name: str) -> Checklist:
        """The checklist of that name."""

    def sidecar_paths(self, name: str) -> tuple[Path, ...]:
        """Where its checks are, those of what it includes among them."""

    def sidecar(self, name: str) -> SidecarFile | None:
        """Its checks, or None."""


class SidecarVerifier:
    """The `Verifier` of a library of checklists."""

    def __init__(
        self,
        library: SidecarLibrary,
        clock: Clock,
        *,
        process: Mapping[str, str] | None = None,
        secrets: Sequence[Secret] = (),
        limits: Limits = DEFAULT_LIMITS,
        shipped: Path | None = None,
    ) -> None:
        self._library = library
        self._clock = clock
        self._process = os.environ if process is None else process
        #: Kept out of evidence besides the sidecar's own: the bot's tokens.
        self._secrets = tuple(secrets)
        self._limits = limits
        self._places = Places(limits)
        self._shipped = shipped.resolve() if shipped is not None else None
        self.catalogue = Catalogue()

    def bound(
        self, checklist: str, *, environment: str, service: str = "service", version: str = "v0"
    ) -> BoundChecklist:
        """The checklist's checks in an environment. Raises ChecklistUnusable, SidecarUnusable."""
        file = self._library.sidecar(checklist)
        if file is None:
            return BoundChecklist(bindings={})
        loaded = self._library.load(checklist)
        bound = bind(
            file,
            loaded,
            self.catalogue,
            duration=seconds,
            environment=environment,
            service=service,
            version=version,
            process=self._process,
        )
        # The sidecar's reminders and rules are used elsewhere; what is wrong with them is said with the rest.
        plan_of(file, loaded, duration=seconds, environment=environment, process=self._process)
        conduct_of(
            file, loaded, environment=environment, service=service, version=version, process=self._process
        )
        try:
            AllowList(bound.allow)
        except ValueError as error:
            raise SidecarUnusable(file.path.name, (f"allow: {error}",)) from error
        return bound

    def digest(self, checklist: str) -> str:
        """Changes with the checklist's sidecar; empty without one."""
        try:
            paths = self._library.sidecar_paths(checklist)
            return " ".join(str(path.stat().st_mtime_ns) for path in paths)
        except OSError:
            return ""

    def validate(self) -> None:
        """See at start-up that every sidecar can be used, in every environment it names.

        One that came with the bot and of which nothing is filled in is left for `warm_up`: nothing of it can
        run, and reading it takes longer than the rest of the start. Raises SidecarUnusable for the first that
        cannot be used.
        """
        for name in self._library.names():
            if not self._idle(name):
                self._validate(name)

    async def warm_up(self) -> None:
        """Read, beside other work, what `validate` left, so that nobody has to wait for it later."""
        for name in self._library.names():
            if self._idle(name):
                await asyncio.to_thread(self._validate, name)

    def _idle(self, name: str) -> bool:
        paths = self._library.sidecar_paths(name)
        if not paths or self._shipped is None or any(path.parent != self._shipped for path in paths):
            return False
        text = "\n".join(path.read_text("utf-8") for path in paths)
        variables = re.findall(r"\benv: *([A-Za-z_]\w*)", text)
        return not any(self._process.get(variable) for variable in variables)

    def _validate(self, name: str) -> None:
        file = self._library.sidecar(name)
        for environment in () if file is None else (*file.content.environments, "production"):
            if environment != "*":
                self.bound(name, environment=environment)

    async def bindings(
        self, checklist: str, *, service: str, version: str, environment: str
    ) -> Mapping[str, Binding]:
        """By item key; empty for a checklist without checks. Raises ChecklistUnusable, SidecarUnusable."""
        bound = await asyncio.to_thread(
            self.bound, checklist, environment=environment, service=service, version=version
        )
        return bound.bindings

    async def run(
        self,
        deployment: Deployment,
        keys: Sequence[str],
        *,
        deeds: Deeds,
        on_result: Callable[[ItemResult], Awaitable[None]],
    ) -> None:
        """Run the checks of these items. Raises SidecarUnusable."""
        target = deployment.target
        bound = await asyncio.to_thread(
            self.bound,
            deployment.checklist_name,
            environment=target.environment,
            service=target.service,
            version=target.version,
        )
        lost = [key for key in keys if key not in bound.bindings]
        wanted = [bound.bindings[key] for key in keys if key in bound.bindings]
        # An item whose check was taken out of the file since still gets an answer: unknown.
        wanted += [Binding(key=key, text=key) for key in lost]
        await self.run_bound(
            bound,
            wanted,
            environment=target.environment,
            service=target.service,
            version=target.version,
            started_at=deployment.started_at,
            deeds=deeds,
            on_result=on_result,
        )

    async def run_bound(
        self,
        bound: BoundChecklist,
        bindings: Sequence[Binding],
        *,
        environment: str,
        service: str,
        version: str,
        deeds: Deeds,
        on_result: Callable[[ItemResult], Awaitable[None]],
        on_start: Callable[[Binding], None] | None = None,
        started_at: datetime | None = None,
    ) -> None:
        """Run bindings of a bound checklist; the members of a composite among them run as well."""
        asked = {binding.key for binding in bindings}
        every = _with_members(bound.bindings, bindings)

        async def hand_on(result: ItemResult) -> None:
            if result.key in asked:
                await on_result(replace(result, checks=bound.digest[:12]))

        async with self.opened(
            bound,
            environment=environment,
            service=service,
            version=version,
            deeds=deeds,
            started_at=started_at,
        ) as (engine, context):
            await engine.run(every, context, on_result=hand_on, on_start=on_start)

    @contextlib.asynccontextmanager
    async def opened(
        self,
        bound: BoundChecklist,
        *,
        environment: str,
        service: str,
        version: str,
        deeds: Deeds,
        started_at: datetime | None = None,
    ) -> AsyncIterator[tuple[Engine, Context]]:
        """An engine and all it reaches the world through, for as long as it is entered."""
        egress = AllowList(bound.allow)
        web = WebClient(egress, ca_file=bound.ca_file)
        redactor = Redactor([*bound.secrets, *self._secrets])

        async def no_members(keys: Sequence[str]) -> Mapping[str, ItemResult | None]:
            return dict.fromkeys(keys)

        context = Context(
            environment=environment,
            service=service,
            version=version,
            web=web,
            egress=egress,
            processes=LocalProcesses(allow=bound.commands),
            records=deeds,
            root=bound.root,
            marker=f"deploybot-{uuid.uuid4().hex[:12]}",
            started_at=started_at,
            now=self._clock.now,
            sleep=asyncio.sleep,
            clean=redactor.clean,
            members=no_members,
        )
        try:
            yield Engine(self.catalogue, redactor=redactor, limits=self._limits, places=self._places), context
        finally:
            await web.close()


def _with_members(known: Mapping[str, Binding], bindings: Sequence[Binding]) -> list[Binding]:
    """The bindings and, behind them, the members of composites among them that are not there yet."""
    every = {binding.key: binding for binding in bindings}
    waiting = list(bindings)
    while waiting:
        for member in waiting.pop().members:
            if member not in every and member in known:
                every[member] = known[member]
                waiting.append(known[member])
    return list(every.values())
