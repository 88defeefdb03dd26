"""`deploybot backtest --prometheus` against a real Prometheus with three hours of history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.example.programs import free_port
from tests.servers.prometheus import PrometheusServer, prometheus_server

SIDECAR = """
version: 1
vars: {prometheus_url: {env: NOT_SET_ANYWHERE, example: "http://prometheus:9090"}}
watch:
  interval: 60s
  duration: 30m
  baseline: 30m
  signals:
    latency:
      trigger: Performance degradation
      measure: latency_ms
      series:
        kind: signal.prometheus
        url: "${vars.prometheus_url}"
        query: "1000 * max(max_over_time(latency_seconds[$interval]))"
    steady:
      trigger: Performance degradation
      measure: latency_ms
      series:
        kind: signal.prometheus
        url: "${vars.prometheus_url}"
        query: "1000 * max(max_over_time(steady_seconds[$interval]))"
    checkout:
      trigger: Critical functionality failure
      probe: {kind: http, url: "http://127.0.0.1:1/"}
"""
CHECKLIST = """
# Deployment
## Deploy
- [ ] Verify deployment
## Rollback Plan
### Triggers
- Performance degradation
- Critical functionality failure
"""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with prometheus_server(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


def checklist(folder: Path) -> str:
    (folder / "shop.md").write_text(CHECKLIST)
    (folder / "shop.yaml").write_text(SIDECAR)
    return str(folder / "shop.md")


def test_each_trigger_says_how_often_it_would_have_fired(
    prometheus: PrometheusServer, tmp_path: Path
) -> None:
    given = ["backtest", "--prometheus", prometheus.url, "--days", "0.12", "--checklist", checklist(tmp_path)]
    result = CliRunner().invoke(app, [*given, "--json"])
    assert result.exit_code == 0, result.output
    latency, steady, checkout = json.loads(result.output)
    assert latency["deploys"] == steady["deploys"] >= 3
    assert len(latency["fired"]) == 1, latency
    assert steady["fired"] == []
    assert "keeps no past" in checkout["problem"]
    told = CliRunner().invoke(app, given).output
    assert "would have fired at 1 of" in told
    assert "would have fired at 0 of" in told


def test_a_prometheus_that_does_not_answer_is_said_and_is_no_clean_record(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = CliRunner().invoke(app, ["backtest", "--prometheus", url, "--checklist", checklist(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "would have fired" not in result.output


def test_it_takes_a_file_or_a_prometheus() -> None:
    result = CliRunner().invoke(app, ["backtest"])
    assert result.exit_code == 2
    assert "--prometheus URL" in result.output
