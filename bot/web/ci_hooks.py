"""CI's way in: `/hooks/deployments` behind the bearer token, and GitHub's signed webhooks at `/hooks/github`.

Every answer is JSON: the deployment with its link and what was done, or `{"error": a sentence}`. What may
work later is 503; the same request with its key (`Idempotency-Key`, `X-GitHub-Delivery`) is then as new.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.domain.ci_requests import ci_request
from bot.domain.deployment import Deployment
from bot.domain.errors import (
    AlreadyDeploying,
    AnotherVersion,
    DeploybotError,
    DeploymentClosed,
    GateClosed,
    HookInFlight,
    HookKeyReused,
    InboundUnusable,
    NoneOpen,
    NoSuchDeployment,
    NotPermitted,
)
from bot.domain.github_events import deployment_of, status_of
from bot.domain.webhook_signing import is_githubs
from bot.services.ci import CiDesk
from bot.services.github import GitHubDesk
from bot.services.once import Reply, once
from bot.services.ports import Ports
from bot.web.requests import authorized, json_of, read_body, refusal, too_large

log = logging.getLogger(__name__)

DEPLOYMENTS_PATH = "/hooks/deployments"
GITHUB_PATH = "/hooks/github"
#: Whose keys are whose.
DEPLOYMENTS, GITHUB = "deployments", "github"
#: Longest request in bytes: GitHub's own limit for a webhook is 25 MB, one about a deployment has some 20 kB.
LIMIT = 1024 * 1024
#: Longest key. Own choice: what is made of it fits a column of 255.
KEY = 200


@dataclass(frozen=True, kw_only=True)
class CiHooks:
    """What CI's hooks need; without a token or secret the one or the other is off."""

    ports: Ports
    token: str = field(repr=False)
    github_secret: str = field(repr=False)
    ci: CiDesk
    github: GitHubDesk


def ci_routes(hooks: CiHooks | None) -> list[web.RouteDef]:
    """Both hooks; where they are off, the paths say so."""

    async def deployments(request: web.Request) -> web.Response:
        if hooks is None or not hooks.token:
            return refusal(
                404, "Hooks are off: set DEPLOYBOT_HOOK_TOKEN where the bot runs, and start it again."
            )
        return await _deployments(request, hooks)

    async def github(request: web.Request) -> web.Response:
        if hooks is None or not hooks.github_secret:
            return refusal(
                404,
                "GitHub's webhooks are off: set DEPLOYBOT_GITHUB_WEBHOOK_SECRET where the bot runs, and "
                "start it again.",
            )
        return await _github(request, hooks)

    return [web.post(DEPLOYMENTS_PATH, deployments), web.post(GITHUB_PATH, github)]


async def _deployments(request: web.Request, hooks: CiHooks) -> web.Response:
    if not authorized(request, hooks.token):
        return refusal(
            401,
            "The bearer token is missing or wrong: send “Authorization: Bearer …” with the value of "
            "DEPLOYBOT_HOOK_TOKEN.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    body = await read_body(request, LIMIT)
    if body is None:
        return too_large(LIMIT, "send less")
    given = request.headers.get("Idempotency-Key")
    key = _key(given) if given is not None else uuid.uuid4().hex
    if key is None:
        return refusal(400, f"Idempotency-Key is empty, not ASCII, or longer than {KEY} characters.")

    async def answer() -> Reply:
        wanted = ci_request(json_of(body, what="request"))
        done = await hooks.ci.serve(wanted, delivery=f"ci.{key}")
        return Reply(status=200, body={"deployment": await _told(hooks, done.deployment), "done": done.said})

    return await _answered(request, hooks, scope=DEPLOYMENTS, key=key, body=body, answer=answer)


async def _github(request: web.Request, hooks: CiHooks) -> web.Response:
    body = await read_body(request, LIMIT)
    if body is None:
        return too_large(LIMIT, "choose the events “deployment” and “deployment_status” alone")
    signature = request.headers.get("X-Hub-Signature-256", "")
    if not is_githubs(header=signature, body=body, secret=hooks.github_secret):
        return refusal(
            401,
            "X-Hub-Signature-256 is missing or wrong: give the webhook the secret that is in "
            "DEPLOYBOT_GITHUB_WEBHOOK_SECRET.",
        )
    event = request.headers.get("X-GitHub-Event", "")
    if event == "ping":
        return web.json_response({"done": ["pong"]})
    if event not in ("deployment", "deployment_status"):
        return web.json_response({"done": [f"{event[:40] or 'an event without a name'} is not for us"]})
    key = _key(request.headers.get("X-GitHub-Delivery", ""))
    if key is None:
        return refusal(400, "X-GitHub-Delivery is missing: this is no delivery of GitHub's.")
    if not request.content_type.endswith("json"):
        return refusal(415, "Choose the content type application/json for the webhook.")

    async def answer() -> Reply:
        payload = json_of(body, what="request")
        if event == "deployment":
            handled = await hooks.github.deployment(deployment_of(payload))
        else:
            handled = await hooks.github.status(status_of(payload), delivery=f"github.{key}")
        told = None if handled.deployment is None else await _told(hooks, handled.deployment)
        return Reply(status=200, body={"deployment": told, "done": [handled.said]})

    return await _answered(request, hooks, scope=GITHUB, key=key, body=body, answer=answer)


async def _answered(
    request: web.Request,
    hooks: CiHooks,
    *,
    scope: str,
    key: str,
    body: bytes,
    answer: Callable[[], Awaitable[Reply]],
) -> web.Response:
    async def guarded() -> Reply:
        try:
            return await answer()
        except DeploybotError as error:
            return await _refused(request, hooks, error)

    try:
        # “Redeliver” on GitHub sends the same key again: what was refused then may be done now.
        keeps = scope != GITHUB
        reply = await once(hooks.ports, scope=scope, key=key, body=body, answer=guarded, keeps_refusals=keeps)
    except HookKeyReused as error:
        return refusal(422, str(error))
    except HookInFlight as error:
        return refusal(409, str(error), headers={"Retry-After": "2"})
    except DeploybotError as error:
        log.warning("%s: %s", request.path, error)
        return refusal(503 if error.retryable else 422, str(error))
    except Exception:
        # A boundary: the sender learns only that it went wrong, and comes again.
        log.exception("%s", request.path)
        return refusal(500, "Something went wrong here; it is in the bot's log. Send it again later.")
    return web.json_response(dict(reply.body), status=reply.status)


async def _refused(request: web.Request, hooks: CiHooks, error: DeploybotError) -> Reply:
    log.warning("%s: %s", request.path, error)
    told: dict[str, Any] = {"error": str(error)}
    match error:
        case InboundUnusable():
            return Reply(status=400, body={**told, "problems": list(error.problems[:20])})
        case AlreadyDeploying():
            async with hooks.ports.database.read() as tx:
                holder = await hooks.ports.deployments.get(tx, error.deployment_id)
            held = None if holder is None else await _told(hooks, holder)
            return Reply(status=409, body={**told, "deployment": held})
        case DeploymentClosed() | GateClosed() | AnotherVersion():
            return Reply(status=409, body=told)
        case NotPermitted():
            return Reply(status=403, body=told)
        case NoSuchDeployment() | NoneOpen():
            return Reply(status=404, body=told)
    return Reply(status=503 if error.retryable else 422, body=told)


async def _told(hooks: CiHooks, state: Deployment) -> dict[str, Any]:
    """A deployment as these hooks tell of it."""
    return {
        "id": state.id,
        "name": state.name,
        "service": state.target.service,
        "version": state.target.version,
        "environment": state.target.environment,
        "checklist": state.checklist_name,
        "lead": state.lead,
        "channel": state.channel,
        "state": state.phase.value,
        "done_items": state.done_items,
        "items": len(state.checklist.items),
        "url": await hooks.ci.link_of(state),
    }


def _key(given: str) -> str | None:
    """The key; a structured string's quotes are taken off, as the draft writes it. None for none."""
    quoted = re.fullmatch(r'\s*"((?:[^"\\]|\\["\\])*)"\s*', given)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else given.strip()
    return key if 0 < len(key) <= KEY and key.isascii() and key.isprintable() else None
