"""Contract server: stands in for Grafana Loki's query API and Elasticsearch's search API, built from their
published documentation.

Loki: `GET /loki/api/v1/query_range` with a stream selector and line filters, nanosecond bounds, plain-text
errors. Elasticsearch: `POST /INDEX/_search` with `query_string` clauses.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from aiohttp import web

_LOGQL = re.compile(r'^\{(\w+)="([^"]*)"\}((?:\s*\|=\s*"(?:\\.|[^"\\])*")*)\s*$')


class LogStores:
    """Lines that were pushed to it, given back as either store would."""

    def __init__(self, *, tenant: str = "", api_key: str = "") -> None:
        #: (labels, nanoseconds, line)
        self.lines: list[tuple[dict[str, str], int, str]] = []
        #: Documents of the index `logs-shop`.
        self.documents: list[dict[str, Any]] = []
        #: Whether searches reach only some of the shards.
        self.shards_failed = 0
        #: Whether everything is answered 503.
        self.down = False
        self._tenant = tenant
        self._api_key = api_key
        self.application = web.Application()
        self.application.router.add_get("/loki/api/v1/query_range", self._query_range)
        self.application.router.add_post("/{index}/_search", self._search)

    def push(self, line: str, **labels: str) -> None:
        """A line, now."""
        self.lines.append((labels, time.time_ns(), line))

    async def _query_range(self, request: web.Request) -> web.Response:
        if self.down:
            return web.Response(status=503, text="Service Unavailable")
        if self._tenant and request.headers.get("X-Scope-OrgID") != self._tenant:
            return web.Response(status=401, text="no org id")
        asked = _LOGQL.match(request.query["query"])
        if asked is None:
            return web.Response(status=400, text="parse error at line 1, col 1: syntax error")
        name, value, filters = asked.groups()
        needles = [json.loads(text) for text in re.findall(r'\|=\s*("(?:\\.|[^"\\])*")', filters)]
        start, end = int(request.query["start"]), int(request.query["end"])
        found = [
            {"stream": labels, "values": [[str(at), line]]}
            for labels, at, line in self.lines
            if labels.get(name) == value and start <= at < end and all(needle in line for needle in needles)
        ]
        return web.json_response(
            {"status": "success", "data": {"resultType": "streams", "result": found, "stats": {}}}
        )

    async def _search(self, request: web.Request) -> web.Response:
        if self._api_key and request.headers.get("Authorization") != f"ApiKey {self._api_key}":
            return web.json_response(
                {"error": {"type": "security_exception", "reason": "missing authentication"}, "status": 401},
                status=401,
            )
        if request.match_info["index"] not in ("logs-*", "logs-shop"):
            reason = f"no such index [{request.match_info['index']}]"
            return web.json_response(
                {"error": {"type": "index_not_found_exception", "reason": reason}, "status": 404}, status=404
            )
        body = await request.json()
        needles = [clause["query_string"]["query"].strip('"') for clause in body["query"]["bool"]["must"]]
        hits = [
            {"_index": "logs-shop", "_id": str(number), "_source": document}
            for number, document in enumerate(self.documents)
            if all(needle in json.dumps(document) for needle in needles)
        ]
        shards = {"total": 2, "successful": 2 - self.shards_failed, "failed": self.shards_failed}
        return web.json_response(
            {
                "took": 1,
                "timed_out": False,
                "_shards": shards,
                "hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": hits[: body["size"]]},
            }
        )
