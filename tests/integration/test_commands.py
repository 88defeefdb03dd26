"""What people type and press, and what comes back to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from bot.app import Application
from bot.services import finding
from tests.makers import ANA, BEN
from tests.stage import Json, Stage, running_bot, texts

SHORT = "# Short\n\n## Only section\n\n- [ ] Say hello\n\n### Order\n\n1. [ ] First\n2. [ ] Second of {{ service }}\n"
START = "/deploy start storefront v1.4.2 production --checklist short"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "short.md").write_text(SHORT)
    (tmp_path / "empty.md").write_text("# Nothing to do\n")
    (tmp_path / "broken.md").write_bytes(b"# \xff\xfe\n- [ ] x\n")
    (tmp_path / "unknown.md").write_text("# V\n\n- [ ] Tell {{ nobody }}\n")
    return tmp_path


@pytest.fixture
async def bot(stage: Stage, folder: Path) -> AsyncIterator[Application]:
    async with running_bot(stage, f"sqlite:///{folder / 'd.db'}", checklists=folder) as bot:
        yield bot


async def whispered(stage: Stage, user: str = ANA) -> str:
    """The last thing only this person was told."""
    told: list[str] = await stage.until(stage.person(user).whispers, what="an answer")
    return told[-1]


async def form(stage: Stage, user: str = ANA) -> Json:
    async def newest() -> Json | None:
        views = await stage.views(user)
        return views[-1] if views else None

    found: Json = await stage.until(newest, what="a form")
    return found


async def opened(stage: Stage, bot: Application) -> list[str]:
    return [str(d.target) for d in await finding.opened(bot.ports, stage.installed.team_id)]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/deploy", "What I can do"),
        ("/deploy help", "start [service] [version] [environment]"),
        ("/deploy strat storefront", "Did you mean `/deploy start`?"),
        ("/deploy frobnicate", "I don't know “frobnicate”."),
        ("/deploy list", "No deployment is open."),
        ("/deploy status", "No deployment is open in this channel."),
        ("/deploy finish", "No deployment is open in this channel."),
        ("/deploy status storefront-99", "There is no deployment called “storefront-99”"),
        ("/deploy start a b c d", "“d” is more than that"),
        ("/deploy start a b c --cheklist x", "there is --checklist NAME"),
        ("/deploy start a b c --checklist shrt", "Did you mean short?"),
        ("/deploy start a b c --checklist empty", "it holds no boxes to tick"),
        ("/deploy start a b c --checklist broken", "it is not UTF-8 text"),
        ("/deploy start a b c --checklist unknown", "nobody is not known"),
        ("/deploy start ../etc v1 production --checklist short", "can't be the service"),
        (f"/deploy start {'x' * 2900} v1 production --checklist short", "2900 characters"),
        ("/deploy start a;b v1 production --checklist short", "can't be the service"),
        ("/deploy start <b> v1 production --checklist short", "can't be the service"),
        ("/deploy list all", "list can't use “all”"),
        ("/deploy start a b c —checklist ../short", "there is no such checklist"),
    ],
)
async def test_every_wrong_word_is_answered_in_a_sentence(
    stage: Stage, bot: Application, typed: str, said: str
) -> None:
    assert (await stage.ana.types(typed))["ok"]
    answer = await whispered(stage)
    assert said in answer
    assert len(answer) < 3800
    assert "Traceback" not in answer
    assert await opened(stage, bot) == []


async def test_a_complete_start_starts_at_once_and_fills_the_variables_in(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    assert await opened(stage, bot) == ["storefront v1.4.2 → production"]
    assert "Second of storefront" in texts(await stage.thread())
    assert await stage.ana.whispers() == []


async def test_an_incomplete_start_asks_for_the_rest_in_a_form(stage: Stage, bot: Application) -> None:
    await stage.ana.types("/deploy start storefront --checklist short")
    view = await form(stage)
    assert view["blocks"][0]["element"]["initial_value"] == "storefront"
    wrong = await stage.ana.submits(view, version="not a version", environment="production")
    assert "can't be the version" in wrong["errors"]["version"]
    assert (await stage.ana.submits(view, version="v2", environment="production"))["ok"]
    assert await bot.settle()
    assert await opened(stage, bot) == ["storefront v2 → production"]
    assert await stage.views(ANA) == []


async def test_a_start_of_what_is_held_says_who_with_a_link(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ben.types("/deploy start storefront v2 production --checklist short")
    answer = await whispered(stage, BEN)
    root = await stage.root()
    assert f"led by <@{ANA}>" in answer
    assert f"/archives/C0DEPLOYS01/p{root['ts'].replace('.', '')}|" in answer
    await stage.ben.types("/deploy start storefront v2 --checklist short")
    wrong = await stage.ben.submits(await form(stage, BEN), environment="production")
    assert "led by ana" in wrong["errors"]["service"]


async def test_several_open_deployments_are_asked_about(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    await stage.ana.types("/deploy start api v9 staging --checklist short")
    assert await bot.settle()
    await stage.ana.types("/deploy status")
    both = await whispered(stage)
    assert "storefront-1" in both
    assert "api-2" in both
    await stage.ana.types("/deploy finish")
    [asked] = [m for m in await stage.ana.history() if m.get("ephemeral") and "Which one" in m["text"]]
    [block] = [b for b in asked["blocks"] if b.get("accessory")]
    option = next(o for o in block["accessory"]["options"] if "api" in o["text"]["text"])
    await stage.ana.clicks(asked, block["block_id"], "choose", {"selected_option": option})
    view = await form(stage)
    assert "api v9" in view["blocks"][0]["text"]["text"]
    assert (await stage.ana.submits(view))["ok"]
    assert await bot.settle()
    assert await opened(stage, bot) == ["storefront v1.4.2 → production"]
    await stage.ana.types("/deploy abort storefront-1 it rains")
    assert await bot.settle()
    assert await opened(stage, bot) == []
    assert "Reason: it rains" in texts(await stage.thread(0))


async def test_an_abort_among_several_asks_which_and_keeps_the_reason(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    await stage.ana.types("/deploy start api v9 staging --checklist short")
    assert await bot.settle()
    await stage.ana.types("/deploy abort it rains & pours")
    view = await form(stage)
    assert view["blocks"][-1]["element"]["initial_value"] == "it rains & pours"
    assert (await stage.ana.submits(view, deployment="2"))["ok"]
    assert await bot.settle()
    assert await opened(stage, bot) == ["storefront v1.4.2 → production"]


async def test_a_slip_in_a_name_ends_no_other_deployment(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    root = await stage.root(0)
    await stage.ben.types("@deploybot abort storefront-21 bad build", thread_ts=root["ts"])
    said = "no deployment called “storefront-21”"
    await stage.until(partial(_told, stage, BEN, root["ts"], said), what="that there is none of that name")
    await stage.ana.types("/deploy abort storefront-21 bad build")
    view = await form(stage)
    assert view["blocks"][0]["text"]["text"] == (
        "⚠️ There is no deployment called “storefront-21”. Did you mean storefront-1? "
        "This form is about storefront-1: storefront v1.4.2 → production."
    )
    assert view["blocks"][-1]["element"]["initial_value"] == "storefront-21 bad build"
    assert await bot.settle()
    assert await opened(stage, bot) == ["storefront v1.4.2 → production"]


async def test_a_name_that_is_not_there_is_said_where_nothing_or_more_than_one_is_open(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types("/deploy abort nosuch-9 because")
    assert "There is no deployment called “nosuch-9” in this workspace." in await whispered(stage)
    await stage.ana.types(START)
    await stage.ana.types("/deploy start api v9 staging --checklist short")
    assert await bot.settle()
    await stage.ana.types("/deploy abort nosuch-9 because")
    said = (await form(stage))["blocks"][0]["text"]["text"]
    assert said == "⚠️ There is no deployment called “nosuch-9”. Choose the one you mean."
    assert len(await opened(stage, bot)) == 2


async def test_an_override_of_nothing_is_refused_before_a_form_asks_why(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    for typed in ("/deploy override", "/deploy override storefront-1 the shop burns"):
        await stage.ana.types(typed)
        assert "Nothing is in the way, so there is nothing to override" in await whispered(stage)
    await stage.ana.types("@deploybot override", thread_ts=(await stage.root())["ts"])
    said = "Nothing is in the way"
    await stage.until(partial(_told, stage, ANA, (await stage.root())["ts"], said), what="the same there")
    assert await stage.views(ANA) == []


async def test_the_buttons_of_the_card_open_forms_that_end_the_deployment(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ben.presses(await stage.root(), "Abort")
    assert (await stage.ben.submits(await form(stage, BEN), reason="wrong version"))["ok"]
    assert await bot.settle()
    assert "ben aborted" in texts(await stage.thread())
    await stage.ben.types("/deploy status storefront-1")
    assert "Aborted" in await whispered(stage, BEN)


async def test_mentions_in_the_thread_do_what_commands_do(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    await stage.ana.types("/deploy start api v9 staging --checklist short")
    assert await bot.settle()
    root = await stage.root(0)
    for text, said in (
        ("@deploybot status", "storefront v1.4.2 → production"),
        ("@deploybot wat", "I don't know “wat”"),
        ("hey @deploybot: help", "What I can do"),
        ("@deploybot start", "Tell me what to deploy"),
        ("@deploybot finish", "items of storefront v1.4.2 → production are still open"),
    ):
        await stage.ben.types(text, thread_ts=root["ts"])
        await stage.until(
            partial(_told, stage, BEN, root["ts"], said), what=f"an answer to {text!r} with {said!r}"
        )
    await stage.ben.types("@deploybot abort it rains", thread_ts=root["ts"])
    await stage.until(lambda: _count(stage, bot, 1), what="it is aborted")


async def _told(stage: Stage, user: str, thread_ts: str, said: str) -> bool:
    return said in "\n".join(await stage.person(user).whispers(thread_ts=thread_ts))


async def _count(stage: Stage, bot: Application, count: int) -> bool:
    return len(await opened(stage, bot)) == count


async def test_a_slash_command_in_a_thread_is_refused_by_slack_itself(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    answer = await stage.ana.types("/deploy status", thread_ts=(await stage.root())["ts"])
    assert answer["error"] == "command_in_thread"


async def test_a_channel_the_bot_is_not_in_starts_nothing_and_says_what_to_do(
    stage: Stage, bot: Application
) -> None:
    made = await stage.client.post(
        "/control/channels", json={"name": "secret", "private": True, "members": [ANA], "bot": False}
    )
    for channel in ("C0RANDOM001", made.json()["channel"]["id"]):
        await stage.ana.types(START, channel=channel)
        answers = await stage.until(partial(stage.ana.whispers, channel), what="an answer")
        assert "I'm not in this channel" in answers[-1]
        assert "/invite @deploybot" in answers[-1]
    assert await opened(stage, bot) == []


async def test_a_step_out_of_order_is_told_to_the_person_and_marked(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ticks(stage.ben, "Second of storefront")
    root = await stage.root()
    await stage.until(
        lambda: _told(stage, BEN, root["ts"], "ticked before step 1"), what="the remark to Ben alone"
    )
    assert await stage.ana.whispers(thread_ts=root["ts"]) == []
    assert await bot.settle()
    assert "⚠ before step 1" in texts(await stage.thread())
