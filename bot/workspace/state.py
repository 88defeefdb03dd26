"""What a workspace holds: team, people, channels, messages, views, as plain JSON values like Slack's own."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from bot.workspace.ids import new_id
from bot.workspace.manifest import App
from bot.workspace.store import Store

Json = dict[str, Any]

#: How many earlier drawings of a message are kept for clicks from stale screens.
MAX_DRAWINGS = 200

_COLORS = ("#9f69e7", "#e7392d", "#4bbe2e", "#3c989f", "#d58247", "#2b6836", "#99a949", "#a63024")
#: Kinds of saved values that are plain dictionaries by id, and the attribute each fills.
_PLAIN = ("users", "channels", "files", "scheduled", "usergroups")
#: Where an app that is installed on the spot is a member.
_JOINED = ("deploys", "general", "release-room")


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What a team starts with. Ids differ between teams, as they do in Slack."""

    name: str
    domain: str
    #: Id, handle, name, time zone, locale; the last one is in no private channel.
    people: tuple[tuple[str, str, str, str, str], ...]
    #: Ids of #deploys, #general, #random and the private #release-room.
    channels: tuple[str, str, str, str]


FIRST_TEAM = Seed(
    name="Local workspace",
    domain="local",
    people=(
        ("UANA0000001", "ana", "Ana Díaz", "Europe/Madrid", "de-DE"),
        ("UBEN0000002", "ben", "Ben Okafor", "Europe/London", "en-GB"),
        ("UCARLA00003", "carla", "Carla Rossi", "Europe/Rome", "en-US"),
    ),
    channels=("C0DEPLOYS01", "C0GENERAL01", "C0RANDOM001", "G0RELEASE01"),
)
SECOND_TEAM = Seed(
    name="Second workspace",
    domain="second",
    people=(
        ("UDORA000011", "dora", "Dora Nagy", "Europe/Budapest", "hu-HU"),
        ("UEMIL000012", "emil", "Emil Berg", "Europe/Stockholm", "sv-SE"),
        ("UFAY0000013", "fay", "Fay Moreau", "Europe/Paris", "fr-FR"),
    ),
    channels=("C1DEPLOYS11", "C1GENERAL11", "C1RANDOM011", "G1RELEASE11"),
)


def new_user(
    user_id: str,
    name: str,
    real_name: str,
    tz: str,
    *,
    color: str,
    is_bot: bool = False,
    app_id: str = "",
    locale: str = "en-US",
) -> Json:
    """A user, as `users.info` shows it."""
    words = real_name.split() or [name]
    user: Json = {
        "id": user_id,
        "name": name,
        "real_name": real_name,
        "display_name": real_name if is_bot else name,
        "tz": tz,
        "locale": locale,
        "is_bot": is_bot,
        "color": color,
        "initials": (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper(),
    }
    if app_id:
        user["app_id"] = app_id
    return user


@dataclass
class State:
    """Everything in the workspace. The `save_*` methods change a value and hand it to the store."""

    store: Store
    #: What an empty store starts with.
    seed_of: Seed = FIRST_TEAM
    team: Json = field(default_factory=dict)
    users: dict[str, Json] = field(default_factory=dict)
    channels: dict[str, Json] = field(default_factory=dict)
    #: Messages by channel and timestamp.
    messages: dict[str, dict[str, Json]] = field(default_factory=dict)
    #: Earlier drawings (whole messages) by channel and timestamp, oldest first.
    drawings: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    #: Ephemeral messages by timestamp; a restart drops them, as a reload does in Slack.
    ephemerals: dict[str, Json] = field(default_factory=dict)
    #: Open modals and published homes by id.
    views: dict[str, Json] = field(default_factory=dict)
    #: Home view ids by app and user.
    homes: dict[tuple[str, str], str] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    #: Newest timestamp read, by "user|channel" (or "user|channel|thread").
    read_marks: dict[str, str] = field(default_factory=dict)
    files: dict[str, Json] = field(default_factory=dict)
    scheduled: dict[str, Json] = field(default_factory=dict)
    usergroups: dict[str, Json] = field(default_factory=dict)

    # Loading

    def load(self) -> None:
        """Fill in what the store has; an empty store gives the seed."""
        self.team = next((value for _, value in self.store.load("team")), {})
        if not self.team:
            self.seed()
            return
        for kind in _PLAIN:
            getattr(self, kind).update(self.store.load(kind))
        for channel in self.channels:
            self.messages.setdefault(channel, {})
        for key, message in self.store.load("message"):
            channel, _, ts = key.partition(":")
            self.messages.setdefault(channel, {})[ts] = message
        for key, drawing in self.store.load("drawing"):
            channel, ts, _ = key.split(":")
            self.drawings.setdefault((channel, ts), []).append(drawing)
        self.read_marks.update(self.store.load("read"))
        for app_id, value in self.store.load("app"):
            self.apps[app_id] = App.from_json(value)

    def seed(self) -> None:
        """The team every workspace starts with."""
        self.team = {"id": new_id("T"), "name": self.seed_of.name, "domain": self.seed_of.domain}
        self.store.put("team", "team", self.team)
        for number, (user_id, name, real_name, tz, locale) in enumerate(self.seed_of.people):
            user = new_user(user_id, name, real_name, tz, color=_COLORS[number], locale=locale)
            self.save_user(user)
        ana, ben, carla = (person[0] for person in self.seed_of.people)
        deploys, general, random, release = self.seed_of.channels
        for channel_id, name, private, members in (
            (deploys, "deploys", False, [ana, ben, carla]),
            (general, "general", False, [ana, ben, carla]),
            (random, "random", False, [ana, ben, carla]),
            (release, "release-room", True, [ana, ben]),
        ):
            self.save_channel(self.new_channel(channel_id, name, private, members, ana))

    @staticmethod
    def new_channel(channel_id: str, name: str, private: bool, members: list[str], creator: str) -> Json:
        """A channel, not yet saved."""
        return {
            "id": channel_id,
            "name": name,
            "is_im": False,
            "is_private": private,
            "is_archived": False,
            "members": list(members),
            "creator": creator,
            "topic": "",
            "pins": [],
            "bookmarks": [],
        }

    # Saving

    def save_user(self, user: Json) -> None:
        """Add or change a user."""
        self.users[user["id"]] = user
        self.store.put("users", user["id"], user)

    def save_channel(self, channel: Json) -> None:
        """Add or change a channel."""
        self.channels[channel["id"]] = channel
        self.messages.setdefault(channel["id"], {})
        self.store.put("channels", channel["id"], channel)

    def save_message(self, channel_id: str, message: Json) -> None:
        """Add or change a message; its earlier drawing is kept."""
        self.messages[channel_id][message["ts"]] = message
        self.store.put("message", f"{channel_id}:{message['ts']}", message)

    def keep_drawing(self, channel_id: str, message: Json) -> None:
        """Keep a message as it was drawn, for clicks from screens that still show it."""
        drawings = self.drawings.setdefault((channel_id, message["ts"]), [])
        if drawings and drawings[-1].get("blocks") == message.get("blocks"):
            return
        number = drawings[-1]["_number"] + 1 if drawings else 0
        drawing = {**json.loads(json.dumps(message)), "_number": number}
        drawings.append(drawing)
        key = f"{channel_id}:{message['ts']}"
        self.store.put("drawing", f"{key}:{number:09d}", drawing)
        if len(drawings) > MAX_DRAWINGS:
            self.store.put("drawing", f"{key}:{drawings.pop(0)['_number']:09d}", None)

    def remove_message(self, channel_id: str, ts: str) -> None:
        """Take a message out, with its drawings."""
        self.messages[channel_id].pop(ts, None)
        self.store.put("message", f"{channel_id}:{ts}", None)
        for drawing in self.drawings.pop((channel_id, ts), []):
            self.store.put("drawing", f"{channel_id}:{ts}:{drawing['_number']:09d}", None)

    def save_app(self, app: App) -> None:
        """Add or change an app."""
        self.apps[app.app_id] = app
        self.store.put("app", app.app_id, app.to_json())

    def mark_read(self, key: str, ts: str) -> None:
        """Move a read mark forward, never back."""
        if ts > self.read_marks.get(key, ""):
            self.read_marks[key] = ts
            self.store.put("read", key, ts)

    def save_plain(self, kind: str, key: str, value: Json | None) -> None:
        """Add, change or (with `None`) remove a file, scheduled message or user group."""
        values: dict[str, Json] = getattr(self, kind)
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
        self.store.put(kind, key, value)

    # Installing

    def install(self, registered: App, *, join: bool = True) -> App:
        """Put an app into the team, or update the one that is there; its bot's id and token stay the same.

        With `join` the bot is a member of the usual channels at once.
        """
        manifest = registered.manifest
        known = self.apps.get(registered.app_id)
        if known is not None:
            known.manifest = manifest
            self.save_app(known)
            user = self.users[known.bot_user_id]
            self.save_user({**user, "real_name": manifest.bot_name, "display_name": manifest.bot_name})
            return known
        before = next((u["id"] for u in self.users.values() if u.get("app_id") == registered.app_id), None)
        app = registered.installed(
            bot_id=new_id("B"),
            bot_user_id=before or new_id("U"),
            bot_token=f"xoxb-{secrets.randbelow(10**12):012d}-{secrets.token_hex(12)}",
        )
        handle = re.sub(r"[^a-z0-9_.-]+", "-", manifest.bot_name.lower()).strip("-") or "app"
        self.save_user(
            new_user(
                app.bot_user_id,
                handle,
                manifest.bot_name,
                "Etc/UTC",
                color=_COLORS[(len(self.users)) % len(_COLORS)],
                is_bot=True,
                app_id=app.app_id,
            )
        )
        self.save_app(app)
        for channel in tuple(self.channels.values()) if join else ():
            if channel["name"] in _JOINED and not channel["is_im"]:
                channel["members"].append(app.bot_user_id)
                self.save_channel(channel)
        for user in tuple(self.users.values()):
            if not user["is_bot"]:
                self.direct(user["id"], app.bot_user_id)
        return app

    def uninstall(self, app: App) -> None:
        """Take an app out of the team: its bot leaves every channel; what it wrote stays."""
        self.apps.pop(app.app_id, None)
        self.store.put("app", app.app_id, None)
        for view_id in [key for key, view in self.views.items() if view["app_id"] == app.app_id]:
            del self.views[view_id]
        for home in [key for key in self.homes if key[0] == app.app_id]:
            del self.homes[home]
        for channel in tuple(self.channels.values()):
            if app.bot_user_id in channel["members"] and not channel["is_im"]:
                channel["members"].remove(app.bot_user_id)
                self.save_channel(channel)

    # Looking things up

    def direct(self, one: str, other: str) -> Json:
        """The direct conversation of two users, opened if need be."""
        for channel in self.channels.values():
            if channel["is_im"] and set(channel["members"]) == {one, other}:
                return channel
        channel = self.new_channel(new_id("D"), "", True, [one, other], one)
        channel["is_im"] = True
        self.save_channel(channel)
        return channel

    def bot_user(self, user_id: str) -> App | None:
        """The app behind a bot user."""
        return next((app for app in self.apps.values() if app.bot_user_id == user_id), None)

    def members(self, channel_id: str) -> list[str]:
        """Who is in a channel."""
        found: list[str] = self.channels[channel_id]["members"]
        return found

    def sees(self, user_id: str, channel_id: str) -> bool:
        """Whether a person can read a channel: members can, and everybody reads public ones."""
        channel = self.channels.get(channel_id)
        return channel is not None and (user_id in channel["members"] or not channel["is_private"])

    def people(self) -> list[str]:
        """Ids of everyone who is not a bot."""
        return [user_id for user_id, user in self.users.items() if not user["is_bot"]]

    def thread(self, channel_id: str, ts: str) -> list[Json]:
        """A root message and its replies, oldest first."""
        messages = self.messages.get(channel_id, {})
        return [m for key, m in sorted(messages.items()) if key == ts or m.get("thread_ts") == ts]

    def newest_stamp(self) -> str:
        """The newest message timestamp there is."""
        return max((ts for messages in self.messages.values() for ts in messages), default="0.000000")

    def next_color(self) -> str:
        """A colour for the next user."""
        return _COLORS[len(self.users) % len(_COLORS)]
