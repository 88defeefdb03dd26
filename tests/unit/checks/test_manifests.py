"""Containers and quantities in Kubernetes manifests."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.manifests import containers, quantity

MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
---
kind: Deployment
metadata: {name: shop}
spec:
  template:
    spec:
      initContainers: [{name: wait}]
      containers:
        - {name: app, resources: {limits: {memory: 1Gi, cpu: 2}, requests: {memory: 512Mi}}}
---
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: job, resources: {requests: {cpu: 100m}}}]}}}}}
---
kind: List
items:
  - {kind: Pod, metadata: {name: debug}, spec: {containers: [{name: shell}]}}
---
"""


def test_containers_of_every_kind_of_workload_are_found() -> None:
    assert [one.title for one in containers(MANIFESTS)] == [
        "deployment/shop: wait",
        "deployment/shop: app",
        "cronjob/nightly: job",
        "pod/debug: shell",
    ]


def test_a_limit_alone_counts_as_a_request_but_not_the_other_way_round() -> None:
    found = {one.title: one for one in containers(MANIFESTS)}
    app, job = found["deployment/shop: app"], found["cronjob/nightly: job"]
    assert (app.limit("memory"), app.request("memory")) == (Decimal(1024**3), Decimal(512 * 1024**2))
    assert (app.limit("cpu"), app.request("cpu")) == (Decimal(2), Decimal(2))
    assert (job.limit("cpu"), job.request("cpu")) == (None, Decimal("0.1"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", "0.5"),
        ("1Gi", "1073741824"),
        ("128M", "128000000"),
        ("1e3", "1000"),
        (2, "2"),
        ("1.5k", "1500"),
    ],
)
def test_quantities_are_read_with_their_units(text: object, number: str) -> None:
    assert quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "1GB", "lots", "1 Gi x", "i"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)


@given(st.integers(0, 10**6), st.sampled_from(["", "m", "k", "Ki", "Mi", "G"]))
def test_quantities_of_one_unit_are_ordered_as_their_numbers(number: int, unit: str) -> None:
    low, high = quantity(f"{number}{unit}"), quantity(f"{number + 1}{unit}")
    assert low is not None
    assert high is not None
    assert low < high


@pytest.mark.parametrize(
    ("text", "why"),
    [("a: [", "no YAML"), ("a: {{ .Values.x }}: b\n c: [", "helm template"), ("a: 1\na: 2", "no YAML")],
)
def test_what_is_no_manifest_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        containers(text)
