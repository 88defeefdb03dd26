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
STEPS = (
    "Scale down services",
    "Revert database changes",
    "Restore previous version",
    "Clear caches",
    "Scale up services",
)


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
        await ana.sees("storefront v1.4.2 → production", where=ana.card)
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

        # Ana takes it, and goes back. The steps are boxes; people do them.
        await alert.get_by_role("button", name="Acknowledge").click()
        await expect(card).to_contain_text("acknowledged by")
        await ana.thread.get_by_role("button", name=re.compile("Start the rollback")).last.click()
        await ana.fills(**{"Why?": "Four in ten requests fail"})
        await ana.submits("Start rollback")
        runbook = ana.thread.locator("article", has_text="Four in ten requests fail").last
        await expect(card).to_contain_text("Rolling back")
        await example.breaker.mend("error-rate")
        for step in STEPS:
            await runbook.locator("label.bk-box", has_text=step).get_by_role("checkbox").check()
            await expect(runbook.locator("label.bk-box", has_text=step)).to_contain_text("✓ ana")

        # The last step is verified against the time before the deploy, once there is enough to judge by.
        last = runbook.locator("label.bk-box", has_text="Verify rollback")
        for _ in range(12):
            await runbook.get_by_role("button", name=re.compile("Run the checks")).click()
            await asyncio.sleep(4)
            if await last.get_by_role("checkbox").is_checked():
                break
        await expect(last.get_by_role("checkbox")).to_be_checked()
        await expect(card).to_contain_text("Rolled back")
        await expect(runbook).to_contain_text("first step")
        await runbook.scroll_into_view_if_needed()
        await ana.looks(str(pictures / "rolled-back.png"))
