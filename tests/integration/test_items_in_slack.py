"""The list of a section's items, used from screens that are out of date."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import Application
from bot.domain.deployment import Deployment
from bot.services import finding
from tests.makers import ANA, BEN, CARLA
from tests.stage import Json, NotThere, Stage, running_bot

ITEM = "Say hello"


@pytest.fixture
async def bot(stage: Stage, tmp_path: Path) -> AsyncIterator[Application]:
    (tmp_path / "short.md").write_text(f"# Short\n\n## Only section\n\n- [ ] {ITEM}\n- [ ] Wave\n")
    async with running_bot(stage, f"sqlite:///{tmp_path / 'd.db'}", checklists=tmp_path) as bot:
        yield bot


async def started(stage: Stage, bot: Application) -> None:
    await stage.ana.types("/deploy start storefront v1.4.2 production --checklist short")
    assert await bot.settle()


async def types(stage: Stage, bot: Application, *commands: tuple[str, str]) -> Deployment:
    """Each of these people types something; the deployment after it."""
    for user, text in commands:
        await stage.person(user).types(text)
    assert await bot.settle()
    [only] = await finding.opened(bot.ports, stage.installed.team_id)
    return only


async def list_of(stage: Stage, user: str) -> Json:
    """The list of items, as it is when this person opens it."""
    await stage.person(user).presses(await stage.message_with(ITEM), "Items…")

    async def newest() -> Json:
        views = await stage.views(user)
        if not views:
            raise NotThere("no form")
        return views[-1]

    view: Json = await stage.until(newest, what="the list")
    return view


def menu(view: Json) -> tuple[str, Json]:
    """The item's menu in a list."""
    [block] = [block for block in view["blocks"] if f"*{ITEM}*" in str(block)]
    return block["block_id"], block["accessory"]


def offered(view: Json) -> list[str]:
    return [option["text"]["text"] for option in menu(view)[1]["options"]]


async def picks(stage: Stage, user: str, view: Json, label: str) -> None:
    """Choose from the item's menu as it was drawn in this view."""
    block_id, element = menu(view)
    [option] = [one for one in element["options"] if one["text"]["text"] == label]
    await stage.person(user)._do(
        "action",
        container={"view_id": view["id"]},
        block_id=block_id,
        action_id=element["action_id"],
        value={"selected_option": option},
        state={},
    )


async def told_directly(stage: Stage, user: str) -> str:
    state = (await stage.client.get("/control/state")).json()
    direct = [c["id"] for c in state["channels"] if c["is_im"] and user in c["members"]]
    found = [m["text"] for one in direct for m in state["messages"].get(one, ())]
    if not found:
        raise NotThere("no direct message")
    return str(found[-1])


async def test_the_note_that_was_shown_is_removed_and_no_other(stage: Stage, bot: Application) -> None:
    await started(stage, bot)
    await types(stage, bot, (ANA, f"/deploy note {ITEM}: mine"))
    view = await list_of(stage, ANA)
    assert offered(view) == ["Not applicable…", "Assign…", "Note or link…", "Remove ana's note: mine"]
    await types(stage, bot, (BEN, f"/deploy note {ITEM}: of Ben, written meanwhile"))
    await picks(stage, ANA, view, "Remove ana's note: mine")
    assert await bot.settle()
    state = await types(stage, bot)
    assert [(note.by, note.text) for note in state.care.notes[0]] == [(BEN, "of Ben, written meanwhile")]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("waive", "`/deploy waive ITEM because REASON`"),
        ("waive storefront-1 because it is internal", "`/deploy waive ITEM because REASON`"),
        ("unwaive", "`/deploy unwaive ITEM`"),
        ("assign", "`/deploy assign ITEM @somebody`"),
        ("assign @ben", "`/deploy assign ITEM @somebody`"),
        ("unassign", "`/deploy unassign ITEM @somebody`"),
        ("note", "`/deploy note ITEM: WORDS`"),
        ("note : see the graph", "`/deploy note ITEM: WORDS`"),
    ],
)
async def test_who_names_no_item_is_told_how_it_is_written(
    stage: Stage, bot: Application, typed: str, said: str
) -> None:
    await started(stage, bot)
    await stage.ana.types(f"/deploy {typed}")
    assert (await stage.ana.whispers())[-1] == f"Say which item you mean, by its words: {said}."


async def test_a_note_that_is_gone_already_is_told_so(stage: Stage, bot: Application) -> None:
    await started(stage, bot)
    await types(stage, bot, (ANA, f"/deploy note {ITEM}: old"), (BEN, f"/deploy note {ITEM}: new"))
    first, second = await list_of(stage, ANA), await list_of(stage, BEN)
    await picks(stage, ANA, first, "Remove ben's note: new")
    await picks(stage, BEN, second, "Remove ben's note: new")
    told = await stage.until(lambda: told_directly(stage, BEN), what="an answer to Ben")
    assert told == "That note is not there any more; nothing was changed."
    state = await types(stage, bot)
    assert [note.text for note in state.care.notes[0]] == ["old"]


async def test_every_note_can_be_removed_the_newest_first(stage: Stage, bot: Application) -> None:
    await started(stage, bot)
    await types(stage, bot, *[(ANA, f"/deploy note {ITEM}: number {n}") for n in range(3)])
    view = await list_of(stage, BEN)
    assert offered(view)[-3:] == [f"Remove ana's note: number {n}" for n in (2, 1, 0)]
    await picks(stage, BEN, view, "Remove ana's note: number 1")
    assert await bot.settle()
    state = await types(stage, bot)
    assert [note.text for note in state.care.notes[0]] == ["number 0", "number 2"]


async def test_unassigning_takes_the_item_from_those_who_were_shown(stage: Stage, bot: Application) -> None:
    await started(stage, bot)
    await types(stage, bot, (ANA, f"/deploy assign {ITEM} @ben"))
    view = await list_of(stage, ANA)
    await types(stage, bot, (BEN, f"/deploy assign {ITEM} @carla"))
    await picks(stage, ANA, view, "Unassign")
    assert await bot.settle()
    state = await types(stage, bot)
    assert state.care.assignees(0) == (CARLA,)
