"""A deployment ends with its report: the picture in the thread, the page, and the page on paper."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, async_playwright, expect

from bot.app import Application
from bot.domain.signals import Measured, WatchPlan
from bot.services import alerting, finding
from bot.services.ports import ShiftedClock
from bot.storage import samples
from tests.acceptance.browser import House, Player, launch
from tests.makers import BEN, ScriptedWatching
from tests.stage import Stage, running_bot

FILES = re.compile("^Full report")
#: In an alert: none of it may become an element.
EVIL = "<script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)>"


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def bot(stage: Stage, folder: Path, clock: ShiftedClock) -> AsyncIterator[Application]:
    url = f"sqlite:///{folder / 'deploybot.db'}"
    async with running_bot(stage, url, clock=clock, watching=ScriptedWatching(WatchPlan())) as bot:
        yield bot


async def measured(bot: Application, stage: Stage, clock: ShiftedClock) -> None:
    """An hour of error rates, worse for ten minutes."""
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    now = clock.now()
    async with bot.ports.database.write() as tx:
        taken = [
            (
                "errors",
                Measured(
                    at=now - timedelta(minutes=60 - at),
                    value=0.2 + (at % 4) * 0.02 + 3 * (40 <= at < 50),
                    count=440,
                ),
            )
            for at in range(60)
        ]
        await samples.add(tx, deployment.id, taken)


def report_in(player: Player) -> Locator:
    return player.thread.locator("article", has_text="finished storefront").last


async def test_the_end_brings_the_report_with_its_picture_and_the_page(
    bot: Application,
    stage: Stage,
    clock: ShiftedClock,
    house: House,
    ana: Player,
    pictures: Path,
    folder: Path,
) -> None:
    ben = await house.enters(BEN, theme="dark")
    await ana.types("/deploy start storefront v1.4.2 production")
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    assert await bot.settle()
    await ana.opens_the_thread()
    for item in ("Migrations are up to date", "Scale down workers"):
        await ana.ticks(item)
        await ana.sees_ticked(item, by="ana")
    clock.forward(timedelta(minutes=12))
    await ana.types("/deploy go")
    await ana.sees("Go by", where=ana.card)
    clock.forward(timedelta(minutes=20))
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    await alerting.raise_by_hand(
        bot.ports, deployment.id, words=f"Orders fail {EVIL}", reason="", user=BEN, delivery="raise.1"
    )
    clock.forward(timedelta(minutes=8))
    await ana.ticks("Verify deployment")
    await ana.sees_ticked("Verify deployment", by="ana")
    clock.forward(timedelta(minutes=30))
    await measured(bot, stage, clock)
    await ana.types("/deploy finish")
    await ana.submits("Finish anyway")
    await ben.opens_the_thread()

    # One message: how it ended, the figures, the picture, the files.
    for player, name in ((ana, "report"), (ben, "report-dark")):
        said = report_in(player)
        await player.sees("Start to Go 12 min", where=said)
        await player.sees("1 alert, never acknowledged", where=said)
        picture = said.locator("img.bk-image")
        await expect(picture).to_have_count(1, timeout=30_000)
        await said.get_by_role("button", name=FILES).last.scroll_into_view_if_needed()
        await expect(picture).to_be_visible(timeout=30_000)
        alt = await picture.get_attribute("alt")
        assert alt is not None
        assert alt.startswith("Flight recorder of storefront v1.4.2 → production, from ")
        await player.page.wait_for_function(
            "[...document.querySelectorAll('img.bk-image')].every(i => i.naturalWidth === 1800)"
        )
        await said.get_by_role("button", name=FILES).last.scroll_into_view_if_needed()
        await player.looks(str(pictures / f"{name}.png"))
    assert await ben.thread.locator("article", has_text="finished storefront").count() == 1

    # The page, as a file in the thread.
    await report_in(ben).get_by_role("button", name=re.compile(r"^Full report \(HTML\)")).click()
    await ben.sees("The report of storefront v1.4.2 → production, for @ben", where=ben.thread)
    files = [m for m in await stage.thread() if m.get("files")]
    url = files[-1]["files"][0]["url_private"]
    page = folder / "report.html"
    page.write_bytes((await stage.client.get(url)).content)
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        for theme in ("light", "dark"):
            await read(browser, page, theme, pictures)
        await browser.close()


async def read(browser: Browser, page: Path, theme: str, pictures: Path) -> None:
    """Open the page in Chromium: nothing is asked of anybody, nothing runs, it prints."""
    context = await browser.new_context(
        viewport={"width": 1200, "height": 1400}, color_scheme="dark" if theme == "dark" else "light"
    )
    opened = await context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    await opened.goto(page.as_uri())
    assert asked == [page.as_uri()]
    assert complaints == []
    assert await opened.locator("script, img, iframe, object, link, [style], [onerror]").count() == 0
    await expect(opened.get_by_role("main")).to_contain_text("<script>alert(1)</script>")
    await expect(opened.get_by_role("img")).to_have_accessible_name(
        re.compile("^Flight recorder of storefront")
    )
    await expect(opened.get_by_role("heading", level=1)).to_have_text("storefront v1.4.2 → production")
    await opened.screenshot(path=str(pictures / f"report-page-{theme}.png"))
    if theme == "light":
        paper = await opened.pdf(format="A4")
        assert paper.startswith(b"%PDF")
        (pictures.parent / "report.pdf").write_bytes(paper)
    for width in (600, 360):
        await opened.set_viewport_size({"width": width, "height": 900})
        wide = await opened.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, "what is wider scrolls in its own box"
    await context.close()
