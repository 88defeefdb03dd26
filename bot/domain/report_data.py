"""The report for programs: JSON of a documented, stable form, and rows for a spreadsheet.

Instants are ISO 8601 in UTC, spans are seconds. What is added later is added; nothing changes its meaning
while `format` stays 1.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.recorder import Recorder
from bot.domain.reminding import zone
from bot.domain.report import AlertStory, Entry, Found, ItemStory, Report
from bot.domain.retelling import counted

#: The version of the form.
FORMAT = 1
#: The columns of the table.
COLUMNS = ("seq", "at_utc", "at_local", "kind", "actor", "name", "item", "text")
#: What makes a formula of a cell in a spreadsheet (OWASP: CSV injection), full-width twins included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def report_to_json(report: Report) -> dict[str, Any]:
    """The whole report; `bot.domain.report_schema` says what it holds."""
    r = report
    return {
        "format": FORMAT,
        "deployment": {
            "id": r.id,
            "name": r.name,
            "service": r.service,
            "version": r.version,
            "environment": r.environment,
            "checklist": r.checklist,
            "team": r.team,
            "channel": r.channel,
            "timezone": r.timezone,
            "lead": {"id": r.lead, "name": r.lead_name},
            "phase": r.phase,
            "outcome": r.outcome,
            "reason": r.reason,
            "started_at": _iso(r.started_at),
            "over_turn_of": {"id": r.over_turn_of, "name": r.over_turn_of_name} if r.over_turn_of else None,
            "prepared_in": None
            if r.prepared_in is None
            else {
                "name": r.prepared_in.name,
                "reason": r.prepared_in.reason,
                "until": _iso(r.prepared_in.until),
            },
            "go_at": _iso(r.go_at),
            "go_by": r.go_by,
            "live_at": _iso(r.live_at),
            "ended_at": _iso(r.ended_at),
            "ended_by": r.ended_by,
            "seconds": _seconds(r.took),
        },
        "counts": counted(r),
        "history": {"events": len(r.timeline), "head": r.head, "intact": not r.broken, "problem": r.broken},
        "phases": [
            {"name": one.name, "from": _iso(one.start), "to": _iso(one.end), "seconds": _seconds(one.took)}
            for one in r.spans
        ],
        "sections": [
            {
                "title": one.title,
                "done": one.done,
                "total": one.total,
                "waived": one.waived,
                "first_tick_at": _iso(one.first),
                "last_tick_at": _iso(one.last),
                "seconds": _seconds(one.took),
            }
            for one in r.sections
        ],
        "people": [
            {
                "id": one.id,
                "name": one.name,
                "deeds": dict(one.deeds),
                "first_at": _iso(one.first),
                "last_at": _iso(one.last),
            }
            for one in r.people
        ],
        "items": [_item(one) for one in r.items],
        "rollback_steps": [_item(one) for one in r.steps],
        "overrides": [
            {
                "what": one.what,
                "state": one.state,
                "reason": one.reason,
                "first": one.first,
                "second": one.second,
                "at": _iso(one.at),
                "open": list(one.open),
            }
            for one in r.overrides
        ],
        "alerts": [_alert(one) for one in r.alerts],
        "watch": None
        if r.watch is None
        else {
            "verdict": r.watch.verdict,
            "begun_at": _iso(r.watch.begun_at),
            "ended_at": _iso(r.watch.ended_at),
            "signals": [
                {"label": label, "verdict": verdict, "said": said} for label, verdict, said in r.watch.signals
            ],
        },
        "rollback": None
        if r.rollback is None
        else {
            "by": r.rollback.by,
            "at": _iso(r.rollback.at),
            "why": r.rollback.why,
            "verified_at": _iso(r.rollback.verified_at),
            "done": r.rollback.done,
            "total": r.rollback.total,
            "times": [
                {"what": what, "at": _iso(at), "seconds_after": _seconds(span)}
                for what, at, span in r.rollback.times
            ],
        },
        "links": [dict(one) for one in r.links],
        "recorder": _recorder(r.recorder),
        "timeline": [_entry(one) for one in r.timeline],
    }


def rows(report: Report) -> list[tuple[str, ...]]:
    """The timeline as a table, its head first: one row an event; no cell can become a formula."""
    tz = zone(report.timezone)
    made: list[tuple[str, ...]] = [COLUMNS]
    for entry in report.timeline:
        local = entry.at.astimezone(tz).isoformat(sep=" ", timespec="seconds")
        cells = (str(entry.seq), str(_iso(entry.at)), local, entry.kind, entry.actor, entry.who, entry.item)
        made.append(tuple(safe_cell(cell) for cell in (*cells, entry.text)))
    return made


def safe_cell(text: str) -> str:
    """A text as a spreadsheet takes it literally: before what could be a formula stands an apostrophe."""
    flat = text.replace("\0", "")
    return f"'{flat}" if flat.lstrip(" \u00a0").startswith(_FORMULA) or flat.startswith(_FORMULA) else flat


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": _iso(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "name": entry.who,
        "text": entry.text,
        "item": entry.item,
        "key": entry.key,
    }


def _item(item: ItemStory) -> dict[str, Any]:
    return {
        "key": item.key,
        "position": item.position,
        "section": item.section,
        "group": item.group,
        "text": item.text,
        "state": item.state,
        "by": item.by,
        "name": item.who,
        "at": _iso(item.at),
        "reason": item.reason,
        "overruled": item.overruled,
        "assignees": list(item.assignees),
        "notes": list(item.notes),
        "evidence": None if item.evidence is None else _evidence(item.evidence),
        "events": [entry.seq for entry in item.entries],
    }


def _evidence(found: Found) -> dict[str, Any]:
    return {
        "outcome": found.outcome,
        "at": _iso(found.at),
        "expires_at": _iso(found.expires_at),
        "ms": round(found.ms, 1),
        "runs": found.runs,
        "parts": [dict(vars(part)) for part in found.parts],
    }


def _alert(alert: AlertStory) -> dict[str, Any]:
    return {
        "key": alert.key,
        "title": alert.title,
        "source": alert.source,
        "drill": alert.drill,
        "raised_by": alert.raised_by,
        "at": _iso(alert.at),
        "said": alert.said,
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_at": _iso(alert.acknowledged_at),
        "seconds_to_acknowledge": _seconds(alert.to_acknowledge),
        "recovered_at": _iso(alert.recovered_at),
        "cleared_by": alert.cleared_by,
        "cleared_at": _iso(alert.cleared_at),
        "seconds_to_clear": _seconds(alert.to_clear),
        "reason": alert.reason,
        "escalated": alert.escalated,
        "worsened": alert.worsened,
    }


def _recorder(shown: Recorder) -> dict[str, Any]:
    curve = shown.curve
    return {
        "from": _iso(shown.start),
        "to": _iso(shown.end),
        "moments": [{"name": one.name, "at": _iso(one.at)} for one in shown.moments],
        "curve": None
        if curve is None
        else {
            "label": curve.label,
            "unit": curve.unit,
            "band": None if curve.band is None else list(curve.band),
            "points": [[_iso(at), value] for at, value in curve.points],
        },
    }


def _iso(at: datetime | None) -> str | None:
    return (
        None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else round(span.total_seconds(), 3)
