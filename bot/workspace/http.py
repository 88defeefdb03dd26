"""Small things every HTTP route needs: JSON bodies, answers, and keeping other sites out."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Routes a browser may only use from the workspace's own page.
_GUARDED = ("/client/", "/control/")


async def ask_json(request: web.Request) -> Json:
    """The request's JSON object; an empty body is an empty object."""
    text = await request.text()
    try:
        body = json.loads(text) if text.strip() else {}
    except ValueError:
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body must be a JSON object")
    return body


def succeed(body: Json) -> web.Response:
    """`{ok: true, …}`, unless the body says otherwise."""
    return web.json_response({"ok": True, **body})


def fail(error: str, message: str) -> web.Response:
    """`{ok: false, error, message}`, with HTTP 200 as in Slack."""
    return web.json_response({"ok": False, "error": error, "message": message})


def guard(allowed_hosts: frozenset[str]) -> Any:
    """Middleware that refuses other sites' requests: by `Origin`, and by `Host` against DNS rebinding."""

    @web.middleware
    async def keep_out(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(_GUARDED):
            host = urlsplit(f"//{request.host}").hostname or ""
            origin = request.headers.get("Origin")
            if not _own_host(host, allowed_hosts):
                raise web.HTTPForbidden(text="this host name is not served")
            if origin is not None and urlsplit(origin).netloc != request.host:
                raise web.HTTPForbidden(text="cross-origin requests are not served")
            if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
                raise web.HTTPForbidden(text="cross-origin requests are not served")
        return await handler(request)

    return keep_out


def _own_host(host: str, allowed: frozenset[str]) -> bool:
    if host == "localhost" or host in allowed:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
