"""`deploybot backtest`: deployments of the past from a file, replayed and summed up."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.cli.backtest import load
from bot.domain.errors import SamplesUnusable

HEADER = "unit_id,case_id,source,label,metric,kind,idx,t_s,value,count"


def series(unit: str, label: str, metric: str, kind: str, after: list[str], count: str = "") -> list[str]:
    """Rows of twenty quiet samples and what came after them."""
    quiet = "0" if kind == "error_pct" else "120"
    values = [quiet] * 20 + after
    return [
        f"{unit},,made up,{label},{metric},{kind},{n - 20},{60 * (n - 20)},{value},{count}"
        for n, value in enumerate(values)
    ]


ROWS = [
    *series("broken", "1", "p95", "latency_ms", ["120", "121", "240", "250"]),
    *series("broken", "1", "errors", "error_pct", ["0", "3", "4", "3"], "500"),
    *series("missed", "1", "p95", "latency_ms", ["120", "", "121", "119"]),
    *series("fine", "0", "p95", "latency_ms", ["120", "121", "119", "122"]),
    *series("alarmed", "0", "p95", "latency_ms", ["300", "310", "119", "122"]),
]


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_json_has_each_deployment_and_the_totals(tmp_path: Path) -> None:
    path = write(tmp_path / "samples.csv", ROWS)
    result = CliRunner().invoke(app, ["backtest", str(path), "--json"])
    assert result.exit_code == 0
    told = json.loads(result.output)
    assert told["deploys"] == [
        {"unit_id": "broken", "alarm": True, "delay": 2, "trigger": "errors"},
        {"unit_id": "missed", "alarm": False, "delay": None, "trigger": None},
        {"unit_id": "fine", "alarm": False, "delay": None, "trigger": None},
        {"unit_id": "alarmed", "alarm": True, "delay": 1, "trigger": "p95"},
    ]
    totals = told["totals"]
    assert (totals["caught"], totals["degraded"], totals["false_alarms"], totals["clean"]) == (1, 2, 1, 2)
    assert totals["recall"]["value"] == totals["precision"]["value"] == 0.5
    assert totals["recall"]["low"] == pytest.approx(0.0945, abs=1e-4)
    assert totals["delay_median"]["value"] == 2


def test_the_text_names_what_was_missed_and_sums_up(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["backtest", str(write(tmp_path / "samples.csv", ROWS))])
    lines = result.output.splitlines()
    assert lines[:3] == [
        "caught  broken: errors, delay 2",
        "missed  missed",
        "false alarm  alarmed: p95, delay 1",
    ]
    assert lines[3] == "4 deployments: 2 with an alarm, 2 without"
    assert lines[4].startswith("recall 50.0 % [9.5–90.5]: 1 of 2 degraded")


def test_a_gzipped_file_reads_the_same_whatever_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "samples.csv", ROWS)
    packed = tmp_path / "samples"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert load(packed) == load(path)


def test_without_labels_the_alarms_are_told_and_nothing_is_claimed(tmp_path: Path) -> None:
    rows = series("then", "", "p95", "latency_ms", ["300", "310"])
    result = CliRunner().invoke(app, ["backtest", str(write(tmp_path / "samples.csv", rows)), "--json"])
    totals = json.loads(result.output)["totals"]
    assert (totals["alarms"], totals["recall"]["value"], totals["false_alarm_rate"]["value"]) == (
        1,
        None,
        None,
    )


GOOD = "a,,,1,p95,latency_ms,-1,-60,120,"


@pytest.mark.parametrize(
    ("row", "line", "what"),
    [
        ("a,,,1,p95,latency_ms,0,0,fast,", 3, "value is “fast”, which is no number"),
        ("a,,,1,p95,latency_ms,0,0,nan,", 3, "value is “nan”; leave it empty where there was no data"),
        ("a,,,1,p95,latency,0,0,1,", 3, "kind is “latency”; there are error_pct, latency_ms, other"),
        ("a,,,2,p95,latency_ms,0,0,1,", 3, "label is “2”; it is 1 (degraded), 0 (fine) or empty"),
        ("a,,,0,p95,latency_ms,0,0,1,", 3, "label is “0”, and “1” in earlier lines of a"),
        ("a,,,1,p95,latency_ms,0.5,0,1,", 3, "idx is “0.5”, which is no whole number"),
        (GOOD, 3, "idx -1 of p95 in a is there twice"),
        ("a,,,1,p95,error_pct,0,0,1,-4", 3, "kind is error_pct, and latency_ms in earlier lines of p95"),
        ("b,,,1,e,error_pct,0,0,1,-4", 3, "count is -4, and there are no fewer than 0 requests"),
        (",,,1,p95,latency_ms,0,0,1,", 3, "unit_id is empty"),
        ("a,,,1,p95", 3, "it has fewer fields than the first line has columns"),
        ("a,,,1,p95,latency_ms,0,0,1,,9,9", 3, "it has more fields than the first line has columns"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, row: str, line: int, what: str) -> None:
    path = write(tmp_path / "samples.csv", [GOOD, row])
    with pytest.raises(SamplesUnusable) as caught:
        load(path)
    assert str(caught.value) == f"{path}:{line}: {what}"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the first line lacks the column unit_id, metric, kind, idx, t_s, value"),
        (HEADER.encode(), "there is no sample in it"),
        (b"\x1f\x8b\x08broken", "it can't be read"),
        (gzip.compress(b"", mtime=0)[:10] + b"\xff" * 30, "it can't be read"),
        (b"\xff\xfe\x00", "it is not text in UTF-8"),
    ],
)
def test_a_file_that_is_none_is_a_sentence(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "samples.csv"
    path.write_bytes(content)
    with pytest.raises(SamplesUnusable, match=what):
        load(path)
    with pytest.raises(SamplesUnusable, match="No such file"):
        load(tmp_path / "none.csv")
