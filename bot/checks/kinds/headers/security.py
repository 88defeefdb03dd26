"""A grade for security headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field

from bot.checks.calls import Credentials, place
from bot.checks.kind import Context, Kind, Refused, TargetDown
from bot.checks.kinds.headers.pages import page
from bot.checks.observatory import GRADES, Visit, faults, grade
from bot.checks.redirects import WayToHttps, way_to_https
from bot.domain.check import Observation, Rules

#: An origin that no site lets in on purpose.
_FOREIGN = "https://deploybot.invalid"


class SecurityHeadersParams(Credentials):
    """Which page."""

    url: str = Field(min_length=1, description="Page to grade; it must answer 200 itself.")
    http_url: str | None = Field(
        None, description="http:// URL that must redirect; without it, that of `url` where its port is 443."
    )


class SecurityHeaders(Kind[SecurityHeadersParams]):
    """Grades a page as the HTTP Observatory does."""

    name = "headers.security"
    about = "Security headers, graded from A+ to F after the HTTP Observatory's published scoring."
    params = SecurityHeadersParams
    values: ClassVar[Mapping[str, str]] = {
        "grade": "A+ to F",
        "score": "points, 0 to 145",
        "findings": "what cost points, the dearest first",
    }
    scales: ClassVar[Mapping[str, Sequence[str]]] = {"grade": GRADES}

    def defaults(self, params: SecurityHeadersParams) -> Rules:
        """Catalogue B2."""
        return Rules(fail={"grade": "< B"}, warn={"grade": "< A"})

    def problem(self, params: SecurityHeadersParams) -> str | None:
        """An https:// URL where http:// is meant."""
        if params.http_url is not None and not params.http_url.startswith("http://"):
            return "http_url must begin with http://"
        return params.credentials_problem()

    async def observe(self, params: SecurityHeadersParams, context: Context) -> Observation:
        """Look at the page, as a foreign origin, and by http://."""
        headers = params.sent_headers()
        answer = await page(context, params.url, headers)
        foreign = await page(context, params.url, {**headers, "Origin": _FOREIGN})
        way = await _way(params, context)
        result = grade(Visit(page=answer, foreign=foreign, origin=_FOREIGN, way=way))
        found = faults(result.marks)
        return Observation(
            target=place(params.url),
            values={"grade": result.grade, "score": result.score, "findings": found},
            summary=f"{result.grade} ({result.score} points)" + (f": {'; '.join(found)}" if found else ""),
            excerpt="\n".join(f"{mark.points:+4d}  {mark.test}: {mark.text}" for mark in result.marks),
        )


async def _way(params: SecurityHeadersParams, context: Context) -> WayToHttps | None:
    """Where http:// leads; None where nothing answers there, or it may not be asked."""
    url = params.http_url
    parts = urlsplit(params.url)
    if url is None and parts.scheme == "https" and parts.port in (None, 443):
        url = f"http://{parts.hostname}/"
    if url is None:
        return None
    try:
        return await way_to_https(context, url)
    except (TargetDown, Refused):
        return None
