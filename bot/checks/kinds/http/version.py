"""Which version answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from bot.checks.calls import Credentials, expression_problem, extract, parsed, place
from bot.checks.kind import Answer, Broken, Context, Duration, Kind, NoData
from bot.domain.check import Observation, Rules
from bot.domain.rules import show

_HEX = re.compile(r"[0-9a-f]{7,64}")
#: Longest body taken for a version where neither header, path nor find says where it stands.
_LONGEST = 200


class VersionParams(Credentials):
    """Where the version stands, and how often to look."""

    url: str = Field(min_length=1, description="URL whose answer tells the version.")
    urls: list[str] = Field(
        default_factory=list, description="More URLs that must tell the same: origin and CDN, each host."
    )
    path: str | None = Field(None, description="JMESPath to the version in the JSON answer.")
    header: str | None = Field(None, description="Response header that holds the version.")
    find: str | None = Field(
        None, description="Regular expression for the version in the body; its first group, or what matched."
    )
    expected: str | None = Field(
        None, description="Version that must answer; without it, that of the deployment."
    )
    requests: int = Field(5, ge=1, le=50, description="Requests to each URL, each over a new connection.")
    every: Duration = Field(0.0, ge=0, description="Wait between two requests to a URL.")


class Version(Kind[VersionParams]):
    """Several requests over new connections, so that one old instance behind the balancer shows."""

    name = "http.version"
    about = "Which version answers: every one of several requests must tell the expected one."
    params = VersionParams
    values: ClassVar[Mapping[str, str]] = {
        "match": "all, some or none of the answers tell the expected version",
        "version": "the version all answers tell; absent where they differ",
        "versions": "the different versions told; `HTTP 503` for an answer that tells none",
        "requests": "how many requests were made",
    }
    timeout = 30.0

    def defaults(self, params: VersionParams) -> Rules:
        """Every answer: a mixed fleet is not deployed (catalogue H3, H4, K3)."""
        return Rules(must={"match": "all"})

    def problem(self, params: VersionParams) -> str | None:
        """Several places for one version."""
        if sum(place is not None for place in (params.path, params.header, params.find)) > 1:
            return "path, header and find exclude each other"
        if params.find is not None:
            try:
                re.compile(params.find)
            except re.error as error:
                return f"find: '{params.find}' is no regular expression: {error}"
        return expression_problem("path", params.path) or params.credentials_problem()

    async def observe(self, params: VersionParams, context: Context) -> Observation:
        """Ask each URL several times."""
        expected = params.expected or context.version
        if not expected:
            raise Broken("no version is expected: give `expected`, or run it in a deployment")
        told: dict[str, list[str | None]] = {}
        for url in dict.fromkeys([params.url, *params.urls]):
            told[url] = []
            for number in range(params.requests):
                if number and params.every:
                    await context.sleep(params.every)
                answer = await context.web.request(
                    "GET", url, headers=params.sent_headers(), fresh=True, timeout=context.timeout / 2
                )
                told[url].append(_version(params, answer))
        every = [version for versions in told.values() for version in versions]
        if all(version is None for version in every):
            raise NoData(f"no answer of {place(params.url)} tells a version")
        matching = sum(same_version(version, expected) for version in every if version is not None)
        seen = Counter(version or "none told" for version in every)
        return Observation(
            target=place(params.url) + (f" and {len(told) - 1} more" if len(told) > 1 else ""),
            values={
                "match": "all" if matching == len(every) else "some" if matching else "none",
                "version": next(iter(seen)) if len(seen) == 1 else None,
                "versions": sorted(seen),
                "requests": len(every),
            },
            summary=", ".join(f"{show(version)} ×{count}" for version, count in seen.most_common())
            + f"; expected {expected}",
            excerpt="\n".join(
                f"{place(url)}: {', '.join(version or 'none told' for version in versions)}"
                for url, versions in told.items()
            ),
            facts={"version": ", ".join(sorted(seen))},
        )


def _version(params: VersionParams, answer: Answer) -> str | None:
    """The version an answer tells, or None; an answer that is none is told by its status."""
    if answer.status != 200:
        return f"HTTP {answer.status}"
    if params.header is not None:
        found = answer.headers.get(params.header.casefold())
    elif params.path is not None:
        try:
            found = extract(params.path, parsed(answer))
        except ValueError:
            found = None
    elif params.find is not None:
        match = re.search(params.find, answer.text, re.MULTILINE)
        found = None if match is None else match[1 if match.re.groups else 0]
    else:
        found = answer.text if len(answer.body) <= _LONGEST else None
    return None if found is None else str(found).strip() or None


def same_version(told: str, expected: str) -> bool:
    """Whether two texts name one version: a `v` before it and the length of a commit id do not count."""
    left, right = _bare(told), _bare(expected)
    if left == right:
        return True
    if _HEX.fullmatch(left) and _HEX.fullmatch(right):
        return left.startswith(right) or right.startswith(left)
    return False


def _bare(version: str) -> str:
    text = version.strip()
    bare = text[1:] if re.match(r"[vV]\d", text) else text
    return bare.casefold() if _HEX.fullmatch(bare.casefold()) else bare
