"""Containers and their resources, read from Kubernetes manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of a workload."""

    #: `deployment/shop: app`.
    title: str
    limits: Mapping[str, Any]
    requests: Mapping[str, Any]

    def limit(self, resource: str) -> Decimal | None:
        """The limit of `memory` (bytes) or `cpu` (cores); None where it has none."""
        return quantity(self.limits.get(resource))

    def request(self, resource: str) -> Decimal | None:
        """The request; Kubernetes takes the limit where only that is written."""
        own = quantity(self.requests.get(resource))
        return self.limit(resource) if own is None else own


def containers(text: str) -> list[Container]:
    """Every container of every workload in a file of YAML documents. Raises ValueError where it is none."""
    try:
        documents = list(YAML(typ="safe", pure=True).load_all(text))
    except YAMLError as error:
        if "{{" in text:
            raise ValueError("it is a template: check what `helm template` makes of it") from error
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"line {mark.line + 1 if mark else '?'}: it is no YAML") from error
    return [container for document in documents for container in _of(document)]


def quantity(value: Any) -> Decimal | None:
    """A Kubernetes quantity (`500m`, `1Gi`, `1e9`) as a number; None for none. Raises ValueError."""
    if value is None:
        return None
    text = str(value).strip()
    number = text.rstrip("kMGTPEKim")
    try:
        return Decimal(number) * _UNITS[text[len(number) :]]
    except (InvalidOperation, KeyError):
        raise ValueError(f"'{text}' is no quantity") from None


def _of(document: Any) -> Iterator[Container]:
    if not isinstance(document, Mapping):
        return
    kind = str(document.get("kind") or "")
    if kind.endswith("List"):
        for item in document.get("items") or ():
            yield from _of(item)
        return
    spec = _pod(kind, document.get("spec"))
    if not isinstance(spec, Mapping):
        return
    name = f"{kind.lower()}/{(document.get('metadata') or {}).get('name') or '?'}"
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            resources = container.get("resources") or {}
            yield Container(
                title=f"{name}: {container.get('name') or '?'}",
                limits=resources.get("limits") or {},
                requests=resources.get("requests") or {},
            )


def _pod(kind: str, spec: Any) -> Any:
    """The pod's part of a workload."""
    if not isinstance(spec, Mapping):
        return None
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    # Argo Rollouts and other controllers keep to the same shape as a Deployment.
    return spec if kind == "Pod" else (spec.get("template") or {}).get("spec")
