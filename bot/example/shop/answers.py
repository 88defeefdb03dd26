"""Answers that several routes give: problems as RFC 9457 writes them, and who is asking."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import web

from bot.example.shop.assets import Assets
from bot.example.shop.limiter import Limiter
from bot.example.shop.metrics import Metrics
from bot.example.shop.sessions import Sessions
from bot.example.shop.settings import Conduct, Settings
from bot.example.shop.stock import Stock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True)
class Shop:
    """Everything the routes work with."""

    settings: Settings
    conduct: Conduct
    stock: Stock
    assets: Assets
    limiter: Limiter = field(default_factory=Limiter)
    metrics: Metrics = field(default_factory=Metrics)
    sessions: Sessions = field(default_factory=Sessions)
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    workers: list[asyncio.Task[None]] = field(default_factory=list)
    #: When a worker last did something, in seconds since 1970.
    last_beat: float = 0.0


SHOP: web.AppKey[Shop] = web.AppKey("shop", Shop)


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None) -> web.Response:
    """An error as RFC 9457 writes it."""
    title = HTTPStatus(status).phrase
    told = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.Response(
        status=status,
        body=json.dumps(told).encode(),
        content_type="application/problem+json",
        headers=headers,
    )


def guarded(handler: Handler) -> Handler:
    """A route that asks for a token."""

    async def wrapped(request: web.Request) -> web.StreamResponse:
        shop = request.app[SHOP]
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        known = shop.sessions.account_of(token) if scheme.casefold() == "bearer" else None
        if scheme.casefold() == "bearer" and shop.sessions.same(token, shop.settings.api_token):
            known = "api"
        if known is None and shop.conduct.auth:
            return problem(401, "A valid token is needed.", headers={"WWW-Authenticate": "Bearer"})
        request["account"] = known or "nobody"
        return await handler(request)

    return wrapped


def limited(request: web.Request, client: str) -> tuple[web.Response | None, dict[str, str]]:
    """The refusal where a client asks too often, and the headers that go with any answer."""
    shop = request.app[SHOP]
    if not shop.conduct.rate_limit:
        return None, {}
    address = request.headers.get("X-Forwarded-For", request.remote or "")
    verdict = shop.limiter.ask(f"{request.path} {address} {client}")
    headers = dict(verdict.headers)
    if verdict.allowed:
        return None, headers
    return problem(429, "Too many requests.", headers=headers), headers


async def read_json(request: web.Request) -> dict[str, Any]:
    """The object in the request. Raises HTTPBadRequest with a sentence."""
    try:
        found = json.loads(await request.text() or "{}")
    except (ValueError, UnicodeDecodeError):
        raise web.HTTPBadRequest(reason="The request is no JSON.") from None
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(reason="The request is no JSON object.")
    return found


def whole_number(text: str, name: str, *, most: int = 2**31 - 1) -> int:
    """A number in a request. Raises HTTPBadRequest with a sentence."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise web.HTTPBadRequest(reason=f"{name} must be a whole number up to {most}.")
    return int(text)
