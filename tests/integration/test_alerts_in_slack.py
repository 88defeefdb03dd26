"""Alerts on the screen: in the workspace that enforces Slack's limits, loses answers and refuses files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bot.app import Application
from bot.domain.deployment import Deployment
from bot.domain.events import Fact
from bot.domain.signals import Measured, WatchPlan
from bot.domain.triggering import TriggerFinding
from bot.domain.watching import Source
from bot.services import alerting, finding
from bot.services.ports import ShiftedClock
from bot.storage import samples
from tests.makers import ANA, BEN, ScriptedWatching
from tests.stage import Json, NotThere, Stage, open_stage, running_bot

START = "/deploy start storefront v1.4.2 production"


@dataclass(frozen=True)
class House:
    stage: Stage
    bot: Application
    clock: ShiftedClock

    async def deployment(self) -> Deployment:
        [only] = await finding.opened(self.bot.ports, self.stage.installed.team_id)
        return only

    async def started(self) -> Deployment:
        await self.stage.ana.types(START)
        assert await self.bot.settle()
        return await self.deployment()

    async def raises(self, deployment: Deployment) -> None:
        """The watch sees errors rise, with samples to show."""
        now = self.clock.now()
        async with self.bot.ports.database.write() as tx:
            await samples.add(
                tx,
                deployment.id,
                [
                    (
                        "errors",
                        Measured(at=now - timedelta(minutes=10 - at), value=0.2 + (at > 7) * 3, count=400),
                    )
                    for at in range(10)
                ],
            )
        told = TriggerFinding(
            signal="errors",
            label="errors",
            measure="error_pct",
            change="0.2 % → 3.2 %",
            since=(now - timedelta(minutes=2)).isoformat(),
        )
        await alerting.report(
            self.bot.ports,
            deployment.id,
            key="errors",
            title="Significant error rate increase",
            source=Source.WATCH,
            finding=told,
            size=3.0,
        )

    async def alerts(self) -> list[Json]:
        """The alerts as the channel shows them."""
        return [m for m in await self.stage.ana.history() if m.get("subtype") == "thread_broadcast"]

    async def alert(self) -> Json:
        found = await self.alerts()
        if not found:
            raise NotThere("no alert in the channel")
        return found[-1]

    async def with_chart(self) -> Json:
        message = await self.alert()
        if not any(block["type"] == "image" for block in message["blocks"]):
            raise NotThere("the alert has no chart")
        return message


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = ShiftedClock()
    plan = WatchPlan(on_call=BEN, escalate=(300.0, 600.0))
    async with (
        open_stage() as stage,
        running_bot(
            stage, f"sqlite:///{tmp_path / 'd.db'}", clock=clock, watching=ScriptedWatching(plan)
        ) as bot,
    ):
        yield House(stage, bot, clock)


async def test_an_alert_is_shown_in_the_channel_before_the_rest_of_the_thread(house: House) -> None:
    await house.stage.ana.types(START)
    await house.stage.until(house.stage.root, what="the card is there")
    await house.raises(await house.deployment())
    assert await house.bot.settle()
    thread = await house.stage.thread()
    at = [m.get("subtype") for m in thread].index("thread_broadcast")
    assert at <= 3, "at most what was being sent already comes before it"
    assert len(thread) == 9
    [shown] = await house.alerts()
    assert f"<@{ANA}> <@{BEN}>" in str(shown["blocks"])


async def test_an_alert_gets_its_chart_by_a_later_edit(house: House) -> None:
    await house.raises(await house.started())
    message = await house.stage.until(house.with_chart, what="the chart")
    [picture] = [block for block in message["blocks"] if block["type"] == "image"]
    assert picture["alt_text"].startswith("Line chart of errors, %")
    got = await house.stage.client.get(f"/files/{picture['slack_file']['id']}/image")
    assert got.content.startswith(b"\x89PNG")
    posted = [e for e in await house.stage.traffic("chat.postMessage") if "reply_broadcast" in str(e)]
    assert len(posted) == 1


async def test_the_chart_of_an_alert_that_a_quick_look_raised_shows_what_was_measured(house: House) -> None:
    deployment = await house.started()
    go = house.clock.now() - timedelta(minutes=10)
    async with house.bot.ports.database.write() as tx:
        said_go = Fact(kind="deployment.go", actor=ANA, at=go)
        deployment = await house.bot.ports.deployments.append(tx, deployment, [said_go])
        taken = [("errors", at, 0.2) for at in range(-10, 9)]
        taken += [("errors@fast", at, 0.0) for at in range(-10, 0)] + [("errors@fast", 9, 6.0)]
        measured = [
            (name, Measured(at=go + timedelta(minutes=at), value=v, count=400)) for name, at, v in taken
        ]
        await samples.add(tx, deployment.id, measured)
    since = (go + timedelta(minutes=9)).isoformat()
    told = TriggerFinding(signal="errors@fast", label="errors", measure="error_pct", since=since)
    await alerting.report(
        house.bot.ports,
        deployment.id,
        key="errors",
        title="Errors",
        source=Source.WATCH,
        finding=told,
        size=6.0,
    )
    message = await house.stage.until(house.with_chart, what="the chart")
    [picture] = [block for block in message["blocks"] if block["type"] == "image"]
    assert "usually between 0.2 and 0.2" in picture["alt_text"]
    assert "from 10 min before the deploy to 9 min after" in picture["alt_text"]


@pytest.mark.parametrize(
    "fault",
    [
        {"method": "files.getUploadURLExternal", "mode": "status", "status": 503},
        {"method": "files.completeUploadExternal", "mode": "lost_answer"},
        None,
    ],
)
async def test_a_chart_that_cannot_be_shown_yet_holds_nothing_up(house: House, fault: Json | None) -> None:
    deployment = await house.started()
    await asyncio.sleep(0.2)
    if fault is not None:
        await house.stage.fault(kind="api", **fault)
    await house.raises(deployment)
    await house.stage.until(house.alert, within=3, what="the alert")
    await house.stage.ben.presses(await house.alert(), "Acknowledge")
    await house.stage.until(
        lambda: _says(house, "Acknowledged by ben"), within=8, what="the alert says who took it"
    )
    message = await house.stage.until(house.with_chart, within=20, what="the chart")
    assert "Acknowledged by ben" in message["text"]
    # The workspace, as Slack, does not show a file right after its upload: it was refused, and tried again.
    assert "invalid slack file" in str(await house.stage.traffic("chat.update"))


async def _says(house: House, text: str) -> bool:
    return text in (await house.alert())["text"]


async def test_without_the_right_to_upload_the_alert_goes_without_a_chart(house: House) -> None:
    deployment = await house.started()
    await house.stage.client.post("/control/scopes", json={"remove": ["files:write"]})
    await house.raises(deployment)
    assert await house.bot.settle()
    await asyncio.sleep(1.5)
    message = await house.alert()
    assert "Significant error rate increase" in message["text"]
    assert not any(block["type"] == "image" for block in message["blocks"])


@pytest.mark.parametrize("mode", ["lost_answer", "drop"])
async def test_an_alert_whose_answer_is_lost_is_shown_once(house: House, mode: str) -> None:
    deployment = await house.started()
    await house.stage.fault(kind="api", method="chat.postMessage", mode=mode, times=2)
    await house.raises(deployment)
    assert await house.bot.settle(within=60)
    assert len(await house.alerts()) == 1


async def test_nobody_acknowledges_so_the_lead_is_told_directly_with_a_link(house: House) -> None:
    await house.raises(await house.started())
    assert await house.bot.settle()
    house.clock.forward(timedelta(seconds=301))

    async def direct() -> Json:
        state = (await house.stage.client.get("/control/state")).json()
        direct = [c["id"] for c in state["channels"] if c["is_im"] and ANA in c["members"]]
        found = [m for one in direct for m in state["messages"].get(one, ())]
        if not found:
            raise NotThere("no direct message")
        return dict(found[-1])

    told = await house.stage.until(direct, what="a direct message")
    assert "Nobody has acknowledged Significant error rate increase yet" in told["text"]
    assert (await house.alert())["ts"].replace(".", "") in str(told["blocks"])


async def test_what_people_type_raises_rolls_back_and_drills(house: House) -> None:
    deployment = await house.started()
    ana = house.stage.ana
    await ana.types("/deploy raise critical functionality failure")
    await house.stage.until(lambda: _says(house, "Critical functionality failure"), what="the alert")
    assert "Raised by ana" in (await house.alert())["text"]
    await ana.types("/deploy watch longer")
    assert "is not being watched" in (await ana.whispers())[-1]
    await ana.types("/deploy watch closely")
    assert "There is `watch longer`" in (await ana.whispers())[-1]
    await ana.types(f"/deploy rollback {deployment.name} guests cannot pay")
    [view] = await house.stage.until(lambda: house.stage.views(ANA), what="the form")
    assert "Critical functionality failure" in str(view["blocks"])
    await ana.submits(view)
    assert await house.bot.settle()
    state = await house.deployment()
    assert state.aftermath.rollback is not None
    assert state.aftermath.rollback.why == "guests cannot pay"
    assert "Rolling back, step 1 of 6" in (await house.stage.root())["text"]
    await ana.types("/deploy rollback again")
    assert "was started already" in (await ana.whispers())[-1]


async def test_who_raises_what_is_raised_already_is_told_so_and_nothing_is_broadcast(house: House) -> None:
    await house.started()
    ana, ben = house.stage.ana, house.stage.ben
    await ana.types("/deploy raise significant error rate increase")
    await house.stage.until(lambda: _says(house, "Raised by ana"), what="the alert")
    await ben.types("/deploy raise")
    [view] = await house.stage.until(lambda: house.stage.views(BEN), what="the form")
    await ben.submits(view, trigger="Significant error rate increase", words="payments answer 500")
    assert await house.stage.views(BEN) == [], "the form is closed: nothing is wrong with it"
    [told] = await house.stage.until(ben.whispers, what="an answer to Ben")
    assert "“Significant error rate increase” is raised already, so nobody is called again." in told
    assert "acknowledge it there, or start the rollback" in told
    await house.stage.until(lambda: _says(house, "Also raised by ben"), what="Ben's report")
    await ana.types("/deploy raise Significant error rate increase")
    assert "is raised already" in (await ana.whispers())[-1]
    assert await house.bot.settle()
    [only] = await house.alerts()
    assert "payments answer 500" in only["text"]


async def test_a_button_of_an_alert_that_was_cleared_says_so_and_changes_nothing(house: House) -> None:
    await house.raises(await house.started())
    assert await house.bot.settle()
    stale = await house.alert()
    await house.stage.ana.presses(stale, "Not this deploy")
    [view] = await house.stage.until(lambda: house.stage.views(ANA), what="the form")
    await house.stage.ana.submits(view, reason="the provider is down")
    await house.stage.until(lambda: _says(house, "Cleared by ana"), what="it is cleared")
    await house.stage.ben.presses(stale, "Acknowledge")
    thread = (await house.stage.root())["ts"]
    told = await house.stage.until(
        lambda: house.stage.ben.whispers(thread_ts=thread), what="an answer to Ben"
    )
    assert "was cleared meanwhile" in told[-1]
    assert (await house.deployment()).aftermath.triggers["errors"].acknowledged_by == ""


async def test_an_alert_that_was_this_deploys_is_cleared_as_mended(house: House) -> None:
    await house.raises(await house.started())
    assert await house.bot.settle()
    await house.stage.ana.presses(await house.alert(), "Not this deploy")
    [view] = await house.stage.until(lambda: house.stage.views(ANA), what="the form")
    await house.stage.ana.submits(view, reason="the pool is larger now", cause="Yes, and it is mended")
    await house.stage.until(lambda: _says(house, "Mended, says ana"), what="it is cleared")
    assert (await house.deployment()).aftermath.triggers["errors"].ours


async def test_a_clean_deployment_costs_no_message_beyond_its_sections(house: House) -> None:
    await house.started()
    house.clock.forward(timedelta(hours=3))
    await asyncio.sleep(4)
    assert await house.bot.settle()
    assert len(await house.stage.thread()) == 8
