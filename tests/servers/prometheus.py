"""A real Prometheus on loopback that scrapes a small real application twice a second.

Before it starts, a history of the last three hours is put into its database, so that there is a time before
the deployment to compare with.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bot.example.programs import free_port
from tests.servers.programs import running
from tests.servers.serving import serving

SCRAPE_S = 0.5

_CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms}}
rule_files: [rules.yml]
{alerting}
scrape_configs:
  - {{job_name: shop, static_configs: [{{targets: ["{app}"]}}]}}
  - {{job_name: dead, static_configs: [{{targets: ["127.0.0.1:1"]}}]}}
  - {{job_name: stopping, metrics_path: /stopping, static_configs: [{{targets: ["{app}"]}}]}}
"""
_RULES = """
groups:
  - name: shop
    rules:
      - {alert: HighErrorRate, expr: 'sum(rate(http_requests_total{code=~"5.."}[1m])) > 1000'}
      - {alert: Watchdog, expr: vector(1), labels: {severity: none}}
      # Two series on the left for one on the right, whatever was scraped.
      - {alert: Broken, expr: '(vector(1) or label_replace(vector(2), "side", "b", "", "")) * on () vector(1)'}
      - {record: 'shop:requests:rate1m', expr: 'sum(rate(http_requests_total[1m]))'}
  - name: slow
    interval: 10000h
    rules:
      - {alert: NotYetEvaluated, expr: vector(1)}
"""


@dataclass(frozen=True, kw_only=True)
class PrometheusServer:
    """Where it answers."""

    url: str
    app: ScrapedApp


class ScrapedApp:
    """An application with counters and a histogram that move at every scrape."""

    def __init__(self) -> None:
        #: While false, `/stopping` answers 500, as a target does that is gone.
        self.going = True
        self._scrapes = 0
        self.application = web.Application()
        self.application.router.add_get("/metrics", self._metrics)
        self.application.router.add_get("/stopping", self._stopping)

    async def _metrics(self, _: web.Request) -> web.Response:
        self._scrapes += 1
        served = 100 * self._scrapes
        lines = [
            "# TYPE http_requests_total counter",
            f'http_requests_total{{code="200"}} {served}',
            'http_requests_total{code="404"} 0',
            "# TYPE http_request_duration_seconds histogram",
            f'http_request_duration_seconds_bucket{{le="0.1"}} {served // 2}',
            f'http_request_duration_seconds_bucket{{le="0.4"}} {served}',
            f'http_request_duration_seconds_bucket{{le="+Inf"}} {served}',
            f"http_request_duration_seconds_sum {served * 0.2}",
            f"http_request_duration_seconds_count {served}",
            'pair{side="left"} 1',
            'pair{side="right"} 2',
            "pg_up 1",
            "mysql_up 0",
            "idle_requests_total 0",
        ]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")

    async def _stopping(self, _: web.Request) -> web.Response:
        if not self.going:
            return web.Response(status=500)
        self._scrapes += 1
        return web.Response(text=f"stopping_total {self._scrapes}\nstopping_gauge 7\n")


def _history(folder: Path) -> None:
    """Three hours, a sample every 15 s: what changed half an hour ago, and what did not."""
    now = int(time.time())
    lines: list[str] = []
    series = {
        # name: (value before, value in the last half hour)
        "latency_seconds": (0.2, 0.5),
        "steady_seconds": (0.2, 0.21),
        "error_ratio": (0.0, 0.02),
        "quiet_ratio": (0.0, 0.0),
        "traffic_rate": (50.0, 50.0),
        "no_traffic_rate": (50.0, 0.0),
    }
    for name, (before, after) in series.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [
            f'{name}{{job="shop"}} {after if at > now - 1800 else before} {at}'
            for at in range(now - 3 * 3600, now + 1, 15)
        ]
    lines.append(
        "# TYPE spike_ratio gauge"
    )  # one bad sample of three in a quarter of an hour, for the next five minutes
    lines += [
        f'spike_ratio{{job="shop"}} {0.9 if now - 610 < at <= now - 301 else 0.01} {at}'
        for at in range(now - 3 * 3600, now + 1, 15)
    ]
    lines.append("# TYPE nan_ratio gauge")
    lines += [f'nan_ratio{{job="shop"}} NaN {at}' for at in range(now - 3600, now + 1, 15)]
    lines.append(
        "# TYPE ended_seconds gauge"
    )  # its last samples are from before the newest sample of a watch
    lines += [f'ended_seconds{{job="shop"}} 1 {at}' for at in range(now - 3600, now - 420, 15)]
    source = folder / "history.om"
    source.write_text("\n".join(lines) + "\n# EOF\n")
    made = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data")],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"promtool failed: {made.stdout}{made.stderr}")


def _wait_for(url: str, query: str) -> None:
    """Until a query finds something: Prometheus takes up its targets five seconds after it starts."""
    asked = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    for _ in range(200):
        with urllib.request.urlopen(asked) as answer:
            if json.load(answer)["data"]["result"]:
                return
        time.sleep(0.1)
    raise RuntimeError(f"Prometheus does not find {query}")


@contextmanager
def prometheus_server(folder: Path, *, alertmanager: str = "") -> Iterator[PrometheusServer]:
    """Start one with a history, its application, and at least two scrapes."""
    app = ScrapedApp()
    _history(folder)
    (folder / "rules.yml").write_text(_RULES)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    target = alertmanager.removeprefix("http://")
    alerting = (
        f'alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{target}"]}}]}}]}}' if target else ""
    )
    with serving(app.application) as app_url:
        config = _CONFIG.format(app=app_url.removeprefix("http://"), alerting=alerting)
        (folder / "prometheus.yml").write_text(config)
        command = [
            "prometheus",
            "--config.file=prometheus.yml",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--rules.alert.resend-delay=1s",  # an Alertmanager is known five seconds after the first alert
            "--log.level=warn",
        ]
        with running(command, ready=f"{url}/-/ready", folder=folder):
            _wait_for(url, "rate(http_requests_total[1m]) and on () pg_up and on () (up{job='dead'} == 0)")
            time.sleep(2 * SCRAPE_S)  # for the rules to be evaluated over what was scraped
            yield PrometheusServer(url=url, app=app)
