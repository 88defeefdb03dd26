"""A deployment with rules, played in the browser: a gate, four eyes, waivers, assignments, an override."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from bot.app import Application
from bot.services import auditing
from tests.acceptance.browser import House, Player
from tests.makers import ANA, BEN, CARLA
from tests.stage import Stage, running_bot

CHECKLIST = """# Release

## Before the deploy
- [ ] Backup is fresh
- [ ] Secrets are rotated
- [ ] Release notes are written (optional)

## After the deploy
- [ ] Error rate is normal
- [ ] Queues drain

## Rollback Plan
### Rollback Steps
1. Restore the previous version
"""
SIDECAR = f"""version: 1
people:
  gates:
    - part: before-the-deploy
    - {{part: after-the-deploy, holds: [finish]}}
  owners:
    before-the-deploy: [S0SECURITY1]
  approval: {{group: S0RELEASE01}}
  permissions:
    roll_back: {{people: [S0RELEASE01]}}
    override: {{people: [S0RELEASE01, {ANA}]}}
"""


@pytest.fixture
async def bot(stage: Stage, folder: Path) -> AsyncIterator[Application]:
    """The bot with a checklist that has rules, and the groups they speak of."""
    checklists = folder / "checklists"
    checklists.mkdir()
    (checklists / "release.md").write_text(CHECKLIST)
    (checklists / "release.yaml").write_text(SIDECAR)
    for id_, handle, users in (("S0RELEASE01", "releasers", [ANA, BEN]), ("S0SECURITY1", "security", [BEN])):
        await stage.client.post(
            "/control/usergroups", json={"id": id_, "handle": handle, "name": handle, "users": users}
        )
    url = f"sqlite:///{folder / 'deploybot.db'}"
    async with running_bot(stage, url, checklists=checklists) as bot:
        yield bot


def message(player: Player, text: str) -> Locator:
    return player.thread.locator("article", has_text=text).last


def section(player: Player, title: str) -> Locator:
    header = player.page.locator(".bk-header", has_text=title)
    return player.thread.locator("article").filter(has=header).last


async def chooses(player: Player, item: str, deed: str) -> None:
    """From the menu of an item in the list of items."""
    row = player.form.locator(".bk-section", has_text=item)
    await row.get_by_role("button", name=re.compile("More|options|⋯", re.IGNORECASE)).click()
    await player.page.get_by_role("menuitem", name=deed, exact=True).click()


async def test_rules_hold_go_and_the_end_until_the_right_people_did_their_part(
    stage: Stage, bot: Application, house: House, ana: Player, ben: Player, pictures: Path
) -> None:
    await ana.types("/deploy start storefront v1.4.2 production --checklist release")
    await ana.sees("Before the deploy", where=ana.card)
    await ana.opens_the_thread()
    await ana.sees("🚧 Go waits for it", where=section(ana, "Before the deploy"))
    await ana.sees("owned by security", where=section(ana, "Before the deploy"))

    # Go is refused with what is open; Ana ticks one of it right there.
    await ana.card.get_by_role("button", name=re.compile("^Look at the evidence again")).click()
    await ana.sees("No Go yet: 2 required items are open. Before the deploy: “Backup is fresh”")
    await ana.looks(str(pictures / "gate.png"))
    await ana.page.get_by_role("button", name=re.compile("^What is open")).last.click()
    await ana.sees("Release notes are written (optional)", where=ana.form)
    await ana.looks(str(pictures / "open.png"))
    await ana.form.locator("label", has_text="Backup is fresh").locator("input").check()
    await ana.submits("Tick these")
    await ana.sees_ticked("Backup is fresh", by="ana")

    # The other one does not apply; the reason stays with it.
    await section(ana, "Before the deploy").get_by_role("button", name=re.compile("^Waive, assign")).click()
    await chooses(ana, "Secrets are rotated", "Not applicable…")
    await ana.form.locator("textarea").fill("No secret is touched")
    await ana.submits("Waive")
    await ana.sees("⊘ not applicable · ana: No secret is touched", where=ana.thread)

    # Ben gets an item, once, with a note and a link.
    await ana.types("/deploy assign Queues drain @ben")
    await ana.sees(re.compile("@ben, @ana gave you 1 item:.*Queues drain", re.DOTALL), where=ana.thread)
    await (
        section(ana, "After the deploy")
        .get_by_role("button", name=re.compile("^Waive, assign"))
        .first.click()
    )
    await chooses(ana, "Queues drain", "Note or link…")
    await ana.form.locator("textarea").fill("The dashboard has them")
    await ana.form.locator("input[type=url], input[type=text]").last.fill("https://grafana.example.com/q")
    await ana.submits("Add the note")
    await ana.sees("→ ben · 📝", where=ana.thread)

    # Ana leads, so her Go does not count; Ben's does.
    await ana.card.get_by_role("button", name=re.compile("^Look at the evidence again")).click()
    await ana.sees("Your own Go does not count here")
    await ben.opens_the_thread()
    asked = message(ben, "asks for Go")
    await ben.sees("@releasers: one of you, but not the lead, has to give it", where=asked)
    await ben.looks(str(pictures / "go.png"))
    await asked.get_by_role("button", name=re.compile("^Give Go")).click()
    await ben.sees("@ben gave Go for storefront v1.4.2", where=ben.thread)
    await ana.sees("Go by @ben", where=ana.card)
    await expect(asked.get_by_role("button", name=re.compile("^Give Go"))).to_have_count(0)

    # Carla is not in the group that may roll back.
    carla = await house.enters(CARLA, theme="dark")
    await carla.types("/deploy rollback it is slow")
    await carla.sees("You may not start a rollback here. Ask @releasers.")

    # The end waits for the last section; Ana needs Ben's name to end it all the same.
    await ana.card.get_by_role("button", name=re.compile("^Finish")).click()
    await ana.sees("Not finished: 2 required items are open")
    await ana.page.get_by_role("button", name=re.compile("^Override in an emergency")).last.click()
    await ana.form.locator("textarea").fill("The shift ends")
    await ana.submits("Ask for a second name")
    await ana.sees("waits for a second name", where=ana.card)
    await (
        message(ben, "Emergency override of the end")
        .get_by_role("button", name=re.compile("^Confirm the override"))
        .click()
    )
    await ben.page.get_by_role("dialog").get_by_role("button", name="Put my name to it").click()
    await ben.sees("In force: @ben put their name to it as well", where=ben.thread)
    await ana.sees("🟥 Emergency override of the end by @ana and @ben", where=ana.card)
    await ana.sees("Finished", where=ana.card)
    await expect(ana.card.get_by_role("button", name=re.compile("^Finish"))).to_have_count(0)
    await ana.looks(str(pictures / "override.png"))
    await carla.sees("🟥 Emergency override of the end by @ana and @ben", where=carla.card)
    await carla.looks(str(pictures / "override-dark.png"))
    assert [v.problems async for v in auditing.verify(bot.ports)] == [()]
