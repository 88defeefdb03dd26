"""What the page calls, acting as a person: `/client/…`. JSON in, JSON out, errors as `{ok: false, error}`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bot.workspace import inviting
from bot.workspace.http import ask_json, fail, succeed
from bot.workspace.ids import new_id
from bot.workspace.interactions import Click, Refused
from bot.workspace.messages import SLACKBOT, Author, for_people
from bot.workspace.parts import Parts
from bot.workspace.reactions import add_reaction, remove_reaction
from bot.workspace.socket_mode import app_for_page
from bot.workspace.submissions import NoSuchView
from bot.workspace.text import compose
from bot.workspace.views import for_apps

Json = dict[str, Any]
Action = Callable[[Json], Awaitable[Json]]

#: A channel's name (Slack docs: conversations.create).
_CHANNEL_NAME = re.compile(r"[a-z0-9_-]{1,80}")
#: Longest message a person can type (Slack docs: truncated above).
_MAX_TYPED = 40_000


class Client:
    """The person's side of the workspace."""

    def __init__(self, parts: Parts, *, can_forward: bool) -> None:
        self._parts = parts
        self._base = parts.base
        self._can_forward = can_forward

    def routes(self) -> list[web.RouteDef]:
        """Everything under `/client` but the WebSocket."""
        reads: dict[str, Action] = {
            "people": self.people,
            "boot": self.boot,
            "history": self.history,
            "thread": self.thread,
        }
        writes: dict[str, Action] = {
            "message": self.message,
            "command": self.command,
            "action": self.action,
            "options": self.options,
            "view_submit": self.view_submit,
            "view_close": self.view_close,
            "shortcut": self.shortcut,
            "read": self.read,
            "home": self.home,
            "dm": self.dm,
            "react": self.react,
            "forward": self.forward,
            "channel": self.channel,
            "invite": self.invite,
        }
        return [
            *(web.get(f"/client/{name}", self._handler(action)) for name, action in reads.items()),
            *(web.post(f"/client/{name}", self._handler(action)) for name, action in writes.items()),
        ]

    def _handler(self, action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            given: Json = dict(request.query) if request.method == "GET" else await ask_json(request)
            try:
                answer = succeed(await action(given))
            except Refused as refused:
                answer = fail(refused.code, str(refused))
            except NoSuchView:
                answer = fail("view_not_found", "This view is not open any more.")
            await self._base.store.commit()
            return answer

        return handle

    # Reading

    async def people(self, given: Json) -> Json:
        """Who a page can act as."""
        return {"people": [one for one in self._base.state.users.values() if not one["is_bot"]]}

    async def boot(self, given: Json) -> Json:
        """Everything a page needs to start."""
        user = self._user(given)
        state = self._base.state
        return {
            "team": state.team,
            "me": state.users[user],
            "users": list(state.users.values()),
            "channels": [self.channel_for(user, c) for c in state.channels.values() if self._listed(user, c)],
            "usergroups": list(state.usergroups.values()),
            "apps": [app_for_page(app, connected=self._connected(app.app_id)) for app in state.apps.values()],
            "commands": [inviting.COMMAND],
            "now": self._base.clock.now(),
            "can_forward": self._can_forward,
        }

    def _connected(self, app_id: str) -> bool:
        app = self._base.state.apps[app_id]
        return not app.manifest.socket_mode or self._parts.sockets.open_count(app_id) > 0

    def _listed(self, user: str, channel: Json) -> bool:
        return self._base.state.sees(user, channel["id"])

    def channel_for(self, user: str, channel: Json) -> Json:
        """A channel as this person's page shows it."""
        state = self._base.state
        unread, mentions = self._parts.messages.unread(user, channel)
        bots = {app.bot_user_id for app in state.apps.values()}
        shown = {
            "id": channel["id"],
            "name": channel["name"],
            "is_im": channel["is_im"],
            "is_private": channel["is_private"],
            "is_member": user in channel["members"],
            "bot_is_member": bool(bots.intersection(channel["members"])),
            "members": channel["members"],
            "bookmarks": channel["bookmarks"],
            "pins": channel["pins"],
            "unread": unread,
            "mentions": mentions,
            "last_read": state.read_marks.get(f"{user}|{channel['id']}", "0.000000"),
            "topic": channel["topic"],
        }
        if channel["is_im"]:
            shown["user"] = next((u for u in channel["members"] if u != user), user)
            shown["name"] = state.users[shown["user"]]["display_name"]
        return shown

    async def history(self, given: Json) -> Json:
        """Messages outside threads, oldest first, with this person's live ephemeral ones."""
        user = self._user(given)
        channel = self._channel(given, user)
        before = str(given.get("before") or "")
        limit = int(given.get("limit") or 100)
        found = [
            for_people(channel["id"], m)
            for ts, m in sorted(self._base.state.messages[channel["id"]].items())
            if (m.get("thread_ts", ts) == ts or m.get("subtype") == "thread_broadcast")
            and (not before or ts < before)
        ]
        shown = found[-limit:]
        if not before:
            shown = sorted([*shown, *self._whispers(user, channel, "")], key=lambda m: str(m["ts"]))
        return {"messages": shown, "has_more": len(found) > limit}

    async def thread(self, given: Json) -> Json:
        """A root message and its replies; reading it moves the thread's read mark."""
        user = self._user(given)
        channel = self._channel(given, user)
        ts = str(given.get("ts") or "")
        named = self._message(channel, ts)
        root = named.get("thread_ts", ts)
        thread = self._base.state.thread(channel["id"], root)
        self._base.state.mark_read(f"{user}|{channel['id']}|{root}", thread[-1]["ts"])
        self._parts.messages.tell_unread(user, channel)
        shown = [for_people(channel["id"], m) for m in thread]
        whispers = self._whispers(user, channel, root)
        return {"messages": [*shown[:1], *sorted([*shown[1:], *whispers], key=lambda m: str(m["ts"]))]}

    def _whispers(self, user: str, channel: Json, thread: str) -> list[Json]:
        return [
            m
            for m in self._base.state.ephemerals.values()
            if m["ephemeral_to"] == user
            and m["channel"] == channel["id"]
            and m.get("thread_ts", "") == thread
        ]

    # Writing

    async def message(self, given: Json) -> Json:
        """Type a message."""
        user = self._user(given)
        channel = self._channel(given, user, member=True)
        text = str(given.get("text") or "")
        if not text.strip():
            raise Refused("no_text", "There is nothing to send.")
        if len(text) > _MAX_TYPED:
            raise Refused("msg_too_long", "Your message is too long.")
        thread = str(given.get("thread_ts") or "")
        if thread:
            root = self._message(channel, thread)
            thread = root.get("thread_ts", thread)
        for app in self._base.state.apps.values():
            if channel["is_im"] and app.bot_user_id in channel["members"] and not app.manifest.messages_tab:
                raise Refused("messages_tab_disabled", "Sending messages to this app has been turned off.")
        written = compose(self._base.state, text)
        message = self._parts.messages.post(channel, Author.person(user), written, thread_ts=thread)
        self._base.state.mark_read(f"{user}|{channel['id']}", message["ts"])
        return {"ts": message["ts"]}

    async def command(self, given: Json) -> Json:
        """Type a slash command."""
        user = self._user(given)
        channel = self._channel(given, user)
        text, thread = str(given.get("text") or ""), str(given.get("thread_ts") or "")
        name, _, said = text.strip().partition(" ")
        if name == inviting.NAME and not thread:
            self._typed_invite(user, channel, said)
        else:
            await self._parts.interactions.command(user, channel, text, thread)
        return {}

    def _typed_invite(self, user: str, channel: Json, said: str) -> None:
        """`/invite` as it was typed; what came of it is for this person alone."""
        state = self._base.state
        wanted = inviting.read(state, said)
        if channel["is_im"]:
            code, note = "not_in_direct", f"{inviting.NAME} can't be used in a direct conversation."
        elif user not in channel["members"]:
            code, note = "not_in_channel", "Join the channel first."
        else:
            members = [*channel["members"], SLACKBOT]
            added = [one for one in wanted.members if one not in members]
            there = [one for one in wanted.members if one in members]
            for one in added:
                self._add(channel, one, user)
            note = inviting.told(state, added=added, there=there, unknown=wanted.unknown)
            code = "" if wanted.members else "user_not_found"
        self._parts.messages.slackbot(channel, user, note)
        if code:
            raise Refused(code, note)

    def _click(self, given: Json) -> Click:
        container = given.get("container")
        if not isinstance(container, dict):
            raise Refused("invalid_arguments", "`container` must name a message or a view.")
        return Click(
            user=self._user(given),
            container=container,
            block_id=str(given.get("block_id") or ""),
            action_id=str(given.get("action_id") or ""),
            value=given.get("value") or {},
            state=given.get("state") or {},
        )

    async def action(self, given: Json) -> Json:
        """Use an interactive element."""
        await self._parts.interactions.action(self._click(given))
        return {}

    async def options(self, given: Json) -> Json:
        """Look up an external select's options."""
        found = await self._parts.interactions.suggest(self._click(given), str(given.get("query") or ""))
        return {"options": found}

    async def view_submit(self, given: Json) -> Json:
        """Submit a modal."""
        user = self._user(given)
        offered = self._parts.interactions.offered(user)
        result = await self._parts.interactions.submit(
            user, str(given.get("view_id")), given.get("state") or {}, offered
        )
        if not result:
            return {}
        code = "view_errors" if "errors" in result else "view_failed"
        return {"message": "Please correct the marked fields.", **result, "ok": False, "error": code}

    async def view_close(self, given: Json) -> Json:
        """Close a modal without submitting."""
        cleared = bool(given.get("all"))
        await self._parts.interactions.close(self._user(given), str(given.get("view_id")), cleared=cleared)
        return {}

    async def shortcut(self, given: Json) -> Json:
        """Choose a shortcut."""
        await self._parts.interactions.shortcut(
            self._user(given),
            str(given.get("callback_id")),
            str(given.get("channel") or ""),
            str(given.get("ts") or ""),
        )
        return {}

    async def read(self, given: Json) -> Json:
        """Everything up to a message has been read, in a channel or in one of its threads."""
        user = self._user(given)
        channel = self._channel(given, user)
        place = [user, channel["id"], *filter(None, [str(given.get("thread_ts") or "")])]
        self._base.state.mark_read("|".join(place), str(given.get("ts") or ""))
        self._parts.messages.tell_unread(user, channel)
        unread, mentions = self._parts.messages.unread(user, channel)
        return {"unread": unread, "mentions": mentions}

    async def home(self, given: Json) -> Json:
        """Open an app's home."""
        user = self._user(given)
        app = self._base.state.bot_user(str(given.get("bot_user_id") or ""))
        if app is None or not app.manifest.home_tab:
            raise Refused("no_home", "This app has no home.")
        view = self._parts.views.home(app, user)
        shown = for_apps(view) if view is not None else None
        channel = self._base.state.direct(user, app.bot_user_id)
        self._parts.events.home_opened(app, user, channel["id"], shown)
        return {"view": shown} if shown else {}

    async def dm(self, given: Json) -> Json:
        """Open a direct conversation."""
        user = self._user(given)
        other = str(given.get("other") or "")
        if other not in self._base.state.users:
            raise Refused("user_not_found", "There is no such person.")
        channel = self._base.state.direct(user, other)
        self._tell_channel(channel)
        return {"channel": self.channel_for(user, channel)}

    async def react(self, given: Json) -> Json:
        """Add a reaction, or take it back."""
        user = self._user(given)
        channel = self._channel(given, user)
        ts, name = str(given.get("ts") or ""), str(given.get("name") or "")
        self._message(channel, ts)
        if not add_reaction(self._parts, channel, ts, user, name):
            remove_reaction(self._parts, channel, ts, user, name)
        return {}

    async def forward(self, given: Json) -> Json:
        """Move the clock forward."""
        try:
            seconds = float(given.get("seconds") or 0)
        except (TypeError, ValueError):
            seconds = -1.0
        if seconds < 0:
            raise Refused("invalid_arguments", "The clock only moves forward.")
        return {"now": await self._parts.forward(seconds)}

    async def channel(self, given: Json) -> Json:
        """Create a channel."""
        user = self._user(given)
        name = str(given.get("name") or "")
        state = self._base.state
        if not _CHANNEL_NAME.fullmatch(name):
            raise Refused("invalid_name", "Names are lowercase letters, digits, - and _, at most 80.")
        if any(c["name"] == name for c in state.channels.values()):
            raise Refused("name_taken", "There is a channel of this name.")
        private = bool(given.get("private"))
        channel = state.new_channel(new_id("G" if private else "C"), name, private, [user], user)
        state.save_channel(channel)
        self._tell_channel(channel)
        if not private:
            created = {
                "id": channel["id"],
                "name": name,
                "created": int(self._base.clock.now()),
                "creator": user,
            }
            event_ts = self._base.clock.stamp()
            self._parts.events.everywhere(
                {"type": "channel_created", "channel": created, "event_ts": event_ts}
            )
        return {"channel": self.channel_for(user, channel)}

    async def invite(self, given: Json) -> Json:
        """Add somebody, or an app, to a channel; `member` may be oneself to join a public one."""
        user = self._user(given)
        channel = self._channel(given, user)
        member = str(given.get("member") or "")
        if member not in self._base.state.users:
            raise Refused("user_not_found", "There is no such person.")
        if member != user and user not in channel["members"]:
            raise Refused("not_in_channel", "Join the channel first.")
        if member not in channel["members"]:
            self._add(channel, member, user)
        return {"channel": self.channel_for(user, channel)}

    def _add(self, channel: Json, member: str, by: str) -> None:
        channel["members"].append(member)
        self._base.state.save_channel(channel)
        self._parts.events.joined(channel, member, by if member != by else None)
        self._tell_channel(channel)

    def _tell_channel(self, channel: Json) -> None:
        for user in self._base.audience.users():
            if self._listed(user, channel):
                frame = {"type": "channel", "channel": self.channel_for(user, channel)}
                self._base.audience.tell([user], frame)

    # What a request names

    def _user(self, given: Json) -> str:
        """The person's id, by id or by handle, e.g. `ben`."""
        user = str(given.get("user") or "")
        users = self._base.state.users
        handle = user.removeprefix("@").casefold()
        known = users.get(user) or next((one for one in users.values() if one["name"] == handle), None)
        if known is None or known["is_bot"]:
            raise Refused("user_not_found", "There is no such person.")
        return str(known["id"])

    def _channel(self, given: Json, user: str, *, member: bool = False) -> Json:
        channel_id = str(given.get("channel") or "")
        if not self._base.state.sees(user, channel_id):
            raise Refused("channel_not_found", "There is no such channel.")
        channel = self._base.state.channels[channel_id]
        if member and user not in channel["members"]:
            raise Refused("not_in_channel", "Join the channel first.")
        if member and channel["is_archived"]:
            raise Refused("is_archived", "This channel is archived.")
        return channel

    def _message(self, channel: Json, ts: str) -> Json:
        message = self._base.state.messages[channel["id"]].get(ts)
        if message is None:
            raise Refused("message_not_found", "This message is not there any more.")
        return message
