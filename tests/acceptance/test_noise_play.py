"""How loud a clean deployment is: counted over a whole one, from start to finish, while hours pass in minutes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from bot.services.ports import ShiftedClock
from tests.servers.serving import serving
from tests.stage import CHECKLISTS, Stage, running_bot, texts

#: Messages a clean deployment may cost beyond the card, its sections and the rollback plan.
MOST = 8
SIDECAR = """
version: 1
vars: {shop_url: {env: SHOP_URL, example: "http://127.0.0.1/"}}
allow: [127.0.0.1]
watch:
  interval: 60s
  duration: 30m
  signals:
    response:
      trigger: Performance degradation
      measure: latency_ms
      value: slow
      series: {kind: http, url: "${vars.shop_url}", extract: {slow: ms}}
    checkout:
      trigger: Critical functionality failure
      probe: {kind: http, url: "${vars.shop_url}"}
items:
  deployment-process/post-deployment/monitor-error-rates:
    text: Monitor error rates
    check: {kind: http, url: "${vars.shop_url}"}
"""


@pytest.fixture
def shop() -> Iterator[str]:
    """What is deployed; it is well all the time."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"ms": 120})

    app = web.Application()
    app.router.add_get("/", answer)
    with serving(app) as url:
        yield f"{url}/"


@pytest.mark.timeout(180)
async def test_a_clean_deployment_costs_at_most_eight_messages_beyond_its_sections(
    stage: Stage, folder: Path, shop: str
) -> None:
    shutil.copy(CHECKLISTS / "production.md", folder / "production.md")
    (folder / "production.yaml").write_text(SIDECAR)
    clock = ShiftedClock()
    database = f"sqlite:///{folder / 'deploybot.db'}"

    async def passes(minutes: int) -> None:
        for _ in range(minutes):
            await stage.client.post("/client/forward", json={"seconds": 60})
            clock.forward(timedelta(minutes=1))
            await asyncio.sleep(1.3)  # the scheduler looks every second

    async with running_bot(
        stage, database, clock=clock, process={"SHOP_URL": shop}, checklists=folder
    ) as bot:
        await stage.ana.types("/deploy start storefront v1.4.2 production")
        await stage.until(stage.root, what="the card is there")
        assert await bot.settle()
        before = len(await stage.thread())
        await passes(6)  # the watch measures before the deploy, too
        await stage.ana.types("/deploy check")
        await stage.ticks(stage.ben, "Scale down workers")
        await stage.ana.types("/deploy go")
        await stage.ticks(stage.ana, "Verify deployment")
        await passes(20)
        for item in ("Verify functionality", "Test critical paths", "Monitor resource usage"):
            await stage.ticks(stage.ben, item)
        await passes(14)
        await stage.until(lambda: _says(stage, "The watch is over"), within=20, what="the watch ends")
        form = await stage.ana.types("/deploy finish")
        assert form["ok"], form
        view = (await stage.until(lambda: stage.views(stage.ana.user), what="the form opens"))[-1]
        await stage.ana.submits(view)
        await stage.until(lambda: _says(stage, "finished"), within=20, what="it is finished")
        assert await bot.settle()
        thread = await stage.thread()
        told = thread[before:]
        channel = [message for message in await stage.ana.history() if message.get("bot_id")]
    said = texts(told)
    assert len(told) <= MOST, said
    assert "nothing got worse" in said
    assert len([message for message in channel if not message.get("ephemeral")]) == 1, texts(channel)


async def _says(stage: Stage, words: str) -> bool:
    return words in texts(await stage.thread())
