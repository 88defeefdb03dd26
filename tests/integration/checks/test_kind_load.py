"""The kind `load`: real generators for a second or two against a real server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from bot.checks.catalogue import Catalogue
from bot.checks.kind import Context
from bot.checks.processes import LocalProcesses
from bot.domain.check import Evidence, Outcome
from tests.checking import examine, make_context
from tests.servers.site import Site, serve_site

USER = """
from locust import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.02)

    @task
    def visits(self):
        {body}
"""


def write(scenario: Path, body: str, *, after: str = "") -> None:
    """A scenario whose visitors do this."""
    scenario.write_text(USER.format(body=body) + after)


def staging(**settings: object) -> Context:
    """Where load may be made without anybody's approval."""
    return replace(make_context(**settings), environment="staging")  # type: ignore[arg-type]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serve_site() as site:
        site.page("ok")
        yield site


async def load(site: Site, context: Context | None = None, **params: object) -> Evidence:
    passed = {name: params.pop(name) for name in ("fail", "expect", "warn") if name in params}
    settings = {"url": f"{site.url}/", "users": 4, "duration": "1s", **params}
    return await examine("load", settings, context=context or staging(), **passed)  # type: ignore[arg-type]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """A scenario of locust that visits the start page; its folder is the root."""
    path = tmp_path / "scenario.py"
    write(path, 'self.client.get("/")')
    return path


@pytest.mark.parametrize("tool", ["hey", "wrk"])
async def test_a_service_that_holds_passes_with_its_figures(site: Site, tool: str) -> None:
    seen = await load(site, tool=tool, min_requests=20)
    assert seen.outcome is Outcome.PASS
    assert set(seen.values) == {
        "requests", "rps", "p50_ms", "p95_ms", "p99_ms", "errors", "error_share", "exit_code",
    }  # fmt: skip
    assert seen.values["p50_ms"] <= seen.values["p95_ms"] <= seen.values["p99_ms"]
    assert seen.values["requests"] <= site.hits["/"]


async def test_a_scenario_of_locust_is_played(site: Site, scenario: Path) -> None:
    context = staging(root=scenario.parent)
    seen = await load(site, context, tool="locust", scenario="scenario.py", duration="3s", min_requests=5)
    assert seen.outcome is Outcome.PASS
    assert 5 <= seen.values["requests"] <= site.hits["/"]


@pytest.mark.parametrize("tool", ["hey", "wrk"])
async def test_errors_under_load_fail(site: Site, tool: str) -> None:
    site.handler = lambda _: web.Response(status=503) if site.hits["/"] % 20 == 0 else None
    seen = await load(site, tool=tool, min_requests=20)
    assert seen.outcome is Outcome.FAIL
    assert seen.values["error_share"] == pytest.approx(0.05, abs=0.02)


async def test_errors_in_a_scenario_fail_by_their_share_and_not_by_the_exit_code(
    site: Site, scenario: Path
) -> None:
    write(scenario, 'self.client.get("/"); self.client.get("/gone")')
    context = staging(root=scenario.parent)
    seen = await load(site, context, tool="locust", scenario="scenario.py", duration="3s", min_requests=5)
    assert seen.outcome is Outcome.FAIL
    assert seen.values["exit_code"] == 0
    assert "GET /gone" in seen.excerpt


async def test_a_scenario_that_judges_itself_fails_by_its_exit_code(site: Site, scenario: Path) -> None:
    judge = (
        "@events.quitting.add_listener\ndef judge(environment, **_):\n    environment.process_exit_code = 3\n"
    )
    write(scenario, 'self.client.get("/")', after=f"\nfrom locust import events\n{judge}")
    context = staging(root=scenario.parent)
    seen = await load(site, context, tool="locust", scenario="scenario.py", duration="3s", min_requests=5)
    assert seen.outcome is Outcome.FAIL
    assert seen.values["exit_code"] == 3


@pytest.mark.parametrize(
    "body", ["raise KeyError('basket')", "self.client.get('/'); raise KeyError('basket')"]
)
async def test_a_scenario_that_breaks_off_is_an_error(site: Site, scenario: Path, body: str) -> None:
    write(scenario, body)
    context = staging(root=scenario.parent)
    seen = await load(site, context, tool="locust", scenario="scenario.py", duration="2s", min_requests=1)
    assert seen.outcome is Outcome.ERROR
    assert "KeyError: 'basket'" in seen.reason


async def test_a_scenario_that_cannot_be_loaded_is_an_error(site: Site, scenario: Path) -> None:
    write(scenario, "pass", after="\nimport nothing_of_that_name\n")
    context = staging(root=scenario.parent)
    seen = await load(site, context, tool="locust", scenario="scenario.py")
    assert seen.outcome is Outcome.ERROR
    assert "ModuleNotFoundError" in seen.reason


async def test_a_scenario_that_sends_nothing_is_unknown(site: Site, scenario: Path) -> None:
    write(scenario, "pass")
    context = staging(root=scenario.parent)
    seen = await load(site, context, tool="locust", scenario="scenario.py", duration="2s")
    assert seen.outcome is Outcome.UNKNOWN


async def test_too_few_requests_are_unknown(site: Site) -> None:
    seen = await load(site, min_requests=10_000_000)
    assert seen.outcome is Outcome.UNKNOWN


async def test_a_rule_on_the_95th_percentile_decides(site: Site) -> None:
    site.page("ok", delay=0.05)
    seen = await load(site, min_requests=5, fail={"p95_ms": "> 40"})
    assert seen.outcome is Outcome.FAIL
    assert "p95_ms" in seen.reason


@pytest.mark.parametrize("tool", ["hey", "wrk"])
async def test_a_target_where_nothing_listens_fails(site: Site, tool: str) -> None:
    seen = await load(site, url="http://127.0.0.1:9/", tool=tool)
    assert seen.outcome is Outcome.FAIL


async def test_a_page_that_answers_with_an_error_is_not_put_under_load(site: Site) -> None:
    site.page("sorry", status=500)
    seen = await load(site)
    assert seen.outcome is Outcome.FAIL
    assert site.hits["/"] == 1


async def test_a_page_that_redirects_is_an_error_not_a_fast_page(site: Site) -> None:
    site.page("", status=302, headers={"Location": "/login"})
    assert (await load(site)).outcome is Outcome.ERROR


@pytest.mark.parametrize("tool", ["hey", "wrk", "locust"])
async def test_a_host_that_is_not_allowed_is_not_put_under_load(
    site: Site, scenario: Path, tool: str
) -> None:
    context = staging(root=scenario.parent, allow=["shop.example"])
    extra = {"scenario": "scenario.py"} if tool == "locust" else {}
    seen = await load(site, context, tool=tool, **extra)
    assert seen.outcome is Outcome.ERROR
    assert not site.hits


async def test_production_is_not_put_under_load_unasked(site: Site) -> None:
    seen = await load(site, make_context())
    assert seen.outcome is Outcome.ERROR
    assert "approved_by" in seen.reason
    assert not site.hits


async def test_production_is_put_under_load_when_two_people_agree(site: Site) -> None:
    seen = await load(site, make_context(), production=True, approved_by=["Ana", "Ben"], min_requests=5)
    assert seen.outcome is Outcome.PASS
    assert "approved by Ana, Ben" in seen.excerpt


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"production": True, "approved_by": ["Ana"]}, "two different names"),
        ({"production": True, "approved_by": ["Ana", " @ana "]}, "two different names"),
        ({"tool": "locust"}, "scenario"),
        ({"tool": "hey", "scenario": "x.py"}, "scenario"),
    ],
)
def test_parameters_that_make_no_sense_are_found_at_start_up(params: dict[str, object], problem: str) -> None:
    kind = Catalogue().get("load")
    assert kind is not None
    validated = kind.params.model_validate({"url": "http://shop.example/", **params})
    assert problem in (kind.problem(validated) or "")


class NoPrograms(LocalProcesses):
    """A machine where nothing but Python is installed."""

    def find(self, program: str) -> str | None:
        """Python only."""
        return program if program == sys.executable else None


@pytest.mark.parametrize("tool", ["hey", "wrk"])
async def test_a_generator_that_is_missing_is_an_error_that_says_what_to_install(
    site: Site, tool: str
) -> None:
    seen = await load(site, replace(staging(), processes=NoPrograms()), tool=tool)
    assert seen.outcome is Outcome.ERROR
    assert f"apt-get install {tool}" in seen.reason
