"""Where logs and traces end up: Loki, Elasticsearch, Tempo, Jaeger; each asked for one marked thing.

Built from the vendors' API references: Loki "Query logs within a range of time", Elasticsearch "Search",
Tempo "Query", Jaeger's query service as its UI uses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.checks.kind import NoData
from bot.checks.log_lines import LogLine, is_own_question
from bot.checks.source import Source, segment


async def loki_line(
    source: Source, query: str, marker: str, *, since: datetime, now: datetime
) -> LogLine | None:
    """The newest line with the marker among those a LogQL stream selector matches."""
    quoted = json.dumps(marker)
    found = await source.get(
        "/loki/api/v1/query_range",
        params={
            "query": f"{query} |= {quoted}",
            "start": _nanoseconds(since),
            "end": _nanoseconds(now + timedelta(minutes=1)),
            "limit": "20",
            "direction": "backward",
        },
    )
    if not isinstance(found, dict) or found.get("data", {}).get("resultType") != "streams":
        raise NoData("Loki answers with something else than log lines: write a stream selector as the query")
    for stream in found["data"]["result"]:
        for entry in stream["values"]:
            extra = entry[2] if len(entry) > 2 and isinstance(entry[2], dict) else {}
            line = LogLine(text=str(entry[1]), fields={**stream.get("stream", {}), **extra})
            if marker in line.text and not is_own_question(line.text):
                return line
    return None


async def elasticsearch_line(source: Source, index: str, query: str, marker: str) -> LogLine | None:
    """The newest document with the marker in an index, among those a query string matches."""
    wanted: list[dict[str, Any]] = [{"query_string": {"query": json.dumps(marker), "lenient": True}}]
    if query:
        wanted.append({"query_string": {"query": query}})
    found = await source.post(
        f"/{segment(index)}/_search",
        json={
            "size": 20,
            "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
            "query": {"bool": {"must": wanted}},
        },
    )
    if not isinstance(found, dict) or "hits" not in found:
        raise NoData("the answer is not Elasticsearch's: is this its address?")
    for hit in found["hits"].get("hits", ()):
        document = hit.get("_source") or {}
        text = json.dumps(document)
        if marker in text and not is_own_question(text):
            message = document.get("message")
            # A document of named fields is structured; one that is only a message is what the message is.
            plain = set(document) <= {"message", "@timestamp", "host", "agent", "input", "ecs", "log"}
            return LogLine(text=message if plain and isinstance(message, str) else text, fields=document)
    if found.get("timed_out") or found.get("_shards", {}).get("failed"):
        raise NoData("Elasticsearch searched only part of the index", retryable=True)
    return None


async def tempo_services(source: Source, trace: str) -> list[str] | None:
    """The service of each span of a trace in Tempo; None where it is not there yet."""
    found = await source.get(f"/api/traces/{trace}", absent=(404,))
    if not isinstance(found, Mapping):
        return None
    inner = found.get("trace", found)
    resources = inner.get("batches") or inner.get("resourceSpans") or ()
    services = [
        _service(resource.get("resource", {}).get("attributes", ()))
        for resource in resources
        for scope in resource.get("scopeSpans") or resource.get("instrumentationLibrarySpans") or ()
        for _ in scope.get("spans") or ()
    ]
    return services or None


async def jaeger_services(source: Source, trace: str) -> list[str] | None:
    """The service of each span of a trace in Jaeger; None where it is not there yet."""
    found = await source.get(f"/api/traces/{trace}", absent=(404,))
    if not isinstance(found, Mapping):
        return None
    services = [
        str(one.get("processes", {}).get(span.get("processID"), {}).get("serviceName", "?"))
        for one in found.get("data") or ()
        for span in one.get("spans") or ()
    ]
    return services or None


def _service(attributes: Iterable[Mapping[str, Any]]) -> str:
    for attribute in attributes:
        if attribute.get("key") == "service.name":
            return str(attribute.get("value", {}).get("stringValue", "?"))
    return "?"


def _nanoseconds(at: datetime) -> str:
    return f"{int(at.timestamp() * 1000)}000000"
