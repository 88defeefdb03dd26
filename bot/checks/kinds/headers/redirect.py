"""Whether http:// leads to https://, and HSTS keeps it there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field

from bot.checks.calls import place
from bot.checks.kind import Context, Kind, Params
from bot.checks.observatory import SIX_MONTHS_S, hsts_max_age
from bot.checks.redirects import way_to_https
from bot.domain.check import Observation, Rules


class HttpsRedirectParams(Params):
    """Which URL."""

    url: str = Field(
        pattern=r"^https?://", description="http:// URL that must lead to https://, or a site on port 443."
    )
    http_url: str = Field(
        "",
        pattern=r"^(http://.*)?$",
        description="The http:// URL of a site on another port.",
    )

    @property
    def start(self) -> str:
        """The http:// URL to begin at; empty where it cannot be told."""
        if self.http_url or self.url.startswith("http://"):
            return self.http_url or self.url
        if urlsplit(self.url).port in (None, 443):
            return self.url.replace("https://", "http://", 1).replace(":443", "", 1)
        return ""


class HttpsRedirect(Kind[HttpsRedirectParams]):
    """Goes from http:// to the first https:// URL, and reads HSTS there."""

    name = "headers.redirect"
    about = "http:// redirects to https://, where Strict-Transport-Security is set for half a year."
    params = HttpsRedirectParams
    values: ClassVar[Mapping[str, str]] = {
        "to_https": "whether it ends at https://",
        "same_host": "whether the first redirect is to https:// on the same host",
        "permanent": "whether the first redirect is a 301 or 308",
        "status": "status code of the first answer",
        "hsts_max_age_s": "seconds of Strict-Transport-Security at https://; 0 where it is missing",
    }

    def defaults(self, params: HttpsRedirectParams) -> Rules:
        """Catalogue S1; half a year is what the HTTP Observatory demands of HSTS."""
        return Rules(must={"to_https": True}, warn={"hsts_max_age_s": f"< {SIX_MONTHS_S}"})

    def problem(self, params: HttpsRedirectParams) -> str | None:
        """A site on a port of its own does not tell where its http:// is."""
        return None if params.start else f"'{params.url}' does not tell its http:// address: give http_url"

    async def observe(self, params: HttpsRedirectParams, context: Context) -> Observation:
        """Follow it. Raises TargetDown where http:// or the https:// it leads to does not answer."""
        way = await way_to_https(context, params.start)
        values: dict[str, Any] = {
            "to_https": way.secure,
            "same_host": way.same_host_first,
            "permanent": way.permanent,
            "status": way.statuses[0],
        }
        said = " → ".join(map(place, way.urls)) if len(way.urls) > 1 else f"no redirect ({way.statuses[0]})"
        if way.secure:
            answer = await context.web.request(
                "GET", way.urls[-1], max_bytes=1000, timeout=context.timeout / 3
            )
            values["hsts_max_age_s"] = hsts_max_age(answer) or 0
            said += f", HSTS {values['hsts_max_age_s'] // 86400} days"
        return Observation(target=place(params.start), values=values, summary=said)
