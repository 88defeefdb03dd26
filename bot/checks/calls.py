"""HTTP requests as sidecars write them: URL, method, headers, credentials, body. Secrets stay objects until
the request is made."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field

from bot.checks.kind import Answer, Broken, Context, NoData, Params, SecretValue, TargetDown
from bot.domain.check import Secret

#: Methods that may be sent again: they change nothing (RFC 9110, 9.2.1).
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Where a parameter may hold a secret, or a plain text.
TextOrSecret = str | SecretValue


class Credentials(Params):
    """How a request says who asks."""

    headers: dict[str, TextOrSecret] = Field(
        default_factory=dict, description="Request headers; a value may be a secret."
    )
    bearer: SecretValue | None = Field(None, description="Token for `Authorization: Bearer`.")
    user: str | None = Field(None, description="User name for HTTP Basic authentication.")
    password: SecretValue | None = Field(None, description="Password for HTTP Basic authentication.")

    def credentials_problem(self) -> str | None:
        """What is wrong with them, or None."""
        if self.bearer is not None and self.user is not None:
            return "bearer and user exclude each other"
        if (self.user is None) != (self.password is None):
            return "user and password go together"
        return None

    def sent_headers(self) -> dict[str, str]:
        """The headers to send, secrets revealed: for the request only."""
        headers = {name: revealed(value) for name, value in self.headers.items()}
        if self.bearer is not None:
            headers["Authorization"] = f"Bearer {self.bearer.reveal()}"
        if self.user is not None and self.password is not None:
            pair = f"{self.user}:{self.password.reveal()}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return headers


class CallParams(Credentials):
    """One request."""

    url: str = Field(min_length=1, description="Absolute URL, http:// or https://.")
    method: str = Field("GET", pattern=r"^[A-Za-z]+$", description="Request method.")
    query: dict[str, TextOrSecret] = Field(
        default_factory=dict, description="Query parameters, added to those of the URL."
    )
    json_body: Any = Field(
        None, alias="json", description="Body, sent as JSON; values inside it may be secrets."
    )
    form: dict[str, TextOrSecret] | None = Field(
        None, description="Body, sent as a form; values may be secrets."
    )
    body: TextOrSecret | None = Field(None, description="Body, sent as it is.")

    def call_problem(self) -> str | None:
        """What is wrong with the request, or None."""
        if sum(body is not None for body in (self.json_body, self.form, self.body)) > 1:
            return "json, form and body exclude each other"
        return self.credentials_problem()


def revealed(value: Any) -> Any:
    """A value with every secret in it revealed: for the request only."""
    match value:
        case Secret():
            return value.reveal()
        case Mapping():
            return {name: revealed(inner) for name, inner in value.items()}
        case list() | tuple():
            return [revealed(inner) for inner in value]
        case _:
            return value


async def call(
    params: CallParams,
    context: Context,
    *,
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    fresh: bool = False,
    max_bytes: int = 1_000_000,
    timeout: float | None = None,
) -> Answer:
    """Make the request, to another URL or with more headers where these are given.

    Raises TargetDown, which may be tried again only where the method changes nothing; Refused, Broken.
    """
    method = params.method.upper()
    sent = {**params.sent_headers(), **(headers or {})}
    content: bytes | None = None
    if params.json_body is not None:
        content = json.dumps(revealed(params.json_body)).encode()
        sent.setdefault("Content-Type", "application/json")
    elif params.form is not None:
        content = urlencode(revealed(params.form)).encode()
        sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
    elif params.body is not None:
        content = str(revealed(params.body)).encode()
    # A little less than the engine allows, so that this message is the one people read.
    limit = (timeout or context.timeout) * 0.95
    asked = url or params.url
    try:
        return await context.web.request(
            method,
            asked,
            headers=sent,
            params=_query(asked, params.query),
            content=content,
            fresh=fresh,
            max_bytes=max_bytes,
            timeout=limit,
        )
    except TargetDown as down:
        down.retryable = method in SAFE
        raise


def _query(url: str, query: Mapping[str, TextOrSecret]) -> list[tuple[str, str]] | None:
    """All query parameters, or None where the URL's own are enough: httpx replaces those by the given."""
    if not query:
        return None
    own = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return [*own, *((name, str(revealed(value))) for name, value in query.items())]


def place(url: str) -> str:
    """A URL for people: without query, fragment and credentials, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an unusable URL"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if host else parts.path


def media_type(answer: Answer) -> str | None:
    """The content type without its parameters, in lower case."""
    return answer.headers.get("content-type", "").partition(";")[0].strip().casefold() or None


def parsed(answer: Answer) -> Any:
    """The JSON of an answer. Raises NoData where it was cut off, ValueError where it is none."""
    if answer.truncated:
        raise NoData(f"{place(answer.url)} answers with more than can be read at once")
    return json.loads(answer.text)


def expression_problem(name: str, expression: str | None) -> str | None:
    """What is wrong with a JMESPath expression, or None."""
    if expression is None:
        return None
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        return f"{name}: '{expression}' is no JMESPath expression: {str(error).splitlines()[0]}"
    return None


def extract(expression: str, data: Any) -> Any:
    """What a JMESPath expression finds, None for nothing. Raises Broken where it cannot be applied."""
    try:
        return jmespath.search(expression, data)
    except JMESPathError as error:
        raise Broken(f"'{expression}' cannot be applied: {str(error).splitlines()[0]}") from error
