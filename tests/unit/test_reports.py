"""Reports of a run: what CI reads is well-formed whatever a target said, and nothing done is not a pass."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.reports import Report, junit, tap
from bot.domain.check import Evidence, ItemResult, Outcome
from tests.makers import NOON


def report(*outcomes: Outcome, said: str = "said") -> Report:
    """A run whose items came to these."""
    results = {}
    for number, outcome in enumerate(outcomes):
        part = Evidence(
            id="",
            kind="http",
            target=said,
            outcome=outcome,
            observed=said,
            expected=said,
            reason="" if outcome is Outcome.PASS else said,
            started_at=NOON,
            ms=1.0,
        )
        key = f"before/web/{number}"
        results[key] = ItemResult(
            key=key, outcome=outcome, evidence=(part,), at=NOON, expires_at=NOON, ms=1.0
        )
    texts = {key: f"Item {key}" for key in results}
    return Report(checklist="golive", environment="production", texts=texts, results=results, seconds=1.0)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((Outcome.PASS, Outcome.WARN), 0),
        ((Outcome.PASS, Outcome.FAIL, Outcome.ERROR), 1),
        ((Outcome.PASS, Outcome.UNKNOWN), 2),
        ((Outcome.PASS, Outcome.ERROR), 2),
        ((Outcome.PASS, Outcome.SKIPPED), 0),
        ((Outcome.SKIPPED,), 2),
        ((), 2),
    ],
)
def test_only_what_was_verified_or_is_not_to_be_checked_here_exits_with_0(
    outcomes: tuple[Outcome, ...], code: int
) -> None:
    assert report(*outcomes).exit_code == code


@given(
    st.text() | st.sampled_from(["]]></failure>", "\x00\x1b[2J", "\ufffe\uffff", "a\nok 9 - b\nBail out!"])
)
def test_nothing_a_target_says_breaks_the_form(said: str) -> None:
    made = report(*Outcome, said=said)
    suite = ElementTree.fromstring(junit(made))
    assert [len(case.findall("failure")) for case in suite] == [0, 0, 1, 0, 0, 0]
    assert len(suite.findall("testcase/error")) == 2
    lines = tap(made).splitlines()
    results = [line for line in lines[2:] if not line.startswith("# ")]
    assert [line.partition(" - ")[0] for line in results] == [
        "ok 1",
        "ok 2",
        "not ok 3",
        "not ok 4",
        "not ok 5",
        "not ok 6",
    ]
