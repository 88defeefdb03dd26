"""The app manifest: what Slack is told about the app (Slack docs: app manifest reference)."""

from __future__ import annotations

from typing import Any

#: What each bot scope is for; the manifest asks for all of them and `deploybot doctor` checks them.
SCOPES = {
    "app_mentions:read": "hear @deploybot in a thread",
    "channels:history": "find a message again whose posting was interrupted, in public channels",
    "channels:read": "see whether it is in a public channel before it starts there",
    "chat:write": "post and redraw the card and the checklist",
    "commands": "answer the slash command",
    "files:write": "show a chart in an alert",
    "groups:history": "find a message again whose posting was interrupted, in private channels",
    "groups:read": "see whether it is in a private channel before it starts there",
    "im:history": "find a direct message again whose posting was interrupted",
    "im:write": "write to the lead when nobody reacts to a reminder or an alert",
    "users:read": "show people's names and local times beside their ticks",
}

USAGE = (
    "start [service] [version] [environment] | check [section] | remind [item] in 2h | status | list | go | "
    "finish | abort REASON | raise WORDS | rollback REASON | drill | help"
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
    events: dict[str, Any] = {"bot_events": ["app_mention", *(LEAVING_EVENTS if install_url else ())]}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if endpoint is not None:
        slash["url"] = endpoint
        events["request_url"] = endpoint
        interactivity["request_url"] = endpoint
    oauth: dict[str, Any] = {"scopes": {"bot": list(SCOPES)}}
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
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": name.lower(), "always_online": True},
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
