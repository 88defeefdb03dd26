"""What the bot itself did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from bot.checks.catalogue import Catalogue
from bot.domain.check import Evidence, Outcome
from tests.checking import examine, make_context

POSTED = {
    "at": datetime(2026, 3, 2, 12, 5, tzinfo=UTC),
    "channel": "C0DEPLOYS01",
    "ts": "1772452000.000100",
    "permalink": "https://acme.slack.com/archives/C0DEPLOYS01/p1772452000000100",
}


class ListedRecords:
    """Records kept in memory."""

    def __init__(self, **done: Mapping[str, Any]) -> None:
        self._done = done

    async def find(self, what: str) -> Mapping[str, Any] | None:
        """The one of that name."""
        return self._done.get(what)


async def event(records: ListedRecords | None, **params: Any) -> Evidence:
    rules = {"warn": params.pop("warn")} if "warn" in params else {}
    return await examine("event", params, context=make_context(records=records), **rules)


async def test_a_post_slack_took_passes_with_its_permalink() -> None:
    evidence = await event(ListedRecords(started=POSTED), what="started", channel="C0DEPLOYS01")
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.excerpt == POSTED["permalink"]
    assert evidence.observed == "deployment announced at 12:05 UTC in C0DEPLOYS01"


async def test_what_was_not_done_yet_fails_and_says_so() -> None:
    evidence = await event(ListedRecords(started=POSTED), what="report_shared")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.observed == "the bot has not shared the report yet"


async def test_a_post_slack_has_not_taken_does_not_count() -> None:
    evidence = await event(ListedRecords(notified={**POSTED, "ts": None}), what="notified")
    assert evidence.outcome is Outcome.FAIL


async def test_a_post_in_another_channel_does_not_count() -> None:
    evidence = await event(ListedRecords(notified=POSTED), what="notified", channel="C0STAKEHOLD")
    assert evidence.outcome is Outcome.FAIL
    assert "not in C0STAKEHOLD" in evidence.observed


async def test_a_reminder_counts_before_it_is_posted() -> None:
    records = ListedRecords(reminder_scheduled={**POSTED, "ts": None, "permalink": None})
    assert (await event(records, what="reminder_scheduled")).outcome is Outcome.PASS


async def test_a_post_can_be_warned_about() -> None:
    evidence = await event(ListedRecords(started=POSTED), what="started", warn={"channel": "C0DEPLOYS01"})
    assert evidence.outcome is Outcome.WARN


async def test_outside_a_deployment_nothing_is_known() -> None:
    assert (await event(None, what="started")).outcome is Outcome.SKIPPED


async def test_a_record_that_cannot_be_read_is_an_error() -> None:
    assert (await event(ListedRecords(started={"ts": "1.0"}), what="started")).outcome is Outcome.ERROR


def test_an_event_nobody_knows_is_refused_at_start_up() -> None:
    kind = Catalogue().get("event")
    assert kind is not None
    with pytest.raises(ValidationError):
        kind.params.model_validate({"what": "celebrated"})
