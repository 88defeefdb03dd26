"""Prometheus with the exporters that are installed: the shop, this machine, PostgreSQL, Redis, a probe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.example.programs import LOOPBACK, Programs, answers, find, free_port

#: Seconds between two scrapes: short, so that what was broken shows soon. The service itself is scraped more
#: often: a rate needs two samples, and a watch may look at no more than a few seconds.
SCRAPE_S, SERVICE_SCRAPE_S = 2, 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something that is scraped."""

    name: str
    port: int
    path: str = "/metrics"
    params: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Shown as the instance instead of the address.
    instance: str = ""
    every_s: int = SCRAPE_S


class Exporters:
    """What tells Prometheus about things that do not speak to it themselves."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self._folder = folder
        self._programs = programs
        #: The Debian packages that would have added something.
        self.missing: list[str] = []

    async def start(
        self, *, postgres_dsn: str | None, redis_port: int | None, redis_password: str, shop_url: str
    ) -> list[Job]:
        """Start those that are installed and have something to look at. Raises ExampleTrouble."""
        self._folder.mkdir(parents=True, exist_ok=True)
        jobs = [await self._start("node", "prometheus-node-exporter", "node_exporter")]
        if postgres_dsn is not None:
            jobs.append(
                await self._start(
                    "postgres",
                    "prometheus-postgres-exporter",
                    "postgres_exporter",
                    env={"DATA_SOURCE_NAME": postgres_dsn},
                )
            )
        if redis_port is not None:
            jobs.append(
                await self._start(
                    "redis",
                    "prometheus-redis-exporter",
                    "redis_exporter",
                    env={"REDIS_ADDR": f"redis://{LOOPBACK}:{redis_port}", "REDIS_PASSWORD": redis_password},
                )
            )
        probe = await self._probe(shop_url)
        return [job for job in [*jobs, probe] if job is not None]

    async def _start(
        self,
        job: str,
        *names: str,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        ready: str = "/",
    ) -> Job | None:
        program = find(*names)
        if program is None:
            self.missing.append(names[0])
            return None
        port = free_port()
        argv = [program, f"--web.listen-address={LOOPBACK}:{port}", *arguments]
        await self._programs.start(names[0], argv, ready=lambda: answers(port, ready), env=env)
        return Job(name=job, port=port)

    async def _probe(self, shop_url: str) -> Job | None:
        """What looks at the shop from outside, as uptime monitoring does."""
        file = self._folder / "blackbox.yml"
        # Whether the certificate is trusted is for the check of certificates to say.
        module = {"prober": "http", "timeout": "3s", "http": {"tls_config": {"insecure_skip_verify": True}}}
        file.write_text(json.dumps({"modules": {"http_2xx": module}}))
        started = await self._start(
            "uptime",
            "prometheus-blackbox-exporter",
            "blackbox_exporter",
            arguments=[f"--config.file={file}"],
            ready="/-/healthy",
        )
        if started is None:
            return None
        params = {"module": ["http_2xx"], "target": [f"{shop_url}/"]}
        return Job(name="uptime", port=started.port, path="/probe", params=params, instance=f"{shop_url}/")


class Prometheus:
    """Prometheus, which forgets everything older than a few hours."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.port = free_port()
        #: What it scrapes.
        self.jobs: list[str] = []
        self._folder = folder
        self._programs = programs

    @staticmethod
    def installed() -> bool:
        """Whether there is one."""
        return find("prometheus") is not None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"

    async def start(
        self, jobs: Sequence[Job], *, service: str, rules: Path, alertmanager_port: int | None
    ) -> None:
        """Start it with these jobs and the rules in a file. Raises ExampleTrouble."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.jobs = [job.name for job in jobs]
        itself = Job(name="prometheus", port=self.port)
        configuration: dict[str, Any] = {
            "global": {
                "scrape_interval": f"{SCRAPE_S}s",
                "scrape_timeout": f"{SCRAPE_S}s",
                "evaluation_interval": f"{SCRAPE_S}s",
                "external_labels": {"environment": "production"},
            },
            "rule_files": [str(rules)],
            "scrape_configs": [_scrape(job, service) for job in [*jobs, itself]],
        }
        if alertmanager_port is not None:
            targets = [{"targets": [f"{LOOPBACK}:{alertmanager_port}"]}]
            configuration["alerting"] = {"alertmanagers": [{"static_configs": targets}]}
        file = self._folder / "prometheus.yml"
        file.write_text(json.dumps(configuration, indent=2))  # JSON is YAML
        argv = [
            str(find("prometheus")),
            f"--config.file={file}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            "--storage.tsdb.retention.time=6h",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            # It hears of Alertmanager only seconds after the first alert: do not wait a minute to repeat it.
            "--rules.alert.resend-delay=2s",
            "--log.level=warn",
        ]
        await self._programs.start("prometheus", argv, ready=lambda: answers(self.port, "/-/ready"))


def _scrape(job: Job, service: str) -> dict[str, Any]:
    labels = {"service": service} | ({"instance": job.instance} if job.instance else {})
    return {
        "job_name": job.name,
        "scrape_interval": f"{job.every_s}s",
        "scrape_timeout": f"{job.every_s}s",
        "metrics_path": job.path,
        "params": dict(job.params),
        "static_configs": [{"targets": [f"{LOOPBACK}:{job.port}"], "labels": labels}],
    }
