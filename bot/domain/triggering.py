"""The facts of rollback triggers: raised, worse, acknowledged, snoozed, recovered, escalated, cleared.

A trigger is latched: what the metric does later is noted, and only a person clears it. It is announced
when it is raised and again when it is twice as bad; everything between renews what is on the screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from bot.domain.checklist import slugged
from bot.domain.deployment import REASON, Deployment
from bot.domain.errors import (
    AlreadyAcknowledged,
    ClearReasonMissing,
    DeploymentClosed,
    NoSuchTrigger,
    NotWatched,
    RaiseReasonMissing,
    ReasonTooLong,
    SnoozeUnusable,
    TriggerCleared,
)
from bot.domain.events import BOT, Fact
from bot.domain.watching import Source, Trigger, TriggerState, extended

#: Announced again when it is this many times as bad. Own choice: half of it is still the same trouble.
WORSE = 2.0
#: The figures of a raised trigger are renewed at most this often.
RENEW_EVERY = timedelta(minutes=1)
#: Longest snooze, in hours. Own choice: nobody's watch lasts longer.
LONGEST_SNOOZE_H = 24
#: What the link to what a person saw is called.
EVIDENCE = "Evidence"
#: Who may raise a trigger again that was cleared.
_ASKED = (Source.PERSON, Source.HOOK, Source.ALERTMANAGER, Source.DRILL)


@dataclass(frozen=True, kw_only=True)
class TriggerFinding:
    """What an alert shows, flat: numbers in the measure's unit, sentences ready to be read."""

    #: Name and label of the watched signal, and its measure; empty for what nobody measured.
    signal: str = ""
    label: str = ""
    measure: str = ""
    #: From what to what, in words: `0.2 % → 3.1 %`.
    change: str = ""
    before: float | None = None
    after: float | None = None
    #: How much worse, and the bounds of its interval.
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    #: Requests that failed, of how many.
    bad: int | None = None
    requests: int | None = None
    #: Samples that were bad, of how many that were judged, and the seconds between two.
    samples_bad: int | None = None
    samples: int | None = None
    interval_s: float | None = None
    #: The instant of the first bad sample, in ISO 8601; empty where unknown.
    since: str = ""
    #: What did not change, and what speaks against the deployment as the cause.
    unchanged: tuple[str, ...] = ()
    contradicting: tuple[str, ...] = ()
    #: Where to look further: label, URL.
    links: tuple[tuple[str, str], ...] = ()
    #: Free words: of a probe, another system, or the person who raised it.
    said: str = ""
    #: What was found, a line each.
    found: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the event keeps it."""
        made: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value not in (None, "", ()):
                made[one.name] = _listed(value)
        return made

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TriggerFinding:
        """From an event; what a later version added is left out."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: _frozen(value) for name, value in data.items() if name in known})

    @property
    def began_at(self) -> datetime | None:
        """When it began, as an instant."""
        return datetime.fromisoformat(self.since) if self.since else None


def _listed(value: Any) -> Any:
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True)
class Report:
    """Somebody, or the watch, says that something is wrong."""

    #: Unique in the deployment: the same trouble has the same key.
    key: str
    title: str
    source: Source
    finding: TriggerFinding = field(default_factory=TriggerFinding)
    #: How bad it is in the signal's unit; 0 where nobody measured.
    size: float = 0.0
    #: Names what happened where the sender counts it; the same one again is no news.
    occurrence: str = ""


def reported(deployment: Deployment, report: Report, *, by: str, at: datetime) -> Fact | None:
    """The fact a report makes: fired, worsened, updated, joined, or none where it says nothing new.

    What is raised keeps its source: a person or the watch that sees it as well joins. Sizes are compared with
    those of the same source alone. Raises DeploymentClosed, ReasonTooLong.
    """
    _open(deployment)
    if len(report.title) > REASON or len(report.finding.said) > REASON:
        raise ReasonTooLong(max(len(report.title), len(report.finding.said)), limit=REASON)
    trigger = deployment.aftermath.triggers.get(report.key)
    finding = report.finding.to_json()
    if trigger is None or (trigger.state is TriggerState.CLEARED and _anew(trigger, report)):
        data = {
            "key": report.key,
            "title": report.title,
            "source": report.source.value,
            "finding": finding,
            "size": report.size,
        }
        if report.occurrence:
            data["occurrence"] = report.occurrence
        return Fact(kind="trigger.fired", actor=by, at=at, data=data)
    if trigger.state is TriggerState.CLEARED:
        return None
    if report.source is Source.PERSON:
        return _joined(trigger, report, by=by, at=at)
    data = {"key": trigger.key, "finding": finding, "size": report.size}
    joins, known = report.source is Source.WATCH and trigger.source is not Source.WATCH, trigger.size
    if joins:
        known, finding = trigger.measured, _beside(trigger, report.finding).to_json()
        data |= {"finding": finding, "size": trigger.size, "measured": known or report.size}
    if known > 0 and report.size >= WORSE * known:
        worse = {"measured": report.size} if joins else {}
        return Fact(kind="trigger.worsened", actor=by, at=at, data=data | worse)
    back = trigger.recovered_at is not None
    renewed = trigger.updated_at or trigger.at
    # Who else fires is kept at once: when all of them are over is worked out from it.
    others = report.source is not Source.WATCH and finding.get("found") != trigger.finding.get("found")
    first = joins and not trigger.measured
    if back or others or first or (finding != trigger.finding and at - renewed >= RENEW_EVERY):
        return Fact(kind="trigger.updated", actor=by, at=at, data=data)
    return None


def _anew(trigger: Trigger, report: Report) -> bool:
    """Whether what was cleared is raised again: somebody asks for it, it is far worse than it was then, or it
    was well again, was cleared, and began anew."""
    began_at, cleared_at = report.finding.began_at, trigger.cleared_at
    # What somebody else raised, or what was well again, says nothing of what the watch sees later.
    over = trigger.source is not Source.WATCH or trigger.recovered_at is not None
    if report.source is Source.WATCH and over and began_at is not None and cleared_at is not None:
        return began_at > cleared_at
    if report.source in _ASKED and (not report.occurrence or report.occurrence != trigger.occurrence):
        return True
    worst = max(trigger.size, trigger.latest)
    return worst > 0 and report.size >= WORSE * worst


def _joined(trigger: Trigger, report: Report, *, by: str, at: datetime) -> Fact | None:
    """That somebody else raised it, too, and what they saw; None where that stands there already."""
    said, link = report.finding.said, "".join(url for _, url in report.finding.links[:1])
    known = [(one.by, one.said, one.link) for one in trigger.joined]
    if (by, said, link) in known or (by == trigger.by and not said and not link):
        return None
    told = {name: text for name, text in (("said", said), ("link", link)) if text}
    return Fact(kind="trigger.joined", actor=by, at=at, data={"key": trigger.key, **told})


def _beside(trigger: Trigger, finding: TriggerFinding) -> TriggerFinding:
    """What the watch found, with what whoever raised it said and pointed to."""
    known = TriggerFinding.from_json(trigger.finding)
    return replace(
        finding,
        said=known.said,
        found=(*filter(None, [finding.said]), *finding.found),
        links=tuple({**dict(known.links), **dict(finding.links)}.items()),
    )


def listed(deployment: Deployment, words: str) -> tuple[str, str] | None:
    """Key and title of the checklist's trigger that these words name, or None.

    People, other systems and the watch find the same one by it: one trigger, one alert.
    """
    named = {slugged(trigger): trigger for trigger in deployment.checklist.triggers}
    key = slugged(words) if words else ""
    return (key, named[key]) if key in named else None


def by_hand(deployment: Deployment, words: str, reason: str, *, link: str = "") -> Report:
    """A person's report: a trigger of the checklist, or own words, and what they saw.

    `link` leads to the evidence. Raises RaiseReasonMissing.
    """
    words, reason = " ".join(words.split()), " ".join(reason.split())
    if not words and not reason:
        raise RaiseReasonMissing
    title, said = (words, reason) if words else (reason, "")
    key, title = listed(deployment, title) or (f"hand-{deployment.seq + 1}", title)
    return Report(
        key=key,
        title=title,
        source=Source.PERSON,
        finding=TriggerFinding(said=said, links=((EVIDENCE, link),) if link else ()),
    )


def acknowledged(deployment: Deployment, trigger: Trigger, *, user: str, at: datetime) -> Fact:
    """Somebody takes it. Raises DeploymentClosed, TriggerCleared, AlreadyAcknowledged."""
    _raised(deployment, trigger)
    if trigger.state is TriggerState.ACKNOWLEDGED:
        raise AlreadyAcknowledged(trigger.title)
    return Fact(kind="trigger.acknowledged", actor=user, at=at, data={"key": trigger.key})


def taken_by(trigger: Trigger, user: str) -> bool:
    """Whether this person has taken it already; a drill is over then."""
    taken = trigger.state is TriggerState.ACKNOWLEDGED or trigger.source is Source.DRILL
    return taken and trigger.acknowledged_by == user


def snoozed(deployment: Deployment, trigger: Trigger, *, user: str, at: datetime, until: datetime) -> Fact:
    """Nobody is reminded until then. Raises DeploymentClosed, TriggerCleared, SnoozeUnusable."""
    _raised(deployment, trigger)
    if not at < until <= at + timedelta(hours=LONGEST_SNOOZE_H):
        raise SnoozeUnusable(hours=LONGEST_SNOOZE_H)
    data = {"key": trigger.key, "until": until.isoformat()}
    return Fact(kind="trigger.snoozed", actor=user, at=at, data=data)


def awoke(trigger: Trigger, *, at: datetime) -> Fact | None:
    """The end of a snooze; None while it lasts, or where there is none."""
    if trigger.snoozed_until is None or trigger.snoozed_until > at or not trigger.state.raised:
        return None
    return Fact(kind="trigger.awoke", actor=BOT, at=at, data={"key": trigger.key})


def recovered(trigger: Trigger, *, said: str, at: datetime) -> Fact | None:
    """The signal is back to normal, which clears nothing; None where that is known, or was cleared."""
    if not trigger.state.raised or trigger.recovered_at is not None:
        return None
    return Fact(kind="trigger.recovered", actor=BOT, at=at, data={"key": trigger.key, "said": said})


def escalated(trigger: Trigger, waits: tuple[float, float], *, at: datetime) -> Fact | None:
    """The next step where nobody took it for too long: 1 the lead, 2 the group. `waits` are in seconds."""
    if trigger.state is not TriggerState.FIRING or trigger.snoozed_until is not None:
        return None
    waited = (at - (trigger.announced_at or trigger.at)).total_seconds()
    due = sum(waited >= wait for wait in waits)
    if trigger.escalated >= due:
        return None
    # One step at a time, so that nobody is passed over after a time without the bot.
    data = {"key": trigger.key, "level": trigger.escalated + 1}
    return Fact(kind="trigger.escalated", actor=BOT, at=at, data=data)


def cleared(
    deployment: Deployment, trigger: Trigger, *, user: str, at: datetime, reason: str, ours: bool = False
) -> Fact:
    """Somebody says that it is not this deployment, or `ours` that it was and is mended, and why.

    Raises DeploymentClosed, TriggerCleared, ClearReasonMissing, ReasonTooLong.
    """
    _raised(deployment, trigger)
    reason = " ".join(reason.split())
    if not reason:
        raise ClearReasonMissing
    if len(reason) > REASON:
        raise ReasonTooLong(len(reason), limit=REASON)
    data: dict[str, Any] = {"key": trigger.key, "reason": reason, **({"ours": True} if ours else {})}
    return Fact(kind="trigger.cleared", actor=user, at=at, data=data)


def watched_longer(deployment: Deployment, *, user: str, at: datetime, by: timedelta) -> Fact:
    """The watch goes on for longer. Raises DeploymentClosed, NotWatched."""
    _open(deployment)
    watch = deployment.aftermath.watch
    if watch is None or watch.begun_at is None:
        raise NotWatched(deployment.name)
    return extended(until=max(watch.until or at, at) + by, user=user, at=at)


def raised_by(deployment: Deployment, seq: int) -> Trigger:
    """The trigger that event `seq` raised. Raises NoSuchTrigger where it was raised anew since, or never."""
    trigger = deployment.aftermath.trigger_of(seq)
    if trigger is None:
        raise NoSuchTrigger
    return trigger


def _open(deployment: Deployment) -> None:
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)


def _raised(deployment: Deployment, trigger: Trigger) -> None:
    _open(deployment)
    if not trigger.state.raised:
        raise TriggerCleared(trigger.title)
