"""Two workspaces, one bot: each acts, posts and is counted with its own token, and leaves by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.app import Application
from bot.services import finding
from bot.services.ports import ShiftedClock
from bot.storage import installations, posts
from bot.storage.sealing import new_key
from tests.makers import CHANNEL
from tests.stage import Json, find_box
from tests.two_teams import DORA, SECOND_CHANNEL, Browser, TwoTeams, bot_messages, kept, open_two_teams

START = "/deploy start storefront v1.4.2 production"


@pytest.fixture
async def teams(tmp_path: Path) -> AsyncIterator[TwoTeams]:
    async with open_two_teams(tmp_path) as teams:
        yield teams


@pytest.fixture
async def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def bot(teams: TwoTeams, clock: ShiftedClock, tmp_path: Path) -> AsyncIterator[Application]:
    async with teams.bot(f"sqlite:///{tmp_path / 'd.db'}", clock=clock) as bot:
        yield bot


@pytest.fixture
async def browser(teams: TwoTeams, bot: Application) -> AsyncIterator[Browser]:
    async with Browser(teams.bot_url) as browser:
        yield browser


async def _left(teams: TwoTeams, bot: Application) -> str:
    """Wait until the bot has heard that the second team took it away; the team."""
    team = teams.second.installed.team_id

    async def revoked() -> bool:
        found = await kept(bot, team)
        return found is not None and found.revoked_at is not None

    await teams.second.until(revoked, what="the removal is heard of")
    return team


async def _thread(teams: TwoTeams) -> list[Json]:
    messages = await bot_messages(teams.second, SECOND_CHANNEL)
    return messages if len(messages) == 2 else []


async def test_the_same_service_is_deployed_in_both_and_each_post_goes_with_its_own_token(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    await teams.joins_both(browser)
    for person, channel in ((teams.first.ana, CHANNEL), (teams.dora, SECOND_CHANNEL)):
        answer = await person.types(START, channel=channel)
        assert answer["ok"], answer
    assert await bot.settle()
    one, other = teams.first.installed.team_id, teams.second.installed.team_id
    assert one != other
    for stage, team, channel, lead in (
        (teams.first, one, CHANNEL, "ana"),
        (teams.second, other, SECOND_CHANNEL, "dora"),
    ):
        found = await finding.opened(bot.ports, team)
        assert [deployment.target.service for deployment in found] == ["storefront"]
        shown = await bot_messages(stage, channel)
        assert len(shown) == 2
        assert lead in json.dumps(shown)
        # Calls are recorded by the team whose token they came with.
        posted = await stage.traffic("chat.postMessage")
        assert {entry["request"]["channel"] for entry in posted} == {channel}


async def test_what_both_do_at_once_is_never_mixed_up(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    await teams.joins_both(browser)
    for stage in (teams.first, teams.second):
        # Each waits for Slack in the middle of its answers, so that they overlap.
        await stage.fault(kind="api", mode="slow", seconds=0.2, method="conversations.info", times=-1)
    asked = []
    for number in range(6):
        start = f"/deploy start service-{number} v1 production"
        asked += [teams.first.ana.types(start), teams.dora.types(start, channel=SECOND_CHANNEL)]
    assert all(answer["ok"] for answer in await asyncio.gather(*asked))
    assert await bot.settle(within=60)
    for stage, channel in ((teams.first, CHANNEL), (teams.second, SECOND_CHANNEL)):
        looked = await stage.traffic("conversations.info")
        assert [entry["request"]["channel"] for entry in looked] == [channel] * 6
        people = {entry["request"]["user"] for entry in await stage.traffic("users.info")}
        assert people == {DORA if stage is teams.second else "UANA0000001"}
        assert len(await bot_messages(stage, channel)) == 12


async def test_a_click_is_drawn_where_it_was_made_and_links_lead_there(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    await teams.joins_both(browser)
    await teams.dora.types(START, channel=SECOND_CHANNEL)
    assert await bot.settle()
    section = (await _thread(teams))[1]
    await _tick(teams, section, "Say hello")

    async def ticked() -> bool:
        return "dora" in json.dumps((await _thread(teams))[1]["blocks"])

    await teams.second.until(ticked, what="the tick is drawn with her name")
    await teams.dora.types("/deploy list", channel=SECOND_CHANNEL)
    told = (await teams.dora.whispers(SECOND_CHANNEL))[-1]
    assert f"<{teams.second.workspace.url}/archives/{SECOND_CHANNEL}/" in told
    await teams.first.ana.types("/deploy list")
    assert "No deployment is open" in (await teams.first.ana.whispers())[-1]


async def test_a_deployment_of_the_other_team_can_neither_be_named_nor_clicked(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    await teams.joins_both(browser)
    await teams.dora.types(START, channel=SECOND_CHANNEL)
    assert await bot.settle()
    await teams.first.ana.types("/deploy status storefront-1")
    assert "storefront-1" in (await teams.first.ana.whispers())[-1]
    await teams.first.ana.types("/deploy abort storefront-1 it rains")
    assert len(await finding.opened(bot.ports, teams.second.installed.team_id)) == 1


async def test_a_workspace_that_leaves_loses_its_token_and_the_other_goes_on(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    await teams.joins_both(browser)
    await teams.dora.types(START, channel=SECOND_CHANNEL)
    await teams.first.ana.types(START)
    assert await bot.settle()
    assert teams.second.workspace.uninstall("Deploybot")
    team = await _left(teams, bot)
    gone = await kept(bot, team)
    assert gone is not None
    assert gone.token is None
    deployment = (await finding.opened(bot.ports, team))[0]
    async with bot.ports.database.write() as tx:
        await posts.want(tx, deployment_id=deployment.id, at=bot.ports.clock.now())
    before = len(await teams.first.traffic()) + len(await teams.second.traffic())
    # Nothing is tried for it any more, and nothing is said to wait; the other one's posts are sent.
    assert await bot.settle()
    ready, told = await bot.readiness()
    assert ready, told
    assert told["slack"]["installations"] == {"live": 1, "revoked": 1}
    assert len(await teams.first.traffic()) + len(await teams.second.traffic()) == before
    await teams.first.ticks(teams.first.ben, "Say hello")
    assert await bot.settle()
    assert "ben" in json.dumps((await teams.first.thread())[1]["blocks"])


async def test_a_workspace_that_comes_back_is_picked_up_where_it_was_left(
    teams: TwoTeams, database_url: str, clock: ShiftedClock
) -> None:
    async with teams.bot(database_url, clock=clock) as bot, Browser(teams.bot_url) as browser:
        await teams.joins_both(browser)
        await teams.dora.types(START, channel=SECOND_CHANNEL)
        assert await bot.settle()
        teams.second.workspace.uninstall("Deploybot")
        team = await _left(teams, bot)
        deployment = (await finding.opened(bot.ports, team))[0]
        page = await browser.installs(teams.dora_of_second)
        assert "is in Second workspace again" in page.text
        await teams.invites(teams.second, DORA, SECOND_CHANNEL)
        section = (await _thread(teams))[1]
        await _tick(teams, section, "Wave")
        # What could not be sent before the bot was back in the channel is tried a minute later.
        clock.forward(timedelta(minutes=2))
        bot.ports.bell.ring()
        assert await bot.settle()
        assert "dora" in json.dumps((await _thread(teams))[1]["blocks"])
        assert (await finding.opened(bot.ports, team))[0].id == deployment.id


async def _tick(teams: TwoTeams, section: Json, text: str) -> Any:
    block, element, option = find_box(section, text)
    return await teams.dora.clicks(
        section,
        block["block_id"],
        element["action_id"],
        {"selected_options": [option]},
        channel=SECOND_CHANNEL,
    )


async def test_old_news_of_a_removal_does_not_take_a_new_installation_away(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    await teams.joins_both(browser)
    teams.second.workspace.uninstall("Deploybot")
    team = await _left(teams, bot)
    news = [
        entry
        for entry in await teams.second.traffic("events_api", direction="slack→bot")
        if entry["request"]["event"]["type"] == "app_uninstalled"
    ]
    assert (await browser.installs(teams.dora_of_second)).status_code == 200
    answer = await teams.second.client.post("/control/deliver", json={"seq": news[-1]["seq"]})
    assert answer.json()["status"] == "ok", answer.text
    found = await kept(bot, team)
    assert found is not None
    assert found.revoked_at is None


async def test_a_removal_nobody_told_of_is_noticed_with_the_first_refused_call(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    await teams.joins_both(browser)
    await teams.dora.types(START, channel=SECOND_CHANNEL)
    assert await bot.settle()
    await teams.second.fault(kind="delivery", mode="drop", type="events_api", times=-1)
    teams.second.workspace.uninstall("Deploybot")
    team = teams.second.installed.team_id
    deployment = (await finding.opened(bot.ports, team))[0]
    async with bot.ports.database.write() as tx:
        await posts.want(tx, deployment_id=deployment.id, at=bot.ports.clock.now())
    bot.ports.bell.ring()
    assert await bot.settle()
    found = await kept(bot, team)
    assert found is not None
    assert found.token is None
    assert (await bot.readiness())[0]


async def test_the_home_workspace_keeps_its_static_token_and_others_join(tmp_path: Path) -> None:
    async with (
        open_two_teams(tmp_path, home=True, http=True) as teams,
        teams.bot(f"sqlite:///{tmp_path / 'd.db'}", slack_app_token="") as bot,
        Browser(teams.bot_url) as browser,
    ):
        await teams.first.ana.types(START)
        assert (await browser.installs(teams.dora_of_second)).status_code == 200
        await teams.invites(teams.second, DORA, SECOND_CHANNEL)
        await teams.dora.types(START, channel=SECOND_CHANNEL)
        assert await bot.settle()
        assert len(await teams.first.thread()) == 2
        assert len(await _thread(teams)) == 2
        assert await kept(bot, teams.first.installed.team_id) is None
        # A removal is heard of over HTTP, too; at home it is the static token that is gone.
        teams.second.workspace.uninstall("Deploybot")
        await _left(teams, bot)
        teams.first.workspace.uninstall("Deploybot")

        async def home_left() -> bool:
            found = await kept(bot, teams.first.installed.team_id)
            return found is not None and found.revoked_at is not None

        await teams.first.until(home_left, what="home has left")
        assert (await bot.readiness())[0]


async def test_a_dead_static_token_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    async with open_two_teams(tmp_path, home=True) as teams:
        database = f"sqlite:///{tmp_path / 'd.db'}"
        async with teams.bot(database), Browser(teams.bot_url) as browser:
            assert (await browser.installs(teams.dora_of_second)).status_code == 200
        teams.first.workspace.uninstall("Deploybot")
        async with teams.bot(database) as bot:
            await teams.invites(teams.second, DORA, SECOND_CHANNEL)
            await teams.dora.types(START, channel=SECOND_CHANNEL)
            assert await bot.settle()
            assert len(await _thread(teams)) == 2


async def test_a_lost_key_names_the_workspace_and_stops_no_other(
    teams: TwoTeams, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = f"sqlite:///{tmp_path / 'd.db'}"
    async with teams.bot(database) as bot, Browser(teams.bot_url) as browser:
        await teams.joins_both(browser)
        await teams.dora.types(START, channel=SECOND_CHANNEL)
        assert await bot.settle()
        deployment = (await finding.opened(bot.ports, teams.second.installed.team_id))[0]
    teams.keys = new_key()
    async with teams.bot(database) as bot, Browser(teams.bot_url) as browser:
        assert (await browser.installs(teams.ana)).status_code == 200
        await teams.invites(teams.first, "UANA0000001", CHANNEL)
        async with bot.ports.database.write() as tx:
            await posts.want(tx, deployment_id=deployment.id, at=bot.ports.clock.now())
        await teams.first.ana.types(START)
        bot.ports.bell.ring()

        async def shown() -> bool:
            return len(await bot_messages(teams.first, CHANNEL)) == 2

        await teams.first.until(shown, what="the other team is served")

        async def said() -> bool:
            async with bot.ports.database.read() as tx:
                problem = (await posts.backlog(tx)).problem or ""
            return "Second workspace" in problem and "/slack/install" in problem

        await teams.first.until(said, what="the problem names the workspace")


async def test_whoever_uses_a_bot_that_is_gone_is_told_so(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    await teams.joins_both(browser)
    async with bot.ports.database.write() as tx:
        await installations.revoke(tx, teams.second.installed.team_id, at=bot.ports.clock.now())

    async def told() -> bool:
        await teams.dora.types("/deploy list", channel=SECOND_CHANNEL)
        return any("not installed" in said for said in await teams.dora.whispers(SECOND_CHANNEL))

    await teams.second.until(told, within=20, what="she is told")


async def test_an_alert_that_names_a_workspace_reaches_no_other(teams: TwoTeams, tmp_path: Path) -> None:
    token = "hook-token"
    async with (
        teams.bot(f"sqlite:///{tmp_path / 'd.db'}", hook_token=SecretStr(token)) as bot,
        Browser(teams.bot_url) as browser,
        httpx.AsyncClient(base_url=teams.bot_url, headers={"Authorization": f"Bearer {token}"}) as sender,
    ):
        await teams.joins_both(browser)
        for person, channel in ((teams.first.ana, CHANNEL), (teams.dora, SECOND_CHANNEL)):
            await person.types(START, channel=channel)
        assert await bot.settle()
        one, other = teams.first.installed.team_id, teams.second.installed.team_id
        labels = {"alertname": "OrdersFail", "service": "storefront", "environment": "production"}
        began = "2026-03-01T10:00:00Z"
        alert = {"status": "firing", "labels": labels, "fingerprint": "f1", "startsAt": began}
        payload = {"version": "4", "alerts": [alert]}
        answer = await sender.post("/hooks/alertmanager", params={"team": other}, json=payload)
        assert [done["outcome"] for done in answer.json()["outcomes"]] == ["raised"]
        trigger = {"service": "storefront", "environment": "production", "title": "Carts fail", "team": other}
        answer = await sender.post("/hooks/triggers", json=trigger)
        assert [done["outcome"] for done in answer.json()["outcomes"]] == ["raised"]
        for team, raised in ((one, 0), (other, 2)):
            [deployment] = await finding.opened(bot.ports, team)
            assert len(deployment.aftermath.triggers) == raised
        answer = await sender.post("/hooks/alertmanager", params={"team": "TNOWHERE01"}, json=payload)
        assert answer.status_code == 422
        assert "not in the workspace TNOWHERE01" in answer.json()["error"]
