"""Redis for the shop: sessions, pages that are looked up again, a queue."""

from __future__ import annotations

from pathlib import Path

from bot.example.programs import LOOPBACK, Programs, find, free_port, listens


class Redis:
    """A Redis that keeps nothing on disk."""

    def __init__(self, folder: Path, programs: Programs, password: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._programs = programs
        self._password = password

    @staticmethod
    def installed() -> bool:
        """Whether there is one."""
        return find("redis-server", "valkey-server") is not None

    @property
    def dsn(self) -> str:
        """Its address with the password."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    async def start(self) -> None:
        """Start it. Raises ExampleTrouble."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "redis.conf"
        # In a file, because anybody can read what a program was started with.
        settings = {
            "bind": LOOPBACK,
            "port": self.port,
            "requirepass": self._password,
            "dir": self._folder,
            "save": '""',
            "appendonly": "no",
            "maxmemory": "64mb",
            "maxmemory-policy": "allkeys-lru",
        }
        file.touch(0o600)
        file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        argv = [str(find("redis-server", "valkey-server")), str(file)]
        await self._programs.start("redis", argv, ready=lambda: listens(self.port))
