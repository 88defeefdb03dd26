"""Contract server: stands in for Grafana Tempo's and Jaeger's trace look-up, built from their published
documentation.

Both answer `GET /api/traces/TRACE`: Tempo with OTLP batches, Jaeger with spans and processes.
"""

from __future__ import annotations

from aiohttp import web


class TraceStore:
    """Traces, each a list of service names, one per span."""

    def __init__(self, *, jaeger: bool = False) -> None:
        self.traces: dict[str, list[str]] = {}
        self._jaeger = jaeger
        self.application = web.Application()
        self.application.router.add_get("/api/traces/{trace}", self._trace)

    async def _trace(self, request: web.Request) -> web.Response:
        trace = request.match_info["trace"]
        services = self.traces.get(trace)
        if services is None:
            if self._jaeger:
                errors = [{"code": 404, "msg": "trace not found", "traceID": trace}]
                return web.json_response({"data": None, "total": 0, "errors": errors}, status=404)
            return web.Response(status=404, text="trace not found")
        if self._jaeger:
            spans = [
                {"traceID": trace, "spanID": f"{number:016x}", "processID": f"p{number}"}
                for number in range(len(services))
            ]
            processes = {f"p{number}": {"serviceName": name} for number, name in enumerate(services)}
            return web.json_response(
                {"data": [{"traceID": trace, "spans": spans, "processes": processes}], "errors": None}
            )
        return web.json_response(
            {
                "batches": [
                    {
                        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]},
                        "scopeSpans": [{"scope": {}, "spans": [{"traceId": trace, "name": "GET /"}]}],
                    }
                    for name in services
                ]
            }
        )
