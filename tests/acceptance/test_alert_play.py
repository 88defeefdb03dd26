"""An alert, from the chart to the rollback that is verified, and a drill; played in the browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from bot.app import Application
from bot.domain.signals import Measured, WatchPlan
from bot.domain.triggering import TriggerFinding
from bot.domain.watching import Source
from bot.services import alerting, auditing, finding
from bot.services.ports import ShiftedClock
from bot.storage import samples
from tests.acceptance.browser import House, Player
from tests.makers import BEN, ScriptedWatching
from tests.stage import Stage, running_bot

START = "/deploy start storefront v1.4.2 production"
STEPS = (
    "Scale down services",
    "Revert database changes",
    "Restore previous version",
    "Clear caches",
    "Scale up services",
    "Verify rollback",
)


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def bot(stage: Stage, folder: Path, clock: ShiftedClock) -> AsyncIterator[Application]:
    """The bot, with Ben on call."""
    plan = WatchPlan(on_call=BEN, links={"Dashboard": "https://grafana.example.com/d/storefront"})
    url = f"sqlite:///{folder / 'deploybot.db'}"
    async with running_bot(stage, url, clock=clock, watching=ScriptedWatching(plan)) as bot:
        yield bot


async def errors_rise(bot: Application, stage: Stage, clock: ShiftedClock) -> None:
    """What the watch reports four minutes after the deploy."""
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    clock.forward(timedelta(minutes=7))
    now = clock.now()
    quiet = (0.21, 0.18, 0.24, 0.19, 0.2, 0.22, 0.17, 0.2, 0.23, 0.19, 0.21, 0.18, 0.2, 0.19, 0.22, 0.21)
    values = (*quiet, 2.6, 3.4, 3.1)
    async with bot.ports.database.write() as tx:
        taken = [
            ("errors", Measured(at=now - timedelta(minutes=len(values) - 1 - at), value=value, count=440))
            for at, value in enumerate(values)
        ]
        await samples.add(tx, deployment.id, taken)
    told = TriggerFinding(
        signal="errors",
        label="errors",
        measure="error_pct",
        change="0.2 % → 3.1 %",
        difference=2.9,
        low=2.1,
        high=3.8,
        bad=41,
        requests=1320,
        samples_bad=3,
        samples=3,
        since=(now - timedelta(minutes=2)).isoformat(),
        unchanged=("p95 latency 182 ms", "CPU 41 %"),
        contradicting=("the same rise yesterday at this time",),
    )
    await alerting.report(
        bot.ports,
        deployment.id,
        key="errors",
        title="Significant error rate increase",
        source=Source.WATCH,
        finding=told,
        size=2.9,
    )


def alert_in(player: Player) -> Locator:
    """The newest alert in the channel."""
    return player.page.locator("#messages article", has_text="Significant error rate increase").last


async def test_from_the_alert_to_a_rollback_that_is_verified(
    bot: Application, stage: Stage, clock: ShiftedClock, house: House, ana: Player, pictures: Path
) -> None:
    ben = await house.enters(BEN, theme="dark")
    await ana.types(START)
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    assert await bot.settle()
    await ana.types("/deploy go")
    await ana.sees("Go by", where=ana.card)
    assert await bot.settle()
    await errors_rise(bot, stage, clock)

    # It is in the channel, with what, since when, and a chart.
    alert = alert_in(ana)
    await ana.sees("errors 0.2 % → 3.1 %, +2.9 pp [2.1–3.8], 41 of 1,320 requests", where=alert)
    await ana.sees("from T+5 min", where=alert)
    await expect(alert.locator("img.bk-image")).to_be_visible(timeout=30_000)
    alt = await alert.locator("img.bk-image").get_attribute("alt")
    assert alt is not None
    assert alt.startswith("Line chart of errors, %")
    for player, name in ((ana, "alert"), (ben, "alert-dark")):
        shown = alert_in(player)
        await expect(shown.locator("img.bk-image")).to_be_visible(timeout=30_000)
        await player.page.wait_for_function(
            "[...document.querySelectorAll('#messages img.bk-image')].every(i => i.naturalWidth === 1800)"
        )
        await shown.scroll_into_view_if_needed()
        await player.looks(str(pictures / f"{name}.png"))
    await ana.sees("🚨 Significant error rate increase: nobody has acknowledged it", where=ana.card)

    # Ben takes it, on his dark screen; both see so, and the button is gone.
    await alert_in(ben).get_by_role("button", name=re.compile("^Acknowledge")).click()
    await ana.sees("Acknowledged by @ben", where=alert)
    await expect(alert.get_by_role("button", name=re.compile("^Acknowledge"))).to_have_count(0)

    # He goes back, and says why.
    await alert_in(ben).get_by_role("button", name=re.compile("^Start the rollback")).click()
    await ben.sees("6. Verify rollback", where=ben.form)
    await ben.form.locator("textarea").fill("Guests cannot pay")
    await ben.submits("Start rollback")
    await expect(ben.page.get_by_role("dialog")).to_have_count(0)
    await ana.sees("Rolling back, step 1 of 6", where=ana.card)
    await ben.opens_the_thread()
    await ben.sees("Guests cannot pay", where=ben.thread)
    for number, step in enumerate(STEPS, start=1):
        await ben.ticks(f"{number}. {step}")
        await ben.sees_ticked(f"{number}. {step}", by="ben")
        if number == 2:
            await ana.sees("Rolling back, step 3 of 6", where=ana.card)
            await ben.looks(str(pictures / "rollback.png"))
    times = re.compile(
        r"alert (.+ )?\d+:\d\d.* → acknowledged \+.* → rollback started \+.* → first step \+.* → verified \+"
    )
    await ben.sees("✅ Rolled back", where=ben.thread)
    await ben.sees(times, where=ben.thread.locator("article", has_text="✅ Rolled back").first)
    await ben.sees("is rolled back, started by", where=ben.thread)
    await ana.sees("Rolled back", where=ana.card)
    await ben.looks(str(pictures / "rollback-verified.png"))

    # It is latched until somebody clears it.
    await alert.get_by_role("button", name=re.compile("^Not this deploy")).click()
    await ana.form.locator("textarea").fill("Settled by the rollback")
    await ana.submits("Clear the trigger")
    await ana.sees("Cleared by @ana", where=alert)
    await expect(alert.get_by_role("button", name=re.compile("Snooze|Not this"))).to_have_count(0)
    assert await bot.settle(within=20)
    assert [v.problems async for v in auditing.verify(bot.ports)] == [()]


async def test_a_drill_reaches_people_and_says_how_fast_they_were(
    bot: Application, ana: Player, ben: Player, pictures: Path
) -> None:
    await ana.types(START)
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    assert await bot.settle()
    await ana.types("/deploy drill")
    drill = ben.page.locator("#messages article", has_text="🧪 Drill").last
    await ben.sees("nothing is wrong", where=drill)
    await expect(drill.locator("img.bk-image")).to_be_visible(timeout=30_000)
    await expect(drill.get_by_role("button", name=re.compile("^Start the rollback"))).to_have_count(0)
    await drill.get_by_role("button", name=re.compile("^Acknowledge")).click()
    await ben.sees("Acknowledged by @ben", where=drill)
    await ben.opens_the_thread()
    await ben.sees(re.compile(r"The drill by @ana is over: @ben acknowledged after \d+ s"), where=ben.thread)
    await ben.looks(str(pictures / "drill.png"))


async def test_anybody_can_raise_a_trigger_from_the_plan(bot: Application, ana: Player, ben: Player) -> None:
    await ana.types(START)
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    assert await bot.settle()
    await ben.opens_the_thread()
    await ben.thread.get_by_role("button", name=re.compile("^Raise a trigger")).click()
    await ben.submits("Raise it")
    await ben.sees("Say in a few words what is wrong", where=ben.form)
    await ben.form.locator("textarea").fill("Payments answer 500 since noon")
    await ben.submits("Raise it")
    await expect(ben.page.get_by_role("dialog")).to_have_count(0)
    shown = ana.page.locator("#messages article", has_text="Payments answer 500 since noon").last
    await ana.sees("raised by @ben", where=shown)
    assert await bot.settle()
