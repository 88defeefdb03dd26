"""Whether what the target tells arrives: log lines, traces, errors, dashboards, the status page.

Each sends a marked canary and looks for it at the far end, since a configuration that looks right proves
nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from bot.checks import grafana
from bot.checks.kind import Answer, Context, Duration, Kind, NoData, Params, SecretValue
from bot.checks.log_lines import LogLine
from bot.checks.sentry import DataSource, envelope
from bot.checks.source import Login, Source, segment
from bot.checks.statuspage import spoken_of
from bot.checks.telemetry_stores import elasticsearch_line, jaeger_services, loki_line, tempo_services
from bot.checks.waiting import wait_for
from bot.domain.check import Observation, Rules


class CanaryParams(Login):
    """A marked request to the application."""

    url: str = Field(description="URL of the application to send the marked request to.")
    method: Literal["GET", "HEAD", "POST"] = Field("GET", description="Method of that request.")
    api_key: SecretValue | None = Field(None, description="Elasticsearch API key, encoded.")

    def login(self) -> dict[str, str]:
        """Headers for the store."""
        sent = self.headers()
        if self.api_key is not None:
            sent["Authorization"] = f"ApiKey {self.api_key.reveal()}"
        return sent


async def _canary(params: CanaryParams, context: Context, url: str, headers: Mapping[str, str]) -> Answer:
    """The marked request; whatever it is answered, it has to be told of."""
    return await context.web.request(params.method, url, headers=headers)


class LogsParams(CanaryParams):
    """Which request to look for, and where."""

    header: str = Field("X-Request-Id", description="Header that carries the marker into the log.")
    loki: str = Field("", description="Base URL of Loki.")
    elasticsearch: str = Field("", description="Base URL of Elasticsearch or OpenSearch.")
    query: str = Field("", description='LogQL stream selector, e.g. {app="shop"}, or a query string.')
    index: str = Field("logs-*", description="Index pattern in Elasticsearch.")
    within: Duration = Field(60, gt=0, le=120, description="How long it may take to appear.")


class Logs(Kind[LogsParams]):
    """Whether a request is found in the aggregated logs, structured and not at debug level."""

    name = "telemetry.logs"
    about = "A marked request is found in Loki or Elasticsearch in time."
    params = LogsParams
    values: ClassVar[Mapping[str, str]] = {
        "found": "whether a line with the marker appeared in time",
        "delay_s": "seconds it took; absent where it did not appear",
        "structured": "whether the line is JSON or logfmt",
        "level": "its level in lower case; absent where it has none",
        "status": "status the marked request was answered with",
    }
    indirect = True
    cheap = False
    repeatable = False
    timeout = 150.0

    def defaults(self, params: LogsParams) -> Rules:
        """Catalogue E3, F5, U3: not found in 60 s fails; not structured, or debug level, warns."""
        return Rules(must={"found": True}, warn={"structured": False, "level": ["debug", "trace"]})

    def problem(self, params: LogsParams) -> str | None:
        """No store or two, or Loki without a selector."""
        if bool(params.loki) == bool(params.elasticsearch):
            return "name one store: loki or elasticsearch"
        if params.loki and not params.query.strip().startswith("{"):
            return 'Loki needs a stream selector as the query, e.g. {app="shop"}'
        return None

    async def observe(self, params: LogsParams, context: Context) -> Observation:
        """Send the request and look for it. Raises NoData where the store cannot be asked."""
        marker = f"{context.marker}-{secrets.token_hex(6)}"
        since = context.now()
        answer = await _canary(
            params, context, params.url.replace("{marker}", marker), {params.header: marker}
        )
        name, base = ("Loki", params.loki) if params.loki else ("Elasticsearch", params.elasticsearch)
        store = Source(context.web, name, base, headers=params.login())

        async def look() -> LogLine | None:
            if params.loki:
                return await loki_line(store, params.query, marker, since=since, now=context.now())
            return await elasticsearch_line(store, params.index, params.query, marker)

        line, delay = await wait_for(look, within=params.within, context=context)
        values: dict[str, Any] = {"found": line is not None, "status": answer.status}
        if line is not None:
            values |= {"delay_s": round(delay, 2), "structured": line.structured, "level": line.level}
        else:
            values |= {"delay_s": None}
        found = f"found in {name} after {delay:.1f} s" if line else f"not in {name} after {delay:.0f} s"
        return Observation(
            values=values,
            target=base,
            summary=f"{found}, the request was answered {answer.status}",
            excerpt=f"marker {marker}" + (f"\n{line.text[:1500]}" if line else ""),
        )


class TracesParams(CanaryParams):
    """Which request to look for, and where."""

    tempo: str = Field("", description="Base URL of Tempo.")
    jaeger: str = Field("", description="Base URL of Jaeger's query service.")
    services: list[str] = Field(default=[], description="Services that must have a span in the trace.")
    within: Duration = Field(60, gt=0, le=120, description="How long it may take to appear.")


class Traces(Kind[TracesParams]):
    """Whether a request with a trace id of ours (W3C Trace Context, sampled) is found as a trace."""

    name = "telemetry.traces"
    about = "A request with a trace id of our own is found in Tempo or Jaeger in time."
    params = TracesParams
    values: ClassVar[Mapping[str, str]] = {
        "found": "whether the trace appeared in time",
        "delay_s": "seconds it took; absent where it did not appear",
        "spans": "spans seen",
        "missing_services": "required services without a span, or none",
        "status": "status the traced request was answered with",
    }
    indirect = True
    cheap = False
    repeatable = False
    timeout = 150.0

    def defaults(self, params: TracesParams) -> Rules:
        """Catalogue U4: not found in 60 s."""
        return Rules(must={"found": True, "missing_services": "none"})

    def problem(self, params: TracesParams) -> str | None:
        """No store or two."""
        return "name one store: tempo or jaeger" if bool(params.tempo) == bool(params.jaeger) else None

    async def observe(self, params: TracesParams, context: Context) -> Observation:
        """Send the request and look its trace up. Raises NoData where the store cannot be asked."""
        trace = secrets.token_hex(16)
        headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
        answer = await _canary(params, context, params.url, headers)
        name, base = ("Tempo", params.tempo) if params.tempo else ("Jaeger", params.jaeger)
        store = Source(context.web, name, base, headers=params.login())
        ask = tempo_services if params.tempo else jaeger_services
        seen: list[str] = []

        async def look() -> list[str] | None:
            """The spans of the required services may come later than the first."""
            found = await ask(store, trace)
            seen[:] = found or seen
            return found if found and set(params.services) <= set(found) else None

        _, delay = await wait_for(look, within=params.within, context=context)
        missing = [service for service in params.services if service not in seen]
        summary = f"{len(seen)} spans of {', '.join(dict.fromkeys(seen))}" if seen else "no span"
        return Observation(
            values={
                "found": bool(seen),
                "delay_s": round(delay, 2) if seen else None,
                "spans": len(seen),
                "missing_services": ", ".join(missing) or "none",
                "status": answer.status,
            },
            target=base,
            summary=f"{summary} in {name} after {delay:.1f} s, the request was answered {answer.status}",
            excerpt=f"trace {trace}",
        )


class SentryParams(Params):
    """A project, and how to read it."""

    dsn: SecretValue = Field(description="The application's DSN.")
    organization: str = Field(description="Slug or id of the organisation.")
    project: str = Field(description="Slug or id of the project.")
    token: SecretValue = Field(description="Token that may read events (project:read).")
    url: str = Field("https://sentry.io", description="Base URL of Sentry's API.")
    within: Duration = Field(120, gt=0, le=300, description="How long it may take to appear.")


class Sentry(Kind[SentryParams]):
    """Whether an event sent with the application's DSN appears in its Sentry project."""

    name = "telemetry.sentry"
    about = "A canary event sent with the application's DSN appears in Sentry in time."
    params = SentryParams
    values: ClassVar[Mapping[str, str]] = {
        "accepted": "whether Sentry took the event",
        "found": "whether it appeared in time",
        "delay_s": "seconds it took; absent where it did not appear",
    }
    indirect = True
    cheap = False
    repeatable = False
    timeout = 330.0

    def defaults(self, params: SentryParams) -> Rules:
        """Catalogue F2: not visible in 120 s."""
        return Rules(must={"accepted": True, "found": True})

    async def observe(self, params: SentryParams, context: Context) -> Observation:
        """Send an event and look it up. Raises NoData where Sentry cannot be asked."""
        source = DataSource.of(params.dsn)
        event_id, now = secrets.token_hex(16), context.now()
        event = {
            "event_id": event_id,
            "timestamp": now.timestamp(),
            "platform": "other",
            "level": "info",
            "logger": "deploybot",
            "environment": context.environment,
            "release": context.version,
            "message": {"formatted": "Deploybot canary: error tracking is being checked, nothing is wrong"},
            "fingerprint": ["deploybot-canary"],
            "tags": {"deploybot": context.marker},
        }
        ingest = Source(context.web, "Sentry", source.base)
        answer = await ingest.send(
            "POST",
            source.endpoint,
            content=envelope(event, at=now),
            headers={"Content-Type": "application/x-sentry-envelope", "X-Sentry-Auth": source.authorization},
        )
        if answer.status in (400, 401, 403, 404):  # a DSN that is switched off takes no errors either
            return Observation(
                values={"accepted": False, "found": False, "delay_s": None},
                target=source.base,
                summary=f"Sentry refuses the application's DSN ({answer.status})",
            )
        ingest.judge(answer)
        token = {"Authorization": f"Bearer {params.token.reveal()}"}
        api = Source(context.web, "Sentry", params.url, headers=token)
        path = f"/api/0/projects/{segment(params.organization)}/{segment(params.project)}/events/{event_id}/"
        project = f"/api/0/projects/{segment(params.organization)}/{segment(params.project)}/"
        if await api.get(project, absent=(404,)) is None:
            raise NoData(f"Sentry has no project {params.organization}/{params.project} for this token")

        async def look() -> Any:
            return await api.get(path, absent=(404,))

        found, delay = await wait_for(look, within=params.within, context=context)
        seen = found is not None
        return Observation(
            values={"accepted": True, "found": seen, "delay_s": round(delay, 2) if seen else None},
            target=f"{params.url} {params.organization}/{params.project}",
            summary=f"event visible after {delay:.1f} s" if seen else f"not visible after {delay:.0f} s",
            excerpt=f"event {event_id}",
        )


class GrafanaParams(Params):
    """Dashboards that people look at during a deployment."""

    url: str = Field(description="Base URL of Grafana.")
    token: SecretValue | None = Field(None, description="Token of a service account with the role Viewer.")
    dashboards: list[str] = Field(min_length=1, description="Uids of dashboards that must exist.")
    datasources: list[str] = Field(default=[], description="Uids of further data sources to ask for health.")
    panels: list[str] = Field(default=[], description="Titles of panels that must show data.")
    since: str = Field("now-1h", description="Time range of the panel queries, as Grafana writes it.")


class Grafana(Kind[GrafanaParams]):
    """Whether dashboards exist, their data sources work and their panels show data.

    A panel without data is often right (no errors), so only the named ones must have some; a dashboard none
    of whose panels shows anything is broken all the same.
    """

    name = "telemetry.grafana"
    about = "Grafana dashboards exist, their data sources work and their panels show data."
    params = GrafanaParams
    values: ClassVar[Mapping[str, str]] = {
        "missing": "dashboards that are gone, or none",
        "unhealthy": "data sources that do not work, or none",
        "blank": "dashboards none of whose panels shows data, or none",
        "empty": "named panels that show no data or are gone, or none",
        "panels": "panels whose queries were asked",
        "skipped": "panels whose queries depend on variables without a value",
    }
    indirect = True
    timeout = 30.0

    def defaults(self, params: GrafanaParams) -> Rules:
        """Catalogue U5: dashboard gone, data source unhealthy, panel query empty."""
        return Rules(must={"missing": "none", "unhealthy": "none", "blank": "none", "empty": "none"})

    async def observe(self, params: GrafanaParams, context: Context) -> Observation:
        """Look at all of it."""
        login = {"Authorization": f"Bearer {params.token.reveal()}"} if params.token else {}
        source = Source(context.web, "Grafana", params.url, headers=login)
        looks = await asyncio.gather(
            *(grafana.look(source, uid, since=params.since) for uid in params.dashboards)
        )
        there = [one for one in looks if one is not None]
        missing = [uid for uid, one in zip(params.dashboards, looks, strict=True) if one is None]
        uids = dict.fromkeys([*params.datasources, *(uid for one in there for uid in one.data_sources)])
        health = await asyncio.gather(*(grafana.unhealthy(source, uid) for uid in uids))
        sick = [why for why in health if why is not None]
        full = {title for one in there for title in one.full}
        asked = sum(len(one.asked) for one in there)
        return Observation(
            values={
                "missing": ", ".join(missing) or "none",
                "unhealthy": "; ".join(sick) or "none",
                "blank": ", ".join(one.uid for one in there if one.asked and not one.full) or "none",
                "empty": ", ".join(title for title in params.panels if title not in full) or "none",
                "panels": asked,
                "skipped": sum(one.skipped for one in there),
            },
            target=params.url,
            summary=f"{len(there)} of {len(looks)} dashboards, {len(uids) - len(sick)} of {len(uids)} data"
            f" sources work, {sum(len(one.full) for one in there)} of {asked} panels show data",
            excerpt="\n".join(
                f"{one.uid}: {one.title}, {len(one.full)} of {len(one.asked)} panels show data"
                for one in there
            ),
        )


class StatuspageParams(Params):
    """A status page."""

    page: str = Field(description="Id of the page.")
    token: SecretValue = Field(description="API key of a user of the page.")
    url: str = Field("https://api.statuspage.io", description="Base URL of the API.")
    mentions: list[str] | None = Field(
        None, description="Words of which it must name one; unset: service or version; []: any post counts."
    )


class Statuspage(Kind[StatuspageParams]):
    """Whether the status page tells of this deployment: a post that falls into its time and names it."""

    name = "telemetry.statuspage"
    about = "The status page has a maintenance or incident for this deployment."
    params = StatuspageParams
    values: ClassVar[Mapping[str, str]] = {
        "posted": "whether there is one",
        "id": "its id; absent where there is none",
        "status": "its status, e.g. scheduled, in_progress, completed, resolved; absent where there is none",
    }
    indirect = True

    def defaults(self, params: StatuspageParams) -> Rules:
        """Catalogue P2: none in the window."""
        return Rules(must={"posted": True})

    async def observe(self, params: StatuspageParams, context: Context) -> Observation:
        """The newest hundred posts. Raises NoData outside a deployment."""
        if context.started_at is None:
            raise NoData("there is no deployment whose time a post could fall into")
        words = [context.service, context.version] if params.mentions is None else params.mentions
        source = Source(
            context.web,
            "Statuspage",
            params.url,
            headers={"Authorization": f"OAuth {params.token.reveal()}"},
        )
        listed = await source.get(f"/v1/pages/{segment(params.page)}/incidents", params={"limit": "100"})
        found = spoken_of(
            listed or (), words=[word for word in words if word], began=context.started_at, now=context.now()
        )
        first = found[0] if found else {}
        return Observation(
            values={"posted": bool(found), "id": first.get("id"), "status": first.get("status")},
            target=f"{params.url} page {params.page}",
            summary=f"{first.get('name')}: {first.get('status')}"
            if found
            else "nothing about this deployment",
            excerpt="\n".join(
                f"{one.get('status')}  {one.get('name')}  {one.get('shortlink') or ''}".rstrip()
                for one in found[:5]
            ),
        )


KINDS = (Logs(), Traces(), Sentry(), Grafana(), Statuspage())
