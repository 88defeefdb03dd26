"""Where everything of the example service is, as the environment variables that fill in its checklist."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from typing import Any

from bot.example.postgres import OWNER, POOL_SIZE, READER
from bot.example.programs import LOOPBACK
from bot.example.service import SERVICE, ExampleService

#: The memory limit in the manifest, in bytes.
_MEMORY_LIMIT = 256 * 1024 * 1024
#: Alerting rules of the repository.
_ALERTS = (
    "Watchdog",
    "HighErrorRate",
    "HighLatency",
    "CheckoutFails",
    "StorefrontDown",
    "ProbeFailed",
    "DatabaseDown",
)
#: A watch that one can wait for.
_WATCHED = {
    "DEPLOYBOT_WATCH_INTERVAL": "10s",
    "DEPLOYBOT_WATCH_FAST": "5s",
    "DEPLOYBOT_WATCH_DURATION": "20m",
    "DEPLOYBOT_WATCH_BASELINE": "5m",
}
_JOURNEYS: dict[str, list[dict[str, Any]]] = {
    "DEPLOYBOT_JOURNEYS": [
        {"goto": "/"},
        {"expect_text": "Everything for the table"},
        {"fill": {"selector": "input[name=q]", "value": "mug"}},
        {"press": {"selector": "input[name=q]", "key": "Enter"}},
        {"expect_text": {"text": "Mug No.", "selector": "#results"}},
    ],
    "DEPLOYBOT_CRITICAL_JOURNEYS": [
        {"goto": "/"},
        {"click": ".products a"},
        {"expect_url": r"/products/\d+$"},
        {"expect_text": "€"},
        {"expect_no_console_errors": True},
    ],
    "DEPLOYBOT_ERROR_JOURNEY": [
        {"block_request": {"url": "**/shop/products.json*"}},
        {"goto": "/"},
        {"expect_text": {"text": "Something went wrong", "selector": "#recommendations"}},
        {"expect_not_blank": True},
    ],
    "DEPLOYBOT_LOADING_JOURNEY": [
        {"delay_request": {"url": "**/shop/products.json*", "by": "2s"}},
        {"goto": "/"},
        {"expect_selector": {"selector": ".skeleton", "within": "300ms"}},
    ],
    "DEPLOYBOT_CHART_JOURNEY": [{"goto": "/"}, {"expect_drawing": "#sales"}],
}


def environment(service: ExampleService) -> dict[str, str]:
    """A variable for everything that was started; what was left out has none."""
    found = _shop(service)
    ports: list[int] = [service.shop_port, service.page_port]
    if service.nginx is not None:
        found |= {"DEPLOYBOT_HTTP_URL": service.nginx.http_url, "DEPLOYBOT_CA_FILE": str(service.ca_file)}
        ports += [service.nginx.port, service.nginx.http_port]
    if service.postgres is not None:
        found |= _database(service.postgres.dsn(READER), service.base_url)
        if outside := _address():
            # Where somebody else on the network would try it.
            found["DEPLOYBOT_DATABASE_PUBLIC_HOST"] = outside
            found["DEPLOYBOT_DATABASE_PUBLIC_PORT"] = str(service.postgres.port)
        ports.append(service.postgres.port)
    if service.redis is not None:
        found |= {
            "DEPLOYBOT_REDIS_DSN": service.redis.dsn,
            "DEPLOYBOT_QUEUE_KEY": "queue:confirmations",
            "DEPLOYBOT_WORKERS_KEY": "worker:*",
        }
        ports.append(service.redis.port)
    if service.prometheus is not None:
        found |= _metrics(service.prometheus.url, service.prometheus.jobs)
        ports.append(service.prometheus.port)
    if service.alertmanager is not None:
        found["DEPLOYBOT_ALERTMANAGER_URL"] = service.alertmanager.url
        found["DEPLOYBOT_ALERT_RECEIVER_URL"] = service.receiver_url
        ports.append(service.alertmanager.port)
    if service.repository.installed():
        found |= _repository(str(service.repository.folder), with_backups=service.postgres is not None)
    found["DEPLOYBOT_ALLOW"] = ",".join(f"{LOOPBACK}:{port}" for port in ports)
    return found


def _shop(service: ExampleService) -> dict[str, str]:
    base = service.base_url
    found = {
        "DEPLOYBOT_BASE_URL": base,
        "DEPLOYBOT_API_URL": f"{base}/api",
        "DEPLOYBOT_API_TOKEN": service.api_token,
        "DEPLOYBOT_PROTECTED_URL": f"{base}/api/me",
        "DEPLOYBOT_KEY_URL": f"{base}/api/me",
        "DEPLOYBOT_PROVIDER_KEY": service.api_token,
        "DEPLOYBOT_CONFIG_URL": f"{base}/health/config",
        "DEPLOYBOT_CONFIG_PATH": "names",
        "DEPLOYBOT_CONFIG_NAMES": ",".join(service.configured),
        "DEPLOYBOT_CONFIG_TYPES": json.dumps(dict.fromkeys(service.configured, "str")),
        "DEPLOYBOT_VERSION_URL": f"{base}/version",
        "DEPLOYBOT_FRONTEND_VERSION_URL": f"{base}/",
        "DEPLOYBOT_FRONTEND_VERSION_PATTERN": 'name="build" content="([^"]+)"',
        "DEPLOYBOT_RATE_LIMITED_URL": f"{base}/shop/delivery.json",
        "DEPLOYBOT_RATE_LIMIT": "10",
        "DEPLOYBOT_RATE_LIMIT_WINDOW": "10s",
        "DEPLOYBOT_BURST": "20",
        # What nobody can do without: the total of an order before it is placed.
        "DEPLOYBOT_CHECKOUT_URL": f"{base}/shop/checkout.json?product_id=7",
        "DEPLOYBOT_FINDINGS_URL": service.findings_url,
        "DEPLOYBOT_OPENAPI_URL": f"{base}/openapi.json",
        "DEPLOYBOT_DOCS_URL": f"{base}/docs",
        "DEPLOYBOT_LATENCY_URL": f"{base}/shop/products.json",
        "DEPLOYBOT_LOGIN_URL": f"{base}/api/login",
        "DEPLOYBOT_LOGIN_NAME": service.account["name"],
        "DEPLOYBOT_LOGIN_PASSWORD": service.account["password"],
        "DEPLOYBOT_ACCOUNT_URL": f"{base}/api/me",
        "DEPLOYBOT_WEBSOCKET_URL": base.replace("http", "ws", 1) + "/live",
        "DEPLOYBOT_WEBSOCKET_TRIGGER_URL": f"{base}/shop/ping",
        "DEPLOYBOT_SEARCH_URL": f"{base}/shop/products.json?q=teapot",
        "DEPLOYBOT_SEARCH_PATH": "items[].name",
        "DEPLOYBOT_SEARCH_ID": "Teapot No. 6",
        "DEPLOYBOT_FILTER_URL": f"{base}/shop/products.json?category=table",
        "DEPLOYBOT_FILTER_PATH": "items[].category",
        "DEPLOYBOT_FILTER_VALUE": "table",
        "DEPLOYBOT_ANY_CERTIFICATE": "true",
    }
    return found | {name: json.dumps(steps) for name, steps in _JOURNEYS.items()}


def _database(dsn: str, base: str) -> dict[str, str]:
    return {
        "DEPLOYBOT_DATABASE_DSN": dsn,
        "DEPLOYBOT_DATABASE_ROLE": OWNER,
        "DEPLOYBOT_REPLICAS": "1",
        "DEPLOYBOT_POOL_SIZE": str(POOL_SIZE),
        "DEPLOYBOT_AUDIT_URL": f"{base}/api/events",
        "DEPLOYBOT_AUDIT_QUERY": "select 1 from audit_log where marker = :marker",
    }


def _metrics(url: str, jobs: Iterable[str]) -> dict[str, str]:
    job = f'{{job="{SERVICE}"}}'
    found = {
        "DEPLOYBOT_PROMETHEUS_URL": url,
        "DEPLOYBOT_PROMETHEUS_JOB": SERVICE,
        "DEPLOYBOT_ALERT_NAMES": ",".join(_ALERTS),
        "DEPLOYBOT_WORKERS_QUERY": f"sum(workers_running{job})",
        # As in a rolling deployment: half of the workers stay.
        "DEPLOYBOT_WORKERS_DOWN": "2",
        "DEPLOYBOT_WORKERS_UP": "2",
        "DEPLOYBOT_RESOURCES_QUERY": f"max(process_resident_memory_bytes{job}) / {_MEMORY_LIMIT}",
    }
    found |= _WATCHED
    if "postgres" in jobs:
        found["DEPLOYBOT_DATABASE_RULES"] = "DatabaseDown"
        found["DEPLOYBOT_DATABASE_SERIES"] = "pg_up,pg_stat_database_numbackends"
    if "uptime" in jobs:
        found["DEPLOYBOT_UPTIME_SERIES"] = 'probe_success{job="uptime"}'
    return found


def _repository(folder: str, *, with_backups: bool) -> dict[str, str]:
    found = {
        "DEPLOYBOT_CHECKOUT": folder,
        "DEPLOYBOT_OPENAPI_FILE": "openapi.json",
        "DEPLOYBOT_ALEMBIC_CONFIG": "alembic.ini",
        "DEPLOYBOT_MANIFESTS": "deploy/kubernetes/*.yaml",
        "DEPLOYBOT_DEPLOYMENT_GUIDE": "docs/deployment.md",
        "DEPLOYBOT_CONFIGURATION_GUIDE": "docs/configuration.md",
        "DEPLOYBOT_TROUBLESHOOTING_GUIDE": "docs/troubleshooting.md",
        "DEPLOYBOT_MONITORING_GUIDE": "docs/monitoring.md",
        "DEPLOYBOT_DASHBOARDS": "storefront-overview",
    }
    return found | ({"DEPLOYBOT_BACKUPS": "backups/*.dump"} if with_backups else {})


def _address() -> str:
    """This machine's own address on its network; empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it only has the system choose the way there (RFC 5737, TEST-NET-1).
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address = str(probe.getsockname()[0])
    return "" if address.startswith(("127.", "0.")) else address
