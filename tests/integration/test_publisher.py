"""The screens, against a workspace that enforces Slack's limits and loses answers on demand."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import Application
from bot.services import finding
from tests.makers import CHANNEL
from tests.stage import Client, Json, Stage, find_box, has_box, running_bot, texts

START = "/deploy start storefront v1.4.2 production"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'deploybot.db'}"


@pytest.fixture
async def bot(stage: Stage, sqlite_url: str) -> AsyncIterator[Application]:
    async with running_bot(stage, sqlite_url) as bot:
        yield bot


async def test_the_seed_takes_at_most_nine_messages(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    thread = await stage.thread()
    assert len(thread) <= 9
    assert len(await stage.traffic("chat.postMessage")) == len(thread)
    boxes = sum(
        len(element["options"])
        for message in thread
        for block in message["blocks"]
        for element in block.get("elements", ())
        if element.get("type") == "checkboxes"
    )
    assert boxes == 107


async def test_107_ticks_by_20_people_cost_at_most_20_updates_and_end_exact(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    people = []
    for number in range(20):
        made = await stage.client.post(
            "/control/users", json={"name": f"p{number}", "real_name": f"P {number}"}
        )
        people.append(stage.person(made.json()["user"]["id"]))
    for person in people:
        await stage.client.post(
            "/client/invite", json={"user": "UANA0000001", "channel": CHANNEL, "member": person.user}
        )
    await asyncio.sleep(3)
    before = len(await stage.traffic("chat.update"))
    boxes = [
        (message, option["value"])
        for message in await stage.thread()
        for block in message["blocks"]
        for element in block.get("elements", ())
        if element.get("type") == "checkboxes"
        for option in element["options"]
    ]
    dice = random.Random(7)
    dice.shuffle(boxes)
    # Each person acts on the screen they had when the burst began.
    screens: dict[tuple[str, str], Client] = {}
    expected: dict[int, str] = {}

    async def click(turn: int) -> None:
        message, value = boxes[turn]
        person = people[turn % len(people)]
        screen = screens.setdefault((person.user, message["ts"]), Client(person, message))
        await asyncio.sleep(turn * 0.04)
        answer = await screen.toggles_value(value)
        assert answer["ok"], answer
        expected[int(value)] = person.user

    await asyncio.gather(*(click(turn) for turn in range(len(boxes))))
    last = time.monotonic()
    assert await bot.settle(within=10)
    exact_after = time.monotonic() - last
    updates = len(await stage.traffic("chat.update")) - before
    [deployment] = await finding.opened(bot.ports, stage.installed.team_id)
    assert {at: tick.by for at, tick in deployment.ticks.items()} == expected
    thread = await stage.thread()
    assert all(
        len(element.get("initial_options", ())) == len(element["options"])
        for message in thread
        for block in message["blocks"]
        for element in block.get("elements", ())
        if element.get("type") == "checkboxes"
    )
    assert "107 of 107" in thread[0]["text"]
    assert updates <= 20
    assert exact_after <= 3


async def test_a_lone_tick_is_shown_at_once_with_who_and_when(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await asyncio.sleep(3.1)
    began = time.monotonic()
    await stage.ticks(stage.ben, "Migrations are up to date")
    assert await bot.settle(within=2)
    assert time.monotonic() - began < 1.5
    _, element, option = find_box(await stage.message_with("Migrations are up to date"), "Migrations are up")
    assert option in element["initial_options"]
    assert "ben" in option["description"]["text"]


@pytest.mark.parametrize("mode", ["lost_answer", "drop"])
async def test_no_message_is_posted_twice_or_lost_when_answers_are_lost(
    stage: Stage, bot: Application, mode: str
) -> None:
    await stage.fault(kind="api", method="chat.postMessage", mode=mode, times=3)
    await stage.ana.types(START)
    assert await bot.settle(within=60)
    thread = await stage.thread()
    firsts = [message["text"].split(":")[0].split(".")[0] for message in thread]
    assert len(thread) == len(set(firsts)) == 8
    assert len([m for m in await stage.ana.history() if m.get("bot_id")]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"mode": "ratelimited", "retry_after": 2, "times": 2},
        {"mode": "status", "status": 503, "times": 2},
        {"mode": "error", "error": "internal_error", "times": 2},
    ],
)
async def test_trouble_on_slacks_side_delays_updates_and_loses_none(
    stage: Stage, bot: Application, fault: Json
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.fault(kind="api", method="chat.update", **fault)
    await stage.ticks(stage.ben, "Migrations are up to date")
    assert await bot.settle(within=30)
    message = await stage.message_with("Migrations are up to date")
    _, element, option = find_box(message, "Migrations are up to date")
    assert option in element["initial_options"]
    refused = [e for e in await stage.traffic("chat.update") if e["status"] == 429]
    if refused:  # nothing of this method was sent before Retry-After was over
        again = [e["at"] for e in await stage.traffic("chat.update") if e["at"] > refused[0]["at"] + 0.3]
        assert again[0] - refused[0]["at"] >= 2


async def test_a_message_somebody_deleted_comes_back_with_the_next_redraw(
    stage: Stage, bot: Application
) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    message = await stage.message_with("Migrations are up to date")
    token = {"Authorization": f"Bearer {stage.installed.bot_token}"}
    deleted = await stage.client.post(
        "/api/chat.delete", json={"channel": CHANNEL, "ts": message["ts"]}, headers=token
    )
    assert deleted.json()["ok"]
    assert "Migrations are up to date" not in texts(await stage.thread())
    await stage.ana.types("/deploy abort rehearsal")
    assert await bot.settle(within=20)
    assert "Migrations are up to date" in texts(await stage.thread())


async def test_a_restart_in_the_middle_of_posting_goes_on_where_it_stopped(
    stage: Stage, sqlite_url: str
) -> None:
    async with running_bot(stage, sqlite_url):
        await stage.ana.types(START)
        await stage.until(stage.thread, what="the card is there")
        await asyncio.sleep(1.5)
    posted = len(await stage.thread())
    assert 1 <= posted < 8
    async with running_bot(stage, sqlite_url) as bot:
        assert await bot.settle()
    thread = await stage.thread()
    assert len(thread) == 8
    assert sum(has_box(message, "Migrations are up to date") for message in thread) == 1


async def test_a_finished_deployment_becomes_a_record_without_boxes(stage: Stage, bot: Application) -> None:
    await stage.ana.types(START)
    assert await bot.settle()
    await stage.ticks(stage.ben, "Migrations are up to date")
    await stage.ana.types("/deploy abort checkout fails for guests")
    assert await bot.settle(within=20)
    thread = await stage.thread()
    assert not any(
        element.get("type") == "checkboxes"
        for message in thread
        for block in message["blocks"]
        for element in block.get("elements", ())
    )
    said = texts(thread)
    assert "checkout fails for guests" in said
    assert "Migrations are up to date (ben" in said
