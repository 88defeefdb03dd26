"""The bot is killed in the middle of a run of checks: what was written stays, the rest is looked at again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.domain.events import BOT
from bot.services import auditing, finding
from bot.storage.database import Database
from tests.integration.test_check_commands import CHECKLIST, SIDECAR
from tests.integration.test_crashes import bot_process, connected
from tests.makers import make_ports
from tests.stage import Stage, open_stage, texts

START = "/deploy start storefront v1.4.2 production --checklist golive"


class Held:
    """A service whose health page answers only once it is let go."""

    def __init__(self) -> None:
        self.url = ""
        self.released = asyncio.Event()
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        """At once, but for the health page."""
        self.asked.append(request.path)
        if request.path == "/health":
            await self.released.wait()
        return web.json_response({"version": "v1.4.2"})


@pytest.fixture
async def service() -> AsyncIterator[Held]:
    held = Held()
    app = web.Application()
    app.router.add_get("/{path:.*}", held.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    held.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield held
    await runner.cleanup()


async def says(stage: Stage, words: str) -> None:
    async def thread_says() -> bool:
        return words in texts(await stage.thread())

    await stage.until(thread_says, within=30, what=f"the thread says {words!r}")


@pytest.mark.timeout(120)
async def test_a_run_survives_a_kill(tmp_path: Path, service: Held) -> None:
    (tmp_path / "golive.md").write_text(CHECKLIST)
    (tmp_path / "golive.yaml").write_text(SIDECAR.format(url=service.url))
    async with open_stage() as stage:
        async with bot_process(stage, tmp_path, die_at=0) as process:
            await stage.until(lambda: connected(stage, process), within=30, what="the bot connects")
            await stage.ana.types(START)
            await says(stage, "Health is good")
            await stage.ana.types("/deploy check")
            await says(stage, "Checks: 3 of 4 done")
            process.send_signal(signal.SIGKILL)
            await process.wait()
        before = service.asked.count("/")
        service.released.set()
        async with bot_process(stage, tmp_path, die_at=0) as process:
            await says(stage, "Checks for")
            await says(stage, "4 passed")
        thread = await stage.thread()
    assert service.asked.count("/") == before, "what was written is not looked at again"
    assert sum("Checks for" in message["text"] for message in thread) == 1
    ports = make_ports(Database(f"sqlite:///{tmp_path / 'deploybot.db'}"))
    [deployment] = await finding.opened(ports, stage.installed.team_id)
    assert {at: tick.by for at, tick in deployment.ticks.items()} == {0: BOT, 1: BOT, 3: BOT}
    assert deployment.run is None
    assert [p async for v in auditing.verify(ports) for p in v.problems] == []
    await ports.database.close()
