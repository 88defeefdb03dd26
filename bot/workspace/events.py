"""The Events API: which app hears of what, and the shape of what it hears (Slack docs: Events API)."""

from __future__ import annotations

import secrets
from typing import Any

from bot.workspace.base import Base
from bot.workspace.delivery import Delivery
from bot.workspace.ids import new_id
from bot.workspace.manifest import App
from bot.workspace.text import mentioned

Json = dict[str, Any]

#: The scope without which an event is not delivered (Slack docs: the event's own page).
SCOPES = {
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "pin_added": "pins:read",
    "pin_removed": "pins:read",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "channel_created": "channels:read",
    "member_joined_channel": "channels:read",
    "member_left_channel": "channels:read",
    "team_join": "users:read",
}


class Events:
    """Tells every app that subscribed, has the scope and may know."""

    def __init__(self, base: Base, delivery: Delivery) -> None:
        self._base = base
        self._delivery = delivery

    def message(self, channel: Json, message: Json) -> None:
        """A message was posted: `message.*` for subscribers, `app_mention` for apps it names."""
        kind = "im" if channel["is_im"] else "group" if channel["is_private"] else "channel"
        shown = {key: value for key, value in message.items() if key not in ("reply_users", "metadata")}
        event = {
            **shown,
            "type": "message",
            "channel": channel["id"],
            "event_ts": message["ts"],
            "channel_type": kind,
        }
        names = mentioned(self._base.state, message)
        for app in tuple(self._base.state.apps.values()):
            if app.bot_user_id not in channel["members"]:
                continue
            self._tell(app, f"message.{kind if kind == 'im' else kind + 's'}", event)
            if app.bot_user_id in names and not message.get("bot_id") and kind != "im":
                mention = {k: v for k, v in event.items() if k != "channel_type"}
                self._tell(app, "app_mention", {**mention, "type": "app_mention"})

    def changed(self, channel: Json, before: Json, after: Json | None) -> None:
        """A message was edited or (without `after`) deleted: subtypes of the message event."""
        kind = "im" if channel["is_im"] else "group" if channel["is_private"] else "channel"
        event: Json = {
            "type": "message",
            "subtype": "message_changed" if after is not None else "message_deleted",
            "channel": channel["id"],
            "ts": self._base.clock.stamp(),
            "channel_type": kind,
            "hidden": True,
            "previous_message": _without_metadata(before),
        }
        event["event_ts"] = event["ts"]
        if after is None:
            event["deleted_ts"] = before["ts"]
        else:
            event["message"] = _without_metadata(after)
        for app in tuple(self._base.state.apps.values()):
            if app.bot_user_id in channel["members"]:
                self._tell(app, f"message.{kind if kind == 'im' else kind + 's'}", event)

    def joined(self, channel: Json, user: str, inviter: str | None) -> None:
        """Somebody joined a channel."""
        event = {
            "type": "member_joined_channel",
            "user": user,
            "channel": channel["id"],
            "channel_type": "G" if channel["is_private"] else "C",
            "team": self._base.state.team["id"],
            "event_ts": self._base.clock.stamp(),
        }
        if inviter:
            event["inviter"] = inviter
        for app in tuple(self._base.state.apps.values()):
            if app.bot_user_id in channel["members"]:
                self._tell(app, "member_joined_channel", event)

    def everywhere(self, event: Json) -> None:
        """Something the whole team may know: `channel_created`, `team_join`, …"""
        for app in tuple(self._base.state.apps.values()):
            self._tell(app, event["type"], event)

    def to_channel(self, channel: Json, event: Json) -> None:
        """Something the members of a channel may know: reactions, pins."""
        for app in tuple(self._base.state.apps.values()):
            if app.bot_user_id in channel["members"]:
                self._tell(app, event["type"], event)

    def left(self, app: App) -> None:
        """The app was taken out of the team: it hears of its bot's tokens, and of itself."""
        self._tell(app, "tokens_revoked", {"type": "tokens_revoked", "tokens": {"bot": [app.bot_user_id]}})
        self._tell(app, "app_uninstalled", {"type": "app_uninstalled"})

    def home_opened(self, app: App, user: str, channel: str, view: Json | None, tab: str = "home") -> None:
        """A person opened the app's home."""
        event: Json = {
            "type": "app_home_opened",
            "user": user,
            "channel": channel,
            "tab": tab,
            "event_ts": self._base.clock.stamp(),
        }
        if view is not None:
            event["view"] = view
        self._tell(app, "app_home_opened", event)

    def _tell(self, app: App, subscription: str, event: Json) -> None:
        if subscription not in app.manifest.bot_events:
            return
        scope = SCOPES.get(subscription)
        if scope is not None and scope not in app.scopes:
            return
        team = self._base.state.team["id"]
        self._delivery.event(
            app,
            {
                "token": app.verification_token,
                "team_id": team,
                "api_app_id": app.app_id,
                "event": event,
                "type": "event_callback",
                "event_id": new_id("Ev"),
                "event_time": int(self._base.clock.now()),
                "authorizations": [
                    {
                        "enterprise_id": None,
                        "team_id": team,
                        "user_id": app.bot_user_id,
                        "is_bot": True,
                        "is_enterprise_install": False,
                    }
                ],
                "is_ext_shared_channel": False,
                "event_context": f"4-{secrets.token_urlsafe(24)}",
            },
        )


def _without_metadata(message: Json) -> Json:
    return {key: value for key, value in message.items() if key != "metadata"}
