"""App Homes, `mine`, shortcuts and pins, played through the local workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.app import Application
from bot.domain.deployment import Deployment
from bot.services import finding, tending
from bot.services.ports import ShiftedClock
from bot.slack import homes as home_tabs
from bot.slack.manifest import SHORTCUTS
from bot.storage import homes, pins, schema
from tests.makers import ANA, BEN, CARLA, CHANNEL
from tests.postgres import PostgresServer
from tests.stage import Json, Stage, running_bot, texts

START = "/deploy start storefront v1.4.2 production"


#: A message a section costs a second: plays need few of them.
SHORT = """# Production deployment

## Before

- [ ] Say hello
- [ ] Wave to everybody
- [ ] Look out of the window

## After

1. [ ] Say thanks
2. [ ] Say goodbye

## Rollback Plan

### Triggers

- Error rate rises
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "production.md").write_text(SHORT)
    return tmp_path


@pytest.fixture
def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'deploybot.db'}"


@pytest.fixture
async def bot(stage: Stage, database_url: str, folder: Path) -> AsyncIterator[Application]:
    async with running_bot(stage, database_url, checklists=folder) as bot:
        yield bot


async def started(bot: Application, stage: Stage) -> Deployment:
    """Ana's deployment, with all its messages."""
    await stage.ana.types(START)
    await stage.until(lambda: finding.opened(bot.ports, stage.installed.team_id))
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    assert await bot.settle()
    return deployment


async def give(bot: Application, deployment: Deployment, to: str, *positions: int) -> None:
    await tending.assign(
        bot.ports, deployment.id, positions, to=to, user=ANA, delivery=f"give.{to}.{positions}"
    )


async def opens(stage: Stage, user: str) -> None:
    await stage.person(user).opens_home(stage.installed.bot_user_id)


async def test_a_home_says_what_to_do_where_nothing_is(bot: Application, stage: Stage) -> None:
    await opens(stage, ANA)
    view = await stage.until(
        lambda: stage.home_says(ANA, "Nothing waits for you", "No deployment is running")
    )
    assert view["blocks"]
    await stage.until(lambda: stage.home_says(ANA, "`/deploy start` in a channel", "Nothing has ended yet"))


async def test_a_home_shows_ones_items_and_ticks_them(bot: Application, stage: Stage) -> None:
    await opens(stage, BEN)
    deployment = await started(bot, stage)
    await give(bot, deployment, BEN, 0, 1, 4)
    text = deployment.checklist.items[0].text
    view = await stage.until(
        lambda: stage.home_says(BEN, "Your open items (3)", text, "given to you by ana", "0* of 5")
    )
    await stage.ben.ticks_at_home(view, text)
    await stage.until(lambda: stage.home_says(BEN, "Your open items (2)", "1* of 5", "✓ ben"))
    [after] = await finding.opened(bot.ports, stage.installed.team_id)
    assert after.ticks[0].by == BEN
    # A slip is undone where it was made.
    await stage.ben.ticks_at_home(await stage.home(BEN), text)
    await stage.until(lambda: stage.home_says(BEN, "Your open items (3)", "0* of 5"))
    [after] = await finding.opened(bot.ports, stage.installed.team_id)
    assert 0 not in after.ticks


async def test_what_is_given_to_a_group_is_its_members(bot: Application, stage: Stage) -> None:
    group = (
        await stage.client.post(
            "/control/usergroups", json={"name": "Releasers", "handle": "releasers", "users": [BEN]}
        )
    ).json()
    deployment = await started(bot, stage)
    await give(bot, deployment, group["usergroup"]["id"], 3)
    for user in (BEN, CARLA):
        await opens(stage, user)
    await stage.until(lambda: stage.home_says(BEN, "Your open items (1)", "given to Releasers by ana"))
    await stage.until(lambda: stage.home_says(CARLA, "Nothing waits for you", "storefront v1.4.2"))


async def test_a_tick_on_a_stale_home_is_answered_in_a_form_and_taken_off_the_screen(
    bot: Application, stage: Stage
) -> None:
    deployment = await started(bot, stage)
    await give(bot, deployment, BEN, 0)
    await opens(stage, BEN)
    stale = await stage.until(lambda: stage.home_says(BEN, "Your open items (1)"))
    await stage.ana.types("/deploy abort enough")
    await stage.until(lambda: stage.home_says(BEN, "Nothing waits for you"))
    before = len(await stage.traffic("views.publish"))
    await stage.ben.ticks_at_home(stale, "Say hello")
    form = await stage.until(lambda: _form(stage, BEN, "Deploybot"))
    assert "storefront-1 is aborted already" in str(form["blocks"])

    async def drawn_again() -> bool:
        return len(await stage.traffic("views.publish")) > before

    await stage.until(drawn_again)


async def test_a_group_slack_does_not_tell_of_is_named(bot: Application, stage: Stage) -> None:
    deployment = await started(bot, stage)
    await give(bot, deployment, "S0NOBODY000", 0)
    await opens(stage, BEN)
    await stage.until(lambda: stage.home_says(BEN, "<!subteam^S0NOBODY000>", "may be missing here"))


async def test_mine_lists_the_same_in_a_channel_and_in_a_thread(bot: Application, stage: Stage) -> None:
    deployment = await started(bot, stage)
    await stage.ben.types("/deploy mine")
    await stage.until(lambda: _whispered(stage, BEN, "Nothing waits for you. What is given"))
    await give(bot, deployment, BEN, 0)
    await stage.ben.types("/deploy mine")
    told = await stage.until(lambda: _whispered(stage, BEN, "1 open"))
    assert deployment.checklist.items[0].text in told
    assert f"/archives/{CHANNEL}/p" in told
    thread = (await stage.root())["ts"]
    await stage.ana.types("@deploybot mine", thread_ts=thread)
    await stage.until(
        lambda: _whispered(stage, ANA, "Nothing waits for you in storefront v1.4.2", thread_ts=thread)
    )


async def _whispered(stage: Stage, user: str, text: str, thread_ts: str | None = None) -> str:
    said = await stage.person(user).whispers(thread_ts=thread_ts)
    return next((one for one in said if text in one), "")


async def test_an_alert_comes_to_every_open_home_and_the_end_to_its_history(
    bot: Application, stage: Stage
) -> None:
    await opens(stage, BEN)
    await started(bot, stage)
    await stage.ana.types("/deploy raise Payments fail")
    view = await stage.until(
        lambda: stage.home_says(
            BEN, "🚨 Alerts", "Payments fail", "nobody has acknowledged it", "Open the alert"
        )
    )
    assert view["blocks"][0]["text"]["text"] == "🚨 Alerts"
    await stage.ana.types("/deploy abort we stop here")
    view = await stage.until(lambda: stage.home_says(BEN, "aborted by <@UANA", "we stop here"))
    assert "🚨" not in str(view["blocks"])


async def test_many_changes_are_few_drawings(bot: Application, stage: Stage) -> None:
    for user in (ANA, BEN):
        await opens(stage, user)
    deployment = await started(bot, stage)
    before = len(await stage.traffic("views.publish"))
    for position in range(5):
        await give(bot, deployment, BEN, position)
        await give(bot, deployment, ANA, position)
    await stage.until(lambda: stage.home_says(BEN, "Your open items (5)"))
    await stage.until(lambda: stage.home_says(ANA, "Your open items (5)"))
    assert len(await stage.traffic("views.publish")) - before <= 8


async def test_a_home_that_was_opened_yesterday_is_left_alone(
    stage: Stage, database_url: str, folder: Path
) -> None:
    clock = ShiftedClock()
    async with running_bot(stage, database_url, clock=clock, checklists=folder) as bot:
        await opens(stage, BEN)
        await stage.until(lambda: stage.home_says(BEN, "No deployment is running"))
        clock.forward(home_tabs.KEPT + timedelta(minutes=1))
        await started(bot, stage)
        await opens(stage, ANA)
        await stage.until(lambda: stage.home_says(ANA, "storefront v1.4.2"))
        assert "storefront" not in str(await stage.home(BEN))
        await opens(stage, BEN)
        await stage.until(lambda: stage.home_says(BEN, "storefront v1.4.2"))


async def test_two_processes_draw_what_one_would(
    stage: Stage, postgres: PostgresServer, folder: Path
) -> None:
    url = postgres.new_database()
    async with (
        running_bot(stage, url, checklists=folder) as one,
        running_bot(stage, url, checklists=folder) as other,
    ):
        for user in (ANA, BEN):
            await opens(stage, user)
            await stage.until(partial(stage.home_says, user, "No deployment is running"))
        deployment = await started(one, stage)
        assert await other.settle()
        before = len(await stage.traffic("views.publish"))
        await give(one, deployment, BEN, 0)
        for user in (ANA, BEN):
            await stage.until(partial(stage.home_says, user, "0* of 5"))
        await stage.until(lambda: stage.home_says(BEN, "Your open items (1)"))
        await stage.until(lambda: _pinned(stage))
        assert await one.settle()
        assert await other.settle()
        # The item, and the message that tells Ben of it: two changes of two homes at the most.
        assert len(await stage.traffic("views.publish")) - before <= 6
        assert len(await stage.traffic("pins.add")) == 1


async def test_the_messages_tab_draws_no_home(bot: Application, stage: Stage) -> None:
    app = next(iter(stage.workspace._parts.base.state.apps.values()))
    stage.workspace._parts.events.home_opened(app, BEN, "D1", None, tab="messages")
    await opens(stage, ANA)
    await stage.until(lambda: stage.home_says(ANA, "Nothing waits"))
    async with bot.ports.database.read() as tx:
        known = await homes.opened_since(tx, bot.ports.clock.now() - home_tabs.KEPT)
    assert [one.user for one in known] == [ANA]


async def test_a_home_is_drawn_again_after_slack_was_away(bot: Application, stage: Stage) -> None:
    await stage.fault(kind="api", mode="status", status=500, method="views.publish", times=2)
    await opens(stage, ANA)
    await stage.until(lambda: stage.home_says(ANA, "Nothing waits for you"))


# ── starting ─────────────────────────────────────────────────────────────────────────────────────────────


async def _form(stage: Stage, user: str, title: str) -> Json:
    found = [view for view in await stage.views(user) if view["title"]["text"] == title]
    return found[-1] if found else {}


async def test_a_deployment_is_started_from_the_home_and_again_with_what_was_deployed(
    bot: Application, stage: Stage
) -> None:
    await opens(stage, ANA)
    view = await stage.until(lambda: stage.home_says(ANA, "Start…"))
    await stage.ana.presses_at_home(view, "Start…")
    form = await stage.until(lambda: _form(stage, ANA, "Start a deployment"))
    answer = await stage.ana.submits(
        form, service="storefront", version="v1", environment="production", channel="C0RANDOM001"
    )
    # The bot is not in that channel: it says so at the channel, and nothing was started.
    assert "/invite @deploybot" in answer["errors"]["channel"]
    answer = await stage.ana.submits(
        form, service="storefront", version="v1", environment="production", channel=CHANNEL
    )
    assert answer["ok"]
    await stage.until(lambda: stage.home_says(ANA, "storefront v1 → production"))
    await stage.ana.types("/deploy finish")
    form = await stage.until(lambda: _form(stage, ANA, "Finish the deployment?"))
    await stage.ana.submits(form)
    view = await stage.until(lambda: stage.home_says(ANA, "storefront → production", "finished by"))
    await stage.ana.presses_at_home(view, "storefront → production")
    form = await stage.until(lambda: _form(stage, ANA, "Start a deployment"))
    given = {b["block_id"]: b["element"] for b in form["blocks"]}
    assert given["service"]["initial_value"] == "storefront"
    assert given["environment"]["initial_value"] == "production"
    assert given["channel"]["initial_conversation"] == CHANNEL
    assert given["channel"]["response_url_enabled"] is False


async def test_who_holds_a_service_is_said_directly_where_no_channel_is(
    bot: Application, stage: Stage
) -> None:
    await started(bot, stage)
    await stage.ben.chooses("start_deployment")
    form = await stage.until(lambda: _form(stage, BEN, "Start a deployment"))
    answer = await stage.ben.submits(
        form, service="storefront", version="v2", environment="production", channel=CHANNEL
    )
    assert "led by ana" in answer["errors"]["service"]
    direct = stage.workspace._parts.base.state.direct(BEN, stage.installed.bot_user_id)["id"]

    async def told() -> bool:
        return "Open its thread" in texts(await stage.ben.history(direct))

    await stage.until(told)


# ── shortcuts on a message ───────────────────────────────────────────────────────────────────────────────


async def test_a_message_is_kept_as_a_note_at_an_item(bot: Application, stage: Stage) -> None:
    deployment = await started(bot, stage)
    await stage.ben.types("The replica has <caught> up & is fine")
    message = (await stage.ben.history())[-1]
    await stage.ana.chooses("note_from_message", message)
    form = await stage.until(lambda: _form(stage, ANA, "Add a note"))
    answer = await stage.ana.submits(form, item="2")
    assert answer["ok"], answer
    [after] = await finding.opened(bot.ports, stage.installed.team_id)
    [note] = after.care.notes[2]
    assert note.text == "The replica has <caught> up & is fine"
    assert note.link.endswith(f"/archives/{CHANNEL}/p{message['ts'].replace('.', '')}")
    assert note.by == ANA
    assert deployment.id == after.id


async def test_where_several_run_the_shortcut_asks_which_one(bot: Application, stage: Stage) -> None:
    await started(bot, stage)
    await stage.ana.types("/deploy start billing v3 production", channel="C0GENERAL01")
    await stage.until(lambda: _two(bot, stage))
    assert await bot.settle()
    await stage.ben.types("Payments answer 500")
    message = (await stage.ben.history())[-1]
    await stage.ben.chooses("raise_from_message", message)
    form = await stage.until(lambda: _form(stage, BEN, "Which deployment?"))
    [select] = [b["element"] for b in form["blocks"] if b["block_id"] == "deployment"]
    assert select["initial_option"]["text"]["text"] == "storefront v1.4.2 → production"
    answer = await stage.ben.submits(form)
    form = await stage.until(lambda: _form(stage, BEN, "Raise a trigger"))
    answer = await stage.ben.submits(form)
    assert answer["ok"], answer

    async def raised() -> list[str]:
        found = await finding.opened(bot.ports, stage.installed.team_id)
        return [str(t.finding) for d in found for t in d.aftermath.raised if t.title == "Payments answer 500"]

    [told] = await stage.until(raised)
    assert f"p{message['ts'].replace('.', '')}" in told
    assert await bot.settle()


async def _two(bot: Application, stage: Stage) -> bool:
    return len(await finding.opened(bot.ports, stage.installed.team_id)) == 2


async def test_in_a_thread_the_shortcut_means_its_deployment(bot: Application, stage: Stage) -> None:
    await started(bot, stage)
    await stage.ana.types("/deploy start billing v3 production", channel="C0GENERAL01")
    await stage.until(lambda: _two(bot, stage))
    assert await bot.settle()
    thread = (await stage.root())["ts"]
    await stage.ben.types("look here", thread_ts=thread)
    message = (await stage.ben.thread(thread))[-1]
    await stage.ben.chooses("note_from_message", message)
    form = await stage.until(lambda: _form(stage, BEN, "Add a note"))
    assert "storefront" in str(form["blocks"][0])
    assert f"thread_ts={thread}" in form["private_metadata"]


async def test_a_shortcut_without_a_deployment_says_what_to_do(bot: Application, stage: Stage) -> None:
    await stage.ben.types("hello")
    await stage.ben.chooses("note_from_message", (await stage.ben.history())[-1])
    form = await stage.until(lambda: _form(stage, BEN, "No deployment is open"))
    assert "/deploy start" in str(form["blocks"])


def test_shortcuts_fit_slacks_menus() -> None:
    assert all(len(one["name"]) <= 24 and len(one["description"]) <= 150 for one in SHORTCUTS)


# ── pins ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _pinned(stage: Stage) -> list[str]:
    return list(stage.workspace._parts.base.state.channels[CHANNEL]["pins"])


async def _is_pinned(stage: Stage, *expected: str) -> bool:
    return await _pinned(stage) == list(expected)


async def test_the_card_is_pinned_while_the_deployment_runs(bot: Application, stage: Stage) -> None:
    await started(bot, stage)
    card = (await stage.root())["ts"]
    await stage.until(lambda: _is_pinned(stage, card))
    await stage.ana.types("/deploy abort enough")
    await stage.until(lambda: _is_pinned(stage))


async def test_without_the_scope_everything_else_goes_on(
    stage: Stage, database_url: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.client.post("/control/scopes", json={"remove": ["pins:write"]})
    async with running_bot(stage, database_url, checklists=folder) as bot:
        await started(bot, stage)
        await stage.ana.types("/deploy start billing v3 production", channel="C0GENERAL01")
        await stage.until(lambda: _two(bot, stage))
        assert await bot.settle()
        await stage.until(lambda: _refused(bot, 2))
    said = [r for r in caplog.records if "cards are not pinned" in r.getMessage()]
    assert len(said) == 1
    assert "pins:write" in said[0].getMessage()


async def _refused(bot: Application, count: int) -> bool:
    async with bot.ports.database.read() as tx:
        states = [row.state for row in await tx.execute(select(schema.pins))]
    return states.count(pins.PinState.REFUSED) == count


async def test_a_pin_whose_process_died_is_let_go_at_the_end(
    stage: Stage, database_url: str, folder: Path
) -> None:
    # Slack pinned the card, and the answer was lost with the process.
    await stage.fault(kind="api", mode="lost_answer", method="pins.add", times=1)
    async with running_bot(stage, database_url, checklists=folder) as bot:
        await started(bot, stage)
        await stage.until(lambda: _pinned(stage))
    async with running_bot(stage, database_url, checklists=folder) as bot:
        await stage.ana.types("/deploy abort enough")
        await stage.until(lambda: _is_pinned(stage))
