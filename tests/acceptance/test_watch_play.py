"""After the deploy, played in the browser on the example service: it gets worse, people look, roll back, verify."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from bot.example.running import Example, example_service
from tests.acceptance.browser import Player
from tests.stage import Stage, running_bot

#: As short as a play can be: 24 requests a sample.
QUICK = {
    "DEPLOYBOT_WATCH_INTERVAL": "3s",
    "DEPLOYBOT_WATCH_FAST": "3s",
    "DEPLOYBOT_WATCH_DURATION": "20m",
    "DEPLOYBOT_WATCH_BASELINE": "60s",
}
TRIGGER = "Significant error rate increase"


@pytest.fixture
async def example(folder: Path) -> AsyncIterator[Example]:
    """What is deployed, with a time before the deploy to compare with."""
    async with example_service(folder / "example") as example:
        await asyncio.sleep(40)
        yield example


@pytest.mark.timeout(420)
async def test_errors_rise_ana_takes_the_alert_and_rolls_back_and_the_watch_verifies_it(
    stage: Stage, folder: Path, ana: Player, ben: Player, example: Example, pictures: Path
) -> None:
    database = f"sqlite:///{folder / 'deploybot.db'}"
    process = {**os.environ, **example.environment, **QUICK}
    async with running_bot(stage, database, process=process) as bot:
        await ana.types("/deploy start storefront v1.4.2 production")
        assert await bot.settle()
        await ana.opens_the_thread()
        card = ana.thread.locator("article").first

        # Before Go the card says what the watch could see at this traffic.
        await expect(card).to_contain_text("Errors", timeout=30_000)
        await ana.thread.get_by_role("button", name=re.compile("give Go")).first.click()
        await expect(card).to_contain_text("healthy", timeout=60_000)
        await card.scroll_into_view_if_needed()
        await ana.looks(str(pictures / "watch-healthy.png"))

        # The new version fails a share of the requests.
        await example.breaker.throw("error-rate", share=40)
        alert = ana.thread.locator("article", has_text=TRIGGER).filter(
            has=ana.page.get_by_role("button", name="Acknowledge")
        )
        await expect(alert).to_have_count(1, timeout=90_000)
        await expect(alert).to_contain_text(re.compile(r"errors .* → .* %"))
        await expect(alert).to_contain_text("requests")
        await expect(alert.locator("img")).to_be_visible(timeout=60_000)
        await alert.scroll_into_view_if_needed()
        await ana.looks(str(pictures / "alert-real.png"))
