"""The pictures of the README, made by playing what they show."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect

from bot.app import Application
from tests.acceptance.browser import House
from tests.makers import ANA, BEN


async def test_the_tour_of_the_readme_can_be_taken(bot: Application, house: House, pictures: Path) -> None:
    size = {"width": 1280, "height": 800}
    ana = await house.enters(ANA, viewport=size)
    ben = await house.enters(BEN, theme="dark", viewport=size)
    await ana.types("/deploy start storefront")
    await ana.fills(version="v1.4.2", environment="production")
    await ana.looks(str(pictures / "start.png"))
    await ana.submits("Start")
    assert await bot.settle()
    await ana.opens_the_thread()
    await ben.opens_the_thread()
    for item in ("Redis cache connection", "CSP policies", "Migrations are up to date", "Indexes are"):
        await ana.ticks(item)
    for item in ("Static assets are", "Images are compressed", "1. Notify team", "3. Run final tests"):
        await ben.ticks(item)
    await ana.sees_ticked("Static assets are", by="ben")
    assert await bot.settle(within=15)
    await expect(ana.page.locator(".toast")).to_have_count(0, timeout=15_000)
    await ana.thread.locator(".messages").evaluate("box => { box.scrollTop = 360 }")
    await ana.looks(str(pictures / "thread.png"))
    await ben.thread.locator("label.bk-box", has_text="3. Run final tests").scroll_into_view_if_needed()
    await ben.looks(str(pictures / "dark.png"))
    await ana.page.get_by_role("button", name="Inspector").click()
    await ana.sees("chat.update")
    await ana.looks(str(pictures / "inspector.png"))
