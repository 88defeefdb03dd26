"""`make bench`: every figure as a ratio against a reference measured in the same run."""

from __future__ import annotations

import asyncio
import os
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import uvloop

from tests.benchmarks.checks import checks
from tests.benchmarks.clicks import CLICKS, PEOPLE, TURNS, bare, compare, ours
from tests.benchmarks.cold_start import cold_start
from tests.benchmarks.detection import detection
from tests.benchmarks.homes import homes
from tests.benchmarks.production_run import production_run
from tests.benchmarks.watches import watches
from tests.postgres import PostgresServer

OLD_EVENTS = 1_000_000


async def main() -> None:
    """Measure, and print a line each."""
    print(f"{os.cpu_count()} cores, Python {platform.python_version()} on uvloop; {PEOPLE} people at once,")
    print(f"{CLICKS} clicks a turn, median of {TURNS} turns in alternation")
    with TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            for engine, url in (
                ("SQLite", lambda name: f"sqlite:///{folder}/{name}.db"),
                ("PostgreSQL", None),
            ):
                await _engine(engine, url or (lambda _name: server.new_database()))
        finally:
            server.stop()
    print(await cold_start())
    for line in [*await checks(), *await production_run(), *await watches(), await homes(), *detection()]:
        print(line)


async def _engine(engine: str, url: object) -> None:
    assert callable(url)
    async with aiohttp.ClientSession() as session:
        async with ours(url("ours"), session) as mine, bare(url("bare"), session) as reference:
            print(await compare(f"{engine}: click committed and acked, against a bare app", mine, reference))
        async with (
            ours(url("empty"), session) as fresh,
            ours(url("full"), session, old_events=OLD_EVENTS) as full,
        ):
            result = await compare(f"{engine}: with a million old events, against none", full, fresh)
            print(f"{result}; cost {1 / result.ratio:.2f} ×")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
