"""The app manifest: what Slack is told about the app (Slack docs: app manifest reference)."""

from __future__ import annotations

from typing import Any

from bot.slack.ids import Shortcut

#: What each bot scope is for; the manifest asks for all of them and `deploybot doctor` checks them.
SCOPES = {
    "app_mentions:read": "hear @deploybot in a thread",
    "channels:history": "find a message again whose posting was interrupted, in public channels",
    "channels:read": "see whether it is in a public channel before it starts there",
    "chat:write": "post and redraw the card and the checklist",
    "commands": "answer the slash command",
    "files:write": "show a chart in an alert and a report, and hand a report over as a file",
    "groups:history": "find a message again whose posting was interrupted, in private channels",
    "groups:read": "see whether it is in a private channel before it starts there",
    "im:history": "find a direct message again whose posting was interrupted",
    "im:write": "write to the lead when nobody reacts, and to whose turn it is",
    "usergroups:read": "know who may approve, where a checklist says so",
    "users:read": "show people's names and local times beside their ticks",
}

#: What it can do without, and what is missing then.
OPTIONAL_SCOPES = {"pins:write": "pin the card in its channel while the deployment runs"}

#: What stands in Slack's menus: names have at most 24 characters (Slack docs: app manifest reference).
SHORTCUTS = (
    {
        "name": "Start a deployment",
        "type": "global",
        "callback_id": Shortcut.START.value,
        "description": "Open the form for a new deployment",
    },
    {
        "name": "Add as deployment note",
        "type": "message",
        "callback_id": Shortcut.NOTE.value,
        "description": "Keep this message as a note at an item of an open deployment",
    },
    {
        "name": "Raise a rollback trigger",
        "type": "message",
        "callback_id": Shortcut.RAISE.value,
        "description": "Say that something is wrong with a deployment, with this message as evidence",
    },
)

USAGE = (
    "start [service] [version] [environment] | check [section] | remind [item] in 2h | status | list | "
    "mine | open | go | no-go REASON | waive ITEM because REASON | assign ITEM @somebody | "
    "lock SERVICE REASON | unlock SERVICE | locks | queue | lead @name | finish | abort REASON | "
    "raise WORDS | rollback REASON | drill | report [name] | stats [service] | help"
)


#: What an app for several workspaces hears when one of them takes it away.
LEAVING_EVENTS = ("app_uninstalled", "tokens_revoked")


def manifest(
    *,
    name: str = "Deploybot",
    command: str = "/deploy",
    url: str | None = None,
    install_url: str | None = None,
    rotate_tokens: bool = False,
) -> dict[str, Any]:
    """The manifest; with `url`, the public https address of the bot, for HTTP delivery, else Socket Mode.

    With `install_url`, the public address where workspaces install it, for several workspaces;
    `rotate_tokens` makes their tokens expire, which can't be undone.
    """
    endpoint = None if url is None else f"{url.rstrip('/')}/slack/events"
    slash: dict[str, Any] = {
        "command": command,
        "description": "Take the team through a production deployment",
        "usage_hint": USAGE,
        "should_escape": True,
    }
    heard = ["app_home_opened", "app_mention", *(LEAVING_EVENTS if install_url else ())]
    events: dict[str, Any] = {"bot_events": heard}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if endpoint is not None:
        slash["url"] = endpoint
        events["request_url"] = endpoint
        interactivity["request_url"] = endpoint
    # An optional scope is one of the app's that may be refused (Slack docs: optional scopes).
    scopes = {"bot": [*SCOPES, *OPTIONAL_SCOPES], "bot_optional": list(OPTIONAL_SCOPES)}
    oauth: dict[str, Any] = {"scopes": scopes}
    if install_url is not None:
        oauth["redirect_urls"] = [f"{install_url.rstrip('/')}/slack/oauth_redirect"]
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": name,
            "description": "Takes a team through a production deployment, checkbox by checkbox.",
            "background_color": "#1f3a5f",
        },
        "features": {
            # Without the Messages tab an app cannot write to people (Slack docs: messages_tab_disabled).
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": name.lower(), "always_online": True},
            "shortcuts": [dict(shortcut) for shortcut in SHORTCUTS],
            "slash_commands": [slash],
        },
        "oauth_config": oauth,
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": endpoint is None,
            "token_rotation_enabled": rotate_tokens,
        },
    }
