"""One HTTP request, and whatever its answer is to be held against."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.calls import CallParams, call, expression_problem, extract, media_type, parsed, place
from bot.checks.cookies import cookies_of
from bot.checks.kind import Answer, Context, Kind, NoData
from bot.domain.check import Observation, Rules
from bot.domain.rules import show

#: Headers whose value is a credential.
_CREDENTIALS = frozenset({"authorization", "x-api-key", "x-auth-token", "x-csrf-token"})


class HttpParams(CallParams):
    """One request, and what to take from its answer."""

    extract: dict[str, str] = Field(
        default_factory=dict, description="Value name → JMESPath into the JSON answer."
    )
    find: dict[str, str] = Field(
        default_factory=dict,
        description="Value name → regular expression; the value is its first group, or what matched.",
    )
    fresh: bool = Field(True, description="Open a new connection, as a new visitor would.")


class HeaderValues(Mapping[str, str | None]):
    """Response headers as values: every name is there, with None for a header the answer lacks."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __getitem__(self, name: str) -> str | None:
        return self._headers.get(name.casefold())

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)


class Http(Kind[HttpParams]):
    """A request whose answer is judged as it is; redirects are answers."""

    name = "http"
    about = "One HTTP request: status, time, headers, and values taken from the body."
    params = HttpParams
    values: ClassVar[Mapping[str, str]] = {
        "status": "status code",
        "ms": "milliseconds until the last byte, connection included",
        "body_length": "bytes of the body",
        "content_type": "media type in lower case, without parameters",
        "json": "whether the body is JSON; only with extract",
        "header.*": "a response header by its lower-case name; absent where the answer lacks it",
        "*": "the names given in extract and find; absent where nothing was found",
    }

    def defaults(self, params: HttpParams) -> Rules:
        """Status 200: a redirect to a login page must not pass for the page. JSON where JSON is read."""
        return Rules(must={"status": 200, **({"json": True} if params.extract else {})})

    def problem(self, params: HttpParams) -> str | None:
        """Names that collide, expressions that are none."""
        names = [*params.extract, *params.find]
        taken = {"status", "ms", "body_length", "content_type", "json", "header"}
        for name in names:
            if name in taken or names.count(name) > 1:
                return f"'{name}' is the name of another value already"
        for name, expression in params.extract.items():
            if wrong := expression_problem(f"extract.{name}", expression):
                return wrong
        for name, pattern in params.find.items():
            try:
                re.compile(pattern)
            except re.error as error:
                return f"find.{name}: '{pattern}' is no regular expression: {error}"
        return params.call_problem()

    async def observe(self, params: HttpParams, context: Context) -> Observation:
        """Ask once."""
        answer = await call(params, context, fresh=params.fresh)
        values: dict[str, Any] = {
            "status": answer.status,
            "ms": round(answer.ms, 1),
            "body_length": len(answer.body),
            "content_type": media_type(answer),
            "header": HeaderValues(_shown_headers(answer)),
        }
        taken: dict[str, Any] = {}
        if params.extract:
            try:
                data = parsed(answer)
            except ValueError:
                values["json"] = False
            else:
                values["json"] = True
                taken = {name: extract(expression, data) for name, expression in params.extract.items()}
        for name, pattern in params.find.items():
            found = re.search(pattern, answer.text, re.MULTILINE)
            if found is None and answer.truncated:
                raise NoData(f"'{name}' is not in the first {len(answer.body)} bytes, and there are more")
            taken[name] = None if found is None else found[1 if found.re.groups else 0]
        said = [str(answer.status), f"{answer.ms:.0f} ms"]
        said += [f"{name} {show(value)}" for name, value in taken.items()]
        if answer.status in range(300, 400):
            said.append(f"to {place(answer.headers.get('location', '?'))}")
        return Observation(
            target=f"{params.method.upper()} {place(params.url)}",
            values=values | taken,
            summary=", ".join(said),
            excerpt=_head(answer) if answer.status >= 400 else "",
        )


def _shown_headers(answer: Answer) -> dict[str, str]:
    """Response headers without credentials: cookies by name and flags, nothing that lets anybody in."""
    shown = {name: value for name, value in answer.headers.items() if name not in _CREDENTIALS}
    if "set-cookie" in shown:
        shown["set-cookie"] = "\n".join(map(str, cookies_of(answer)))
    return shown


def _head(answer: Answer) -> str:
    """The beginning of an error's body, where it is text: what went wrong often stands there."""
    kind = media_type(answer) or ""
    if not kind.startswith("text/") and "json" not in kind and "xml" not in kind:
        return ""
    return answer.text[:600]
