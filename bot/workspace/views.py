"""Modals and homes: opening, stacking, changing and closing them."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from bot.workspace.base import Base
from bot.workspace.ids import new_id
from bot.workspace.manifest import App

Json = dict[str, Any]

#: Modals on top of each other (Slack docs: Modals).
MAX_STACK = 3
#: What an app gives for a view; the rest Slack adds.
GIVEN = (
    "type",
    "callback_id",
    "title",
    "submit",
    "close",
    "blocks",
    "private_metadata",
    "notify_on_close",
    "clear_on_close",
    "external_id",
    "submit_disabled",
)
_DEFAULTS: Json = {
    "callback_id": "",
    "title": None,
    "submit": None,
    "close": None,
    "private_metadata": "",
    "notify_on_close": False,
    "clear_on_close": False,
    "external_id": "",
}


def for_apps(view: Json) -> Json:
    """A view as apps and pages get it."""
    return {key: value for key, value in view.items() if not key.startswith("_")}


class Views:
    """Every open modal and published home. Views whose key starts with `_` are the workspace's own notes."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def open(self, app: App, user: str, given: Json) -> Json:
        """A first modal; others the person has open from this app stay below it in the page."""
        view = self._new(app, user, given)
        view["root_view_id"] = view["id"]
        self._base.audience.tell([user], {"type": "view", "view": for_apps(view)})
        return view

    def push(self, app: App, user: str, given: Json, below: Json) -> Json:
        """Another modal on top of one."""
        view = self._new(app, user, given)
        view["root_view_id"], view["previous_view_id"] = below["root_view_id"], below["id"]
        self._base.audience.tell([user], {"type": "view", "view": for_apps(view)})
        return view

    def update(self, view: Json, given: Json) -> Json:
        """Draw a view anew."""
        kept = {k: v for k, v in view.items() if k not in GIVEN}
        updated = {**kept, **_DEFAULTS, **{k: v for k, v in given.items() if k in GIVEN}}
        updated["_drawings"] = [*view["_drawings"], view["blocks"]][-50:]
        updated["state"] = {"values": {}}
        self._hash(updated)
        self._base.state.views[view["id"]] = updated
        kind = "home" if updated["type"] == "home" else "view_changed"
        frame: Json = {"type": kind, "view": for_apps(updated)}
        if kind == "home":
            frame["bot_user_id"] = updated["_bot_user"]
        self._base.audience.tell([updated["_user"]], frame)
        return updated

    def publish(self, app: App, user: str, given: Json) -> Json:
        """A person's home of an app."""
        known = self.home(app, user)
        if known is not None:
            return self.update(known, given)
        view = self._new(app, user, given)
        view["root_view_id"] = view["id"]
        self._base.state.homes[app.app_id, user] = view["id"]
        frame = {"type": "home", "view": for_apps(view), "bot_user_id": app.bot_user_id}
        self._base.audience.tell([user], frame)
        return view

    def home(self, app: App, user: str) -> Json | None:
        """The published home, if there is one."""
        view_id = self._base.state.homes.get((app.app_id, user), "")
        return self._base.state.views.get(view_id)

    def close(self, view: Json, *, all_of_stack: bool = False) -> list[Json]:
        """Close a modal (or its whole stack), returning what was closed."""
        state = self._base.state
        closed = self.stack(view) if all_of_stack else [v for v in self.stack(view) if v["id"] == view["id"]]
        for item in closed:
            state.views.pop(item["id"], None)
        frame: Json = {"type": "view_closed", "view_id": view["id"]}
        if all_of_stack:
            frame["all"] = True
        self._base.audience.tell([view["_user"]], frame)
        return closed

    def stack(self, view: Json) -> list[Json]:
        """The modals of a stack, bottom first."""
        return [
            v
            for v in self._base.state.views.values()
            if v["type"] == "modal" and v["root_view_id"] == view["root_view_id"]
        ]

    def find(self, app: App, *, view_id: str = "", external_id: str = "") -> Json | None:
        """An app's view by either id."""
        for view in self._base.state.views.values():
            if view["app_id"] != app.app_id:
                continue
            if view["id"] == view_id or (external_id and view["external_id"] == external_id):
                return view
        return None

    def _new(self, app: App, user: str, given: Json) -> Json:
        view: Json = {
            "id": new_id("V"),
            "team_id": self._base.state.team["id"],
            "blocks": [],
            **_DEFAULTS,
            **{k: v for k, v in given.items() if k in GIVEN},
            "state": {"values": {}},
            "root_view_id": "",
            "previous_view_id": None,
            "app_id": app.app_id,
            "app_installed_team_id": self._base.state.team["id"],
            "bot_id": app.bot_id,
            "_user": user,
            "_bot_user": app.bot_user_id,
            "_drawings": [],
        }
        self._hash(view)
        self._base.state.views[view["id"]] = view
        return view

    def _hash(self, view: Json) -> None:
        digest = hashlib.sha256(json.dumps(view["blocks"]).encode() + secrets.token_bytes(8)).hexdigest()
        view["hash"] = f"{int(self._base.clock.now())}.{digest[:8]}"
