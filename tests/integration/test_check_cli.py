"""`deploybot check` and `deploybot checklist explain | schema | kinds`, as a terminal and CI meet them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from aiohttp import web
from ruamel.yaml import YAML

from tests.integration.test_check_commands import CHECKLIST, SIDECAR
from tests.servers.shop import serving

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def service() -> object:
    """A service that is up, whose health is not."""

    async def answer(request: web.Request) -> web.Response:
        status = 503 if request.path == "/health" else 200
        return web.json_response({"version": "v1.4.2"}, status=status)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    with serving(app) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path, service: str) -> Path:
    (tmp_path / "golive.md").write_text(CHECKLIST)
    (tmp_path / "golive.yaml").write_text(SIDECAR.format(url=service))
    return tmp_path


async def deploybot(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "DEPLOYBOT_CHECKLISTS": str(folder), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    assert "Traceback" not in err.decode()
    return process.returncode, out.decode(), err.decode()


RUN = ("--environment", "production", "--version", "v1.4.2")


async def test_a_failing_check_is_shown_first_and_the_exit_code_is_1(folder: Path) -> None:
    code, out, _ = await deploybot(folder, "check", "golive", *RUN)
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("✗ Health is good")
    assert "status is 503, not 200" in lines[1]
    assert lines[-1].startswith("4 items of golive in production: 1 fail, 3 pass")


async def test_a_section_that_passes_exits_with_0_and_a_path_will_do(folder: Path) -> None:
    code, out, _ = await deploybot(folder, "check", str(folder / "golive.md"), *RUN, "--section", "After")
    assert (code, out.splitlines()[-1][:32]) == (0, "1 item of golive in production: ")


async def test_what_cannot_be_verified_exits_with_2(folder: Path) -> None:
    sidecar = (folder / "golive.yaml").read_text().replace("vars: {base_url: ", "vars: {other: ")
    sidecar = sidecar.replace("vars: {other: ", "vars: {base_url: {example: ", 1).replace('"}\n', '"}}\n', 1)
    (folder / "golive.yaml").write_text(sidecar)
    code, out, _ = await deploybot(folder, "check", "golive", *RUN)
    assert code == 2
    assert "not set up: fill in vars.base_url" in out
    code, _, err = await deploybot(folder, "check", "golive", *RUN, "--only-set-up")
    assert code == 2
    assert "has a check that is set up here" in err


async def test_json_has_everything(folder: Path) -> None:
    code, out, _ = await deploybot(folder, "check", "golive", *RUN, "--format", "json")
    told = json.loads(out)
    assert code == 1
    assert told["counts"] == {"pass": 3, "fail": 1}
    health = told["items"][1]
    assert (health["text"], health["outcome"]) == ("Health is good", "fail")
    assert health["evidence"][0]["expected"] == "status 200"


async def test_junit_is_what_ci_systems_read(folder: Path) -> None:
    _, out, _ = await deploybot(folder, "check", "golive", *RUN, "--format", "junit")
    suite = ElementTree.fromstring(out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "0")
    failed = suite.find("testcase[@name='health-is-good']/failure")
    assert failed is not None
    assert failed.get("message") == "status is 503, not 200"


async def test_tap_numbers_every_item(folder: Path) -> None:
    _, out, _ = await deploybot(folder, "check", "golive", *RUN, "--format", "tap")
    lines = out.splitlines()
    assert lines[:2] == ["TAP version 13", "1..4"]
    assert "not ok 2 - Health is good" in lines
    assert "ok 4 - New version runs" in lines


async def test_every_mistake_in_the_sidecar_is_listed_and_nothing_runs(folder: Path) -> None:
    sidecar = (folder / "golive.yaml").read_text().replace("expect:", "expct:")
    (folder / "golive.yaml").write_text(sidecar)
    for command in (("check", "golive", *RUN), ("checklist", "explain", "golive")):
        code, out, err = await deploybot(folder, *command)
        assert (code, out) == (2, "")
        assert err.count("unknown key “expct”") == 3


async def test_an_allowed_host_that_is_none_is_named_and_nothing_runs(folder: Path) -> None:
    sidecar = (folder / "golive.yaml").read_text().replace('allow: ["', 'allow: ["https://:8080", "')
    (folder / "golive.yaml").write_text(sidecar)
    for command in (("check", "golive", *RUN), ("checklist", "explain", "golive")):
        code, out, err = await deploybot(folder, *command)
        assert (code, out) == (2, "")
        assert "allow: 'https://:8080' names no host" in err


async def test_explain_says_item_by_item_what_is_bound_and_what_is_missing() -> None:
    code, out, _ = await deploybot(ROOT / "checklists", "checklist", "explain", "production")
    assert code == 0
    assert "107 items in production" in out
    assert "○ CSP policies are set up  headers.csp fill in vars.base_url" in out
    assert "☺ Schedule review  for a person:" in out
    code, out, _ = await deploybot(ROOT / "checklists", "checklist", "explain", "production", "--json")
    assert {item["state"] for item in json.loads(out)["items"]} == {"ready", "missing", "forbidden", "person"}


async def test_the_published_schema_accepts_the_shipped_files_and_refuses_a_misspelt_key() -> None:
    _, out, _ = await deploybot(ROOT / "checklists", "checklist", "schema")
    schema = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in ("production", "web-service", "database-change", "mobile-release", "hotfix", "reference"):
        content = YAML(typ="safe", pure=True).load((ROOT / "checklists" / f"{name}.yaml").read_text())
        assert [error.message for error in validator.iter_errors(content)] == []
    key = next(iter(content["items"]))
    content["items"][key]["hunan"] = "x"
    assert not validator.is_valid(content)


async def test_kinds_are_listed_with_what_they_take() -> None:
    code, out, _ = await deploybot(ROOT / "checklists", "checklist", "kinds", "tls")
    assert code == 0
    assert "days_left" in out
    code, _, err = await deploybot(ROOT / "checklists", "checklist", "kinds", "nothing")
    assert code == 2
    assert "there is no such kind" in err
    _, _, err = await deploybot(ROOT / "checklists", "checklist", "kinds", "tsl")
    assert "did you mean tls?" in err


async def test_a_checklist_without_its_file_of_checks_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "bare.md").write_text("- [ ] a\n")
    code, out, _ = await deploybot(tmp_path, "checklist", "explain", "bare")
    assert code == 0
    assert "there is no bare.yaml beside it" in out
