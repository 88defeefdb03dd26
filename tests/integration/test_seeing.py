"""Deployments of private channels: for the people of the channel and the lead, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import Application
from bot.domain.deployment import Deployment
from bot.domain.errors import AudienceUnknown, NoSuchDeployment
from bot.services import ending, finding, seeing, starting, surveying, tending
from bot.slack.gateway import Account, Gateway, web_client
from bot.storage.database import Database
from tests.makers import ANA, BEN, CARLA, CHANNEL, TEAM, ListedChannels, make_ports, start, start_request
from tests.stage import Stage, running_bot

#: The local workspace's private channel: Ana and Ben are in it, Carla is not.
ROOM = "G0RELEASE01"
START = "/deploy start secretshop v9 production"


@pytest.fixture
async def bot(stage: Stage, tmp_path: Path) -> AsyncIterator[Application]:
    async with running_bot(stage, f"sqlite:///{tmp_path / 'deploybot.db'}") as bot:
        invitation = {"user": ANA, "channel": ROOM, "member": stage.installed.bot_user_id}
        assert (await stage.client.post("/client/invite", json=invitation)).json()["ok"]
        yield bot


async def started(bot: Application, stage: Stage) -> Deployment:
    await stage.ana.types(START, channel=ROOM)
    await stage.until(lambda: finding.opened(bot.ports, stage.installed.team_id))
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    return deployment


async def whispered(stage: Stage, user: str, text: str, channel: str = CHANNEL) -> str:
    said = await stage.person(user).whispers(channel)
    return next((one for one in said if text in one), "")


async def test_others_find_it_neither_in_the_list_nor_by_name(bot: Application, stage: Stage) -> None:
    deployment = await started(bot, stage)
    await stage.carla.types("/deploy list")
    await stage.until(lambda: whispered(stage, CARLA, "No deployment is open"))
    for command in ("status", "report", "abort", "check", "open"):
        more = " because of reasons" if command == "abort" else ""
        await stage.carla.types(f"/deploy {command} {deployment.name}{more}")
    await stage.until(lambda: whispered(stage, CARLA, f"no deployment called “{deployment.name}”"))
    told = "\n".join(await stage.carla.whispers())
    assert "secretshop v9" not in told
    assert "/archives/G0" not in told
    assert (await finding.opened(bot.ports, stage.installed.team_id))[0].phase.open

    await stage.ben.types("/deploy list")
    await stage.until(lambda: whispered(stage, BEN, "secretshop"))
    await stage.ben.types(f"/deploy status {deployment.name}")
    await stage.until(lambda: whispered(stage, BEN, deployment.name))


async def test_a_start_it_stands_in_the_way_of_names_it_to_those_who_may_see_it_alone(
    bot: Application, stage: Stage
) -> None:
    deployment = await started(bot, stage)
    again = "/deploy start secretshop v10 production"
    await stage.carla.types(again)
    said = await stage.until(lambda: whispered(stage, CARLA, "is already being deployed"))
    assert said == (
        "secretshop is already being deployed to production, in a private channel. "
        f"Ask <@{ANA}>, who leads it, when it will be over."
    )
    [refused] = [m for m in await stage.carla.history() if m.get("ephemeral") and m["text"] == said]
    await stage.carla.presses(refused, "Tell me when it is free")
    await stage.until(lambda: whispered(stage, CARLA, "You are first in line"))
    await stage.carla.types("/deploy start secretshop v10")
    [view] = await stage.until(lambda: stage.views(CARLA))
    answer = str(await stage.carla.submits(view, environment="production"))
    assert "in a private channel. Ask ana, who leads it" in answer
    told = answer + "\n".join(await stage.carla.whispers())
    assert deployment.name not in told
    assert "v9" not in told
    assert "/archives/G0" not in told

    await stage.ben.types(again)
    said = await stage.until(lambda: whispered(stage, BEN, "is already being deployed"))
    assert f"{deployment.name}, version v9, led by <@{ANA}>" in said
    assert "/archives/G0" in said


async def test_others_homes_do_not_show_it_before_and_after_its_end(bot: Application, stage: Stage) -> None:
    for user in (BEN, CARLA):
        await stage.person(user).opens_home(stage.installed.bot_user_id)
    await started(bot, stage)
    await stage.ana.types("/deploy raise Payments fail", channel=ROOM)
    await stage.until(lambda: stage.home_says(BEN, "secretshop", "Payments fail"))
    before = await stage.until(lambda: stage.home_says(CARLA, "No deployment is running"))
    assert "secretshop" not in str(before["blocks"])
    await stage.ana.types("/deploy abort we stop here", channel=ROOM)
    await stage.until(lambda: stage.home_says(BEN, "aborted by", "we stop here"))
    await stage.carla.opens_home(stage.installed.bot_user_id)
    await bot.settle()
    assert "secretshop" not in str((await stage.home(CARLA))["blocks"])


async def test_an_item_that_is_given_to_somebody_outside_is_ticked_in_their_home(
    bot: Application, stage: Stage
) -> None:
    deployment = await started(bot, stage)
    await tending.assign(bot.ports, deployment.id, [0], to=CARLA, user=ANA, delivery="give")
    await stage.carla.opens_home(stage.installed.bot_user_id)
    text = deployment.checklist.items[0].text
    view = await stage.until(
        lambda: stage.home_says(CARLA, "Your open items (1)", text, "No deployment is running")
    )
    await stage.carla.ticks_at_home(view, text)
    await stage.until(lambda: stage.home_says(CARLA, "✓ carla"))


async def test_others_ended_deployments_do_not_crowd_ones_own_out(database: Database) -> None:
    ports = make_ports(database, channels=ListedChannels(G0ROOM00001=[BEN]))
    ours = await start(ports)
    await ending.abort(ports, ours.id, user=ANA, reason="over", delivery="abort.ours")
    for number in range(surveying.ENDED + 1):
        theirs = await start(ports, service=f"secret-{number}", channel="G0ROOM00001")
        await ending.abort(ports, theirs.id, user=ANA, reason="over", delivery=f"abort.{number}")
    found = await surveying.survey(ports, TEAM, CARLA)
    assert [one.id for one in found.ended] == [ours.id]
    assert [post.deployment_id for post in found.messages] == [ours.id]
    assert len((await surveying.survey(ports, TEAM, BEN)).ended) == surveying.ENDED


async def test_a_shortcut_does_not_offer_it(bot: Application, stage: Stage) -> None:
    await started(bot, stage)
    await stage.carla.types("Look at this")
    [message] = [one for one in await stage.carla.history() if one["text"] == "Look at this"]
    for shortcut in ("note_from_message", "raise_from_message"):
        await stage.carla.chooses(shortcut, message)
    forms = await stage.until(lambda: stage.views(CARLA))
    assert "No deployment is open" in str(forms)
    assert "secretshop" not in str(forms)


async def test_what_slack_said_last_counts_while_it_says_nothing(bot: Application, stage: Stage) -> None:
    session = bot._session
    assert session is not None
    client = web_client(stage.installed.bot_token, stage.installed.api_url, session)
    gateway = Gateway(Account(client=client, believed_s=0))
    assert await gateway.audience(CHANNEL) is None
    people = await gateway.audience(ROOM)
    assert people == frozenset({ANA, BEN, stage.installed.bot_user_id})
    assert await gateway.audience("G0NOTTHERE1") == frozenset()
    await stage.fault(kind="api", mode="error", method="conversations.info", error="internal_error", times=-1)
    assert await gateway.audience(ROOM) == people
    assert await gateway.audience(CHANNEL) is None
    with pytest.raises(AudienceUnknown, match="does not say who may read <#C0RANDOM001>"):
        await gateway.audience("C0RANDOM001")


async def test_while_slack_says_nothing_the_rest_is_shown_and_what_is_missing_is_said(
    bot: Application, stage: Stage
) -> None:
    await stage.fault(kind="api", mode="error", method="conversations.info", error="internal_error", times=-1)
    await stage.carla.opens_home(stage.installed.bot_user_id)
    await stage.until(lambda: stage.home_says(CARLA, "No deployment is running"))
    team = stage.installed.team_id
    elsewhere = start_request(team=team, channel="C0RANDOM001", service="shop", lead=BEN)
    await starting.start(bot.ports, elsewhere)
    await stage.until(lambda: stage.home_says(CARLA, "does not say who may read <#C0RANDOM001>"))
    await stage.carla.types("/deploy list")
    await stage.until(lambda: whispered(stage, CARLA, "does not say who may read <#C0RANDOM001>"))
    await stage.client.delete("/control/faults")
    # As soon as Slack says it, the home shows it, though nothing else has changed.
    await stage.until(lambda: stage.home_says(CARLA, "shop v1.4.2", "led by <@UBEN"))
    await stage.carla.types("/deploy lock shop production for 2h Careful")
    told = await stage.until(lambda: whispered(stage, CARLA, "is locked"))
    assert "shop-1: under way already" in told


async def test_slack_is_asked_once_in_a_while(bot: Application, stage: Stage) -> None:
    await started(bot, stage)
    before = len(await stage.traffic("conversations.members"))
    team = stage.installed.team_id
    for _ in range(5):
        assert ANA in (await bot.ports.channels.audience(team, ROOM) or ())
    assert len(await stage.traffic("conversations.members")) <= before + 1


async def test_the_lead_sees_it_from_outside_and_an_item_given_to_somebody_is_theirs(
    database: Database,
) -> None:
    ports = make_ports(database, channels=ListedChannels(**{CHANNEL: [BEN]}))
    deployment = await start(ports)
    assert deployment.lead == ANA
    assert (await seeing.seen_by(ports, ANA, [deployment])).seen == [deployment]
    assert (await seeing.seen_by(ports, CARLA, [deployment])).seen == []
    with pytest.raises(NoSuchDeployment, match="/deploy list"):
        await finding.named(ports, TEAM, "storefront-11", user=CARLA)
    with pytest.raises(NoSuchDeployment, match="Did you mean storefront-1"):
        await finding.named(ports, TEAM, "storefront-11", user=BEN)
    # In the channel itself nobody is asked.
    assert await finding.named(ports, TEAM, deployment.name, user=CARLA, channel=CHANNEL) == deployment
    await tending.assign(ports, deployment.id, [0], to=CARLA, user=ANA, delivery="give")
    found = await surveying.survey(ports, TEAM, CARLA)
    assert (len(found.mine.items), found.running) == (1, [])
