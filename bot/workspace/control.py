"""`/control/…`: what tests and the page's inspector look at and switch on."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from bot.workspace.faults import IMMEDIATE, UnknownFault
from bot.workspace.http import ask_json, fail, succeed
from bot.workspace.ids import new_id
from bot.workspace.leaving import uninstall
from bot.workspace.parts import Parts
from bot.workspace.state import new_user
from bot.workspace.traffic import redact
from bot.workspace.views import for_apps

Json = dict[str, Any]


class Control:
    """The controls."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._base = parts.base

    def routes(self) -> list[web.RouteDef]:
        """Everything under `/control`."""
        return [
            web.get("/control/healthz", self.healthz),
            web.get("/control/traffic", self.traffic),
            web.get("/control/state", self.state),
            web.get("/control/messages", self.messages),
            web.get("/control/faults", self.faults),
            web.post("/control/faults", self.add_fault),
            web.delete("/control/faults", self.remove_faults),
            web.post("/control/users", self.add_user),
            web.post("/control/usergroups", self.add_usergroup),
            web.post("/control/channels", self.add_channel),
            web.post("/control/deliver", self.deliver),
            web.post("/control/tokens", self.tokens),
            web.post("/control/scopes", self.scopes),
            web.post("/control/limits", self.limits),
            web.post("/control/uninstall", self.uninstall),
            web.post("/control/reset", self.reset),
        ]

    async def healthz(self, request: web.Request) -> web.Response:
        """Alive."""
        return succeed({"connections": sum(self._parts.sockets.counts().values())})

    async def traffic(self, request: web.Request) -> web.Response:
        """Entries of the traffic log."""
        entries = self._base.traffic.entries(
            since=int(request.query.get("since", 0)),
            name=request.query.get("name", ""),
            limit=int(request.query.get("limit", 2_000)),
        )
        return succeed({"entries": entries})

    async def state(self, request: web.Request) -> web.Response:
        """Everything there is, without secrets."""
        state = self._base.state
        apps = [
            {
                "app_id": app.app_id,
                "bot_id": app.bot_id,
                "bot_user_id": app.bot_user_id,
                "name": app.manifest.name,
                "scopes": sorted(app.scopes),
                "connections": self._parts.sockets.open_count(app.app_id),
            }
            for app in state.apps.values()
        ]
        return succeed(
            {
                "now": self._base.clock.now(),
                "team": state.team,
                "users": list(state.users.values()),
                "channels": list(state.channels.values()),
                "messages": {
                    key: [m for _, m in sorted(found.items())] for key, found in state.messages.items()
                },
                "ephemerals": list(state.ephemerals.values()),
                "views": [{**for_apps(v), "user": v["_user"]} for v in state.views.values()],
                "scheduled": list(state.scheduled.values()),
                "apps": apps,
                "limits": self._base.limits.counters(),
                "faults": self._base.faults.listing(),
            }
        )

    async def messages(self, request: web.Request) -> web.Response:
        """Raw messages of a channel or thread, metadata included."""
        channel = request.query.get("channel", "")
        thread = request.query.get("thread_ts", "")
        if channel not in self._base.state.channels:
            return fail("channel_not_found", "There is no such channel.")
        found = (
            self._base.state.thread(channel, thread)
            if thread
            else [m for _, m in sorted(self._base.state.messages[channel].items())]
        )
        return succeed({"messages": found})

    # Faults

    async def faults(self, request: web.Request) -> web.Response:
        """What is switched on."""
        return succeed({"faults": self._base.faults.listing()})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Switch a fault on; socket faults strike the open connections at once."""
        try:
            fault = self._base.faults.add(await ask_json(request))
        except (UnknownFault, ValueError) as error:
            return fail("unknown_fault", str(error))
        if fault.get("kind") == "socket" and fault.get("mode") in IMMEDIATE:
            await self._parts.sockets.trouble(fault)
        elif fault.get("kind") == "socket" and fault.get("seconds"):
            fault.left = -1
            self._base.tasks.spawn(self._lift(fault.id, float(fault.get("seconds"))))
        return succeed({"id": fault.id})

    async def _lift(self, fault_id: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._base.faults.remove(fault_id)

    async def remove_faults(self, request: web.Request) -> web.Response:
        """Switch one fault off, or all."""
        fault_id = request.query.get("id")
        self._base.faults.remove(int(fault_id) if fault_id else None)
        if not fault_id:
            self._parts.sockets.hear_again()
        return succeed({})

    # People and places

    async def add_user(self, request: web.Request) -> web.Response:
        """Add a person."""
        given = await ask_json(request)
        state = self._base.state
        name = str(given.get("name") or "")
        if not name or any(u["name"] == name for u in state.users.values()):
            return fail("name_taken", "A new person needs a name nobody has.")
        user = new_user(
            str(given.get("id") or new_id("U")),
            name,
            str(given.get("real_name") or name.title()),
            str(given.get("tz") or "Etc/UTC"),
            color=state.next_color(),
            locale=str(given.get("locale") or "en-US"),
        )
        state.save_user(user)
        for app in state.apps.values():
            state.direct(user["id"], app.bot_user_id)
        general = next((c for c in state.channels.values() if c["name"] == "general"), None)
        if general is not None:
            general["members"].append(user["id"])
            state.save_channel(general)
        await self._base.store.commit()
        return succeed({"user": user})

    async def add_usergroup(self, request: web.Request) -> web.Response:
        """Add or change a user group."""
        given = await ask_json(request)
        handle = str(given.get("handle") or given.get("name") or "")
        group_id = str(given.get("id") or new_id("S"))
        group = {
            "id": group_id,
            "team_id": self._base.state.team["id"],
            "is_usergroup": True,
            "name": str(given.get("name") or handle),
            "handle": handle,
            "description": "",
            "date_delete": 0,
            "users": list(given.get("users") or []),
        }
        self._base.state.save_plain("usergroups", group_id, group)
        await self._base.store.commit()
        return succeed({"usergroup": group})

    async def add_channel(self, request: web.Request) -> web.Response:
        """Add a channel, or change one given by `id`: `members`, `bot`, `archived`."""
        given = await ask_json(request)
        state = self._base.state
        members = [str(m) for m in given.get("members") or []]
        if any(m not in state.users for m in members):
            return fail("user_not_found", "A member is unknown.")
        bots = [app.bot_user_id for app in state.apps.values()]
        channel = state.channels.get(str(given.get("id") or ""))
        if channel is None:
            private = bool(given.get("private"))
            creator = members[0] if members else ""
            channel_id = str(given.get("id") or new_id("G" if private else "C"))
            channel = state.new_channel(channel_id, str(given.get("name") or ""), private, members, creator)
        elif "members" in given:
            channel["members"] = members + [b for b in bots if b in channel["members"]]
        if "bot" in given:
            people = [m for m in channel["members"] if m not in bots]
            channel["members"] = people + (bots if given["bot"] else [])
        if "archived" in given:
            channel["is_archived"] = bool(given["archived"])
        if "topic" in given:
            channel["topic"] = str(given["topic"])
        state.save_channel(channel)
        await self._base.store.commit()
        return succeed({"channel": channel})

    # Trouble with apps

    async def deliver(self, request: web.Request) -> web.Response:
        """Deliver a recorded envelope once more."""
        given = await ask_json(request)
        original = self._base.traffic.original(int(given.get("seq") or 0))
        if original is None:
            return fail("not_found", "No envelope was recorded under this number.")
        outcome = await self._parts.delivery.deliver_again(original)
        if outcome is None:
            return fail("not_found", "Its app is not installed any more.")
        return succeed({"status": outcome.status, "body": redact(outcome.body)})

    async def tokens(self, request: web.Request) -> web.Response:
        """Revoke a token, or restore one (`restore: true` restores all)."""
        given = await ask_json(request)
        revoke, restore = given.get("revoke"), given.get("restore")
        for app in self._base.state.apps.values():
            if revoke in (app.bot_token, app.app_token):
                app.revoked.add(str(revoke))
            if restore is True:
                app.revoked.clear()
            elif restore:
                app.revoked.discard(str(restore))
        return succeed({})

    async def uninstall(self, request: web.Request) -> web.Response:
        """Take an app out of the team, as an admin would; `app` is its name, any one without."""
        wanted = str((await ask_json(request)).get("app") or "")
        for app in tuple(self._base.state.apps.values()):
            if wanted in ("", app.manifest.name):
                uninstall(self._parts, app)
                await self._base.store.commit()
                return succeed({"app_id": app.app_id})
        return fail("app_not_installed", "No app of this name is in the team.")

    async def scopes(self, request: web.Request) -> web.Response:
        """Take scopes from every bot token; the list replaces the one before."""
        given = await ask_json(request)
        for app in self._base.state.apps.values():
            app.removed_scopes = {str(scope) for scope in given.get("remove") or []}
        return succeed({})

    async def limits(self, request: web.Request) -> web.Response:
        """Switch rate limits on or off, shrink their windows, or change how long an app has to ack."""
        given = await ask_json(request)
        try:
            self._base.limits.set(
                enforce=bool(given["enforce"]) if "enforce" in given else None,
                scale=float(given["scale"]) if "scale" in given else None,
            )
        except ValueError as error:
            return fail("invalid_arguments", str(error))
        if "ack_seconds" in given:
            self._base.ack_seconds = float(given["ack_seconds"])
        return succeed({"limits": self._base.limits.counters()})

    async def reset(self, request: web.Request) -> web.Response:
        """Empty every channel, close every view, lift every fault; people, channels and apps stay."""
        state = self._base.state
        for channel, messages in state.messages.items():
            for ts in tuple(messages):
                state.remove_message(channel, ts)
            state.channels[channel]["pins"].clear()
        state.ephemerals.clear()
        state.drawings.clear()
        state.views.clear()
        state.homes.clear()
        for scheduled_id in tuple(state.scheduled):
            state.save_plain("scheduled", scheduled_id, None)
        for app in state.apps.values():
            app.removed_scopes.clear()
            app.revoked.clear()
        self._base.faults.remove()
        self._parts.sockets.hear_again()
        self._base.limits.set(enforce=True, scale=1.0)
        self._base.traffic.clear()
        await self._base.store.commit()
        return succeed({})
