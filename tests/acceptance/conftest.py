"""The house of the plays: the local workspace, the bot in it, and a real Chromium."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from bot.app import Application
from tests.acceptance.browser import House, Player, launch
from tests.makers import ANA, BEN
from tests.stage import Stage, open_stage, running_bot

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the play's database is."""
    return tmp_path


@pytest.fixture
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """The workspace."""
    async with open_stage(state_path=folder / "workspace") as stage:
        yield stage


@pytest.fixture
async def bot(stage: Stage, folder: Path) -> AsyncIterator[Application]:
    """The bot with the production checklist."""
    async with running_bot(stage, f"sqlite:///{folder / 'deploybot.db'}") as bot:
        yield bot


@pytest.fixture
async def house(stage: Stage) -> AsyncIterator[House]:
    """A browser for everybody."""
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        house = House(browser, stage.workspace.url)
        yield house
        await house.closes()
        await browser.close()


@pytest.fixture
async def ana(house: House) -> Player:
    """Ana deploys."""
    return await house.enters(ANA)


@pytest.fixture
async def ben(house: House) -> Player:
    """Ben is on the team."""
    return await house.enters(BEN)


@pytest.fixture
def pictures(folder: Path) -> Path:
    """Where screenshots go: the documentation's folder when they are made for it."""
    asked = os.environ.get("DEPLOYBOT_SCREENSHOTS")
    target = REPOSITORY / asked if asked else folder / "pictures"
    target.mkdir(parents=True, exist_ok=True)
    return target
