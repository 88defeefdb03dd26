"""Load tests: a generator on this machine, for a bounded time, against an allowed host."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from bot.checks import generators
from bot.checks.generators import Figures
from bot.checks.kind import Broken, Context, Duration, Finished, Kind, NoData, Params, Pool, TargetDown
from bot.checks.web import host_and_port
from bot.domain.check import Observation, Rules

#: Environments that take two people's approval.
PRODUCTION = frozenset({"production", "prod", "live"})
#: Seconds a generator may take beyond its run: starting, and requests that are still under way.
GRACE_S = 30.0


class LoadParams(Params):
    """What is sent where, by how many, for how long."""

    url: str = Field(description="What hey and wrk ask for; for locust the host its scenario runs against.")
    tool: Literal["locust", "hey", "wrk"] = Field(default="hey", description="The load generator.")
    scenario: str = Field(default="", description="Locust's file, a path under the root.")
    users: int = Field(default=10, ge=1, le=500, description="Users, or connections, at once.")
    duration: Duration = Field(default=30.0, ge=1, le=300, description="How long it runs.")
    min_requests: int = Field(default=100, ge=1, description="Fewer say nothing: the outcome is unknown.")
    production: bool = Field(default=False, description="Whether it may run in production at all.")
    approved_by: list[str] = Field(default=[], description="Two people who agree to a run in production.")


class Load(Kind[LoadParams]):
    """How a service does under load (catalogue N1, N3, N5)."""

    name = "load"
    about = "A load test with locust, hey or wrk: requests, rate, percentiles and errors."
    params = LoadParams
    pool = Pool.LOAD
    cheap = False
    repeatable = False
    timeout = 300.0 + 2 * GRACE_S
    values: ClassVar[Mapping[str, str]] = {
        "requests": "requests that were tried",
        "rps": "answers per second",
        "p50_ms": "median time of an answer in ms",
        "p95_ms": "time in ms that 95 % of the answers stayed within",
        "p99_ms": "time in ms that 99 % of the answers stayed within",
        "errors": "requests without an answer, or with an error for one",
        "error_share": "errors among the requests (0 to 1)",
        "exit_code": "exit code of the generator; 0 where only requests failed",
    }

    def defaults(self, params: LoadParams) -> Rules:
        """Catalogue N1 and N3."""
        return Rules(fail={"exit_code": "!= 0", "error_share": "> 0.01"}, warn={"error_share": "> 0.001"})

    def problem(self, params: LoadParams) -> str | None:
        """Locust needs a scenario, the others have none; production needs two names."""
        if params.tool == "locust" and not params.scenario:
            return "locust needs a `scenario`: its file, under the root"
        if params.tool != "locust" and params.scenario:
            return f"{params.tool} plays no `scenario`; it asks for `url`"
        if params.production and len(_names(params.approved_by)) < 2:
            return "a load test in production needs two different names under `approved_by`"
        return None

    async def observe(self, params: LoadParams, context: Context) -> Observation:
        """Run it. Raises Broken without approval or tool, TargetDown, NoData for too few requests."""
        if context.environment.casefold() in PRODUCTION and not (
            params.production and len(_names(params.approved_by)) >= 2
        ):
            raise Broken(
                "load tests do not run in production unless the check says `production: true`"
                " and names two people under `approved_by`"
            )
        # The generator resolves the name itself a moment later: what is checked here is what it will see,
        # unless the name changes in between.
        await context.egress.resolve(*host_and_port(params.url))
        if params.tool == "locust":
            figures, done = await _locust(params, context)
        else:
            await _answers(params, context)
            figures, done = await _plain(params, context)
        if figures.requests < params.min_requests:
            raise NoData(
                f"{figures.requests} requests in {params.duration:g} s say nothing,"
                f" {params.min_requests} are needed; {figures.errors} of them failed"
            )
        code = 0 if params.tool == "locust" and done.code == generators.LOCUST_FAILURES else done.code
        return Observation(
            target=params.url,
            values={
                "requests": figures.requests,
                "rps": round(figures.rps, 1),
                **{
                    name: round(value, 2)
                    for name in ("p50_ms", "p95_ms", "p99_ms")
                    if (value := getattr(figures, name)) is not None
                },
                "errors": figures.errors,
                "error_share": round(figures.error_share, 5),
                "exit_code": code,
            },
            summary=_summary(figures, params) + (f"; {params.tool} ended with {code}" if code else ""),
            excerpt="\n".join(
                [
                    f"{params.tool}, {params.users} users, {params.duration:g} s",
                    *([f"approved by {', '.join(params.approved_by)}"] if params.approved_by else []),
                    *(f"{count:>8}  {what}" for what, count in list(figures.particulars.items())[:20]),
                ]
            ),
        )


async def _answers(params: LoadParams, context: Context) -> None:
    """One request first: a page that answers with an error or sends elsewhere is not put under load."""
    answer = await context.web.request("GET", params.url, fresh=True)
    if 300 <= answer.status < 400:
        raise Broken(f"{params.url} redirects to {answer.headers.get('location', 'elsewhere')}: give that")
    if not 200 <= answer.status < 300:
        raise TargetDown(f"{params.url} answers {answer.status} without any load")


async def _plain(params: LoadParams, context: Context) -> tuple[Figures, Finished]:
    if context.processes.find(params.tool) is None:
        raise Broken(
            f"{params.tool} is not installed on the machine the bot runs on: apt-get install {params.tool}"
        )
    with tempfile.TemporaryDirectory(prefix="deploybot-load-") as folder:
        if params.tool == "hey":
            argv = generators.hey_argv(url=params.url, users=params.users, seconds=params.duration)
        else:
            script = Path(folder) / "report.lua"
            script.write_text(generators.WRK_REPORT)
            argv = generators.wrk_argv(script, url=params.url, users=params.users, seconds=params.duration)
        # One core is enough for either, and it leaves the other to the bot.
        done = await _run(argv, params, context, env={"GOMAXPROCS": "1"})
    read = generators.read_hey if params.tool == "hey" else generators.read_wrk
    try:
        return read(done.out), done
    except generators.Unreadable as error:
        said = _last_line(done)
        if "unable to connect" in said:
            raise TargetDown(f"{params.url}: {said}") from None
        raise Broken(f"{error}: {said}") from None


async def _locust(params: LoadParams, context: Context) -> tuple[Figures, Finished]:
    if importlib.util.find_spec("locust") is None:
        raise Broken("locust is not installed: pip install 'deploybot[load]'")
    scenario = context.path(params.scenario)
    if not scenario.is_file():
        raise Broken(f"there is no scenario {params.scenario}")
    argv = generators.locust_argv(scenario, url=params.url, users=params.users, seconds=params.duration)
    done = await _run(argv, params, context, cwd=scenario.parent)
    try:
        figures = generators.read_locust(done.out)
    except generators.Unreadable as error:
        raise Broken(f"{error}: {_last_line(done)}") from None
    if "Traceback" in done.err:
        raise Broken(f"the scenario {params.scenario} broke off: {_exception(done.err)}")
    return figures, done


async def _run(
    argv: Sequence[str],
    params: LoadParams,
    context: Context,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    # `timeout` bounds processor time too; a generator uses no more of that than time passes.
    limit = params.duration + GRACE_S
    done = await context.processes.run(argv, timeout=limit, cwd=cwd, env=env, max_bytes=4_000_000)
    if done.timed_out:
        raise Broken(f"{params.tool} did not end {GRACE_S:g} s after its time")
    return done


def _summary(figures: Figures, params: LoadParams) -> str:
    p95 = "no answer at all" if figures.p95_ms is None else f"p95 {figures.p95_ms:.1f} ms"
    return (
        f"{figures.requests} requests by {params.users} users, {figures.rps:.0f}/s, {p95},"
        f" {figures.error_share:.2%} errors"
    )


def _last_line(done: Finished) -> str:
    lines = [line for line in (done.err.strip() or done.out.strip()).splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else f"it ended with {done.code}"


def _exception(err: str) -> str:
    """The line that ends the first traceback: the exception and what it says."""
    for line in err.partition("Traceback")[2].splitlines()[1:]:
        if line and not line.startswith((" ", "\t")):
            return line[:200]
    return "an exception"


def _names(approved_by: Sequence[str]) -> set[str]:
    return {name.strip().casefold().lstrip("@") for name in approved_by if name.strip()}


KINDS = (Load(),)
