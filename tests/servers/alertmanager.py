"""A real Alertmanager on loopback that delivers to a small webhook receiver, which shows what it got."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bot.example.programs import free_port
from tests.servers.programs import running
from tests.servers.serving import serving

_CONFIG = """
route:
  receiver: team
  group_by: [alertname, marker]
  group_wait: 100ms
  group_interval: 1s
  routes:
    - {{matchers: ['test="lost"'], receiver: nobody}}
receivers:
  - {{name: team, webhook_configs: [{{url: "{hook}/hook?key={key}", send_resolved: true}}]}}
  - {{name: nobody}}
"""
#: One that posts to a hook of ours, and comes again soon where the hook cannot take it.
_POSTING = """
route: {{receiver: bot, group_by: [alertname], group_wait: 100ms, group_interval: 1s}}
receivers:
  - name: bot
    webhook_configs:
      - url: "{hook}"
        send_resolved: true
        http_config: {{authorization: {{type: Bearer, credentials: "{credentials}"}}}}
"""
_MUTE = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"

#: A secret in the configuration, which must never get into evidence.
KEY = "webhook-key-1234"


@dataclass(frozen=True, kw_only=True)
class AlertmanagerServer:
    """Where it answers, and where its webhook's log is."""

    url: str
    seen_at: str
    #: The payloads the webhook got.
    got: list[str]


@contextmanager
def alertmanager_posting(folder: Path, *, hook: str, credentials: str) -> Iterator[str]:
    """Start one that posts every alert to a hook; its URL."""
    configuration = _POSTING.format(hook=hook, credentials=credentials)
    with _alertmanager(folder, configuration) as url:
        yield url


@contextmanager
def alertmanager_server(folder: Path, *, mute: bool = False) -> Iterator[AlertmanagerServer]:
    """Start one; `mute`: with a receiver that sends nowhere."""
    got: list[str] = []

    async def hook(request: web.Request) -> web.Response:
        got.append(await request.text())
        return web.Response()

    async def log(_: web.Request) -> web.Response:
        return web.Response(text="\n".join(got))

    application = web.Application()
    application.router.add_post("/hook", hook)
    application.router.add_get("/log", log)
    with serving(application) as receiver:
        configuration = _MUTE if mute else _CONFIG.format(hook=receiver, key=KEY)
        with _alertmanager(folder, configuration) as url:
            yield AlertmanagerServer(url=url, seen_at=f"{receiver}/log", got=got)


@contextmanager
def _alertmanager(folder: Path, configuration: str) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "am.yml").write_text(configuration)
    command = [
        "prometheus-alertmanager",
        "--config.file=am.yml",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with running(command, ready=f"{url}/-/ready", folder=folder):
        yield url
