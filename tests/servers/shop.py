"""The upstream of the tests: a small shop, as an aiohttp application in a thread of its own."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import WSMsgType, web

#: What opens the guarded routes.
TOKEN_KEY = "a key nobody guesses"
PASSWORD = "correct horse battery"


@contextlib.contextmanager
def serving(app: web.Application) -> Iterator[str]:
    """An application on loopback until the block ends; yields its base URL, without a slash at the end.

    It runs in a thread with its own event loop, so that fixtures of any scope can hold it.
    """
    ready = threading.Event()
    address: list[str] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopping.set))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        address.append(f"http://{host}:{port}")
        ready.set()
        await stopping.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the application did not start")
    try:
        yield address[0]
    finally:
        stop[0]()
        thread.join(10)


def make_token(**claims: Any) -> str:
    """A valid token of the shop, good for an hour unless `exp` says otherwise."""
    header = _encoded({"alg": "HS256", "typ": "JWT"})
    payload = _encoded({"sub": "ana", "exp": int(time.time()) + 3600, **claims})
    return f"{header}.{payload}.{_signature(f'{header}.{payload}')}"


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _signature(text: str) -> str:
    mac = hmac.digest(TOKEN_KEY.encode(), text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _claims(request: web.Request, *, trusting: bool = False) -> dict[str, Any] | None:
    """The claims of the request's token; a trusting reader looks at no signature."""
    head, _, rest = request.headers.get("Authorization", "").removeprefix("Bearer ").partition(".")
    payload, _, signature = rest.partition(".")
    if not trusting and not hmac.compare_digest(signature, _signature(f"{head}.{payload}")):
        return None
    try:
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error):
        return None
    return claims if claims.get("exp", 0) > time.time() else None


def _problem(status: int, title: str) -> web.Response:
    return web.json_response(
        {"title": title, "status": status}, status=status, content_type="application/problem+json"
    )


class Shop:
    """The shop and what it was asked."""

    def __init__(self, *, version: str = "v1.4.2") -> None:
        #: What `/version` tells, in turn.
        self.versions = [version]
        #: `method path` of every request.
        self.asked: list[str] = []
        self.listeners: set[web.WebSocketResponse] = set()
        self.items = {1: {"id": 1, "name": "Red shoe"}, 2: {"id": 2, "name": "Blue shoe"}}
        self._turn = itertools.count()
        self._drops = itertools.count()
        self.app = web.Application(middlewares=[self._errors])
        self.app.add_routes(
            [
                web.get("/version", self._version),
                web.get("/version-plain", self._version_plain),
                web.get("/page", self._page),
                web.get("/items", self._items),
                web.post("/items", self._add),
                web.get("/items/{id}", self._item),
                web.get("/rough/{id}", self._rough_item),
                web.post("/rough", self._rough_add),
                web.get("/me", self._me),
                web.get("/trusting", self._trusting),
                web.get("/guarded/{rest:.*}", self._me),
                web.get("/key", self._key),
                web.get("/slack-like", self._slack_like),
                web.post("/login", self._login),
                web.post("/login-rough", self._login_rough),
                web.get("/status/{code}", self._status),
                web.get("/slow/{ms}", self._slow),
                web.get("/moved", self._moved),
                web.get("/limits/{form}", self._limits),
                web.get("/drops/{count}", self._drop),
                web.route("*", "/echo", self._echo),
                web.get("/ws", self._ws),
                web.post("/announce", self._announce),
                web.get("/mute", self._mute),
                web.get("/openapi.json", self._openapi),
            ]
        )
        #: The document at /openapi.json.
        self.openapi: dict[str, Any] = {}

    @web.middleware
    async def _errors(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        try:
            answer: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _problem(error.status, error.reason)
        return answer

    async def _version(self, request: web.Request) -> web.Response:
        told = self.versions[next(self._turn) % len(self.versions)]
        if told.isdecimal():
            return web.json_response({"error": "starting"}, status=int(told))
        return web.json_response({"build": {"version": told}}, headers={"X-Version": told})

    async def _version_plain(self, request: web.Request) -> web.Response:
        return web.Response(text=f"{self.versions[0]}\n")

    async def _page(self, request: web.Request) -> web.Response:
        html = f'<html><head><meta name="build" content="{self.versions[0]}"></head><p>Welcome</p></html>'
        return web.Response(text=html, content_type="text/html")

    async def _items(self, request: web.Request) -> web.Response:
        wanted = request.query.get("q", "").casefold()
        found = [item for item in self.items.values() if wanted in str(item["name"]).casefold()]
        return web.json_response({"items": found, "total": len(found)})

    async def _add(self, request: web.Request) -> web.Response:
        try:
            await request.json()
        except ValueError:
            return _problem(400, "the body is no JSON")
        return web.json_response({"id": 3}, status=201)

    async def _item(self, request: web.Request) -> web.Response:
        found = self.items.get(int(request.match_info["id"]))
        return _problem(404, "no such item") if found is None else web.json_response(found)

    async def _rough_item(self, request: web.Request) -> web.Response:
        text = "psycopg.errors.NumericValueOutOfRange\nTraceback (most recent call last):\n  File ..."
        return web.Response(status=500, text=text)

    async def _rough_add(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def _me(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").startswith("Basic "):
            pair = base64.b64decode(request.headers["Authorization"][6:]).decode()
            return web.json_response({"sub": "ana"}, status=200 if pair == f"ana:{PASSWORD}" else 401)
        claims = _claims(request)
        return _problem(401, "no valid token") if claims is None else web.json_response(claims)

    async def _trusting(self, request: web.Request) -> web.Response:
        claims = _claims(request, trusting=True)
        return _problem(401, "no valid token") if claims is None else web.json_response(claims)

    async def _key(self, request: web.Request) -> web.Response:
        """A provider: the key says what it answers, `valid-30` expires in 30 days."""
        word, _, days = request.headers.get("X-Api-Key", "").partition("-")
        if word != "valid":
            return _problem(401, "bad key")
        body: dict[str, Any] = {"login": "storefront", "expires_at": None}
        headers = {}
        if days:
            when = time.gmtime(time.time() + float(days) * 86400 + 60)
            body["expires_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", when)
            headers["X-Key-Expiration"] = time.strftime("%Y-%m-%d %H:%M:%S UTC", when)
        return web.json_response(body, headers=headers)

    async def _slack_like(self, request: web.Request) -> web.Response:
        good = request.headers.get("Authorization") == "Bearer good-token"
        return web.json_response({"ok": True} if good else {"ok": False, "error": "invalid_auth"})

    async def _login(self, request: web.Request) -> web.Response:
        given = await request.json()
        if given.get("password") != PASSWORD:
            return _problem(401, "wrong password")
        answer = web.json_response({"hello": given["user"]})
        answer.headers.add("Set-Cookie", "session=s3cr3t-s3ss10n; Secure; HttpOnly; SameSite=Lax; Path=/")
        answer.headers.add("Set-Cookie", "csrftoken=abc; Secure; SameSite=Strict; Path=/")
        answer.headers.add("Set-Cookie", "old=; Max-Age=0; Path=/")
        return answer

    async def _login_rough(self, request: web.Request) -> web.Response:
        answer = web.json_response({})
        for line in (await request.json())["cookies"]:
            answer.headers.add("Set-Cookie", line)
        return answer

    async def _status(self, request: web.Request) -> web.Response:
        headers = {"X-RateLimit-Remaining": "0"} if "limited" in request.query else {}
        return web.Response(status=int(request.match_info["code"]), text="said so", headers=headers)

    async def _slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(int(request.match_info["ms"]) / 1000)
        return web.json_response({})

    async def _moved(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query.get("to", "/page?session=s3cr3t"))

    async def _limits(self, request: web.Request) -> web.Response:
        forms = {
            "draft-10": {
                "RateLimit-Policy": '"burst";q=20;w=1,"daily";q=100;w=60',
                "RateLimit": '"burst";r=9;t=1',
            },
            "draft-07": {"RateLimit-Policy": "100;w=60", "RateLimit": "limit=100, remaining=50, reset=30"},
            "draft-06": {"RateLimit-Limit": "100", "RateLimit-Remaining": "9", "RateLimit-Reset": "30"},
            "x": {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "99"},
            "nothing": {},
        }
        return web.json_response({}, headers=forms[request.match_info["form"]])

    async def _drop(self, request: web.Request) -> web.Response:
        """Breaks off the first `count` times."""
        if next(self._drops) < int(request.match_info["count"]):
            assert request.transport is not None
            request.transport.close()
        return web.json_response({})

    async def _echo(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "method": request.method,
                "headers": dict(request.headers),
                "query": [list(pair) for pair in request.query.items()],
                "body": await request.text(),
                "peer": request.remote,
            }
        )

    async def _ws(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") == "Bearer wrong":
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.listeners.add(socket)
        try:
            await socket.send_str("welcome")
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(f"echo {message.data}")
        finally:
            self.listeners.discard(socket)
        return socket

    async def _announce(self, request: web.Request) -> web.Response:
        text = await request.text()
        for listener in list(self.listeners):
            await listener.send_str(text)
        return web.json_response({"listeners": len(self.listeners)})

    async def _mute(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.json_response(self.openapi)
