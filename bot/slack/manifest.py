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
    "files:write": "show a chart in an alert and a report, and hand a report over as a file",
    "groups:history": "find a message again whose posting was interrupted, in private channels",
    "groups:read": "see whether it is in a private channel before it starts there",
    "im:history": "find a direct message again whose posting was interrupted",
    "im:write": "write to the lead when nobody reacts to a reminder or an alert",
    "users:read": "show people's names and local times beside their ticks",
}

USAGE = (
    "start [service] [version] [environment] | check [section] | remind [item] in 2h | status | list | go | "
    "finish | abort REASON | raise WORDS | rollback REASON | drill | report [name] | stats [service] | help"
)


def manifest(*, name: str = "Deploybot", command: str = "/deploy", url: str | None = None) -> dict[str, Any]:
    """The manifest; with `url`, the public https address of the bot, for HTTP delivery, else Socket Mode."""
    endpoint = None if url is None else f"{url.rstrip('/')}/slack/events"
    slash: dict[str, Any] = {
        "command": command,
        "description": "Take the team through a production deployment",
        "usage_hint": USAGE,
        "should_escape": True,
    }
    events: dict[str, Any] = {"bot_events": ["app_mention"]}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if endpoint is not None:
        slash["url"] = endpoint
        events["request_url"] = endpoint
        interactivity["request_url"] = endpoint
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
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": endpoint is None,
            "token_rotation_enabled": False,
        },
    }
