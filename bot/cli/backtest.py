"""`deploybot backtest`: replay deployments of the past through the detector that watches the next one."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bot.cli import rehearsal
from bot.domain.errors import SamplesUnusable
from bot.domain.routing import DEFAULT_CHECKLIST
from bot.watch.backtest import Figure, Replayed, Totals, replay_all, totals
from bot.watch.history import Deploy, read

_GZIP = b"\x1f\x8b"


def backtest(
    samples: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SAMPLES.csv[.gz]]",
            help="Samples with unit_id, metric, kind, idx, t_s, value; count and label if known.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    prometheus: Annotated[
        str, typer.Option(help="Ask this Prometheus how often each declared trigger would have fired.")
    ] = "",
    days: Annotated[float, typer.Option(min=0.1, max=400, help="How far back, with --prometheus.")] = 7,
    checklist: Annotated[
        str, typer.Option(help="Checklist whose watch is rehearsed, with --prometheus.")
    ] = DEFAULT_CHECKLIST,
    environment: Annotated[str, typer.Option(help="Environment, with --prometheus.")] = "production",
    service: Annotated[str, typer.Option(help="Service, for ${service}, with --prometheus.")] = "service",
) -> None:
    """Replay deployments of the past and say which would have alarmed, when and by which series.

    The delay is the number (idx) of the alarming sample: 0 is the sample at the deploy itself. With
    --prometheus, a deploy of the service is pretended every hour of the last days, to say how often each
    trigger that the checklist declares would have fired.
    """
    if bool(prometheus) == (samples is not None):
        raise typer.BadParameter("give a file of samples, or --prometheus URL", param_hint="SAMPLES")
    if samples is None:
        rehearsal.rehearse(
            checklist,
            environment=environment,
            service=service,
            prometheus=prometheus,
            days=days,
            as_json=as_json,
        )
        return
    replayed = replay_all(load(samples))
    if as_json:
        print(json.dumps(_json(replayed), indent=2, ensure_ascii=False))
    else:
        _print(replayed)


def load(path: Path) -> list[Deploy]:
    """The deployments in a file, gzipped or not. Raises SamplesUnusable."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig", newline="") as lines:
            return read(lines, str(path))
    except UnicodeDecodeError:
        raise SamplesUnusable(str(path), "it is not text in UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SamplesUnusable(str(path), f"it can't be read: {why}") from None


def _json(replayed: Sequence[Replayed]) -> dict[str, object]:
    deploys = [
        {"unit_id": r.unit_id, "alarm": r.alarm, "delay": r.delay, "trigger": r.trigger} for r in replayed
    ]
    return {"deploys": deploys, "totals": asdict(totals(replayed))}


def _print(replayed: Sequence[Replayed]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for result in replayed:
        if result.alarm:
            told = f"{said(result)}  {result.unit_id}: {result.trigger}, delay {result.delay}"
            console.print(told, markup=False)
        elif result.degraded:
            console.print(f"{said(result)}  {result.unit_id}", markup=False)
    for line in summary(totals(replayed)):
        console.print(line, markup=False)


def said(result: Replayed) -> str:
    """What it means, in a word or two."""
    if result.degraded is None:
        return "alarm"
    if result.alarm:
        return "caught" if result.degraded else "false alarm"
    return "missed" if result.degraded else "quiet"


def summary(sums: Totals) -> list[str]:
    """The totals, a line each."""
    quiet = sums.deploys - sums.alarms
    lines = [f"{sums.deploys} deployments: {sums.alarms} with an alarm, {quiet} without"]
    if sums.degraded:
        lines.append(f"recall {share(sums.recall)}: {sums.caught} of {sums.degraded} degraded")
    if sums.clean:
        rate = share(sums.false_alarm_rate)
        lines.append(f"false alarms {rate}: {sums.false_alarms} of {sums.clean} clean deployments")
    if sums.degraded and sums.clean:
        lines.append(f"precision {share(sums.precision)}")
    if sums.delay_median.value is not None:
        lines.append(
            f"delay {_samples(sums.delay_median)} samples after the deploy in the median, "
            f"{_samples(sums.delay_p90)} at the 90th percentile"
        )
    return lines


def share(figure: Figure) -> str:
    """`78.8 % [67.5–86.9]`, or a dash."""
    if figure.value is None or figure.low is None or figure.high is None:
        return "—"
    return f"{100 * figure.value:.1f} % [{100 * figure.low:.1f}–{100 * figure.high:.1f}]"


def _samples(figure: Figure) -> str:
    return f"{figure.value:g} [{figure.low:g}–{figure.high:g}]"
