"""From `deploybot serve` to ready, and the memory it takes then."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bot.example.programs import free_port
from tests.stage import open_stage

RUNS = 5


async def cold_start() -> str:
    """The median of a few starts, each on an empty database, with resident memory when ready."""
    seconds, megabytes = [], []
    for _ in range(RUNS):
        async with open_stage() as stage:
            with TemporaryDirectory() as folder:
                port = free_port()
                began = time.perf_counter()
                process = await asyncio.create_subprocess_exec(
                    str(Path(sys.executable).parent / "deploybot"),
                    "serve",
                    env={
                        **os.environ,
                        "SLACK_BOT_TOKEN": stage.installed.bot_token,
                        "SLACK_APP_TOKEN": stage.installed.app_token,
                        "SLACK_API_URL": stage.installed.api_url,
                        "DATABASE_URL": f"sqlite:///{folder}/d.db",
                        "HOST": "127.0.0.1",
                        "PORT": str(port),
                        "LOG_LEVEL": "ERROR",
                    },
                )
                async with httpx.AsyncClient() as web:
                    await _until_ready(web, f"http://127.0.0.1:{port}/readyz")
                seconds.append(time.perf_counter() - began)
                status = await asyncio.to_thread(Path(f"/proc/{process.pid}/status").read_text)
                kilobytes = next(line for line in status.splitlines() if line.startswith("VmRSS"))
                megabytes.append(int(kilobytes.split()[1]) / 1024)
                process.terminate()
                await process.wait()
    return (
        f"cold start to ready: {statistics.median(seconds):.2f} s "
        f"({min(seconds):.2f} to {max(seconds):.2f}, {RUNS} starts); "
        f"memory when ready: {statistics.median(megabytes):.0f} MB resident"
    )


async def _until_ready(web: httpx.AsyncClient, url: str) -> None:
    for _ in range(3000):
        try:
            if (await web.get(url)).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.01)
    raise RuntimeError("the bot did not become ready within 30 s")
