"""Contract server: stands in for Thanos' Prometheus API, built from its published documentation.

A query layer over several stores answers in part when one of them is down, and says so under `warnings`
(Thanos, "Partial response"); a plain Prometheus never does.
"""

from __future__ import annotations

from aiohttp import web


def partial_prometheus(*, token: str) -> web.Application:
    """Answers every query with one sample and the warning that a store is missing."""

    async def query(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {token}":
            return web.Response(status=401, text="unauthorized")
        return web.json_response(
            {
                "status": "success",
                "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, "1"]}]},
                "warnings": ["No StoreAPIs matched for this query: store-2 is unavailable"],
            }
        )

    application = web.Application()
    application.router.add_route("*", "/api/v1/query", query)
    return application
