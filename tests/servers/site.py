"""A small web site on loopback: real aiohttp, files by path, and what a server does to them."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript",
    "css": "text/css",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
    "png": "image/png",
    "jpg": "image/jpeg",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "xml": "application/xml",
}


@dataclass(frozen=True, kw_only=True)
class File:
    """What one path answers."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds before it answers.
    delay: float = 0.0
    compressed: bool = True


@dataclass(kw_only=True)
class Site:
    """The files, and how often each was asked for."""

    url: str
    files: dict[str, File] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)
    #: Answers every path that is no file, as single-page applications do; None answers 404.
    fallback: str | None = None
    #: Decides instead of the files where it returns something.
    handler: Callable[[web.Request], web.StreamResponse | None] | None = None

    def put(self, path: str, body: str | bytes, **settings: object) -> None:
        """Add a file."""
        content = body.encode() if isinstance(body, str) else body
        self.files[path] = File(body=content, **settings)  # type: ignore[arg-type]

    def page(self, body: str = "", *, head: str = "", path: str = "/", **settings: object) -> str:
        """Add a page; its address."""
        self.put(path, f"<!doctype html><html><head>{head}</head><body>{body}</body></html>", **settings)
        return f"{self.url}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One answer."""
        self.hits[request.path] += 1
        if self.handler is not None and (own := self.handler(request)) is not None:
            return own
        found = self.files.get(request.path)
        if found is None and self.fallback is not None:
            found = self.files[self.fallback]
        if found is None:
            return web.Response(status=404, text="not here")
        await asyncio.sleep(found.delay)
        ending = request.path.rpartition(".")[2] if request.path in self.files else "html"
        headers = {"Content-Type": _TYPES.get(ending, _TYPES["html"]), **found.headers}
        body = found.body
        text = not headers["Content-Type"].startswith("image/") or "svg" in headers["Content-Type"]
        if found.compressed and text and "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers = gzip.compress(body), {"Content-Encoding": "gzip", **headers}
        return web.Response(status=found.status, body=body, headers=headers)


@contextlib.asynccontextmanager
async def serve_site() -> AsyncIterator[Site]:
    """A site without files on a free port."""
    site = Site(url="")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    port = runner.addresses[0][1]
    site.url = f"http://127.0.0.1:{port}"
    yield site
    await runner.cleanup()
