"""Reminders, played by Ana and Ben in their browsers: hours pass in minutes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Locator, expect

from bot.app import Application
from bot.services import auditing
from bot.services.ports import ShiftedClock
from tests.acceptance.browser import Player
from tests.makers import BEN
from tests.servers.serving import serving
from tests.stage import Stage, running_bot

CHECKLIST = """# Go live
## Deployment Process
### Deployment Steps
1. [ ] Verify deployment
### Post-deployment
1. [ ] Monitor error rates
2. [ ] Verify functionality
## Documentation
### Communication
- [ ] Schedule review
"""
POST = "deployment-process/post-deployment"
SIDECAR = f"""
version: 1
vars: {{errors_url: {{env: ERRORS_URL, example: "http://127.0.0.1/"}}, on_call: {{env: ON_CALL, default: ""}}}}
allow: [127.0.0.1]
on_call: "${{vars.on_call}}"
reminders:
  - {{after: 5m, items: [{POST}/monitor-error-rates]}}
  - {{after: 30m, items: [{POST}/verify-functionality]}}
items:
  {POST}/monitor-error-rates:
    text: Monitor error rates
    check: {{kind: http, url: "${{vars.errors_url}}", extract: {{error_rate: rate}}, fail: {{error_rate: "> 0.05"}}}}
"""


class Service:
    """What is deployed, with the error rate it has now."""

    def __init__(self) -> None:
        self.rate = 0.08
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """The error rate."""
        return web.json_response({"rate": self.rate})


@pytest.fixture
def service() -> Iterator[Service]:
    """It has too many errors."""
    service = Service()
    application = web.Application()
    application.router.add_get("/", service.answer)
    with serving(application) as url:
        service.url = f"{url}/"
        yield service


async def passes(stage: Stage, clock: ShiftedClock, **span: float) -> None:
    """Time passes, for the workspace and for the bot."""
    by = timedelta(**span)
    answer = await stage.client.post("/client/forward", json={"seconds": by.total_seconds()})
    assert answer.json()["ok"], answer.text
    clock.forward(by)


def reminders(player: Player, text: str = "Monitor error rates") -> Locator:
    """The messages in the open thread that ask about this."""
    asking = player.page.get_by_role("button", name="Not needed")
    return player.thread.locator("article", has_text=text).filter(has=asking)


@pytest.mark.timeout(240)
async def test_a_reminder_is_snoozed_comes_again_escalates_and_is_done(
    stage: Stage, folder: Path, ana: Player, ben: Player, service: Service, pictures: Path
) -> None:
    (folder / "golive.md").write_text(CHECKLIST)
    (folder / "golive.yaml").write_text(SIDECAR)
    group = (
        await stage.client.post("/control/usergroups", json={"handle": "oncall", "users": [BEN]})
    ).json()["usergroup"]
    clock = ShiftedClock()
    process = {**os.environ, "ERRORS_URL": service.url, "ON_CALL": group["id"]}
    database = f"sqlite:///{folder / 'deploybot.db'}"
    async with running_bot(stage, database, clock=clock, process=process, checklists=folder) as bot:
        await ana.types("/deploy start storefront v1.4.2 production --checklist golive")
        await ana.sees("storefront v1.4.2 → production", where=ana.card)
        assert await bot.settle()
        await ana.opens_the_thread()
        await ben.opens_the_thread()
        await ana.ticks("Verify deployment")
        await deployed(stage, bot)

        # It comes with the numbers of now, for Ana, and with no word about the run that fetched them.
        await passes(stage, clock, minutes=5)
        await ben.sees("5 min after the deploy", where=reminders(ben))
        await ben.sees("@ana", where=reminders(ben))
        await ben.sees("error_rate is 0.08", where=reminders(ben))
        await ben.sees("(just now)", where=reminders(ben))
        await reminders(ben).scroll_into_view_if_needed()
        await ben.looks(str(pictures / "reminder.png"))
        assert len(await stage.thread()) == 4  # the card, two sections, the reminder

        # Ben snoozes it; it comes again, with other numbers.
        await reminders(ben).get_by_role("button", name="Snooze").click()
        await ben.page.get_by_role("option", name="15 min").click()
        await expect(reminders(ben)).to_have_count(0, timeout=15_000)
        await ben.sees("snoozed by @ben until", where=ben.thread)
        service.rate = 0.06
        await passes(stage, clock, minutes=15)
        await ben.sees("You asked to be reminded again", where=reminders(ben))
        await ben.sees("error_rate is 0.06", where=reminders(ben))

        # Nobody reacts: Ana is written to, then the group is called in the thread.
        await passes(stage, clock, minutes=15)
        await ana.opens_its_messages("deploybot")
        channel = ana.page.locator("#messages")
        await ana.sees("Nobody has reacted to this reminder in the thread of storefront", where=channel)
        await ana.looks(str(pictures / "reminder-direct.png"))
        await passes(stage, clock, minutes=30)
        await ben.sees("@group @ana @ben: nobody has reacted to this reminder", where=reminders(ben).last)
        assert f"<!subteam^{group['id']}>" in str((await stage.thread())[-1]["blocks"])

        # Done does not go against a check that fails; with the service well again it does.
        await reminders(ben).last.get_by_role("button", name="Done").click()
        await ben.sees("Not ticked: “Monitor error rates”", where=ben.thread)
        service.rate = 0.001
        await ben.replies("@deploybot check Monitor error rates")
        await expect(ben.box("Monitor error rates")).to_be_checked(timeout=20_000)
        # Every message that asked, in the thread and direct, says that it is done.
        await expect(reminders(ben)).to_have_count(0, timeout=20_000)
        await ana.sees("Monitor error rates: ✓ done", where=channel)

        # The other one was due meanwhile; Ben did it, which ticks its item under his name.
        other = reminders(ben, "Verify functionality").last
        await ben.sees("Verify functionality", where=other)
        await other.get_by_role("button", name="Done").click()
        await ben.sees_ticked("Verify functionality", by="ben")
        await expect(reminders(ben, "Verify functionality")).to_have_count(0, timeout=15_000)
        await ben.sees("✓ done, says @ben", where=ben.thread)

        # Ben ticks the review and says when it is; the thread is reminded then.
        await ben.ticks("Schedule review")
        await ben.sees("When is the review of storefront v1.4.2", where=ben.form)
        await ben.looks(str(pictures / "review.png"))
        await ben.submits("Remind us")
        await expect(ben.page.get_by_role("dialog")).to_have_count(0)
        await passes(stage, clock, hours=48)
        await ben.sees("The review", where=reminders(ben, "The review of this deployment"))
        assert await bot.settle(within=20)
        assert [v.problems async for v in auditing.verify(bot.ports)] == [()]


async def test_what_was_typed_to_be_reminded_of_pings_nobody(
    stage: Stage, folder: Path, bot: Application, ana: Player
) -> None:
    await ana.types("/deploy start storefront v1.4.2 production")
    await ana.sees("storefront v1.4.2 → production", where=ana.card)
    await ana.types("/deploy remind tell @ben and <!channel> in 1h30m")
    await ana.sees("I remind the thread of storefront v1.4.2 → production at")
    await ana.types("/deploy remind Migratons are up to date in 2h")
    await ana.sees("Did you mean “Migrations are up to date”")
    await ana.types("/deploy remind Migrations are up to date soon")
    await ana.sees("Write in 2h, in 90m, in 1h30m, at 15:00 or tomorrow 9:00")
    async with bot.ports.database.read() as tx:
        history = await bot.ports.deployments.history(tx, 1)
    [added] = [event.fact for event in history if event.fact.kind == "reminder.added"]
    assert "<" not in added.data["text"].replace("<!channel>", "")


async def deployed(stage: Stage, bot: Application) -> None:
    """Wait until the bot has planned the reminders."""

    async def is_planned() -> bool:
        async with bot.ports.database.read() as tx:
            history = await bot.ports.deployments.history(tx, 1)
        return any(event.fact.kind == "reminder.added" for event in history)

    await stage.until(is_planned, what="the reminders are planned")
