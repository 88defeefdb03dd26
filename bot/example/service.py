"""The example service as a whole: brings up what is installed, tells where it is, and takes it down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from bot.example.alertmanager import Alertmanager, Hook
from bot.example.certificates import make_certificates
from bot.example.nginx import Nginx
from bot.example.postgres import OWNER, READER, Postgres, backups
from bot.example.programs import LOOPBACK, ExampleTrouble, Programs, answers, free_port
from bot.example.prometheus import SERVICE_SCRAPE_S, Exporters, Job, Prometheus
from bot.example.redis import Redis
from bot.example.repository import RELEASES, VERSION, Repository
from bot.example.shop.settings import Settings
from bot.example.traffic import Traffic

SERVICE, ENVIRONMENT = "storefront", "production"
#: A finding of a scanner of dependencies: id, package, severity, fixed_in.
Finding = Mapping[str, str]
#: What the shop is configured with; the names are documented in its configuration guide.
_CONFIGURED = ("SHOP_API_TOKEN", "SHOP_PORT", "SHOP_VERSION")


class ExampleService:
    """A shop behind nginx with PostgreSQL, Redis, Prometheus, Alertmanager and a repository.

    `folder` keeps everything; `page_port` is where the control page listens, which also receives alerts.
    """

    def __init__(self, folder: Path, *, page_port: int) -> None:
        self.folder = folder.resolve()
        self.programs = Programs(self.folder)
        self.version = VERSION
        self.workers = 2
        #: One line for each part that is left out, with how to install it.
        self.left_out: list[str] = []
        self.repository = Repository(self.folder / "checkout")
        self.nginx: Nginx | None = None
        self.postgres: Postgres | None = None
        self.redis: Redis | None = None
        self.prometheus: Prometheus | None = None
        self.alertmanager: Alertmanager | None = None
        self.traffic: Traffic | None = None
        #: What the scanner of its dependencies found.
        self.findings: list[Finding] = []
        self.page_port = page_port
        #: Taken only when the shop is about to start, since nobody keeps it free for long.
        self.shop_port = 0
        self._secrets: dict[str, str] = {}
        #: The authority to trust; None without TLS.
        self.ca_file: Path | None = None

    # ── start and stop ───────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Bring up what is installed. Raises ExampleTrouble; `stop` is to be called in any case."""
        self.programs.claim()
        self._secrets = self._kept_secrets()
        certificates = make_certificates(self.folder / "certificates")
        await _together(self.repository.start(), self._start_stores(certificates), self._start_alertmanager())
        if not self.repository.installed():
            self._leave_out("git", "git", "its repository")
        if self.postgres is not None:
            await self.repository.migrate(self.postgres.dsn(OWNER), "upgrade", "head")
            await self._back_up(self.postgres)
        self.shop_port = free_port()
        if Nginx.installed():
            self.nginx = Nginx(self.folder / "nginx", self.programs, certificates, self.shop_port)
            self.ca_file = certificates.ca_file
        else:
            self._leave_out("nginx", "nginx-light", "TLS, security headers and compression")
        await self._start_shop()
        if self.nginx is not None:
            await self.nginx.start()
        self.traffic = Traffic(self.base_url, token=self.api_token, account=self.account)
        self.traffic.start()
        await self._start_prometheus()

    async def stop(self) -> None:
        """Take everything down; nothing is left running."""
        if self.traffic is not None:
            await self.traffic.stop()
        await self.programs.stop_all()

    def _leave_out(self, what: str, package: str, without: str) -> None:
        self.left_out.append(
            f"{what} is not installed, so {without} cannot be checked: apt-get install {package}"
        )

    def _kept_secrets(self) -> dict[str, str]:
        """Made once, so that a cluster of an earlier run knows them."""
        file = self.folder / "secrets.json"
        names = ("api_token", "control_key", "password", "redis", "admin", "storefront", "deploybot_check")
        kept: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads(file.read_text())
        kept = {name: kept.get(name) or secrets.token_urlsafe(24) for name in names}
        file.touch(0o600)
        file.write_text(json.dumps(kept))
        return kept

    async def _start_stores(self, certificates: Any) -> None:
        starts: list[Coroutine[Any, Any, None]] = []
        if Postgres.installed():
            self.postgres = Postgres(self.folder / "postgres", self.programs, certificates, self._secrets)
            starts.append(self.postgres.start())
        else:
            self._leave_out("PostgreSQL", "postgresql", "the database")
        if Redis.installed():
            self.redis = Redis(self.folder / "redis", self.programs, self._secrets["redis"])
            starts.append(self.redis.start())
        else:
            self._leave_out("Redis", "redis-server", "the cache")
        await _together(*starts)

    async def _back_up(self, postgres: Postgres) -> None:
        """One more backup; at first two, because one is compared with the one before."""
        folder = self.repository.folder / "backups"
        await postgres.back_up(folder)
        if len(backups(folder)) < 2:
            await postgres.back_up(folder)

    async def _start_alertmanager(self) -> None:
        if not Alertmanager.installed():
            self._leave_out("Alertmanager", "prometheus-alertmanager", "the delivery of alerts")
            return
        self.alertmanager = Alertmanager(self.folder / "alertmanager", self.programs, self.receiver_url)
        await self.alertmanager.start()

    async def _start_shop(self) -> None:
        file = self.folder / "shop.json"
        Settings(
            port=self.shop_port,
            base_url=self.base_url,
            project=str(self.repository.folder),
            api_token=self._secrets["api_token"],
            control_key=self._secrets["control_key"],
            account=self.account["name"],
            password=self.account["password"],
            version=self.version,
            commit=self.repository.commit(self.version),
            database_dsn=self.postgres.dsn(OWNER) if self.postgres else None,
            redis_dsn=self.redis.dsn if self.redis else None,
            configured=self.configured,
        ).write(file)
        argv = [sys.executable, "-m", "bot.example.shop", str(file)]
        # The package may not be installed, only be where we were started.
        root = Path(__file__).parents[2]
        await self.programs.start("shop", argv, ready=lambda: answers(self.shop_port, "/version"), cwd=root)

    async def _start_prometheus(self) -> None:
        if not Prometheus.installed():
            self._leave_out("Prometheus", "prometheus", "metrics")
            return
        exporters = Exporters(self.folder / "exporters", self.programs)
        jobs = await exporters.start(
            postgres_dsn=self.postgres.dsn(READER) if self.postgres else None,
            redis_port=self.redis.port if self.redis else None,
            redis_password=self._secrets["redis"],
            shop_url=self.base_url,
        )
        for package in exporters.missing:
            self._leave_out(package, package, "what it measures")
        jobs.append(Job(name=SERVICE, port=self.shop_port, every_s=SERVICE_SCRAPE_S))
        if self.alertmanager is not None:
            jobs.append(Job(name="alertmanager", port=self.alertmanager.port))
        self.prometheus = Prometheus(self.folder / "prometheus", self.programs)
        await self.prometheus.start(
            jobs,
            service=SERVICE,
            rules=self.repository.rules,
            alertmanager_port=self.alertmanager.port if self.alertmanager else None,
        )

    # ── where everything is ──────────────────────────────────────────────────────────────────────────────

    @property
    def base_url(self) -> str:
        """The shop's address, without a slash at the end."""
        return self.nginx.url if self.nginx else f"http://{LOOPBACK}:{self.shop_port}"

    @property
    def page_url(self) -> str:
        """Where it is broken and mended."""
        return f"http://{LOOPBACK}:{self.page_port}"

    @property
    def receiver_url(self) -> str:
        """Where alerts are delivered to, and shown."""
        return f"{self.page_url}/alerts"

    @property
    def findings_url(self) -> str:
        """What its scanner found."""
        return f"{self.page_url}/findings"

    @property
    def api_token(self) -> str:
        """A token the API accepts."""
        return self._secrets["api_token"]

    @property
    def configured(self) -> tuple[str, ...]:
        """Names of the variables the shop is configured with."""
        database = ("SHOP_DATABASE_DSN",) if self.postgres else ()
        cache = ("SHOP_REDIS_DSN",) if self.redis else ()
        return (*database, *cache, *_CONFIGURED)

    @property
    def account(self) -> Mapping[str, str]:
        """The account that may log in, with its password."""
        return {"name": "demo", "password": self._secrets["password"]}

    # ── what can be changed ──────────────────────────────────────────────────────────────────────────────

    async def change_shop(self, **changed: Any) -> None:
        """Change the shop's conduct. Raises OSError."""
        headers = {"X-Control-Key": self._secrets["control_key"]}
        url = f"http://{LOOPBACK}:{self.shop_port}/-/conduct"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=changed, headers=headers) as answer,
        ):
            answer.raise_for_status()

    async def deliver_alerts_to(self, url: str, credentials: str) -> None:
        """Have Alertmanager also post what speaks for a rollback there, with a bearer token.

        For whoever is only there once the service runs. Nothing happens without Alertmanager. Raises
        ExampleTrouble.
        """
        if self.alertmanager is not None:
            await self.alertmanager.deliver_to(Hook(url=url, credentials=credentials))

    async def deploy(self, version: str) -> None:
        """Release a version: its files, its migrations, an empty cache. Raises ExampleTrouble."""
        if version not in RELEASES:
            raise ExampleTrouble(f"there is no release {version}: there are {', '.join(RELEASES)}")
        dsn = self.postgres.dsn(OWNER) if self.postgres is not None else None
        names = list(RELEASES)
        if dsn is not None and names.index(version) < names.index(self.version):
            # Only the newer release knows how to undo what it did.
            await self.repository.migrate(dsn, "downgrade", RELEASES[version].head)
        await self.repository.check_out(version)
        if dsn is not None:
            await self.repository.migrate(dsn, "upgrade", "head")
        await self.change_shop(version=version, commit=self.repository.commit(version), clear_cache=True)
        self.version = version

    async def scale(self, workers: int) -> None:
        """Have so many workers."""
        await self.change_shop(workers=workers)
        self.workers = workers


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Side by side; where one fails the others are cancelled, and over, before its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as group_of_errors:
        raise group_of_errors.exceptions[0] from group_of_errors
