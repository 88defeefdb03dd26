"""Contract server: stands in for Sentry's envelope ingestion and event API, built from its published
documentation (develop.sentry.dev "Envelopes", docs.sentry.io "Retrieve an Event for a Project").
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

KEY, TOKEN = "0123456789abcdef0123456789abcdef", "sntrys_read_token_1"


class SentryServer:
    """Organisation `acme`, project `shop` (id 42)."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        #: Whether accepted events are kept: an inbound filter or a broken worker drops them.
        self.keeps = True
        #: Whether the project's quota is used up.
        self.over_quota = False
        self.application = web.Application()
        self.application.router.add_post("/api/42/envelope/", self._envelope)
        project = "/api/0/projects/{organization}/{project}/"
        self.application.router.add_get(project, self._project)
        self.application.router.add_get(project + "events/{event}/", self._event)

    async def _envelope(self, request: web.Request) -> web.Response:
        if f"sentry_key={KEY}" not in request.headers.get("X-Sentry-Auth", ""):
            return web.json_response(
                {"detail": "event submission rejected with_reason: ProjectId"}, status=403
            )
        if self.over_quota:
            return web.json_response({"detail": "quota"}, status=429, headers={"Retry-After": "60"})
        lines = (await request.read()).split(b"\n")
        header, item = json.loads(lines[0]), json.loads(lines[1])
        if item["type"] != "event" or len(lines[2]) != item["length"]:
            return web.json_response({"detail": "invalid envelope"}, status=400)
        event = json.loads(lines[2])
        if event["event_id"] != header["event_id"]:
            return web.json_response({"detail": "invalid event id"}, status=400)
        if self.keeps:
            self.events[event["event_id"]] = event
        return web.json_response({"id": event["event_id"]})

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"detail": "Invalid token"}, status=401)
        if (request.match_info["organization"], request.match_info["project"]) != ("acme", "shop"):
            return web.json_response({"detail": "The requested resource does not exist"}, status=404)
        return None

    async def _project(self, request: web.Request) -> web.Response:
        return self._refusal(request) or web.json_response({"id": "42", "slug": "shop"})

    async def _event(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        event = self.events.get(request.match_info["event"])
        if event is None:
            return web.json_response({"detail": "Event not found"}, status=404)
        return web.json_response({"eventID": event["event_id"], "id": event["event_id"], "type": "default"})
