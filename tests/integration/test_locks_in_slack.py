"""Locks, freezes, the queue and the lead as people meet them in Slack, with answers lost and bots restarted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app import Application
from bot.domain.deployment import Deployment
from bot.services import finding, queueing
from bot.services.ports import ShiftedClock
from bot.storage import pings
from tests.makers import ANA, BEN, CHANNEL
from tests.stage import Json, NotThere, Stage, running_bot, texts

START = "/deploy start storefront v1.4.2 production --checklist short"
BENS = "/deploy start storefront v1.4.3 production --checklist short"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "short.md").write_text("# Short\n\n## Only section\n\n- [ ] Say hello\n- [ ] Wave\n")
    (tmp_path / "short.yaml").write_text("version: 1\n")
    return tmp_path


@pytest.fixture
async def clock(stage: Stage) -> ShiftedClock:
    """At noon tomorrow, so that nobody is asked at night; Slack's clock says the same."""
    now = datetime.now(UTC)
    offset = (now + timedelta(days=1)).replace(hour=11, minute=0, second=0) - now
    await stage.client.post("/client/forward", json={"seconds": int(offset.total_seconds())})
    return ShiftedClock(offset)


@pytest.fixture
async def bot(stage: Stage, folder: Path, clock: ShiftedClock) -> AsyncIterator[Application]:
    async with running_bot(stage, f"sqlite:///{folder / 'd.db'}", checklists=folder, clock=clock) as bot:
        yield bot


async def opened(bot: Application, stage: Stage) -> list[Deployment]:
    return await finding.opened(bot.ports, stage.installed.team_id)


async def told(stage: Stage, user: str, words: str, *, channel: str = CHANNEL) -> Json:
    """The newest thing only this person was told that has these words."""

    async def there() -> Json:
        found = [
            m for m in await stage.person(user).history(channel) if m.get("ephemeral") and words in m["text"]
        ]
        if not found:
            raise NotThere(words)
        return found[-1]

    return dict(await stage.until(there, what=f"{user} is told {words!r}"))


async def written(stage: Stage, user: str, words: str) -> Json:
    """The newest direct message of the bot to this person that has these words."""

    async def there() -> Json:
        found = [m for m in await stage.direct(user) if words in m["text"]]
        if not found:
            raise NotThere(words)
        return found[-1]

    return dict(await stage.until(there, within=20, what=f"{user} reads {words!r}"))


async def ana_holds_and_ben_queues(stage: Stage, bot: Application) -> Deployment:
    await stage.ana.types(START)
    await stage.until(stage.root, what="the card")
    await stage.ben.types(BENS)
    refused = await told(stage, BEN, "is already being deployed to production")
    await stage.ben.presses(refused, "Tell me when it is free")
    await told(stage, BEN, "You are first in line for storefront in production")
    return (await opened(bot, stage))[0]


async def finishes(stage: Stage, bot: Application) -> None:
    [state] = await opened(bot, stage)
    await stage.ana.types(f"/deploy abort {state.name} not today")


# ── the queue ────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_queued_is_written_to_once_and_starts_what_they_typed(
    stage: Stage, bot: Application
) -> None:
    await ana_holds_and_ben_queues(stage, bot)
    await stage.ana.types("/deploy queue")
    await told(stage, ANA, f"1. <@{BEN}> with v1.4.3")
    await finishes(stage, bot)
    turn = await written(stage, BEN, "it is your turn to deploy v1.4.3")
    await stage.carla.types("/deploy start storefront v9 production --checklist short")
    await stage.ana.types("/deploy start storefront v9 production --checklist short")
    await told(stage, ANA, f"It is <@{BEN}>'s turn to deploy storefront to production")
    await stage.ben.presses(turn, "Start", channel=turn["channel"])
    await stage.until(lambda: _open(bot, stage, "v1.4.3"), what="Ben's deployment")
    await written(stage, BEN, "You started")
    assert len(await stage.direct(BEN)) == 1
    [state] = await opened(bot, stage)
    assert (state.lead, state.channel) == (BEN, CHANNEL)
    # The button that is drawn no more, pressed on a stale screen.
    await stage.ben.presses(turn, "Start", channel=turn["channel"])
    await told(stage, BEN, "That turn is over", channel=turn["channel"])


async def test_who_does_not_start_in_time_is_told_and_the_next_is_asked(
    stage: Stage, bot: Application, clock: ShiftedClock
) -> None:
    await ana_holds_and_ben_queues(stage, bot)
    await stage.ana.types(START)
    refused = await told(stage, ANA, "is already being deployed to production")
    await stage.ana.presses(refused, "Tell me when it is free")
    await told(stage, ANA, "1 person is before you")
    await finishes(stage, bot)
    await written(stage, BEN, "it is your turn")
    clock.forward(timedelta(minutes=10))
    turn = await written(stage, ANA, "it is your turn to deploy v1.4.2")
    await written(stage, BEN, "Your turn passed")
    await stage.ana.presses(turn, "Not any more", channel=turn["channel"])
    await written(stage, ANA, "You do not wait any more")
    await stage.ana.types("/deploy queue")
    await told(stage, ANA, "Nobody waits")


@pytest.mark.parametrize("mode", ["lost_answer", "drop"])
async def test_a_turn_is_written_once_though_answers_are_lost(
    stage: Stage, bot: Application, mode: str
) -> None:
    await ana_holds_and_ben_queues(stage, bot)
    await stage.fault(kind="api", method="chat.postMessage", mode=mode, times=3)
    state = (await opened(bot, stage))[0]
    async with bot.ports.database.read() as tx:
        assert await pings.due(tx, at=bot.ports.clock.now()) == []
    await stage.ana.types(f"/deploy abort {state.name} not today")
    await written(stage, BEN, "it is your turn")
    assert await bot.settle()

    async def nothing_left() -> bool:
        async with bot.ports.database.read() as tx:
            return not await pings.due(tx, at=bot.ports.clock.now() + timedelta(hours=1))

    await stage.until(nothing_left, within=60, what="everything is sent")
    assert len(await stage.direct(BEN)) == 1


async def test_a_restart_between_the_claim_and_the_message_neither_loses_nor_doubles_it(
    stage: Stage, folder: Path, clock: ShiftedClock
) -> None:
    url = f"sqlite:///{folder / 'd.db'}"
    async with running_bot(stage, url, checklists=folder, clock=clock) as bot:
        await ana_holds_and_ben_queues(stage, bot)
        await bot._pinger.stop(within=1)  # type: ignore[union-attr]  # as if it were killed from here on
        await finishes(stage, bot)
        await stage.until(lambda: _given(bot), what="the turn is given")
        now = clock.now()
        async with bot.ports.database.write() as tx:
            claimed = await pings.claim(tx, 1, owner="dead", at=now, until=now + timedelta(hours=1))
        assert claimed is not None
    async with running_bot(stage, url, checklists=folder, clock=clock) as bot:
        await written(stage, BEN, "it is your turn")
        assert len(await stage.direct(BEN)) == 1
        # Killed after Slack had it and before it was noted.
        async with bot.ports.database.write() as tx:
            await tx.exec_driver_sql(
                f"UPDATE pings SET ts = NULL, shown = 0, attempted_at = {int(now.timestamp() * 1e6)}"
            )
        await stage.until(lambda: _shown(bot), within=20, what="it is found again")
        assert len(await stage.direct(BEN)) == 1


async def _given(bot: Application) -> bool:
    async with bot.ports.database.read() as tx:
        return bool(await pings.due(tx, at=bot.ports.clock.now()))


async def _shown(bot: Application) -> bool:
    async with bot.ports.database.read() as tx:
        ts = (await tx.exec_driver_sql("SELECT ts FROM pings")).scalar_one()
    return ts is not None and not await _given(bot)


async def _open(bot: Application, stage: Stage, version: str) -> bool:
    return [state.target.version for state in await opened(bot, stage)] == [version]


async def test_start_all_the_same_is_possible_and_the_turn_comes_back(stage: Stage, bot: Application) -> None:
    await ana_holds_and_ben_queues(stage, bot)
    await finishes(stage, bot)
    await written(stage, BEN, "it is your turn")
    await stage.ana.types(START)
    refused = await told(stage, ANA, "turn to deploy")
    await stage.ana.presses(refused, "Start all the same")
    await stage.until(lambda: _open(bot, stage, "v1.4.2"), what="Ana's deployment")
    await written(stage, BEN, "Something came between")
    await stage.ben.types("/deploy queue leave storefront")
    await told(stage, BEN, "You do not wait any more for storefront in production")
    assert await queueing.listed(bot.ports, stage.installed.team_id) == []


# ── locks ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_lock_is_told_listed_and_lifted_and_the_locker_hears_of_it(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types("/deploy lock storefront production for 2h Database <migration>")
    said = await told(stage, ANA, "*storefront in production* is locked until")
    assert "Database &lt;migration&gt;" in said["text"]
    await stage.ben.types(START)
    refused = await told(stage, BEN, "🔒 storefront in production is locked by")
    await stage.ben.types("/deploy list")
    listed = await told(stage, BEN, "No deployment is open")
    assert f"🔒 *storefront in production* is locked by <@{ANA}>" in listed["text"]
    await stage.ben.presses(refused, "Unlock…")
    await told(stage, BEN, f"I tell <@{ANA}>, who had locked it")
    await written(stage, ANA, "unlocked storefront in production, which you had locked: “Database")
    await stage.ben.types(START)
    await stage.until(stage.root, what="the card")
    for words, answer in (
        ("locks", "Nothing is locked"),
        ("lock", "Say which service"),
        ("lock storefront", "Why is storefront locked"),
        ("lock search", "Why is search locked"),
        (
            "lock search until yesterday Migration",
            "“until yesterday” as a time to come, so nothing was locked",
        ),
        ("unlock storefront", "storefront is not locked"),
        ("lock storefront Migration", "kept from Go as long as the lock holds"),
        ("queue up", "There is `queue`"),
        ("queue leave", "You are not in a queue"),
    ):
        await stage.ben.types(f"/deploy {words}")
        await told(stage, BEN, answer)


async def test_a_lock_says_of_each_open_deployment_whether_it_is_kept_from_anything(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    await stage.until(stage.root, what="the card")
    await stage.ana.types(START.replace("production", "staging"))
    await stage.until(lambda: _count(bot, stage, 2), what="both")
    first, second = await opened(bot, stage)
    await stage.ana.types(f"/deploy go {first.name}")

    async def gone() -> bool:
        return (await opened(bot, stage))[0].go is not None

    await stage.until(gone, what="Go")
    await stage.ben.types("/deploy lock storefront Migration")
    said = (await told(stage, BEN, "*storefront in every environment* is locked"))["text"].splitlines()
    assert said[-2:] == [
        f"{first.name}: under way already: Go was given, so the lock keeps nobody from going on.",
        f"{second.name}: under way already, and kept from Go as long as the lock holds.",
    ]


async def _count(bot: Application, stage: Stage, count: int) -> bool:
    return len(await opened(bot, stage)) == count


async def test_a_form_that_is_refused_says_so_in_it_and_offers_the_queue_beside(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types("/deploy lock storefront Migration")
    await told(stage, ANA, "is locked until somebody unlocks it")
    await stage.ben.types("/deploy start storefront v1.4.3")
    [view] = await stage.until(lambda: stage.views(BEN), what="the form")
    answer = await stage.ben.submits(view, environment="production", checklist="short")
    assert "is locked by ana" in str(answer)
    refused = await told(stage, BEN, "is locked by")
    await stage.ben.presses(refused, "Tell me when it is free")
    await told(stage, BEN, "You are first in line")
    await stage.ana.types("/deploy unlock storefront")
    await written(stage, BEN, "it is your turn to deploy v1.4.3")


# ── freezes ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_freeze_refuses_lets_prepare_and_ends(
    stage: Stage, bot: Application, folder: Path, clock: ShiftedClock
) -> None:
    end = (clock.now() + timedelta(hours=2)).isoformat()
    (folder / "short.yaml").write_text(
        "version: 1\nquiet_lead: never\nfreezes:\n"
        f"  - {{name: weekend, reason: Nobody is here., start: '2020-01-01T00:00:00Z', end: '{end}'}}\n"
    )
    await stage.ana.types(START)
    refused = await told(stage, ANA, "❄️ The freeze “weekend” holds until <!date^")
    assert "“Nobody is here”. Wait" in refused["text"]
    await stage.ana.presses(refused, "Tell me when it ends")
    await told(stage, ANA, "You are first in line")
    await stage.ana.presses(refused, "Prepare anyway")
    root = await stage.until(stage.root, what="the card")
    assert "Prepared in the freeze weekend, which holds until" in root["text"]
    clock.forward(timedelta(hours=2, minutes=1))

    async def thawed() -> bool:
        return "freeze" not in (await stage.root())["text"]

    await stage.until(thawed, within=20, what="the card is drawn without the freeze")


# ── the lead ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_lead_is_handed_over_by_word_and_by_form(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    await stage.until(stage.root, what="the card")
    await stage.ana.types("/deploy lead @ben")
    await stage.until(lambda: _led(bot, stage, BEN), what="Ben leads")
    assert await bot.settle()
    assert "🤝 ben leads this deployment from now on, says ana" in texts(await stage.thread())
    assert f"<@{BEN}>" in str((await stage.root())["blocks"])
    await stage.ana.types("/deploy lead me")
    await stage.until(lambda: _led(bot, stage, ANA), what="Ana leads")
    assert await bot.settle()
    assert "ana leads this deployment from now on: they took over" in texts(await stage.thread())
    await stage.ana.types("/deploy lead")
    [view] = await stage.until(lambda: stage.views(ANA), what="the form")
    await stage.ana.submits(view, person=BEN)
    await stage.until(lambda: _led(bot, stage, BEN), what="Ben leads")
    await stage.ana.types("/deploy lead @deploybot")
    await told(stage, ANA, "Choose a person to lead")
    await stage.ana.types("/deploy lead @ben")
    await told(stage, ANA, "They lead")


async def test_a_quiet_lead_is_asked_and_somebody_takes_over(
    stage: Stage, bot: Application, clock: ShiftedClock
) -> None:
    await stage.ana.types(START)
    await stage.until(stage.root, what="the card")
    clock.forward(timedelta(minutes=31))
    asked = await written(stage, ANA, "Are you still on storefront v1.4.2 → production?")
    await stage.ana.presses(asked, "Still on it", channel=asked["channel"])
    await told(stage, ANA, "I ask again after 30 min", channel=asked["channel"])
    clock.forward(timedelta(minutes=31))
    await stage.until(lambda: _direct(stage, ANA, 2), within=20, what="Ana is asked again")
    clock.forward(timedelta(minutes=31))

    async def in_thread() -> Json:
        found = [m for m in await stage.thread() if "Who takes over?" in m["text"]]
        if not found:
            raise NotThere("nobody is asked")
        return found[-1]

    question = await stage.until(in_thread, within=20, what="the thread is asked")
    await stage.ben.presses(question, "Take over")
    await stage.until(lambda: _led(bot, stage, BEN), what="Ben leads")
    late = (await stage.direct(ANA))[-1]
    await stage.ana.presses(late, "Still on it", channel=late["channel"])
    await told(stage, ANA, "Somebody else leads", channel=late["channel"])


async def _led(bot: Application, stage: Stage, user: str) -> bool:
    return [state.lead for state in await opened(bot, stage)] == [user]


async def _direct(stage: Stage, user: str, count: int) -> bool:
    return len(await stage.direct(user)) == count
