"""Reports and figures as people ask for them: in Slack, and on the command line."""

from __future__ import annotations

import csv
import io
import json
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from bot.app import Application
from bot.cli import app
from bot.domain.report_schema import SCHEMA
from bot.services import auditing, finding
from bot.slack.blocks import notices
from tests.makers import ANA, BEN
from tests.stage import Json, NotThere, Stage, running_bot, texts

DEPLOYBOT = str(Path(sys.executable).parent / "deploybot")
START = "/deploy start storefront v1.4.2 production --checklist short"
SHORT = """# Short

## Only section

- [ ] Say hello
- [ ] Verify deployment

## Rollback Plan

### Rollback Steps

1. Restore
2. Verify rollback
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "short.md").write_text(SHORT)
    return tmp_path


@pytest.fixture
async def bot(stage: Stage, folder: Path) -> AsyncIterator[Application]:
    async with running_bot(stage, f"sqlite:///{folder / 'd.db'}", checklists=folder) as bot:
        yield bot


async def ended(stage: Stage, bot: Application, how: str = "abort it rains") -> Json:
    """Ana starts, Ben ticks, it ends; the message that says so."""
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ticks(stage.ben, "Say hello")
    await stage.ana.types(f"/deploy {how}")
    assert await bot.settle()
    return await closing(stage)


async def closing(stage: Stage, words: str = "aborted") -> Json:
    for message in await stage.thread():
        if words in message["text"] and any(b["type"] == "actions" for b in message["blocks"]):
            return message
    raise NotThere(f"no report that says {words!r}")


async def pictured(stage: Stage, words: str = "aborted") -> Json:
    message = await closing(stage, words)
    if not any(block["type"] == "image" for block in message["blocks"]):
        raise NotThere("no picture yet")
    return message


async def shared(stage: Stage) -> Json:
    files = [file for message in await stage.thread() for file in message.get("files", ())]
    if not files:
        raise NotThere("no file in the thread")
    return dict(files[-1])


async def test_the_end_is_one_message_with_the_figures_and_gets_the_flight_recorder(
    stage: Stage, bot: Application
) -> None:
    message = await ended(stage, bot)
    assert "Reason: it rains" in message["text"]
    assert "2 people" in message["text"]
    message = await stage.until(lambda: pictured(stage), within=20, what="the picture")
    [picture] = [block for block in message["blocks"] if block["type"] == "image"]
    assert picture["alt_text"].startswith("Flight recorder of storefront v1.4.2 → production, from ")
    got = await stage.client.get(f"/files/{picture['slack_file']['id']}/image")
    assert got.content.startswith(b"\x89PNG")
    assert texts(await stage.thread()).count("aborted *storefront") <= 1
    posted = [e for e in await stage.traffic("chat.postMessage") if "aborted" in str(e)]
    assert len(posted) == 1


async def test_a_picture_slack_refuses_leaves_the_report_in_words(stage: Stage, bot: Application) -> None:
    await stage.fault(
        kind="api", method="files.getUploadURLExternal", mode="error", error="missing_scope", times=-1
    )
    message = await ended(stage, bot)
    assert "Reason: it rains" in message["text"]
    assert await bot.settle()


async def test_a_restart_gives_a_report_the_picture_it_was_cut_off_from(stage: Stage, folder: Path) -> None:
    database = f"sqlite:///{folder / 'd.db'}"
    async with running_bot(stage, database, checklists=folder) as bot:
        await stage.fault(kind="api", method="files.getUploadURLExternal", mode="status", status=503, times=1)
        await ended(stage, bot)
    assert not any(block["type"] == "image" for block in (await closing(stage))["blocks"])
    async with running_bot(stage, database, checklists=folder):
        await stage.until(lambda: pictured(stage), within=20, what="the picture")


async def test_a_rollback_that_is_verified_brings_a_report_and_the_end_another(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ana.types("/deploy rollback guests cannot pay")
    view = (await stage.until(lambda: stage.views(ANA), what="the form"))[-1]
    await stage.ana.submits(view)
    for step in ("Restore", "Verify rollback"):
        await stage.until(partial(stage.message_with, step), what=step)
        await stage.ticks(stage.ben, step)
    message = await stage.until(lambda: pictured(stage, "is rolled back"), within=20, what="the report")
    assert "The rollback" in message["text"]
    await stage.ana.types("/deploy abort after the rollback")
    await stage.until(lambda: closing(stage, "aborted"), what="the end")
    assert "rolled back" in texts(await stage.thread())
    assert [v.problems async for v in auditing.verify(bot.ports)] == [()]


@pytest.mark.parametrize(
    ("button", "suffix", "has"),
    [
        ("Full report (HTML)", "html", "<h1>storefront v1.4.2 → production</h1>"),
        ("Full report (Markdown)", "md", "# storefront v1.4.2 → production"),
    ],
)
async def test_the_files_go_to_the_thread_once_with_peoples_names(
    stage: Stage, bot: Application, button: str, suffix: str, has: str
) -> None:
    message = await ended(stage, bot)
    await stage.fault(kind="delivery", mode="duplicate", type="interactive", times=-1)
    await stage.ben.presses(message, button)
    file = await stage.until(lambda: shared(stage), what="the file")
    assert file["name"] == f"storefront-1-report.{suffix}"
    text = (await stage.client.get(file["url_private"])).text
    assert has in text.replace("\\", "")
    assert BEN not in text
    assert "ben" in text
    assert len([m for m in await stage.thread() if m.get("files")]) == 1
    assert f"for <@{BEN}>" in texts([m for m in await stage.thread() if m.get("files")])


async def test_a_file_slack_does_not_take_is_said_in_a_sentence(stage: Stage, bot: Application) -> None:
    message = await ended(stage, bot)
    await stage.until(lambda: pictured(stage), within=20, what="the picture")
    await stage.fault(kind="api", method="files.completeUploadExternal", mode="error", error="file_not_found")
    await stage.ben.presses(message, "Full report (HTML)")
    thread = (await stage.root())["ts"]
    said = await stage.until(lambda: stage.ben.whispers(thread_ts=thread), what="an answer")
    assert "Slack did not take the report's file (file_not_found)." in said[-1]


async def test_anybody_can_ask_for_a_report_while_it_runs_and_afterwards(
    stage: Stage, bot: Application
) -> None:
    await stage.carla.types("/deploy report")
    assert "There was no deployment in this channel yet" in (await stage.carla.whispers())[-1]
    await ended(stage, bot)
    for typed in ("/deploy report", "/deploy report storefront-1"):
        before = len(await stage.ben.whispers())
        await stage.ben.types(typed)
        said = await stage.until(partial(_more, stage, before), what="an answer")
        assert "*storefront-1*: storefront v1.4.2 → production, *aborted* after" in said
        assert "ana aborted it: it rains" in said
    root = await stage.root()
    await stage.ben.types("@deploybot report", thread_ts=root["ts"])
    told = await stage.until(lambda: stage.ben.whispers(thread_ts=root["ts"]), what="an answer")
    assert "storefront-1" in told[-1]
    await stage.ben.types("/deploy report storefront-77")
    said = await stage.until(lambda: _says(stage, "There is no deployment called"), what="the refusal")


async def _more(stage: Stage, before: int) -> str:
    told = await stage.ben.whispers()
    if len(told) <= before:
        raise NotThere("no answer")
    return told[-1]


async def _says(stage: Stage, words: str) -> bool:
    return words in "\n".join(await stage.ben.whispers())


async def test_figures_are_for_who_asked_and_their_chart_goes_to_them_alone(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ticks(stage.ben, "Verify deployment")
    await stage.ana.types("/deploy abort too slow")
    assert await bot.settle()
    await stage.ben.types("/deploy stats storefront —days 30")
    told = await stage.until(stage.ben.whispers, what="the figures")
    assert "The last 30 days of storefront, production:" in told[-1]
    assert "Change fail rate: not enough data, n=1 of at least 5 (1 of 1 failed)" in told[-1]
    assert "Definitions: dora.dev" in told[-1]

    async def chart() -> Json:
        state = (
            await stage.client.get(
                "/control/traffic", params={"name": "files.completeUploadExternal", "limit": 50}
            )
        ).json()
        sent = [e for e in state["entries"] if "Deployments a week" in str(e)]
        if not sent:
            raise NotThere("no chart")
        return dict(sent[-1])

    sent = await stage.until(chart, within=15, what="the chart")
    assert "C0DEPLOYS01" not in str(sent)
    assert not any(m.get("files") for m in await stage.carla.history())
    for typed, said in (
        ("/deploy stats a b", "stats can't use “b”"),
        ("/deploy stats --days x", "--days takes a number"),
        ("/deploy stats --weeks 3", "is not an option of stats"),
    ):
        await stage.ben.types(typed)
        await stage.until(partial(_says, stage, said), what=said)


async def run(
    bot: Application, stage: Stage, folder: Path, *arguments: str, token: bool = False
) -> tuple[int, str, str]:
    environment = {"DATABASE_URL": str(bot.settings.database_url), "PATH": "/usr/bin:/bin"}
    if token:
        environment |= {
            "SLACK_BOT_TOKEN": stage.installed.bot_token,
            "SLACK_API_URL": stage.installed.api_url,
        }
    process = await create_subprocess_exec(
        DEPLOYBOT, *arguments, env=environment, cwd=folder, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert b"Traceback" not in err
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_command_line_writes_every_form(stage: Stage, bot: Application, folder: Path) -> None:
    await ended(stage, bot)
    code, text, _ = await run(bot, stage, folder, "report", "storefront-1")
    assert code == 0
    assert "Deploybot" in text and ANA in text  # no token: people have their ids
    code, text, _ = await run(bot, stage, folder, "report", "1", "--format", "json", token=True)
    told = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert told["deployment"]["lead"] == {"id": ANA, "name": "ana"}
    code, _, _ = await run(
        bot, stage, folder, "report", "storefront-1", "--format", "csv", "--output", "r.csv"
    )
    assert len(list(csv.reader(io.StringIO((folder / "r.csv").read_text())))) == 4
    for wrong, said in (
        (("report", "shop-1"), "Did you mean storefront-1?"),
        (("report", "1", "--output", "no/such/folder.md"), "can't be written"),
    ):
        code, _, err = await run(bot, stage, folder, *wrong)
        assert code != 0
        assert said in err
    code, text, _ = await run(bot, stage, folder, "stats", "--format", "json")
    assert json.loads(text)["called_off"] == 1


def test_the_schema_is_printed_and_a_name_is_needed() -> None:
    assert json.loads(CliRunner().invoke(app, ["report", "--schema"]).output) == SCHEMA
    refused = CliRunner().invoke(app, ["report"])
    assert refused.exit_code == 2


async def test_messages_of_the_time_before_reports_are_still_drawn(stage: Stage, bot: Application) -> None:
    await ended(stage, bot)
    state = await finding.named(bot.ports, stage.installed.team_id, "storefront-1")
    assert "aborted" in notices.draw(state, "aborted", {}, names={}).text
