"""The Web API's front desk: reading arguments, tokens, scopes, rate limits, faults and answers.

A method is a function marked with `@method`; the family modules (`api_*.py`) hold them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import inspect
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, TypeVar

from aiohttp import web

from bot.workspace.faults import Fault
from bot.workspace.manifest import App
from bot.workspace.parts import Parts
from bot.workspace.rate_limits import TIERS

Json = dict[str, Any]


class ApiError(Exception):
    """An answer with `ok: false`. The message is Slack's error code, the fields go beside it."""

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(code)
        self.fields = fields


@dataclass(kw_only=True)
class Call:
    """One call of a method."""

    parts: Parts
    #: Whose token it came with; `None` for methods that need none.
    caller: App | None
    method: str
    args: Json
    #: What `response_metadata.warnings` says.
    warnings: list[str] = field(default_factory=list)
    #: What the traffic log says about it.
    notes: list[str] = field(default_factory=list)

    @property
    def app(self) -> App:
        """The calling app."""
        if self.caller is None:
            raise ApiError("not_authed")
        return self.caller

    def text(self, name: str, default: str = "") -> str:
        """An argument as text."""
        value = self.args.get(name)
        return default if value is None else str(value)

    def need(self, name: str, error: str = "") -> str:
        """An argument that must be there."""
        value = self.text(name)
        if not value:
            messages = [f"[ERROR] missing required field: {name}"]
            raise ApiError(error or "invalid_arguments", response_metadata={"messages": messages})
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """An argument as yes or no."""
        value = self.args.get(name, default)
        return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes")

    def number(self, name: str, default: int, *, lowest: int = 0, highest: int = 10**12) -> int:
        """An argument as a whole number within bounds."""
        try:
            value = int(self.text(name) or default)
        except ValueError:
            raise _bad(name, "must be an integer") from None
        if not lowest <= value <= highest:
            raise _bad(name, f"must be between {lowest} and {highest}")
        return value

    def value(self, name: str) -> Any:
        """An argument that is JSON: as it is, or written out in a form field. `None` where it is missing."""
        value = self.args.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise _bad(name, "must be valid JSON") from None

    def need_scope(self, *accepted: str) -> None:
        """Refuse unless the token has one of these scopes."""
        if accepted and not self.app.scopes.intersection(accepted):
            provided = ",".join(sorted(self.app.scopes))
            raise ApiError("missing_scope", needed=",".join(accepted), provided=provided)


def _bad(name: str, problem: str) -> ApiError:
    return ApiError(
        "invalid_arguments", response_metadata={"messages": [f"[ERROR] {problem} [json-pointer:/{name}]"]}
    )


Handler = Callable[[Call], Awaitable[Json]]
HandlerT = TypeVar("HandlerT", bound=Handler)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A Web API method."""

    name: str
    handler: Handler
    #: Any one of these is enough; none are needed where it is empty.
    scopes: tuple[str, ...]
    #: Calls per minute.
    per_minute: int
    token: Literal["bot", "app", "none"]
    #: Counts against the one message per second of the channel it names.
    per_channel: bool


def method(
    name: str,
    *,
    scopes: Iterable[str] = (),
    tier: int = 3,
    per_minute: int = 0,
    token: Literal["bot", "app", "none"] = "bot",
    per_channel: bool = False,
) -> Callable[[HandlerT], HandlerT]:
    """Mark a function as a Web API method. Tiers: Slack docs, Rate limits, and the Java SDK's table."""

    def mark(handler: HandlerT) -> HandlerT:
        declared = Method(
            name=name,
            handler=handler,
            scopes=tuple(scopes),
            per_minute=per_minute or TIERS[tier],
            token=token,
            per_channel=per_channel,
        )
        handler.__dict__.setdefault("web_api_methods", []).append(declared)
        return handler

    return mark


def catalogue(modules: Iterable[ModuleType]) -> dict[str, Method]:
    """Every marked function of these modules, by method name."""
    found: dict[str, Method] = {}
    for module in modules:
        for _, function in inspect.getmembers(module, inspect.isfunction):
            for declared in getattr(function, "web_api_methods", ()):
                found[declared.name] = declared
    return found


class WebApi:
    """Answers `/api/<method>`."""

    def __init__(self, parts: Parts, methods: Mapping[str, Method]) -> None:
        self._parts = parts
        self._methods = methods

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One call, with whatever faults are switched on for it."""
        name = request.match_info["method"]
        args = await self._arguments(request)
        token = _token(request, args)
        parts = self._parts.base.network.team_of(token) or self._parts
        base = parts.base
        began = base.clock.monotonic()
        fault = base.faults.take("api", name)
        mode = fault.get("mode") if fault is not None else ""
        notes: list[str] = [f"fault: {mode}"] if mode else []
        if fault is not None and mode in ("ratelimited", "status", "drop", "error"):
            answer = _fault_answer(fault)
        else:
            answer = await self._answer(parts, name, token, args, notes)
            await base.store.commit()
        base.traffic.record(
            direction="bot→slack",
            kind="api",
            name=name,
            status=answer.status,
            ms=(base.clock.monotonic() - began) * 1000,
            request=args,
            response=answer.body,
            note="; ".join(notes) or None,
        )
        if fault is not None and mode == "slow":
            # Performed, but answered late: the caller cannot tell whether it happened.
            await asyncio.sleep(float(fault.get("seconds", 4)))
        if mode in ("lost_answer", "drop"):
            if isinstance(request.transport, asyncio.WriteTransport):
                request.transport.abort()
            return web.Response()
        return answer.response()

    async def _answer(self, parts: Parts, name: str, token: str, args: Json, notes: list[str]) -> _Answer:
        declared = self._methods.get(name)
        if declared is None:
            return _Answer(200, {"ok": False, "error": "unknown_method", "req_method": name})
        headers = {"x-accepted-oauth-scopes": ",".join(declared.scopes)} if declared.scopes else {}
        try:
            app = self._authenticate(parts, declared, token)
            if app is not None:
                headers["x-oauth-scopes"] = ",".join(sorted(app.scopes))
                channel = str(args.get("channel") or "") if declared.per_channel else ""
                wait = parts.base.limits.call(app.app_id, name, declared.per_minute, channel=channel)
                if wait:
                    return _Answer(
                        429, {"ok": False, "error": "ratelimited"}, {**headers, "Retry-After": str(wait)}
                    )
            call = Call(parts=parts, caller=app, method=name, args=args, notes=notes)
            if declared.token == "bot":
                call.need_scope(*declared.scopes)
            body = {"ok": True, **await declared.handler(call)}
        except ApiError as error:
            body = {"ok": False, "error": str(error), **error.fields}
            return _Answer(200, body, headers)
        if call.warnings:
            body["warning"] = ",".join(call.warnings)
            metadata = body.setdefault("response_metadata", {})
            metadata["warnings"] = call.warnings
        return _Answer(200, body, headers)

    @staticmethod
    def _authenticate(parts: Parts, declared: Method, token: str) -> App | None:
        network = parts.base.network
        if declared.token == "none":
            return None
        if not token:
            raise ApiError("not_authed")
        if token in network.dead:
            raise ApiError(network.dead[token])
        installed = [app for team in network.teams for app in team.base.state.apps.values()]
        if any(token in app.revoked for app in installed):
            raise ApiError("token_revoked")
        for app in parts.base.state.apps.values():
            if token == app.bot_token or token in app.expiring:
                if app.expiring.get(token, math.inf) <= parts.base.clock.now():
                    raise ApiError("token_expired")
                if declared.token == "app":
                    raise ApiError("not_allowed_token_type")
                return app
        for app in network.apps.values():
            if token == app.app_token:
                if declared.token != "app":
                    raise ApiError("not_allowed_token_type")
                return app
        raise ApiError("invalid_auth")

    @staticmethod
    async def _arguments(request: web.Request) -> Json:
        args: Json = dict(request.query)
        if request.method == "POST":
            if request.content_type == "application/json":
                try:
                    body = json.loads(await request.text() or "{}")
                except ValueError:
                    body = {}
                if isinstance(body, dict):
                    args.update(body)
            else:
                args.update({k: v for k, v in (await request.post()).items() if isinstance(v, str)})
        return {**args, **_basic(request)}


@dataclass(frozen=True)
class _Answer:
    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        return web.json_response(self.body, status=self.status, headers=dict(self.headers))


def _fault_answer(fault: Fault) -> _Answer:
    mode = fault.get("mode")
    if mode == "ratelimited":
        wait = str(fault.get("retry_after", 1))
        return _Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": wait})
    if mode == "status":
        status = int(fault.get("status", 503))
        return _Answer(status, {"ok": False, "error": "service_unavailable"})
    return _Answer(200, {"ok": False, "error": str(fault.get("error", "internal_error"))})


def _basic(request: web.Request) -> Json:
    """The app's own credentials, where they come as HTTP Basic (Slack docs: oauth.v2.access)."""
    header = request.headers.get("Authorization", "")
    if not header.startswith("Basic "):
        return {}
    try:
        client_id, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    except (binascii.Error, ValueError):
        return {}
    return {"client_id": client_id, "client_secret": secret}


def _token(request: web.Request, args: Json) -> str:
    header = request.headers.get("Authorization", "")
    from_form = str(args.pop("token", "") or "")
    return header.removeprefix("Bearer ").strip() if header.startswith("Bearer ") else from_form
