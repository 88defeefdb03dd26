"""Kubernetes: resource limits in manifests, replicas in a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from bot.checks import kubernetes
from bot.checks.kind import Broken, Context, Duration, Kind, NoData, Params, SecretValue
from bot.checks.kubernetes import Replicas, Workload
from bot.checks.manifests import Container, containers
from bot.checks.waiting import wait_for
from bot.checks.web import WebClient
from bot.domain.check import Observation, Rules


def _none_or(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


class LimitsParams(Params):
    """Manifests and the policy for them."""

    files: list[str] = Field(
        min_length=1, description="Manifests under the root; globs such as k8s/**/*.yaml."
    )
    resource: Literal["memory", "cpu"] = Field(description="Which resource is looked at.")
    cpu_limit: bool = Field(False, description="Whether the policy demands CPU limits too.")


class Limits(Kind[LimitsParams]):
    """Whether every container has the limits and requests that the policy demands.

    Memory needs a limit, since without one a leak takes the node down. CPU needs a request, by which it is
    scheduled; a CPU limit is a policy of its own, since it throttles.
    """

    name = "kube.limits"
    about = "Every container in the manifests has a memory limit, or a CPU request."
    params = LimitsParams
    values: ClassVar[Mapping[str, str]] = {
        "containers": "containers looked at, init containers too",
        "without_limit": "containers without a limit of the resource, or none",
        "without_request": "containers without a request of it, where a limit alone counts as one, or none",
        "below_request": "containers whose limit is below their request, which Kubernetes refuses, or none",
    }

    def defaults(self, params: LimitsParams) -> Rules:
        """Catalogue E6, E7: no memory limit fails, no memory request warns; no CPU request fails."""
        if params.resource == "memory":
            return Rules(
                must={"without_limit": "none", "below_request": "none"}, warn={"without_request": "!= none"}
            )
        limit = {"without_limit": "none"} if params.cpu_limit else {}
        return Rules(must={"without_request": "none", **limit}, warn={"below_request": "!= none"})

    def problem(self, params: LimitsParams) -> str | None:
        """A CPU policy for memory."""
        return "cpu_limit is for resource: cpu" if params.cpu_limit and params.resource != "cpu" else None

    async def observe(self, params: LimitsParams, context: Context) -> Observation:
        """Read the manifests. Raises NoData without containers, Broken for a file that cannot be read."""
        paths = _paths(params.files, context)
        found: list[Container] = []
        for path in paths:
            try:
                found += containers(path.read_text("utf-8"))
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise Broken(f"{path.name} cannot be read as manifests: {error}") from error
        if not found:
            raise NoData(f"no container in {len(paths)} files that match {', '.join(params.files)}")
        resource = params.resource
        try:
            unlimited = [one.title for one in found if one.limit(resource) is None]
            unasked = [one.title for one in found if one.request(resource) is None]
            low = [one.title for one in found if (one.limit(resource) or 0) < (one.request(resource) or 0)]
        except ValueError as error:
            raise Broken(str(error)) from error
        low = [title for title in low if title not in unlimited]
        rows = [
            f"{one.title}  limit {one.limits.get(resource, '–')}  request {one.requests.get(resource, '–')}"
            for one in sorted(found, key=lambda one: one.title not in unlimited)
        ]
        return Observation(
            values={
                "containers": len(found),
                "without_limit": _none_or(unlimited),
                "without_request": _none_or(unasked),
                "below_request": _none_or(low),
            },
            target=", ".join(params.files),
            summary=f"{len(found)} containers: {len(unlimited)} without a {resource} limit,"
            f" {len(unasked)} without a request",
            excerpt="\n".join(rows[:40]),
        )


def _paths(globs: Sequence[str], context: Context) -> list[Path]:
    """The files that match, each inside the root. Raises NoData for a glob that matches none."""
    paths: dict[Path, None] = {}
    for glob in globs:
        context.path(glob.partition("*")[0] or ".")
        try:
            matched = sorted(path for path in context.root.glob(glob) if path.is_file())
        except (ValueError, NotImplementedError) as error:
            raise Broken(f"'{glob}' is no glob under the root: {error}") from error
        if not matched:
            raise NoData(f"no file matches {glob}")
        paths |= dict.fromkeys(context.path(str(path.relative_to(context.root))) for path in matched)
    return list(paths)


class LiveParams(Params):
    """A workload in a cluster."""

    url: str = Field("", description="Base URL of the Kubernetes API.")
    token: SecretValue | None = Field(
        None, description="Token of a service account that may read the workload."
    )
    ca: str = Field("", description="CA file of the cluster under the root; unset: as in the environment.")
    kubeconfig: str = Field(
        "", description="Kubeconfig under the root instead of url; needs deploybot[kube]."
    )
    kube_context: str | None = Field(None, description="Context in that kubeconfig; unset: its current one.")
    namespace: str = Field("default", description="Namespace of the workload.")
    workload: Workload = Field("deployment", description="Kind of the workload.")
    name: str = Field(min_length=1, description="Name of the workload.")
    replicas: int | None = Field(
        None, ge=0, description="Replicas it must have; unset: as it is set to, one at least."
    )
    within: Duration = Field(60, ge=0, le=600, description="How long it may take to get there.")


class Live(Kind[LiveParams]):
    """Whether a workload has the replicas it should, all ready and new, without restarts.

    The numbers count only once the controller has seen the newest specification (`observedGeneration`), else
    those of the old one look ready right after a change. Scaled to nothing, no pod may be left.
    """

    name = "kube.live"
    about = "A workload's replicas are ready, of the newest revision and without restarts."
    params = LiveParams
    values: ClassVar[Mapping[str, str]] = {
        "exists": "whether there is such a workload",
        "settled": "whether ready and wanted were equal in time",
        "ready": "replicas that are ready and of the newest revision",
        "wanted": "replicas wanted",
        "restarts": "container restarts, in a deployment only since it began",
        "oom_killed": "containers whose last end was for want of memory, counted likewise",
        "waited_s": "seconds until it was settled, or it was given up",
    }
    indirect = True
    timeout = 630.0

    def defaults(self, params: LiveParams) -> Rules:
        """Catalogue H1, H5, K1, K5: ready is not wanted in time, or a restart."""
        fail: dict[str, Any] = {"restarts": "> 0"}
        fail |= {"wanted": "< 1"} if params.replicas is None else {}
        return Rules(must={"exists": True, "settled": True}, fail=fail)

    def problem(self, params: LiveParams) -> str | None:
        """No cluster, or two."""
        if bool(params.url) == bool(params.kubeconfig):
            return "name the cluster: url with a token, or kubeconfig"
        return None

    async def observe(self, params: LiveParams, context: Context) -> Observation:
        """Wait for it to settle. Raises NoData where the cluster does not tell, Broken without the extra."""
        url, ca, headers = params.url, params.ca, {}
        if params.token is not None:
            headers = {"Authorization": f"Bearer {params.token.reveal()}"}
        client: WebClient | None = None
        if params.kubeconfig:
            path = context.path(params.kubeconfig)
            url, headers, authority = await kubernetes.from_kubeconfig(path, params.kube_context)
            client = WebClient(context.egress, ca_file=Path(authority)) if authority else None
        elif ca:
            client = kubernetes.web_with(context, ca)
        try:
            return await self._look(params, context, kubernetes.source(client or context.web, url, headers))
        finally:
            if client is not None:
                await client.close()

    @staticmethod
    async def _look(params: LiveParams, context: Context, api: Any) -> Observation:
        last: list[Replicas | None] = []

        async def settled() -> Replicas | None:
            found = await kubernetes.replicas(api, params.workload, params.namespace, params.name)
            last[:] = [found]
            if found is None:
                return None
            wanted = found.wanted if params.replicas is None else params.replicas
            there = found.wanted == wanted and found.ready == found.existing == wanted
            if not there or not found.current:
                return None
            # Pods going down are not counted any more, yet a worker among them still does its work.
            busy = wanted == 0 and await kubernetes.trouble(api, params.namespace, found.labels, since=None)
            return None if busy and busy.pods else found

        first = await settled()
        # What does not exist is not waited for.
        waits = first is None and last[0] is not None
        found, waited = (
            await wait_for(settled, within=params.within, context=context) if waits else (first, 0.0)
        )
        at, title = last[0], f"{params.workload} {params.namespace}/{params.name}"
        if at is None:
            return Observation(
                values={
                    "exists": False,
                    "settled": False,
                    "ready": 0,
                    "wanted": params.replicas,
                    "restarts": None,
                },
                target=title,
                summary=f"there is no {title}",
            )
        pods = await kubernetes.trouble(api, params.namespace, at.labels, since=context.started_at)
        wanted = at.wanted if params.replicas is None else params.replicas
        said = f"{at.ready} of {wanted} ready" + (f", {at.existing} exist" if at.existing != at.ready else "")
        said += f", {pods.restarts} restarts" if pods.restarts else ""
        said += "" if at.current else ", the change is not taken up yet"
        said += f", {pods.pods} pods still going down" if wanted == 0 and pods.pods else ""
        return Observation(
            values={
                "exists": True,
                "settled": found is not None,
                "ready": at.ready,
                "wanted": wanted,
                "restarts": pods.restarts,
                "oom_killed": pods.out_of_memory,
                "waited_s": round(waited, 1),
            },
            target=title,
            summary=said,
            excerpt="\n".join(pods.stuck[:20]),
        )


KINDS = (Limits(), Live())
