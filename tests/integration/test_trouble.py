"""Revoked tokens, locked and full databases: a sentence to the person, and nothing lost or shown that is not."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bot.app import Application
from bot.config import set_up_logging
from bot.services import finding
from tests.makers import ANA, BEN
from tests.stage import Client, Stage, find_box, running_bot

START = "/deploy start storefront v1.4.2 production --checklist short"


@pytest.fixture
async def bot(stage: Stage, tmp_path: Path) -> AsyncIterator[Application]:
    (tmp_path / "short.md").write_text("# Short\n\n## Only section\n\n- [ ] Say hello\n- [ ] Wave\n")
    async with running_bot(stage, f"sqlite:///{tmp_path / 'd.db'}", checklists=tmp_path) as bot:
        yield bot


async def whispered(stage: Stage, user: str, thread_ts: str | None = None) -> str:
    told: list[str] = await stage.until(
        lambda: stage.person(user).whispers(thread_ts=thread_ts), what="an answer"
    )
    return told[-1]


async def ticked(stage: Stage, bot: Application) -> dict[int, str]:
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    return {at: tick.by for at, tick in deployment.ticks.items()}


async def test_a_revoked_token_is_told_to_the_person_and_starts_nothing(
    stage: Stage, bot: Application
) -> None:
    await stage.client.post("/control/tokens", json={"revoke": stage.installed.bot_token})
    await stage.ana.types(START)
    answer = await whispered(stage, ANA)
    assert "token_revoked" in answer
    assert "reinstall the app" in answer
    assert stage.installed.bot_token not in answer
    assert await finding.opened(bot.ports, stage.installed.team_id) == []


async def test_ticks_made_while_slack_refuses_us_are_kept_and_shown_later(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    message = await stage.message_with("Say hello")
    await stage.fault(kind="api", method="*", mode="status", status=503, times=12)
    await Client(stage.ben, message).toggles("Say hello")
    assert await ticked(stage, bot) == {0: BEN}
    assert await bot.settle(within=60)
    _, element, option = find_box(await stage.message_with("Say hello"), "Say hello")
    assert option in element["initial_options"]


async def test_a_locked_database_records_nothing_says_so_and_draws_the_truth_again(
    stage: Stage, bot: Application, tmp_path: Path
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    message = await stage.message_with("Say hello")
    lock = sqlite3.connect(tmp_path / "d.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    await Client(stage.ben, message).toggles("Say hello")
    root = await stage.root()
    assert "The database is busy, so nothing was recorded" in await whispered(stage, BEN, root["ts"])
    await stage.ana.types("/deploy start api v1 production --checklist short")
    assert "The database is busy" in await whispered(stage, ANA)
    lock.execute("ROLLBACK")
    lock.close()
    assert await ticked(stage, bot) == {}
    # Ben's client shows a tick that was not recorded: a new drawing takes it back.
    old, *_ = find_box(message, "Say hello")

    async def drawn_again() -> bool:
        block, element, _ = find_box(await stage.message_with("Say hello"), "Say hello")
        return block["block_id"] != old["block_id"] and not element.get("initial_options")

    await stage.until(drawn_again, within=15, what="the truth is drawn again")
    await stage.ticks(stage.ben, "Say hello")
    assert await ticked(stage, bot) == {0: BEN}


async def test_a_full_disk_loses_nothing_and_says_so(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    engine = bot.ports.database.engine
    async with bot.ports.database.read() as tx:
        pages = (await tx.exec_driver_sql("PRAGMA page_count")).scalar_one()
    full = True

    def limit(connection: Any, _record: Any, _proxy: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count={pages if full else 1_000_000}")
        cursor.close()

    event.listen(engine.sync_engine, "checkout", limit)
    answers = []
    for number in range(40):  # until the free space in the file is used up
        await stage.ana.types(f"/deploy start s{number} v1 production --checklist short")
        answers = await stage.ana.whispers()
        if answers:
            break
    assert "the disk is full" in answers[-1]
    assert "nothing was recorded" in answers[-1]
    full = False
    assert await bot.settle(within=60)
    before = len(await finding.opened(bot.ports, stage.installed.team_id))
    await stage.ana.types("/deploy start after v1 production --checklist short")
    assert len(await finding.opened(bot.ports, stage.installed.team_id)) == before + 1


async def test_a_postgres_that_goes_away_is_said_and_comes_back(
    stage: Stage, tmp_path: Path, postgres: Any
) -> None:
    (tmp_path / "short.md").write_text("# Short\n\n## Only section\n\n- [ ] Say hello\n- [ ] Wave\n")
    async with running_bot(stage, postgres.new_database(), checklists=tmp_path) as bot:
        await stage.ana.types(START)
        assert await bot.settle()
        await asyncio.to_thread(postgres.restart)
        await stage.ticks(stage.ben, "Say hello")

        async def recorded() -> bool:
            if await ticked(stage, bot):
                return True
            await stage.ticks(stage.ben, "Say hello")
            return False

        await stage.until(recorded, within=20, what="the tick is recorded")
        assert await ticked(stage, bot) == {0: BEN}
        assert await bot.settle(within=30)


@pytest.mark.parametrize(
    "secret",
    ["xoxb-123-abc", "xapp-1-A1-2-def", "postgresql://deploybot:hunter2@db/prod"],
)
def test_no_secret_gets_into_the_log(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("INFO")
    log = logging.getLogger("bot.somewhere")
    try:
        log.warning("it was %s", secret)
        try:
            raise ValueError(f"refused {secret}")
        except ValueError:
            log.exception("failed")
        written = capsys.readouterr().err
    finally:
        logging.basicConfig(force=True)
    assert "failed" in written
    assert secret not in written
    assert "hunter2" not in written
    assert "123-abc" not in written
