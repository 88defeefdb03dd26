"""Ana holds the storefront, Ben queues, Ana ends hers, Ben is asked and starts; and a lock; in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from bot.app import Application
from bot.services import auditing, finding
from tests.acceptance.browser import House, Player
from tests.makers import BEN
from tests.stage import Stage

START = "/deploy start storefront v1.4.2 production"


@pytest.mark.timeout(120)
async def test_ben_queues_behind_ana_and_starts_when_he_is_asked(
    bot: Application, stage: Stage, house: House, ana: Player, pictures: Path
) -> None:
    ben = await house.enters(BEN, theme="dark")
    await ana.types(START)
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    assert await bot.settle()

    # Ben is refused, and queues.
    await ben.types("/deploy start storefront v1.4.3 production")
    refused = ben.page.locator("#messages article", has_text="is already being deployed to production").last
    await ben.sees("led by @ana", where=refused)
    await ben.looks(str(pictures / "queue-dark.png"))
    await refused.get_by_role("button", name=re.compile("^Tell me when it is free")).click()
    await ben.sees("You are first in line for storefront in production")

    # Ana ends hers; Ben is asked directly, on whatever screen he is.
    await ana.types("/deploy abort storefront-1 the other one goes first")
    await ana.sees("Aborted", where=ana.card)
    await ben.opens_its_messages("deploybot")
    turn = ben.page.locator("#messages article", has_text="it is your turn to deploy v1.4.3").last
    await expect(turn).to_be_visible(timeout=15_000)
    await ben.looks(str(pictures / "turn-dark.png"))

    # Ana is told whose turn it is.
    await ana.types(START)
    waits = ana.page.locator("#messages article", has_text="turn to deploy storefront to production").last
    await ana.sees("@ben", where=waits)
    await expect(waits.get_by_role("button", name=re.compile("^Start all the same"))).to_be_visible()
    await ana.looks(str(pictures / "turn.png"))

    await turn.get_by_role("button", name=re.compile("^Start")).click()
    await ana.sees("storefront v1.4.3 → production", where=ana.card)
    await ben.sees("You started storefront v1.4.3 → production")
    await ben.looks(str(pictures / "turn-started-dark.png"))
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    assert deployment.lead == BEN
    assert await bot.settle()
    assert [verdict.problems async for verdict in auditing.verify(bot.ports)] == [(), ()]


async def test_a_lock_says_who_why_and_until_when_and_lifting_it_is_no_secret(
    bot: Application, house: House, ana: Player, pictures: Path
) -> None:
    ben = await house.enters(BEN, theme="dark")
    await ana.types("/deploy lock storefront production for 2h Database migration")
    await ana.sees(re.compile(r"storefront in production is locked until .*: “Database migration”"))
    await ana.types("/deploy locks")
    await ana.looks(str(pictures / "lock.png"))
    await ben.types(START)
    refused = ben.page.locator("#messages article", has_text="storefront in production is locked by").last
    await ben.sees("@ana", where=refused)
    await ben.sees("Database migration", where=refused)
    await ben.looks(str(pictures / "lock-dark.png"))
    await refused.get_by_role("button", name=re.compile("^Unlock")).click()
    await ben.page.get_by_role("button", name="Unlock", exact=True).click()
    await ben.sees("who had locked it")
    await ana.opens_its_messages("deploybot")
    await ana.sees("unlocked storefront in production, which you had locked: “Database migration”")
    await ana.looks(str(pictures / "unlocked.png"))
