"""What drawing somebody's Home costs while much is going on, against reading one of the deployments in it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bot.services import finding, surveying, tending
from bot.services.ports import Ports
from bot.slack.blocks import home
from bot.slack.home_links import links_to
from bot.storage import migrating
from bot.storage.database import Database
from tests.benchmarks.clicks import shipped_ports
from tests.makers import ANA, BEN, TEAM, start

#: Deployments that run at once, items of each that are the person's, and turns.
RUNNING, ITEMS, TURNS = 20, 30, 15


async def homes() -> str:
    """The figure, in a line."""
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'homes.db'}")
        await migrating.upgrade(database)
        ports = shipped_ports(database)
        for number in range(RUNNING):
            state = await start(ports, service=f"service-{number}")
            await tending.assign(ports, state.id, range(ITEMS), to=BEN, user=ANA, delivery=f"give.{number}")
        drawn, read = [], []
        for _ in range(TURNS):
            drawn.append(await _took(lambda: _draw(ports)))
            read.append(await _took(lambda: finding.get(ports, state.id, team=TEAM)))
        await database.close()
    ours, reference = median(drawn), median(read)
    return (
        f"a home with {RUNNING} running deployments and {RUNNING * ITEMS} items of one's own: "
        f"{ours / reference:.0f} × reading one of the deployments ({1000 * ours:.0f} ms of processor time "
        f"against {1000 * reference:.1f} ms)"
    )


async def _draw(ports: Ports) -> str:
    found = await surveying.survey(ports, TEAM, BEN)
    every = {deployment.id: deployment for deployment in (*found.every, *found.ended)}
    seen = home.Seen(
        items=found.mine.items,
        deployments=found.mine.deployments,
        running=found.running,
        ended=found.ended,
        usual=(),
        links=links_to(found.messages, every, lambda post: f"https://slack.test/p{post.id}"),
        names={ANA: "ana", BEN: "ben"},
        timezone="Europe/London",
        now=ports.clock.now(),
        revision=1,
        unknown_groups=(),
        command="/deploy",
    )
    return json.dumps(home.draw(seen))


async def _took(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    await work()
    return time.process_time() - began


if __name__ == "__main__":
    print(asyncio.run(homes()))
