"""Submitting and closing modals (Slack docs: Modals)."""

from __future__ import annotations

from typing import Any

from bot.workspace import elements
from bot.workspace.base import Base
from bot.workspace.block_kit import check_view, fill_ids
from bot.workspace.delivery import Delivery, Outcome, Parcel
from bot.workspace.manifest import App
from bot.workspace.triggers import Triggers
from bot.workspace.views import MAX_STACK, Views, for_apps

Json = dict[str, Any]

#: Slack's own words when a submission fails.
TROUBLE = "We had some trouble connecting. Try again?"


class NoSuchView(Exception):
    """The view is not open any more, or is somebody else's."""


class BadResponse(Exception):
    """The app answered a submission with something Slack does not accept."""


class Submissions:
    """The part of interactions that modals need."""

    def __init__(self, base: Base, delivery: Delivery, triggers: Triggers, views: Views) -> None:
        self._base = base
        self._delivery = delivery
        self._triggers = triggers
        self._views = views

    async def submit(self, user: str, view_id: str, state: Json, offered: dict[str, dict[str, Json]]) -> Json:
        """Submit a modal; `{}` when it went well, else `{errors}` or `{message}`."""
        view = self._view_of(user, view_id)
        try:
            values = elements.state_values(view["blocks"], state, offered)
        except elements.BadValue as bad:
            return {"message": str(bad)}
        errors = elements.input_errors(view["blocks"], values)
        if errors:
            return {"errors": errors}
        view["state"] = {"values": values}
        app = self._base.state.apps[view["app_id"]]
        payload = self._common("view_submission", app, user)
        payload["trigger_id"] = self._triggers.issue(app.app_id, user, view_id=view_id)
        payload["view"] = for_apps(view)
        payload["response_urls"] = self._response_urls(app, user, view, values)
        outcome = await self._interactive(app, payload, answers=True)
        if outcome.status != "ok":
            return {"message": TROUBLE}
        try:
            return self._respond(app, user, view, outcome.body)
        except BadResponse as bad:
            self._base.traffic.record(
                direction="bot→slack",
                kind="envelope",
                name="view_submission",
                status="refused",
                request=outcome.body,
                note=str(bad),
            )
            return {"message": TROUBLE}

    async def close(self, user: str, view_id: str, *, cleared: bool = False) -> None:
        """Close a modal; the app hears of it where the view says `notify_on_close`."""
        view = self._view_of(user, view_id)
        if view["type"] == "home":
            raise NoSuchView(view_id)
        cleared = cleared or bool(view["clear_on_close"])
        for closed in self._views.close(view, all_of_stack=cleared):
            if closed["notify_on_close"]:
                app = self._base.state.apps[closed["app_id"]]
                payload = self._common("view_closed", app, user)
                payload["view"] = for_apps(closed)
                payload["is_cleared"] = cleared
                self._base.tasks.spawn(self._interactive(app, payload))

    def _respond(self, app: App, user: str, view: Json, body: Json) -> Json:
        action = body.get("response_action")
        still_open = view["id"] in self._base.state.views
        if action is None:
            if body:
                raise BadResponse(f"the answer has no response_action: {sorted(body)}")
            if still_open:
                self._views.close(view)
            return {}
        if action == "clear":
            if still_open:
                self._views.close(view, all_of_stack=True)
            return {}
        if action == "errors":
            errors = body.get("errors")
            inputs = {b["block_id"] for b in view["blocks"] if b["type"] == "input"}
            if not isinstance(errors, dict) or not errors:
                raise BadResponse("`errors` must name at least one block")
            if not set(errors) <= inputs:
                raise BadResponse(f"errors for blocks that are no inputs: {sorted(set(errors) - inputs)}")
            return {"errors": {key: str(message) for key, message in errors.items()}}
        if action not in ("update", "push"):
            raise BadResponse(f"unknown response_action {action!r}")
        given = body.get("view")
        problems = check_view(given, surface="modal")
        if problems or not isinstance(given, dict):
            raise BadResponse("invalid view: " + "; ".join(str(p) for p in problems[:5]))
        current = self._base.state.views.get(view["id"])
        if current is None:
            raise BadResponse("the view is not open any more")
        given = {**given, "blocks": fill_ids(given["blocks"])}
        if action == "update":
            self._views.update(current, given)
        elif len(self._views.stack(current)) >= MAX_STACK:
            raise BadResponse(f"push_limit_reached: at most {MAX_STACK} views")
        else:
            self._views.push(app, user, given, current)
        return {}

    def _response_urls(self, app: App, user: str, view: Json, values: Json) -> list[Json]:
        found: list[Json] = []
        for block, element in elements.walk(view["blocks"]):
            if not element.get("response_url_enabled"):
                continue
            entry = values.get(block["block_id"], {}).get(element["action_id"], {})
            channel = entry.get("selected_conversation") or entry.get("selected_channel")
            if channel in self._base.state.channels:
                url = self._triggers.response_url(app.app_id, user, channel)
                found.append(
                    {
                        "block_id": block["block_id"],
                        "action_id": element["action_id"],
                        "channel_id": channel,
                        "response_url": url,
                    }
                )
        return found

    def _view_of(self, user: str, view_id: str) -> Json:
        view = self._base.state.views.get(view_id)
        if view is None or view["_user"] != user:
            raise NoSuchView(view_id)
        return view

    def _common(self, kind: str, app: App, user: str) -> Json:
        state = self._base.state
        team = {"id": state.team["id"], "domain": state.team["domain"]}
        name = state.users[user]["name"]
        return {
            "type": kind,
            "user": {"id": user, "username": name, "name": name, "team_id": team["id"]},
            "api_app_id": app.app_id,
            "token": app.verification_token,
            "team": team,
            "enterprise": None,
            "is_enterprise_install": False,
        }

    async def _interactive(self, app: App, payload: Json, *, url: str = "", answers: bool = False) -> Outcome:
        if not app.manifest.interactivity:
            return Outcome(status="failed", body={}, reason="interactivity is off in the manifest")
        return await self._delivery.deliver(
            Parcel(
                app=app,
                kind="interactive",
                payload=payload,
                url=url or app.manifest.interactivity_url,
                accepts_response_payload=answers,
            )
        )
