"""Grafana's dashboards, data sources and panel queries over its HTTP API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.checks.source import Source, message_of, segment

#: Variables that Grafana's own back end fills in.
_BUILT_IN = re.compile(r"\$\{?__\w+(?::\w+)?\}?")
_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel with what it asks."""

    title: str
    #: Ready to be sent; None where a variable of it has no value.
    queries: tuple[dict[str, Any], ...] | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a dashboard stands."""

    uid: str
    #: In one line, for people.
    title: str
    data_sources: tuple[str, ...]
    #: Titles of the panels whose queries were asked, and of those that show data.
    asked: tuple[str, ...]
    full: frozenset[str]
    #: How many panels could not be asked.
    skipped: int


async def look(grafana: Source, uid: str, *, since: str) -> Look | None:
    """How a dashboard stands; None where there is none."""
    answer = await grafana.get(f"/api/dashboards/uid/{segment(uid)}", absent=(404,))
    if answer is None:
        return None
    dashboard, meta = answer["dashboard"], answer.get("meta", {})
    shown = list(panels(dashboard))
    ready = [panel for panel in shown if panel.queries is not None]
    data = await asyncio.gather(*(has_data(grafana, panel, since=since) for panel in ready))
    return Look(
        uid=uid,
        title=f"{dashboard.get('title', '')}, version {meta.get('version', '?')},"
        f" updated {str(meta.get('updated', '?'))[:10]}",
        data_sources=data_sources(dashboard),
        asked=tuple(panel.title for panel in ready),
        full=frozenset(panel.title for panel, some in zip(ready, data, strict=True) if some),
        skipped=len(shown) - len(ready),
    )


def panels(dashboard: Mapping[str, Any]) -> Iterator[Panel]:
    """The panels that ask a data source, those inside rows too, with the dashboard's variables filled in."""
    variables = {
        str(one["name"]): _current(one)
        for one in dashboard.get("templating", {}).get("list") or ()
        if "name" in one
    }
    for panel in _all(dashboard.get("panels") or ()):
        targets = [target for target in panel.get("targets") or () if not target.get("hide")]
        if not targets:
            continue
        ready: list[dict[str, Any]] = []
        for number, target in enumerate(targets):
            source = target.get("datasource") or panel.get("datasource") or {}
            query = _filled({"refId": chr(65 + number % 26), **target, "datasource": source}, variables)
            if _open(query) or not isinstance(query["datasource"], Mapping):
                break
            ready.append({**query, "intervalMs": 15000, "maxDataPoints": 100})
        whole = len(ready) == len(targets)
        yield Panel(title=str(panel.get("title") or "untitled"), queries=tuple(ready) if whole else None)


def data_sources(dashboard: Mapping[str, Any]) -> tuple[str, ...]:
    """The uids of the data sources its panels ask; Grafana's own (`-- Mixed --`, `grafana`) left out."""
    uids = dict.fromkeys(
        str(query["datasource"].get("uid") or "")
        for panel in panels(dashboard)
        for query in panel.queries or ()
    )
    return tuple(uid for uid in uids if uid and not uid.startswith("-- ") and uid != "grafana")


async def has_data(grafana: Source, panel: Panel, *, since: str) -> bool:
    """Whether any query of a panel gives a value. Raises NoData, Broken where Grafana does not answer."""
    answer = await grafana.send(
        "POST", "/api/ds/query", json={"queries": list(panel.queries or ()), "from": since, "to": "now"}
    )
    if answer.status == 400:  # one of the queries failed: a panel that shows an error shows no data
        return False
    found = grafana.parse(answer)
    return any(
        value is not None
        for result in (found or {}).get("results", {}).values()
        for frame in result.get("frames") or ()
        for field, values in zip(
            frame.get("schema", {}).get("fields") or (),
            frame.get("data", {}).get("values") or (),
            strict=False,
        )
        if field.get("type") != "time"
        for value in values
    )


async def unhealthy(grafana: Source, uid: str) -> str | None:
    """Why a data source does not work; None where it does, or where its kind has no health check."""
    answer = await grafana.send("GET", f"/api/datasources/uid/{segment(uid)}/health")
    if answer.status == 404:
        there = await grafana.get(f"/api/datasources/uid/{segment(uid)}", absent=(404,))
        return f"{uid} does not exist" if there is None else None
    if answer.status in (400, 500, 502, 503):
        return f"{uid}{message_of(answer) or f': {answer.status}'}"
    found = grafana.parse(answer)
    return None if found.get("status") == "OK" else f"{uid}: {found.get('message') or found.get('status')}"


def _all(listed: Any) -> Iterator[Mapping[str, Any]]:
    for panel in listed:
        yield panel
        yield from _all(panel.get("panels") or ())


def _current(variable: Mapping[str, Any]) -> str | None:
    value = (variable.get("current") or {}).get("value")
    if isinstance(value, list):
        value = "|".join(map(str, value)) if value else None
    if value in ("$__all", "All"):
        return str(variable.get("allValue") or ".*")
    return None if value is None else str(value)


def _filled(value: Any, variables: Mapping[str, str | None]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: variables.get(_name(found)) or found[0], value)
    if isinstance(value, Mapping):
        return {key: _filled(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, variables) for inner in value]
    return value


def _name(found: re.Match[str]) -> str:
    return str(found[1] or found[2] or found[3])


def _open(value: Any) -> bool:
    """Whether a variable is left in it that nobody fills in."""
    if isinstance(value, str):
        return any(True for _ in _VARIABLE.finditer(_BUILT_IN.sub("", value)))
    if isinstance(value, Mapping):
        return any(map(_open, value.values()))
    return isinstance(value, list) and any(map(_open, value))
