"""Contract server: stands in for GitHub's REST API, built from its published documentation (version
2022-11-28: commits, branches, rules, compare, contents, check runs, statuses, releases).
"""

from __future__ import annotations

import base64
from typing import Any

from aiohttp import web

TOKEN = "github_pat_reader_1"
HEAD, OLD = "a" * 40, "b" * 40


class GitHubServer:
    """The private repository acme/shop: branch `release` at HEAD, tag `v1.4.2` at HEAD, `v1.4.1` at OLD."""

    def __init__(self) -> None:
        self.refs = {"release": HEAD, "main": OLD, "v1.4.2": HEAD, "v1.4.1": OLD, HEAD: HEAD, OLD: OLD}
        self.branches = {"release": False, "main": True}
        #: Branches a ruleset applies to.
        self.ruled: set[str] = set()
        self.check_runs: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self.files: dict[str, str] = {}
        self.compared: dict[str, Any] = {"status": "ahead", "files": []}
        self.rate_limited = False
        self.application = web.Application(middlewares=[self._guard])
        at = "/repos/acme/shop"
        for path, handler in (
            ("", self._repository),
            ("/commits", self._commits),
            ("/commits/{ref:.+}/check-runs", self._check_runs),
            ("/commits/{ref:.+}/status", self._status),
            ("/commits/{ref:.+}", self._commit),
            ("/branches/{ref:.+}", self._branch),
            ("/rules/branches/{ref:.+}", self._rules),
            ("/compare/{spec:.+}", self._compare),
            ("/contents/{path:.+}", self._contents),
            ("/releases", self._releases),
            ("/releases/tags/{tag:.+}", self._release),
        ):
            self.application.router.add_get(at + path, handler)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.headers["X-GitHub-Api-Version"] == "2022-11-28"
        if self.rate_limited:
            headers = {"x-ratelimit-remaining": "0"}
            return web.json_response({"message": "API rate limit exceeded"}, status=403, headers=headers)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _not_found()  # a private repository does not exist for who may not see it
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _repository(self, _: web.Request) -> web.Response:
        return web.json_response({"full_name": "acme/shop"})

    async def _commit(self, request: web.Request) -> web.Response:
        sha = self.refs.get(request.match_info["ref"])
        if sha is None:
            message = f"No commit found for SHA: {request.match_info['ref']}"
            return web.json_response({"message": message}, status=422)
        return web.json_response(_commit(sha))

    async def _commits(self, request: web.Request) -> web.Response:
        there = request.query["path"] in self.files
        return web.json_response([_commit(HEAD)] if there else [])

    async def _branch(self, request: web.Request) -> web.Response:
        name = request.match_info["ref"]
        if name not in self.branches:
            return _not_found()
        return web.json_response({"name": name, "protected": self.branches[name]})

    async def _rules(self, request: web.Request) -> web.Response:
        ruled = request.match_info["ref"] in self.ruled
        return web.json_response([{"type": "pull_request"}] if ruled else [])

    async def _check_runs(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"total_count": len(self.check_runs), "check_runs": _page(request, self.check_runs)}
        )

    async def _status(self, request: web.Request) -> web.Response:
        # Without any status GitHub says pending: "pending if there are no statuses".
        states = {status["state"] for status in self.statuses}
        state = "success" if states == {"success"} else "failure" if "failure" in states else "pending"
        return web.json_response(
            {"state": state, "total_count": len(self.statuses), "statuses": _page(request, self.statuses)}
        )

    async def _compare(self, request: web.Request) -> web.Response:
        base, _, head = request.match_info["spec"].partition("...")
        if base not in self.refs or head not in self.refs:
            return _not_found()
        return web.json_response(self.compared)

    async def _contents(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if path in self.files:
            content = base64.encodebytes(self.files[path].encode()).decode()
            return web.json_response({"type": "file", "encoding": "base64", "content": content})
        if any(name.startswith(f"{path}/") for name in self.files):
            return web.json_response([])
        return _not_found()

    async def _releases(self, request: web.Request) -> web.Response:
        return web.json_response(_page(request, self.releases))

    async def _release(self, request: web.Request) -> web.Response:
        for release in self.releases:
            if release["tag_name"] == request.match_info["tag"] and not release["draft"]:
                return web.json_response(release)
        return _not_found()


def check_run(name: str, conclusion: str | None = "success", *, status: str = "completed") -> dict[str, Any]:
    """A check run as GitHub tells it."""
    return {
        "name": name,
        "status": status,
        "conclusion": conclusion,
        "html_url": f"https://github.com/acme/shop/runs/{name}",
    }


def release(tag: str, *, body: str = "What is new", draft: bool = False) -> dict[str, Any]:
    """A release."""
    url = f"https://github.com/acme/shop/releases/tag/{tag}"
    return {"tag_name": tag, "body": body, "draft": draft, "prerelease": False, "html_url": url}


def _commit(sha: str) -> dict[str, Any]:
    person = {"name": "Ana", "date": "2026-03-01T10:00:00Z"}
    return {"sha": sha, "commit": {"author": person, "committer": person, "message": "Release"}}


def _page(request: web.Request, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
    return listed[(page - 1) * size : page * size]


def _not_found() -> web.Response:
    return web.json_response({"message": "Not Found"}, status=404)
