"""Bind a checklist's items to their checks in one environment, or say everything that is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from bot.checklists.filling import Values, environment_block, fill_in, values_for
from bot.checklists.sidecar import ItemChecks, SidecarFile, WatchedSignal, did_you_mean, problems_of
from bot.domain.check import Binding, CheckSpec, Rules, Samples, Secret
from bot.domain.checklist import Checklist
from bot.domain.errors import SidecarUnusable
from bot.domain.rules import problem_with
from bot.domain.signals import Form, Signal, WatchPlan

#: Keys of a check that are not its kind's own.
RESERVED = ("kind", "use", "id", "expect", "pass", "fail", "warn", "samples", "timeout", "attempts")
#: Most looks of one check, and the longest they may take together, in seconds.
MOST_SAMPLES, LONGEST_SAMPLING = 60, 3600.0


class KindLike(Protocol):
    """What binding needs to know of a kind of check."""

    @property
    def name(self) -> str:
        """As the sidecar writes it."""

    @property
    def params(self) -> type[Any]:
        """The model of its parameters."""

    @property
    def values(self) -> Mapping[str, str]:
        """What its rules can speak of."""

    @property
    def cheap(self) -> bool:
        """Whether it is run again at Go and at finish."""

    def defaults(self, params: Any) -> Rules:
        """Rules where none are written down."""

    def problem(self, params: Any) -> str | None:
        """What is wrong with a combination of parameters."""

    def needs(self, params: Any) -> Sequence[str]:
        """Items it is made of."""


class Kinds(Protocol):
    """The kinds there are."""

    def get(self, name: str) -> KindLike | None:
        """The kind of this name."""

    def nearest(self, name: str) -> str | None:
        """The kind somebody may have meant."""


@dataclass(frozen=True, kw_only=True)
class BoundChecklist:
    """A checklist with its checks, ready to run in one environment."""

    #: By item key, in the order of the checklist.
    bindings: Mapping[str, Binding]
    allow: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    root: Path = Path()
    ca_file: Path | None = None
    secrets: tuple[Secret, ...] = ()
    #: SHA-256 of the sidecar; empty without one.
    digest: str = ""
    watch: WatchPlan | None = None


def bind(
    file: SidecarFile,
    checklist: Checklist,
    kinds: Kinds,
    *,
    duration: Callable[[Any], float],
    environment: str,
    service: str = "service",
    version: str = "v0",
    process: Mapping[str, str] | None = None,
) -> BoundChecklist:
    """The checklist's checks in this environment.

    `duration` reads what the sidecar writes as `10s`. Raises SidecarUnusable, which names every problem.
    """
    process = os.environ if process is None else process
    built_in = {"service": service, "version": version, "environment": environment}
    values = values_for(file.content, environment, process, built_in)
    binder = _Binder(file, checklist, kinds=kinds, values=values, environment=environment, duration=duration)
    bound = binder.bind()
    if binder.problems:
        raise SidecarUnusable(file.path.name, tuple(dict.fromkeys(binder.problems)))
    return bound


class _Binder:
    def __init__(
        self,
        file: SidecarFile,
        checklist: Checklist,
        *,
        kinds: Kinds,
        values: Values,
        environment: str,
        duration: Callable[[Any], float],
    ) -> None:
        self.problems: list[str] = []
        self._file = file
        self._sidecar = file.content
        self._checklist = checklist
        self._kinds = kinds
        self._values = values
        self._environment = environment
        self._duration_of = duration
        block = environment_block(self._sidecar, environment)
        self._forbidden = (*self._sidecar.forbid, *block.forbid)
        self._allow = (*self._sidecar.allow, *block.allow)
        self._require = (*self._sidecar.require, *block.require)

    def bind(self) -> BoundChecklist:
        """Everything; what is wrong is in `problems`."""
        self._check_required()
        known = {item.key: item for item in self._checklist.boxes}
        for key in self._sidecar.items:
            if key not in known:
                hint = did_you_mean(key, known)
                self._note(f"items/{key}", f"the checklist has no such item{hint}")
        bindings = {
            key: self._bind_item(key, self._sidecar.items[key], item.text)
            for key, item in known.items()
            if key in self._sidecar.items
        }
        self._check_members(bindings)
        bindings = {key: _with_members(binding, bindings) for key, binding in bindings.items()}
        allow = self._fill_list("allow", self._allow)
        ca_file = self._sidecar.ca_file and str(self._fill("ca_file", self._sidecar.ca_file)[0])
        return BoundChecklist(
            bindings=bindings,
            allow=tuple(allow),
            commands=tuple(self._sidecar.commands),
            root=self._root(),
            ca_file=self._root() / ca_file if ca_file else None,
            secrets=tuple(secret for secret in self._values.secrets.values() if secret is not None),
            digest=self._file.digest,
            watch=self._bind_watch(),
        )

    def _bind_watch(self) -> WatchPlan | None:
        """The watch, signals that are not set up included."""
        block = self._sidecar.watch
        if block is None:
            return None
        on_call, unset = self._fill("on_call", self._sidecar.on_call)
        links = {}
        for label, url in block.links.items():
            filled, missing = self._fill(f"watch/links/{label}", url)
            if not missing:
                links[label] = str(filled)
        return WatchPlan(
            signals=tuple(self._bind_signal(name, one) for name, one in block.signals.items()),
            interval=self._span("watch/interval", block.interval),
            fast=self._span("watch/fast", block.fast),
            duration=self._span("watch/duration", block.duration),
            grace=self._span("watch/grace", block.grace),
            baseline=self._span("watch/baseline", block.baseline),
            known_bad=tuple((span.start, span.end) for span in block.known_bad),
            links=links,
            on_call="" if unset else str(on_call),
            escalate=(
                self._span("watch/escalate/lead", block.escalate.lead),
                self._span("watch/escalate/on_call", block.escalate.on_call),
            ),
        )

    def _span(self, where: str, value: Any) -> float:
        """A duration that may be a variable."""
        return self._duration(where, self._fill(where, value)[0])

    def _bind_signal(self, name: str, written: WatchedSignal) -> Signal:
        where = f"watch/signals/{name}"
        triggers = self._checklist.triggers
        if written.trigger not in triggers:
            hint = did_you_mean(written.trigger, triggers) or f"; there are {', '.join(triggers) or 'none'}"
            self._note(f"{where}/trigger", f"the checklist has no rollback trigger “{written.trigger}”{hint}")
        form = next(form for form in Form if getattr(written, form.value) is not None)
        place = f"{where}/{form.value}"
        made = self._bind_check(place, getattr(written, form.value), single=True, judged=form is Form.PROBE)
        value = written.value or {Form.SERIES: "value", Form.FINDINGS: "ids"}.get(form, "")
        missing: dict[str, str] = {}
        spec = CheckSpec(kind="", params=None)
        if made is not None:
            spec, kind, missing = made
            known = kind.values
            if value and "*" not in known and value not in known:
                hint = did_you_mean(value, known) or f"; there are {', '.join(known)}"
                self._note(f"{where}/value", f"{kind.name} observes no “{value}”{hint}")
            why = self._why_forbidden(kind.name)
            if why:
                missing = {**missing, kind.name: why}
        return Signal(
            name=name,
            label=written.label or name,
            form=form,
            measure=written.measure,
            trigger=written.trigger,
            check=spec,
            value=value,
            min_change=written.min_change,
            missing=tuple(f"{name} ({how})" for name, how in missing.items()),
        )

    def _root(self) -> Path:
        value, unset = self._fill("root", self._sidecar.root)
        return self._file.path.parent if unset else (self._file.path.parent / str(value)).resolve()

    def _note(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")

    def _check_required(self) -> None:
        for name in self._require:
            kind, _, plain = name.partition(".")
            table: Mapping[str, Any] = {
                "vars": self._values.variables,
                "secrets": self._values.secrets,
            }.get(kind, {})
            if plain not in table:
                self._note("require", f"“{name}” is not declared; write vars.name or secrets.name")
            elif table[plain] is None:
                how = self._values.how[name]
                self._note("require", f"{name} is not set in {self._environment}: set it by {how}")

    def _fill(self, where: str, value: Any) -> tuple[Any, dict[str, str]]:
        filled = fill_in(value, self._values)
        for problem in filled.unknown:
            self._note(where, problem)
        return filled.value, filled.unset

    def _fill_list(self, where: str, entries: Sequence[str]) -> Iterator[str]:
        for at, entry in enumerate(entries):
            name = entry.removeprefix("${secrets.").removesuffix("}")
            if name in self._values.secrets and entry == f"${{secrets.{name}}}":
                yield from _place_in(self._values.secrets[name])
                continue
            value, unset = self._fill(f"{where}/{at}", entry)
            if not unset:
                listed = value if isinstance(value, list) else str(value).split(",")
                yield from (str(one).strip() for one in listed if str(one).strip())

    # ── items ────────────────────────────────────────────────────────────────────────────────────────────

    def _bind_item(self, key: str, item: ItemChecks, text: str) -> Binding:
        where = f"items/{key}"
        if " ".join(item.text.split()) != " ".join(text.split()):
            self._note(
                where,
                f"the item now reads “{text}”, the checks were written for “{item.text}”: "
                "see whether they still verify it, then update text",
            )
        written = [(f"{where}/check", item.check)] if item.check is not None else []
        written += [(f"{where}/all/{at}", check) for at, check in enumerate(item.all or ())]
        specs: list[CheckSpec] = []
        unset: dict[str, str] = {}
        members: list[str] = []
        cheap = True
        forbidden = ""
        for place, check in written:
            made = self._bind_check(place, check, single=item.check is not None)
            if made is None:
                continue
            spec, kind, missing = made
            specs.append(spec)
            unset |= missing
            members.extend(kind.needs(spec.params))
            cheap = cheap and kind.cheap
            forbidden = forbidden or self._why_forbidden(spec.kind)
        ids = [spec.id for spec in specs]
        for twin in {id_ for id_ in ids if ids.count(id_) > 1}:
            self._note(f"{where}/all", f"two checks have the id “{twin}”")
        freshness = item.freshness if item.freshness is not None else self._sidecar.defaults.freshness
        return Binding(
            key=key,
            text=text,
            checks=tuple(specs),
            human=item.human,
            freshness=timedelta(seconds=self._duration(f"{where}/freshness", freshness)),
            cheap=cheap if item.cheap is None else item.cheap,
            once=item.once,
            missing=tuple(f"{name} ({how})" for name, how in unset.items()),
            forbidden=forbidden,
            members=tuple(dict.fromkeys(members)),
        )

    def _why_forbidden(self, kind: str) -> str:
        for forbidden in self._forbidden:
            if kind == forbidden or kind.startswith(f"{forbidden}."):
                return f"{forbidden} checks are forbidden in {self._environment}"
        return ""

    def _bind_check(
        self, where: str, written: Mapping[str, Any], *, single: bool, judged: bool = True
    ) -> tuple[CheckSpec, KindLike, dict[str, str]] | None:
        check = dict(written)
        preset = check.pop("use", None)
        if preset is not None:
            if preset not in self._sidecar.presets:
                hint = did_you_mean(str(preset), self._sidecar.presets)
                self._note(where, f"there is no preset “{preset}”{hint}")
                return None
            check = {**self._sidecar.presets[preset], **check}
        filled, unset = self._fill(where, check)
        name = filled.pop("kind", None)
        kind = self._kinds.get(str(name)) if name else None
        if kind is None:
            nearest = self._kinds.nearest(str(name)) if name else None
            hint = f" (did you mean “{nearest}”?)" if nearest else ""
            said = f"there is no kind “{name}”{hint}" if name else "“kind” is missing"
            self._note(where, said)
            return None
        id_ = str(filled.pop("id", ""))
        if not single and not id_:
            self._note(where, "“id” is missing: each of several checks needs one")
        rules = self._rules(where, filled)
        samples = self._samples(where, filled.pop("samples", None))
        timeout = self._duration(f"{where}/timeout", filled.pop("timeout", self._sidecar.defaults.timeout))
        attempts = filled.pop("attempts", self._sidecar.defaults.attempts)
        if not isinstance(attempts, int) or not 1 <= attempts <= 5:
            self._note(f"{where}/attempts", "write a number from 1 to 5")
            attempts = 1
        params = self._params(where, kind, filled)
        if params is None:
            return None
        if judged:
            self._check_rules(where, kind, rules, params)
        spec = CheckSpec(
            id=id_,
            kind=kind.name,
            params=params,
            rules=rules,
            timeout=timeout,
            attempts=attempts,
            samples=samples,
        )
        return spec, kind, unset

    def _params(self, where: str, kind: KindLike, given: Mapping[str, Any]) -> Any:
        model: type[BaseModel] = kind.params
        try:
            params = model.model_validate(dict(given))
        except ValidationError as error:
            self.problems.extend(problems_of(error, model, at=where, also=RESERVED))
            return None
        problem = kind.problem(params)
        if problem:
            self._note(where, problem)
        return params

    def _rules(self, where: str, check: dict[str, Any]) -> Rules:
        taken: dict[str, dict[str, Any]] = {}
        for name in ("expect", "pass", "fail", "warn"):
            conditions = check.pop(name, None) or {}
            if not isinstance(conditions, Mapping):
                self._note(f"{where}/{name}", "write it as a mapping: value name to condition")
                conditions = {}
            for value, condition in conditions.items():
                problem = problem_with(condition)
                if problem:
                    self._note(f"{where}/{name}/{value}", problem)
            taken[name] = {str(value): condition for value, condition in conditions.items()}
        return Rules(must=taken["expect"] | taken["pass"], fail=taken["fail"], warn=taken["warn"])

    def _check_rules(self, where: str, kind: KindLike, rules: Rules, params: Any) -> None:
        if not rules.over(kind.defaults(params)):
            known = ", ".join(name for name in kind.values if name != "*")
            self._note(where, f"it asserts nothing: add expect or fail with one of {known or 'its values'}")
        if "*" in kind.values:
            return
        for name in (*rules.must, *rules.fail, *rules.warn):
            if name not in kind.values and name.partition(".")[0] not in kind.values:
                known_names = list(kind.values)
                hint = did_you_mean(name, known_names) or f"; there are {', '.join(known_names)}"
                self._note(where, f"{kind.name} observes no “{name}”{hint}")

    def _samples(self, where: str, written: Any) -> Samples | None:
        if written is None:
            return None
        if not isinstance(written, Mapping) or set(written) != {"count", "every", "fail_when"}:
            self._note(f"{where}/samples", "write count, every and fail_when, nothing else")
            return None
        count, fail_when = written["count"], written["fail_when"]
        every = self._duration(f"{where}/samples/every", written["every"])
        if not isinstance(count, int) or not isinstance(fail_when, int):
            self._note(f"{where}/samples", "count and fail_when are whole numbers")
            return None
        if not 1 <= fail_when <= count <= MOST_SAMPLES or count * every > LONGEST_SAMPLING:
            self._note(
                f"{where}/samples",
                f"needs 1 ≤ fail_when ≤ count ≤ {MOST_SAMPLES}, within {LONGEST_SAMPLING / 60:.0f} minutes",
            )
            return None
        return Samples(count=count, every=every, fail_when=fail_when)

    def _duration(self, where: str, value: Any) -> float:
        try:
            return self._duration_of(value)
        except ValueError as error:
            self._note(where, str(error))
            return 10.0

    def _check_members(self, bindings: Mapping[str, Binding]) -> None:
        for key, binding in bindings.items():
            for member in binding.members:
                if member not in bindings:
                    self._note(f"items/{key}", f"“{member}” has no checks{did_you_mean(member, bindings)}")
            if _reaches(bindings, key, key, set()):
                self._note(f"items/{key}", "it is made of itself")


def _with_members(binding: Binding, bindings: Mapping[str, Binding]) -> Binding:
    """What an item is made of must be set up, or it is not either."""
    missing = [name for member in binding.members if member in bindings for name in bindings[member].missing]
    return replace(binding, missing=tuple(dict.fromkeys([*binding.missing, *missing])))


def _place_in(secret: Secret | None) -> Iterator[str]:
    """The host and port of a secret that is a URL: they are no secret, the rest of it is."""
    try:
        parts = urlsplit(secret.reveal() if secret is not None else "")
        if parts.hostname:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            yield host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:
        return


def _reaches(bindings: Mapping[str, Binding], start: str, goal: str, seen: set[str]) -> bool:
    for member in bindings[start].members if start in bindings else ():
        if member == goal:
            return True
        if member not in seen:
            seen.add(member)
            if _reaches(bindings, member, goal, seen):
                return True
    return False
