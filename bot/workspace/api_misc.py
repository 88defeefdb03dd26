"""Methods of small families: `auth`, `api`, `apps`, `bots`, `blocks`, `reactions`, `bookmarks`."""

from __future__ import annotations

from typing import Any

from bot.workspace.api_lookup import any_channel
from bot.workspace.block_kit import check_message_blocks, check_view
from bot.workspace.ids import new_id
from bot.workspace.manifest import Manifest, ManifestProblem
from bot.workspace.rate_limits import CONNECTIONS_PER_MINUTE, SPECIAL_PER_MINUTE
from bot.workspace.reactions import add_reaction, remove_reaction
from bot.workspace.web_api import ApiError, Call, method

Json = dict[str, Any]


@method("api.test", token="none", tier=4)
async def api_test(call: Call) -> Json:
    """Echo."""
    if call.text("error"):
        raise ApiError(call.text("error"), args=call.args)
    return {"args": call.args}


@method("auth.test", per_minute=SPECIAL_PER_MINUTE)
async def auth_test(call: Call) -> Json:
    """Whose token this is."""
    state = call.parts.base.state
    return {
        "url": f"{call.parts.base.url}/",
        "team": state.team["name"],
        "user": state.users[call.app.bot_user_id]["name"],
        "team_id": state.team["id"],
        "user_id": call.app.bot_user_id,
        "bot_id": call.app.bot_id,
        "is_enterprise_install": False,
    }


@method("apps.connections.open", token="app", per_minute=CONNECTIONS_PER_MINUTE)
async def connections_open(call: Call) -> Json:
    """A one-use WebSocket address for Socket Mode."""
    if not call.app.manifest.socket_mode:
        raise ApiError("socket_mode_not_enabled")
    return {"url": call.parts.sockets.issue_ticket(call.app)}


@method("apps.manifest.validate", token="none", tier=3)
async def manifest_validate(call: Call) -> Json:
    """Check a manifest."""
    raw = call.value("manifest")
    try:
        Manifest.read(raw if isinstance(raw, dict) else {})
    except ManifestProblem as problem:
        errors = [{"message": message, "pointer": "/"} for message in str(problem).split("; ")]
        raise ApiError("invalid_manifest", errors=errors) from problem
    return {"errors": []}


@method("bots.info", scopes=["users:read"], tier=3)
async def bots_info(call: Call) -> Json:
    """About a bot."""
    wanted = call.text("bot", call.app.bot_id)
    for app in call.parts.base.state.apps.values():
        if app.bot_id == wanted:
            return {
                "bot": {
                    "id": app.bot_id,
                    "deleted": False,
                    "name": app.manifest.bot_name,
                    "app_id": app.app_id,
                    "user_id": app.bot_user_id,
                }
            }
    raise ApiError("bot_not_found")


@method("blocks.validate", token="none", tier=4)
async def blocks_validate(call: Call) -> Json:
    """Check blocks, a message or a view: exactly one of them."""
    given = [name for name in ("blocks", "message", "view") if call.args.get(name) is not None]
    if len(given) != 1:
        raise ApiError("invalid_arguments")
    value = call.value(given[0])
    if given[0] == "view":
        problems = check_view(value, surface=value.get("type", "modal") if isinstance(value, dict) else "")
    else:
        problems = check_message_blocks(value if given[0] == "blocks" else (value or {}).get("blocks", []))
    if problems:
        errors = [{"pointer": p.pointer, "message": p.message} for p in problems]
        raise ApiError("invalid_blocks", errors=errors)
    return {}


def _message(call: Call) -> tuple[Json, str]:
    channel = any_channel(call)
    ts = call.need("timestamp", "no_item_specified")
    if ts not in call.parts.base.state.messages[channel["id"]]:
        raise ApiError("message_not_found")
    return channel, ts


@method("reactions.add", scopes=["reactions:write"], tier=3)
async def reactions_add(call: Call) -> Json:
    """React to a message."""
    channel, ts = _message(call)
    if not add_reaction(call.parts, channel, ts, call.app.bot_user_id, call.need("name", "invalid_name")):
        raise ApiError("already_reacted")
    return {}


@method("reactions.remove", scopes=["reactions:write"], tier=2)
async def reactions_remove(call: Call) -> Json:
    """Take a reaction back."""
    channel, ts = _message(call)
    if not remove_reaction(call.parts, channel, ts, call.app.bot_user_id, call.need("name", "invalid_name")):
        raise ApiError("no_reaction")
    return {}


@method("bookmarks.add", scopes=["bookmarks:write"], tier=2)
async def bookmarks_add(call: Call) -> Json:
    """Add a link to a channel's bar."""
    channel = any_channel(call, "channel_id")
    bookmark = {
        "id": new_id("K"),
        "channel_id": channel["id"],
        "title": call.need("title"),
        "type": call.need("type"),
        "link": call.need("link", "invalid_link"),
    }
    channel["bookmarks"].append(bookmark)
    call.parts.base.state.save_channel(channel)
    return {"bookmark": bookmark}
