"""How long browsers keep a page and its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.caching import YEAR_S, directives, freshness, names_its_content
from bot.checks.calls import Credentials, place
from bot.checks.kind import Answer, Context, Kind, NoData, TargetDown
from bot.checks.kinds.headers.pages import own_assets, page
from bot.domain.check import Observation, Rules


class CacheHeadersParams(Credentials):
    """Which page, and which of its files."""

    url: str = Field(min_length=1, description="HTML page to start from; it must answer 200 itself.")
    urls: list[str] = Field(
        default_factory=list, description="Files with a content hash in their name, besides those found."
    )
    hosts: list[str] = Field(
        default_factory=list, description="Further hosts the page's own files come from, e.g. its CDN."
    )
    hashed: str | None = Field(
        None, description="Regular expression for URLs of files that never change; otherwise by their names."
    )
    most: int = Field(30, ge=1, le=200, description="Most files to look at.")


class CacheHeaders(Kind[CacheHeadersParams]):
    """Files named after their content for a year, the page itself for minutes."""

    name = "headers.cache"
    about = "Caching: files with a hash in their name for a year and immutable, the page at most 5 minutes."
    params = CacheHeadersParams
    values: ClassVar[Mapping[str, str]] = {
        "html_max_age_s": "seconds a browser keeps the page without asking",
        "html_shared_max_age_s": "seconds a CDN may keep it",
        "hashed_assets": "files looked at whose name holds a hash of their content",
        "short_lived": "hashed files kept for less than a year; left out where there are none",
        "not_immutable": "hashed files without immutable; left out where there are none",
        "without_validator": "other files with neither ETag nor Last-Modified",
        "missing": "files that do not answer 200",
    }
    timeout = 30.0

    def defaults(self, params: CacheHeadersParams) -> Rules:
        """Catalogue D5: a year, 5 minutes."""
        return Rules(
            fail={"html_max_age_s": "> 300", "short_lived": "> 0"},
            warn={"not_immutable": "> 0", "without_validator": "> 0", "missing": "> 0"},
        )

    def problem(self, params: CacheHeadersParams) -> str | None:
        """An expression that is none."""
        if params.hashed is not None:
            try:
                re.compile(params.hashed)
            except re.error as error:
                return f"hashed: '{params.hashed}' is no regular expression: {error}"
        return params.credentials_problem()

    async def observe(self, params: CacheHeadersParams, context: Context) -> Observation:
        """Ask for the page and its files."""
        answer = await page(context, params.url, params.sent_headers())
        found = own_assets(answer, params.hosts)
        given = set(params.urls)
        values: dict[str, Any] = {
            "html_max_age_s": round(freshness(answer)),
            "html_shared_max_age_s": round(freshness(answer, shared=True)),
            "without_validator": 0,
            "missing": 0,
        }
        rows = [_row(answer, "page")]
        hashed: list[Answer] = []
        for url in list(dict.fromkeys([*params.urls, *found]))[: params.most]:
            file = await _file(url, params, context)
            if file is None or file.status != 200:
                values["missing"] += 1
                rows.append(f"missing  {file.status if file else 'no answer'}  {place(url)}")
                continue
            if url in given or _never_changes(url, params.hashed):
                hashed.append(file)
                rows.append(_row(file, "hashed"))
            else:
                rows.append(_row(file, "file"))
                if not {"etag", "last-modified"} & set(file.headers):
                    values["without_validator"] += 1
        values["hashed_assets"] = len(hashed)
        short = [file for file in hashed if freshness(file) < YEAR_S]
        if hashed:
            values["short_lived"] = len(short)
            values["not_immutable"] = sum("immutable" not in directives(file) for file in hashed)
        elif values["html_max_age_s"] <= 300 and not values["missing"]:
            raise NoData(
                f"{place(params.url)} loads no file with a content hash in its name: name some in `urls`, "
                "or say in `hashed` how they are named"
            )
        said = f"page {values['html_max_age_s']} s, {len(hashed)} hashed files"
        if short:
            said += f", {len(short)} of them under a year: {place(short[0].url)}"
        return Observation(target=place(params.url), values=values, summary=said, excerpt="\n".join(rows))


async def _file(url: str, params: CacheHeadersParams, context: Context) -> Answer | None:
    try:
        return await context.web.request(
            "GET", url, headers=params.sent_headers(), max_bytes=1000, timeout=context.timeout / 4
        )
    except TargetDown:
        return None


def _never_changes(url: str, pattern: str | None) -> bool:
    return names_its_content(url) if pattern is None else re.search(pattern, url) is not None


def _row(answer: Answer, what: str) -> str:
    told = answer.headers.get("cache-control", "no Cache-Control")
    return f"{what:<7}  {freshness(answer):>9.0f} s  {told}  {place(answer.url)}"
