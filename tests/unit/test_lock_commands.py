"""What people type about locks, the queue and the lead."""

from __future__ import annotations

import pytest

from bot.slack import commands
from bot.slack.commands import HandOver, LeaveQueue, ListLocks, ListQueue, LockIt, NotUnderstood, UnlockIt


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("lock storefront for 2h Database migration", LockIt(words="storefront for 2h Database migration")),
        ("lock", LockIt()),
        ("Lock storefront a &amp; b", LockIt(words="storefront a & b")),
        ("unlock storefront production", UnlockIt(words="storefront production")),
        ("locks", ListLocks()),
        ("queue", ListQueue()),
        ("queue leave", LeaveQueue()),
        ("queue leave storefront", LeaveQueue(service="storefront")),
        ("lead <@UBEN0000002|ben>", HandOver(user="UBEN0000002")),
        ("lead <@UBEN0000002>", HandOver(user="UBEN0000002")),
        ("lead <@UBEN0000002|ben> storefront-12", HandOver(user="UBEN0000002", name="storefront-12")),
        ("lead storefront-12 <@UBEN0000002|ben>", HandOver(user="UBEN0000002", name="storefront-12")),
        ("lead me", HandOver(user="me")),
        ("lead me storefront-12", HandOver(user="me", name="storefront-12")),
        ("lead", HandOver()),
        ("lead storefront-12", HandOver(name="storefront-12")),
    ],
)
def test_it_is_understood(text: str, command: commands.Command) -> None:
    assert commands.parse(text) == command


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("locks storefront", "locks can't use “storefront”"),
        ("queue up", "There is `queue`"),
        ("queue leave storefront now", "queue leave can't use"),
        ("lead @nobody", "I don't know who @nobody is"),
        ("lead me storefront-12 please", "lead can't use"),
    ],
)
def test_what_is_not_is_answered_with_what_there_is(text: str, said: str) -> None:
    command = commands.parse(text)
    assert isinstance(command, NotUnderstood)
    assert said in command.why
