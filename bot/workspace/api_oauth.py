"""`oauth.v2.access`, `auth.revoke` and `apps.uninstall`: how an app comes into a team, and leaves it.

Source: Slack docs, each method's page, and "Using token rotation".
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from bot.workspace.leaving import uninstall
from bot.workspace.manifest import App
from bot.workspace.network import Network
from bot.workspace.parts import Parts
from bot.workspace.socket_mode import app_for_page
from bot.workspace.web_api import ApiError, Call, method

Json = dict[str, Any]

#: How long a token of an app with rotation is good for, in seconds, and how many are at once.
ROTATED_SECONDS, ROTATED_AT_ONCE = 43_200, 2


@method("oauth.v2.access", token="none", tier=4)
async def access(call: Call) -> Json:
    """Exchange a code, or a refresh token."""
    app = _client(call)
    grant = call.text("grant_type", "authorization_code")
    if grant == "refresh_token":
        return _refresh(call, app)
    if grant != "authorization_code":
        raise ApiError("invalid_grant_type")
    network = call.parts.base.network
    code = network.codes.get(call.need("code", "invalid_code"))
    if code is None or code.app_id != app.app_id:
        raise ApiError("invalid_code")
    if code.used:
        raise ApiError("code_already_used")
    if code.expires <= call.parts.base.clock.now():
        raise ApiError("invalid_code")
    if call.text("redirect_uri") != code.redirect_uri:
        raise ApiError("bad_redirect_uri")
    code.used = True
    state = code.parts.base.state
    installed = state.install(app, join=False)
    installed.removed_scopes = set(app.manifest.scopes - code.scopes)
    answer = _tokens(code.parts, installed)
    await code.parts.base.store.commit()
    connected = call.parts.sockets.open_count(app.app_id) > 0 or not app.manifest.socket_mode
    code.parts.base.audience.tell_all({"type": "app", "app": app_for_page(installed, connected=connected)})
    return {
        **answer,
        "app_id": app.app_id,
        "authed_user": {"id": code.user},
        "team": {"id": state.team["id"], "name": state.team["name"]},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _client(call: Call) -> App:
    app = call.parts.base.network.of_client(call.text("client_id"))
    if app is None:
        raise ApiError("invalid_client_id")
    if not hmac.compare_digest(call.text("client_secret").encode(), app.client_secret.encode()):
        raise ApiError("bad_client_secret")
    return app


def _refresh(call: Call, app: App) -> Json:
    network: Network = call.parts.base.network
    given = call.need("refresh_token", "invalid_refresh_token")
    for parts in network.teams:
        installed = parts.base.state.apps.get(app.app_id)
        if installed is not None and installed.refresh_token == given:
            team = parts.base.state.team
            answer = _tokens(parts, installed)
            return {**answer, "app_id": app.app_id, "team": {"id": team["id"], "name": team["name"]}}
    raise ApiError("invalid_refresh_token")


def _tokens(parts: Parts, app: App) -> Json:
    answer: Json = {
        "access_token": app.bot_token,
        "token_type": "bot",
        "scope": ",".join(sorted(app.scopes)),
        "bot_user_id": app.bot_user_id,
    }
    if app.manifest.rotates_tokens:
        token = f"xoxe.xoxb-1-{secrets.token_urlsafe(48)}"
        app.refresh_token = f"xoxe-1-{secrets.token_urlsafe(48)}"
        kept = dict(list(app.expiring.items())[1 - ROTATED_AT_ONCE :])
        app.expiring = {**kept, token: parts.base.clock.now() + ROTATED_SECONDS}
        answer |= {
            "access_token": token,
            "refresh_token": app.refresh_token,
            "expires_in": ROTATED_SECONDS,
        }
    parts.base.state.save_app(app)
    return answer


@method("auth.revoke", tier=3)
async def revoke(call: Call) -> Json:
    """Give the token up; with the bot's last one the app is gone."""
    if call.flag("test"):
        return {"revoked": False}
    uninstall(call.parts, call.app, code="token_revoked")
    return {"revoked": True}


@method("apps.uninstall", tier=3)
async def apps_uninstall(call: Call) -> Json:
    """Leave the team; the app proves who it is besides its token."""
    if _client(call).app_id != call.app.app_id:
        raise ApiError("client_id_token_mismatch")
    uninstall(call.parts, call.app)
    return {}
