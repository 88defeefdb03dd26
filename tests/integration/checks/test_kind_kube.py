"""Kubernetes kinds: manifests in folders of their own, and a contract server of the API."""

from __future__ import annotations

import importlib.util
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.checks.catalogue import Catalogue
from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.contracts.kubernetes import TOKEN, KubernetesServer, daemon_set, deployment, pod
from tests.servers.serving import serving

# ── kube.limits ──────────────────────────────────────────────────────────────────────────────────────────


def manifest(name: str, **resources: dict[str, str]) -> str:
    """A deployment with one container."""
    return (
        f"kind: Deployment\nmetadata: {{name: {name}}}\n"
        f"spec: {{template: {{spec: {{containers: [{{name: app, resources: {resources}}}]}}}}}}\n---\n"
    )


GOOD = manifest("good", limits={"memory": "1Gi"}, requests={"memory": "512Mi", "cpu": "250m"})


async def limits(folder: Path, text: str, *, resource: str = "memory", **params: Any) -> Evidence:
    (folder / "k8s").mkdir(exist_ok=True)
    (folder / "k8s" / "shop.yaml").write_text(text)
    rules = {"warn": params.pop("warn")} if "warn" in params else {}
    given = {"files": ["k8s/**/*.yaml"], "resource": resource, **params}
    return await examine("kube.limits", given, context=make_context(root=folder), **rules)


@pytest.mark.parametrize("resource", ["memory", "cpu"])
async def test_containers_with_what_the_policy_demands_pass(tmp_path: Path, resource: str) -> None:
    evidence = await limits(tmp_path, GOOD, resource=resource)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["containers"] == 1


async def test_a_container_without_a_memory_limit_fails_wherever_it_stands(tmp_path: Path) -> None:
    evidence = await limits(tmp_path, GOOD + manifest("bad", requests={"memory": "1Gi"}))
    assert evidence.outcome is Outcome.FAIL
    assert "deployment/bad: app" in evidence.reason


async def test_a_container_without_a_cpu_request_fails(tmp_path: Path) -> None:
    evidence = await limits(tmp_path, GOOD + manifest("bad", limits={"memory": "1Gi"}), resource="cpu")
    assert evidence.outcome is Outcome.FAIL


async def test_a_cpu_limit_is_demanded_by_policy_only(tmp_path: Path) -> None:
    assert (await limits(tmp_path, GOOD, resource="cpu", cpu_limit=True)).outcome is Outcome.FAIL


async def test_a_cpu_limit_below_the_request_warns(tmp_path: Path) -> None:
    text = manifest("low", limits={"cpu": "100m"}, requests={"cpu": "1"})
    assert (await limits(tmp_path, text, resource="cpu")).outcome is Outcome.WARN


async def test_no_containers_or_no_files_are_unknown(tmp_path: Path) -> None:
    empty = await limits(tmp_path, "kind: Service\nmetadata: {name: x}\n")
    missing = await limits(tmp_path, GOOD, files=["k8s/*.yaml", "overlays/*.yaml"])
    assert empty.outcome is missing.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("text", ["a: [", "a: {{ .Values }}: [", manifest("x", limits={"memory": "lots"})])
async def test_manifests_that_cannot_be_read_are_an_error(tmp_path: Path, text: str) -> None:
    assert (await limits(tmp_path, text)).outcome is Outcome.ERROR


@pytest.mark.parametrize("glob", ["../*.yaml", "/etc/*.yaml"])
async def test_manifests_outside_the_root_are_an_error(tmp_path: Path, glob: str) -> None:
    assert (await limits(tmp_path, GOOD, files=[glob])).outcome is Outcome.ERROR


# ── kube.live ────────────────────────────────────────────────────────────────────────────────────────────

BEGAN = datetime.now(UTC) - timedelta(minutes=30)
BEFORE = (BEGAN - timedelta(days=3)).isoformat()
AFTER = (BEGAN + timedelta(minutes=5)).isoformat()

Cluster = tuple[KubernetesServer, str]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = KubernetesServer()
    with serving(made.application) as url:
        yield made, url


async def live(url: str, *, began: datetime | None = BEGAN, token: str = TOKEN, **params: Any) -> Evidence:
    rules = {"warn": params.pop("warn")} if "warn" in params else {}
    given = {
        "url": url,
        "token": Secret("kube", token),
        "namespace": "shop",
        "name": "worker",
        "within": "500ms",
    }
    context = make_context(started_at=began)
    return await examine("kube.live", {**given, **params}, context=context, **rules)


async def test_replicas_that_are_ready_and_new_pass(cluster: Cluster) -> None:
    cluster[0].workloads["deployments/worker"] = deployment(wanted=3, ready=3)
    cluster[0].pods = [pod("worker-1", created=AFTER)]
    evidence = await live(cluster[1])
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.observed == "3 of 3 ready"


@pytest.mark.parametrize("workload", ["statefulset", "daemonset"])
async def test_other_workloads_are_judged_too(cluster: Cluster, workload: str) -> None:
    cluster[0].workloads["statefulsets/worker"] = deployment(wanted=2, ready=2)
    cluster[0].workloads["daemonsets/worker"] = daemon_set(wanted=3, ready=2)
    evidence = await live(cluster[1], workload=workload)
    assert evidence.outcome is (Outcome.PASS if workload == "statefulset" else Outcome.FAIL)


async def test_it_waits_until_the_replicas_are_ready(cluster: Cluster) -> None:
    server = cluster[0]
    server.workloads["deployments/worker"] = deployment(wanted=3, ready=1)
    server.moves[3] = lambda: server.workloads.update({"deployments/worker": deployment(wanted=3, ready=3)})
    evidence = await live(cluster[1], within="10s")
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["waited_s"] > 0


@pytest.mark.parametrize(
    "state",
    [
        deployment(wanted=3, ready=2),
        deployment(wanted=3, ready=3, updated=1),
        deployment(wanted=3, ready=3, existing=4),
        deployment(wanted=3, ready=3, seen=False),
    ],
)
async def test_replicas_that_are_missing_old_or_of_the_specification_before_fail(
    cluster: Cluster, state: dict[str, Any]
) -> None:
    cluster[0].workloads["deployments/worker"] = state
    assert (await live(cluster[1])).outcome is Outcome.FAIL


async def test_a_number_of_replicas_can_be_demanded(cluster: Cluster) -> None:
    cluster[0].workloads["deployments/worker"] = deployment(wanted=3, ready=3)
    assert (await live(cluster[1], replicas=3)).outcome is Outcome.PASS
    assert (await live(cluster[1], replicas=0)).outcome is Outcome.FAIL


async def test_scaled_to_nothing_passes_only_where_that_is_meant(cluster: Cluster) -> None:
    cluster[0].workloads["deployments/worker"] = deployment(wanted=0, ready=0)
    assert (await live(cluster[1], replicas=0)).outcome is Outcome.PASS
    assert (await live(cluster[1])).outcome is Outcome.FAIL


async def test_a_worker_that_is_still_going_down_is_not_gone(cluster: Cluster) -> None:
    cluster[0].workloads["deployments/worker"] = deployment(wanted=0, ready=0)
    cluster[0].pods = [pod("worker-1", created=BEFORE)]
    evidence = await live(cluster[1], replicas=0)
    assert evidence.outcome is Outcome.FAIL
    assert "1 pods still going down" in evidence.observed


async def test_restarts_since_the_deployment_began_fail_and_older_ones_do_not(cluster: Cluster) -> None:
    cluster[0].workloads["deployments/worker"] = deployment(wanted=1, ready=1)
    cluster[0].pods = [pod("worker-1", created=BEFORE, restarts=7, ended=BEFORE)]
    assert (await live(cluster[1])).outcome is Outcome.PASS
    cluster[0].pods = [pod("worker-1", created=BEFORE, restarts=8, ended=AFTER, reason="OOMKilled")]
    evidence = await live(cluster[1])
    assert evidence.outcome is Outcome.FAIL
    assert (evidence.values["restarts"], evidence.values["oom_killed"]) == (1, 1)
    assert (await live(cluster[1], began=None)).values["restarts"] == 8


async def test_a_pod_that_cannot_start_is_named_and_can_be_warned_about(cluster: Cluster) -> None:
    cluster[0].workloads["deployments/worker"] = deployment(wanted=1, ready=1)
    cluster[0].pods = [pod("worker-2", created=AFTER, waiting="ImagePullBackOff")]
    evidence = await live(cluster[1], warn={"waited_s": ">= 0"})
    assert evidence.outcome is Outcome.WARN
    assert "worker-2: ImagePullBackOff" in evidence.excerpt


async def test_a_workload_that_does_not_exist_fails(cluster: Cluster) -> None:
    evidence = await live(cluster[1])
    assert evidence.outcome is Outcome.FAIL
    assert "there is no deployment shop/worker" in evidence.observed


async def test_a_cluster_that_does_not_let_the_bot_in_or_does_not_answer_is_unknown(cluster: Cluster) -> None:
    assert (await live(cluster[1], token="another-token-1")).outcome is Outcome.UNKNOWN
    assert (await live(f"http://127.0.0.1:{free_port()}")).outcome is Outcome.UNKNOWN


def own_authority(tmp_path: Path) -> ssl.SSLContext:
    """A certificate for loopback that is its own authority; `ca.pem` in the folder."""
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=kube"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *command.split(), *names], check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    return tls


async def test_the_cluster_s_own_authority_is_trusted_where_its_file_is_named(tmp_path: Path) -> None:
    made = KubernetesServer()
    made.workloads["deployments/worker"] = deployment(wanted=1, ready=1)
    tls = own_authority(tmp_path)
    params = {"token": Secret("kube", TOKEN), "namespace": "shop", "name": "worker"}
    with serving(made.application, tls=tls) as url:
        context = make_context(root=tmp_path)
        trusted = await examine("kube.live", {**params, "url": url, "ca": "ca.pem"}, context=context)
        unknown = await examine("kube.live", {**params, "url": url}, context=make_context(root=tmp_path))
    assert trusted.outcome is Outcome.PASS, trusted.reason
    assert unknown.outcome is Outcome.UNKNOWN
    assert "certificate" in unknown.reason


async def test_a_ca_file_that_cannot_be_used_is_an_error(cluster: Cluster) -> None:
    assert (await live(cluster[1].replace("http:", "https:"), ca="no-such-ca.pem")).outcome is Outcome.ERROR


@pytest.mark.skipif(
    importlib.util.find_spec("kubernetes_asyncio") is not None, reason="the extra is installed here"
)
async def test_a_kubeconfig_without_the_extra_is_an_error_that_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text("apiVersion: v1\n")
    params = {"kubeconfig": "kubeconfig", "name": "worker"}
    evidence = await examine("kube.live", params, context=make_context(root=tmp_path))
    assert evidence.outcome is Outcome.ERROR
    assert "pip install 'deploybot[kube]'" in evidence.reason


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("kube.live", {"name": "worker"}),
        ("kube.live", {"name": "worker", "url": "https://k", "kubeconfig": "k"}),
        ("kube.limits", {"files": ["a"], "resource": "memory", "cpu_limit": True}),
    ],
)
def test_parameters_that_make_no_sense_are_refused_at_start_up(name: str, params: dict[str, Any]) -> None:
    kind = Catalogue().get(name)
    assert kind is not None
    assert kind.problem(kind.params.model_validate(params))
