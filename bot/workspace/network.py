"""What the teams of one Slack share: the apps there are, installed or not, and which team a token belongs to.

Every team is a workspace with people, channels and a page of its own; the Web API is one for all of them and
goes by the token, as Slack's does.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.workspace.ids import new_id
from bot.workspace.manifest import App, Manifest

if TYPE_CHECKING:
    from bot.workspace.parts import Parts

#: How long a code can be exchanged, in seconds (Slack docs: Installing with OAuth).
CODE_SECONDS = 600.0


@dataclass(kw_only=True)
class Code:
    """A person's permission, until the app has exchanged it."""

    app_id: str
    #: The team it is for.
    parts: Parts
    #: Who gave it.
    user: str
    scopes: frozenset[str]
    #: As it was asked with; empty where it was not named.
    redirect_uri: str
    expires: float
    used: bool = False


@dataclass
class Network:
    """The teams and the apps of one Slack."""

    teams: list[Parts] = field(default_factory=list)
    #: As their developers made them: without a bot in any team.
    apps: dict[str, App] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    #: Tokens of apps that were taken away, and what Slack says to them.
    dead: dict[str, str] = field(default_factory=dict)

    def register(self, manifest: Manifest) -> App:
        """Make an app, or give the one of this name its new manifest; ids and secrets stay the same."""
        known = next((app for app in self.apps.values() if app.manifest.name == manifest.name), None)
        if known is not None:
            known.manifest = manifest
            for parts in self.teams:
                installed = parts.base.state.apps.get(known.app_id)
                if installed is not None:
                    installed.manifest = manifest
            return known
        app_id, number = new_id("A"), secrets.randbelow(10**12)
        app = App(
            app_id=app_id,
            bot_id="",
            bot_user_id="",
            bot_token="",
            app_token=f"xapp-1-{app_id}-{number:012d}-{secrets.token_hex(16)}",
            signing_secret=secrets.token_hex(16),
            verification_token=secrets.token_hex(12),
            manifest=manifest,
            client_id=f"{secrets.randbelow(10**12):012d}.{secrets.randbelow(10**12):012d}",
            client_secret=secrets.token_hex(16),
        )
        self.apps[app_id] = app
        return app

    def keep(self, installed: App) -> None:
        """Know an app again that a team has kept over a restart."""
        self.apps.setdefault(installed.app_id, installed.uninstalled())

    def of_client(self, client_id: str) -> App | None:
        """The app with this client id."""
        return next((app for app in self.apps.values() if client_id and app.client_id == client_id), None)

    def team_of(self, token: str) -> Parts | None:
        """The team a bot's token belongs to."""
        for parts in self.teams:
            for app in parts.base.state.apps.values():
                if token and (token == app.bot_token or token in app.expiring):
                    return parts
        return None
