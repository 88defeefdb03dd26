"""The one road from the workspace to an app: Socket Mode where the manifest enables it, else signed HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp

from bot.workspace.base import Base
from bot.workspace.manifest import App
from bot.workspace.socket_mode import SocketMode

Json = dict[str, Any]
Kind = Literal["slash_commands", "interactive", "events_api"]

#: When an event that was not acknowledged comes again, in seconds after the attempt before
#: (Slack docs: Events API, retries "nearly immediately", after 1 minute, after 5 minutes).
RETRY_AFTER = (0.0, 60.0, 300.0)
#: How long a `reorder` fault holds an envelope back when none follows it, in seconds.
REORDER_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a delivery."""

    #: `ok`; `timeout`: no ack in time; `failed`: nobody there, or an answer that is no ack.
    status: Literal["ok", "timeout", "failed"]
    #: The acknowledgement's payload: `{}` for an empty one.
    body: Json
    #: Why it failed, in the words of Slack's retry headers.
    reason: str = ""
    #: The app asked not to be sent this event again.
    no_retry: bool = False


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """Something to deliver."""

    app: App
    kind: Kind
    #: The payload as Socket Mode sends it.
    payload: Json
    #: Where it goes without Socket Mode.
    url: str
    accepts_response_payload: bool = False


class Delivery:
    """Delivers parcels, waits for acks, and sends events again that were not acknowledged."""

    def __init__(self, base: Base, sockets: SocketMode) -> None:
        self._base = base
        self._sockets = sockets
        self._http: aiohttp.ClientSession | None = None
        self._verified: set[tuple[str, str]] = set()
        self._held: list[asyncio.Event] = []

    async def open(self) -> None:
        """Get ready to deliver over HTTP."""
        self._http = aiohttp.ClientSession(auto_decompress=True)

    async def close(self) -> None:
        """Let go of open HTTP connections."""
        if self._http is not None:
            await self._http.close()

    def event(self, app: App, payload: Json) -> None:
        """Deliver an event in the background, again and again as Slack does until it is acknowledged."""
        parcel = Parcel(app=app, kind="events_api", payload=payload, url=app.manifest.events_url)
        self._base.tasks.spawn(self._event(parcel))

    async def _event(self, parcel: Parcel) -> None:
        outcome = await self.deliver(parcel)
        for attempt, wait in enumerate(RETRY_AFTER, start=1):
            if outcome.status == "ok" or outcome.no_retry:
                return
            await self._base.clock.sleep(wait, scale=self._base.limits.scale)
            outcome = await self.deliver(parcel, retry=(attempt, outcome.reason))

    async def deliver(self, parcel: Parcel, *, retry: tuple[int, str] | None = None) -> Outcome:
        """Deliver once and wait for the ack; delivery faults strike here."""
        fault = self._base.faults.take("delivery", parcel.kind)
        mode = fault.get("mode") if fault is not None else None
        if mode == "drop":
            self._record(parcel, "dropped", note="fault: drop", retry=retry)
            await asyncio.sleep(self._base.ack_seconds)
            return Outcome(status="timeout", body={}, reason=self._timeout_reason(parcel.app))
        if mode == "reorder":
            gate = asyncio.Event()
            self._held.append(gate)
            try:
                await asyncio.wait_for(gate.wait(), REORDER_SECONDS)
            except TimeoutError:
                self._held.remove(gate)
            return await self._once(parcel, retry, note="fault: reorder")
        if mode == "duplicate":
            again = (retry[0] + 1 if retry else 1, self._timeout_reason(parcel.app))
            extra = again if parcel.kind == "events_api" else None
            self._base.tasks.spawn(self._once(parcel, extra, note="fault: duplicate"))
        outcome = await self._once(parcel, retry)
        while self._held:
            self._held.pop(0).set()
        return outcome

    async def deliver_again(self, original: Json) -> Outcome | None:
        """Deliver a recorded parcel once more, as an at-least-once network may; `None` if its app is gone."""
        app = self._base.state.apps.get(original["app_id"])
        if app is None:
            return None
        parcel = Parcel(
            app=app,
            kind=original["kind"],
            payload=original["payload"],
            url=original["url"],
            accepts_response_payload=original["accepts_response_payload"],
        )
        retry = (1, self._timeout_reason(app)) if parcel.kind == "events_api" else None
        return await self._once(parcel, retry, note="delivered again on demand")

    async def _once(self, parcel: Parcel, retry: tuple[int, str] | None, *, note: str = "") -> Outcome:
        began = self._base.clock.monotonic()
        if parcel.app.manifest.socket_mode:
            outcome = await self._by_socket(parcel, retry)
        else:
            outcome = await self._by_http(parcel, retry)
        ms = (self._base.clock.monotonic() - began) * 1000
        self._record(
            parcel,
            outcome.status,
            note=note or outcome.reason,
            retry=retry,
            ms=ms,
            response=outcome.body or None,
        )
        return outcome

    async def _by_socket(self, parcel: Parcel, retry: tuple[int, str] | None) -> Outcome:
        try:
            answer = await self._sockets.send(
                parcel.app,
                parcel.kind,
                parcel.payload,
                accepts_response_payload=parcel.accepts_response_payload,
                retry=(retry or (0, "")) if parcel.kind == "events_api" else None,
            )
        except TimeoutError:
            return Outcome(status="timeout", body={}, reason="timeout")
        if answer is None:
            return Outcome(status="failed", body={}, reason="timeout")
        return Outcome(status="ok", body=answer)

    # HTTP

    async def verify_url(self, app: App) -> bool:
        """The handshake of an events URL: it answers with our challenge (Slack docs: url_verification)."""
        url = app.manifest.events_url
        if (app.app_id, url) in self._verified:
            return True
        challenge = secrets.token_urlsafe(32)
        body = {"token": app.verification_token, "challenge": challenge, "type": "url_verification"}
        status, _, text = await self._post(app, url, json.dumps(body), "application/json", {})
        try:
            answered = json.loads(text).get("challenge") if text.lstrip().startswith("{") else text.strip()
        except ValueError:
            answered = text.strip()
        good = status == 200 and answered == challenge
        self._base.traffic.record(
            direction="slack→bot",
            kind="http",
            name="url_verification",
            status=status,
            request={"url": url},
            note=None if good else "the request URL did not answer with the challenge",
        )
        if good:
            self._verified.add((app.app_id, url))
        return good

    async def _by_http(self, parcel: Parcel, retry: tuple[int, str] | None) -> Outcome:
        if not parcel.url:
            return Outcome(status="failed", body={}, reason="connection_failed")
        headers: dict[str, str] = {}
        if parcel.kind == "events_api":
            content_type, body = "application/json", json.dumps(parcel.payload, ensure_ascii=False)
            if retry is not None:
                headers = {"x-slack-retry-num": str(retry[0]), "x-slack-retry-reason": retry[1]}
        else:
            content_type = "application/x-www-form-urlencoded"
            fields = (
                {k: _form(v) for k, v in parcel.payload.items() if v is not None}
                if parcel.kind == "slash_commands"
                else {"payload": json.dumps(parcel.payload, ensure_ascii=False)}
            )
            body = urlencode(fields)
        try:
            if parcel.kind == "events_api" and not await self.verify_url(parcel.app):
                return Outcome(status="failed", body={}, reason="http_error")
            status, answered, text = await self._post(parcel.app, parcel.url, body, content_type, headers)
        except TimeoutError:
            return Outcome(status="timeout", body={}, reason="http_timeout")
        except (aiohttp.ClientError, OSError):
            return Outcome(status="failed", body={}, reason="connection_failed")
        if not 200 <= status < 300:
            stop = answered.get("x-slack-no-retry") == "1"
            return Outcome(status="failed", body={"http_status": status}, reason="http_error", no_retry=stop)
        return Outcome(status="ok", body=_answer_body(text, answered.get("content-type", "")))

    async def _post(
        self, app: App, url: str, body: str, content_type: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        if self._http is None:
            raise RuntimeError("the workspace is not started")
        raw = body.encode()
        stamp = str(int(time.time()))
        mac = hmac.new(app.signing_secret.encode(), f"v0:{stamp}:".encode() + raw, hashlib.sha256)
        sent = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={mac.hexdigest()}",
            **headers,
        }
        timeout = aiohttp.ClientTimeout(total=self._base.ack_seconds)
        async with self._http.post(url, data=raw, headers=sent, timeout=timeout) as answer:
            text = await answer.text()
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, text

    # Bookkeeping

    @staticmethod
    def _timeout_reason(app: App) -> str:
        return "timeout" if app.manifest.socket_mode else "http_timeout"

    def _record(
        self,
        parcel: Parcel,
        status: str,
        *,
        note: str,
        retry: tuple[int, str] | None,
        ms: float = 0.0,
        response: Any = None,
    ) -> None:
        kind = "envelope" if parcel.app.manifest.socket_mode else "http"
        said = [note] if note else []
        if retry is not None:
            said.append(f"retry {retry[0]} ({retry[1]})")
        self._base.traffic.record(
            direction="slack→bot",
            kind=kind,
            name=parcel.kind,
            status=status,
            ms=ms,
            request=parcel.payload,
            response=response,
            note="; ".join(said) or None,
            original={
                "app_id": parcel.app.app_id,
                "kind": parcel.kind,
                "payload": parcel.payload,
                "url": parcel.url,
                "accepts_response_payload": parcel.accepts_response_payload,
            },
        )


def _form(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _answer_body(text: str, content_type: str) -> Json:
    if not text.strip():
        return {}
    if "json" in content_type:
        try:
            parsed = json.loads(text)
        except ValueError:
            return {"text": text}
        return parsed if isinstance(parsed, dict) else {"text": text}
    return {"text": text}
