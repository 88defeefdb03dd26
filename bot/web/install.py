"""The pages by which a workspace installs the bot: `/slack/install`, and where Slack sends people back to.

They are served to anybody: they show nothing but the app's name, and take nothing but Slack's answer to what
this browser began.
"""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from bot.domain.errors import DeploybotError, InstallDenied, InstallRefused
from bot.templates import page

log = logging.getLogger(__name__)

INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"
#: The cookie that ties Slack's answer to the browser; Bolt's own name for it.
COOKIE = "slack-app-oauth-state"

#: Nothing is loaded, nobody frames the page, and no address with a code in it is told to anybody.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Begun(Protocol):
    """An installation that a person may finish."""

    @property
    def url(self) -> str:
        """Where they allow it."""

    @property
    def state(self) -> str:
        """What their browser keeps."""

    @property
    def seconds(self) -> int:
        """For how long."""


class Installed(Protocol):
    """An installation that came about."""

    @property
    def team_name(self) -> str:
        """Where."""

    @property
    def handle(self) -> str:
        """The bot's handle there."""

    @property
    def url(self) -> str:
        """The workspace's address."""

    @property
    def again(self) -> bool:
        """Whether the app was there before."""


class Install(Protocol):
    """Adds the bot to workspaces."""

    async def begin(self) -> Begun:
        """Raises DeploybotError."""

    async def finish(self, *, state: str, cookie: str, code: str, error: str = "") -> Installed:
        """Raises InstallRefused for good reasons, another DeploybotError for trouble."""


@dataclass(frozen=True, kw_only=True)
class InstallPages:
    """What the pages need."""

    install: Install
    #: The slash command, to say how to begin.
    command: str


def routes(pages: InstallPages | None) -> list[web.RouteDef]:
    """Both pages; none where the bot has one workspace only."""
    if pages is None:
        return []

    async def begin(request: web.Request) -> web.Response:
        try:
            begun = await pages.install.begin()
        except DeploybotError as error:
            return _refusal(error)
        answer = _page("install", url=begun.url, command=pages.command)
        answer.set_cookie(
            COOKIE,
            begun.state,
            max_age=begun.seconds,
            path="/",  # a proxy may show the pages under another path
            secure=not _on_this_machine(request),
            httponly=True,
            # Lax, not Strict: it must come along when Slack sends the person back.
            samesite="Lax",
        )
        return answer

    async def finish(request: web.Request) -> web.Response:
        asked = request.query
        try:
            installed = await pages.install.finish(
                state=asked.get("state", ""),
                cookie=request.cookies.get(COOKIE, ""),
                code=asked.get("code", ""),
                error=asked.get("error", ""),
            )
        except DeploybotError as error:
            answer = _refusal(error)
        except Exception:
            # A boundary: the person learns only that it went wrong.
            log.exception("%s", REDIRECT_PATH)
            answer = _page("install_refused", status=500, title="Not installed", said=_TROUBLE)
        else:
            answer = _page("installed", installed=installed, command=pages.command)
        answer.del_cookie(COOKIE, path="/")
        return answer

    return [web.get(INSTALL_PATH, begin), web.get(REDIRECT_PATH, finish)]


_TROUBLE = "Something went wrong here and nothing was added; the bot's log has the cause. Begin again."


def _refusal(error: DeploybotError) -> web.Response:
    status = 503 if error.retryable else 403 if isinstance(error, InstallDenied) else 400
    title = error.title if isinstance(error, InstallRefused) else "Not installed"
    return _page("install_refused", status=status, title=title, said=str(error))


def _page(name: str, *, status: int = 200, **values: object) -> web.Response:
    return web.Response(text=page(name, **values), status=status, content_type="text/html", headers=_HEADERS)


def _on_this_machine(request: web.Request) -> bool:
    """Whether the browser came to a loopback address, where there is no https."""
    host = request.url.host or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
