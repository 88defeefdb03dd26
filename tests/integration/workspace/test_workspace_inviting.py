"""`/invite @name`, as people type it, and who a page acts as."""

from __future__ import annotations

from typing import Any

from tests.integration.workspace.workspace_stage import (
    ANA,
    BEN,
    CARLA,
    DEPLOYS,
    RANDOM,
    App,
    Person,
    connected,
    stage,
    until,
)

Json = dict[str, Any]


async def members(person: Person, channel: str) -> list[str]:
    channels = (await person.looks("boot"))["channels"]
    return next(list(one["members"]) for one in channels if one["id"] == channel)


async def last_note(person: Person, channel: str) -> str:
    """The last thing Slack told this person alone."""
    return [str(m["text"]) for m in await person.sees(channel) if m.get("ephemeral")][-1]


async def test_an_invitation_adds_the_app_which_hears_of_it() -> None:
    async with stage() as opened:
        app, heard = App(opened), list[Json]()

        @app.hears("event", "member_joined_channel")
        async def joined(event: Json) -> None:
            heard.append(event)

        bot, ana = opened.installation.bot_user_id, opened.person(ANA)
        async with connected(opened, app, "websockets"):
            assert (await ana.types("/invite @greeter", channel=RANDOM))["ok"]
            await until(lambda: len(heard) == 1)
        assert (heard[0]["user"], heard[0]["channel"], heard[0]["inviter"]) == (bot, RANDOM, ANA)
        assert bot in await members(ana, RANDOM)
        assert await last_note(ana, RANDOM) == "You added @greeter to this channel."


async def test_several_are_added_at_once_and_who_is_there_or_unknown_is_told_to_the_typist_alone() -> None:
    async with stage() as opened:
        ana, bot = opened.person(ANA), opened.installation.bot_user_id
        launch = (await ana.does("channel", name="launch", private=True))["channel"]["id"]
        await ana.types("/invite @ben", channel=launch)
        assert (await ana.types("/invite @carla, @greeter @ben @nobody", channel=launch))["ok"]
        assert set(await members(ana, launch)) == {ANA, BEN, CARLA, bot}
        assert (await last_note(ana, launch)).splitlines() == [
            "You added @carla and @greeter to this channel.",
            "@ben is already in this channel.",
            "There is nobody called @nobody here.",
        ]
        assert not [m for m in await opened.person(BEN).sees(launch) if m.get("ephemeral")]
        # What can't be done is told in the composer as well, so that it can be put right.
        alone = await ana.types("/invite @nobody", channel=launch)
        assert (alone["error"], alone["message"]) == (
            "user_not_found",
            "There is nobody called @nobody here.",
        )
        assert (await ana.types("/invite", channel=launch))["message"] == "Whom? Type /invite @name."


async def test_an_invitation_needs_a_channel_one_is_in() -> None:
    async with stage() as opened:
        ana, carla = opened.person(ANA), opened.person(CARLA)
        created = (await ana.does("channel", name="launch"))["channel"]["id"]
        assert (await carla.types("/invite @greeter", channel=created))["error"] == "not_in_channel"
        direct = (await ana.does("dm", other=BEN))["channel"]["id"]
        assert (await ana.types("/invite @carla", channel=direct))["error"] == "not_in_direct"
        root = await ana.types("hello")
        answer = await ana.types("/invite @carla", channel=DEPLOYS, thread_ts=root["ts"])
        assert answer["error"] == "command_in_thread"


async def test_a_page_acts_as_whom_it_names_by_id_or_by_handle_and_as_nobody_else() -> None:
    async with stage() as opened:
        for name in (BEN, "ben", "@Ben"):
            assert (await opened.person(name).looks("boot"))["me"]["id"] == BEN
        for name in ("nobody", "greeter", ""):
            assert (await opened.person(name).looks("boot"))["error"] == "user_not_found"
        people = (await opened.person("nobody").looks("people"))["people"]
        assert {ANA, BEN, CARLA} <= {one["id"] for one in people}
        assert not [one for one in people if one["is_bot"]]
