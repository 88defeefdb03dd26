"""`/oauth/v2/authorize`: where a person allows an app to be installed, and what follows.

Source: Slack docs, "Installing with OAuth". Stricter than Slack: an app may ask only for bot scopes of
its manifest, and comes into no channel by being installed.
"""

from __future__ import annotations

import secrets
from html import escape
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from bot.workspace.manifest import App
from bot.workspace.network import CODE_SECONDS, Code
from bot.workspace.parts import Parts

AUTHORIZE_PATH = "/oauth/v2/authorize"
#: Under `/client`, so that no other site can decide for a person.
DECIDE_PATH = "/client/authorize"
#: No `form-action`: the browser holds it against the redirect that answers the form, too.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    # Not "no-referrer": the browser would hide from us that the form is our own.
    "Referrer-Policy": "same-origin",
}


class _Wrong(Exception):
    """A request that Slack shows an error page for, without going back to the app."""


class Authorizing:
    """The page, and the person's decision."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._network = parts.base.network

    def routes(self) -> list[web.RouteDef]:
        """Both steps."""
        return [web.get(AUTHORIZE_PATH, self.ask), web.post(DECIDE_PATH, self.decide)]

    async def ask(self, request: web.Request) -> web.Response:
        """The page that says what the app may do, and asks."""
        asked = dict(request.query)
        try:
            app, scopes = self._checked(asked)
        except _Wrong as wrong:
            return _error(str(wrong))
        people = [
            (f"{parts.base.state.team['id']} {user}", _person(parts, user))
            for parts in self._network.teams
            if asked.get("team", "") in ("", parts.base.state.team["id"])
            for user in parts.base.state.people()
        ]
        return _html(_question(app, sorted(scopes), people, asked))

    async def decide(self, request: web.Request) -> web.Response:
        """Back to the app: with a code, or with the person's no."""
        given = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
        try:
            app, scopes = self._checked(given)
            parts, user = self._who(given.get("who", ""))
        except _Wrong as wrong:
            return _error(str(wrong))
        target = given.get("redirect_uri") or app.manifest.redirect_urls[0]
        back = {"state": given.get("state", "")}
        if given.get("decision") != "allow":
            back = {"error": "access_denied", **back}
        else:
            code = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(32)}"
            self._network.codes[code] = Code(
                app_id=app.app_id,
                parts=parts,
                user=user,
                scopes=scopes,
                redirect_uri=given.get("redirect_uri", ""),
                expires=self._parts.base.clock.now() + CODE_SECONDS,
            )
            back = {"code": code, **back}
        mark = "&" if urlsplit(target).query else "?"
        return web.Response(status=302, headers={"Location": f"{target}{mark}{urlencode(back)}", **_HEADERS})

    def _checked(self, asked: dict[str, str]) -> tuple[App, frozenset[str]]:
        app = self._network.of_client(asked.get("client_id", ""))
        if app is None:
            raise _Wrong("Invalid client_id parameter")
        allowed = app.manifest.redirect_urls
        if not allowed:
            raise _Wrong("invalid_team_for_non_distributed_app: the app has no redirect URL")
        target = asked.get("redirect_uri", "")
        if target and not any(_covers(url, target) for url in allowed):
            raise _Wrong("redirect_uri did not match any configured URIs")
        scopes = frozenset(filter(None, asked.get("scope", "").split(",")))
        if not scopes or not scopes <= app.manifest.scopes:
            more = ", ".join(sorted(scopes - app.manifest.scopes)) or "none was asked for"
            raise _Wrong(f"invalid_scope: {more}")
        return app, scopes

    def _who(self, who: str) -> tuple[Parts, str]:
        team, _, user = who.partition(" ")
        for parts in self._network.teams:
            if parts.base.state.team["id"] == team and user in parts.base.state.people():
                return parts, user
        raise _Wrong("not_logged_in: choose who you are")


def _covers(configured: str, target: str) -> bool:
    """Whether an address is the configured one, or under it (Slack docs: redirect URLs)."""
    one, other = urlsplit(configured), urlsplit(target)
    same = (one.scheme, one.netloc) == (other.scheme, other.netloc)
    base = one.path.rstrip("/")
    return same and ".." not in other.path and (other.path == one.path or other.path.startswith(f"{base}/"))


def _person(parts: Parts, user: str) -> str:
    state = parts.base.state
    return f"{state.users[user]['real_name']} in {state.team['name']}"


def _question(app: App, scopes: list[str], people: list[tuple[str, str]], asked: dict[str, str]) -> str:
    kept = "".join(
        f'<input type="hidden" name="{name}" value="{escape(asked.get(name, ""))}">'
        for name in ("client_id", "scope", "state", "redirect_uri")
    )
    options = "".join(f'<option value="{escape(value)}">{escape(said)}</option>' for value, said in people)
    listed = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)
    name = escape(app.manifest.name)
    return (
        f"<h1>{name} is requesting permission to access your workspace</h1>"
        f'<form method="post" action="{DECIDE_PATH}">{kept}'
        f'<p><label>You are <select name="who">{options}</select></label></p>'
        f"<p>What will {name} be able to do?</p><ul>{listed}</ul>"
        '<p><button name="decision" value="allow">Allow</button> '
        '<button name="decision" value="deny">Cancel</button></p></form>'
    )


def _error(said: str) -> web.Response:
    return _html(f"<h1>Oh no!</h1><p>Something went wrong when authorizing this app: {escape(said)}</p>", 400)


def _html(body: str, status: int = 200) -> web.Response:
    style = "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}"
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Authorize</title>'
        f"<style>{style}</style></head><body><main>{body}</main></body></html>"
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)
