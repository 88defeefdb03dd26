"""Contract server: stands in for GitHub's REST API for deployment statuses, built from its published
documentation (version 2022-11-28: "Create a deployment status", "List deployment statuses").
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

TOKEN = "github_pat_deployments_1"
STATES = {"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}


class GitHubDeploymentsServer:
    """The repository acme/shop with deployment 145988746."""

    def __init__(self) -> None:
        #: Newest first, as GitHub lists them.
        self.statuses: list[dict[str, Any]] = []
        #: Answers to give before anything is done, one a request: status and headers.
        self.troubles: list[tuple[int, dict[str, str]]] = []
        #: Whether the next status is stored and the answer to it lost.
        self.loses_the_answer = False
        self.application = web.Application(middlewares=[self._guard])
        at = "/repos/acme/shop/deployments/145988746/statuses"
        self.application.router.add_post(at, self._create)
        self.application.router.add_get(at, self._list)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.headers["X-GitHub-Api-Version"] == "2022-11-28"
        assert request.headers["Accept"] == "application/vnd.github+json"
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Not Found"}, status=404)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _create(self, request: web.Request) -> web.Response:
        if self.troubles:
            status, headers = self.troubles.pop(0)
            return web.json_response({"message": "Trouble"}, status=status, headers=headers)
        given = await request.json()
        if given.get("state") not in STATES or len(given.get("description", "")) > 140:
            return web.json_response({"message": "Validation Failed"}, status=422)
        self.statuses.insert(
            0, {"id": len(self.statuses) + 1, "target_url": given.get("log_url", ""), **given}
        )
        if self.loses_the_answer:
            self.loses_the_answer = False
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self.statuses[0], status=201)

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(self.statuses[: int(request.query.get("per_page", 30))])
