"""The cookies a login sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.calls import CallParams, call, place
from bot.checks.cookies import cookies_of
from bot.checks.kind import Context, Kind, NoData
from bot.domain.check import Observation, Rules


class LoginCookiesParams(CallParams):
    """The request that logs in."""

    readable: str = Field(
        r"(?i)csrf|xsrf",
        description="Names (regular expression) of cookies that scripts must read, so without HttpOnly.",
    )


class LoginCookies(Kind[LoginCookiesParams]):
    """Flags of the cookies that an answer sets, usually that of a login."""

    name = "http.cookies"
    about = "Flags of the cookies a login sets: Secure, HttpOnly, SameSite."
    params = LoginCookiesParams
    values: ClassVar[Mapping[str, str]] = {
        "status": "status code of the answer",
        "cookies": "cookies it sets",
        "without_secure": "cookies without Secure",
        "without_httponly": "cookies without HttpOnly, those scripts must read left out",
        "without_samesite": "cookies without a valid SameSite",
    }
    #: A login counts as one, and too many of them lock an account.
    repeatable = False
    cheap = False

    def defaults(self, params: LoginCookiesParams) -> Rules:
        """Catalogue S2."""
        return Rules(
            must={"status": "< 400"},
            fail={"without_secure": "> 0", "without_httponly": "> 0"},
            warn={"without_samesite": "> 0"},
        )

    def problem(self, params: LoginCookiesParams) -> str | None:
        """An expression that is none."""
        try:
            re.compile(params.readable)
        except re.error as error:
            return f"readable: '{params.readable}' is no regular expression: {error}"
        return params.call_problem()

    async def observe(self, params: LoginCookiesParams, context: Context) -> Observation:
        """Log in. Raises NoData where the answer is good and sets no cookie."""
        answer = await call(params, context)
        cookies = [cookie for cookie in cookies_of(answer) if not cookie.removed]
        if not cookies and answer.status < 400:
            raise NoData(f"{place(params.url)} answers {answer.status} and sets no cookie")
        hidden = [cookie for cookie in cookies if not re.search(params.readable, cookie.name)]
        lacking = {
            "without_secure": [cookie.name for cookie in cookies if not cookie.secure],
            "without_httponly": [cookie.name for cookie in hidden if not cookie.http_only],
            "without_samesite": [cookie.name for cookie in cookies if cookie.same_site is None],
        }
        values: dict[str, Any] = {"status": answer.status, "cookies": len(cookies)}
        values |= {name: len(names) for name, names in lacking.items()}
        said = [f"{', '.join(names)} {name.replace('_', ' ')}" for name, names in lacking.items() if names]
        return Observation(
            target=f"{params.method.upper()} {place(params.url)}",
            values=values,
            summary=f"{answer.status}, {len(cookies)} cookies: {'; '.join(said) or 'all flags set'}",
            excerpt="\n".join(map(str, cookies)),
        )
