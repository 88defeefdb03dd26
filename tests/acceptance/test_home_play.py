"""App Home, shortcuts and the pinned card, played in the browser: Ana deploys, Ben has items to do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from bot.app import Application
from bot.services import auditing, finding, tending
from tests.acceptance.browser import PATIENCE_MS, House, Player
from tests.makers import ANA, BEN
from tests.stage import Stage, running_bot

#: A message a section costs a second: the play needs few.
CHECKLIST = """# Production deployment

## Before

- [ ] The database has been backed up
- [ ] The feature flags are off for **new** customers
- [ ] Somebody from support knows what changes

## After

1. [ ] Roll {{ version }} out to every region
2. [ ] Tell support that it is out

## Rollback Plan

### Triggers

- Checkout fails
"""


@pytest.fixture
async def bot(stage: Stage, folder: Path) -> AsyncIterator[Application]:
    """The bot with a short checklist."""
    (folder / "production.md").write_text(CHECKLIST)
    url = f"sqlite:///{folder / 'deploybot.db'}"
    async with running_bot(stage, url, checklists=folder) as bot:
        yield bot


def home_of(player: Player) -> Locator:
    """The Home tab on their screen."""
    return player.page.locator(".messages.home")


async def opens_the_home(player: Player) -> None:
    await player.page.locator(".side-entry", has_text="deploybot").click()
    await player.sees("Your open items", where=home_of(player))


async def test_a_team_lives_in_its_homes(
    bot: Application, stage: Stage, house: House, ana: Player, pictures: Path
) -> None:
    ben = await house.enters(BEN, theme="dark")
    await opens_the_home(ben)

    # Ana finds nothing to do yet, and what to do next; she starts from there.
    await opens_the_home(ana)
    await ana.sees("Nothing waits for you", where=home_of(ana))
    await ana.sees("No deployment is running", where=home_of(ana))
    await ana.looks(str(pictures / "home-empty.png"))
    await home_of(ana).get_by_role("button", name="Start a deployment: Start…").click()
    await ana.fills(service="storefront", version="v1.4.2", environment="production")
    await ana.form.locator(".bk-input-block", has_text="Channel").locator("button").click()
    await ana.form.get_by_role("option", name="#deploys").click()
    await ana.submits("Start")
    await expect(ana.page.get_by_role("dialog")).to_have_count(0)
    await ana.sees("0 of 5 (0 %)", where=home_of(ana))
    assert await bot.settle()

    # Ben is given items: they come to his home, and he ticks there.
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    await tending.assign(bot.ports, deployment.id, [0, 1, 4], to=BEN, user=ANA, delivery="play.1")
    await ben.sees("Your open items (3)", where=home_of(ben))
    box = home_of(ben).locator("label.bk-box", has_text="The database has been backed up")
    await expect(box).to_contain_text("given to you by ana")
    await box.locator("input").check(timeout=PATIENCE_MS)
    await ben.sees("Your open items (2)", where=home_of(ben))
    await expect(home_of(ben).locator("label.bk-box input:checked")).to_have_count(1, timeout=PATIENCE_MS)
    await ben.sees("1 of 5 (20 %)", where=home_of(ben))
    await ana.sees("1 of 5 (20 %)", where=home_of(ana))

    # Something is wrong: Ana raises it on the message that says so; it is in front of every home.
    await ana.goes_to("deploys")
    await expect(ana.card.locator(".pinned")).to_contain_text("Pinned by deploybot", timeout=PATIENCE_MS)
    await ana.types("Guests cannot pay since noon")
    said = ana.page.locator("#messages article", has_text="Guests cannot pay since noon").last
    ts = await said.get_attribute("data-ts", timeout=PATIENCE_MS)
    said = ana.page.locator(f'#messages article[data-ts="{ts}"]')
    await said.hover()
    await said.get_by_role("button", name="Message shortcuts").click()
    await ana.page.get_by_role("menuitem", name="Raise a rollback trigger").click()
    await ana.sees("storefront v1.4.2 → production", where=ana.form)
    await ana.submits("Raise it")
    await expect(ana.page.get_by_role("dialog")).to_have_count(0)
    first = home_of(ben).locator(".bk-header").first
    await expect(first).to_contain_text("Alerts", timeout=PATIENCE_MS)
    await ben.sees("Guests cannot pay since noon", where=home_of(ben))
    await expect(home_of(ben).get_by_text("Open the alert")).to_be_visible(timeout=PATIENCE_MS)
    await ben.looks(str(pictures / "home-dark.png"))

    # The message becomes a note at an item, too.
    await said.hover()
    await said.get_by_role("button", name="Message shortcuts").click()
    await ana.looks(str(pictures / "message-shortcuts.png"))
    await ana.page.get_by_role("menuitem", name="Add as deployment note").click()
    await ana.sees("the note stands at the item", where=ana.form)
    await ana.form.locator(".bk-input-block", has_text="Item").locator("button").click()
    await ana.form.get_by_role("option", name="Tell support that it is out").click()
    await ana.submits("Add the note")
    await expect(ana.page.get_by_role("dialog")).to_have_count(0)
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    [note] = deployment.care.notes[4]
    assert (note.text, note.by) == ("Guests cannot pay since noon", ANA)

    # It ends: the card is let go, and the history says so.
    await ana.types("/deploy abort Guests cannot pay")
    await ben.sees(re.compile(r"aborted by @ana, took .*Guests cannot pay"), where=home_of(ben))
    await expect(first).to_contain_text("Your open items")
    await expect(ana.card.locator(".pinned")).to_have_count(0, timeout=PATIENCE_MS)

    # What she deployed lately is one click away, from the home and from the shortcuts menu another.
    await opens_the_home(ana)
    await home_of(ana).get_by_role("button", name="Start a deployment: storefront → production").click()
    version = ana.form.locator(".bk-input-block", has_text="Version").locator("input")
    await expect(version).to_be_focused()
    await ana.sees("#deploys", where=ana.form)
    await ana.form.get_by_role("button", name="Cancel").click()
    await ana.looks(str(pictures / "home.png"))
    await ana.goes_to("general")
    await ana.page.locator(".main").get_by_role("button", name="Shortcuts", exact=True).click()
    await ana.page.get_by_role("menuitem", name="Start a deployment").click()
    await ana.sees("#general", where=ana.form)
    assert await bot.settle()
    assert [v.problems async for v in auditing.verify(bot.ports)] == [()]
