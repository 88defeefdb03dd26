"""Checks as plain values: what is to be checked, what was seen, and what it means for the item.

A check observes named values; rules make an outcome of them (`bot.domain.rules`). Only `pass` and `warn` may
tick an item. No data is `unknown`, a check that is itself broken is `error`: neither is ever green.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What came of a check."""

    #: Everything that was demanded holds.
    PASS = "pass"
    #: It holds, and something deserves a look.
    WARN = "warn"
    #: The target is not as it must be, or does not answer.
    FAIL = "fail"
    #: There was nothing to judge by: no data, no permission, not set up, not reached in time.
    UNKNOWN = "unknown"
    #: The check itself is broken: a tool that is missing, a target it may not reach, a rule without a value.
    ERROR = "error"
    #: Forbidden in this environment.
    SKIPPED = "skipped"

    @property
    def ticks(self) -> bool:
        """Whether the item may be ticked for it."""
        return self in (Outcome.PASS, Outcome.WARN)


#: From the one that decides first. A skipped part leaves the item unverified, so it stands above warn.
SEVERITY = (
    Outcome.FAIL,
    Outcome.ERROR,
    Outcome.UNKNOWN,
    Outcome.SKIPPED,
    Outcome.WARN,
    Outcome.PASS,
)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a whole by those of its parts; a whole without parts is unknown."""
    return min(outcomes, key=SEVERITY.index, default=Outcome.UNKNOWN)


class Secret:
    """A secret's value, which no formatting, no log line and no repr shows."""

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        #: What the sidecar calls it.
        self.name = name
        self._value = value

    def reveal(self) -> str:
        """The value, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    __str__ = __repr__


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is demanded of the observed values; each rule is a name and a condition (`bot.domain.rules`)."""

    #: All must hold, else the outcome is fail (`expect` and `pass` in the sidecar).
    must: Mapping[str, Any] = field(default_factory=dict)
    #: Any of these makes the outcome fail.
    fail: Mapping[str, Any] = field(default_factory=dict)
    #: Any of these makes the outcome warn.
    warn: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything could fail at all."""
        return bool(self.must or self.fail)

    def over(self, defaults: Rules) -> Rules:
        """These rules on top of a kind's defaults: a rule written down replaces the default of its name."""
        return Rules(
            must={**defaults.must, **self.must},
            fail={**defaults.fail, **self.fail},
            warn={**defaults.warn, **self.warn},
        )


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Repeated observation of something that flaps (catalogue: `2 of 3` confirmation for metrics)."""

    #: How many times to look.
    count: int
    #: Seconds between looks.
    every: float
    #: So many failing looks make the whole fail; fewer make it warn.
    fail_when: int


@dataclass(frozen=True, kw_only=True)
class CheckSpec:
    """One check, ready to run: variables filled in, secrets at hand."""

    #: Unique within its item; empty where the item has one check.
    id: str = ""
    #: Name in the catalogue of kinds, e.g. `headers.security`.
    kind: str
    #: The kind's own parameters, validated by it.
    params: Any
    #: As written in the sidecar; the kind's defaults lie under them.
    rules: Rules = field(default_factory=Rules)
    #: Hard limit of one attempt, in seconds.
    timeout: float = 10.0
    #: Tries where the target could not be reached; a wrong answer is an answer and is not asked again.
    attempts: int = 2
    samples: Samples | None = None


@dataclass(frozen=True, kw_only=True)
class Binding:
    """What verifies one item of a checklist in one environment."""

    #: The item's key in its checklist.
    key: str
    #: The item's text: guards against a drifted checklist.
    text: str
    #: All of them must pass.
    checks: tuple[CheckSpec, ...] = ()
    #: What is left for a person to judge; with no checks, why only a person can.
    human: str = ""
    #: How long a result counts as verified.
    freshness: timedelta = timedelta(minutes=10)
    #: Whether it is run again at Go and at finish.
    cheap: bool = True
    #: Whether it is over once it has passed: a state that later steps change again.
    once: bool = False
    #: What has to be filled in before it can run, a phrase each; empty where it can.
    missing: tuple[str, ...] = ()
    #: Why it may not run in this environment; empty where it may.
    forbidden: str = ""
    #: Keys of the items whose results it is made of (kind `composite`).
    members: tuple[str, ...] = ()

    @property
    def automatic(self) -> bool:
        """Whether a machine verifies it, alone or with a person."""
        return bool(self.checks or self.missing or self.forbidden)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a check saw, before it is judged."""

    #: Named values the rules speak of: strings, numbers, booleans, None for "is absent", lists of these.
    values: Mapping[str, Any]
    #: What was looked at, without secrets: a URL, host and port, a query's name.
    target: str = ""
    #: What was seen, in one line for people: "63 days left, TLSv1.3, CN=shop.example.com".
    summary: str = ""
    #: Particulars worth keeping, a few lines; cut at 4 KB and redacted by the engine.
    excerpt: str = ""
    #: What the evidence rests on: when one of these changes, the evidence is stale.
    #: E.g. {"certificate": "sha256:…"}, {"commit": "…"}, {"migration_head": "…"}.
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one check found, kept for good."""

    #: The check's id within its item.
    id: str
    kind: str
    target: str
    outcome: Outcome
    #: What was seen, and what was demanded, one line each.
    observed: str
    expected: str
    #: Why it is not a pass, one sentence; empty for a pass.
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    excerpt: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime
    #: Milliseconds it took, all attempts and samples included.
    ms: float
    attempts: int = 1
    samples: int = 1


@dataclass(frozen=True, kw_only=True)
class ItemResult:
    """What the checks of one item found."""

    key: str
    outcome: Outcome
    evidence: tuple[Evidence, ...]
    #: When it was complete, and when it stops counting as verified.
    at: datetime
    expires_at: datetime
    ms: float
    #: Which version of the checks found it: the beginning of the sidecar's SHA-256.
    checks: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """What all of its evidence rests on."""
        return {
            f"{part.id}.{name}" if part.id else name: value
            for part in self.evidence
            for name, value in part.facts.items()
        }

    @property
    def decisive(self) -> Evidence | None:
        """The part that made the outcome what it is."""
        return next((part for part in self.evidence if part.outcome is self.outcome), None)


def result_to_json(result: ItemResult) -> dict[str, Any]:
    """As it is kept in the history."""
    return {
        "key": result.key,
        "outcome": result.outcome.value,
        "at": result.at.isoformat(),
        "expires_at": result.expires_at.isoformat(),
        "ms": round(result.ms, 1),
        **({"checks": result.checks} if result.checks else {}),
        "evidence": [evidence_to_json(part) for part in result.evidence],
    }


def evidence_to_json(part: Evidence) -> dict[str, Any]:
    """One check's evidence, without what is empty."""
    data: dict[str, Any] = {
        "id": part.id,
        "kind": part.kind,
        "target": part.target,
        "outcome": part.outcome.value,
        "observed": part.observed,
        "expected": part.expected,
        "reason": part.reason,
        "values": dict(part.values),
        "excerpt": part.excerpt,
        "facts": dict(part.facts),
        "started_at": part.started_at.isoformat(),
        "ms": round(part.ms, 1),
        "attempts": part.attempts,
        "samples": part.samples,
    }
    return {name: value for name, value in data.items() if value not in ("", {}, None)}


def result_from_json(data: Mapping[str, Any]) -> ItemResult:
    """From the history."""
    return ItemResult(
        key=data["key"],
        outcome=Outcome(data["outcome"]),
        at=datetime.fromisoformat(data["at"]).astimezone(UTC),
        expires_at=datetime.fromisoformat(data["expires_at"]).astimezone(UTC),
        ms=data["ms"],
        checks=data.get("checks", ""),
        evidence=tuple(evidence_from_json(part) for part in data["evidence"]),
    )


def evidence_from_json(data: Mapping[str, Any]) -> Evidence:
    """From the history."""
    return Evidence(
        id=data.get("id", ""),
        kind=data["kind"],
        target=data.get("target", ""),
        outcome=Outcome(data["outcome"]),
        observed=data.get("observed", ""),
        expected=data.get("expected", ""),
        reason=data.get("reason", ""),
        values=data.get("values", {}),
        excerpt=data.get("excerpt", ""),
        facts=data.get("facts", {}),
        started_at=datetime.fromisoformat(data["started_at"]).astimezone(UTC),
        ms=data["ms"],
        attempts=data.get("attempts", 1),
        samples=data.get("samples", 1),
    )
