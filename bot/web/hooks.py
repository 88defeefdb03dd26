"""Alerts that other systems post: `/hooks/alertmanager` and `/hooks/triggers`, behind a bearer token.

Every answer is JSON: `{"outcomes": [{"key", "title", "outcome"}]}`, or `{"error": a sentence}`. Alertmanager
comes again after a 5xx only, so 503 is for what may work later and 4xx for what never will. `?team=T…` in the
address says which workspace Alertmanager means, `team` in the body which one the other hook does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from aiohttp import web

from bot.domain.errors import DeploybotError, InboundUnusable
from bot.domain.inbound import InboundAlert, alert_of_trigger, alerts_of_alertmanager
from bot.domain.watching import Source
from bot.web.requests import authorized, json_of, read_body, refusal, too_large

log = logging.getLogger(__name__)

ALERTMANAGER_PATH = "/hooks/alertmanager"
TRIGGERS_PATH = "/hooks/triggers"
#: Largest request in bytes: a thousand alerts of a kilobyte.
LIMIT = 1024 * 1024


class Receive(Protocol):
    """Takes alerts in."""

    async def __call__(self, alerts: Sequence[InboundAlert], source: Source) -> Sequence[str]:
        """What was done with each of them, in words and in their order. Raises DeploybotError."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the hooks need; without a token they are off."""

    token: str = field(repr=False)
    receive: Receive


def routes(hooks: Hooks | None) -> list[web.RouteDef]:
    """Both hooks; where they are off, the paths say so."""

    async def alertmanager(request: web.Request) -> web.Response:
        read = partial(_of_alertmanager, team=request.query.get("team", ""))
        return await _take(request, hooks, Source.ALERTMANAGER, read)

    async def triggers(request: web.Request) -> web.Response:
        return await _take(request, hooks, Source.HOOK, lambda payload: (alert_of_trigger(payload),))

    return [web.post(ALERTMANAGER_PATH, alertmanager), web.post(TRIGGERS_PATH, triggers)]


def _of_alertmanager(payload: Any, *, team: str) -> Sequence[InboundAlert]:
    found = alerts_of_alertmanager(payload, team=team)
    left_out = payload.get("truncatedAlerts")
    if left_out and isinstance(left_out, int):
        log.warning("Alertmanager left %d alerts out: its max_alerts is too small", left_out)
    return found


async def _take(
    request: web.Request,
    hooks: Hooks | None,
    source: Source,
    read: Callable[[Any], Sequence[InboundAlert]],
) -> web.Response:
    if hooks is None or not hooks.token:
        return refusal(404, "Hooks are off: set DEPLOYBOT_HOOK_TOKEN where the bot runs, and start it again.")
    if not authorized(request, hooks.token):
        return refusal(
            401,
            "The bearer token is missing or wrong: send “Authorization: Bearer …” with the value of "
            "DEPLOYBOT_HOOK_TOKEN.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    body = await read_body(request, LIMIT)
    if body is None:
        return too_large(LIMIT, "set max_alerts in Alertmanager, or send less")
    try:
        alerts = read(json_of(body, what="alert"))
        outcomes = await hooks.receive(alerts, source)
        told = [
            {"key": alert.key, "title": alert.title, "outcome": outcome}
            for alert, outcome in zip(alerts, outcomes, strict=True)
        ]
    except InboundUnusable as error:
        log.warning("%s: %s", request.path, "; ".join(error.problems[:20]))
        return refusal(400, str(error), problems=list(error.problems[:20]))
    except DeploybotError as error:
        log.warning("%s: %s", request.path, error)
        return refusal(503 if error.retryable else 422, str(error))
    except Exception:
        # A boundary: the sender learns only that it went wrong, and comes again.
        log.exception("%s", request.path)
        return refusal(500, "Something went wrong here; it is in the bot's log. Send it again later.")
    return web.json_response({"outcomes": told})
