"""The pages, what browsers and search engines read besides, and what operators ask for."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import jinja2
from aiohttp import web

from bot.example.shop.answers import SHOP, Shop, problem
from bot.example.shop.api import wanted_products
from bot.example.shop.stock import Wanted

#: What browsers may keep: a hashed name for ever, anything else only after asking again.
FOREVER, ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"
_STARTED = datetime.now(UTC)


class Pages:
    """Draws pages from the template of the project."""

    def __init__(self, folder: Path) -> None:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
        )
        self._template = environment.get_template("page.html")

    async def front(self, request: web.Request) -> web.Response:
        """The front page, or what was searched for."""
        shop = request.app[SHOP]
        wanted = wanted_products(request)
        found = await shop.stock.products(Wanted(text=wanted.text, category=wanted.category, limit=12))
        return self._draw(
            request,
            title="Storefront: teapots, mugs and lamps",
            description="A small shop for the kitchen and the table, with fair prices and quick delivery.",
            heading=f"“{wanted.text}”" if wanted.text else "Everything for the table",
            path="/",
            products=found,
            query=wanted.text,
        )

    async def product(self, request: web.Request) -> web.Response:
        """One product."""
        text = request.match_info["id"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        found = await request.app[SHOP].stock.product(number)
        if found is None:
            return problem(404, "There is no such product.")
        return self._draw(
            request,
            title=f"{found['name']} – Storefront",
            description=f"{found['name']} for the {found['category']}: see its price and order it.",
            heading=found["name"],
            path=f"/products/{number}",
            products=[found],
            query="",
        )

    def _draw(self, request: web.Request, *, path: str, **values: Any) -> web.Response:
        shop = request.app[SHOP]
        text = self._template.render(
            asset=shop.assets.names,
            base=shop.settings.base_url,
            url=f"{shop.settings.base_url}{path}",
            version=shop.conduct.version,
            **values,
        )
        return _with_tag(request, text.encode(), "text/html", ASK_AGAIN)

    def routes(self) -> list[web.RouteDef]:
        """Every page, and what goes with pages."""
        return [
            web.get("/", self.front),
            web.get("/products/{id}", self.product),
            web.get("/assets/{name}", asset),
            web.get("/sw.js", service_worker),
            web.get("/manifest.webmanifest", web_manifest),
            web.get("/manifest.json", build_manifest),
            web.get("/robots.txt", robots),
            web.get("/sitemap.xml", sitemap),
            web.get("/openapi.json", openapi),
            web.get("/docs", documentation),
            web.get("/version", version),
            web.get("/health", health),
            web.get("/health/config", configured),
        ]


def _with_tag(request: web.Request, body: bytes, content_type: str, cache: str) -> web.Response:
    # Weak, because compressing on the way changes the bytes but not what they mean.
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"ETag": tag, "Cache-Control": cache}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if content_type.startswith("text/") else None
    return web.Response(body=body, content_type=content_type, charset=charset, headers=headers)


async def asset(request: web.Request) -> web.Response:
    """A script, a style, an image."""
    assets = request.app[SHOP].assets
    name = request.match_info["name"]
    if name not in assets.files:
        return problem(404, "There is no such file.")
    return _with_tag(request, assets.files[name], assets.content_type(name), FOREVER)


async def build_manifest(request: web.Request) -> web.Response:
    """Which scripts the build made."""
    manifest = json.dumps(request.app[SHOP].assets.manifest).encode()
    return _with_tag(request, manifest, "application/json", ASK_AGAIN)


async def service_worker(request: web.Request) -> web.Response:
    """What keeps assets in the browser."""
    file = Path(request.app[SHOP].settings.project) / "web" / "sw.js"
    return _with_tag(request, file.read_bytes(), "text/javascript", ASK_AGAIN)


async def web_manifest(request: web.Request) -> web.Response:
    """What makes the shop an app."""
    names = request.app[SHOP].assets.names
    icons = [
        {"src": f"/assets/{names[f'icon-{size}.png']}", "sizes": f"{size}x{size}", "type": "image/png"}
        for size in (192, 512)
    ]
    manifest = {
        "name": "Storefront",
        "short_name": "Shop",
        "start_url": "/",
        "display": "standalone",
        "background_color": "#f9fafb",
        "theme_color": "#1d4ed8",
        "icons": icons,
    }
    return _with_tag(request, json.dumps(manifest).encode(), "application/manifest+json", ASK_AGAIN)


async def robots(request: web.Request) -> web.Response:
    """What search engines may read."""
    text = f"User-agent: *\nDisallow: /api/\n\nSitemap: {request.app[SHOP].settings.base_url}/sitemap.xml\n"
    return _with_tag(request, text.encode(), "text/plain", ASK_AGAIN)


async def sitemap(request: web.Request) -> web.Response:
    """Every page there is."""
    shop = request.app[SHOP]
    every = await shop.stock.products(Wanted())
    pages = ["/", *(f"/products/{one['id']}" for one in every)]
    rows = "".join(f"<url><loc>{escape(shop.settings.base_url + page)}</loc></url>" for page in pages)
    text = f'<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{rows}</urlset>'
    return _with_tag(request, text.encode(), "application/xml", ASK_AGAIN)


async def openapi(request: web.Request) -> web.Response:
    """The document of the API."""
    file = Path(request.app[SHOP].settings.project) / "openapi.json"
    return _with_tag(request, file.read_bytes(), "application/json", ASK_AGAIN)


async def documentation(request: web.Request) -> web.Response:
    """The API for people."""
    document = json.loads((Path(request.app[SHOP].settings.project) / "openapi.json").read_text())
    rows = "".join(
        f"<li><code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}</li>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    title = "Storefront API"
    text = f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><ul>{rows}</ul></html>'
    return _with_tag(request, text.encode(), "text/html", ASK_AGAIN)


async def version(request: web.Request) -> web.Response:
    """Which release answers."""
    conduct = request.app[SHOP].conduct
    told = {"version": conduct.version, "commit": conduct.commit, "started_at": _STARTED.isoformat()}
    return web.json_response(told, headers={"Cache-Control": "no-store"})


async def health(request: web.Request) -> web.Response:
    """Whether the shop and what it needs are well."""
    parts = await request.app[SHOP].stock.health()
    ok = "down" not in parts.values()
    told = {"status": "ok" if ok else "down", **parts}
    return web.json_response(told, status=200 if ok else 503, headers={"Cache-Control": "no-store"})


async def configured(request: web.Request) -> web.Response:
    """The names of the variables the shop is configured with; never a value."""
    shop: Shop = request.app[SHOP]
    told = {"status": "ok", "names": list(shop.settings.configured)}
    return web.json_response(told, headers={"Cache-Control": "no-store"})
