"""Dora's workspace has no bot yet: she adds it, in her browser, and deploys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from tests.acceptance.browser import PATIENCE_MS, House, launch
from tests.two_teams import DORA, TwoTeams, open_two_teams


@pytest.fixture
async def teams(folder: Path) -> AsyncIterator[TwoTeams]:
    async with open_two_teams(folder, home=True) as teams:
        yield teams


@pytest.fixture
async def second_house(teams: TwoTeams) -> AsyncIterator[House]:
    """A browser for everybody of the second team."""
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        house = House(browser, teams.second.workspace.url)
        yield house
        await house.closes()
        await browser.close()


async def test_dora_adds_the_bot_to_her_workspace_and_deploys(
    teams: TwoTeams, second_house: House, folder: Path, pictures: Path
) -> None:
    async with teams.bot(f"sqlite:///{folder / 'deploybot.db'}"):
        dora = await second_house.enters(DORA)
        workspace = dora.page.url
        await dora.page.goto(f"{teams.bot_url}/slack/install")
        await dora.sees("Add Deploybot to your workspace")
        await dora.looks(str(pictures / "install.png"))

        await dora.page.get_by_role("link", name="Add to Slack").click()
        await dora.page.get_by_label("You are").select_option("Dora Nagy in Second workspace")
        await dora.page.get_by_role("button", name="Cancel").click()
        await dora.sees("You did not allow it")
        await dora.looks(str(pictures / "install-denied.png"))

        await dora.page.get_by_role("link", name="Begin again").click()
        await dora.page.get_by_role("link", name="Add to Slack").click()
        await dora.page.get_by_label("You are").select_option("Dora Nagy in Second workspace")
        await dora.page.get_by_role("button", name="Allow").click()
        await dora.sees("Deploybot is in Second workspace")
        await dora.looks(str(pictures / "installed.png"))
        # Who reloads the page is not told that it works again.
        await dora.page.reload()
        await dora.sees("used already")

        await dora.page.goto(workspace)
        await dora.page.wait_for_selector("body[data-ready]", timeout=PATIENCE_MS)
        await dora.goes_to("deploys")
        await dora.page.get_by_role("button", name=re.compile("^Add deploybot", re.IGNORECASE)).click()
        await dora.types("/deploy start storefront v1.4.2 production")
        await expect(dora.card).to_contain_text("storefront", timeout=PATIENCE_MS)
        await dora.opens_the_thread()
        await dora.ticks("Say hello")
        await dora.sees_ticked("Say hello", "dora")
        await dora.looks(str(pictures / "second-workspace.png"))
        assert await teams.first.ana.history() == []
    # Pages that Slack's refusals are shown on are errors to the browser, too.
    dora.errors = [error for error in dora.errors if "status of 40" not in error]
