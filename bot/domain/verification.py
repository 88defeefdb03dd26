"""What a deployment knows of its checks: which items have one, their newest results, the run under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bot.domain.check import Outcome
from bot.domain.events import Event


class Purpose(StrEnum):
    """Why a run was asked for; what follows when it is over."""

    #: Somebody wants to know.
    ASKED = "asked"
    #: Evidence is looked at again before Go is given.
    GO = "go"
    #: Evidence is looked at again before the deployment is finished.
    FINISH = "finish"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """An item a machine can verify here, as of the start of the deployment."""

    #: What a person still judges besides ("partly"); empty where the check is enough.
    human: str = ""
    #: Whether it is run again at Go and at finish.
    cheap: bool = True


@dataclass(frozen=True, kw_only=True)
class Result:
    """The newest result of an item's checks; the evidence is in the event."""

    outcome: Outcome
    #: The most telling line: why it is not a pass, or what was observed.
    said: str
    at: datetime
    #: When it stops counting as verified.
    expires_at: datetime
    #: The event that holds the evidence.
    seq: int
    ms: float
    #: What it rests on.
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of checks under way."""

    #: The event that asked for it: its number.
    seq: int
    #: Slack user id, or `bot`.
    by: str
    at: datetime
    purpose: Purpose
    #: Positions of the items asked for, and of those whose result is still to come.
    positions: tuple[int, ...]
    pending: frozenset[int]

    @property
    def finished(self) -> int:
        """How many results are there."""
        return len(self.positions) - len(self.pending)


@dataclass(frozen=True, kw_only=True)
class Go:
    """Somebody's word that the deployment may go on."""

    by: str
    at: datetime
    seq: int


def bound_to_json(bindings: Mapping[int, Bound]) -> dict[str, Any]:
    """As it is kept in the first event."""
    return {
        str(position): {"human": bound.human, "cheap": bound.cheap}
        for position, bound in sorted(bindings.items())
    }


def bound_from_json(data: Mapping[str, Any]) -> dict[int, Bound]:
    """From the first event; a deployment started before there were checks has none."""
    return {int(position): Bound(**bound) for position, bound in data.items()}


def result_of(data: Mapping[str, Any], seq: int) -> Result:
    """The projection of a recorded result."""
    outcome = Outcome(data["outcome"])
    parts = data["evidence"]
    telling = next((part for part in parts if part["outcome"] == outcome), parts[0] if parts else {})
    facts = {
        f"{part['id']}.{name}" if part.get("id") else name: value
        for part in parts
        for name, value in part.get("facts", {}).items()
    }
    if outcome is Outcome.PASS:
        said = "; ".join(dict.fromkeys(part["observed"] for part in parts if part.get("observed")))[:300]
    else:
        said = telling.get("reason", "")
    return Result(
        outcome=outcome,
        said=said or telling.get("observed", "") or telling.get("reason", ""),
        at=_instant(data["at"]),
        expires_at=_instant(data["expires_at"]),
        seq=seq,
        ms=data["ms"],
        facts=facts,
    )


def run_after(run: Run | None, event: Event) -> Run | None:
    """The run under way after one more event about checks."""
    fact, data = event.fact, event.fact.data
    match fact.kind:
        case "checks.requested" if run is None:
            return Run(
                seq=event.seq,
                by=fact.actor,
                at=fact.at,
                purpose=Purpose(data["purpose"]),
                positions=tuple(data["positions"]),
                pending=frozenset(data["positions"]),
            )
        case "checks.requested" if run is not None:
            # Two runs at once are one run: the later request joins the one under way.
            takes_over = data["purpose"] != Purpose.ASKED
            return replace(
                run,
                positions=tuple(dict.fromkeys([*run.positions, *data["positions"]])),
                pending=run.pending | frozenset(data["positions"]),
                purpose=Purpose(data["purpose"]) if takes_over else run.purpose,
                by=fact.actor if takes_over else run.by,
            )
        case "check.recorded":
            return replace(run, pending=run.pending - {data["position"]}) if run is not None else None
    return None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def run_to_json(run: Run) -> dict[str, Any]:
    """As the projection keeps it."""
    return {
        "seq": run.seq,
        "by": run.by,
        "at": run.at.isoformat(),
        "purpose": run.purpose.value,
        "positions": list(run.positions),
        "pending": sorted(run.pending),
    }


def run_from_json(data: Mapping[str, Any]) -> Run:
    """From the projection."""
    return Run(
        seq=data["seq"],
        by=data["by"],
        at=_instant(data["at"]),
        purpose=Purpose(data["purpose"]),
        positions=tuple(data["positions"]),
        pending=frozenset(data["pending"]),
    )
