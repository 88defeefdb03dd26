"""Contract server: stands in for the Kubernetes API, built from its published documentation (apps/v1
Deployment, StatefulSet and DaemonSet; v1 Pod list).
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

TOKEN = "kube-service-account-token"


class KubernetesServer:
    """Namespace `shop`."""

    def __init__(self) -> None:
        #: `deployments/worker` → object
        self.workloads: dict[str, dict[str, Any]] = {}
        self.pods: list[dict[str, Any]] = []
        #: Called before each answer, so that a test can let things move on.
        self.asked = 0
        self.moves: dict[int, Any] = {}
        self.application = web.Application(middlewares=[self._guard])
        apps = "/apis/apps/v1/namespaces/shop/{plural}/{name}"
        self.application.router.add_get(apps, self._workload)
        self.application.router.add_get("/api/v1/namespaces/shop/pods", self._pods)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _status(403, "Forbidden")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _workload(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.asked in self.moves:
            self.moves[self.asked]()
        found = self.workloads.get(f"{request.match_info['plural']}/{request.match_info['name']}")
        return web.json_response(found) if found else _status(404, "NotFound")

    async def _pods(self, request: web.Request) -> web.Response:
        assert request.query["labelSelector"] == "app=worker"
        return web.json_response({"kind": "PodList", "items": self.pods})


def deployment(
    *, wanted: int, ready: int, updated: int | None = None, existing: int | None = None, seen: bool = True
) -> dict[str, Any]:
    """A deployment or stateful set; `seen`: whether its controller has taken up the newest specification."""
    return {
        "metadata": {"name": "worker", "generation": 5},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": "worker"}}},
        "status": {
            "observedGeneration": 5 if seen else 4,
            "replicas": ready if existing is None else existing,
            "readyReplicas": ready,
            "updatedReplicas": ready if updated is None else updated,
        },
    }


def daemon_set(*, wanted: int, ready: int) -> dict[str, Any]:
    """A daemon set."""
    return {
        "metadata": {"name": "worker", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "worker"}}},
        "status": {
            "observedGeneration": 1,
            "desiredNumberScheduled": wanted,
            "currentNumberScheduled": wanted,
            "numberReady": ready,
            "updatedNumberScheduled": ready,
        },
    }


def pod(
    name: str, *, created: str, restarts: int = 0, ended: str = "", reason: str = "Error", waiting: str = ""
) -> dict[str, Any]:
    """A pod with one container."""
    last = {"terminated": {"finishedAt": ended, "reason": reason}} if ended else {}
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    container = {"name": "app", "restartCount": restarts, "lastState": last, "state": state}
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "status": {"phase": "Running", "containerStatuses": [container]},
    }


def _status(code: int, reason: str) -> web.Response:
    return web.json_response(
        {"kind": "Status", "status": "Failure", "message": reason, "reason": reason, "code": code},
        status=code,
    )
