"""Alertmanager, which tells the example service's own receiver of every alert, and somebody else of some."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.example.programs import LOOPBACK, ExampleTrouble, Programs, answers, find, free_port

#: How alerts are put together and sent: soon, so that what was broken or mended shows.
_PACE = {"group_wait": "200ms", "group_interval": "2s", "repeat_interval": "1h"}


@dataclass(frozen=True, kw_only=True)
class Hook:
    """Where alerts that speak for a rollback are posted to."""

    url: str
    #: Sent as a bearer token.
    credentials: str = field(repr=False)


class Alertmanager:
    """One Alertmanager by itself, without a cluster."""

    def __init__(self, folder: Path, programs: Programs, receiver_url: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._programs = programs
        self._receiver_url = receiver_url
        self._file = folder / "alertmanager.yml"

    @staticmethod
    def installed() -> bool:
        """Whether there is one."""
        return find("prometheus-alertmanager", "alertmanager") is not None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Start it. Raises ExampleTrouble."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._configure(None)
        argv = [
            str(find("prometheus-alertmanager", "alertmanager")),
            f"--config.file={self._file}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        await self._programs.start("alertmanager", argv, ready=lambda: answers(self.port, "/-/ready"))

    async def deliver_to(self, hook: Hook | None) -> None:
        """From now on also post alerts with a `trigger` label there; None ends it. Raises ExampleTrouble."""
        self._configure(hook)
        try:
            async with aiohttp.ClientSession() as session, session.post(f"{self.url}/-/reload") as answer:
                said = await answer.text()
        except aiohttp.ClientError as error:
            raise ExampleTrouble(f"Alertmanager does not answer: {error or type(error).__name__}") from error
        if answer.status != 200:
            raise ExampleTrouble(f"Alertmanager does not take its new configuration: {said.strip()}")

    def _configure(self, hook: Hook | None) -> None:
        team = {"url": self._receiver_url, "send_resolved": True}
        receivers: list[dict[str, Any]] = [{"name": "storefront-team", "webhook_configs": [team]}]
        routes: list[dict[str, Any]] = []
        if hook is not None:
            # Not the alert that always fires, nor those that checks make to see whether alerts get through.
            matching = {"matchers": ['trigger=~".+"'], "group_by": ["alertname", "service", "environment"]}
            routes = [
                {"receiver": "deploybot", "continue": True, **matching},
                {"receiver": "storefront-team"},
            ]
            authorization = {"type": "Bearer", "credentials": hook.credentials}
            bot = {"url": hook.url, "send_resolved": True, "http_config": {"authorization": authorization}}
            receivers.append({"name": "deploybot", "webhook_configs": [bot]})
        route = {
            "receiver": "storefront-team",
            "group_by": ["alertname", "marker"],
            **_PACE,
            "routes": routes,
        }
        self._file.touch(0o600)
        self._file.write_text(json.dumps({"route": route, "receivers": receivers}, indent=2))  # JSON is YAML
