"""The report of a deployment as a plain value: what happened when, who did it, and what it rests on.

It is made from the events and the samples alone (`made`), and says everything in plain text; how it looks is
for whoever writes it down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.domain.deployment import PreparedIn
from bot.domain.recorder import Recorder


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the timeline: an event in words."""

    seq: int
    at: datetime
    #: The event's kind, e.g. `item.ticked`.
    kind: str
    #: Slack user id, or `bot`; and what they are called.
    actor: str
    who: str
    #: What they did, as it goes on after the name.
    text: str
    #: Key of the item it is about; empty where it is about none.
    item: str = ""
    #: Whether it belongs to the course of the deployment, which is shown first.
    key: bool = False


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of the deployment, and how long it took."""

    name: str
    start: datetime
    #: None while it lasts.
    end: datetime | None
    took: timedelta


@dataclass(frozen=True, kw_only=True)
class SectionStory:
    """A section of the checklist: how much of it was done, and between when and when."""

    title: str
    done: int
    total: int
    waived: int
    #: The first and the last tick in it.
    first: datetime | None
    last: datetime | None

    @property
    def took(self) -> timedelta | None:
        """From the first tick to the last; None without ticks."""
        return self.last - self.first if self.first is not None and self.last is not None else None


@dataclass(frozen=True, kw_only=True)
class Doer:
    """Somebody, and how often they did what."""

    id: str
    name: str
    #: By deed, e.g. `ticks`: how often. What changed nothing is left out.
    deeds: Mapping[str, int]
    first: datetime
    last: datetime

    @property
    def total(self) -> int:
        """All their deeds."""
        return sum(self.deeds.values())


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one check of an item found."""

    id: str
    kind: str
    target: str
    outcome: str
    observed: str
    expected: str
    reason: str
    excerpt: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """The newest result of an item's checks."""

    outcome: str
    at: datetime
    expires_at: datetime
    ms: float
    #: How often the item was checked in all.
    runs: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class ItemStory:
    """One box: where it stands, who did it, what it rests on."""

    key: str
    position: int
    section: str
    group: str
    text: str
    #: `done`, `open`, `waived`, or `contradicted`: ticked, and its check does not pass.
    state: str
    #: Who settled it; empty for an open item.
    by: str
    who: str
    at: datetime | None
    #: Why it was waived, or ticked against its check.
    reason: str = ""
    #: Whether it was ticked against its check.
    overruled: bool = False
    assignees: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: Found | None = None
    #: The events about it, in order.
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OverrideStory:
    """Two people's word to go on although items were open."""

    #: `go` or `finish`.
    what: str
    reason: str
    first: str
    #: Empty while nobody has confirmed it.
    second: str
    #: `asked`, `confirmed`, `withdrawn`.
    state: str
    at: datetime
    #: The items that were open, and what else was in the way, in words.
    open: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AlertStory:
    """A rollback trigger from when it was raised to when it was cleared."""

    key: str
    title: str
    #: Who raised it: a name, and the kind of source (`watch`, `person`, …).
    raised_by: str
    source: str
    at: datetime
    #: From what to what, or what was said.
    said: str
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    recovered_at: datetime | None = None
    cleared_by: str = ""
    cleared_at: datetime | None = None
    reason: str = ""
    #: How far it escalated: 1 the lead, 2 the people on call.
    escalated: int = 0
    #: How often it was announced again, being twice as bad.
    worsened: int = 0

    @property
    def drill(self) -> bool:
        """Whether it was made up."""
        return self.source == "drill"

    @property
    def to_acknowledge(self) -> timedelta | None:
        """From raised to acknowledged."""
        return self.acknowledged_at - self.at if self.acknowledged_at is not None else None

    @property
    def to_clear(self) -> timedelta | None:
        """From raised to cleared."""
        return self.cleared_at - self.at if self.cleared_at is not None else None


@dataclass(frozen=True, kw_only=True)
class WatchStory:
    """What the watch said in the end."""

    verdict: str
    begun_at: datetime | None
    ended_at: datetime | None
    #: Label, verdict and reason of each signal.
    signals: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class RollbackStory:
    """The way back, and how long each part of it took."""

    by: str
    at: datetime
    why: str
    verified_at: datetime | None
    done: int
    total: int
    #: What, when, how long after the thing before it.
    times: tuple[tuple[str, datetime, timedelta], ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A deployment, told."""

    id: int
    name: str
    service: str
    version: str
    environment: str
    checklist: str
    team: str
    channel: str
    #: IANA time zone its times are shown in.
    timezone: str
    lead: str
    lead_name: str
    started_at: datetime
    ended_at: datetime | None
    ended_by: str
    #: `in_progress`, `finished` or `aborted`, and the same in words with the rollback.
    phase: str
    outcome: str
    reason: str
    #: When Go was given and by whom, and when the change was live.
    go_at: datetime | None
    go_by: str
    live_at: datetime | None
    #: Until when it is told: its end, or when the report was made.
    until: datetime
    spans: tuple[Span, ...]
    sections: tuple[SectionStory, ...]
    people: tuple[Doer, ...]
    items: tuple[ItemStory, ...]
    #: The steps of the rollback; none where nobody went back.
    steps: tuple[ItemStory, ...]
    overrides: tuple[OverrideStory, ...]
    alerts: tuple[AlertStory, ...]
    watch: WatchStory | None
    rollback: RollbackStory | None
    #: Facts from other systems, as they were linked.
    links: tuple[Mapping[str, Any], ...]
    timeline: tuple[Entry, ...]
    #: The hash of the newest event, and what is wrong with the chain; empty where it adds up.
    head: str
    broken: str
    recorder: Recorder
    #: Whose turn it was when it was started, and what they are called; empty where nobody was passed over.
    over_turn_of: str = ""
    over_turn_of_name: str = ""
    #: The freeze it was prepared in; None where none held.
    prepared_in: PreparedIn | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """What was deployed where."""
        return f"{self.service} {self.version} → {self.environment}"

    @property
    def took(self) -> timedelta:
        """From the start to the end."""
        return self.until - self.started_at

    @property
    def done(self) -> int:
        """How many items are done; waived ones count on their own."""
        return sum(item.state == "done" for item in self.items)

    @property
    def waived(self) -> tuple[ItemStory, ...]:
        """The items that did not apply."""
        return tuple(item for item in self.items if item.state == "waived")

    @property
    def open(self) -> tuple[ItemStory, ...]:
        """The items that were left."""
        return tuple(item for item in self.items if item.state in ("open", "contradicted"))

    @property
    def overruled(self) -> tuple[ItemStory, ...]:
        """The boxes somebody ticked although the check did not pass."""
        return tuple(item for item in (*self.items, *self.steps) if item.overruled)

    @property
    def checked(self) -> tuple[ItemStory, ...]:
        """The boxes with evidence."""
        return tuple(item for item in (*self.items, *self.steps) if item.evidence is not None)

    @property
    def key_moments(self) -> tuple[Entry, ...]:
        """The course of it."""
        return tuple(entry for entry in self.timeline if entry.key)

    @property
    def real_alerts(self) -> tuple[AlertStory, ...]:
        """Alerts that were no drills."""
        return tuple(alert for alert in self.alerts if not alert.drill)
