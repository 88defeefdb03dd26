"""Measures what is watched, with the kinds of checks: now, and back in time where a source keeps the past."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from bot.checks.engine import Engine
from bot.checks.kind import CheckTrouble, Context, Nothing
from bot.checks.kinds.signal import ANY_VERSION, exactly
from bot.domain.check import CheckSpec, Evidence, Observation, Outcome
from bot.domain.deployment import Deployment
from bot.domain.errors import NoHistory
from bot.domain.signals import Form, Measured, Signal, WatchPlan
from bot.services.verifying import SidecarVerifier

#: A clock that is off by more than this was moved on purpose.
MOVED = timedelta(minutes=1)
#: Longest words kept of a look, in characters.
SAID = 300
#: Longest a source may take to tell of the past, in seconds.
HISTORY_S = 20.0


@runtime_checkable
class Historical(Protocol):
    """A kind whose source keeps the past."""

    async def history(
        self, params: Any, context: Context, *, start: float, end: float, version: str
    ) -> Sequence[Measured]:
        """The samples of a past span."""


@dataclass(frozen=True, kw_only=True)
class _Way:
    """Connections to whatever a checklist may reach in an environment."""

    engine: Engine
    context: Context
    stack: contextlib.AsyncExitStack


@dataclass(frozen=True, kw_only=True)
class _Open:
    """One deployment's use of them."""

    way: _Way
    engine: Engine
    context: Context


class SidecarWatching:
    """The `Watching` of checklists with sidecars. Connections are kept while a deployment is watched."""

    def __init__(self, verifier: SidecarVerifier) -> None:
        self._verifier = verifier
        self._plans: dict[tuple[str, ...], WatchPlan] = {}
        self._open: dict[int, _Open] = {}
        self._ways: dict[tuple[Any, ...], _Way] = {}
        self._opening = asyncio.Lock()

    async def plan(self, checklist: str, *, service: str, version: str, environment: str) -> WatchPlan:
        """What is declared. Raises ChecklistUnusable, SidecarUnusable."""
        key = (checklist, service, version, environment, self._verifier.digest(checklist))
        if key not in self._plans:
            bound = await asyncio.to_thread(
                self._verifier.bound, checklist, environment=environment, service=service, version=version
            )
            if len(self._plans) > 1000:
                self._plans.clear()
            self._plans[key] = bound.watch or WatchPlan()
        return self._plans[key]

    async def measure(self, deployment: Deployment, signal: Signal, *, window: float) -> Measured:
        """One look now."""
        opened = await self._opened(deployment)
        spec = _with_window(signal.check, window)
        context = opened.context
        if deployment.aftermath.rollback is not None:
            context = replace(context, version="")
        if signal.form is Form.PROBE:
            evidence = await opened.engine.examine(spec, context)
            if evidence.outcome is Outcome.FAIL:
                evidence = await opened.engine.examine(spec, context)
            return _probed(evidence, opened.context.now())
        try:
            seen = await opened.engine.look(spec, context)
        except CheckTrouble as trouble:
            return Measured(
                at=opened.context.now(), value=None, said=opened.context.clean(str(trouble))[:SAID]
            )
        return _measured(signal, seen, opened.context)

    async def history(
        self, deployment: Deployment, signal: Signal, *, start: datetime, end: datetime, window: float
    ) -> Sequence[Measured]:
        """The samples of a past span; empty for a kind whose source keeps none. Raises NoHistory."""
        kind = self._verifier.catalogue.get(signal.check.kind)
        if signal.form is not Form.SERIES or not isinstance(kind, Historical):
            return ()
        opened = await self._opened(deployment)
        deployed = deployment.aftermath.deployed
        after = deployed is not None and end > deployed.at
        back = deployment.aftermath.rollback is not None
        version = exactly(deployment.target.version) if after and not back else ANY_VERSION
        ahead = _ahead(opened.context.now())
        try:
            async with asyncio.timeout(HISTORY_S):
                told = await kind.history(
                    _with_window(signal.check, window).params,
                    replace(opened.context, timeout=HISTORY_S),
                    start=(start - ahead).timestamp(),
                    end=(end - ahead).timestamp(),
                    version=version,
                )
                return [replace(one, at=one.at + ahead) for one in told]
        except TimeoutError as error:
            raise NoHistory(f"no answer within {HISTORY_S:.0f} s") from error
        except CheckTrouble as trouble:
            raise NoHistory(opened.context.clean(str(trouble))) from trouble

    async def forget(self, deployment_id: int) -> None:
        """Close its connections, where nobody else uses them."""
        opened = self._open.pop(deployment_id, None)
        if opened is not None and all(other.way is not opened.way for other in self._open.values()):
            self._ways = {key: way for key, way in self._ways.items() if way is not opened.way}
            await opened.way.stack.aclose()

    async def _opened(self, deployment: Deployment) -> _Open:
        async with self._opening:
            if deployment.id not in self._open:
                self._open[deployment.id] = await self._open_for(deployment)
        return self._open[deployment.id]

    async def _open_for(self, deployment: Deployment) -> _Open:
        target = deployment.target
        bound = await asyncio.to_thread(
            self._verifier.bound,
            deployment.checklist_name,
            environment=target.environment,
            service=target.service,
            version=target.version,
        )
        # Deployments that may reach the same share connections: a thousand with some of their own each
        # would be more than a Prometheus accepts (512).
        key = (bound.digest, bound.allow, bound.ca_file, target.environment)
        if key not in self._ways:
            stack = contextlib.AsyncExitStack()
            opening = self._verifier.opened(
                bound,
                environment=target.environment,
                service=target.service,
                version=target.version,
                deeds=Nothing(),
            )
            engine, context = await stack.enter_async_context(opening)
            self._ways[key] = _Way(engine=engine, context=context, stack=stack)
        way = self._ways[key]
        context = replace(
            way.context,
            service=target.service,
            version=target.version,
            started_at=deployment.started_at,
        )
        return _Open(way=way, engine=way.engine, context=context)


def _ahead(now: datetime) -> timedelta:
    """How far the bot's clock was moved forward in a rehearsal: sources live in the real time."""
    apart = now - datetime.now(UTC)
    return apart if abs(apart) > MOVED else timedelta()


def _with_window(spec: CheckSpec, window: float) -> CheckSpec:
    if "window" not in type(spec.params).model_fields:
        return spec
    return replace(spec, params=spec.params.model_copy(update={"window": window}))


def _probed(evidence: Evidence, at: datetime) -> Measured:
    match evidence.outcome:
        case Outcome.PASS | Outcome.WARN:
            return Measured(at=at, value=0.0, said=evidence.observed)
        case Outcome.FAIL:
            return Measured(at=at, value=1.0, said=evidence.reason)
    return Measured(at=at, value=None, said=evidence.reason)


def _measured(signal: Signal, seen: Observation, context: Context) -> Measured:
    at, value, count = context.now(), seen.values.get(signal.value), seen.values.get("count")
    if signal.form is Form.FINDINGS:
        if not isinstance(value, list | tuple):
            return Measured(at=at, value=None, said=f"there is no list “{signal.value}”")
        return Measured(at=at, value=float(len(value)), found=_lines(seen, value, context))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Measured(at=at, value=None, said=f"there is no number “{signal.value}”")
    return Measured(at=at, value=float(value), count=count if isinstance(count, int) else None)


def _lines(seen: Observation, ids: Sequence[Any], context: Context) -> dict[str, str]:
    """A line for people for each finding, where the check has one."""
    lines = context.clean(seen.excerpt).splitlines()
    return {
        str(id_): next((line.strip()[:SAID] for line in lines if str(id_) in line), str(id_)) for id_ in ids
    }
