"""The example service: what is installed runs, each switch breaks and mends what it says, nothing stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from bot.domain.check import Outcome, Secret
from bot.domain.inbound import InboundAlert
from bot.example.breaking import SWITCHES
from bot.example.programs import LOOPBACK, Programs, free_port, listens
from bot.example.running import Example, example_service
from bot.web import Hooks, WebServer, application
from bot.web.hooks import ALERTMANAGER_PATH
from tests.checking import examine, make_context
from tests.integration.test_hooks import Received, ready

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = {
    "DEPLOYBOT_BASE_URL",
    "DEPLOYBOT_HTTP_URL",
    "DEPLOYBOT_API_URL",
    "DEPLOYBOT_API_TOKEN",
    "DEPLOYBOT_LOGIN_URL",
    "DEPLOYBOT_LOGIN_NAME",
    "DEPLOYBOT_LOGIN_PASSWORD",
    "DEPLOYBOT_WEBSOCKET_URL",
    "DEPLOYBOT_CA_FILE",
    "DEPLOYBOT_DATABASE_DSN",
    "DEPLOYBOT_REDIS_DSN",
    "DEPLOYBOT_PROMETHEUS_URL",
    "DEPLOYBOT_ALERTMANAGER_URL",
    "DEPLOYBOT_ALERT_RECEIVER_URL",
    "DEPLOYBOT_CHECKOUT",
    "DEPLOYBOT_ALLOW",
    "DEPLOYBOT_WATCH_INTERVAL",
    "DEPLOYBOT_WATCH_FAST",
    "DEPLOYBOT_WATCH_DURATION",
    "DEPLOYBOT_WATCH_BASELINE",
    "DEPLOYBOT_CHECKOUT_URL",
    "DEPLOYBOT_FINDINGS_URL",
}
#: What a watch may ask: requests, and by switch what it turns up. Without any traffic that is NaN.
REQUESTS = 'sum(increase(http_requests_total{job="storefront"}[$interval]))'
WATCHED = {
    "error-rate": "100 * sum(increase(http_requests_total"
    '{job="storefront",status=~"5.."}[$interval])) / ' + REQUESTS,
    "latency": "1000 * histogram_quantile(0.95, sum by (le) (increase("
    'http_request_duration_seconds_bucket{job="storefront"}[$interval])))',
}
Params = Mapping[str, Any]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def example(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Example]:
    """One that runs for the whole module."""
    async with example_service(tmp_path_factory.mktemp("example") / "service") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(example: Example) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who trusts the shop's authority."""
    tls = ssl.create_default_context(cafile=example.environment["DEPLOYBOT_CA_FILE"])
    async with httpx.AsyncClient(base_url=example.service.base_url, verify=tls, timeout=10) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page(example: Example) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody at the page that breaks and mends."""
    async with httpx.AsyncClient(base_url=example.service.page_url, timeout=30) as page:
        yield page


async def outcome_of(example: Example, kind: str, params: Params, **rules: Any) -> tuple[Outcome, str]:
    """What a check says, with what it saw."""
    environment = example.environment
    context = make_context(
        allow=environment["DEPLOYBOT_ALLOW"].split(","),
        ca_file=Path(environment["DEPLOYBOT_CA_FILE"]),
        root=Path(environment["DEPLOYBOT_CHECKOUT"]),
    )
    evidence = await examine(kind, params, context=context, **rules)
    return evidence.outcome, evidence.observed


# ── what there is ────────────────────────────────────────────────────────────────────────────────────────


async def test_everything_is_handed_over_as_environment_variables(example: Example) -> None:
    environment = example.environment
    assert set(environment) >= NAMES
    assert example.service.left_out == []
    written = (example.service.folder / "environment").read_text()
    assert f"DEPLOYBOT_BASE_URL={environment['DEPLOYBOT_BASE_URL']}\n" in written
    allowed = set(environment["DEPLOYBOT_ALLOW"].split(","))
    for name, value in environment.items():
        if "://" in value and not name.endswith("JOURNEY"):
            assert f"{urlsplit(value).hostname}:{urlsplit(value).port}" in allowed, name


async def test_the_shop_answers_over_tls(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.status_code == 200
    assert "Teapot" in answer.text
    assert answer.headers["content-encoding"] == "gzip"
    health = (await client.get("/health")).json()
    assert health == {"status": "ok", "database": "ok", "cache": "ok"}
    configured = (await client.get("/health/config")).json()
    assert "SHOP_DATABASE_DSN" in configured["names"]
    assert "://" not in json.dumps(configured)
    for hidden in ("/metrics", "/-/conduct"):
        assert (await client.get(hidden)).status_code == 404


async def test_plain_http_is_sent_on_to_tls(example: Example) -> None:
    async with httpx.AsyncClient() as plain:
        answer = await plain.get(f"{example.environment['DEPLOYBOT_HTTP_URL']}/products/7?a=b")
    assert answer.status_code == 301
    assert answer.headers["location"] == f"{example.service.base_url}/products/7?a=b"


async def test_search_and_filters_find_what_they_should(example: Example, client: httpx.AsyncClient) -> None:
    token = {"Authorization": f"Bearer {example.environment['DEPLOYBOT_API_TOKEN']}"}

    async def find(**query: Any) -> list[dict[str, Any]]:
        return list((await client.get("/api/products", params=query, headers=token)).json()["items"])

    every = await find()
    assert len(every) == 24
    assert {one["name"].split()[0] for one in await find(q="teapot")} == {"Teapot"}
    table = await find(category="table", max_price_cents=3000)
    assert 0 < len(table) < len(every)
    assert all(one["category"] == "table" and one["price_cents"] <= 3000 for one in table)
    wrong = await client.get("/api/products", params={"limit": "many"}, headers=token)
    assert (wrong.status_code, wrong.headers["content-type"]) == (400, "application/problem+json")


async def test_a_login_lasts_until_it_is_ended(example: Example, client: httpx.AsyncClient) -> None:
    wrong = await client.post("/api/login", json={**example.service.account, "password": "wrong"})
    assert wrong.status_code == 401
    given = (await client.post("/api/login", json=dict(example.service.account))).json()
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
    assert (await client.get("/api/me", headers=bearer)).json() == {"account": "demo"}
    renewed = await client.post("/api/refresh", json={"refresh_token": given["refresh_token"]})
    assert renewed.status_code == 200
    assert (await client.get("/api/me", headers=bearer)).status_code == 401
    again = await client.post("/api/refresh", json={"refresh_token": given["refresh_token"]})
    assert again.status_code == 401
    bearer = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
    assert (await client.post("/api/logout", headers=bearer)).status_code == 204
    assert (await client.get("/api/me", headers=bearer)).status_code == 401
    client.cookies.clear()


async def test_prometheus_scrapes_everything_that_can_be_scraped(example: Example) -> None:
    prometheus = example.service.prometheus
    assert prometheus is not None
    async with httpx.AsyncClient(base_url=prometheus.url) as asking:
        async with asyncio.timeout(30):
            while True:
                answer = (await asking.get("/api/v1/query", params={"query": "up"})).json()
                up = {row["metric"]["job"]: row["value"][1] for row in answer["data"]["result"]}
                if len(up) == 7 and set(up.values()) == {"1"}:
                    break
                await asyncio.sleep(0.2)
    assert set(up) == {"storefront", "node", "postgres", "redis", "uptime", "alertmanager", "prometheus"}


async def test_an_alert_reaches_the_receiver(example: Example) -> None:
    environment = example.environment
    params = {
        "url": environment["DEPLOYBOT_ALERTMANAGER_URL"],
        "seen_at": environment["DEPLOYBOT_ALERT_RECEIVER_URL"],
    }
    outcome, said = await outcome_of(example, "alertmanager.synthetic", params, timeout=60)
    assert (outcome, said.split(" in ")[0]) == (Outcome.PASS, "delivered to storefront-team")


async def test_the_traffic_is_in_the_metrics_and_in_no_checks_way(example: Example) -> None:
    async def check(item: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "check", "production"),
            *("--environment", "production", "--service", "storefront", "--section", item),
            cwd=Path(__file__).parents[2],
            env={**os.environ, **example.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()

    for found in await asyncio.gather(
        check("Error rates"),
        check("API response times"),
        check("Rate limiting is properly configured"),
        check("Rate limiting is working"),
        check("Authentication works"),
        check("Alerts are configured"),
    ):
        assert found[0] == 0, found[1]


# ── breaking and mending ─────────────────────────────────────────────────────────────────────────────────


def _checks(example: Example) -> dict[str, tuple[str, Params, Params]]:
    """What sees each switch: a kind, its parameters, and its rules where it has none of its own."""
    service, environment = example.service, example.environment
    base = service.base_url
    token = Secret("api_token", environment["DEPLOYBOT_API_TOKEN"])
    dsn = Secret("dsn", environment["DEPLOYBOT_DATABASE_DSN"])
    login = {"method": "POST", "json": {"name": "somebody", "password": "wrong"}}
    return {
        "certificate": ("tls", {"host": base}, {}),
        "headers": ("headers.security", {"url": f"{base}/"}, {"expect": {"grade": ">= A"}}),
        "migration": ("migrations.alembic", {"dsn": dsn, "config": "alembic.ini"}, {}),
        "slow-query": ("sql.pg.slow_statements", {"dsn": dsn}, {}),
        "cache": ("headers.cache", {"url": f"{base}/"}, {}),
        "auth": ("http.tokens", {"url": f"{base}/api/me", "token": token}, {}),
        "rate-limit": ("ratelimit.burst", {"url": f"{base}/api/login", **login}, {}),
        "errors": ("http.latency", {"url": f"{base}/shop/products.json"}, {}),
        "down": ("http", {"url": f"{base}/"}, {"expect": {"status": 200}}),
        "checkout": ("http", {"url": environment["DEPLOYBOT_CHECKOUT_URL"]}, {"expect": {"status": 200}}),
        "vulnerability": (
            "http",
            {"url": environment["DEPLOYBOT_FINDINGS_URL"], "extract": {"found": "length(findings)"}},
            {"expect": {"status": 200, "found": 0}},
        ),
    }


@pytest.mark.parametrize("name", [switch.name for switch in SWITCHES if switch.name not in WATCHED])
async def test_a_switch_breaks_what_it_says_and_mends_it(example: Example, name: str) -> None:
    kind, params, rules = _checks(example)[name]
    before, said_before = await outcome_of(example, kind, params, **rules)
    await example.breaker.throw(name)
    try:
        broken, said_broken = await outcome_of(example, kind, params, **rules)
    finally:
        await example.breaker.mend(name)
    after, said_after = await outcome_of(example, kind, params, **rules)
    assert before in (Outcome.PASS, Outcome.WARN), said_before
    assert broken is Outcome.FAIL, said_broken
    assert after in (Outcome.PASS, Outcome.WARN), said_after


async def measured(example: Example, query: str, *, over: str = "4s", by: str = "") -> dict[str, float]:
    """What Prometheus says to a query for a watch, by a label; without data nothing."""
    prometheus = example.service.prometheus
    assert prometheus is not None
    query = query.replace("$interval", over)
    if by:
        query = query.replace("sum(", f"sum by ({by}) (").replace("sum by (le) (", f"sum by (le, {by}) (")
    async with httpx.AsyncClient(base_url=prometheus.url) as asking:
        answer = (await asking.get("/api/v1/query", params={"query": query})).json()
    rows = {row["metric"].get(by, ""): float(row["value"][1]) for row in answer["data"]["result"]}
    return {label: value for label, value in rows.items() if not math.isnan(value)}


async def becomes(example: Example, query: str, fits: Callable[[float], bool]) -> float:
    """The value a watch measures, as soon as it fits."""
    async with asyncio.timeout(40):
        while True:
            value = (await measured(example, query)).get("")
            if value is not None and fits(value):
                return value
            await asyncio.sleep(0.5)


async def test_a_share_of_errors_shows_at_the_usual_traffic_and_goes_with_mending(example: Example) -> None:
    variable = WATCHED["error-rate"]
    assert await becomes(example, variable, lambda value: value == 0) == 0
    await example.breaker.throw("error-rate")
    try:
        # 5 % of some 35 requests: one or two of them.
        few = await becomes(example, variable, lambda value: value > 0)
        await example.breaker.throw("error-rate", share=50)
        many = await becomes(example, variable, lambda value: 40 < value < 60)
        requests = (await measured(example, REQUESTS))[""]
    finally:
        await example.breaker.mend("error-rate")
    assert few < 20 < many
    assert requests > 16
    await becomes(example, variable, lambda value: value == 0)


async def test_latency_shows_at_the_usual_traffic_and_goes_with_mending(example: Example) -> None:
    variable = WATCHED["latency"]
    whole = await becomes(example, variable, lambda value: value < 150)
    await example.breaker.throw("latency", delay=400, share=20)
    try:
        slow = await becomes(example, variable, lambda value: value >= 400)
        # People come as before: the traffic does not wait for its answers.
        requests = (await measured(example, REQUESTS))[""]
    finally:
        await example.breaker.mend("latency")
    assert whole < slow < 1000
    assert requests > 16
    await becomes(example, variable, lambda value: value < 150)


async def test_a_critical_function_fails_while_the_shop_goes_on(
    example: Example, client: httpx.AsyncClient
) -> None:
    url = example.environment["DEPLOYBOT_CHECKOUT_URL"]
    token = {"Authorization": f"Bearer {example.environment['DEPLOYBOT_API_TOKEN']}"}
    assert (await client.get(url)).json()["total_cents"] > 490
    await example.breaker.throw("checkout")
    try:
        order = await client.post("/api/orders", json={"product_id": 7}, headers=token)
        assert ((await client.get(url)).status_code, order.status_code) == (500, 500)
        assert (await client.get("/")).status_code == 200
    finally:
        await example.breaker.mend("checkout")
    assert (await client.post("/api/orders", json={"product_id": 7}, headers=token)).status_code == 201


async def test_a_finding_says_what_it_is_and_where_it_is_fixed(
    example: Example, page: httpx.AsyncClient
) -> None:
    await example.breaker.throw("vulnerability")
    try:
        (finding,) = (await page.get(example.environment["DEPLOYBOT_FINDINGS_URL"])).json()["findings"]
    finally:
        await example.breaker.mend("vulnerability")
    assert set(finding) == {"id", "package", "severity", "fixed_in"}
    assert (finding["id"].startswith("CVE-"), finding["severity"]) == (True, "high")


async def test_how_much_is_broken_is_set_on_the_page(example: Example, page: httpx.AsyncClient) -> None:
    drawn = (await page.get("/")).text
    assert 'name="delay" value="200"' in drawn
    try:
        state = (await page.post("/break/latency", data={"delay": "30", "share": "10"})).json()
        assert state["switches"]["latency"]["amounts"] == {"delay": 30, "share": 10}
        state = (await page.post("/break/latency?delay=60")).json()
        assert state["switches"]["latency"]["amounts"] == {"delay": 60, "share": 100}
    finally:
        await page.post("/mend/latency")
    for wrong, status in (
        ("delay=much", 400),
        ("delay=0", 409),
        ("share=101", 409),
        ("delay=nan", 409),
        ("x=1", 409),
    ):
        answer = await page.post(f"/break/latency?{wrong}")
        assert (answer.status_code, "error" in answer.json()) == (status, True), wrong
    assert not (await page.get("/state")).json()["switches"]["latency"]["broken"]


async def test_a_release_is_measured_by_itself(example: Example) -> None:
    await example.service.deploy("v1.4.1")
    try:
        async with asyncio.timeout(20):
            while "v1.4.1" not in await measured(  # noqa: ASYNC110 - of another process
                example, WATCHED["latency"], by="version"
            ):
                await asyncio.sleep(0.5)
        assert (await measured(example, WATCHED["error-rate"], by="version"))["v1.4.1"] == 0
        requests = await measured(example, REQUESTS, over="30s", by="version")
        assert set(requests) == {"v1.4.1", "v1.4.2"}
    finally:
        await example.service.deploy("v1.4.2")


async def test_an_alert_reaches_the_hook_of_a_bot_that_came_later(example: Example) -> None:
    received = Received()
    hooks = Hooks(token="hook-token", receive=received)
    server = WebServer(application(readiness=ready, bolt=None, hooks=hooks), host="127.0.0.1", port=0)
    url = f"http://127.0.0.1:{await server.start()}{ALERTMANAGER_PATH}"

    async def told(*, over: bool) -> InboundAlert:
        async with asyncio.timeout(70):
            while True:
                for alert, _ in received.got:
                    if (alert.labels["trigger"], alert.resolved) == ("significant-error-rate-increase", over):
                        return alert
                await asyncio.sleep(0.2)

    await example.service.deliver_alerts_to(url, "hook-token")
    try:
        await example.breaker.throw("error-rate", share=40)
        firing = await told(over=False)
        await example.breaker.mend("error-rate")
        resolved = await told(over=True)
    finally:
        await example.breaker.mend("error-rate")
        assert example.service.alertmanager is not None
        await example.service.alertmanager.deliver_to(None)
        await server.stop()
    assert (firing.title, firing.service, firing.environment) == ("HighErrorRate", "storefront", "production")
    assert (firing.severity, firing.key) == ("page", resolved.key)
    assert re.match(r"More than 3 % of the requests fail: [\d.]+%", firing.said)
    # What always fires, and what a check makes to see whether alerts get through, is nobody's reason to go back.
    assert all("trigger" in alert.labels for alert, _ in received.got)


async def test_the_headers_switch_also_drops_the_content_security_policy(example: Example) -> None:
    params = {"url": f"{example.service.base_url}/"}
    await example.breaker.throw("headers")
    try:
        broken, said = await outcome_of(example, "headers.csp", params)
    finally:
        await example.breaker.mend("headers")
    whole, _ = await outcome_of(example, "headers.csp", params)
    assert (broken, whole) == (Outcome.FAIL, Outcome.PASS), said


async def test_the_page_has_a_button_for_every_switch(example: Example, page: httpx.AsyncClient) -> None:
    for switch in SWITCHES:
        assert f'action="/break/{switch.name}"' in (await page.get("/")).text
    state = (await page.post("/break/auth")).json()
    assert state["switches"]["auth"]["broken"]
    assert 'action="/mend/auth"' in (await page.get("/")).text
    state = (await page.post("/mend/auth")).json()
    assert not state["switches"]["auth"]["broken"]
    unknown = await page.post("/break/everything")
    assert (unknown.status_code, "there is no switch" in unknown.json()["error"]) == (409, True)


async def test_no_other_site_can_break_anything(page: httpx.AsyncClient) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        assert (await page.post("/break/auth", headers=headers)).status_code == 403
    assert not (await page.get("/state")).json()["switches"]["auth"]["broken"]


async def test_another_release_can_be_deployed_and_taken_back(
    example: Example, page: httpx.AsyncClient
) -> None:
    checkout = example.service.repository.folder
    params = {"url": f"{example.service.base_url}/version", "path": "version"}
    assert (await page.post("/deploy/v1.4.1")).json()["version"] == "v1.4.1"
    outcome, said = await outcome_of(example, "http.version", params)
    assert (outcome, "v1.4.1" in said) == (Outcome.FAIL, True)
    assert not (checkout / "migrations/versions/0004_orders_by_customer.py").exists()
    kind, migration, rules = _checks(example)["migration"]
    assert await outcome_of(example, kind, migration, **rules) == (Outcome.PASS, "at 0003, head 0003")
    assert (await page.post("/deploy/v1.4.2")).json()["version"] == "v1.4.2"
    assert (await outcome_of(example, "http.version", params))[0] is Outcome.PASS
    assert await outcome_of(example, kind, migration, **rules) == (Outcome.PASS, "at 0004, head 0004")
    assert (await page.post("/deploy/v9")).status_code == 409


async def test_workers_are_scaled_down_and_up(example: Example, page: httpx.AsyncClient) -> None:
    async def workers() -> str:
        port = example.service.shop_port
        async with httpx.AsyncClient() as scraping:
            text = (await scraping.get(f"http://127.0.0.1:{port}/metrics")).text
        return next(line for line in text.splitlines() if line.startswith("workers_running "))

    assert await workers() == "workers_running 2"
    assert (await page.post("/scale/0")).json()["workers"] == 0
    await _until(workers, "workers_running 0")
    assert (await page.post("/scale/2")).json()["workers"] == 2
    await _until(workers, "workers_running 2")
    assert (await page.post("/scale/1000")).status_code == 400


async def _until(look: Callable[[], Any], wanted: Any) -> None:
    async with asyncio.timeout(10):
        while await look() != wanted:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


# ── nothing stays ────────────────────────────────────────────────────────────────────────────────────────


class Local:
    """`deploybot local --example-service` as a process."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.record = folder / "deploybot.db.example" / "programs.json"
        self._folder = folder
        self._environment = environment

    @contextlib.asynccontextmanager
    async def running(self, *, ready: str = "Break it") -> AsyncIterator[asyncio.subprocess.Process]:
        """Until it prints something; killed at the end where it still runs."""
        argv = ["-m", "bot", "local", "--example-service", "--port", "0"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *argv,
            "--db",
            str(self._folder / "deploybot.db"),
            cwd=Path(__file__).parents[2],
            env={**os.environ, **self._environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.said = ""
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                while ready not in self.said:
                    line = await process.stdout.readline()
                    assert line, self.said
                    self.said += line.decode()
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def programs(self) -> dict[str, int]:
        """Name and process id of what runs now."""
        return {one["name"]: one["pid"] for one in json.loads(self.record.read_text())["programs"]}


def _alive(pids: Mapping[str, int]) -> set[str]:
    """Those of them that run, or any of their group."""
    found = set()
    for name, pid in pids.items():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, 0)
            found.add(name)
    return found


async def _are_gone(pids: Mapping[str, int]) -> None:
    async def alive() -> set[str]:
        return _alive(pids)

    await _until(alive, set())


async def test_stopping_the_bot_leaves_nothing_running(tmp_path: Path) -> None:
    local = Local(tmp_path)
    async with local.running() as process:
        pids = local.programs()
        assert {"nginx", "postgres", "redis", "shop", "prometheus", "alertmanager"} <= _alive(pids)
        assert "/deploy start storefront v1.4.2 production" in local.said
        file = local.record.parent / "alertmanager" / "alertmanager.yml"
        (bot,) = json.loads(file.read_text())["receivers"][1]["webhook_configs"]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/hooks/alertmanager", bot["url"])
        assert bot["http_config"]["authorization"]["credentials"]
        assert file.stat().st_mode & 0o077 == 0, "nobody else reads the token"
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == 0
        assert _alive(pids) == set()
        assert not local.record.exists()


async def test_stopping_the_bot_while_it_starts_leaves_nothing_running(tmp_path: Path) -> None:
    local = Local(tmp_path)
    async with local.running(ready="Starting the example service") as process:
        async with asyncio.timeout(30):
            while not local.record.exists() or "postgres" not in local.programs():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        pids = local.programs()
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode not in (0, None)
        assert _alive(pids) == set()


async def test_what_a_killed_bot_left_is_gone_with_the_next_start(tmp_path: Path) -> None:
    local = Local(tmp_path)
    async with local.running() as process:
        pids = local.programs()
        process.kill()
        await process.communicate()
    async with local.running() as process:
        await _are_gone(pids)
        assert _alive(local.programs())
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == 0


@pytest.mark.parametrize(("born", "ended"), [("as noted", True), ("another time", False)])
async def test_the_next_start_ends_what_is_on_the_list_and_nothing_else(
    tmp_path: Path, born: str, ended: bool
) -> None:
    # On Linux the system ends programs with the bot, so the list is handed to another folder here.
    before, after = Programs(tmp_path / "before"), Programs(tmp_path / "after")
    before.claim()
    try:

        async def ready() -> bool:
            return True

        program = await before.start("sleeper", ["sleep", "600"], ready=ready)
        record = json.loads((tmp_path / "before" / "programs.json").read_text())
        if not ended:
            # The process id belongs to somebody else by now.
            record["programs"][0]["born"] = born
        (tmp_path / "after").mkdir()
        (tmp_path / "after" / "programs.json").write_text(json.dumps(record))
        after.claim()
        if ended:
            async with asyncio.timeout(10):
                await program.process.wait()
        assert program.running is not ended
    finally:
        await after.stop_all()
        await before.stop_all()


async def test_a_part_that_is_not_installed_is_left_out(tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for program in ("setpriv", "git", "env"):
        found = shutil.which(program)
        assert found is not None
        (few / program).symlink_to(found)
    local = Local(tmp_path, PATH=str(few))
    async with local.running(ready="Kept in") as process:
        for package in ("redis-server", "prometheus", "prometheus-alertmanager"):
            assert f"apt-get install {package}\n" in local.said
        environment = (local.record.parent / "environment").read_text()
        assert "DEPLOYBOT_BASE_URL" in environment
        assert "SHOP_PORT" in environment
        assert "REDIS" not in environment
        assert "PROMETHEUS" not in environment
        assert "ALERT" not in environment
        process.send_signal(signal.SIGTERM)
        await process.communicate()


async def test_a_folder_serves_one_process_at_a_time(example: Example) -> None:
    folder = example.service.folder
    with pytest.raises(Exception, match="another process runs the example service"):
        async with example_service(folder):
            pass
    assert example.service.programs.running, "what runs was not touched"


async def test_a_free_port_is_kept_for_whoever_asked_for_it() -> None:
    port = free_port()
    with pytest.raises(OSError, match="already in use"), socket.socket() as passer_by:
        passer_by.bind((LOOPBACK, port))
    assert not await listens(port)
    async with await asyncio.start_server(lambda _reader, writer: writer.close(), LOOPBACK, port):
        assert await listens(port)
