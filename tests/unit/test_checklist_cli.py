"""`deploybot checklist lint`, whatever it is pointed at."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.cli import app
from tests.conftest import REPOSITORY

SEED = str(REPOSITORY / "checklists" / "production.md")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["checklist", "lint", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_tree_shows_the_counts() -> None:
    code, output = run(SEED)
    assert code == 0
    assert "107 items in 18 groups" in output
    assert "Rollback triggers  4" in output
    assert "Environment Configuration  6" in output


def test_the_json_form_is_the_documented_one() -> None:
    code, output = run(SEED, "--json")
    told = json.loads(output)
    assert code == 0
    assert told["items"] == 107
    assert told["sections"][1]["groups"][0]["items"][0] == {
        "key": "deployment-process/pre-deployment/notify-team-of-deployment",
        "text": "Notify team of deployment",
        "ordered": True,
        "checked": False,
    }
    assert len(told["triggers"]) == 4
    assert len(told["rollback_steps"]) == 6


def test_findings_come_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("- [ ] fine\n- [] not a box\n- [ ] {{ nobody }}\n")
    code, output = run(str(path))
    assert code == 1
    assert f"{path}:2: " in output
    assert f"{path}:3: " in output


def test_several_files_make_a_list_and_folders_are_searched(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("- [ ] a\n")
    (tmp_path / "b.md").write_text("nothing\n")
    code, output = run(str(tmp_path), "--json")
    assert code == 1
    assert [told["items"] for told in json.loads(output)] == [1, 0]


def test_files_that_cannot_be_read_are_said_and_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "latin.md").write_bytes("- [ ] ok\n- [ ] Größe".encode("latin-1"))
    for path, said in (
        (tmp_path / "missing.md", "there is no such file"),
        (tmp_path / "latin.md", "not UTF-8"),
        (Path("/proc/1/mem"), "cannot be read"),
    ):
        code, output = run(str(path))
        assert (code, said in output) == (2, True), output
        code, output = run(str(path), "--json")
        assert said in json.loads(output)["error"]


@given(data=st.binary(max_size=400))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_json_and_never_a_traceback(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "fuzz.md"
    path.write_bytes(data)
    code, output = run(str(path), "--json")
    assert code in (0, 1, 2)
    assert json.loads(output)["path"] == str(path)


def test_one_group_is_no_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("- [ ] a\n")
    assert "1 item in 1 group\n" in run(str(path))[1]


def test_a_yaml_file_is_sent_to_the_command_that_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("version: 1\n")
    assert "`deploybot checklist explain`" in run(str(path))[1]
