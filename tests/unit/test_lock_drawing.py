"""What locks, turns and leads look like: within Slack's limits in the worst case, and with the words people need."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.deployment import LIMITS, PreparedIn, Target
from bot.domain.errors import (
    AlreadyDeploying,
    DeployingInPrivate,
    ForeignClick,
    NotYourTurn,
    StartRefused,
    TargetFrozen,
    TargetLocked,
)
from bot.domain.locks import Lock
from bot.domain.queueing import Place, PlaceState
from bot.domain.verification import Go
from bot.domain.watching import Deployed
from bot.slack.blocks import card, locks, notices, nudges, turns, words
from bot.slack.ids import StartRef, number_of
from bot.workspace.block_kit import check_message_blocks, check_view
from tests.makers import ANA, BEN, CHANNEL, NOON, TEAM, make_checklist
from tests.unit.test_drawing import deployment_of

NAMES = {ANA: "ana", BEN: "ben"}
SERVICE, VERSION = "s" * LIMITS["service"], "v" * LIMITS["version"]
ENVIRONMENT, REASON = "e" * LIMITS["environment"], "&<>" * 333
REF = StartRef(
    service=SERVICE, version=VERSION, environment=ENVIRONMENT, checklist="c" * 128, channel=CHANNEL
)
PLACE = Place(
    id=7,
    team=TEAM,
    channel=CHANNEL,
    user=BEN,
    target=Target(service=SERVICE, version=VERSION, environment=ENVIRONMENT),
    checklist="production",
    at=NOON,
    state=PlaceState.PINGED,
    pinged_at=NOON,
)
LOCK = Lock(id=1, team=TEAM, service=SERVICE, environment=ENVIRONMENT, by=ANA, reason=REASON, at=NOON)
HELD = AlreadyDeploying(
    deployment_id=1, name="n", service=SERVICE, version=VERSION, environment=ENVIRONMENT, lead=ANA
)
REFUSALS: tuple[tuple[StartRefused, list[str]], ...] = (
    (HELD, ["Tell me when it is free"]),
    (DeployingInPrivate(HELD), ["Tell me when it is free"]),
    (
        TargetLocked(lock_id=1, what=LOCK.what, by=ANA, reason=REASON, until=NOON, unlock=SERVICE),
        ["Tell me when it is free", "Unlock…"],
    ),
    (
        TargetLocked(lock_id=1, what=LOCK.what, by=ANA, reason=REASON, until=None, unlock=SERVICE),
        ["Tell me when it is free", "Unlock…"],
    ),
    (
        TargetFrozen(name="w" * 80, reason="&" * 300, until=NOON),
        ["Tell me when it ends", "Prepare anyway"],
    ),
    (NotYourTurn(what=SERVICE, user=BEN, until=NOON), ["Tell me when it is free", "Start all the same"]),
    (NotYourTurn(what=SERVICE, user=BEN, until=None), ["Tell me when it is free", "Start all the same"]),
)


@pytest.mark.parametrize(("refused", "labels"), REFUSALS)
def test_every_refusal_fits_and_offers_what_can_be_done(refused: StartRefused, labels: list[str]) -> None:
    text, blocks = locks.refusal(refused, REF, link="https://example.slack.com/archives/C/p1")
    assert check_message_blocks(blocks) == []
    assert words.size(blocks) < words.BLOCKS_CHARACTERS
    assert [button["text"]["text"] for button in blocks[-1]["elements"]] == labels
    assert "<&" not in text
    assert "\0" not in text
    assert "\1" not in text
    assert json.dumps(text)


@pytest.mark.parametrize("state", list(PlaceState))
@pytest.mark.parametrize("current", [True, False])
def test_a_turn_has_buttons_only_while_it_is_one(state: PlaceState, current: bool) -> None:
    place = Place(**{**PLACE.__dict__, "state": state})
    drawing = turns.turn(place, current=current)
    assert check_message_blocks(list(drawing.blocks)) == []
    has_buttons = any(block["type"] == "actions" for block in drawing.blocks)
    assert has_buttons is (state is PlaceState.PINGED and current)


def test_what_is_said_of_locks_lines_and_leads_fits() -> None:
    deployment = deployment_of(make_checklist(), quiet_lead=timedelta(minutes=30))
    content = {"nudge": 1, "to": ANA, "by": BEN, "from": BEN, "open": 12}
    drawings = [
        turns.unlocked(LOCK, by=BEN, name="ben"),
        nudges.direct(deployment, content, link="https://example.slack.com/archives/C/p1"),
        notices.draw(deployment, "nudge-9", content, names=NAMES),
        notices.draw(deployment, "lead-9", content, names=NAMES),
    ]
    for drawing in drawings:
        assert check_message_blocks(list(drawing.blocks)) == []
        assert len(drawing.text) < words.FALLBACK_TEXT
    assert check_view(nudges.hand_over(deployment), surface="modal") == []
    assert f"<@{ANA}> leads this deployment" in str(drawings[3].blocks)
    assert "ana leads this deployment from now on, says ben" in drawings[3].text
    assert "12 items are open" in drawings[1].text
    assert len(locks.lock_lines([LOCK] * 50)) == locks.SHOWN + 1
    [line] = locks.queue_lines([PLACE] * 50)
    assert line.endswith("and 30 more")


def test_the_card_says_that_it_is_prepared_in_a_freeze_while_that_holds() -> None:
    freeze = PreparedIn(name="week*end", reason="Nobody <is> here", until=NOON + timedelta(hours=1))
    deployment = deployment_of(make_checklist(), prepared_in=freeze)
    during = card.draw(deployment, names=NAMES, now=NOON)
    assert check_message_blocks(list(during.blocks)) == []
    assert "❄️ Prepared in the freeze *weekend*" in str(during.blocks)
    assert "Nobody &lt;is&gt; here" in during.text
    after = card.draw(deployment, names=NAMES, now=freeze.until)
    assert "freeze" not in str(after.blocks) + after.text


def test_what_somebody_wanted_to_start_travels_in_a_button_and_forged_values_do_not() -> None:
    assert StartRef.read(REF.write()) == REF
    assert len(REF.write()) < 2000
    for value in (None, "", "[]", "3", '["a", "b", "c", "d", 5]', '["a","b","c","d","e","f"]', '{"a": 1}'):
        with pytest.raises(ForeignClick):
            StartRef.read(value)
    assert number_of("12") == 12
    for value in (None, "", "-1", "1.0", "x"):
        with pytest.raises(ForeignClick):
            number_of(value)


def test_a_lock_says_that_what_is_live_is_kept_from_nothing_and_names_a_few() -> None:
    deployment = deployment_of(make_checklist())
    live = replace(deployment.aftermath, deployed=Deployed(by=ANA, at=NOON, seq=2))
    gone = replace(deployment, go=Go(by=ANA, at=NOON, seq=2), aftermath=live)
    name = deployment.name
    assert locks.under_way([]) == []
    assert locks.under_way([gone, deployment, replace(deployment, aftermath=live), gone]) == [
        f"{name} and {name}: under way already: Go was given, so the lock keeps nobody from going on.",
        f"{name}: under way already, and kept from Go as long as the lock holds.",
        f"{name}: live already, so the lock keeps nobody from going on.",
    ]
    assert f"{name} and 3 more: under way" in locks.under_way([deployment] * 8)[0]
