"""What a deployment knows of the time after the deploy: the watch, the rollback triggers, the rollback.

A trigger is `ok` until something raises it; then it is latched: whatever the metric does, only a person
clears it. The samples a verdict rests on are kept beside the events, what follows from them is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bot.domain.checklist import RUNBOOK
from bot.domain.events import BOT, Event, Fact
from bot.domain.monitoring import Verdict

#: The last part of the key of the item whose tick says that the change is live.
DEPLOYED = "verify-deployment"
#: The key of the rollback step that says the rollback worked.
VERIFIED = f"{RUNBOOK}/verify-rollback"


class TriggerState(StrEnum):
    """Where a rollback trigger stands; one that was never raised is not known."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"

    @property
    def raised(self) -> bool:
        """Whether it still asks for a decision."""
        return self is not TriggerState.CLEARED


def says_it_is_live(key: str) -> bool:
    """Whether an item's tick says that the change is live, by its key in whatever section it stands."""
    return key.rpartition("/")[2] == DEPLOYED


class Source(StrEnum):
    """Who raised a trigger."""

    WATCH = "watch"
    PERSON = "person"
    ALERTMANAGER = "alertmanager"
    #: Another system, through `/hooks/triggers`.
    HOOK = "hook"
    #: Nobody: it is an exercise.
    DRILL = "drill"


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """When the change was live: Go, the tick of the item that says so, or CI's word, whichever came first.

    A No-go takes it back where nothing but that Go said it.
    """

    by: str
    at: datetime
    seq: int


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the watch last said of one signal."""

    verdict: Verdict
    #: In plain words; of an inconclusive one, why.
    said: str
    #: Evidence against the signal is building up: its trigger is pending.
    pending: bool = False


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The watch over a deployment: prepared at its start, begun when the change is live."""

    begun_at: datetime | None = None
    until: datetime | None = None
    #: What it would see at this traffic, a sentence each, said before Go.
    power: tuple[str, ...] = ()
    #: Label and newest judgement of each signal, by name, in the order they are declared.
    labels: Mapping[str, str] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)
    ended_at: datetime | None = None

    @property
    def running(self) -> bool:
        """Whether samples are taken of what was deployed."""
        return self.begun_at is not None and self.ended_at is None

    @property
    def verdict(self) -> Verdict:
        """Of all signals: one that got worse decides, then one that could not be judged."""
        verdicts = [judged.verdict for judged in self.judged.values()]
        if Verdict.DEGRADED in verdicts:
            return Verdict.DEGRADED
        missing = len(verdicts) < len(self.labels)
        if missing or not verdicts or Verdict.INCONCLUSIVE in verdicts:
            return Verdict.INCONCLUSIVE
        return Verdict.HEALTHY


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A person's word that they see it, too."""

    by: str
    at: datetime
    #: What they wrote, and where they saw it; empty for none.
    said: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A rollback trigger that was raised."""

    #: Unique in the deployment.
    key: str
    #: What the checklist calls it, or who raised it.
    title: str
    source: Source
    state: TriggerState
    #: Who raised it: Slack user id, or `bot`.
    by: str
    at: datetime
    #: The event that raised it.
    seq: int
    #: What the alert shows; see `bot.domain.triggering.TriggerFinding`.
    finding: Mapping[str, Any] = field(default_factory=dict)
    #: How bad it was when it was announced, in the signal's unit, and when it was last looked at; it is
    #: announced again when it is twice as bad.
    size: float = 0.0
    latest: float = 0.0
    #: How bad the watch found what somebody else had raised, when its figures joined that or were announced.
    measured: float = 0.0
    #: When the finding was last renewed.
    updated_at: datetime | None = None
    #: Names what happened where somebody else counts it, e.g. the start of an alert in Alertmanager.
    occurrence: str = ""
    #: How often it was announced, and when last: escalation counts from then.
    announced: int = 1
    announced_at: datetime | None = None
    #: How far it has escalated: 0 the thread, 1 the lead, 2 the group.
    escalated: int = 0
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    #: When the signal was back to normal, and what was seen; the trigger stays raised.
    recovered_at: datetime | None = None
    recovered: str = ""
    #: How often it did since it was announced.
    recoveries: int = 0
    snoozed_until: datetime | None = None
    #: Who wanted to be reminded then.
    snoozed_by: str = ""
    cleared_by: str = ""
    cleared_at: datetime | None = None
    #: Why it is not this deployment's, or what settled it.
    reason: str = ""
    #: Cleared as this deployment's own, and mended.
    ours: bool = False
    #: Who raised it as well while it was raised.
    joined: tuple[Joined, ...] = ()
    #: Since when what the signal does is a new occurrence: it was well again, and cleared, before.
    anew_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Somebody's decision to go back."""

    by: str
    at: datetime
    seq: int
    why: str
    #: The trigger it answers; empty where somebody decided without one.
    trigger: str = ""
    #: When that trigger was raised.
    alerted_at: datetime | None = None
    acknowledged_at: datetime | None = None
    first_step_at: datetime | None = None
    #: When the step that verifies it was done.
    verified_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """All of it, kept together."""

    deployed: Deployed | None = None
    watch: Watch | None = None
    #: By key, in the order they were raised.
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    rollback: Rollback | None = None
    #: How often it was to be live and a No-go came before it was.
    taken_back: int = 0

    def trigger_of(self, seq: int) -> Trigger | None:
        """The trigger that this event raised, as long as it was not raised anew."""
        return next((one for one in self.triggers.values() if one.seq == seq), None)

    @property
    def raised(self) -> tuple[Trigger, ...]:
        """Triggers that ask for a decision, drills left out."""
        return tuple(
            trigger
            for trigger in self.triggers.values()
            if trigger.state.raised and trigger.source is not Source.DRILL
        )


def aftermath_after(state: Aftermath, event: Event) -> Aftermath:
    """The state after one more event; events about other things leave it as it is."""
    fact, data = event.fact, event.fact.data
    match fact.kind:
        case "deployment.go" if state.deployed is None:
            return replace(state, deployed=Deployed(by=fact.actor, at=fact.at, seq=event.seq))
        case "deployment.reported" if state.deployed is None and data["state"] == "deployed":
            return replace(state, deployed=Deployed(by=fact.actor, at=fact.at, seq=event.seq))
        case "deployment.no_go" if data.get("not_live"):
            watch = state.watch
            if watch is not None:
                watch = replace(watch, begun_at=None, until=None, ended_at=None, judged={})
            return replace(state, deployed=None, watch=watch, taken_back=state.taken_back + 1)
        case "item.ticked" | "item.overruled" if not data.get("moot"):
            return _ticked(state, data["item"], event)
        case "item.unticked" if not data.get("moot") and data["item"] == VERIFIED:
            if state.rollback is not None:
                return replace(state, rollback=replace(state.rollback, verified_at=None))
        case "watch.prepared":
            watch = replace(state.watch or Watch(), power=tuple(data["power"]), labels=dict(data["labels"]))
            return replace(state, watch=watch)
        case "watch.begun":
            watch = replace(
                state.watch or Watch(),
                begun_at=fact.at,
                until=_instant(data["until"]),
                labels=dict(data["labels"]),
                judged={},
            )
            return replace(state, watch=watch)
        case "watch.judged" if state.watch is not None:
            judged = {name: judged_from_json(one) for name, one in data["signals"].items()}
            return replace(state, watch=replace(state.watch, judged={**state.watch.judged, **judged}))
        case "watch.extended" if state.watch is not None:
            watch = replace(state.watch, until=_instant(data["until"]), ended_at=None)
            return replace(state, watch=watch)
        case "watch.ended" if state.watch is not None:
            return replace(state, watch=replace(state.watch, ended_at=fact.at))
        case "rollback.started":
            return replace(state, rollback=_started(state, event))
        case kind if kind.startswith("trigger."):
            trigger = _trigger_after(state.triggers.get(data["key"]), event)
            if trigger is not None:
                return replace(state, triggers={**state.triggers, data["key"]: trigger})
    return state


def _ticked(state: Aftermath, key: str, event: Event) -> Aftermath:
    at, rollback = event.fact.at, state.rollback
    if says_it_is_live(key) and state.deployed is None:
        return replace(state, deployed=Deployed(by=event.fact.actor, at=at, seq=event.seq))
    if rollback is None or not key.startswith(f"{RUNBOOK}/"):
        return state
    return replace(
        state,
        rollback=replace(
            rollback,
            first_step_at=rollback.first_step_at or at,
            verified_at=at if key == VERIFIED else rollback.verified_at,
        ),
    )


def _trigger_after(trigger: Trigger | None, event: Event) -> Trigger | None:
    fact, data = event.fact, event.fact.data
    if fact.kind == "trigger.fired":
        return Trigger(
            key=data["key"],
            title=data["title"],
            source=Source(data["source"]),
            state=TriggerState.FIRING,
            by=fact.actor,
            at=fact.at,
            seq=event.seq,
            finding=data["finding"],
            size=data["size"],
            latest=data["size"],
            updated_at=fact.at,
            occurrence=data.get("occurrence", ""),
            announced_at=fact.at,
            anew_at=trigger.anew_at if trigger is not None else None,
        )
    if trigger is None:
        return None
    match fact.kind:
        case "trigger.worsened":
            return replace(
                trigger,
                state=TriggerState.FIRING,
                finding=data["finding"],
                size=data["size"],
                latest=data["size"],
                measured=data.get("measured", trigger.measured),
                updated_at=fact.at,
                announced=trigger.announced + 1,
                announced_at=fact.at,
                escalated=0,
                recovered_at=None,
                recovered="",
                recoveries=0,
                snoozed_until=None,
            )
        case "trigger.acknowledged" if trigger.state is TriggerState.FIRING:
            return replace(
                trigger,
                state=TriggerState.ACKNOWLEDGED,
                acknowledged_by=fact.actor,
                acknowledged_at=fact.at,
            )
        case "trigger.updated":
            return replace(
                trigger,
                finding=data["finding"],
                latest=data.get("size", trigger.latest),
                measured=data.get("measured", trigger.measured),
                updated_at=fact.at,
                recovered_at=None,
                recovered="",
            )
        case "trigger.joined":
            told = Joined(by=fact.actor, at=fact.at, said=data.get("said", ""), link=data.get("link", ""))
            return replace(trigger, joined=(*trigger.joined, told))
        case "trigger.escalated":
            return replace(trigger, escalated=data["level"])
        case "trigger.recovered":
            return replace(
                trigger,
                recovered_at=fact.at,
                recovered=data["said"],
                recoveries=trigger.recoveries + 1,
            )
        case "trigger.snoozed":
            return replace(trigger, snoozed_until=_instant(data["until"]), snoozed_by=fact.actor)
        case "trigger.awoke":
            return replace(trigger, snoozed_until=None, announced_at=fact.at, escalated=0)
        case "trigger.cleared":
            return replace(
                trigger,
                state=TriggerState.CLEARED,
                cleared_by=fact.actor,
                cleared_at=fact.at,
                anew_at=fact.at if trigger.recovered_at is not None else trigger.anew_at,
                reason=data["reason"],
                ours=bool(data.get("ours")),
            )
    return trigger


def _started(state: Aftermath, event: Event) -> Rollback:
    fact, data = event.fact, event.fact.data
    trigger = state.triggers.get(data.get("trigger", ""))
    return Rollback(
        by=fact.actor,
        at=fact.at,
        seq=event.seq,
        why=data["why"],
        trigger=data.get("trigger", ""),
        alerted_at=trigger.at if trigger is not None else None,
        acknowledged_at=trigger.acknowledged_at if trigger is not None else None,
    )


# ── facts of the watch ───────────────────────────────────────────────────────────────────────────────────


def prepared(*, labels: Mapping[str, str], power: Sequence[str], at: datetime) -> Fact:
    """What will be watched, and what could be seen at this traffic."""
    return Fact(kind="watch.prepared", actor=BOT, at=at, data={"labels": dict(labels), "power": list(power)})


def begun(*, labels: Mapping[str, str], until: datetime, at: datetime) -> Fact:
    """The change is live, and watched until then."""
    return Fact(
        kind="watch.begun", actor=BOT, at=at, data={"labels": dict(labels), "until": until.isoformat()}
    )


def judged(signals: Mapping[str, Judged], *, at: datetime) -> Fact:
    """What is said of signals now."""
    data = {"signals": {name: judged_to_json(one) for name, one in signals.items()}}
    return Fact(kind="watch.judged", actor=BOT, at=at, data=data)


def extended(*, until: datetime, user: str, at: datetime) -> Fact:
    """Somebody wants it watched longer."""
    return Fact(kind="watch.extended", actor=user, at=at, data={"until": until.isoformat()})


def ended(*, at: datetime) -> Fact:
    """It was watched for long enough."""
    return Fact(kind="watch.ended", actor=BOT, at=at)


# ── as the projection keeps it ───────────────────────────────────────────────────────────────────────────


def judged_to_json(judged: Judged) -> dict[str, Any]:
    """One judgement."""
    return {"verdict": judged.verdict.value, "said": judged.said, "pending": judged.pending}


def judged_from_json(data: Mapping[str, Any]) -> Judged:
    """One judgement."""
    return Judged(verdict=Verdict(data["verdict"]), said=data["said"], pending=data["pending"])


def aftermath_to_json(state: Aftermath) -> dict[str, Any]:
    """As the projection keeps it."""
    watch, rollback, deployed = state.watch, state.rollback, state.deployed
    return {
        "deployed": None if deployed is None else _plain(deployed),
        "watch": None
        if watch is None
        else {
            **_plain(watch),
            "judged": {name: judged_to_json(judged) for name, judged in watch.judged.items()},
        },
        "triggers": [
            {**_plain(trigger), "joined": [_plain(one) for one in trigger.joined]}
            for trigger in state.triggers.values()
        ],
        "rollback": None if rollback is None else _plain(rollback),
        "taken_back": state.taken_back,
    }


def aftermath_from_json(data: Mapping[str, Any]) -> Aftermath:
    """From the projection."""
    watch = data["watch"]
    if watch is not None:
        judged = {name: judged_from_json(one) for name, one in watch["judged"].items()}
        watch = Watch(**{**_read(watch), "judged": judged, "power": tuple(watch["power"])})
    triggers = [_trigger_from_json(one) for one in data["triggers"]]
    return Aftermath(
        deployed=None if data["deployed"] is None else Deployed(**_read(data["deployed"])),
        watch=watch,
        triggers={trigger.key: trigger for trigger in triggers},
        rollback=None if data["rollback"] is None else Rollback(**_read(data["rollback"])),
        taken_back=data.get("taken_back", 0),
    )


def _trigger_from_json(data: Mapping[str, Any]) -> Trigger:
    told = {"source": Source(data["source"]), "state": TriggerState(data["state"])}
    joined = tuple(Joined(**_read(one)) for one in data.get("joined", ()))
    return Trigger(**{**_read(data), **told, "joined": joined})


def _plain(value: Any) -> dict[str, Any]:
    """A flat dataclass with its instants as text."""
    return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in vars(value).items()}


def _read(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same back."""
    read = dict(data)
    for name, one in data.items():
        if isinstance(one, str) and (name in ("at", "until") or name.endswith(("_at", "_until"))):
            read[name] = _instant(one)
    return read


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
