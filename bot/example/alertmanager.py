"""Alertmanager, which tells the example service's own receiver of every alert."""

from __future__ import annotations

import json
from pathlib import Path

from bot.example.programs import LOOPBACK, Programs, answers, find, free_port


class Alertmanager:
    """One Alertmanager by itself, without a cluster."""

    def __init__(self, folder: Path, programs: Programs, receiver_url: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._programs = programs
        self._receiver_url = receiver_url

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
        file = self._folder / "alertmanager.yml"
        configuration = {
            "route": {
                "receiver": "storefront-team",
                "group_by": ["alertname", "marker"],
                "group_wait": "200ms",
                "group_interval": "5s",
                "repeat_interval": "1h",
            },
            "receivers": [
                {
                    "name": "storefront-team",
                    "webhook_configs": [{"url": self._receiver_url, "send_resolved": True}],
                }
            ],
        }
        file.write_text(json.dumps(configuration, indent=2))  # JSON is YAML
        argv = [
            str(find("prometheus-alertmanager", "alertmanager")),
            f"--config.file={file}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        await self._programs.start("alertmanager", argv, ready=lambda: answers(self.port, "/-/ready"))
