"""Taking an app out of a team: its tokens die, its bot leaves the channels, and it is told."""

from __future__ import annotations

from bot.workspace.manifest import App
from bot.workspace.parts import Parts


def uninstall(parts: Parts, app: App, *, code: str = "account_inactive") -> None:
    """Take the app out of the team; `code` is what its tokens are answered with from now on."""
    base = parts.base
    for token in (app.bot_token, *app.expiring):
        base.network.dead[token] = code
    base.state.uninstall(app)
    base.audience.tell_all({"type": "app_gone", "app_id": app.app_id})
    parts.events.left(app)
