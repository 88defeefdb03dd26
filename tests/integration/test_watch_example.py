"""The watch against the example service: a real Prometheus scrapes a real shop that is turned worse by degrees."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from bot.app import SHIPPED_CHECKLISTS
from bot.checklists.library import ChecklistLibrary
from bot.domain.deployment import Deployment
from bot.domain.monitoring import Verdict
from bot.domain.verification import Purpose
from bot.example.running import Example, example_service
from bot.services import checking
from bot.services.ports import Ports, SystemClock
from bot.services.sampling import SidecarWatching
from bot.services.verifying import SidecarVerifier
from bot.services.watching import WatchRunner
from bot.storage import migrating
from bot.storage.database import Database
from tests.makers import ANA, make_ports, start

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: As short as the scrapes allow: 24 requests a sample, and four scrapes a window once something looks worse.
QUICK = {
    "DEPLOYBOT_WATCH_INTERVAL": "3s",
    "DEPLOYBOT_WATCH_FAST": "3s",
    "DEPLOYBOT_WATCH_DURATION": "10m",
    "DEPLOYBOT_WATCH_BASELINE": "60s",
}
ERRORS, LATENCY = "significant-error-rate-increase", "performance-degradation"
CHECKOUT, VULNERABLE = "critical-functionality-failure", "security-vulnerability"


class Scene:
    """A deployment of the shop, watched for real."""

    def __init__(self, ports: Ports, example: Example) -> None:
        self.ports, self.example = ports, example
        self.runner = WatchRunner(ports)
        self.id = 0

    async def state(self) -> Deployment:
        async with self.ports.database.read() as tx:
            state = await self.ports.deployments.get(tx, self.id)
        assert state is not None
        return state

    async def until(self, met: Callable[[Deployment], bool], *, within: float = 60) -> Deployment:
        """Watch until it is so."""
        async with asyncio.timeout(within):
            while True:
                await self.runner.wake()
                await self.runner.settled()
                state = await self.state()
                if met(state):
                    return state
                await asyncio.sleep(0.3)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def example(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Example]:
    async with example_service(tmp_path_factory.mktemp("example") / "service") as running:
        await asyncio.sleep(45)  # a time before the deploy to compare with
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def scene(example: Example, tmp_path: Path) -> AsyncIterator[Scene]:
    database = Database(f"sqlite:///{tmp_path}/watch.db")
    await migrating.upgrade(database)
    library = ChecklistLibrary([SHIPPED_CHECKLISTS])
    process = {**os.environ, **example.environment, **QUICK}
    watching = SidecarWatching(SidecarVerifier(library, SystemClock(), process=process))
    checklist = library.load("production")
    ports = make_ports(database, checklist=checklist, clock=SystemClock(), watching=watching)
    scene = Scene(ports, example)
    scene.id = (await start(ports, version=example.service.version)).id
    await scene.until(lambda state: state.aftermath.watch is not None)
    await checking.conclude(ports, scene.id, Purpose.GO, user=ANA, delivery="go")
    yield scene
    await scene.runner.stop()
    await watching.forget(scene.id)
    await database.close()


def verdicts(state: Deployment) -> dict[str, Verdict]:
    watch = state.aftermath.watch
    return {} if watch is None else {name: judged.verdict for name, judged in watch.judged.items()}


def healthy(state: Deployment) -> bool:
    watch = state.aftermath.watch
    return watch is not None and watch.verdict is Verdict.HEALTHY


def over(key: str, worst: dict[str, float], state: Deployment) -> bool:
    """Whether a trigger has recovered; the worst figure it showed until then is kept."""
    trigger = state.aftermath.triggers[key]
    worst[key] = max(worst.get(key, 0.0), float(trigger.finding.get("after") or 0))
    return trigger.recovered_at is not None


@pytest.mark.timeout(300)
async def test_errors_latency_a_broken_journey_and_a_finding_raise_their_triggers_and_only_those(
    scene: Scene,
) -> None:
    state = await scene.until(healthy)
    assert state.aftermath.triggers == {}
    breaker = scene.example.breaker
    worst: dict[str, float] = {}
    for switch, amount, key in (
        ("error-rate", {"share": 40.0}, ERRORS),
        ("latency", {"delay": 400.0}, LATENCY),
        ("checkout", {}, CHECKOUT),
        ("vulnerability", {}, VULNERABLE),
    ):
        known = set(state.aftermath.triggers)
        await breaker.throw(switch, **amount)
        state = await scene.until(lambda state, key=key: key in state.aftermath.triggers)  # type: ignore[misc]
        assert key in set(state.aftermath.triggers) - known
        await breaker.mend(switch)
        state = await scene.until(partial(over, key, worst))
        assert state.aftermath.triggers[key].state.raised
    found = state.aftermath.triggers
    assert " → " in found[ERRORS].finding["change"]
    assert found[ERRORS].finding["requests"] > 20
    # Its figures are renewed as long as it is raised, and go back with the latency.
    assert worst[LATENCY] > found[LATENCY].finding["before"] + 200
    assert "500" in found[CHECKOUT].finding["said"]
    assert len(found[VULNERABLE].finding["found"]) == 1


@pytest.mark.timeout(240)
async def test_a_prometheus_that_hangs_is_inconclusive_and_no_trigger_and_then_it_is_back(
    scene: Scene,
) -> None:
    await scene.until(healthy)
    prometheus = _pid(scene.example)
    os.kill(prometheus, signal.SIGSTOP)
    try:
        state = await scene.until(lambda state: verdicts(state)["errors"] is Verdict.INCONCLUSIVE, within=90)
    finally:
        os.kill(prometheus, signal.SIGCONT)
    assert verdicts(state)["checkout"] is Verdict.HEALTHY
    watch = state.aftermath.watch
    assert watch is not None
    assert "no data" in watch.judged["errors"].said
    state = await scene.until(healthy, within=90)
    assert state.aftermath.triggers == {}


def _pid(example: Example) -> int:
    prometheus = example.service.prometheus
    assert prometheus is not None
    listens = f"--web.listen-address=127.0.0.1:{prometheus.port}"
    found = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdecimal() and listens.encode() in (folder / "cmdline").read_bytes().split(b"\0")
    ]
    return found[0]
