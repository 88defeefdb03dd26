"""Contract server: stands in for Atlassian Statuspage's API, built from its published documentation
("Get a list of incidents": scheduled maintenances are incidents too).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

TOKEN = "statuspage-key-1"


class StatuspageServer:
    """Page `page1`."""

    def __init__(self) -> None:
        self.incidents: list[dict[str, Any]] = []
        self.application = web.Application()
        self.application.router.add_get("/v1/pages/{page}/incidents", self._incidents)

    async def _incidents(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"OAuth {TOKEN}":
            return web.json_response({"error": "Could not authenticate"}, status=401)
        if request.match_info["page"] != "page1":
            return web.json_response({"error": "Page not found"}, status=404)
        return web.json_response(self.incidents[: int(request.query["limit"])])


def incident(name: str, *, at: datetime, status: str = "investigating", body: str = "") -> dict[str, Any]:
    """An incident opened at a time."""
    return {
        "id": "p31zjtct2jer",
        "name": name,
        "status": status,
        "impact": "minor",
        "created_at": at.isoformat(),
        "updated_at": at.isoformat(),
        "scheduled_for": None,
        "scheduled_until": None,
        "shortlink": "http://stspg.io/abc",
        "incident_updates": [{"body": body, "status": status}],
        "components": [],
    }


def maintenance(name: str, *, at: datetime, until: datetime) -> dict[str, Any]:
    """A maintenance planned for a time."""
    planned = {"scheduled_for": at.isoformat(), "scheduled_until": until.isoformat(), "status": "in_progress"}
    return {**incident(name, at=at), **planned}
