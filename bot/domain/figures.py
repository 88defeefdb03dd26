"""Figures over many deployments: the four keys of DORA, the sections, the items, the alerts.

The definitions are those of dora.dev ("DORA's software delivery performance metrics"), as far as the history
of deployments can tell:

- A deployment counts once it was live: Go was given, the item that says so was ticked, or it was finished.
- Deployment frequency: deployments that were live, a week.
- Change lead time: from the first commit of the change to live. DORA counts each commit; the first one is
  known, so this is the longest wait in each change.
- Change fail rate: failed deployments of all. Failed is: rolled back; or a rollback trigger was raised after
  it was live, by anything but a drill, and not cleared as "not this deploy"; or it was aborted after that.
- Failed deployment recovery time ("time to restore"): from the first sign (alert, rollback or abort) until
  the rollback was verified, or without one until the last of its alerts was over.

Nothing is claimed on fewer than ENOUGH cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from bot.domain.checklist import RUNBOOK
from bot.domain.deployment import FILE, Phase
from bot.domain.events import BOT
from bot.domain.watching import Source

#: Fewest cases a claim is made on. Own choice: with four, one more case can turn any of these around.
ENOUGH = 5
#: A tick this soon after the same person's last one was not preceded by looking, in seconds. Own choice: the
#: time to read a line and move to it.
IN_SECONDS = 3.0
#: An item is called a rubber stamp where at least this share of its ticks came so soon.
STAMPED = 0.9


@dataclass(frozen=True, kw_only=True)
class PastTrigger:
    """A rollback trigger of a past deployment."""

    key: str
    source: str
    at: datetime
    cleared_at: datetime | None = None
    #: Slack user id, or `bot`.
    cleared_by: str = ""
    recovered_at: datetime | None = None
    #: Cleared as the deployment's own, and mended.
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Past:
    """What figures need of one deployment."""

    id: int
    service: str
    environment: str
    phase: Phase
    started_at: datetime
    #: Go, or the tick that says that the change is live.
    deployed_at: datetime | None = None
    ended_at: datetime | None = None
    triggers: tuple[PastTrigger, ...] = ()
    rollback_at: datetime | None = None
    #: Key of the trigger the rollback answers; empty without one.
    rollback_trigger: str = ""
    #: When the rollback was verified.
    verified_at: datetime | None = None
    first_commit_at: datetime | None = None

    @property
    def live_at(self) -> datetime | None:
        """When it was live; None where it never was."""
        if self.deployed_at is not None:
            return self.deployed_at
        return self.ended_at if self.phase is Phase.FINISHED else None

    @property
    def real(self) -> tuple[PastTrigger, ...]:
        """Triggers that were no drill."""
        return tuple(one for one in self.triggers if one.source != Source.DRILL)

    def dismissed(self, trigger: PastTrigger) -> bool:
        """Whether a person cleared it as not this deploy; what led to the rollback was not dismissed."""
        if trigger.cleared_at is None or trigger.cleared_by == BOT or trigger.ours:
            return False
        back = self.rollback_at
        answered = back is not None and (
            self.rollback_trigger == trigger.key or trigger.at <= back <= trigger.cleared_at
        )
        return not answered

    @property
    def signs(self) -> tuple[PastTrigger, ...]:
        """The triggers that speak against it: real, after it was live, not dismissed."""
        live = self.deployed_at
        return tuple(one for one in self.real if not self.dismissed(one) and (live is None or one.at >= live))

    @property
    def failed(self) -> bool:
        """Whether it failed, as the module says."""
        if self.live_at is None:
            return False
        return self.rollback_at is not None or self.phase is Phase.ABORTED or bool(self.signs)

    @property
    def restored(self) -> timedelta | None:
        """How long it took to restore; None where it did not fail, or the end is not known."""
        if not self.failed:
            return None
        known = [one.at for one in self.signs] + [at for at in (self.rollback_at,) if at is not None]
        if self.phase is Phase.ABORTED and self.ended_at is not None:
            known.append(self.ended_at)
        end = self.verified_at
        if self.rollback_at is None and self.signs:
            over = [one.recovered_at or (one.cleared_at if one.ours else None) for one in self.signs]
            found = [at for at in over if at is not None]
            end = max(found) if len(found) == len(over) else None
        return max(end - min(known), timedelta()) if end is not None and known else None


@dataclass(frozen=True, kw_only=True)
class PastTick:
    """A tick that changed something."""

    deployment: int
    item: str
    #: Slack user id, or `bot`.
    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Checked:
    """How the checks of an item went, over all deployments."""

    item: str
    #: In how many deployments it was checked, and how often it did not pass.
    deployments: int
    not_passed: int


@dataclass(frozen=True, kw_only=True)
class Middle:
    """The middle of some spans, and how many there are."""

    value: timedelta | None
    n: int

    @property
    def enough(self) -> bool:
        """Whether it may be claimed."""
        return self.value is not None and self.n >= ENOUGH


@dataclass(frozen=True, kw_only=True)
class SectionFigure:
    """How long a section takes, from its first tick to its last."""

    title: str
    took: Middle


@dataclass(frozen=True, kw_only=True)
class ItemFigure:
    """An item that may not be worth a box: how often it was seen, and how often it was so."""

    text: str
    times: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Week:
    """The deployments of one week."""

    #: Its Monday.
    monday: date
    deployments: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All of it."""

    #: Empty for all services.
    service: str
    #: Empty for all environments.
    environment: str
    days: int
    until: datetime
    #: Deployments that were live; those of them that failed.
    deployments: int
    failed: int
    #: What is not counted: never live, and not over yet.
    called_off: int
    under_way: int
    lead_time: Middle
    restore: Middle
    sections: tuple[SectionFigure, ...]
    #: Items people tick within seconds of the last, and items whose checks always passed.
    stamped: tuple[ItemFigure, ...]
    never_failed: tuple[ItemFigure, ...]
    #: Real alerts, and those cleared as not this deploy.
    alerts: int
    dismissed: int
    drills: int
    weeks: tuple[Week, ...]

    @property
    def a_week(self) -> float:
        """Deployments a week."""
        return self.deployments / (self.days / 7)

    @property
    def fail_rate(self) -> float | None:
        """Failed deployments of all, from 0 to 1; None for too few."""
        return self.failed / self.deployments if self.deployments >= ENOUGH else None

    @property
    def precision(self) -> float | None:
        """Alerts that were about the deployment, of all real ones; None for too few."""
        return (self.alerts - self.dismissed) / self.alerts if self.alerts >= ENOUGH else None


def figured(
    past: Sequence[Past],
    ticks: Iterable[PastTick],
    checked: Iterable[Checked],
    *,
    texts: Mapping[str, str],
    sections: Mapping[str, str],
    service: str,
    environment: str,
    days: int,
    until: datetime,
) -> Figures:
    """The figures of these deployments. `texts` has items' words by key, `sections` titles by its first
    part.
    """
    live = [one for one in past if one.live_at is not None]
    failed = [one for one in live if one.failed]
    leads = [
        one.live_at - one.first_commit_at
        for one in live
        if one.first_commit_at is not None and one.live_at is not None and one.live_at >= one.first_commit_at
    ]
    counted = {one.id for one in live}
    own = sorted(
        (tick for tick in ticks if tick.deployment in counted and not tick.item.startswith(f"{RUNBOOK}/")),
        key=lambda tick: (tick.deployment, tick.at),
    )
    real = [(one, trigger) for one in live for trigger in one.real]
    return Figures(
        service=service,
        environment=environment,
        days=days,
        until=until,
        deployments=len(live),
        failed=len(failed),
        called_off=sum(one.live_at is None and not one.phase.open for one in past),
        under_way=sum(one.live_at is None and one.phase.open for one in past),
        lead_time=_middle(leads),
        restore=_middle([one.restored for one in failed if one.restored is not None]),
        sections=_sections(own, sections),
        stamped=_stamped(own, texts),
        never_failed=tuple(
            ItemFigure(text=texts.get(one.item, one.item), times=one.deployments, n=one.deployments)
            for one in sorted(checked, key=lambda one: (-one.deployments, one.item))
            if one.deployments >= ENOUGH and not one.not_passed
        ),
        alerts=len(real),
        dismissed=sum(one.dismissed(trigger) for one, trigger in real),
        drills=sum(len(one.triggers) - len(one.real) for one in past),
        weeks=_weeks(live, until - timedelta(days=days), until),
    )


def _middle(spans: Sequence[timedelta]) -> Middle:
    seconds = [span.total_seconds() for span in spans]
    return Middle(value=timedelta(seconds=median(seconds)) if seconds else None, n=len(seconds))


def _sections(ticks: Iterable[PastTick], titles: Mapping[str, str]) -> tuple[SectionFigure, ...]:
    ends: dict[tuple[str, int], tuple[datetime, datetime]] = {}
    for tick in ticks:
        place = tick.item.partition("/")[0], tick.deployment
        first, last = ends.get(place, (tick.at, tick.at))
        ends[place] = min(first, tick.at), max(last, tick.at)
    spans: dict[str, list[timedelta]] = {}
    for (section, _), (first, last) in ends.items():
        spans.setdefault(section, []).append(last - first)
    known = [name for name in titles if name in spans]
    order = [*known, *sorted(name for name in spans if name not in titles)]
    return tuple(
        SectionFigure(title=titles.get(name) or name.replace("-", " "), took=_middle(spans[name]))
        for name in order
    )


def _stamped(ticks: Iterable[PastTick], texts: Mapping[str, str]) -> tuple[ItemFigure, ...]:
    """`ticks` are in order within each deployment."""
    before: dict[tuple[int, str], datetime] = {}
    seen: dict[str, set[int]] = {}
    soon: dict[str, set[int]] = {}
    for tick in ticks:
        if tick.by in (BOT, FILE):
            continue
        last = before.get((tick.deployment, tick.by))
        before[tick.deployment, tick.by] = tick.at
        seen.setdefault(tick.item, set()).add(tick.deployment)
        if last is not None and (tick.at - last).total_seconds() <= IN_SECONDS:
            soon.setdefault(tick.item, set()).add(tick.deployment)
    found = [
        ItemFigure(text=texts.get(item, item), times=len(soon.get(item, ())), n=len(all_))
        for item, all_ in seen.items()
        if len(all_) >= ENOUGH and len(soon.get(item, ())) >= STAMPED * len(all_)
    ]
    return tuple(sorted(found, key=lambda one: (-one.times, one.text)))


def _weeks(live: Iterable[Past], since: datetime, until: datetime) -> tuple[Week, ...]:
    counts: dict[date, tuple[int, int]] = {}
    monday = since.date() - timedelta(days=since.weekday())
    while monday <= until.date():
        counts[monday] = (0, 0)
        monday += timedelta(days=7)
    for one in live:
        assert one.live_at is not None
        monday = one.live_at.date() - timedelta(days=one.live_at.weekday())
        total, failed = counts.get(monday, (0, 0))
        counts[monday] = total + 1, failed + one.failed
    return tuple(
        Week(monday=monday, deployments=total, failed=failed)
        for monday, (total, failed) in sorted(counts.items())
    )
