"""A run of checks against the prober the field uses, prometheus-blackbox-exporter, on the same server.

Both ask the same nginx for the same small JSON document over a new connection each time; the two are measured
in turns, and a ratio is taken per turn. The exporter is driven by `hey` with as many requests under way as
the engine allows against one host.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import httpx

from bot.checks.catalogue import Catalogue
from bot.checks.engine import Engine
from bot.checks.kind import Context, Kind, Params
from bot.checks.places import DEFAULT_LIMITS
from bot.domain.check import Binding, CheckSpec, ItemResult, Observation, Rules
from bot.example.programs import free_port
from bot.services import checking
from bot.services.running import CheckRunner
from bot.storage import migrating
from bot.storage.database import Database
from tests.checking import make_context
from tests.makers import ANA, make_checklist, make_ports, start
from tests.servers.certificates import Authority
from tests.servers.nginx import Server, running_nginx

#: Checks a turn, turns, and checks under way at once against the one host.
CHECKS, TURNS, AT_ONCE = 100, 11, 10
#: Latency of the slow server in seconds, and the hosts it answers on.
LATENCY_S = 0.05
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")

Timed = Callable[[], Awaitable[float]]

_SLOW = """
import asyncio
BODY = b'HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 11\\r\\n\\r\\n{"ok":true}'
async def answer(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            await asyncio.sleep(%s)
            writer.write(BODY)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    servers = [await asyncio.start_server(answer, host, %d) for host in %r]
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def checks() -> list[str]:
    """The figures, a line each."""
    lines = []
    with TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        body = "location / { default_type application/json; return 200 '{\"ok\":true}'; }"
        servers = {
            "plain": Server(body=body),
            "tls": Server(body=body, certificate=authority.issue("good")),
        }
        with running_nginx(servers) as nginx, _blackbox(Path(folder)) as blackbox:
            for name in servers:
                url = nginx.url(name)
                reference = _hey(f"{blackbox}/probe?module={name}&target={url}")
                lines.append(
                    await _compare(
                        f"{CHECKS} fresh {url.partition(':')[0]} checks, against blackbox-exporter bare",
                        _bare(url, authority.file),
                        reference,
                    )
                )
            url = nginx.url("plain")
            reference = _hey(f"{blackbox}/probe?module=plain&target={url}")
            async with _stored(Path(folder), url) as stored:
                lines.append(
                    await _compare("the same http checks with evidence stored and drawn", stored, reference)
                )
    lines.append(await _latency())
    lines.append(await _overhead())
    return lines


# ── ours ─────────────────────────────────────────────────────────────────────────────────────────────────


def _bindings(urls: Sequence[str]) -> list[Binding]:
    kind = Catalogue().get("http")
    assert kind is not None
    return [
        Binding(
            key=f"s1/boxes/{number}",
            text=f"Box 1.{number}",
            checks=(
                CheckSpec(
                    kind="http",
                    params=kind.params.model_validate({"url": f"{url}?{number}"}),
                    rules=Rules(must={"status": 200}),
                ),
            ),
        )
        for number, url in enumerate(urls, start=1)
    ]


def _engine() -> Engine:
    return Engine(Catalogue(), limits=replace(DEFAULT_LIMITS, per_host=AT_ONCE))


async def _run(bindings: Sequence[Binding], context: Context, engine: Engine) -> float:
    results: list[ItemResult] = []

    async def on_result(result: ItemResult) -> None:
        results.append(result)

    began = time.perf_counter()
    await engine.run(bindings, context, on_result=on_result)
    took = time.perf_counter() - began
    assert [r.outcome for r in results] == ["pass"] * len(bindings), results[0]
    return took


def _bare(url: str, ca_file: Path) -> Timed:
    bindings, context = _bindings([url] * CHECKS), make_context(ca_file=ca_file)
    context.web.tls()
    engine = _engine()
    return lambda: _run(bindings, context, engine)


@contextlib.asynccontextmanager
async def _stored(folder: Path, url: str) -> AsyncIterator[Timed]:
    """From the request to run checks to the run's end in the database: ticks, evidence, what is to be drawn."""
    database = Database(f"sqlite:///{folder}/checks.db")
    await migrating.upgrade(database)
    bindings = _bindings([url] * CHECKS)
    context = make_context()
    ports = make_ports(database, checklist=make_checklist(sections=1, boxes=CHECKS, steps=0))
    ports = replace(ports, verifier=_Direct(bindings, context))
    bell = _Bell()
    ports = replace(ports, bell=bell)
    runner = bell.runner = CheckRunner(ports)
    await runner.start()
    deployment = await start(ports)
    numbers = iter(range(1000))

    async def timed() -> float:
        began = time.perf_counter()
        await checking.request(ports, deployment.id, words="", user=ANA, delivery=f"{next(numbers)}")
        while True:
            async with database.read() as tx:
                state = await ports.deployments.get(tx, deployment.id)
            assert state is not None
            if state.run is None:
                return time.perf_counter() - began
            await bell.rung.wait()
            bell.rung.clear()

    yield timed
    await runner.stop()
    await database.close()


class _Bell:
    """Rings the runner, and tells that something was committed."""

    def __init__(self) -> None:
        self.runner: CheckRunner | None = None
        self.rung = asyncio.Event()

    def ring(self) -> None:
        """Something was committed."""
        self.rung.set()
        if self.runner is not None:
            self.runner.ring()


class _Direct:
    """The engine as a `Verifier`, without a sidecar."""

    def __init__(self, bindings: Sequence[Binding], context: Context) -> None:
        self._bindings = {binding.key: binding for binding in bindings}
        self._context = context
        self._engine = _engine()

    def validate(self) -> None:
        """Nothing to see."""

    async def warm_up(self) -> None:
        """Nothing to read."""

    async def bindings(self, checklist: str, **_: Any) -> Mapping[str, Binding]:
        """As given."""
        return self._bindings

    async def run(self, deployment: Any, keys: Sequence[str], *, deeds: Any, on_result: Any) -> None:
        """Run them."""
        await self._engine.run([self._bindings[key] for key in keys], self._context, on_result=on_result)


# ── the reference ────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _blackbox(folder: Path) -> Iterator[str]:
    port = free_port()
    config = folder / "blackbox.yml"
    config.write_text(
        "modules:\n"
        "  plain: {prober: http, http: {preferred_ip_protocol: ip4}}\n"
        "  tls: {prober: http, http: {preferred_ip_protocol: ip4, "
        f"tls_config: {{ca_file: {folder}/deploybot-test-ca.pem}}}}}}\n"
    )
    process = subprocess.Popen(
        [
            "prometheus-blackbox-exporter",
            f"--config.file={config}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(500):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/-/healthy")
                break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _hey(url: str) -> Timed:
    program = shutil.which("hey")
    assert program is not None, "hey is not installed: run `make bench`, or apt-get install hey"
    said = httpx.get(url).text
    assert "probe_success 1" in said, said[-500:]

    async def timed() -> float:
        process = await asyncio.create_subprocess_exec(
            program, "-n", str(CHECKS), "-c", str(AT_ONCE), url, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        total = re.search(rb"Total:\s+([\d.]+) secs", out)
        assert total is not None and f"[200]\t{CHECKS} responses".encode() in out, out.decode()
        return float(total[1])

    return timed


async def _compare(what: str, mine: Timed, reference: Timed) -> str:
    """Turns in alternation after one to warm up; the median ratio and the medians."""
    await mine(), await reference()
    ratios, ours, theirs = [], [], []
    for _ in range(TURNS):
        ours.append(await mine())
        theirs.append(await reference())
        ratios.append(ours[-1] / theirs[-1])
    return (
        f"{what}: {statistics.median(ratios):.2f} × ({min(ratios):.2f} to {max(ratios):.2f}); "
        f"{statistics.median(ours) * 1000:.0f} ms against {statistics.median(theirs) * 1000:.0f} ms"
    )


# ── latency and overhead ─────────────────────────────────────────────────────────────────────────────────


async def _latency() -> str:
    """100 checks of a server that takes 50 ms, on four hosts, against 20 bare streams at once doing the same,
    and against N/c × latency, which no client on this machine reaches."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _SLOW % (LATENCY_S, port, HOSTS))
    try:
        for host in HOSTS:
            for _ in range(500):
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(host, port)
                    writer.close()
                    break
                await asyncio.sleep(0.01)
        hosts = [HOSTS[number % len(HOSTS)] for number in range(CHECKS)]
        bindings = _bindings([f"http://{host}:{port}/" for host in hosts])
        context, engine = make_context(), Engine(Catalogue())
        line = await _compare(
            f"{CHECKS} fresh checks of a server with {LATENCY_S * 1000:.0f} ms latency, against bare streams",
            lambda: _run(bindings, context, engine),
            lambda: _streams(hosts, port),
        )
    finally:
        process.kill()
        await process.wait()
    return f"{line}; N/c × latency is {CHECKS / 20 * LATENCY_S * 1000:.0f} ms"


async def _streams(hosts: Sequence[str], port: int) -> float:
    places = asyncio.Semaphore(20)

    async def ask(host: str) -> None:
        async with places:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.1\r\nhost: slow\r\n\r\n")
            await reader.readuntil(b"}")
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*map(ask, hosts))
    return time.perf_counter() - began


class _Still(Kind[Params]):
    """Sees at once what it sees."""

    name = "still"
    about = "Nothing."
    params = Params
    values: ClassVar[Mapping[str, str]] = {"seen": "always 1"}

    async def observe(self, params: Params, context: Context) -> Observation:
        """Nothing."""
        return Observation(values={"seen": 1}, target="here", summary="seen 1", excerpt="x" * 400)

    def sharing(self, params: Params) -> str:
        """Never shared."""
        return str(time.perf_counter_ns())


async def _overhead() -> str:
    """Scheduling, judging, redaction and evidence of a check that does nothing, per check."""
    catalogue = Catalogue()
    catalogue.add(_Still())
    spec = CheckSpec(kind="still", params=Params(), rules=Rules(must={"seen": 1}))
    bindings = [Binding(key=f"{n}", text=f"{n}", checks=(spec,)) for n in range(1000)]
    context, engine = make_context(), Engine(catalogue)
    await _run(bindings, context, engine)
    took = statistics.median([await _run(bindings, context, engine) for _ in range(TURNS)])
    return f"engine overhead: {took / len(bindings) * 1000:.3f} ms a check"
