"""Asking a source about the target: a metrics server, a forge, a tracker, over its JSON API.

A source that does not let the bot in, is overloaded or answers in part leaves a check without data; a request
it cannot understand is the check's own fault. Neither says anything about the target.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import Field

from bot.checks.kind import Answer, Broken, NoData, Params, SecretValue, Web
from bot.domain.check import Secret

#: Answers that a second try may well change (catalogue, safety 8).
PASSING = (502, 503, 504)
#: Largest answer read, in bytes.
LARGEST = 8_000_000


class Login(Params):
    """How the bot shows itself to a source."""

    bearer: SecretValue | None = Field(None, description="Token for `Authorization: Bearer`.")
    user: str = Field("", description="User name for basic authentication.")
    password: SecretValue | None = Field(None, description="Password for basic authentication.")
    tenant: str = Field("", description="Tenant of a shared source, sent as `X-Scope-OrgID`.")

    def headers(self) -> dict[str, str]:
        """As request headers."""
        sent = {"X-Scope-OrgID": self.tenant} if self.tenant else {}
        if self.bearer is not None:
            sent["Authorization"] = f"Bearer {self.bearer.reveal()}"
        elif self.password is not None:
            sent["Authorization"] = basic(self.user, self.password)
        return sent


def basic(user: str, password: Secret) -> str:
    """The value of a basic `Authorization` header."""
    return f"Basic {base64.b64encode(f'{user}:{password.reveal()}'.encode()).decode()}"


def segment(text: str) -> str:
    """A piece of a URL's path."""
    return quote(text, safe="")


class Source:
    """One JSON API at one address."""

    def __init__(self, web: Web, name: str, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        #: What people call it: `Prometheus`.
        self.name = name
        self._web = web
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json", **(headers or {})}

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        absent: Collection[int] = (),
    ) -> Any:
        """The JSON at a path; None where the status is one of `absent`. Raises NoData, Broken, TargetDown."""
        answer = await self.send("GET", path, params=params)
        return None if answer.status in absent else self.parse(answer)

    async def post(self, path: str, *, json: Any, absent: Collection[int] = ()) -> Any:
        """What it answers to JSON. Raises NoData, Broken, TargetDown."""
        answer = await self.send("POST", path, json=json)
        return None if answer.status in absent else self.parse(answer)

    async def send(self, method: str, path: str, **given: Any) -> Answer:
        """Any answer, unjudged. Raises TargetDown, Refused."""
        headers = {**self._headers, **given.pop("headers", {})}
        return await self._web.request(method, self._url + path, headers=headers, max_bytes=LARGEST, **given)

    def parse(self, answer: Answer) -> Any:
        """The JSON of a good answer; None where it is empty. Raises NoData, Broken for any other."""
        self.judge(answer)
        if answer.truncated:
            raise NoData(f"{self.name} answers with more than {LARGEST // 1_000_000} MB: narrow the question")
        if not answer.body.strip():
            return None
        try:
            return json.loads(answer.body)
        except ValueError as error:
            raise NoData(f"{self.name} answers with something that is no JSON; is this its API?") from error

    def judge(self, answer: Answer) -> None:
        """Nothing for a 2xx answer. Raises NoData, Broken for any other."""
        status, name = answer.status, self.name
        if 200 <= status < 300:
            return
        said = message_of(answer)
        if status in (401, 403) and answer.headers.get("x-ratelimit-remaining") == "0":
            raise NoData(f"{name}'s rate limit is used up")
        if status in (401, 403):
            raise NoData(f"{name} does not let the bot in ({status}): give it a token that may read this")
        if status == 429:
            raise NoData(f"{name} is limiting requests (429)")
        if status >= 500:
            raise NoData(f"{name} is in trouble ({status}){said}", retryable=status in PASSING)
        if 300 <= status < 400:
            raise Broken(f"{name} redirects to {answer.headers.get('location', 'another address')}: use that")
        if status == 404:
            raise Broken(f"{answer.url.partition('?')[0]} does not exist (404); is this {name}'s address?")
        raise Broken(f"{name} refuses the request ({status}){said}")


def message_of(answer: Answer) -> str:
    """What an error answer says, after a colon; empty where it says nothing."""
    text = answer.text
    try:
        data = json.loads(text)
    except ValueError:
        pass
    else:
        if isinstance(data, dict):
            said = (data.get(key) for key in ("error", "message", "detail", "msg"))
            text = next((str(part) for part in said if part), "")
    text = " ".join(text.split())
    return f": {text[:200]}" if text and not text.startswith("<") else ""
