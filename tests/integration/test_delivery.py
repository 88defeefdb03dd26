"""Socket Mode and HTTP: the connection breaks, deliveries come twice or late, and nothing happens twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot.app import Application
from bot.example.programs import free_port
from bot.services import finding
from tests.stage import Client, Stage, open_stage, running_bot, texts

START = "/deploy start storefront v1.4.2 production --checklist short"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "short.md").write_text(
        "# Short\n\n## Only section\n\n- [ ] Say hello\n- [ ] Wave\n\n### Order\n\n1. [ ] First\n2. [ ] Second\n"
    )
    return tmp_path


@pytest.fixture
async def bot(stage: Stage, folder: Path) -> AsyncIterator[Application]:
    async with running_bot(stage, f"sqlite:///{folder / 'd.db'}", checklists=folder) as bot:
        yield bot


@pytest.mark.parametrize("kind", ["slash_commands", "interactive", "events_api"])
async def test_whatever_slack_delivers_twice_happens_once(stage: Stage, bot: Application, kind: str) -> None:
    await stage.fault(kind="delivery", mode="duplicate", type=kind, times=-1)
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ticks(stage.ben, "Say hello")
    root = await stage.root()
    await stage.ana.types("<@deploybot> abort it rains", thread_ts=root["ts"])
    await stage.ana.types("@deploybot abort it rains", thread_ts=root["ts"])
    await stage.until(lambda: _ended(bot, stage), what="it is aborted")
    assert await bot.settle()
    assert len([m for m in await stage.ana.history() if m.get("bot_id")]) == 1
    async with bot.ports.database.read() as tx:
        history = await bot.ports.deployments.history(tx, 1)
        assert await bot.ports.deployments.ids(tx) == [1]
    kinds = [event.fact.kind for event in history]
    assert kinds == ["deployment.started", "item.ticked", "deployment.aborted"]
    assert texts(await stage.thread()).count("🛑 ana aborted") == 1


async def _ended(bot: Application, stage: Stage) -> bool:
    return not await finding.opened(bot.ports, stage.installed.team_id)


@pytest.mark.parametrize("mode", ["disconnect", "abort", "stale_url", "refuse", "deaf"])
async def test_the_connection_comes_back_by_itself(stage: Stage, bot: Application, mode: str) -> None:
    if mode in ("stale_url", "refuse"):
        await stage.fault(kind="socket", mode=mode, times=1)
    await stage.fault(kind="socket", mode="abort" if mode in ("stale_url", "refuse") else mode, times=1)
    await asyncio.sleep(0.3)
    await stage.until(bot.connected, within=25, what="connected again")
    # A deaf socket is noticed by the pings nobody answers, which takes a while.
    await stage.until(lambda: _answers(stage), within=60, what="commands are answered again")


async def _answers(stage: Stage) -> bool:
    answer = await stage.ana.types("/deploy list")
    return bool(answer["ok"])


async def test_a_tick_redelivered_from_the_record_changes_nothing(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ticks(stage.ben, "Say hello")
    assert await bot.settle()
    [delivered] = await stage.traffic("interactive", direction="slack→bot")
    before = (await finding.opened(bot.ports, stage.installed.team_id))[0]
    await stage.client.post("/control/deliver", json={"seq": delivered["seq"]})
    await asyncio.sleep(0.5)
    assert (await finding.opened(bot.ports, stage.installed.team_id))[0].seq == before.seq


async def test_http_delivery_is_signed_and_does_the_same(folder: Path) -> None:
    port = free_port()
    async with (
        open_stage(http_port=port) as stage,
        running_bot(
            stage, f"sqlite:///{folder / 'd.db'}", checklists=folder, slack_app_token="", port=port
        ) as bot,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web,
    ):
        assert (await stage.ana.types(START))["ok"]
        assert await bot.settle()
        assert (await stage.ticks(stage.ben, "Say hello"))["ok"]
        await stage.until(lambda: _ticked(bot, stage), what="the tick is recorded")
        forged = await web.post(
            "/slack/events", content=b"payload=%7B%7D", headers={"X-Slack-Signature": "v0=0"}
        )
        assert forged.status_code == 401
        ready = (await web.get("/readyz")).json()
        assert ready["slack"]["mode"] == "http"
        assert ready["ready"] is True


async def _ticked(bot: Application, stage: Stage) -> bool:
    return bool((await finding.opened(bot.ports, stage.installed.team_id))[0].ticks)


async def test_stopping_finishes_what_was_asked(stage: Stage, folder: Path) -> None:
    url = f"sqlite:///{folder / 'd.db'}"
    async with running_bot(stage, url, checklists=folder) as bot:
        await stage.ana.types(START)
        assert await bot.settle()
        message = await stage.message_with("Say hello")
        clicking = asyncio.create_task(Client(stage.ben, message).toggles("Say hello"))
        await asyncio.sleep(0.01)
    assert (await clicking)["ok"]
    async with running_bot(stage, url, checklists=folder) as bot:
        assert await bot.settle()
        [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
        assert len(deployment.ticks) == 1


async def test_the_health_pages_tell_the_truth(stage: Stage, bot: Application) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{bot.port}") as web:
        assert (await web.get("/healthz")).json() == {"status": "ok"}
        answer = await web.get("/readyz")
        assert (answer.status_code, answer.json()["problems"]) == (200, [])
        assert answer.json()["slack"]["last_event_at"] is None
        await stage.ana.types("/deploy list")
        assert (await web.get("/readyz")).json()["slack"]["last_event_at"] is not None
        await stage.fault(kind="socket", mode="refuse", times=-1)
        await stage.fault(kind="socket", mode="abort", times=1)
        await asyncio.sleep(0.5)
        gone = await web.get("/readyz")
        assert gone.status_code == 503
        assert gone.json()["slack"]["connected"] is False
        assert "Slack" in gone.json()["problems"][0]
