"""A small page to break and mend the example service by hand, and the receiver of its alerts."""

from __future__ import annotations

import html
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bot.example.breaking import Breaker, Dial
from bot.example.programs import LOOPBACK, ExampleTrouble
from bot.example.repository import RELEASES
from bot.example.service import ExampleService

#: Deliveries of alerts that are kept.
_MOST = 200
_MOST_WORKERS = 8
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Break it</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
li {{ display: flex; gap: 1rem; align-items: center; padding: .4rem 0; border-bottom: 1px solid #ddd; }}
li span {{ flex: 1; }} ul {{ padding: 0; list-style: none; }}
button {{ min-width: 6rem; padding: .3rem .8rem; }} .broken b {{ color: #b91c1c; }}
form {{ display: inline; margin: 0; }} input {{ width: 4.5rem; }} small {{ color: #666; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #111; color: #eee; }} a {{ color: #93c5fd; }} .broken b {{ color: #f87171; }}
}}
</style>
<h1>Break it</h1>
<p>The shop is at <a href="{base}">{base}</a>. Break something, run the checks in the workspace, mend it.</p>
<ul>{switches}</ul>
<h2>Release</h2><p>Running: <b>{version}</b> {releases}</p>
<h2>Workers</h2><p>Running: <b>{workers}</b> {scales}</p>
<h2>Left out</h2><ul>{left_out}</ul>
<p><small><a href="/state">State</a> · <a href="/alerts">Alerts received</a> ·
<a href="/findings">Vulnerabilities found</a></small></p>
</html>"""


class ControlPage:
    """The page on a port of its own."""

    def __init__(self, service: ExampleService, breaker: Breaker) -> None:
        self._service = service
        self._breaker = breaker
        self._alerts: deque[Any] = deque(maxlen=_MOST)
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listen. Raises OSError."""
        app = web.Application(middlewares=[_from_here])
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/state", self._state),
                web.post("/break/{name}", self._throw),
                web.post("/mend/{name}", self._mend),
                web.post("/deploy/{version}", self._deploy),
                web.post("/scale/{workers}", self._scale),
                web.get("/findings", self._findings),
                web.get("/alerts", self._received),
                web.post("/alerts", self._receive),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    # ── what people see ──────────────────────────────────────────────────────────────────────────────────

    async def _page(self, _: web.Request) -> web.Response:
        rows = []
        for switch in self._breaker.switches.values():
            word, path = ("Mend", "mend") if switch.broken else ("Break", "break")
            why = switch.problem()
            dials = "" if switch.broken else "".join(_input(dial) for dial in switch.dials)
            button = (
                f"<small>{html.escape(why)}</small>"
                if why
                else _button(f"/{path}/{switch.name}", word, before=dials)
            )
            state = ' class="broken"' if switch.broken else ""
            about = html.escape(switch.about)
            rows.append(f"<li{state}><b>{switch.name}</b><span>{about}</span>{button}</li>")
        left_out = [f"<li><span>{html.escape(line)}.</span></li>" for line in self._service.left_out]
        text = _PAGE.format(
            base=html.escape(self._service.base_url),
            switches="".join(rows),
            version=html.escape(self._service.version),
            releases=" ".join(_button(f"/deploy/{version}", version) for version in RELEASES),
            workers=self._service.workers,
            scales=" ".join(_button(f"/scale/{count}", str(count)) for count in (0, 1, 2, 4)),
            left_out="".join(left_out) or "<li><span>Nothing.</span></li>",
        )
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(self.state())

    def state(self) -> dict[str, Any]:
        """What is broken, what runs."""
        return {
            "version": self._service.version,
            "workers": self._service.workers,
            "base_url": self._service.base_url,
            "left_out": self._service.left_out,
            "switches": {
                name: {
                    "broken": switch.broken,
                    "about": switch.about,
                    "problem": switch.problem(),
                    "amounts": switch.amounts,
                }
                for name, switch in self._breaker.switches.items()
            },
        }

    # ── what people do ───────────────────────────────────────────────────────────────────────────────────

    async def _throw(self, request: web.Request) -> web.Response:
        given = {**request.query, **await request.post()}
        try:
            amounts = {name: float(str(text)) for name, text in given.items()}
        except ValueError:
            return web.json_response({"error": "how much must be a number"}, status=400)
        return await self._do(request, lambda: self._breaker.throw(request.match_info["name"], **amounts))

    async def _mend(self, request: web.Request) -> web.Response:
        return await self._do(request, lambda: self._breaker.mend(request.match_info["name"]))

    async def _deploy(self, request: web.Request) -> web.Response:
        return await self._do(request, lambda: self._service.deploy(request.match_info["version"]))

    async def _scale(self, request: web.Request) -> web.Response:
        text = request.match_info["workers"]
        if not (text.isascii() and text.isdigit() and int(text) <= _MOST_WORKERS):
            return web.json_response({"error": f"say a number from 0 to {_MOST_WORKERS}"}, status=400)
        return await self._do(request, lambda: self._service.scale(int(text)))

    async def _do(self, request: web.Request, act: Callable[[], Awaitable[None]]) -> web.Response:
        try:
            await act()
        except ExampleTrouble as trouble:
            return web.json_response({"error": str(trouble)}, status=409)
        if "text/html" in request.headers.get("Accept", ""):
            raise web.HTTPSeeOther("/")
        return web.json_response(self.state())

    # ── findings and alerts ──────────────────────────────────────────────────────────────────────────────

    async def _findings(self, _: web.Request) -> web.Response:
        """What a scanner of dependencies found."""
        return web.json_response({"findings": [dict(finding) for finding in self._service.findings]})

    async def _receive(self, request: web.Request) -> web.Response:
        """Alertmanager tells of alerts."""
        try:
            self._alerts.append(json.loads(await request.text()))
        except ValueError:
            return web.json_response({"error": "that is no JSON"}, status=400)
        return web.json_response({})

    async def _received(self, _: web.Request) -> web.Response:
        return web.json_response(list(self._alerts))


@web.middleware
async def _from_here(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Nothing from other sites' pages, by whatever name they reach us."""
    host = request.headers.get("Host", "").rpartition(":")[0]
    origin = request.headers.get("Origin")
    if host not in (LOOPBACK, "localhost") or origin not in (None, f"http://{request.headers['Host']}"):
        return web.json_response({"error": "this page is for this machine"}, status=403)
    return await handler(request)


def _button(path: str, word: str, *, before: str = "") -> str:
    button = f"<button>{html.escape(word)}</button>"
    return f'<form method="post" action="{html.escape(path)}">{before}{button}</form>'


def _input(dial: Dial) -> str:
    given = f'name="{dial.name}" value="{dial.usual:g}" max="{dial.most:g}"'
    return f'<label>{dial.name} <input type="number" min="1" {given}> {html.escape(dial.unit)}</label> '
