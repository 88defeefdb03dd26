"""What a thousand watches cost: sampled each minute over HTTP from a real Prometheus, judged, and written.

The reference is one core for a minute. The processor time is this process's, with everything a sample takes:
the claim, the questions to Prometheus, the detector, the transaction.
"""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bot.checklists.library import ChecklistLibrary
from bot.domain.verification import Purpose
from bot.services import checking
from bot.services.ports import Ports
from bot.services.sampling import SidecarWatching
from bot.services.verifying import SidecarVerifier
from bot.services.watching import WatchRunner
from bot.slack import canvas, chart
from bot.slack.series import Series
from bot.storage import migrating
from bot.storage import watches as stored
from bot.storage.database import Database
from tests.makers import ANA, ManualClock, make_ports, start
from tests.servers.prometheus import prometheus_server

WATCHES, MINUTES = 1000, 3

_CHECKLIST = """
# Deployment
## Deploy
- [ ] Verify deployment
## Rollback Plan
### Triggers
- Performance degradation
- Significant error rate increase
"""
_SIDECAR = """
version: 1
allow: ["{url}"]
watch:
  baseline: 30m
  signals:
    latency:
      trigger: Performance degradation
      measure: latency_ms
      series:
        kind: signal.prometheus
        url: "{url}"
        query: "1000 * max(max_over_time(steady_seconds[$interval]))"
        count: "60 * max(max_over_time(traffic_rate[$interval]))"
    errors:
      trigger: Significant error rate increase
      measure: error_pct
      series:
        kind: signal.prometheus
        url: "{url}"
        query: "100 * max(max_over_time(quiet_ratio[$interval]))"
        count: "60 * max(max_over_time(traffic_rate[$interval]))"
"""


async def watches() -> list[str]:
    """The figures, a line each."""
    with TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        with prometheus_server(folder) as server:
            (folder / "production.md").write_text(_CHECKLIST)
            (folder / "production.yaml").write_text(_SIDECAR.replace("{url}", server.url))
            database = Database(f"sqlite:///{folder}/watches.db")
            await migrating.upgrade(database)
            clock = ManualClock(at=datetime.now(UTC))  # Prometheus' history ends there
            verifier = SidecarVerifier(ChecklistLibrary([folder]), clock, process={})
            source = SidecarWatching(verifier)
            ports = make_ports(database, clock=clock, watching=source)
            runner = WatchRunner(ports)
            for number in range(WATCHES):
                state = await start(ports, service=f"shop-{number}")
                await checking.conclude(ports, state.id, Purpose.GO, user=ANA, delivery=f"go-{number}")
            await _all(runner, ports, clock)
            spent, took = [], []
            for _ in range(MINUTES):
                clock.forward(seconds=60)
                began, used = time.perf_counter(), time.process_time()
                await _all(runner, ports, clock)
                took.append(time.perf_counter() - began)
                spent.append(time.process_time() - used)
            async with database.read() as tx:
                judged = [
                    state
                    for state in await ports.deployments.open(tx, "T0TEAM00001")
                    if state.aftermath.watch is not None and len(state.aftermath.watch.judged) == 2
                ]
            assert len(judged) == WATCHES, len(judged)
            await runner.stop()
            for state in judged:
                await source.forget(state.id)
            await database.close()
    most = max(spent)
    return [
        charts(),
        f"{WATCHES} watches of two signals sampled each minute: {100 * most / 60:.0f} % of one core "
        f"({most:.1f} s of processor time, {max(took):.1f} s until all were written); "
        f"{1000 * most / WATCHES / 2:.2f} ms a sample",
    ]


async def _all(runner: WatchRunner, ports: Ports, clock: ManualClock) -> None:
    """Everything that is due, as often as it takes."""
    while True:
        await runner.wake()
        await runner.settled()
        async with ports.database.read() as tx:
            if not await stored.any_due(tx, at=clock.now()):
                return


def charts() -> str:
    """Drawing an alert's chart of an hour before and half an hour after, against an empty figure of its size."""
    points = tuple((float(minute), 0.3 + (minute > 3) * 2.5) for minute in range(-60, 30))
    shown = Series(label="errors", unit="%", points=points, since=4.0, alert=6.0)
    drawn, bare = [], []
    for _ in range(6):
        began = time.perf_counter()
        chart.draw(shown)
        drawn.append(time.perf_counter() - began)
        began = time.perf_counter()
        figure = Figure(figsize=(canvas.WIDTH / 72, canvas.HEIGHT / 72), dpi=72 * canvas.SCALE)
        figure.add_subplot()
        FigureCanvasAgg(figure)
        figure.savefig(io.BytesIO(), format="png")
        bare.append(time.perf_counter() - began)
    ours, reference = median(drawn[1:]), median(bare[1:])  # the first one loads fonts
    return (
        f"a chart: {ours / reference:.2f} × an empty matplotlib figure of its size "
        f"({1000 * ours:.0f} ms against {1000 * reference:.0f} ms)"
    )
