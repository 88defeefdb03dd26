"""The sidecar of a checklist: `production.yaml` beside `production.md` says what verifies which items.

Read with ruamel.yaml (YAML 1.2: duplicate keys are refused, `on` stays a word) and validated as a whole:
every problem is named at once, with its place in the file. `reference.yaml` shows every option.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bot.domain.conduct import Hold, Permission
from bot.domain.errors import SidecarUnusable
from bot.domain.monitoring import Measure

#: Largest file. Own choice: a thousand items bound at length fit.
LARGEST = 1024 * 1024
#: Names of signals: the samples' column holds 64 characters, a suffix of the watch's own among them.
SIGNAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Variable(_Strict):
    """A value that differs from team to team."""

    about: str = Field(default="", description="What it is, in one line.")
    env: str = Field(default="", description="Environment variable of the bot's process that sets it.")
    default: Any = Field(default=None, description="Its value where nothing else sets it.")
    example: Any = Field(
        default=None,
        description="A value of the right form: checks are validated with it while the variable is unset.",
    )

    @model_validator(mode="after")
    def _has_a_form(self) -> Variable:
        if self.default is None and self.example is None:
            raise ValueError("give a default, or an example that shows its form")
        return self


class SecretSource(_Strict):
    """A secret: from the environment of the bot's process, never from a file."""

    env: str = Field(description="Environment variable that holds it.", min_length=1)
    about: str = Field(default="", description="What it is for, and the least rights it needs.")


class Environment(_Strict):
    """What differs in one environment."""

    vars: dict[str, Any] = Field(default_factory=dict, description="Values of variables here.")
    secrets: dict[str, SecretSource] = Field(
        default_factory=dict, description="Secrets that come from elsewhere here."
    )
    allow: list[str] = Field(
        default_factory=list,
        description="Hosts checks may connect to here, besides those allowed everywhere.",
    )
    forbid: list[str] = Field(
        default_factory=list, description="Kinds, or families of kinds, that are skipped here."
    )
    require: list[str] = Field(
        default_factory=list, description="`vars.name` and `secrets.name` without which the bot won't start."
    )


class Defaults(_Strict):
    """What applies to every check that says nothing else."""

    timeout: str | float = Field(default="10s", description="Hard limit of one attempt.")
    attempts: int = Field(
        default=2,
        ge=1,
        le=5,
        description="Tries where the target could not be reached; never after an answer.",
    )
    freshness: str | float = Field(default="10m", description="How long a result counts as verified.")


class ItemChecks(_Strict):
    """What verifies one item."""

    text: str = Field(description="The item's text: guards against a checklist that changed since.")
    check: dict[str, Any] | None = Field(default=None, description="Its one check.")
    all: list[dict[str, Any]] | None = Field(
        default=None, description="Its checks, each with an id; all must pass.", min_length=1
    )
    human: str = Field(
        default="", description="What a person still judges; without a check, why only a person can."
    )
    freshness: str | float | None = Field(default=None, description="How long its result counts as verified.")
    cheap: bool | None = Field(
        default=None, description="Whether it is run again at Go and at finish; the kind decides if unset."
    )
    once: bool = Field(
        default=False,
        description="Whether it is over once it has passed: a state that later steps change again.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> ItemChecks:
        if self.check is not None and self.all is not None:
            raise ValueError("has both check and all; use one of them")
        if self.check is None and self.all is None and not self.human:
            raise ValueError("needs check or all, or a human sentence that says why only a person can")
        return self


class WatchedSignal(_Strict):
    """One thing that is watched after the deploy; exactly one of series, probe and findings."""

    trigger: str = Field(description="The checklist's rollback trigger it raises: its text.")
    label: str = Field(default="", description="What people call it; the signal's name where unset.")
    measure: Measure = Field(
        default=Measure.OTHER,
        description="Of a series, what its numbers are: error_pct, latency_ms or other; higher is worse.",
    )
    series: dict[str, Any] | None = Field(
        default=None,
        description="A check whose value is compared with those before the deploy: signal.prometheus is "
        "asked back in time, any other kind is looked at from the start of the deployment on.",
    )
    probe: dict[str, Any] | None = Field(
        default=None, description="A check that must pass; two failures in a row raise the trigger."
    )
    findings: dict[str, Any] | None = Field(
        default=None,
        description="A check that lists ids; one that was not there before the deploy raises the trigger.",
    )
    value: str = Field(
        default="", description="The observed value that counts: value of a series, ids of findings if unset."
    )
    min_change: float | None = Field(
        default=None,
        gt=0,
        description="Least difference that matters, in points, ms or its own unit; unset: 0.5 points, 20 ms.",
    )

    @model_validator(mode="after")
    def _is_one_of_three(self) -> WatchedSignal:
        if sum(form is not None for form in (self.series, self.probe, self.findings)) != 1:
            raise ValueError("needs exactly one of series, probe and findings")
        return self


class KnownBad(_Strict):
    """A span that says nothing about how things are."""

    start: datetime = Field(description="Its beginning, with an offset: 2026-03-02T11:00:00+01:00.")
    end: datetime = Field(description="Its end.")

    @field_validator("start", "end")
    @classmethod
    def _has_an_offset(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("write the offset as well: 2026-03-02T11:00:00+01:00")
        return value


class EscalateAlerts(_Strict):
    """After how long an alert that nobody acknowledges goes further."""

    lead: str | float = Field(default="5m", description="Until the lead gets a direct message.")
    on_call: str | float = Field(default="10m", description="Until on_call is mentioned again.")


class WatchBlock(_Strict):
    """The watch after the deploy."""

    interval: str | float = Field(default="60s", description="Between samples.")
    fast: str | float = Field(
        default="15s", description="Between samples while evidence against the deploy builds up."
    )
    duration: str | float = Field(default="1h", description="How long it is watched.")
    grace: str | float = Field(default="0s", description="How much of the beginning is left out.")
    baseline: str | float = Field(default="1h", description="How long before the deploy is compared with.")
    known_bad: list[KnownBad] = Field(
        default_factory=list, description="Spans left out of the baseline, e.g. an outage."
    )
    links: dict[str, str] = Field(
        default_factory=dict, description="Where people look further: label and URL."
    )
    escalate: EscalateAlerts = Field(
        default_factory=EscalateAlerts, description="Who is told when nobody acknowledges an alert."
    )
    signals: dict[str, WatchedSignal] = Field(
        default_factory=dict,
        description="By name: up to 40 letters, digits, - and _.",
    )

    @field_validator("signals")
    @classmethod
    def _have_short_names(cls, value: dict[str, WatchedSignal]) -> dict[str, WatchedSignal]:
        for name in value:
            if not SIGNAL_NAME.fullmatch(name):
                raise ValueError(f"'{name}' is no name of a signal; use up to 40 letters, digits, - and _")
        return value


class PlannedReminder(_Strict):
    """One reminder after the deploy."""

    after: str | float = Field(description="How long after the deploy: 5m, 1h, 24h.")
    items: list[str] = Field(
        default_factory=list, description="Keys of the items; those that are done by then are left out."
    )
    text: str = Field(default="", description="Words to go with it; without items, all it says.")

    @model_validator(mode="after")
    def _says_something(self) -> PlannedReminder:
        if not self.items and not self.text.strip():
            raise ValueError("needs items, or a text")
        return self


class Escalate(_Strict):
    """Whom an unanswered reminder reaches next."""

    lead: str | float = Field(
        default="15m", description="From the message in the thread to a direct message to the lead, or never."
    )
    group: str | float = Field(
        default="30m", description="From the direct message to a mention of on_call in the thread, or never."
    )


class Reminders(_Strict):
    """Reminders after the deploy; a plain list is the plan."""

    plan: list[PlannedReminder] | None = Field(
        default=None, description="When, of what; unset: the post-deployment items at 5m, 15m, 30m, 1h, 24h."
    )
    escalate: Escalate = Field(default_factory=Escalate)


class GateRule(_Strict):
    """A section or group that has to be complete before things go on."""

    part: str = Field(description="The section or group: the first part, or first two, of its items' keys.")
    holds: list[Hold] = Field(
        default_factory=lambda: [Hold.GO],
        description="What it keeps from happening: go, next (people's ticks of later items), finish.",
        min_length=1,
    )


class ApprovalRule(_Strict):
    """Four eyes: Go is given by somebody else than the lead."""

    group: str = Field(
        default="", description="Slack id of the user group (S…) they must be in; anybody if unset."
    )


class PermissionRule(_Strict):
    """Who may do something, and where; anybody anywhere if unset."""

    people: list[str] = Field(
        default_factory=list, description="Slack ids of people (U…) and user groups (S…)."
    )
    channels: list[str] = Field(default_factory=list, description="Slack ids of channels (C…).")

    @model_validator(mode="after")
    def _restricts_something(self) -> PermissionRule:
        if not self.people and not self.channels:
            raise ValueError("needs people or channels; leave it out where everybody may")
        return self


class PeopleBlock(_Strict):
    """The rules people keep to."""

    gates: list[GateRule] = Field(default_factory=list, description="What has to be complete before what.")
    optional: list[str] = Field(
        default_factory=list,
        description="Keys of items, groups or sections nobody has to do, besides items ending in (optional).",
    )
    owners: dict[str, list[str]] = Field(
        default_factory=dict,
        description="By section or group: Slack ids of the people (U…) and user groups (S…) who own it.",
    )
    approval: ApprovalRule | None = Field(
        default=None, description="Go needs somebody else than the lead; anybody gives it if unset."
    )
    permissions: dict[Permission, PermissionRule] = Field(
        default_factory=dict,
        description="By what is done: start, tick, waive, approve, roll_back, override, lock, end.",
    )


class FreezeEntry(_Strict):
    """A time in which nothing is deployed: cron with duration, or start with end."""

    name: str = Field(description="What people call it.", min_length=1, max_length=80)
    reason: str = Field(description="Why, in a few words.", min_length=1, max_length=300)
    environments: list[str] = Field(
        default_factory=lambda: ["*"], description="Where: names or patterns like prod*.", min_length=1
    )
    services: list[str] = Field(
        default_factory=lambda: ["*"], description="What: names or patterns.", min_length=1
    )
    cron: str = Field(
        default="", description="When it begins: minute, hour, day, month, day of the week (mon–sun)."
    )
    duration: str | float | None = Field(
        default=None, description="How long it lasts from then, in real hours: 64h."
    )
    timezone: str = Field(default="UTC", description="IANA name of the zone cron is in.")
    start: datetime | None = Field(
        default=None, description="Its beginning, with an offset: 2026-12-24T12:00:00+01:00."
    )
    end: datetime | None = Field(default=None, description="Its end.")


class Sidecar(_Strict):
    """A whole sidecar."""

    version: Literal[1] = Field(description="Of this format.")
    checklist: str = Field(default="", description="The Markdown file it belongs to.")
    vars: dict[str, Variable] = Field(default_factory=dict, description="Every variable checks use.")
    secrets: dict[str, SecretSource] = Field(default_factory=dict, description="Every secret checks use.")
    environments: dict[str, Environment] = Field(
        default_factory=dict, description="By name; `*` applies to those not named."
    )
    allow: list[str] = Field(
        default_factory=list,
        description="Hosts checks may connect to: names, *.names, networks or URLs, with a port or without.",
    )
    forbid: list[str] = Field(default_factory=list, description="Kinds that are skipped everywhere.")
    require: list[str] = Field(
        default_factory=list, description="`vars.name` and `secrets.name` without which the bot won't start."
    )
    commands: list[str] = Field(
        default_factory=list, description="Absolute paths of programs that checks may run; none by default."
    )
    root: str = Field(
        default=".", description="Folder that paths in checks are under, seen from the sidecar's folder."
    )
    ca_file: str = Field(default="", description="CA certificates to trust besides the system's, under root.")
    defaults: Defaults = Field(default_factory=Defaults)
    presets: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Parts of checks to share: a check takes one over with `use: name`."
    )
    items: dict[str, ItemChecks] = Field(
        default_factory=dict, description="By the item's key; of a rollback step, rollback/ and its words."
    )
    watch: WatchBlock | None = Field(default=None, description="What is watched after the deploy.")
    reminders: Reminders | None = Field(default=None, description="What people are reminded of.")
    people: PeopleBlock = Field(
        default_factory=PeopleBlock, description="Gates, owners, approval and permissions."
    )
    freezes: list[FreezeEntry] = Field(
        default_factory=list, description="Times in which nothing is deployed."
    )
    quiet_lead: str | float = Field(
        default="30m",
        description="After how long without a word the lead is asked, and later the thread; or never.",
    )
    on_call: str = Field(
        default="",
        description="Slack id of the user group (S…) or person (U…) alerts and unanswered reminders reach.",
    )

    @field_validator("reminders", mode="before")
    @classmethod
    def _a_list_is_the_plan(cls, value: Any) -> Any:
        return {"plan": value} if isinstance(value, list) else value

    @field_validator("vars", mode="before")
    @classmethod
    def _plain_values_are_defaults(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            name: variable if isinstance(variable, Mapping) else {"default": variable}
            for name, variable in value.items()
        }

    @field_validator("commands")
    @classmethod
    def _absolute(cls, value: list[str]) -> list[str]:
        for path in value:
            if not path.startswith("/"):
                raise ValueError(f"'{path}' is no absolute path")
        return value


@dataclass(frozen=True, kw_only=True)
class SidecarFile:
    """A sidecar with where it came from."""

    path: Path
    content: Sidecar
    #: SHA-256 of the file: says which version of the checks made an evidence.
    digest: str

    @property
    def root(self) -> Path:
        """The folder paths in checks are under."""
        return (self.path.parent / self.content.root).resolve()


def read_sidecar(path: Path) -> SidecarFile:
    """The sidecar in a file. Raises SidecarUnusable with everything that is wrong with its form."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise SidecarUnusable(path.name, (f"it cannot be read ({error.strerror})",)) from error
    if len(data) > LARGEST:
        raise SidecarUnusable(path.name, ("it is larger than 1 MiB",))
    try:
        loaded = YAML(typ="safe", pure=True).load(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SidecarUnusable(path.name, ("it is not UTF-8 text",)) from error
    except DuplicateKeyError as error:
        raise SidecarUnusable(path.name, (_yaml_problem(error, "a key stands there twice"),)) from error
    except YAMLError as error:
        raise SidecarUnusable(path.name, (_yaml_problem(error, "it is no YAML"),)) from error
    if not isinstance(loaded, Mapping):
        raise SidecarUnusable(path.name, ("it holds no mapping: begin with `version: 1`",))
    try:
        content = Sidecar.model_validate(loaded)
    except ValidationError as error:
        raise SidecarUnusable(path.name, tuple(problems_of(error, Sidecar))) from error
    return SidecarFile(path=path, content=content, digest=hashlib.sha256(data).hexdigest())


def _yaml_problem(error: YAMLError, what: str) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    where = f"line {mark.line + 1}: " if mark is not None else ""
    detail = str(getattr(error, "problem", "") or "").splitlines()
    return f"{where}{what}{f' ({detail[0]})' if detail else ''}"


def problems_of(
    error: ValidationError, model: type[BaseModel], *, at: str = "", also: Iterable[str] = ()
) -> Iterable[str]:
    """What pydantic found, as sentences with the place, and with the word that may have been meant."""
    known = {*_field_names(model), *also}
    for found in error.errors():
        steps = [str(step) for step in found["loc"]]
        where = "/".join(filter(None, [at, *steps[:-1]])) or "the file"
        last = steps[-1] if steps else ""
        match found["type"]:
            case "extra_forbidden":
                yield f"{where}: unknown key “{last}”{did_you_mean(last, known)}"
            case "missing":
                yield f"{where}: “{last}” is missing"
            case "dict_type":
                yield f"{'/'.join(filter(None, [at, *steps]))}: must be a mapping, written as `key: value`"
            case "is_instance_of" if found["ctx"].get("class") == "Secret":
                yield f"{'/'.join(filter(None, [at, *steps]))}: must be a secret, written as {{secret: name}}"
            case _:
                message = found["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
                yield f"{'/'.join(filter(None, [at, *steps])) or 'the file'}: {message}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean “host”?)`, or nothing."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.55)
    return f" (did you mean “{nearest[0]}”?)" if nearest else ""


def _field_names(model: type[BaseModel]) -> set[str]:
    """The names of a model's fields, and of the models inside it."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        names.add(field.alias or name)
        for annotation in _inside(field.annotation):
            if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation is not model:
                names |= _field_names(annotation)
    return names


def _inside(annotation: Any) -> Iterable[Any]:
    """A type and all that it is made of: `list[Line] | None` is made of `Line` as well."""
    yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _inside(part)
