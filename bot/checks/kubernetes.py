"""The Kubernetes API over plain HTTP: a workload's replicas and its pods' restarts.

Three calls need no client library; only reading a kubeconfig (with its plugins for cloud logins) does.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from bot.checks.kind import Broken, Context, NoData, Web
from bot.checks.source import Source, segment
from bot.checks.web import WebClient

Workload = Literal["deployment", "statefulset", "daemonset"]

EXTRA = "reading a kubeconfig needs the extra: pip install 'deploybot[kube]'"


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """How a workload stands."""

    wanted: int
    #: Ready and of the newest revision.
    ready: int
    #: All that exist, those going down too.
    existing: int
    #: Whether the controller has seen the newest specification: until then, its numbers are old.
    current: bool
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What happened to a workload's pods."""

    #: Pods that have not ended, those going down too.
    pods: int
    restarts: int
    out_of_memory: int
    #: Pods that cannot start, with why.
    stuck: tuple[str, ...]


async def replicas(api: Source, workload: Workload, namespace: str, name: str) -> Replicas | None:
    """How a workload stands; None where there is none."""
    path = f"/apis/apps/v1/namespaces/{segment(namespace)}/{workload}s/{segment(name)}"
    found = await api.get(path, absent=(404,))
    if found is None:
        return None
    spec, status = found.get("spec") or {}, found.get("status") or {}
    selector = spec.get("selector") or {}
    if selector.get("matchExpressions"):
        raise NoData(f"{workload} {name} selects its pods by expressions, which are not followed here")
    if workload == "daemonset":
        wanted = int(status.get("desiredNumberScheduled", 0))
        ready = min(int(status.get("numberReady", 0)), int(status.get("updatedNumberScheduled", 0)))
        existing = int(status.get("currentNumberScheduled", 0))
    else:
        wanted = int(spec.get("replicas", 1))
        ready = min(int(status.get("readyReplicas", 0)), int(status.get("updatedReplicas", 0)))
        existing = int(status.get("replicas", 0))
    return Replicas(
        wanted=wanted,
        ready=ready,
        existing=existing,
        current=int(status.get("observedGeneration", 0)) >= int(found["metadata"].get("generation", 0)),
        labels=selector.get("matchLabels") or {},
    )


async def trouble(
    api: Source, namespace: str, labels: Mapping[str, str], *, since: datetime | None
) -> Trouble:
    """Restarts of the pods with these labels; `since`: only what happened after that."""
    wanted = ",".join(f"{name}={value}" for name, value in labels.items())
    path = f"/api/v1/namespaces/{segment(namespace)}/pods"
    found = await api.get(path, params={"labelSelector": wanted, "limit": "500"})
    pods, restarts, killed, stuck = 0, 0, 0, []
    for pod in found.get("items") or ():
        young = since is None or _at(pod["metadata"].get("creationTimestamp"), since) >= since
        status = pod.get("status") or {}
        pods += status.get("phase") not in ("Succeeded", "Failed")
        for container in [
            *(status.get("initContainerStatuses") or ()),
            *(status.get("containerStatuses") or ()),
        ]:
            last = (container.get("lastState") or {}).get("terminated") or {}
            recent = bool(last) and (since is None or _at(last.get("finishedAt"), since) >= since)
            # Of an older pod only the last restart is dated, so at least that one is counted.
            restarts += int(container.get("restartCount", 0)) if young else int(recent)
            killed += recent and last.get("reason") == "OOMKilled"
            why = ((container.get("state") or {}).get("waiting") or {}).get("reason") or ""
            if why not in ("", "ContainerCreating", "PodInitializing"):
                stuck.append(f"{pod['metadata']['name']}: {why}")
    return Trouble(pods=pods, restarts=restarts, out_of_memory=killed, stuck=tuple(stuck))


def web_with(context: Context, ca: str) -> WebClient | None:
    """A client that trusts the cluster's own authority; None where the environment's will do."""
    return WebClient(context.egress, ca_file=context.path(ca), timeout=context.timeout) if ca else None


async def from_kubeconfig(path: Path, name: str | None) -> tuple[str, dict[str, str], str]:
    """The address, headers and CA file a kubeconfig says. Raises Broken without the extra."""
    try:
        library = importlib.import_module("kubernetes_asyncio.client")
        config = importlib.import_module("kubernetes_asyncio.config")
    except ImportError as error:
        raise Broken(EXTRA) from error
    settings = library.Configuration()
    try:
        await config.load_kube_config(
            config_file=str(path), context=name, client_configuration=settings, persist_config=False
        )
    except Exception as error:
        raise Broken(f"the kubeconfig {path.name} cannot be used: {error}") from error
    if settings.cert_file:
        raise Broken("client certificates of a kubeconfig are not supported: use a service account's token")
    token = str(settings.api_key.get("BearerToken") or settings.api_key.get("authorization") or "")
    value = token if token.startswith(("Bearer ", "Basic ")) else f"Bearer {token}"
    return str(settings.host), {"Authorization": value}, str(settings.ssl_ca_cert or "")


def source(web: Web, url: str, headers: Mapping[str, str]) -> Source:
    """The API of a cluster."""
    return Source(web, "Kubernetes", url, headers=headers)


def _at(text: Any, otherwise: datetime) -> datetime:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else otherwise
