"""Time and rate limits."""

from __future__ import annotations

import asyncio
import time

import pytest

from bot.workspace.clock import Clock
from bot.workspace.rate_limits import RateLimits


class Hands:
    """A clock's hands, moved by the test."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


def test_stamps_are_unique_and_increase_even_when_time_stands_still() -> None:
    hands = Hands()
    clock = Clock(real=hands)
    stamps = [clock.stamp() for _ in range(3)]
    hands.at -= 10
    stamps.append(clock.stamp())
    assert stamps == ["1000.000000", "1000.000001", "1000.000002", "1000.000003"]
    clock.not_before("2000.000005")
    assert clock.stamp() == "2000.000006"


def test_moving_forward_moves_now_and_never_back() -> None:
    clock = Clock(real=Hands())
    assert clock.forward(60) == 1_060.0
    assert clock.now() == 1_060.0
    with pytest.raises(ValueError, match="forward"):
        clock.forward(-1)


async def test_sleepers_wake_when_the_clock_is_moved_past_them() -> None:
    clock = Clock()
    woken: list[str] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleep("hour", 3_600)), asyncio.create_task(sleep("day", 86_400))]
    await asyncio.sleep(0.01)
    clock.forward(1_800)
    await asyncio.sleep(0.01)
    assert woken == []
    clock.forward(1_801)
    await asyncio.sleep(0.01)
    assert woken == ["hour"]
    for task in tasks:
        task.cancel()


async def test_a_scale_makes_sleeping_quick() -> None:
    before = time.monotonic()
    await Clock().sleep(60, scale=0.001)
    assert 0.05 < time.monotonic() - before < 1


def test_a_method_may_be_called_so_often_in_any_minute() -> None:
    hands = Hands()
    limits = RateLimits(hands)
    assert [limits.call("A", "chat.update", 50) for _ in range(50)] == [0] * 50
    hands.at += 20
    assert limits.call("A", "chat.update", 50) == 40
    assert limits.call("A", "views.open", 100) == 0
    assert limits.call("B", "chat.update", 50) == 0
    hands.at += 40.5
    assert limits.call("A", "chat.update", 50) == 0
    assert limits.counters()["refused"] == {"chat.update": 1}


def test_refused_calls_do_not_count() -> None:
    hands = Hands()
    limits = RateLimits(hands)
    limits.call("A", "m", 1)
    hands.at += 59
    assert limits.call("A", "m", 1) == 1
    hands.at += 1
    assert limits.call("A", "m", 1) == 0


def test_a_channel_takes_a_burst_of_three_then_one_a_second() -> None:
    hands = Hands()
    limits = RateLimits(hands)

    def post(channel: str = "C1") -> int:
        return limits.call("A", "chat.postMessage", 300, channel=channel)

    assert [post() for _ in range(4)] == [0, 0, 0, 1]
    assert post("C2") == 0
    hands.at += 1
    assert [post(), post()] == [0, 1]


def test_scale_shrinks_the_window_and_limits_can_be_lifted() -> None:
    hands = Hands()
    limits = RateLimits(hands)
    limits.set(scale=0.01)
    limits.call("A", "m", 1)
    hands.at += 0.7
    assert limits.call("A", "m", 1) == 0
    limits.set(enforce=False)
    assert [limits.call("A", "m", 1) for _ in range(3)] == [0, 0, 0]
    with pytest.raises(ValueError, match="greater than 0"):
        limits.set(scale=0)
