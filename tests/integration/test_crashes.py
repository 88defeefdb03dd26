"""The bot is killed with SIGKILL at every single write; afterwards nothing is lost and nothing is twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.services import auditing, finding
from bot.storage.database import Database
from tests.makers import BEN, make_ports
from tests.stage import Client, Stage, find_box, has_box, open_stage

ROOT = Path(__file__).parent.parent.parent
CHECKLIST = "# Short\n\n## Only section\n\n- [ ] Say hello\n- [ ] Wave\n"
START = "/deploy start storefront v1.4.2 production --checklist short"


@contextlib.asynccontextmanager
async def bot_process(stage: Stage, folder: Path, *, die_at: int) -> AsyncIterator[Process]:
    """The bot in a process of its own, ready, and doomed where `die_at` is not 0."""
    installed = stage.installed
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.crashing_bot",
        str(die_at),
        cwd=ROOT,
        stdout=PIPE,
        env={
            **os.environ,
            "SLACK_BOT_TOKEN": installed.bot_token,
            "SLACK_APP_TOKEN": installed.app_token,
            "SLACK_API_URL": installed.api_url,
            "DATABASE_URL": f"sqlite:///{folder / 'deploybot.db'}",
            "DEPLOYBOT_CHECKLISTS": str(folder),
            "HOST": "127.0.0.1",
            "PORT": "0",
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def connected(stage: Stage, process: Process) -> bool:
    """Whether the bot is connected; also true once it is dead."""
    boot = await stage.client.get("/client/boot", params={"user": BEN})
    return process.returncode is not None or any(app["connected"] for app in boot.json()["apps"])


async def what_people_do(stage: Stage, process: Process, folder: Path) -> bool:
    """Start and tick, looking at the screen as people do; False where the bot died on the way."""

    async def alive_and(condition: str) -> bool:
        async def holds() -> bool:
            if process.returncode is not None:
                return True
            thread = await stage.thread() if await cards(stage) else []
            if condition == "boxes are there":
                return any(has_box(m, "Say hello") for m in thread)
            if condition == "the tick is shown":
                return await shown_ticked(stage) and "1 of 2" in thread[0]["text"]
            return bool(thread)

        await stage.until(holds, within=60, what=condition)
        return process.returncode is None

    await stage.until(lambda: connected(stage, process), within=60, what="the bot connects")
    if not await cards(stage):
        await stage.ana.types(START)  # says "held" where the deployment exists and only its card is late
    if not await alive_and("the card is there") or not await alive_and("boxes are there"):
        return False
    # Who sees a tick that was recorded come back does not click again; it must come back by itself.
    if not await asyncio.to_thread(tick_recorded, folder):
        await Client(stage.ben, await stage.message_with("Say hello")).toggles("Say hello")
    if not await alive_and("the tick is shown"):
        return False
    await asyncio.sleep(0.3)
    return process.returncode is None


async def cards(stage: Stage) -> int:
    return len([m for m in await stage.ana.history() if m.get("bot_id") and not m.get("ephemeral")])


def tick_recorded(folder: Path) -> bool:
    with contextlib.closing(sqlite3.connect(folder / "deploybot.db")) as connection:
        return bool(connection.execute("SELECT 1 FROM events WHERE kind = 'item.ticked'").fetchone())


async def shown_ticked(stage: Stage) -> bool:
    _, element, option = find_box(await stage.message_with("Say hello"), "Say hello")
    return option in element.get("initial_options", ())


async def die_and_recover(folder: Path, die_at: int) -> int:
    """One life and death; how many write points the doomed process would have passed, where it lived."""
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread((folder / "short.md").write_text, CHECKLIST)
    passed = 0
    async with open_stage() as stage:
        async with bot_process(stage, folder, die_at=die_at) as doomed:
            survived = await what_people_do(stage, doomed, folder)
        if survived:
            assert doomed.stdout is not None
            # Nothing is printed where it died while it was being stopped.
            passed = int(((await doomed.stdout.read()).split() or [b"0"])[-1])
        else:
            assert doomed.returncode == -signal.SIGKILL
            async with bot_process(stage, folder, die_at=0) as process:
                assert await what_people_do(stage, process, folder), f"died at {die_at} and did not come back"

        thread = await stage.thread()
        kinds = Counter("card" if m is thread[0] else "section" for m in thread)
        assert await cards(stage) == 1, f"after dying at write {die_at}: {kinds}"
        assert kinds == {"card": 1, "section": 1}, f"after dying at write {die_at}"
        ports = make_ports(Database(f"sqlite:///{folder / 'deploybot.db'}"))
        [deployment] = await finding.opened(ports, stage.installed.team_id)
        assert {at: tick.by for at, tick in deployment.ticks.items()} == {0: BEN}, f"died at {die_at}"
        async with ports.database.read() as tx:
            history = await ports.deployments.history(tx, deployment.id)
        assert [event.fact.kind for event in history] == ["deployment.started", "item.ticked"], die_at
        assert [p async for v in auditing.verify(ports) for p in v.problems] == [], f"died at {die_at}"
        await ports.database.close()
    return passed


@pytest.mark.timeout(900)
async def test_nothing_is_lost_and_nothing_is_twice_whichever_write_the_process_dies_at(
    tmp_path: Path,
) -> None:
    points = await die_and_recover(tmp_path / "alive", 0)
    assert points > 20
    side_by_side = asyncio.Semaphore(2)  # a small machine has two cores

    async def one(die_at: int) -> None:
        async with side_by_side:
            await die_and_recover(tmp_path / str(die_at), die_at)

    async with asyncio.TaskGroup() as group:
        for die_at in range(1, points + 1):
            group.create_task(one(die_at))
