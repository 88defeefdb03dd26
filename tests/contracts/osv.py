"""Contract server: stands in for OSV.dev's API, built from its published documentation ("POST
/v1/querybatch", "GET /v1/vulns/{id}") and the OSV schema.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web


class OsvServer:
    """Knows advisories for packages; gives at most one per page, so that every answer with two has pages."""

    def __init__(self) -> None:
        #: (ecosystem, name, version) → ids
        self.affected: dict[tuple[str, str, str], list[str]] = {}
        self.details: dict[str, dict[str, Any]] = {}
        #: How many packages each query asked about.
        self.asked: list[int] = []
        #: Whether the last result of every answer is left out.
        self.partial = False
        self.application = web.Application(client_max_size=16_000_000)
        self.application.router.add_post("/v1/querybatch", self._querybatch)
        self.application.router.add_get("/v1/vulns/{id}", self._vulnerability)

    def knows(self, package: tuple[str, str, str], id_: str, **detail: Any) -> None:
        """An advisory for a package."""
        self.affected.setdefault(package, []).append(id_)
        self.details[id_] = {"id": id_, "modified": "2026-01-01T00:00:00Z", **detail}

    async def _querybatch(self, request: web.Request) -> web.Response:
        queries = (await request.json())["queries"]
        self.asked.append(len(queries))
        if len(queries) > 1000:
            return web.json_response({"code": 3, "message": "Too many queries."}, status=400)
        results = []
        for query in queries:
            package = query["package"]
            ids = self.affected.get((package["ecosystem"], package["name"], query["version"]), [])
            at = int(query.get("page_token") or 0)
            result: dict[str, Any] = {}
            if ids[at:]:
                result["vulns"] = [{"id": ids[at], "modified": "2026-01-01T00:00:00Z"}]
            if ids[at + 1 :]:
                result["next_page_token"] = str(at + 1)
            results.append(result)
        return web.json_response({"results": results[:-1] if self.partial else results})

    async def _vulnerability(self, request: web.Request) -> web.Response:
        found = self.details.get(request.match_info["id"])
        if found is None:
            return web.json_response({"code": 5, "message": "Bug not found."}, status=404)
        return web.json_response(found)
