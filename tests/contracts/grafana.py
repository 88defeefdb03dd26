"""Contract server: stands in for Grafana's HTTP API, built from its published documentation ("Dashboard",
"Data source", "Query a data source").
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

TOKEN = "glsa_viewer_token_1"


class GrafanaServer:
    """Dashboard `deploy` with data sources `prom`, which works, and whatever a test adds."""

    def __init__(self) -> None:
        self.dashboards: dict[str, dict[str, Any]] = {"deploy": dashboard("Deploy", panel("Requests", "up"))}
        #: uid → message of its health check; empty: works; None: its kind has no health check.
        self.sources: dict[str, str | None] = {"prom": ""}
        #: Expressions that give no data.
        self.without_data: set[str] = set()
        self.application = web.Application()
        self.application.router.add_get("/api/dashboards/uid/{uid}", self._dashboard)
        self.application.router.add_get("/api/datasources/uid/{uid}", self._source)
        self.application.router.add_get("/api/datasources/uid/{uid}/health", self._health)
        self.application.router.add_post("/api/ds/query", self._query)

    @staticmethod
    def _refusal(request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Bearer {TOKEN}":
            return None
        return web.json_response({"message": "Unauthorized"}, status=401)

    async def _dashboard(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        found = self.dashboards.get(request.match_info["uid"])
        if found is None:
            return web.json_response({"message": "Dashboard not found"}, status=404)
        meta = {"version": 7, "updated": "2026-03-01T10:00:00Z", "url": "/d/deploy"}
        return web.json_response({"dashboard": found, "meta": meta})

    async def _source(self, request: web.Request) -> web.Response:
        if request.match_info["uid"] not in self.sources:
            return web.json_response({"message": "Data source not found"}, status=404)
        return web.json_response({"uid": request.match_info["uid"]})

    async def _health(self, request: web.Request) -> web.Response:
        health = self.sources.get(request.match_info["uid"])
        if health is None:
            return web.json_response({"message": "Not found"}, status=404)
        if health:
            return web.json_response({"message": health, "status": "ERROR"}, status=400)
        return web.json_response({"message": "Successfully queried the Prometheus API.", "status": "OK"})

    async def _query(self, request: web.Request) -> web.Response:
        body = await request.json()
        results: dict[str, Any] = {}
        for query in body["queries"]:
            assert query["datasource"]["uid"] in self.sources, (
                "Grafana refuses a query without a known source"
            )
            empty = query["expr"] in self.without_data
            values: list[list[Any]] = [[], []] if empty else [[1700000000000], [1]]
            frame = {
                "schema": {"fields": [{"name": "Time", "type": "time"}, {"name": "Value", "type": "number"}]},
                "data": {"values": values},
            }
            results[query["refId"]] = {"status": 200, "frames": [frame]}
        return web.json_response({"results": results})


def panel(title: str, expr: str, *, source: str = "prom") -> dict[str, Any]:
    """A panel with one query."""
    return {
        "title": title,
        "type": "timeseries",
        "datasource": {"type": "prometheus", "uid": source},
        "targets": [{"refId": "A", "expr": expr}],
    }


def dashboard(title: str, *panels: dict[str, Any], variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """A dashboard; variables by name with their current value."""
    listed = [{"name": name, "current": {"value": value}} for name, value in (variables or {}).items()]
    return {"title": title, "panels": list(panels), "templating": {"list": listed}}
