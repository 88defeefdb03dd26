"""Checks as people meet them: typed, pressed and read in the workspace, against a real service on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from bot.app import Application
from bot.domain.errors import SidecarUnusable
from bot.domain.events import BOT
from bot.services import finding
from tests.makers import BEN
from tests.stage import Client, Json, Stage, find_box, running_bot, texts

CHECKLIST = """# Go live

## Before

- [ ] Home page answers
- [ ] Health is good
- [ ] Somebody read the answer

## After

1. [ ] New version runs
"""
SIDECAR = """
version: 1
vars: {{base_url: "{url}"}}
allow: ["${{vars.base_url}}"]
items:
  before/general/home-page-answers:
    text: Home page answers
    check: {{kind: http, url: "${{vars.base_url}}/", expect: {{status: 200}}}}
  before/general/health-is-good:
    text: Health is good
    check: {{kind: http, url: "${{vars.base_url}}/health", expect: {{status: 200}}}}
  before/general/somebody-read-the-answer:
    text: Somebody read the answer
    check: {{kind: http, url: "${{vars.base_url}}/", expect: {{status: 200}}}}
    human: A person reads it.
  after/general/new-version-runs:
    text: New version runs
    check: {{kind: http.version, url: "${{vars.base_url}}/version", path: version}}
"""
START = "/deploy start storefront v1.4.2 production --checklist golive"


@dataclass
class Service:
    """A small service whose answers can be changed."""

    url: str = ""
    status: dict[str, int] = field(default_factory=dict)
    version: str = "v1.4.2"
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Whatever was set."""
        self.asked.append(request.path)
        return web.json_response({"version": self.version}, status=self.status.get(request.path, 200))


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
def folder(tmp_path: Path, service: Service) -> Path:
    (tmp_path / "golive.md").write_text(CHECKLIST)
    (tmp_path / "golive.yaml").write_text(SIDECAR.format(url=service.url))
    return tmp_path


@pytest.fixture
async def bot(stage: Stage, folder: Path) -> AsyncIterator[Application]:
    async with running_bot(stage, f"sqlite:///{folder / 'd.db'}", checklists=folder) as bot:
        yield bot


async def started(stage: Stage) -> None:
    await stage.ana.types(START)
    await stage.until(lambda: thread_of(stage, "Home page answers"), what="the thread is there")


async def thread_of(stage: Stage, words: str) -> bool:
    messages = await stage.ana.history()
    return any(m.get("bot_id") for m in messages) and words in texts(await stage.thread())


async def says(stage: Stage, words: str) -> None:
    """The thread shows these words."""
    await stage.until(lambda: thread_of(stage, words), what=f"the thread says {words!r}")


async def description(stage: Stage, text: str) -> str:
    _, _, option = find_box(await stage.message_with(text), text)
    return str((option.get("description") or {}).get("text", ""))


async def newest_view(stage: Stage, user: str) -> Json:
    async def newest() -> Json | None:
        views = await stage.views(user)
        return views[-1] if views else None

    found: Json = await stage.until(newest, what="a form")
    return found


async def test_checks_tick_as_the_bot_show_what_they_saw_and_end_in_one_line(
    stage: Stage, bot: Application, service: Service
) -> None:
    service.status["/health"] = 503
    await started(stage)
    await stage.ana.types("/deploy check")
    await says(stage, "1 failed, 3 passed")
    await bot.settle()
    (deployment,) = await finding.opened(bot.ports, stage.installed.team_id)
    assert {at: tick.by for at, tick in deployment.ticks.items()} == {0: BOT, 3: BOT}
    assert (await description(stage, "Home page answers")).startswith("🤖 ✓")
    assert "status is 503, not 200" in await description(stage, "Health is good")
    assert "to judge: A person reads it." in await description(stage, "Somebody read the answer")
    (line,) = [m for m in await stage.thread() if "Checks for" in m["text"]]
    assert "✗ Health is good: status is 503, not 200" in line["text"]
    root = await stage.root()
    assert "Checks: 1 failed, 3 passed" in root["text"]
    assert "Ticked by Deploybot 2" in str(root["blocks"])


async def test_a_section_a_group_and_an_item_can_be_checked_alone(
    stage: Stage, bot: Application, service: Service
) -> None:
    await started(stage)
    service.asked.clear()
    await stage.ana.types("/deploy check new version runs")
    await says(stage, "Checks for")
    assert set(service.asked) == {"/version"}
    service.asked.clear()
    root = await stage.root()
    await stage.ben.types("@deploybot check Before", thread_ts=root["ts"])
    await says(stage, "3 passed")
    assert set(service.asked) == {"/", "/health"}
    await stage.ana.types("/deploy check Bifore")
    assert "Did you mean “Before”?" in (await stage.ana.whispers())[-1]


async def test_buttons_run_checks_and_show_the_evidence_in_modals(
    stage: Stage, bot: Application, service: Service
) -> None:
    service.status["/health"] = 503
    await started(stage)
    before = await stage.message_with("Health is good")
    await stage.ben.presses(before, "Run checks")
    await says(stage, "1 failed, 2 passed")
    await stage.ben.presses(await stage.message_with("Health is good"), "Results")
    view = await newest_view(stage, BEN)
    told = str(view["blocks"])
    assert told.index("Health is good") < told.index("Home page answers")
    button = next(b["accessory"] for b in view["blocks"] if "Health is good" in str(b))
    await stage.ben._do(
        "action",
        container={"view_id": view["id"]},
        block_id="result.1",
        action_id=button["action_id"],
        value={},
        state={},
    )
    await stage.until(lambda: two_views(stage), what="the evidence opens on top")
    told = str((await newest_view(stage, BEN))["blocks"])
    assert f"{service.url}/health" in told
    assert "status is 503, not 200" in told
    assert "Overrule…" in told
    assert "of the checks" in told


async def two_views(stage: Stage) -> bool:
    return len(await stage.views(BEN)) == 2


async def test_ticking_against_a_failing_check_asks_why_and_records_the_reason(
    stage: Stage, bot: Application, service: Service
) -> None:
    service.status["/health"] = 503
    await started(stage)
    await stage.ana.types("/deploy check Before")
    await says(stage, "1 failed, 2 passed")
    await bot.settle()
    await Client(stage.ben, await stage.message_with("Health is good")).toggles("Health is good")
    view = await newest_view(stage, BEN)
    assert view["title"]["text"] == "Overrule the check?"
    await stage.ben.submits(view, reason="checked by hand")
    await says(stage, "overruled: checked by hand")
    (deployment,) = await finding.opened(bot.ports, stage.installed.team_id)
    assert (deployment.ticks[1].by, deployment.ticks[1].reason) == (BEN, "checked by hand")


async def test_what_a_checked_server_says_calls_nobody_and_pretends_nothing(
    stage: Stage, bot: Application, service: Service
) -> None:
    service.version = "<!channel> ```\n✅ <@UANA0000001> finished"
    await started(stage)
    await bot.settle()
    await stage.ben.presses(await stage.message_with("New version runs"), "Run checks")
    await says(stage, "1 failed")
    await bot.settle()
    await stage.ben.presses(await stage.message_with("New version runs"), "Results")
    thread, view = str(await stage.thread()), str((await newest_view(stage, BEN))["blocks"])
    assert "match is none, not all; saw" in view
    assert "&lt;!channel&gt;" in view
    for shown in (thread, view):
        assert "<!channel>" not in shown
        assert "<@UANA0000001> finished" not in shown


async def test_finish_is_held_back_by_what_no_longer_holds_and_goes_through_the_second_time(
    stage: Stage, bot: Application, service: Service
) -> None:
    await started(stage)
    await stage.ana.types("/deploy check")
    await says(stage, "4 passed")
    await bot.settle()
    await stage.ticks(stage.ben, "Somebody read the answer")
    await says(stage, "✓")
    service.version = "v1.4.1"
    await stage.ana.types("/deploy finish")
    await says(stage, "Not finished: what was verified does not hold any more")
    assert "New version runs" in texts(await stage.thread())
    service.version = "v1.4.2"
    await stage.ana.types("/deploy check New version runs")
    await says(stage, "1 passed")
    await stage.ana.types("/deploy go")
    await says(stage, "gave *Go*")
    await stage.ana.types("/deploy finish")
    await says(stage, "finished *storefront v1.4.2 → production*")


async def test_a_sidecar_with_a_mistake_keeps_the_bot_from_starting(stage: Stage, folder: Path) -> None:
    (folder / "golive.yaml").write_text((folder / "golive.yaml").read_text().replace("expect", "expct"))
    with pytest.raises(SidecarUnusable, match="unknown key “expct”"):
        async with running_bot(stage, f"sqlite:///{folder / 'd.db'}", checklists=folder):
            pass


async def test_other_channels_are_told_in_words_and_in_figures(stage: Stage, bot: Application) -> None:
    await started(stage)
    await stage.ana.types("/deploy check")
    await says(stage, "4 passed")
    await stage.ana.types("/deploy notify #general we are live in ten minutes")

    async def told() -> str:
        return texts([m for m in await stage.ben.history("C0GENERAL01") if m.get("bot_id")])

    await stage.until(told, what="the channel is told")
    assert "storefront v1.4.2 → production" in await told()
    assert "we are live in ten minutes" in await told()
    assert "Checks: 4 passed." in await told()
    await stage.ana.types("/deploy notify")
    assert "notify needs a channel" in (await stage.ana.whispers())[-1]
    await stage.ana.types("/deploy share")
    await stage.until(lambda: shared(stage), what="the figures are shared here")


async def shared(stage: Stage) -> bool:
    return "📣" in texts(await stage.ana.history())
