"""Pages in a real Chromium: how fast they are, and whether journeys through them work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from bot.checks import lighthouse
from bot.checks.chromium import Chromium, start_chromium
from bot.checks.collector import PRESETS, visit
from bot.checks.devtools import connect
from bot.checks.journeys import Played, play
from bot.checks.kind import Broken, Context, Duration, Kind, NoData, Params, Pool, Refused, TargetDown
from bot.checks.steps import Step, problem_with
from bot.checks.vitals import in_words, medians, metrics_of
from bot.checks.web import host_and_port
from bot.domain.check import Observation, Rules

#: metric → (value, warn beyond, fail beyond): the good and poor limits of web.dev, for TTI and TBT those of
#: Lighthouse's scoring (catalogue L1 to L6).
LIMITS = {
    "ttfb": ("ttfb_ms", 800, 1800),
    "fcp": ("fcp_ms", 1800, 3000),
    "lcp": ("lcp_ms", 2500, 4000),
    "tti": ("tti_ms", 3800, 7300),
    "tbt": ("tbt_ms", 200, 600),
    "cls": ("cls", 0.1, 0.25),
}


class VitalsParams(Params):
    """Which page, and how it is measured."""

    url: str = Field(description="Address of the page.")
    metric: Literal["ttfb", "fcp", "lcp", "tti", "tbt", "cls"] = Field(
        description="The metric this check is about; checks that differ only here share the visits."
    )
    preset: Literal["desktop", "mobile"] = Field(
        default="desktop", description="Device and network: the mobile one multiplies what takes time."
    )
    runs: int = Field(default=3, ge=1, le=9, description="Visits the median is taken of.")
    tool: Literal["auto", "collector", "lighthouse"] = Field(
        default="auto", description="What measures: Lighthouse where it is installed, or our own collector."
    )
    lighthouse: str = Field(
        default="",
        description="Path of the lighthouse program, which `commands` must allow; else the installed one.",
    )
    settle: Duration = Field(
        default=20.0, ge=6, le=40, description="Longest wait for the page to come to rest, per visit."
    )
    any_certificate: bool = Field(default=False, description="Accept certificates nobody vouches for.")


class Vitals(Kind[VitalsParams]):
    """How fast a page is (catalogue L1 to L6, R1)."""

    name = "browser.vitals"
    about = "Web vitals of a page: TTFB, FCP, LCP, TTI, TBT, CLS, as the median of several visits."
    params = VitalsParams
    pool = Pool.BROWSER
    cheap = False
    timeout = 240.0
    values: ClassVar[Mapping[str, str]] = {
        "ttfb_ms": "time to the first byte in ms",
        "fcp_ms": "first contentful paint in ms",
        "lcp_ms": "largest contentful paint in ms",
        "tti_ms": "time to interactive in ms; not observed where the page never came to rest",
        "tbt_ms": "total blocking time in ms",
        "cls": "cumulative layout shift",
        "redirected": "whether the visit ended on another host or path",
        "refused_hosts": "hosts the page asked for that are not allowed and were not contacted",
        "tool": "what measured: `collector`, or `lighthouse` with its version",
        "preset": "desktop or mobile",
    }

    def sharing(self, params: VitalsParams) -> str:
        """One visit for all six metrics."""
        return repr(params.model_copy(update={"metric": ""}))

    def defaults(self, params: VitalsParams) -> Rules:
        """The limits of the metric it is about; a visit that ended elsewhere measured something else."""
        name, warn, fail = LIMITS[params.metric]
        return Rules(fail={name: f"> {fail}"}, warn={name: f"> {warn}", "redirected": True})

    def problem(self, params: VitalsParams) -> str | None:
        """A program that is not used is a mistake."""
        if params.lighthouse and params.tool == "collector":
            return "`lighthouse` names a program that `tool: collector` does not use"
        return None

    async def observe(self, params: VitalsParams, context: Context) -> Observation:
        """Visit the page as often as asked and take the medians."""
        await context.egress.resolve(*_http(params.url))
        program = (
            None if params.tool == "collector" else lighthouse.find_lighthouse(context, params.lighthouse)
        )
        if program is None and params.tool == "lighthouse":
            raise Broken(
                "Lighthouse is not installed on the machine the bot runs on: npm install -g lighthouse"
            )
        async with start_chromium(context, any_certificate=params.any_certificate) as chromium:
            if program is None:
                measured = await _collect(params, chromium)
            else:
                measured = await _by_lighthouse(params, program, chromium, context)
            refused = list(chromium.gate.refused)
        runs, ended, tool, conditions, remarks = measured
        found = medians(runs)
        lines = [f"run {number}  {in_words(run)}" for number, run in enumerate(runs, start=1)]
        lines += [f"not contacted, not on the allow-list: {host}" for host in refused[:10]]
        redirected = not _same_page(params.url, ended)
        return Observation(
            target=params.url,
            values={
                **found,
                "redirected": redirected,
                "refused_hosts": len(refused),
                "tool": tool,
                "preset": params.preset,
            },
            summary=f"{in_words(found)} ({params.preset}, {tool}, median of {len(runs)})"
            + (f"; ended at {ended}" if redirected else "")
            + (f"; {len(refused)} hosts not contacted" if refused else ""),
            excerpt="\n".join([conditions, *lines, *remarks]),
        )


Measured = tuple[list[Mapping[str, float | None]], str, str, str, list[str]]


async def _collect(params: VitalsParams, chromium: Chromium) -> Measured:
    preset = PRESETS[params.preset]
    try:
        async with connect(chromium.websocket) as devtools:
            visits = [
                await visit(devtools, params.url, preset=preset, settle=params.settle)
                for _ in range(params.runs)
            ]
    except TargetDown as down:
        # What the browser calls a failed proxy is what the gate knows better.
        if "SOCKS" not in str(down):
            raise
        if chromium.gate.refused:
            where = next(iter(chromium.gate.refused))
            raise Refused(
                f"{params.url} leads to {where}, which is not on the list of allowed hosts"
            ) from None
        why = next(iter(chromium.gate.unreachable.values()), "it does not answer")
        raise TargetDown(f"{params.url} does not load: {why}") from None
    last = visits[-1]
    longest = max((task.end - task.start for one in visits for task in one.long_tasks), default=0)
    remarks = [f"longest task {longest:.0f} ms"] if longest else []
    remarks += [f"largest paint {last.lcp_element}"] if last.lcp_element else []
    return [metrics_of(one) for one in visits], last.url, "collector", preset.words, remarks


async def _by_lighthouse(
    params: VitalsParams, program: str, chromium: Chromium, context: Context
) -> Measured:
    reports = [
        await lighthouse.measure(
            program, params.url, preset=params.preset, chromium=chromium, context=context
        )
        for _ in range(params.runs)
    ]
    last = reports[-1]
    return [one.metrics for one in reports], last.url, f"lighthouse {last.version}", last.conditions, []


class ScriptParams(Params):
    """A journey through the site."""

    url: str = Field(description="Where it begins; paths of goto steps are relative to it.")
    steps: list[Step] = Field(min_length=1, max_length=60, description="What is done, one word a step.")
    tries: int = Field(
        default=1,
        ge=1,
        le=3,
        description="How often it may be played until it goes well; 1 where it changes data.",
    )
    step_timeout: Duration = Field(default=10.0, gt=0, le=60, description="How long one step may take.")
    screenshots: str = Field(
        default="", description="Folder for pictures, also of a failed step; none without it."
    )
    any_certificate: bool = Field(default=False, description="Accept certificates nobody vouches for.")


class Script(Kind[ScriptParams]):
    """Whether a journey works in a browser (catalogue D7, D8, I3, I4, Q1, Q2, Q6)."""

    name = "browser.script"
    about = "A journey in Chromium: open, click, fill, block or delay requests, and expect what must be seen."
    params = ScriptParams
    pool = Pool.BROWSER
    cheap = False
    repeatable = False
    timeout = 240.0
    values: ClassVar[Mapping[str, str]] = {
        "failed_step": "number of the step that failed in the last try, 0 where none did",
        "steps_done": "steps of the last try that went well",
        "tries": "how often it was played",
        "console_errors": "errors the page logged in the last try",
        "uncaught_errors": "exceptions nobody caught in the last try",
        "ms": "milliseconds the last try took",
        "slowest_step_ms": "milliseconds of its slowest step",
        "refused_hosts": "hosts the page asked for that are not allowed and were not contacted",
    }

    def defaults(self, params: ScriptParams) -> Rules:
        """A failed step fails; a journey that took more than one try warns."""
        return Rules(fail={"failed_step": "> 0"}, warn={"tries": "> 1"})

    def problem(self, params: ScriptParams) -> str | None:
        """A journey has to open a page and to expect something."""
        return problem_with(params.steps, screenshots=params.screenshots)

    async def observe(self, params: ScriptParams, context: Context) -> Observation:
        """Play it. Raises NoData where a fault that was to be injected met no request."""
        await context.egress.resolve(*_http(params.url))
        folder: Path | None = context.path(params.screenshots) if params.screenshots else None
        async with start_chromium(context, any_certificate=params.any_certificate) as chromium:
            taken = await play(
                chromium,
                url=params.url,
                steps=params.steps,
                tries=params.tries,
                patience=params.step_timeout,
                screenshots=folder,
            )
            refused = list(chromium.gate.refused)
        last = taken[-1]
        if not last.failed_step and last.unused:
            raise NoData(
                f"no request matched {last.unused[0]}: what the journey expects was not put to the test"
            )
        return Observation(
            target=params.url,
            values={
                "failed_step": last.failed_step,
                "steps_done": len(last.done),
                "tries": len(taken),
                "console_errors": len(last.console_errors),
                "uncaught_errors": len(last.uncaught),
                "ms": round(last.ms, 1),
                "slowest_step_ms": round(max((ms for _, ms in last.done), default=0.0), 1),
                "refused_hosts": len(refused),
            },
            summary=last.why
            or f"{len(last.done)} steps in {last.ms / 1000:.1f} s"
            + (f" (at try {len(taken)})" if len(taken) > 1 else ""),
            excerpt=_table(taken, refused),
        )


def _table(taken: list[Played], refused: list[str]) -> str:
    lines: list[str] = []
    for number, played in enumerate(taken, start=1):
        lines += [f"try {number}"] if len(taken) > 1 else []
        lines += [f"{ms:>7.0f} ms  {step}" for step, ms in played.done]
        lines += [f"  failed    {played.why}"] if played.why else []
    last = taken[-1]
    lines += [f"uncaught: {text}" for text in last.uncaught[:5]]
    lines += [f"console: {text}" for text in last.console_errors[:5]]
    lines += [f"picture: {name}" for name in last.pictures]
    lines += [f"not contacted, not on the allow-list: {host}" for host in refused[:10]]
    return "\n".join(lines)


def _http(url: str) -> tuple[str, int]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise Broken(f"'{url}' is no http:// or https:// URL")
    return host_and_port(url)


def _same_page(asked: str, ended: str) -> bool:
    """Whether a visit ended where it was meant to; https for http, or a last slash, is the same page."""
    one, other = urlsplit(asked), urlsplit(ended)
    return one.hostname == other.hostname and (one.path.rstrip("/") or "") == (other.path.rstrip("/") or "")


KINDS = (Vitals(), Script())
