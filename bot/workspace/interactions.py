"""What people do, as apps hear of it: commands, clicks, shortcuts (Slack docs: Handling user interaction)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.workspace import elements
from bot.workspace.base import Base
from bot.workspace.delivery import Delivery, Outcome, Parcel
from bot.workspace.manifest import App, Command
from bot.workspace.messages import Messages
from bot.workspace.respond import Responder
from bot.workspace.submissions import Submissions
from bot.workspace.text import compose
from bot.workspace.triggers import Triggers
from bot.workspace.views import Views, for_apps

Json = dict[str, Any]

#: What the client shows by an element whose interaction failed.
_NO_ANSWER = "This app did not respond in time. Please try again."
_FAILED = "This app responded with an error. Please try again."


class Refused(Exception):
    """What Slack's client says instead of doing it: an error code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Click:
    """Somebody used an element."""

    user: str
    #: `{channel, ts}` or `{view_id}`.
    container: Json
    block_id: str
    action_id: str
    #: The element's own fields, as the page has them.
    value: Json
    #: Every stateful element, as the page has it.
    state: Json


class Interactions(Submissions):
    """Turns what people do into payloads, and what apps answer into what people see."""

    def __init__(
        self,
        base: Base,
        *,
        delivery: Delivery,
        messages: Messages,
        triggers: Triggers,
        views: Views,
        responder: Responder,
    ) -> None:
        super().__init__(base, delivery, triggers, views)
        self._messages = messages
        self._responder = responder
        #: Options last offered by an external select, by person and action_id.
        self._offered: dict[str, dict[str, dict[str, Json]]] = {}

    # Commands

    async def command(self, user: str, channel: Json, text: str, thread_ts: str = "") -> None:
        """Somebody typed a slash command."""
        name, _, arguments = text.strip().partition(" ")
        if thread_ts:
            raise self._complaint(
                "command_in_thread", user, channel, f"{name} is not supported in threads. Sorry!", thread_ts
            )
        # Names are not namespaced: the most recently installed app wins (Slack docs: slash commands).
        found = [(app, app.command(name)) for app in self._base.state.apps.values()]
        owner = next(((app, c) for app, c in reversed(found) if c is not None), None)
        if owner is None:
            raise self._complaint("unknown_command", user, channel, f"{name} is not a valid command.")
        app, command = owner
        parcel = self._command_parcel(app, command, user, channel, arguments.strip())
        outcome = await self._delivery.deliver(parcel)
        if outcome.status == "timeout":
            raise self._complaint(
                "operation_timeout", user, channel, f'{name} failed with the error "operation_timeout"'
            )
        if outcome.status == "failed":
            raise self._complaint(
                "dispatch_failed", user, channel, f"{name} failed because the app did not respond"
            )
        if outcome.body.get("response_type") == "in_channel":
            self._base.state.save_message(channel["id"], self._typed(user, channel, text))
        self._responder.command(app, user, channel["id"], outcome.body)

    def _typed(self, user: str, channel: Json, text: str) -> Json:
        # `in_channel` also shows the command as it was typed (Slack docs: slash commands).
        message: Json = {
            "type": "message",
            "user": user,
            "text": text.strip(),
            "ts": self._base.clock.stamp(),
        }
        self._base.audience.tell(
            [u for u in self._base.audience.users() if self._base.state.sees(u, channel["id"])],
            {"type": "message", "channel": channel["id"], "message": {**message, "channel": channel["id"]}},
        )
        return message

    def _command_parcel(self, app: App, command: Command, user: str, channel: Json, arguments: str) -> Parcel:
        state = self._base.state
        payload: Json = {
            "token": app.verification_token,
            "team_id": state.team["id"],
            "team_domain": state.team["domain"],
            "channel_id": channel["id"],
            "channel_name": _channel_name(channel),
            "user_id": user,
            "user_name": state.users[user]["name"],
            "command": command.name,
            "text": compose(state, arguments, labelled=True) if command.should_escape else arguments,
            "api_app_id": app.app_id,
            "is_enterprise_install": "false",
            "response_url": self._triggers.response_url(app.app_id, user, channel["id"]),
            "trigger_id": self._triggers.issue(app.app_id, user),
        }
        return Parcel(
            app=app, kind="slash_commands", payload=payload, url=command.url, accepts_response_payload=True
        )

    def _complaint(self, code: str, user: str, channel: Json, text: str, thread_ts: str = "") -> Refused:
        self._messages.slackbot(channel, user, text, thread_ts=thread_ts)
        return Refused(code, text)

    # Clicks

    async def action(self, click: Click) -> None:
        """Somebody used a button, a checkbox, a menu…"""
        if "view_id" in click.container:
            app, drawing, payload = self._in_view(click)
        else:
            app, drawing, payload = self._in_message(click)
        found = elements.find(drawing["blocks"], click.block_id, click.action_id)
        if found is None:
            raise Refused("element_not_found", "This element is not there any more.")
        block, element = found
        if block.get("type") == "input" and not block.get("dispatch_action"):
            return  # Without `dispatch_action` nothing is sent (Slack docs: input block).
        offered = self._offered.get(click.user, {})
        try:
            chosen = elements.read(element, click.value, offered.get(click.action_id))
            values = elements.state_values(drawing["blocks"], click.state, offered)
        except elements.BadValue as bad:
            raise Refused("invalid_value", str(bad)) from bad
        key = elements.VALUE_KEY.get(element["type"])
        if key is not None:
            entry = {"type": element["type"], **chosen}
            values.setdefault(click.block_id, {})[click.action_id] = entry
        payload["state"] = {"values": values}
        if "view" in payload:
            payload["view"] = {**payload["view"], "state": {"values": values}}
        payload["actions"] = [self._action(click.block_id, element, chosen)]
        url = element.get("url")
        outcome = await self._interactive(app, payload)
        if outcome.status != "ok" and not url:
            where = (
                {"view_id": click.container["view_id"]}
                if "view_id" in click.container
                else {
                    "channel": click.container["channel"],
                    "ts": click.container["ts"],
                }
            )
            sentence = self._sentence(outcome)
            self._base.audience.tell([click.user], {"type": "error", **where, "message": sentence})
            raise Refused("operation_timeout" if outcome.status == "timeout" else "dispatch_failed", sentence)

    def _action(self, block_id: str, element: Json, chosen: Json) -> Json:
        kept = ("type", "action_id", "text", "value", "style", "url", "placeholder", "initial_option")
        action = {key: element[key] for key in (*kept, "initial_options") if key in element}
        return {**action, "block_id": block_id, **chosen, "action_ts": self._base.clock.stamp()}

    def _in_message(self, click: Click) -> tuple[App, Json, Json]:
        state = self._base.state
        channel_id, ts = str(click.container.get("channel")), str(click.container.get("ts"))
        channel = state.channels.get(channel_id)
        whisper = state.ephemerals.get(ts)
        current = whisper if whisper is not None else state.messages.get(channel_id, {}).get(ts)
        if channel is None or current is None:
            raise Refused("message_not_found", "This message is not there any more.")
        if whisper is not None and whisper["ephemeral_to"] != click.user:
            raise Refused("message_not_found", "This message is not yours.")
        if not state.sees(click.user, channel_id):
            raise Refused("not_in_channel", "You are not in this channel.")
        drawing = self._drawing(click, channel_id, current)
        app = state.apps.get(current.get("app_id", ""))
        if app is None:
            raise Refused("app_missing", "The app of this message is not installed.")
        container: Json = {
            "type": "message",
            "message_ts": ts,
            "channel_id": channel_id,
            "is_ephemeral": whisper is not None,
        }
        if current.get("thread_ts"):
            container["thread_ts"] = current["thread_ts"]
        payload = self._common("block_actions", app, click.user)
        payload["container"] = container
        payload["channel"] = {"id": channel_id, "name": _channel_name(channel)}
        payload["trigger_id"] = self._triggers.issue(app.app_id, click.user)
        if whisper is None:
            hidden = ("_number", "metadata")
            payload["message"] = {k: v for k, v in drawing.items() if k not in hidden}
        payload["response_url"] = self._triggers.response_url(
            app.app_id,
            click.user,
            channel_id,
            message_ts=ts,
            thread_ts=_reply_thread(current),
            ephemeral=whisper is not None,
        )
        return app, drawing, payload

    def _drawing(self, click: Click, channel_id: str, current: Json) -> Json:
        """The message as the clicking client shows it: now, or as it was drawn before."""
        candidates = [current, *reversed(self._base.state.drawings.get((channel_id, current["ts"]), []))]
        for drawing in candidates:
            if elements.find(drawing.get("blocks") or [], click.block_id, click.action_id) is not None:
                return drawing
        raise Refused("element_not_found", "This element was never part of this message.")

    def _in_view(self, click: Click) -> tuple[App, Json, Json]:
        view = self._view_of(click.user, str(click.container["view_id"]))
        app = self._base.state.apps[view["app_id"]]
        payload = self._common("block_actions", app, click.user)
        payload["container"] = {"type": "view", "view_id": view["id"]}
        payload["trigger_id"] = self._triggers.issue(app.app_id, click.user, view_id=view["id"])
        payload["view"] = for_apps(view)
        blocks = next(
            (
                drawn
                for drawn in [view["blocks"], *reversed(view["_drawings"])]
                if elements.find(drawn, click.block_id, click.action_id) is not None
            ),
            view["blocks"],
        )
        return app, {"blocks": blocks}, payload

    # Shortcuts and external selects

    async def shortcut(self, user: str, callback_id: str, channel_id: str = "", ts: str = "") -> None:
        """Somebody chose a shortcut, from the menu or on a message."""
        state = self._base.state
        for app in state.apps.values():
            shortcut = next((s for s in app.manifest.shortcuts if s.callback_id == callback_id), None)
            if shortcut is not None:
                break
        else:
            raise Refused("unknown_shortcut", "There is no such shortcut.")
        payload = self._common("shortcut" if shortcut.type == "global" else "message_action", app, user)
        payload["callback_id"] = callback_id
        payload["trigger_id"] = self._triggers.issue(app.app_id, user)
        payload["action_ts"] = self._base.clock.stamp()
        if shortcut.type == "message":
            message = state.messages.get(channel_id, {}).get(ts)
            if message is None or not state.sees(user, channel_id):
                raise Refused("message_not_found", "This message is not there any more.")
            payload["channel"] = {"id": channel_id, "name": _channel_name(state.channels[channel_id])}
            payload["message_ts"] = ts
            payload["message"] = {k: v for k, v in message.items() if k != "metadata"}
            payload["response_url"] = self._triggers.response_url(
                app.app_id, user, channel_id, thread_ts=_reply_thread(message)
            )
        outcome = await self._interactive(app, payload)
        if outcome.status != "ok":
            raise Refused("dispatch_failed", self._sentence(outcome))

    async def suggest(self, click: Click, query: str) -> list[Json]:
        """Ask the app for an external select's options (`block_suggestion`)."""
        if "view_id" in click.container:
            app, drawing, payload = self._in_view(click)
        else:
            app, drawing, payload = self._in_message(click)
        found = elements.find(drawing["blocks"], click.block_id, click.action_id)
        if found is None or not found[1]["type"].endswith("external_select"):
            raise Refused("element_not_found", "This element has no options to look up.")
        for key in ("trigger_id", "response_url"):
            payload.pop(key, None)
        payload |= {
            "type": "block_suggestion",
            "action_id": click.action_id,
            "block_id": click.block_id,
            "value": query,
        }
        outcome = await self._interactive(app, payload, url=app.manifest.options_url, answers=True)
        if outcome.status != "ok":
            raise Refused("dispatch_failed", self._sentence(outcome))
        groups = outcome.body.get("option_groups") or [{"options": outcome.body.get("options") or []}]
        offered: list[Json] = [option for group in groups for option in group.get("options", [])]
        known = self._offered.setdefault(click.user, {}).setdefault(click.action_id, {})
        known.update({option["value"]: option for option in offered})
        return offered

    def offered(self, user: str) -> dict[str, dict[str, Json]]:
        """Options external selects offered this person, by action_id and value."""
        return self._offered.get(user, {})

    def _sentence(self, outcome: Outcome) -> str:
        return _NO_ANSWER if outcome.status == "timeout" else _FAILED


def _channel_name(channel: Json) -> str:
    if channel["is_im"]:
        return "directmessage"
    # Slack hides the names of private channels here.
    return "privategroup" if channel["is_private"] else str(channel["name"])


def _reply_thread(message: Json) -> str:
    """Where an answer to this message belongs: beside a reply in its thread, else in the channel."""
    thread = str(message.get("thread_ts", ""))
    return "" if thread == message["ts"] else thread
