"""The `users.*` and `usergroups.*` methods."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.workspace.api_lookup import page
from bot.workspace.web_api import ApiError, Call, method

Json = dict[str, Any]


def for_apps(call: Call, user: Json) -> Json:
    """A user as apps see it."""
    offset = datetime.fromtimestamp(time.time(), ZoneInfo(user["tz"])).utcoffset()
    return {
        "id": user["id"],
        "team_id": call.parts.base.state.team["id"],
        "name": user["name"],
        "deleted": False,
        "color": user["color"].removeprefix("#"),
        "real_name": user["real_name"],
        "tz": user["tz"],
        "tz_label": user["tz"],
        "tz_offset": int(offset.total_seconds()) if offset else 0,
        "profile": _profile(user),
        "is_admin": False,
        "is_owner": False,
        "is_bot": user["is_bot"],
        "is_app_user": False,
        "updated": 0,
    }


def _profile(user: Json) -> Json:
    return {
        "real_name": user["real_name"],
        "real_name_normalized": user["real_name"],
        "display_name": user["display_name"],
        "display_name_normalized": user["display_name"],
    }


def _user(call: Call, name: str) -> Json:
    user = call.parts.base.state.users.get(call.need(name, "user_not_found"))
    if user is None:
        raise ApiError("user_not_found")
    return user


@method("users.info", scopes=["users:read"], tier=4)
async def info(call: Call) -> Json:
    """About one user; with the locale only where it is asked for."""
    user = _user(call, "user")
    locale = {"locale": user.get("locale", "en-US")} if call.flag("include_locale") else {}
    return {"user": {**for_apps(call, user), **locale}}


@method("users.list", scopes=["users:read"], tier=2)
async def list_users(call: Call) -> Json:
    """Every user."""
    shown, cursor = page(call, list(call.parts.base.state.users.values()), 1000, 1000)
    return {
        "members": [for_apps(call, u) for u in shown],
        "cache_ts": int(call.parts.base.clock.now()),
        "response_metadata": {"next_cursor": cursor},
    }


@method("users.profile.get", scopes=["users.profile:read"], tier=4)
async def profile(call: Call) -> Json:
    """A user's profile."""
    return {"profile": _profile(_user(call, "user"))}


@method("usergroups.list", scopes=["usergroups:read"], tier=2)
async def usergroups(call: Call) -> Json:
    """Every user group."""
    shown: list[Json] = []
    for group in call.parts.base.state.usergroups.values():
        entry = {k: v for k, v in group.items() if k != "users"}
        entry["user_count"] = len(group["users"])
        if call.flag("include_users"):
            entry["users"] = group["users"]
        shown.append(entry)
    return {"usergroups": shown}


@method("usergroups.users.list", scopes=["usergroups:read"], tier=2)
async def usergroup_users(call: Call) -> Json:
    """Who is in a user group."""
    group = call.parts.base.state.usergroups.get(call.need("usergroup", "no_such_subteam"))
    if group is None:
        raise ApiError("no_such_subteam")
    return {"users": group["users"]}
