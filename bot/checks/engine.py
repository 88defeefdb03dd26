"""Runs checks: side by side within limits, each with a deadline, and makes evidence of what they saw.

Observations are shared within a run: six web vitals of one page cost one visit. Whatever a kind does, an item
gets a result: what was not reached is unknown, what broke is error, and neither is ever a pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from bot.checks.catalogue import Catalogue
from bot.checks.keeping import Keeper
from bot.checks.kind import Broken, CheckTrouble, Context, Kind, NoData, OutOfPlace, TargetDown
from bot.checks.places import DEFAULT_LIMITS, Limits, Places
from bot.checks.redaction import Redactor
from bot.domain.check import (
    Binding,
    CheckSpec,
    Evidence,
    ItemResult,
    Observation,
    Outcome,
    Rules,
    Secret,
    worst,
)
from bot.domain.rules import Judgement, in_words, judge, show

log = logging.getLogger(__name__)

#: Wait before the second try, with as much again by chance, in seconds.
RETRY_S = 0.25


@dataclass(frozen=True, kw_only=True)
class _Look:
    """One observation, or why there is none."""

    observation: Observation | None
    trouble: CheckTrouble | None
    attempts: int
    ms: float
    started_at: datetime


class Engine:
    """Runs the bindings of one checklist in one environment."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        redactor: Redactor | None = None,
        limits: Limits = DEFAULT_LIMITS,
        places: Places | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._redactor = redactor or Redactor()
        self._limits = limits
        self._places = places or Places(limits)

    async def run(
        self,
        bindings: Sequence[Binding],
        context: Context,
        *,
        on_result: Callable[[ItemResult], Awaitable[None]],
        on_start: Callable[[Binding], None] | None = None,
    ) -> None:
        """Run them all and hand on each item's result as it is complete. Cancel the task to stop it."""
        run = _Run(
            self._catalogue,
            self._redactor,
            self._limits,
            self._places,
            bindings={b.key: b for b in bindings},
            specs=[spec for b in bindings for spec in b.checks],
            context=context,
            on_start=on_start,
        )
        complete: asyncio.Queue[asyncio.Task[ItemResult]] = asyncio.Queue()
        try:
            tasks = [run.begin(binding.key) for binding in bindings]
            for task in tasks:
                task.add_done_callback(complete.put_nowait)
            for _ in tasks:
                await on_result((await complete.get()).result())
        finally:
            await run.close()

    async def examine(self, spec: CheckSpec, context: Context) -> Evidence:
        """Run one check by itself."""
        async with self._alone(spec, context) as run:
            return await run.check(spec)

    async def look(self, spec: CheckSpec, context: Context) -> Observation:
        """What one check sees, unjudged and whole: for whoever compares it with what was seen before.

        Raises CheckTrouble where nothing was observed.
        """
        async with self._alone(spec, context) as run:
            return await run.look(spec)

    @contextlib.asynccontextmanager
    async def _alone(self, spec: CheckSpec, context: Context) -> AsyncIterator[_Run]:
        """A run of one check that belongs to no item."""
        run = _Run(
            self._catalogue,
            self._redactor,
            self._limits,
            self._places,
            bindings={},
            specs=[spec],
            context=context,
        )
        try:
            yield run
        finally:
            await run.close()


class _Run:
    def __init__(
        self,
        catalogue: Catalogue,
        redactor: Redactor,
        limits: Limits,
        places: Places,
        *,
        bindings: Mapping[str, Binding],
        specs: Sequence[CheckSpec],
        context: Context,
        on_start: Callable[[Binding], None] | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._redactor = redactor
        self._keeper = Keeper(redactor)
        self._places = places
        self._bindings = bindings
        self._on_start = on_start
        self._context = replace(context, clean=redactor.clean, members=self._members)
        self._contexts: dict[float, Context] = {}
        self._looks: dict[tuple[str, str], asyncio.Task[_Look]] = {}
        self._items: dict[str, asyncio.Task[ItemResult]] = {}
        self._view_of: dict[int, tuple[str, str]] = {}
        self._views = Counter(map(self._view, specs))
        longest = max(map(self._budget, specs), default=0.0)
        self._run_limit = max(limits.run, longest + limits.grace)
        self._deadline = time.monotonic() + self._run_limit

    def begin(self, key: str) -> asyncio.Task[ItemResult]:
        """The result of an item to be; asked for twice, it is made once."""
        if key not in self._items:
            self._items[key] = asyncio.create_task(self._item(self._bindings[key]))
        return self._items[key]

    async def _members(self, keys: Sequence[str]) -> Mapping[str, ItemResult | None]:
        """Results of other items: those of this run are waited for, others are not known here."""
        return {key: await asyncio.shield(self.begin(key)) if key in self._bindings else None for key in keys}

    async def _item(self, binding: Binding) -> ItemResult:
        began, context = time.perf_counter(), self._context
        if binding.forbidden:
            parts = [_stated(binding, context, Outcome.SKIPPED, binding.forbidden)]
        elif binding.missing:
            why = f"not set up: fill in {', '.join(binding.missing)}"
            parts = [_stated(binding, context, Outcome.UNKNOWN, why)]
        elif not binding.checks:
            parts = [_stated(binding, context, Outcome.UNKNOWN, "nothing checks this item")]
        else:
            if self._on_start is not None:
                self._on_start(binding)
            if len(binding.checks) == 1:
                parts = [await self.check(binding.checks[0])]
            else:
                parts = list(await asyncio.gather(*map(self.check, binding.checks)))
        now = context.now()
        return ItemResult(
            key=binding.key,
            outcome=worst(part.outcome for part in parts),
            evidence=tuple(parts),
            at=now,
            expires_at=now + binding.freshness,
            ms=(time.perf_counter() - began) * 1000,
        )

    async def check(self, spec: CheckSpec) -> Evidence:
        """The evidence of one check. Never raises: one that cannot be made does not take others with it."""
        try:
            return await self._check(spec)
        except Exception as error:
            trace = self._redactor.clean(traceback.format_exc())
            log.error("evidence of the check kind %s could not be made: %s", spec.kind, trace)
            why = Broken(f"{spec.kind} failed unexpectedly: {type(error).__name__}: {error}")
            return self._evidence(spec, Rules(), _nothing(why, self._context.now()))

    async def look(self, spec: CheckSpec) -> Observation:
        """What is seen. Raises CheckTrouble."""
        kind = self._catalogue.get(spec.kind)
        if kind is None:
            raise Broken(f"there is no kind {spec.kind}")
        look = await self._observe(kind, spec)
        if look.observation is None:
            raise look.trouble or Broken(f"{spec.kind} saw nothing")
        return look.observation

    async def _check(self, spec: CheckSpec) -> Evidence:
        kind = self._catalogue.get(spec.kind)
        now = self._context.now
        if kind is None:
            return self._evidence(spec, Rules(), _nothing(Broken(f"there is no kind {spec.kind}"), now()))
        rules = spec.rules.over(kind.defaults(spec.params))
        if spec.samples is not None:
            return await self._sampled(kind, spec, rules)
        return self._evidence(spec, rules, await self._look(kind, spec), kind)

    async def _sampled(self, kind: Kind[Any], spec: CheckSpec, rules: Rules) -> Evidence:
        """Several looks: `fail` only where enough of them fail, and no pass while enough others might."""
        samples = spec.samples
        assert samples is not None
        taken: list[Evidence] = []
        started_at, began = self._context.now(), time.perf_counter()
        for number in range(samples.count):
            if number:
                await self._context.sleep(samples.every)
            taken.append(self._evidence(spec, rules, await self._observe(kind, spec), kind))
            if sum(part.outcome is Outcome.FAIL for part in taken) >= samples.fail_when:
                break
        failed = [part for part in taken if part.outcome is Outcome.FAIL]
        undecided = [part for part in taken if part.outcome in (Outcome.UNKNOWN, Outcome.ERROR)]
        last = taken[-1]
        if len(failed) >= samples.fail_when:
            outcome, reason = Outcome.FAIL, failed[-1].reason
        elif undecided and len(failed) + len(undecided) >= samples.fail_when:
            outcome, reason = worst(part.outcome for part in undecided), undecided[-1].reason
        elif failed:
            outcome, reason = Outcome.WARN, failed[-1].reason
        else:
            outcome = worst(part.outcome for part in taken if part not in undecided)
            reason = next((part.reason for part in taken if part.outcome is outcome), "")
        if failed:
            reason = f"{len(failed)} of {len(taken)} looks failed: {reason}"
        observed = "; ".join(dict.fromkeys(part.observed for part in taken if part.observed))
        return replace(
            last,
            outcome=outcome,
            reason=reason,
            observed=self._keeper.line(observed),
            started_at=started_at,
            ms=(time.perf_counter() - began) * 1000,
            attempts=sum(part.attempts for part in taken),
            samples=len(taken),
        )

    async def _look(self, kind: Kind[Any], spec: CheckSpec) -> _Look:
        """An observation, shared by every check of the run that looks at the same (`Kind.sharing`)."""
        view = self._view(spec)
        if self._views[view] < 2:
            return await self._observe(kind, spec)  # a task of its own would cost more than it is good for
        if view not in self._looks:
            self._looks[view] = asyncio.create_task(self._observe(kind, spec))
        return await asyncio.shield(self._looks[view])

    def _view(self, spec: CheckSpec) -> tuple[str, str]:
        """What a check looks at: two with the same see the same."""
        if id(spec) not in self._view_of:
            kind = self._catalogue.get(spec.kind)
            self._view_of[id(spec)] = (spec.kind, "" if kind is None else kind.sharing(spec.params))
        return self._view_of[id(spec)]

    async def _observe(self, kind: Kind[Any], spec: CheckSpec) -> _Look:
        now = self._context.now
        left = self._deadline - time.monotonic()
        place = (
            contextlib.nullcontext()
            if kind.needs(spec.params)
            else self._places.take(kind.pool, _host_of(spec.params))
        )
        try:
            async with asyncio.timeout(max(left, 0)), place:
                return await self._attempts(kind, spec)
        except TimeoutError:
            why = NoData(f"not reached within the {self._run_limit:.0f} s a run may take")
            return _nothing(why, now())

    async def _attempts(self, kind: Kind[Any], spec: CheckSpec) -> _Look:
        started_at, began = self._context.now(), time.perf_counter()
        limit = self._limit(kind, spec)
        most = spec.attempts if kind.repeatable else 1
        observation: Observation | None = None
        trouble: CheckTrouble | None = None
        attempt = 0
        while attempt < most:
            attempt += 1
            try:
                observation, trouble = await self._attempt(kind, spec, limit), None
                break
            except CheckTrouble as error:
                trouble = error
                if not error.retryable:
                    break
            if attempt < most:
                await self._context.sleep(RETRY_S * (1 + random.random()))
        if kind.indirect and isinstance(trouble, TargetDown):
            trouble = NoData(str(trouble))
        return _Look(
            observation=observation,
            trouble=trouble,
            attempts=attempt,
            ms=(time.perf_counter() - began) * 1000,
            started_at=started_at,
        )

    async def _attempt(self, kind: Kind[Any], spec: CheckSpec, limit: float) -> Observation:
        try:
            async with asyncio.timeout(limit) as own:
                return await kind.observe(spec.params, self._within(limit))
        except CheckTrouble:
            raise
        except TimeoutError as error:
            if not own.expired():
                raise Broken(f"{kind.name} ran into a time limit of its own: {error}") from error
            raise TargetDown(f"no answer within {limit:g} s") from error
        except Exception as error:
            # Tracebacks quote what was being worked on, secrets as well.
            trace = self._redactor.clean(traceback.format_exc())
            log.error("the check kind %s failed unexpectedly: %s", kind.name, trace)
            raise Broken(f"{kind.name} failed unexpectedly: {type(error).__name__}: {error}") from error

    def _within(self, limit: float) -> Context:
        if limit not in self._contexts:
            self._contexts[limit] = replace(self._context, timeout=limit)
        return self._contexts[limit]

    def _limit(self, kind: Kind[Any], spec: CheckSpec) -> float:
        return max(spec.timeout, kind.timeout or 0)

    def _budget(self, spec: CheckSpec) -> float:
        """The seconds a check may take by itself."""
        kind = self._catalogue.get(spec.kind)
        if kind is not None and kind.needs(spec.params):
            return 0.0  # its members have budgets of their own
        once = (self._limit(kind, spec) if kind else spec.timeout) * spec.attempts
        return once if spec.samples is None else (once + spec.samples.every) * spec.samples.count

    def _evidence(
        self, spec: CheckSpec, rules: Rules, look: _Look, kind: Kind[Any] | None = None
    ) -> Evidence:
        seen, keep = look.observation, self._keeper
        if seen is not None:
            scales = kind.scales if kind is not None else {}
            judged = judge(seen.values, rules, scales=scales)
            observed = seen.summary or _in_brief(seen.values, rules)
            if judged.yes_or_no and seen.summary:
                judged = replace(judged, reason=f"{judged.reason}: {seen.summary}")
            target = seen.target
        else:
            judged = Judgement(
                outcome=_of_trouble(look.trouble), expected=in_words(rules), reason=str(look.trouble)
            )
            observed, target = "", ""
        if judged.outcome is Outcome.PASS and look.attempts > 1:
            observed = f"{observed} (at try {look.attempts})"
        return Evidence(
            id=spec.id,
            kind=spec.kind,
            target=keep.line(target),
            outcome=judged.outcome,
            observed=keep.line(observed),
            expected=keep.line(judged.expected),
            reason=keep.line(judged.reason),
            values={} if seen is None else keep.values(seen.values),
            excerpt="" if seen is None else keep.excerpt(seen.excerpt),
            facts={} if seen is None else keep.facts(seen.facts),
            started_at=look.started_at,
            ms=look.ms,
            attempts=look.attempts,
        )

    async def close(self) -> None:
        """Stop what is still being looked at."""
        under_way = [*self._items.values(), *self._looks.values()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def _nothing(trouble: CheckTrouble, at: datetime) -> _Look:
    return _Look(observation=None, trouble=trouble, attempts=0, ms=0.0, started_at=at)


def _of_trouble(trouble: CheckTrouble | None) -> Outcome:
    match trouble:
        case TargetDown():
            return Outcome.FAIL
        case NoData():
            return Outcome.UNKNOWN
        case OutOfPlace():
            return Outcome.SKIPPED
    return Outcome.ERROR


def _stated(binding: Binding, context: Context, outcome: Outcome, why: str) -> Evidence:
    """Evidence that nothing was run, and why."""
    kinds = ", ".join(dict.fromkeys(spec.kind for spec in binding.checks))
    return Evidence(
        id="",
        kind=kinds,
        target="",
        outcome=outcome,
        observed="",
        expected="",
        reason=why,
        started_at=context.now(),
        ms=0.0,
        attempts=0,
    )


def _host_of(params: Any) -> str:
    """The host, with its port, that a check's parameters name; empty where they name none.

    Several servers on one machine are several hosts: one of them being busy says nothing of the others.
    """
    for name in ("url", "host", "dsn", "target"):
        value = getattr(params, name, None)
        if isinstance(value, Secret):
            value = value.reveal()
        if isinstance(value, str) and value:
            if "://" not in value:
                return f"{value}:{getattr(params, 'port', '')}"
            try:
                parts = urlsplit(value)
                return f"{parts.hostname or ''}:{parts.port or parts.scheme}"
            except ValueError:
                return ""  # the kind says what is wrong with it
    return ""


def _in_brief(values: Mapping[str, Any], rules: Rules) -> str:
    names = dict.fromkeys([*rules.must, *rules.fail, *rules.warn])
    return ", ".join(f"{name} {show(values[name])}" for name in names if name in values)
