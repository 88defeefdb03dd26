"""Answers to interactions: what an app returns to a command or sends to a response URL."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bot.workspace.base import Base
from bot.workspace.block_kit import check_message_blocks, fill_ids
from bot.workspace.manifest import App
from bot.workspace.messages import Author, Messages
from bot.workspace.triggers import ResponseUrl, Triggers

Json = dict[str, Any]

#: Fields an answer may have (Slack docs: Handling user interaction, incoming webhooks).
_FIELDS = frozenset(
    {
        "text",
        "blocks",
        "attachments",
        "response_type",
        "replace_original",
        "delete_original",
        "thread_ts",
        "metadata",
        "mrkdwn",
        "link_names",
        "parse",
        "unfurl_links",
        "unfurl_media",
    }
)


class RefusedAnswer(Exception):
    """An answer Slack would not show. The message is Slack's error code."""


class Responder:
    """Shows an app's answers."""

    def __init__(self, base: Base, messages: Messages, triggers: Triggers) -> None:
        self._base = base
        self._messages = messages
        self._triggers = triggers

    async def serve(self, request: web.Request) -> web.Response:
        """`POST /respond/<token>`."""
        began = self._base.clock.monotonic()
        text = await request.text()
        answer: Json = {}
        try:
            answer = json.loads(text) if text.strip() else {}
            if not isinstance(answer, dict):
                raise ValueError
        except ValueError:
            status, said = 400, "invalid_payload"
        else:
            status, said = self._answer(request.match_info["token"], answer)
        await self._base.store.commit()
        self._base.traffic.record(
            direction="bot→slack",
            kind="response_url",
            name="response_url",
            status=status,
            ms=(self._base.clock.monotonic() - began) * 1000,
            request=answer or text,
            response=said,
        )
        if status == 200:
            return web.Response(text="ok")
        headers = {"Retry-After": "1"} if status == 429 else {}
        return web.json_response({"ok": False, "error": said}, status=status, headers=headers)

    def _answer(self, token: str, answer: Json) -> tuple[int, str]:
        url = self._triggers.use_url(token)
        if isinstance(url, str):
            return 404, url
        app = self._base.state.apps.get(url.app_id)
        if app is None:
            return 404, "expired_url"
        try:
            self._show(app, url, answer)
        except RefusedAnswer as refused:
            return (429 if str(refused) == "ratelimited" else 400), str(refused)
        return 200, "ok"

    def command(self, app: App, user: str, channel: str, body: Json) -> None:
        """Show what an app returned to a command with its ack; an empty body shows nothing."""
        if not body:
            return
        url = ResponseUrl(app.app_id, user, channel, expires=0.0)
        try:
            self._show(app, url, {k: v for k, v in body.items() if k != "replace_original"})
        except RefusedAnswer as refused:
            self._base.traffic.record(
                direction="bot→slack",
                kind="envelope",
                name="slash_commands",
                status="refused",
                request=body,
                note=f"the answer to a command was refused: {refused}",
            )

    def _show(self, app: App, url: ResponseUrl, answer: Json) -> None:
        unknown = sorted(set(answer) - _FIELDS)
        if unknown:
            raise RefusedAnswer(f"invalid_arguments: unknown field {unknown[0]}")
        if answer.get("delete_original"):
            self._delete(url)
            return
        blocks = answer.get("blocks") or None
        text = str(answer.get("text") or "")
        if blocks is not None:
            problems = check_message_blocks(blocks)
            if problems:
                raise RefusedAnswer("invalid_blocks: " + "; ".join(str(p) for p in problems[:5]))
            blocks = fill_ids(blocks)
        elif not text and not answer.get("attachments"):
            raise RefusedAnswer("no_text")
        if answer.get("replace_original") and url.message_ts:
            self._replace(url, text, blocks)
            return
        channel = self._base.state.channels[url.channel]
        author = Author.app(app, self._base.state.team["id"])
        thread = str(answer.get("thread_ts") or url.thread_ts)
        if answer.get("response_type", "ephemeral") == "in_channel":
            if self._base.limits.call(app.app_id, "response_url", 300, channel=url.channel):
                raise RefusedAnswer("ratelimited")
            if thread and thread not in self._base.state.messages[url.channel]:
                raise RefusedAnswer("thread_not_found")
            metadata = answer.get("metadata")
            self._messages.post(
                channel, author, text, blocks=blocks, thread_ts=thread, metadata=metadata or None
            )
        else:
            self._messages.whisper(channel, url.user, author, text, blocks=blocks, thread_ts=thread)

    def _delete(self, url: ResponseUrl) -> None:
        if url.message_ts in self._base.state.ephemerals:
            self._messages.remove_whisper(url.message_ts)
        elif url.message_ts in self._base.state.messages.get(url.channel, {}):
            self._messages.delete(self._base.state.channels[url.channel], url.message_ts)
        else:
            raise RefusedAnswer("message_not_found")

    def _replace(self, url: ResponseUrl, text: str, blocks: list[Json] | None) -> None:
        if url.message_ts in self._base.state.ephemerals:
            self._messages.change_whisper(url.message_ts, text, blocks)
        elif url.message_ts in self._base.state.messages.get(url.channel, {}):
            channel = self._base.state.channels[url.channel]
            self._messages.change(channel, url.message_ts, {"text": text, "blocks": blocks})
        else:
            raise RefusedAnswer("message_not_found")
