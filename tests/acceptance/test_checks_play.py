"""Checks, played by Ana in her browser, with the example service as what is deployed."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from bot.example.running import Example, example_service
from tests.acceptance.browser import Player
from tests.stage import Stage, running_bot

CERTIFICATE = "SSL/TLS certificates are installed and valid"
HEADERS = "Security headers are configured"
SECTION = "Pre-deployment Checks"
#: A section with journeys in a browser, on a busy machine.
RUN_MS = 120_000
AT = r"\d\d:\d\d( \w+)?"


@pytest.fixture
async def example(folder: Path) -> AsyncIterator[Example]:
    """What is deployed."""
    async with example_service(folder / "example") as example:
        yield example


@pytest.fixture
async def switches(ana: Player, example: Example) -> Page:
    """The page that breaks and mends it, in another tab of Ana's browser."""
    page = await ana.page.context.new_page()
    await page.goto(example.service.page_url)
    return page


async def turns(switches: Page, name: str, word: str) -> None:
    """Press a switch's button."""
    row = switches.locator("li", has_text=name).first
    await row.get_by_role("button", name=word).click()
    other = "Mend" if word == "Break" else "Break"
    await expect(row.get_by_role("button", name=other)).to_be_visible(timeout=30_000)


@pytest.mark.timeout(420)
async def test_a_tick_by_the_bot_follows_what_is_really_there(
    stage: Stage, folder: Path, ana: Player, example: Example, switches: Page, pictures: Path
) -> None:
    database = f"sqlite:///{folder / 'deploybot.db'}"
    certificate = ana.thread.locator("label.bk-box", has_text=CERTIFICATE)
    async with running_bot(stage, database, process={**os.environ, **example.environment}) as bot:
        await ana.types("/deploy start storefront v1.4.2 production")
        assert await bot.settle()
        await ana.opens_the_thread()

        # All checks of a section, at once: everything that is installed here passes.
        await ana.thread.get_by_role("button", name=f"Run the checks of {SECTION}").first.click()
        await ana.sees(re.compile(rf"🤖 ✓ {AT} · \d+ days left, TLSv1\.3"), where=certificate)
        await expect(ana.box(CERTIFICATE)).to_be_checked(timeout=RUN_MS)
        for item in (
            "Security headers are configured",
            "CSP policies are set up",
            "Audit logging is enabled",
        ):
            await expect(ana.box(item)).to_be_checked(timeout=RUN_MS)
        await expect(ana.thread.locator("label.bk-box", has_text="⏳")).to_have_count(0, timeout=RUN_MS)
        await certificate.scroll_into_view_if_needed()
        await ana.looks(str(pictures / "checks-green.png"))

        # The certificate expires: the tick is withdrawn, and says why.
        await turns(switches, "certificate", "Break")
        await ana.replies(f"@deploybot check {CERTIFICATE}")
        await expect(ana.box(CERTIFICATE)).not_to_be_checked(timeout=RUN_MS)
        await ana.sees(re.compile(rf"✗ .*days_left is -\d.* · {AT}"), where=certificate)
        await certificate.scroll_into_view_if_needed()
        await ana.looks(str(pictures / "checks.png"))

        # What was found, and what it rests on.
        await ana.thread.get_by_role("button", name=f"What the checks of {SECTION} found").first.click()
        await ana.sees(CERTIFICATE, where=ana.form)
        await ana.looks(str(pictures / "checks-results.png"))
        await ana.form.get_by_role("button", name=f"Evidence for {CERTIFICATE}").click()
        await ana.sees("certificate has expired", where=ana.form)
        await ana.sees("SHA-256", where=ana.form)
        await ana.looks(str(pictures / "checks-evidence.png"))
        for left in (1, 0):
            await ana.page.keyboard.press("Escape")
            await expect(ana.page.get_by_role("dialog")).to_have_count(left)

        # It is renewed: checked again, the bot ticks it again.
        await turns(switches, "certificate", "Mend")
        await ana.replies(f"@deploybot check {CERTIFICATE}")
        await expect(ana.box(CERTIFICATE)).to_be_checked(timeout=RUN_MS)
        await ana.sees(re.compile(rf"🤖 ✓ {AT} · \d+ days left, TLSv1\.3"), where=certificate)

        # Something else breaks. Somebody knows better, and says so under their own name.
        await turns(switches, "headers", "Break")
        await ana.replies(f"@deploybot check {HEADERS}")
        await expect(ana.box(HEADERS)).not_to_be_checked(timeout=RUN_MS)
        await ana.thread.get_by_role("button", name=f"What the checks of {SECTION} found").first.click()
        await ana.form.get_by_role("button", name=f"Evidence for {HEADERS}").click()
        await ana.form.get_by_role("button", name="Overrule…").click()
        await ana.form.locator("textarea").fill("the proxy before it sets them")
        await ana.submits("Tick it as me")
        await expect(ana.page.get_by_role("dialog")).to_have_count(0)
        await expect(ana.box(HEADERS)).to_be_checked(timeout=RUN_MS)
        headers = ana.thread.locator("label.bk-box", has_text=HEADERS)
        await ana.sees(re.compile(rf"✓ ana · {AT} · overruled: the proxy before it"), where=headers)
        await headers.scroll_into_view_if_needed()
        await ana.looks(str(pictures / "checks-overruled.png"))
        # So many redraws take as long as Slack's limits make them take.
        assert await bot.settle(within=70)
