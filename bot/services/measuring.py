"""Collects figures over many deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bot.checklists.inline import plain
from bot.domain.deployment import Phase
from bot.domain.figures import Checked, Figures, Past, PastTick, PastTrigger, figured
from bot.domain.watching import VERIFIED
from bot.services.ports import Ports
from bot.storage import past
from bot.storage.past import CourseRow, PastRow

#: What is counted where nobody says which environment: mixed with others, the figures mean nothing.
USUAL = "production"
#: All environments together.
ALL = "all"


async def figures(
    ports: Ports, *, team: str = "", service: str = "", environment: str = "", days: int = 90
) -> Figures:
    """The figures of the last days, of a workspace or all, of a service or all.

    Without an environment it is `production`, or all where nothing was deployed there; `all` is all. Raises
    StorageBusy, StorageFailed.
    """
    until = ports.clock.now()
    asked = "" if environment.casefold() == ALL else environment
    async with ports.database.read() as tx:
        rows = await past.deployments_since(
            tx, until - timedelta(days=days), team=team, service=service, environment=asked
        )
        if not environment and any(row.environment.casefold() == USUAL for row in rows):
            rows, asked = [row for row in rows if row.environment.casefold() == USUAL], USUAL
        ids = [row.id for row in rows]
        course = await past.course(tx, ids)
        ticks = await past.ticks(tx, ids)
        checks = await past.checks(tx, ids)
        newest = {row.checklist_name: row.id for row in rows}
        copies = await past.checklists(tx, newest.values())
    make = partial(
        _figured,
        rows,
        course,
        ticks,
        checks,
        copies,
        service=service,
        environment=asked,
        days=days,
        until=until,
    )
    return await asyncio.to_thread(make)


def _figured(
    rows: Sequence[PastRow],
    course: Iterable[CourseRow],
    ticks: Sequence[tuple[int, str, str, datetime]],
    checks: Mapping[str, tuple[int, int]],
    copies: Iterable[Mapping[str, Any]],
    *,
    service: str,
    environment: str,
    days: int,
    until: datetime,
) -> Figures:
    texts: dict[str, str] = {}
    sections: dict[str, str] = {}
    for copy in copies:
        for section in copy["sections"]:
            for item in (item for group in section["groups"] for item in group["items"]):
                texts[item["key"]] = plain(item["text"])
                sections[item["key"].partition("/")[0]] = plain(section["title"])
    return figured(
        _pasts(rows, course, ticks),
        (PastTick(deployment=one, item=item, by=by, at=at) for one, item, by, at in ticks),
        (Checked(item=item, deployments=n, not_passed=bad) for item, (n, bad) in checks.items()),
        texts=texts,
        sections=sections,
        service=service,
        environment=environment,
        days=days,
        until=until,
    )


def _pasts(
    rows: Iterable[PastRow], course: Iterable[CourseRow], ticks: Iterable[tuple[int, str, str, datetime]]
) -> list[Past]:
    made = {
        row.id: Past(
            id=row.id,
            service=row.service,
            environment=row.environment,
            phase=Phase(row.phase),
            started_at=row.started_at,
            deployed_at=row.deployed_at,
            ended_at=row.ended_at,
        )
        for row in rows
    }
    for row in course:
        made[row.deployment] = _after(made[row.deployment], row)
    for deployment, item, _, at in ticks:
        if item == VERIFIED and made[deployment].rollback_at is not None:
            made[deployment] = replace(made[deployment], verified_at=at)
    return list(made.values())


def _after(one: Past, row: CourseRow) -> Past:
    data = row.data
    match row.kind:
        case "trigger.fired":
            trigger = PastTrigger(key=data["key"], source=data["source"], at=row.at)
            return replace(one, triggers=(*one.triggers, trigger))
        case "trigger.cleared":
            return _changed(
                one, data["key"], cleared_at=row.at, cleared_by=row.actor, ours=bool(data.get("ours"))
            )
        case "trigger.recovered":
            return _changed(one, data["key"], recovered_at=row.at)
        case "trigger.worsened" | "trigger.updated":
            return _changed(one, data["key"], recovered_at=None)
        case "rollback.started":
            return replace(one, rollback_at=row.at, rollback_trigger=data.get("trigger", ""))
        case "deployment.linked" if data.get("what") == "commits":
            known = [
                at for at in (one.first_commit_at, _instant(data.get("first_commit_at"))) if at is not None
            ]
            return replace(one, first_commit_at=min(known, default=None))
    return one


def _instant(text: Any) -> datetime | None:
    """The instant another system named; None where it named none that can be read."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _changed(one: Past, key: str, **values: Any) -> Past:
    """With the newest trigger of this key changed."""
    triggers = list(one.triggers)
    for at in range(len(triggers) - 1, -1, -1):
        if triggers[at].key == key:
            triggers[at] = replace(triggers[at], **values)
            break
    return replace(one, triggers=tuple(triggers))
