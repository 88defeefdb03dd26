"""Lighthouse as a measuring tool: attached to a Chromium of ours, six figures read from its report.

Only the six metrics are taken: audit ids change between versions (13 dropped 24 that 12 has), these stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.checks.chromium import Chromium
from bot.checks.kind import Broken, Context, NoData, TargetDown

#: Value name → audit. The time to first byte is the observed `server-response-time`: the simulated one of the
#: `metrics` audit is 450 ms even on loopback.
AUDITS = {
    "ttfb_ms": "server-response-time",
    "fcp_ms": "first-contentful-paint",
    "lcp_ms": "largest-contentful-paint",
    "tti_ms": "interactive",
    "tbt_ms": "total-blocking-time",
    "cls": "cumulative-layout-shift",
}
#: Seconds one run may take; an idle page takes 5, a busy one up to Lighthouse's own limit of 45.
RUN_S = 75.0
#: What Lighthouse calls it when the page, not the check, is at fault.
_PAGE_AT_FAULT = (
    "ERRORED_DOCUMENT_REQUEST",
    "FAILED_DOCUMENT_REQUEST",
    "DNS_FAILURE",
    "PAGE_HUNG",
    "CHROME_INTERSTITIAL_ERROR",
    "INSECURE_DOCUMENT_REQUEST",
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run."""

    metrics: Mapping[str, float | None]
    version: str
    #: Where the visit ended.
    url: str
    #: What was emulated, in a few words.
    conditions: str


def find_lighthouse(context: Context, path: str) -> str | None:
    """The program: the one named, which the sidecar's `commands` must allow, or an installed one."""
    if path:
        if not context.processes.allowed(path):
            raise Broken(f"{path} may not be run here: list it under `commands`, or leave `lighthouse` out")
        return context.processes.find(path)
    return context.processes.find("lighthouse")


async def measure(program: str, url: str, *, preset: str, chromium: Chromium, context: Context) -> Report:
    """One run. Raises TargetDown for a page that does not load, NoData for one without a paint, Broken."""
    argv = [
        program,
        url,
        "--output=json",
        "--output-path=stdout",
        "--quiet",
        f"--port={chromium.port}",
        f"--only-audits={','.join(AUDITS.values())}",
        "--disable-full-page-screenshot",
        "--no-enable-error-reporting",
        *(["--preset=desktop"] if preset == "desktop" else []),
    ]
    done = await context.processes.run(argv, timeout=RUN_S, max_bytes=20_000_000)
    if done.timed_out:
        raise TargetDown(f"Lighthouse did not finish {url} within {RUN_S:g} s")
    try:
        report = json.loads(done.out)
    except json.JSONDecodeError:
        said = (done.err.strip() or done.out.strip() or f"exit code {done.code}").splitlines()[-1][:200]
        raise Broken(f"Lighthouse gave no report: {said}") from None
    return read_report(report)


def read_report(report: Mapping[str, Any]) -> Report:
    """The figures of a report. Raises as `measure` does."""
    error = report.get("runtimeError") or {}
    code = error.get("code", "")
    if code and code != "NO_ERROR":
        message = str(error.get("message", code)).splitlines()[0]
        if code in _PAGE_AT_FAULT:
            raise TargetDown(f"the page does not load: {message}")
        if code in ("NO_FCP", "NO_LCP"):
            raise NoData(f"the page painted nothing: {message}")
        raise Broken(f"Lighthouse: {message}")
    audits = report.get("audits", {})
    metrics = {name: _number(audits.get(audit)) for name, audit in AUDITS.items()}
    settings = report.get("configSettings", {})
    screen = settings.get("screenEmulation", {})
    return Report(
        metrics=metrics,
        version=str(report.get("lighthouseVersion", "")),
        url=str(report.get("finalDisplayedUrl") or report.get("finalUrl") or ""),
        conditions=f"{settings.get('formFactor', '')} {screen.get('width')}x{screen.get('height')},"
        f" {settings.get('throttlingMethod', '')} throttling, processor"
        f" {settings.get('throttling', {}).get('cpuSlowdownMultiplier', 1)}x slower",
    )


def _number(audit: Mapping[str, Any] | None) -> float | None:
    value = (audit or {}).get("numericValue")
    return float(value) if isinstance(value, (int, float)) else None
