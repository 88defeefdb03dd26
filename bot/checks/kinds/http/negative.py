"""What a service answers to requests that are wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from bot.checks.calls import Credentials, media_type, place
from bot.checks.kind import Answer, Context, Kind, NoData, TargetDown
from bot.domain.check import Observation, Rules

#: What only a program's innards say: traces of Python, Java, .NET, Node, Ruby, Go, PHP, Rust; database
#: errors; debug pages of Django, Werkzeug and Laravel.
_INNARDS = re.compile(
    r"Traceback \(most recent call last\)|"
    r"\bat [\w.$<>]+\([\w$]+\.(?:java|kt|scala):\d+\)|"
    r"\bat .{1,200} in .{1,200}:line \d+|"
    r"\bat .{1,200}\(?[\w./\\:-]+\.(?:js|mjs|cjs|ts):\d+:\d+\)?|"
    r"\.rb:\d+:in [`']|"
    r"goroutine \d+ \[running\]|"
    r"(?:Fatal error|Uncaught \w*Exception)\b.{0,300} on line (?:<b>)?\d+|"
    r"thread '.{1,80}' panicked at|"
    r"SQLSTATE\[|\bORA-\d{5}\b|syntax error at or near|\bPG::\w+Error|"
    r"DEBUG\s*=\s*True</code>|Werkzeug Debugger|Whoops, looks like something went wrong"
)
#: Larger than any 64-bit number.
HUGE_ID = "9" * 22
#: Statuses that say nothing about how an error is handled: the request did not get that far.
_NOT_REACHED = frozenset({401, 403, 407, 429})


class NegativeParams(Credentials):
    """Which wrong requests to make. Only the first is made without being named: it can do no harm."""

    url: str = Field(min_length=1, description="Base URL; a path below it that does not exist is asked for.")
    not_allowed_url: str | None = Field(
        None, description="Route that must refuse `not_allowed_method`; left out, that is not tried."
    )
    not_allowed_method: str = Field("PATCH", pattern=r"^[A-Za-z]+$", description="Method it must refuse.")
    json_url: str | None = Field(
        None, description="Route that reads JSON, to be sent malformed JSON; left out, that is not tried."
    )
    json_method: str = Field("POST", pattern=r"^[A-Za-z]+$", description="Method for the malformed JSON.")
    id_url: str | None = Field(
        None, description="Route with `{id}` in it, to be asked for a huge id; left out, that is not tried."
    )
    problem_json: bool = Field(
        True, description="Whether errors should be `application/problem+json` (RFC 9457)."
    )


@dataclass(frozen=True, kw_only=True)
class _Case:
    name: str
    method: str
    url: str
    content: bytes | None = None


class Negative(Kind[NegativeParams]):
    """Requests that are wrong, and whether they are answered as errors rather than with a breakdown."""

    name = "http.negative"
    about = "Error handling: unknown path, wrong method, malformed JSON, huge id; no 5xx, no stack trace."
    params = NegativeParams
    values: ClassVar[Mapping[str, str]] = {
        "server_errors": "cases answered with a 5xx, or not answered at all",
        "leaks": "cases whose answer shows a stack trace or a database error",
        "accepted": "cases answered with a 2xx, as if nothing were wrong",
        "not_reached": "cases stopped before the route: not logged in, redirected, rate-limited",
        "not_problem_json": "errors that are not application/problem+json",
        "cases": "how many wrong requests were made",
    }
    #: Malformed JSON is sent to a route that writes.
    repeatable = False

    def defaults(self, params: NegativeParams) -> Rules:
        """Catalogue E2; what was not reached or was accepted deserves a look."""
        warn = {"accepted": "> 0", "not_reached": "> 0"}
        if params.problem_json:
            warn["not_problem_json"] = "> 0"
        return Rules(fail={"server_errors": "> 0", "leaks": "> 0"}, warn=warn)

    def problem(self, params: NegativeParams) -> str | None:
        """A route for ids without a place for one."""
        if params.id_url is not None and "{id}" not in params.id_url:
            return "id_url must have `{id}` where the id goes"
        return params.credentials_problem()

    async def observe(self, params: NegativeParams, context: Context) -> Observation:
        """Make the wrong requests. Raises NoData where none reached a route."""
        counts = dict.fromkeys(("server_errors", "leaks", "accepted", "not_reached", "not_problem_json"), 0)
        rows: list[str] = []
        cases = _cases(params, context.marker)
        down: TargetDown | None = None
        for case in cases:
            try:
                answer = await _ask(case, params, context)
            except TargetDown as error:
                down = error
                counts["server_errors"] += 1
                rows.append(f"{case.name:<15} breaks off  {place(case.url)}")
                continue
            found = _findings(answer)
            for name in found:
                counts[name] += 1
            verdict = ", ".join(name.replace("_", " ") for name in found) or "ok"
            body = " ".join(answer.text[:200].split())[:100]
            rows.append(f"{case.name:<15} {answer.status}  {media_type(answer) or '-'}  {verdict}  {body}")
        if down is not None and counts["server_errors"] == len(cases):
            raise down
        if counts["not_reached"] == len(cases):
            raise NoData("no wrong request reached a route: give credentials that may use it")
        said = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
        return Observation(
            target=place(params.url),
            values={**counts, "cases": len(cases)},
            summary=f"{len(cases)} wrong requests: {', '.join(said) or 'all refused properly'}",
            excerpt="\n".join(rows),
        )


def _cases(params: NegativeParams, marker: str) -> list[_Case]:
    base = params.url.partition("#")[0].partition("?")[0].rstrip("/")
    cases = [_Case(name="unknown path", method="GET", url=f"{base}/no-such-path-{marker}")]
    if params.not_allowed_url is not None:
        method = params.not_allowed_method.upper()
        cases.append(_Case(name="wrong method", method=method, url=params.not_allowed_url))
    if params.json_url is not None:
        method = params.json_method.upper()
        cases.append(
            _Case(name="malformed JSON", method=method, url=params.json_url, content=b'{"malformed": ')
        )
    if params.id_url is not None:
        cases.append(_Case(name="huge id", method="GET", url=params.id_url.replace("{id}", HUGE_ID)))
    return cases


async def _ask(case: _Case, params: NegativeParams, context: Context) -> Answer:
    headers = {"Accept": "application/problem+json, application/json, */*", **params.sent_headers()}
    if case.content is not None:
        headers["Content-Type"] = "application/json"
    return await context.web.request(
        case.method,
        case.url,
        headers=headers,
        content=case.content,
        max_bytes=200_000,
        timeout=context.timeout / 4,
    )


def _findings(answer: Answer) -> list[str]:
    found = []
    if answer.status >= 500:
        found.append("server_errors")
    if _INNARDS.search(answer.text):
        found.append("leaks")
    if answer.status < 300:
        found.append("accepted")
    elif answer.status < 400 or answer.status in _NOT_REACHED:
        found.append("not_reached")
    elif media_type(answer) != "application/problem+json":
        found.append("not_problem_json")
    return found
