"""What a deployment knows of its checks: which items have one, their newest results, the run under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bot.domain.check import Outcome
from bot.domain.events import BOT, Event


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
    #: Whether it is over once it has passed: a state that later steps change again.
    once: bool = False


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
    #: What it rests on; of a result that saw none, what the one before it rested on.
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
    #: Whether somebody wants to know, besides or before it goes on to Go or the end.
    asked: bool = True
    #: Who gave Go in a run that goes on to finish; empty where nobody did.
    go_by: str = ""
    #: Positions people unticked since it began: their word stands, whatever passes.
    unticked: frozenset[int] = frozenset()

    @property
    def finished(self) -> int:
        """How many results are there."""
        return len(self.positions) - len(self.pending)

    @property
    def giver(self) -> str:
        """Whose Go it leads to; empty where it leads to none."""
        return self.by if self.purpose is Purpose.GO else self.go_by


@dataclass(frozen=True, kw_only=True)
class Go:
    """Somebody's word that the deployment may go on."""

    by: str
    at: datetime
    seq: int


def bound_to_json(bindings: Mapping[int, Bound]) -> dict[str, Any]:
    """As it is kept in the first event."""
    return {
        str(position): {
            "human": bound.human,
            "cheap": bound.cheap,
            **({"once": True} if bound.once else {}),
        }
        for position, bound in sorted(bindings.items())
    }


def bound_from_json(data: Mapping[str, Any]) -> dict[int, Bound]:
    """From the first event; a deployment started before there were checks has none."""
    return {int(position): Bound(**bound) for position, bound in data.items()}


def result_of(data: Mapping[str, Any], seq: int, *, before: Result | None = None) -> Result:
    """The projection of a recorded result, `before` being the item's newest until then."""
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
        facts=facts or (before.facts if before is not None and not outcome.ticks else {}),
    )


def run_after(run: Run | None, event: Event) -> Run | None:
    """The run under way after one more event about checks or ticks."""
    fact, data = event.fact, event.fact.data
    match fact.kind:
        case "checks.requested" if run is None:
            purpose = Purpose(data["purpose"])
            return Run(
                seq=event.seq,
                by=fact.actor,
                at=fact.at,
                purpose=purpose,
                positions=tuple(data["positions"]),
                pending=frozenset(data["positions"]),
                asked=purpose is Purpose.ASKED and not data.get("quiet"),
            )
        case "checks.requested" if run is not None:
            asked = data["purpose"] == Purpose.ASKED and not data.get("quiet")
            return _joined(run, Purpose(data["purpose"]), data["positions"], user=fact.actor, asked=asked)
        case "item.unticked" if run is not None and fact.actor != BOT:
            return replace(run, unticked=run.unticked | {data["position"]})
        case "item.ticked" | "item.overruled" if run is not None:
            return replace(run, unticked=run.unticked - {data["position"]})
        case "deployment.no_go" if run is not None:
            # Whatever it was to lead to: somebody said No-go meanwhile.
            return replace(run, purpose=Purpose.ASKED, asked=True, go_by="")
        case "check.recorded":
            return replace(run, pending=run.pending - {data["position"]}) if run is not None else None
        case "checks.ended" | "checks.cancelled":
            return None
    return run


def _joined(run: Run, purpose: Purpose, positions: Sequence[int], *, user: str, asked: bool) -> Run:
    """Two runs at once are one run: the later request joins the one under way.

    What it leads to is the furthest of what was asked for: the end, then Go. Nobody's Go is lost to somebody
    else's end, and an item somebody asks for anew is not spared for having been unticked before.
    """
    leads_further = _REACH.index(purpose) > _REACH.index(run.purpose)
    go_by = run.go_by
    if Purpose.GO in (purpose, run.purpose) and Purpose.FINISH in (purpose, run.purpose):
        go_by = go_by or (user if purpose is Purpose.GO else run.by)
    return replace(
        run,
        positions=tuple(dict.fromkeys([*run.positions, *positions])),
        pending=run.pending | frozenset(positions),
        purpose=purpose if leads_further else run.purpose,
        by=user if leads_further else run.by,
        asked=run.asked or asked,
        go_by=go_by,
        unticked=run.unticked - frozenset(positions if asked else ()),
    )


#: How far a run leads, in ascending order.
_REACH = (Purpose.ASKED, Purpose.GO, Purpose.FINISH)


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
        "asked": run.asked,
        "go_by": run.go_by,
        "unticked": sorted(run.unticked),
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
        asked=data.get("asked", data["purpose"] == Purpose.ASKED),
        go_by=data.get("go_by", ""),
        unticked=frozenset(data.get("unticked", ())),
    )
