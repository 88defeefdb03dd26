"""Reminders as Slack shows them: what is open with its numbers, what can be done, what became of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.domain.care import Assignment, Care
from bot.domain.check import Outcome
from bot.domain.conduct import Conduct, Ownership
from bot.domain.deployment import Deployment, Phase, Target, Tick
from bot.domain.events import BOT
from bot.domain.localtime import Reader
from bot.domain.reminding import Origin, Reminder, State
from bot.domain.verification import Bound, Result
from bot.domain.watching import Aftermath, Deployed
from bot.slack.blocks import reminder
from bot.slack.blocks.words import Drawing
from bot.workspace.block_kit import check_message_blocks, check_view
from tests.makers import ANA, BEN, CARLA, CHANNEL, NOON, TEAM, make_checklist

GROUP = "S0RELEASE01"
NAMES = {ANA: "ana", BEN: "ben", CARLA: "Carla", GROUP: "Release"}
DUE = NOON + timedelta(minutes=5)
ONE = Reminder(
    id=1,
    deployment_id=1,
    key="plan-1",
    origin=Origin.PLAN,
    items=(0, 1),
    due_at=DUE,
    state=State.SENT,
    sent_at=DUE,
)


def deployment(**changed: Any) -> Deployment:
    """Ana's, deployed at noon; box 1's check failed a minute before it was due."""
    found = Result(
        outcome=Outcome.FAIL,
        said="error rate 6 %",
        at=DUE - timedelta(minutes=1),
        expires_at=DUE,
        seq=3,
        ms=1.0,
    )
    values: dict[str, Any] = {
        "id": 1,
        "name": "storefront-1",
        "target": Target(service="storefront", version="v1.4.2", environment="production"),
        "team": TEAM,
        "channel": CHANNEL,
        "lead": ANA,
        "timezone": "UTC",
        "checklist_name": "production",
        "checklist": make_checklist(sections=8),
        "started_at": NOON,
        "bindings": {0: Bound(), 2: Bound()},
        "results": {0: found},
        "aftermath": Aftermath(deployed=Deployed(by=ANA, at=NOON, seq=2)),
    }
    return Deployment(**values | changed)


def draw(*rows: Reminder, state: Deployment | None = None, **changed: Any) -> Drawing:
    """The message that asked about these, as of round 0."""
    content = {
        "reminders": [[row.id, 0, list(row.items)] for row in rows],
        "level": 0,
        "late": False,
        "mention": "",
        **changed,
    }
    drawing = reminder.draw(
        state or deployment(),
        content,
        {row.id: row for row in rows},
        names=NAMES,
        link="https://example.slack.com/archives/C0DEPLOYS01/p1",
        now=DUE,
    )
    assert check_message_blocks(list(drawing.blocks)) == []
    return drawing


def test_it_names_the_lead_and_what_is_open_with_the_newest_number_and_its_age() -> None:
    drawing = draw(ONE)
    shown = str(drawing.blocks)
    assert f"⏰ <@{ANA}> *5 min after the deploy, still open*" in shown
    assert "☐ Box 1.1 — ✗ error rate 6 % (1 min ago)\\n☐ Box 1.2" in shown
    assert drawing.text.startswith("⏰ ana *5 min after the deploy, still open*\n☐ Box 1.1 — ✗ error rate")
    assert [element["action_id"] for element in drawing.blocks[-1]["elements"]] == [
        "reminder_done",
        "reminder_snooze",
        "reminder_not_needed",
    ]
    done = deployment(ticks={1: Tick(by=BEN, at=NOON, seq=2)})
    assert "Box 1.2" not in str(draw(ONE, state=done).blocks)


def given(position: int, *people: str) -> dict[int, tuple[Assignment, ...]]:
    return {position: tuple(Assignment(to=to, by=ANA, at=NOON, seq=1) for to in people)}


def test_it_mentions_whom_its_open_items_were_given_to_else_who_owns_them() -> None:
    owned = (Ownership(first=0, last=6, owners=(CARLA, GROUP)),)
    state = deployment(care=Care(assignments=given(0, BEN)), conduct=Conduct(owned=owned))
    drawing = draw(ONE, state=state)
    first = drawing.blocks[0]["text"]["text"]
    assert first.startswith(f"⏰ <@{ANA}> <@{BEN}> <@{CARLA}> <!subteam^{GROUP}> *5 min after the deploy")
    assert drawing.text.startswith("⏰ ana ben Carla Release *5 min after the deploy")
    given_only = draw(replace(ONE, items=(0,)), state=state)
    assert given_only.blocks[0]["text"]["text"].startswith(f"⏰ <@{ANA}> <@{BEN}> *")
    done = draw(ONE, state=replace(state, ticks={1: Tick(by=BEN, at=NOON, seq=2)}))
    assert CARLA not in str(done.blocks) and f"<@{BEN}>" in str(done.blocks)
    assert reminder.people_in(state, [ONE]) == {ANA, BEN, CARLA, GROUP}


def test_nobody_is_mentioned_twice_and_of_many_five() -> None:
    many = tuple(f"U{at:010}" for at in range(8))
    state = deployment(care=Care(assignments=given(0, ANA, BEN) | given(1, BEN, *many)))
    rows = [replace(ONE, for_user=BEN), replace(ONE, id=2)]
    first = draw(*rows, state=state).blocks[0]["text"]["text"]
    assert (
        first == f"⏰ <@{ANA}> <@{BEN}> {' '.join(f'<@{one}>' for one in many[:5])} and 3 more *Still open*"
    )
    settled = replace(ONE, state=State.DONE, settled_by=BEN, settled_at=DUE)
    other = replace(ONE, id=2, items=(2,))
    assert many[0] not in str(draw(settled, other, state=state).blocks), (
        "nobody is asked about what is settled"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"state": State.DONE, "settled_by": BEN}, "✓ done, says <@UBEN0000002> · 12:05 UTC"),
        ({"state": State.DONE, "settled_by": BOT}, "Box 1.1, Box 1.2: ✓ done"),
        ({"state": State.NOT_NEEDED, "settled_by": BEN}, "– not needed, says <@UBEN0000002> · 12:05 UTC"),
        (
            {"state": State.WAITING, "settled_by": BEN, "round": 1},
            "💤 snoozed by <@UBEN0000002> until <!date^",
        ),
        ({"state": State.SENT, "round": 1}, "asked again later"),
        ({"state": State.DROPPED, "settled_by": BOT}, "another reminder asks about it"),
    ],
)
def test_what_is_settled_says_by_whom_and_has_no_buttons(changed: dict[str, Any], said: str) -> None:
    drawing = draw(replace(ONE, settled_at=DUE, **changed))
    assert said in str(drawing.blocks)
    assert [block["type"] for block in drawing.blocks] == ["context"]


def test_of_several_only_those_that_still_ask_have_buttons() -> None:
    other = replace(ONE, id=2, items=(2,), state=State.DONE, settled_by=BEN, settled_at=DUE)
    drawing = draw(ONE, other, late=True)
    assert "*Missed while I was away*" in str(drawing.blocks[0])
    assert "*5 min after the deploy (was due at 12:05 UTC)*" in str(drawing.blocks[1])
    assert [block["type"] for block in drawing.blocks] == ["section", "section", "actions", "context"]
    ended = draw(ONE, other, state=deployment(phase=Phase.FINISHED, ended_at=DUE, ended_by=ANA))
    assert {block["type"] for block in ended.blocks} == {"context"}


def test_the_fullest_message_keeps_to_slacks_limits_and_pings_nobody_it_should_not() -> None:
    words = "<!channel> <@UBEN0000002> @here & " + "long words " * 30
    rows = [replace(ONE, id=at, items=(), text=words, origin=Origin.PERSON) for at in range(1, 11)]
    drawing = draw(*rows)
    assert len(drawing.blocks) == 21
    owners = tuple(f"S{at:010}" for at in range(40))
    owned = deployment(conduct=Conduct(owned=(Ownership(first=0, last=55, owners=owners),)))
    draw(*(replace(row, items=tuple(range(50)), for_user=f"U{row.id:010}") for row in rows), state=owned)
    for text in (str(drawing.blocks), drawing.text):
        assert "<!channel>" not in text and f"<@{BEN}>" not in text and "&lt;!channel&gt;" in text


def test_the_lead_gets_a_link_and_the_group_a_mention() -> None:
    direct = str(draw(ONE, level=1).blocks)
    assert "Nobody has reacted" in direct and "/archives/C0DEPLOYS01/p1|storefront v1.4.2 →" in direct
    called = draw(replace(ONE, for_user=BEN), level=2, mention="S0ONCALL1")
    assert f"<!subteam^S0ONCALL1> <@{ANA}> <@{BEN}>: *nobody has reacted" in str(called.blocks)
    assert called.text.startswith("⏰ On call ana ben:")


def test_the_form_for_the_review_is_one_slack_takes() -> None:
    view = reminder.review(deployment(), at=DUE, reader=Reader(timezone="America/New_York", locale="en-US"))
    assert check_view(view, surface="modal") == []
    assert "AM, where you are (America/New_York)." in view["blocks"][1]["hint"]["text"]


def test_a_direct_reminder_has_the_times_of_the_one_who_reads_it() -> None:
    settled = replace(ONE, state=State.NOT_NEEDED, settled_by=BEN, settled_at=NOON + timedelta(hours=3))
    content = {"reminders": [[1, 0, [0, 1]], [2, 0, [0]]], "late": True, "level": 1, "mention": ""}
    rows = {1: settled, 2: replace(ONE, id=2)}
    reader = Reader(timezone="America/New_York", locale="en-US")
    drawing = reminder.draw(
        deployment(), content, rows, names=NAMES, link=None, now=NOON + timedelta(hours=4), reader=reader
    )
    assert check_message_blocks(drawing.blocks) == []
    assert "not needed, says ben · 10:00\N{NARROW NO-BREAK SPACE}AM" in drawing.text
    assert "(was due at 7:05\N{NARROW NO-BREAK SPACE}AM)" in drawing.text
    assert "Tomorrow 9:00\N{NARROW NO-BREAK SPACE}AM" in json.dumps(drawing.blocks, ensure_ascii=False)
