"""The watch's detector beside its peers, on deployments with a known end and on made-up clean ones.

The set is read from the folder WATCH_BENCHMARK names, else from ../shared/watch-benchmark beside the
checkout; it is not part of the project. Of each label the half that a hash of `unit_id` picks was used to
choose the detector's constants; the table is of the other half, with 95 % intervals. One constant was settled
with both halves in view: the bar at the second sample.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from bot.cli.backtest import load, share
from bot.domain.monitoring import Measure, Sample
from bot.watch.backtest import Judge, Totals, detect, replay_all, totals
from bot.watch.detector import Detector, replay
from bot.watch.history import Deploy
from tests.benchmarks.judges import PEERS
from tests.benchmarks.synthetic import clean_deploys

FILE = "samples_open.csv.gz"
#: Made-up clean deployments of each kind.
MADE_UP = 2000


def detection() -> list[str]:
    """The figures, a line each."""
    folder = Path(os.environ.get("WATCH_BENCHMARK", Path(__file__).parents[3] / "shared" / "watch-benchmark"))
    lines = []
    if (folder / FILE).is_file():
        chosen, other = halves(load(folder / FILE))
        lines.append(f"detection on {len(other)} deployments, the half not used for choosing constants:")
        lines.extend(_row(name, other, judge) for name, judge in {"the detector": detect, **PEERS}.items())
        for source in sorted({deploy.source.partition("_")[0] for deploy in other}):
            part = [deploy for deploy in other if deploy.source.partition("_")[0] == source]
            lines.append(_row(f"the detector, {source} only", part, detect))
        lines.append(_row("the detector, the half used for choosing", chosen, detect))
    else:
        lines.append(
            f"detection: not measured, there is no {FILE} in {folder}; WATCH_BENCHMARK names the folder"
        )
    apart, together = clean_deploys(MADE_UP, seed=1), clean_deploys(MADE_UP, seed=1, shared=True)
    for name, judge in {"the detector": detect, **PEERS}.items():
        rates = [share(totals(replay_all(made_up, judge)).false_alarm_rate) for made_up in (apart, together)]
        lines.append(
            f"  false alarms on made-up clean deployments, {name}: {rates[0]}; of series that move together: "
            f"{rates[1]}"
        )
    lines.extend(_cost())
    return lines


def halves(deploys: Sequence[Deploy]) -> tuple[list[Deploy], list[Deploy]]:
    """Of each label the half that comes first by the hash of its name, and the other half."""
    chosen, other = [], []
    for label in (True, False):
        alike = [deploy for deploy in deploys if deploy.degraded is label]
        alike.sort(key=lambda deploy: hashlib.sha256(deploy.unit_id.encode()).hexdigest())
        middle = (len(alike) + 1) // 2
        chosen += alike[:middle]
        other += alike[middle:]
    return chosen, other


def _row(name: str, deploys: Sequence[Deploy], judge: Judge) -> str:
    sums: Totals = totals(replay_all(deploys, judge))
    delays = (
        "—"
        if sums.delay_median.value is None
        else f"{sums.delay_median.value:g}, p90 {sums.delay_p90.value:g} samples"
    )
    return (
        f"  {name}: recall {share(sums.recall)}, false alarms {share(sums.false_alarm_rate)}, "
        f"precision {share(sums.precision)}, delay {delays}"
    )


def _cost() -> list[str]:
    """Milliseconds a sample and for a replay of 120, of a dear series: past the floors, and never an alarm."""
    before = [Sample(at=60.0 * (n - 60), value=100.0 + n * 37 % 61 * 9) for n in range(60)]
    after = [Sample(at=60.0 * n, value=60.0 + n * 29 % 89 * 9) for n in range(120)]
    began = time.perf_counter()
    turns = 50
    for _ in range(turns):
        replay(Measure.LATENCY, before, after)
    whole = (time.perf_counter() - began) / turns * 1000
    assert not replay(Measure.LATENCY, before, after)[-1].alarm
    detector = Detector(Measure.LATENCY, before)
    slowest = 0.0
    for sample in after:
        began = time.perf_counter()
        detector.see(sample)
        slowest = max(slowest, (time.perf_counter() - began) * 1000)
    return [
        f"  a watch's replay of 120 samples: {whole:.2f} ms; a sample {whole / 120:.4f} ms, the slowest "
        f"{slowest:.2f} ms"
    ]


if __name__ == "__main__":
    print("\n".join(detection()))
