"""The main job, played by two people in two browsers."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.async_api import expect

from bot.app import Application
from bot.services import auditing, finding
from tests.acceptance.browser import House, Player
from tests.makers import ANA, BEN, CARLA
from tests.stage import Stage, running_bot

START = "/deploy start storefront v1.4.2 production"


async def test_two_people_take_a_deployment_from_start_to_finish(
    bot: Application, stage: Stage, ana: Player, ben: Player
) -> None:
    await ana.types(START)
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    assert await bot.settle()
    await ana.opens_the_thread()
    await ben.opens_the_thread()

    await ana.ticks("Migrations are up to date")
    await ben.ticks("Backup schedule is set up")
    await ben.sees_ticked("Migrations are up to date", by="ana")
    await ana.sees_ticked("Backup schedule is set up", by="ben")
    await ana.sees("2 of 107", where=ana.card)

    await ben.unticks("Migrations are up to date")
    await expect(ana.box("Migrations are up to date")).not_to_be_checked(timeout=15_000)

    await ben.ticks("3. Run final tests")
    await ben.sees("Step 3 (“Run final tests”) is ticked before step 1")
    await ana.sees("⚠ before step 1", where=ana.thread)

    await ana.replies("@deploybot status")
    await ana.sees("storefront v1.4.2 → production, led by ana", where=ana.thread)

    await ana.card.get_by_role("button", name=re.compile("Finish")).click()
    await ana.sees("105 of 107 items are still open", where=ana.form)
    await ana.submits("Finish anyway")
    await ana.sees("✅ @ana finished", where=ana.thread)
    await ben.sees("Finished by", where=ben.card)
    assert await bot.settle(within=20)
    await expect(ben.thread.locator("label.bk-box")).to_have_count(0)

    [verdict] = [v async for v in auditing.verify(bot.ports)]
    assert verdict.problems == ()
    async with bot.ports.database.read() as tx:
        history = await bot.ports.deployments.history(tx, verdict.deployment_id)
    # A box that is redrawn in the middle of a click may be clicked once more, which is kept as moot.
    assert [(e.fact.kind, e.fact.actor) for e in history if not e.fact.data.get("moot")] == [
        ("deployment.started", ANA),
        ("item.ticked", ANA),
        ("item.ticked", BEN),
        ("item.unticked", BEN),
        ("item.ticked", BEN),
        ("deployment.finished", ANA),
    ]


async def test_a_form_shows_what_is_wrong_beside_the_input_and_keeps_what_was_typed(
    bot: Application, ana: Player
) -> None:
    await ana.types("/deploy start storefront")
    await ana.fills(version="not a version")
    await ana.submits("Start")
    await ana.sees("Please complete this required field.", where=ana.form)
    await ana.fills(environment="production")
    await ana.submits("Start")
    await ana.sees("“not a version” can't be the version", where=ana.form)
    await expect(ana.form.locator(".bk-input-block", has_text="Version").locator("input")).to_have_value(
        "not a version"
    )
    await ana.fills(version="v1.4.2")
    await ana.submits("Start")
    await expect(ana.page.get_by_role("dialog")).to_have_count(0)
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    assert await bot.settle()


async def test_a_stale_screen_loses_nobodys_tick(
    bot: Application, stage: Stage, ana: Player, ben: Player
) -> None:
    await ana.types(START)
    assert await bot.settle()
    await ana.opens_the_thread()
    await ben.opens_the_thread()
    await ben.freezes(True)
    await ana.ticks("Migrations are up to date")
    await ana.ticks("Indexes are optimized")
    await ana.sees_ticked("Indexes are optimized", by="ana")
    # Ben's screen still shows both as open; he ticks a third in the same group, and one Ana has ticked.
    await expect(ben.box("Migrations are up to date")).not_to_be_checked()
    await ben.ticks("Backup schedule is set up")
    await ben.ticks("Migrations are up to date")
    assert await bot.settle(within=10)
    await ben.freezes(False)
    for player in (ana, ben):
        await player.sees_ticked("Migrations are up to date", by="ana")
        await player.sees_ticked("Indexes are optimized", by="ana")
        await player.sees_ticked("Backup schedule is set up", by="ben")
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    assert sorted(tick.by for tick in deployment.ticks.values()) == [ANA, ANA, BEN]


async def test_a_restart_in_the_middle_loses_nothing(
    stage: Stage, folder: Path, house: House, ana: Player
) -> None:
    url = f"sqlite:///{folder / 'deploybot.db'}"
    async with running_bot(stage, url) as bot:
        await ana.types(START)
        assert await bot.settle()
        await ana.opens_the_thread()
        await ana.ticks("Migrations are up to date")
        await ana.sees_ticked("Migrations are up to date", by="ana")
    await ana.types("/deploy status")
    await ana.sees(re.compile("did not respond|operation_timeout|dispatch_failed|failed"))
    async with running_bot(stage, url) as bot:
        await ana.ticks("Indexes are optimized")
        await ana.sees_ticked("Indexes are optimized", by="ana")
        await ana.sees_ticked("Migrations are up to date", by="ana")
        carla = await house.enters(CARLA)
        await carla.opens_the_thread()
        await carla.sees_ticked("Indexes are optimized", by="ana")
        assert await bot.settle()
    assert await ana.page.locator("#messages article:has(.bk-header)").count() == 1


async def test_everything_can_be_done_with_the_keyboard(bot: Application, ana: Player) -> None:
    composer = ana.page.get_by_role("textbox", name="Message #deploys", exact=True)
    await composer.focus()
    await ana.page.keyboard.type("/dep")
    await ana.sees("start [service] [version]")
    await ana.page.keyboard.press("Tab")
    await ana.page.keyboard.type("start storefront")
    await ana.page.keyboard.press("Enter")
    await expect(ana.form).to_be_visible()
    await ana.page.keyboard.type("v1.4.2")
    await ana.page.keyboard.press("Tab")
    await ana.page.keyboard.type("production")
    await ana.page.keyboard.press("Enter")
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    assert await bot.settle()
    await ana.opens_the_thread()
    await ana.box("Audit logging is enabled").first.focus()
    await ana.page.keyboard.press("Space")
    await ana.sees_ticked("Audit logging is enabled", by="ana")
    # The redraw put a new box in place of the old one, and the focus went along.
    focused = await ana.page.evaluate("document.activeElement.closest('label')?.innerText ?? ''")
    assert "Audit logging is enabled" in focused


async def test_unread_marks_belong_to_the_person_and_the_channel(
    stage: Stage, bot: Application, ana: Player, ben: Player
) -> None:
    await ben.goes_to("general")
    await ben.types("look at this, @ana", place="Message #general")
    await ana.sees("ben in #general", where=ana.page.locator("#toasts"))
    await expect(ana.channel("general").locator(".badge")).to_have_text("1", timeout=15_000)
    await ana.goes_to("general")
    await expect(ana.channel("general").locator(".badge")).to_have_count(0, timeout=15_000)
    # A channel with an older message, and another person on the same page, are read just the same.
    await ben.goes_to("random")
    await stage.carla.types("good morning")
    await ana.acts_as("Carla Rossi")
    await expect(ana.channel("general")).not_to_have_class(re.compile("unread"), timeout=15_000)
    await ana.goes_to("deploys")
    await ana.page.locator("article", has_text="good morning").hover()
    await ana.page.get_by_role("button", name="Reply in thread").last.click()
    await stage.ben.types("@carla here", thread_ts=(await stage.carla.history())[-1]["ts"])
    await ana.sees("here", where=ana.thread)
    await expect(ana.channel("deploys").locator(".badge")).to_have_count(0, timeout=15_000)
    await expect(ana.channel("deploys")).not_to_have_class(re.compile("unread"), timeout=15_000)


async def test_people_write_to_each_other_directly(bot: Application, ana: Player, ben: Player) -> None:
    await ana.page.keyboard.press("Control+k")
    await ana.page.get_by_role("textbox", name="Jump to").fill("ben")
    await ana.page.keyboard.press("Enter")
    await ana.sees("This is the very beginning of ben")
    await ana.types("are you there?", place="Message ben")
    await expect(ben.page.locator(".side-entry", has_text="ana").locator(".badge")).to_have_text(
        "1", timeout=15_000
    )
    await ben.goes_to("ana")
    await ben.sees("are you there?", where=ben.page.locator("#messages"))


async def test_the_page_says_that_the_clock_is_ahead(house: House) -> None:
    ana = await house.enters(ANA)
    await ana.page.get_by_role("button", name="Inspector").click()
    await ana.page.get_by_role("tab", name="Clock").click()
    await ana.page.get_by_role("button", name="Forward 1 h").click()
    await ana.sees("clock is 1 h ahead")
    await ana.page.reload()
    await ana.sees("clock is 1 h ahead")
