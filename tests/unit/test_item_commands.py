"""What people type about items and about going on, as values."""

from __future__ import annotations

import pytest

from bot.slack import commands
from bot.slack.commands import Assign, NoGo, NoteItem, OpenItems, Override, Unassign, Unwaive, Waive


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("no-go the bank is down", NoGo(words="the bank is down")),
        ("nogo", NoGo()),
        ("override storefront-2 outage", Override(words="storefront-2 outage")),
        ("open", OpenItems()),
        ("open storefront-2", OpenItems(name="storefront-2")),
        (
            "waive Rate limits hold because it is internal",
            Waive(words="Rate limits hold", reason="it is internal"),
        ),
        ("waive “Rate limits hold” BECAUSE x", Waive(words="Rate limits hold", reason="x")),
        ("waive Rate limits hold", Waive(words="Rate limits hold")),
        ("unwaive Rate limits hold", Unwaive(words="Rate limits hold")),
        ("assign Queues drain <@U0BEN|ben>", Assign(words="Queues drain", to="U0BEN")),
        ("assign Queues drain to <@U0BEN>", Assign(words="Queues drain", to="U0BEN")),
        ("assign Security <!subteam^S0SEC1|@security>", Assign(words="Security", to="S0SEC1")),
        ("assign Queues drain", Assign(words="Queues drain")),
        ("unassign Queues drain <@U0BEN>", Unassign(words="Queues drain", to="U0BEN")),
        ("unassign Queues drain", Unassign(words="Queues drain")),
        ("note Queues drain: see the graph", NoteItem(words="Queues drain", text="see the graph")),
        (
            "note Queues drain: see <https://g.example.com/q?a=1&amp;b=2|g>",
            NoteItem(
                words="Queues drain",
                text="see g",
                link="https://g.example.com/q?a=1&b=2",
            ),
        ),
        ("note Queues drain", NoteItem(words="Queues drain")),
        ("note Queues drain:", NoteItem(words="Queues drain")),
        ("note *Queues drain:* see the graph", NoteItem(words="*Queues drain", text="see the graph")),
        ("note : see the graph", NoteItem(text="see the graph")),
        ("waive Rate limits hold: because x", Waive(words="Rate limits hold", reason="x")),
        ("waive Rate limits hold:", Waive(words="Rate limits hold")),
        ("waive because it is internal", Waive(reason="it is internal")),
        ("unwaive Rate limits hold:", Unwaive(words="Rate limits hold")),
        ("assign Queues drain: <@U0BEN>", Assign(words="Queues drain", to="U0BEN")),
        ("assign to <@U0BEN>", Assign(to="U0BEN")),
    ],
)
def test_commands_about_items_are_understood(typed: str, meant: commands.Command) -> None:
    assert commands.parse(typed) == meant
