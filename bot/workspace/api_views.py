"""The `views.*` methods. Errors: Slack docs, each method's page."""

from __future__ import annotations

from typing import Any

from bot.workspace.block_kit import check_view, fill_ids
from bot.workspace.triggers import Trigger
from bot.workspace.views import MAX_STACK, for_apps
from bot.workspace.web_api import ApiError, Call, method

Json = dict[str, Any]


def _view(call: Call, surface: str) -> Json:
    view = call.value("view")
    if view is None:
        raise ApiError(
            "invalid_arguments", response_metadata={"messages": ["[ERROR] missing required field: view"]}
        )
    problems = check_view(view, surface=surface)
    if problems:
        call.notes.extend(str(problem) for problem in problems[:20])
        code = next((p.code for p in problems if p.code == "view_too_large"), "invalid_arguments")
        messages = [problem.for_slack("/view") for problem in problems]
        raise ApiError(code, response_metadata={"messages": messages})
    return {**view, "blocks": fill_ids(view["blocks"])}


def _trigger(call: Call) -> Trigger:
    trigger = call.parts.triggers.use(call.app.app_id, call.need("trigger_id"))
    if isinstance(trigger, str):
        raise ApiError(trigger)
    return trigger


def _unique(call: Call, view: Json, own_id: str = "") -> None:
    external_id = view.get("external_id")
    if external_id:
        known = call.parts.views.find(call.app, external_id=external_id)
        if known is not None and known["id"] != own_id:
            raise ApiError("duplicate_external_id")


@method("views.open", tier=4)
async def open_view(call: Call) -> Json:
    """Open a modal for whoever caused the trigger."""
    view = _view(call, "modal")
    _unique(call, view)
    trigger = _trigger(call)
    return {"view": for_apps(call.parts.views.open(call.app, trigger.user, view))}


@method("views.push", tier=4)
async def push_view(call: Call) -> Json:
    """Put a modal on top of the one the trigger came from."""
    view = _view(call, "modal")
    _unique(call, view)
    trigger = _trigger(call)
    below = call.parts.base.state.views.get(trigger.view_id)
    if below is None or below["type"] != "modal":
        raise ApiError("not_found")
    if len(call.parts.views.stack(below)) >= MAX_STACK:
        raise ApiError("push_limit_reached")
    return {"view": for_apps(call.parts.views.push(call.app, trigger.user, view, below))}


@method("views.update", tier=4)
async def update_view(call: Call) -> Json:
    """Draw an open modal anew; `hash` guards against races."""
    known = call.parts.views.find(
        call.app, view_id=call.text("view_id"), external_id=call.text("external_id")
    )
    if known is None:
        raise ApiError("not_found")
    view = _view(call, known["type"])
    _unique(call, view, known["id"])
    if call.text("hash") and call.text("hash") != known["hash"]:
        raise ApiError("hash_conflict")
    return {"view": for_apps(call.parts.views.update(known, view))}


@method("views.publish", tier=4)
async def publish_view(call: Call) -> Json:
    """Publish a person's home."""
    user = call.need("user_id")
    if user not in call.parts.base.state.users:
        raise ApiError("user_not_found")
    if not call.app.manifest.home_tab:
        raise ApiError("not_enabled")
    view = _view(call, "home")
    known = call.parts.views.home(call.app, user)
    if call.text("hash") and known is not None and call.text("hash") != known["hash"]:
        raise ApiError("hash_conflict")
    return {"view": for_apps(call.parts.views.publish(call.app, user, view))}
