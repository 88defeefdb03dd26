"""Freezes in a sidecar: what is read, and everything that is wrong at once, with its place."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.checklists.freezes import policy_of
from bot.checklists.library import ChecklistLibrary
from bot.checklists.sidecar import FreezeEntry, read_sidecar
from bot.checks.kind import seconds
from bot.cli import app
from bot.domain.errors import SidecarUnusable
from bot.domain.policy import Policy
from bot.services.ports import SystemClock
from bot.services.verifying import SidecarVerifier
from tests.conftest import REPOSITORY

REFERENCE = REPOSITORY / "checklists" / "reference.yaml"


def read(tmp_path: Path, yaml: str) -> Policy:
    path = tmp_path / "golive.yaml"
    path.write_text(f"version: 1\n{yaml}", encoding="utf-8")
    return policy_of(read_sidecar(path), duration=seconds)


def test_the_reference_shows_both_forms_and_names_every_key() -> None:
    text = REFERENCE.read_text()
    policy = policy_of(read_sidecar(REFERENCE), duration=seconds)
    weekend, once = policy.freezes
    assert (weekend.cron, weekend.duration) == ("0 16 * * fri", timedelta(hours=64))
    assert once.end is not None
    assert policy.quiet_lead == timedelta(minutes=30)
    block = text[text.index("\nfreezes:") : text.index("\nquiet_lead:")]
    for field in FreezeEntry.model_fields:
        assert f"{field}:" in block, field


def test_everything_that_is_wrong_is_named_at_once_with_its_place(tmp_path: Path) -> None:
    yaml = """
quiet_lead: 1s
freezes:
  - {name: a, reason: r}
  - {name: b, reason: r, cron: "0 16 * * 5", duration: 2h}
  - {name: c, reason: r, cron: "0 16 * *", duration: 2h, timezone: Europe/Atlantis}
  - {name: d, reason: r, cron: "61 * * * *", duration: 90d}
  - {name: e, reason: r, cron: "0 16 * * fri"}
  - {name: f, reason: r, start: "2026-12-24T12:00:00", end: "2026-12-25T12:00:00+01:00"}
  - {name: g, reason: r, start: "2026-12-24T12:00:00+01:00", end: "2026-12-23T12:00:00+01:00"}
  - {name: h, reason: r, cron: "0 0 * * *", duration: 24h}
  - {name: i, reason: r, cron: "0 0 31 2 *", duration: 24h}
  - {name: j, reason: r, cron: "0 16 * * fri", duration: soon}
"""
    with pytest.raises(SidecarUnusable) as caught:
        read(tmp_path, yaml)
    said = "\n".join(caught.value.problems)
    for place, words in (
        ("freezes/0", "either cron and duration, or start and end"),
        ("freezes/1/cron", "in letters, mon to sun"),
        ("freezes/2/cron", "five fields"),
        ("freezes/2/timezone", "Europe/Atlantis"),
        ("freezes/3/cron", "no cron expression"),
        ("freezes/3/duration", "from 1m to 31d"),
        ("freezes/4", "belong together"),
        ("freezes/5/start", "offset"),
        ("freezes/6/end", "is not after start"),
        ("freezes/7/duration", "never end"),
        ("freezes/8/cron", "never happens"),
        ("freezes/9/duration", "soon"),
        ("quiet_lead", "from 5m to 7d"),
    ):
        assert any(one.startswith(f"{place}: ") and words in one for one in said.split("\n")), (place, said)


def test_what_is_wrong_with_freezes_and_with_checks_is_said_together_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "golive.md").write_text("# Go live\n\n## A\n\n- [ ] Look\n")
    (tmp_path / "golive.yaml").write_text(
        "version: 1\nitems: {a/nothing: {text: Nothing, human: x}}\nquiet_lead: 1s\n"
        "freezes: [{name: a, reason: r}]\nreminders: [{after: 90d, text: x}]\n"
    )
    verifier = SidecarVerifier(ChecklistLibrary([tmp_path]), SystemClock())
    with pytest.raises(SidecarUnusable) as caught:
        verifier.validate()
    said = "\n".join(caught.value.problems)
    for place in ("items/a/nothing", "freezes/0", "quiet_lead", "reminders/plan/0/after"):
        assert place in said, said


def test_a_lead_may_be_quiet_for_ever_and_a_typing_error_is_found(tmp_path: Path) -> None:
    assert read(tmp_path, "quiet_lead: never").quiet_lead is None
    assert read(tmp_path, "").quiet_lead == timedelta(minutes=30)
    with pytest.raises(SidecarUnusable, match="did you mean “cron”"):
        read(tmp_path, "freezes: [{name: a, reason: r, crom: '0 16 * * fri', duration: 2h}]")


def test_explain_lists_freezes_and_says_which_holds(tmp_path: Path) -> None:
    (tmp_path / "golive.md").write_text("# Go live\n\n## A\n\n- [ ] Look\n")
    (tmp_path / "golive.yaml").write_text(
        "version: 1\nquiet_lead: 45m\nfreezes:\n"
        "  - {name: long, reason: r, start: '2020-01-01T00:00:00+00:00', end: '2090-01-01T00:00:00+00:00'}\n"
        "  - {name: past, reason: r, start: '2020-01-01T00:00:00Z', end: '2020-01-02T00:00:00Z'}\n"
        "  - {name: there, reason: r, environments: [qa], cron: '0 0 * * mon', duration: 2h}\n"
    )
    path = str(tmp_path / "golive.md")
    said = CliRunner().invoke(app, ["checklist", "explain", path]).output
    assert "❄ long" in said
    assert "past  " in said
    assert "not active now" in said
    assert "0 0 * * mon for 2h, UTC in qa: not here" in said
    assert "asked: after 45m without a word" in said
    told = json.loads(CliRunner().invoke(app, ["checklist", "explain", path, "--json"]).output)
    assert [one["active"] for one in told["freezes"]] == [True, False, False]
    assert told["quiet_lead_seconds"] == 2700
