"""Deployments of the past as samples in CSV: what `deploybot backtest` replays.

A row is a sample. Columns, in any order: `unit_id` (the deployment), `metric` (the series within it),
`kind` (`error_pct`, `latency_ms` or `other`), `idx` (its number from the deploy: below 0 the baseline, then
0, 1, 2 …), `t_s` (seconds from the deploy) and `value` (empty: no data). Of use if there: `count` (requests
of that sample), `label` (1: the deployment degraded, 0: it was fine), `source` (where it comes from) and
`case_id` (tells series of one metric apart). Others are passed over.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.domain.errors import SamplesUnusable
from bot.domain.monitoring import Measure, Sample

REQUIRED = ("unit_id", "metric", "kind", "idx", "t_s", "value")


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of a deployment."""

    metric: str
    measure: Measure
    #: Samples before the deploy, oldest first.
    baseline: tuple[Sample, ...]
    #: Samples from the deploy on, and the number of each.
    after: tuple[Sample, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """One deployment of the past."""

    unit_id: str
    #: Where it comes from; empty if not said.
    source: str
    #: Whether it degraded; None where nobody said so.
    degraded: bool | None
    series: tuple[Series, ...]


@dataclass(kw_only=True)
class _Unit:
    """A deployment while it is read."""

    source: str
    label: str
    rows: dict[tuple[str, str], dict[int, Sample]] = field(default_factory=dict)
    measures: dict[tuple[str, str], Measure] = field(default_factory=dict)


def read(lines: Iterable[str], path: str) -> list[Deploy]:
    """The deployments in a CSV, in its order. Raises SamplesUnusable with the line of the first mistake."""
    reader = csv.DictReader(lines, strict=True)
    units: dict[str, _Unit] = {}
    try:
        missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise SamplesUnusable(path, f"the first line lacks the column {', '.join(missing)}", line=1)
        for row in reader:
            try:
                _take(units, row)
            except ValueError as error:
                raise SamplesUnusable(path, str(error), line=reader.line_num) from None
    except csv.Error as error:
        raise SamplesUnusable(path, f"not readable as CSV: {error}", line=reader.line_num) from None
    if not units:
        raise SamplesUnusable(path, "there is no sample in it")
    return [_deploy(unit_id, unit) for unit_id, unit in units.items()]


def _take(units: dict[str, _Unit], row: dict[str | None, str | None]) -> None:
    """One row into its series. Raises ValueError in words."""
    if None in row:
        raise ValueError("it has more fields than the first line has columns")
    cells = {name: (value or "").strip() for name, value in row.items() if name is not None}
    if any(row[name] is None for name in REQUIRED):
        raise ValueError("it has fewer fields than the first line has columns")
    unit_id, label = cells["unit_id"], cells.get("label", "")
    if not unit_id:
        raise ValueError("unit_id is empty")
    if label not in ("", "0", "1"):
        raise ValueError(f"label is “{label[:40]}”; it is 1 (degraded), 0 (fine) or empty")
    unit = units.setdefault(unit_id, _Unit(source=cells.get("source", ""), label=label))
    if unit.label != label:
        raise ValueError(f"label is “{label}”, and “{unit.label}” in earlier lines of {unit_id}")
    try:
        measure = Measure(cells["kind"])
    except ValueError:
        kinds = ", ".join(Measure)
        raise ValueError(f"kind is “{cells['kind'][:40]}”; there are {kinds}") from None
    key = (cells["metric"], cells.get("case_id", ""))
    if unit.measures.setdefault(key, measure) is not measure:
        raise ValueError(f"kind is {measure}, and {unit.measures[key]} in earlier lines of {key[0]}")
    number = _whole("idx", cells["idx"])
    samples = unit.rows.setdefault(key, {})
    if number in samples:
        raise ValueError(f"idx {number} of {key[0]} in {unit_id} is there twice")
    count = cells.get("count", "")
    samples[number] = Sample(
        at=_number("t_s", cells["t_s"]),
        value=_number("value", cells["value"]) if cells["value"] else None,
        count=_counted(count) if count else None,
    )


def _deploy(unit_id: str, unit: _Unit) -> Deploy:
    series = []
    for key, rows in unit.rows.items():
        ordered = sorted(rows)
        numbers = tuple(number for number in ordered if number >= 0)
        series.append(
            Series(
                metric=key[0],
                measure=unit.measures[key],
                baseline=tuple(rows[number] for number in ordered if number < 0),
                after=tuple(rows[number] for number in numbers),
                numbers=numbers,
            )
        )
    degraded = None if unit.label == "" else unit.label == "1"
    return Deploy(unit_id=unit_id, source=unit.source, degraded=degraded, series=tuple(series))


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name} is “{text[:40]}”, which is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} is “{text[:40]}”; leave it empty where there was no data")
    return number


def _whole(name: str, text: str) -> int:
    number = _number(name, text)
    if number != int(number):
        raise ValueError(f"{name} is “{text[:40]}”, which is no whole number")
    return int(number)


def _counted(text: str) -> int:
    count = _whole("count", text)
    if count < 0:
        raise ValueError(f"count is {count}, and there are no fewer than 0 requests")
    return count
