"""The `people` of a sidecar: what it means, and everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.checklists.conduct import conduct_of
from bot.checklists.reading import read
from bot.checklists.sidecar import read_sidecar
from bot.domain.conduct import Conduct, Hold, Permission
from bot.domain.errors import SidecarUnusable

CHECKLIST = """
# Release
## Before
### Security
- [ ] Secrets are rotated
- [ ] Pen test (optional)
### Data
- [ ] Backup is fresh
## After
- [ ] Error rate is normal
"""


def rules(folder: Path, people: str, **process: str) -> Conduct:
    markdown, sidecar = folder / "release.md", folder / "release.yaml"
    markdown.write_text(CHECKLIST)
    sidecar.write_text(f"version: 1\nvars:\n  team: {{env: TEAM_GROUP, example: S0EXAMPLE1}}\n{people}")
    return conduct_of(
        read_sidecar(sidecar),
        read(markdown).checklist,
        environment="production",
        service="storefront",
        version="v1",
        process=process,
    )


def test_gates_owners_and_optional_items_are_found_by_their_keys(tmp_path: Path) -> None:
    found = rules(
        tmp_path,
        """
people:
  gates:
    - part: before/security
      holds: [go, next]
    - part: after
      holds: [finish]
  optional: [before/data]
  owners:
    before: ["${vars.team}"]
  approval: {group: S0RELEASE01}
  permissions:
    roll_back: {people: [S0ONCALL001, U0ANA], channels: [C0OPS]}
""",
        TEAM_GROUP="S0SECURITY1",
    )
    first, second = found.gates
    assert (first.title, first.first, first.last) == ("Security", 0, 1)
    assert first.holds == {Hold.GO, Hold.NEXT}
    assert (second.title, second.first) == ("After", 3)
    assert second.holds == {Hold.FINISH}
    assert found.optional == {1, 2}
    assert found.owners(2) == ("S0SECURITY1",)
    assert found.approval is not None
    assert found.approval.group == "S0RELEASE01"
    assert found.permissions[Permission.ROLL_BACK].channels == ("C0OPS",)


def test_without_rules_everything_is_open_to_everybody(tmp_path: Path) -> None:
    assert rules(tmp_path, "") == Conduct(optional=frozenset({1}))


def test_everything_wrong_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SidecarUnusable) as refused:
        rules(
            tmp_path,
            """
people:
  gates: [{part: befor}]
  optional: [before/data/nothing]
  owners: {after: [ben]}
  approval: {group: U0ANA}
  permissions:
    start: {people: ["${vars.nobody}"]}
    tick: {people: ["${vars.team}"]}
""",
        )
    said = "\n".join(refused.value.problems)
    assert "people/gates/0/part: the checklist has no section or group “befor” (did you mean" in said
    assert "people/optional: the checklist has no section or group “before/data/nothing”" in said
    assert "people/owners/after: “ben” is no Slack id" in said
    assert "people/approval/group: “U0ANA” is no Slack id: write a user group's (S…)" in said
    assert "people/permissions/start/people: " in said
    assert "people/permissions/tick/people: vars.team is not set, so nobody would be meant" in said


@pytest.mark.parametrize(
    ("people", "problem"),
    [
        ("people: {gates: [{part: before, holds: [lunch]}]}", "people/gates/0/holds"),
        ("people: {permissions: {dance: {people: [U1]}}}", "people/permissions"),
        ("people: {permissions: {start: {}}}", "needs people or channels"),
        ("people: {gate: []}", "did you mean"),
    ],
)
def test_a_wrong_form_is_refused(tmp_path: Path, people: str, problem: str) -> None:
    with pytest.raises(SidecarUnusable) as refused:
        rules(tmp_path, people)
    assert problem in "\n".join(refused.value.problems)
