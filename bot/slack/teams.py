"""Which gateway serves which workspace ("team" in Slack's API), and the one a delivery is answered with.

With one static token there is one gateway for everything. With several workspaces each has its own, and what
answers people (listeners, conversation) is handed a `DeliveryGateway`, which acts in the workspace that the
delivery at hand came from. Outside a delivery it acts nowhere: a mistake is an error, not another workspace.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Protocol

from slack_bolt.authorization import AuthorizeResult

from bot.domain.errors import NotInstalled, TokenNotRenewed, TokenUnreadable
from bot.slack.gateway import Account, Gateway, SlackFailure

log = logging.getLogger(__name__)

_delivery: ContextVar[Gateway | None] = ContextVar("gateway of the delivery", default=None)


class Teams(Protocol):
    """Knows the gateway of each workspace."""

    async def of(self, team: str) -> Gateway:
        """The workspace's. Raises NotInstalled, TokenUnreadable, TokenNotRenewed, StorageFailed."""

    async def refused(self, team: str, gateway: Gateway, failure: SlackFailure) -> None:
        """A call with this gateway failed: see whether the workspace still wants us. Never raises."""


class OneTeam:
    """Everything is done with one static token."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def of(self, team: str) -> Gateway:
        """The only one."""
        return self._gateway

    async def refused(self, team: str, gateway: Gateway, failure: SlackFailure) -> None:
        """Whoever runs the bot has to look after its token; until then everything waits."""


class DeliveryGateway(Gateway):
    """The gateway of the workspace that the delivery at hand came from."""

    def __init__(self) -> None:
        """Knows nothing itself."""

    @property
    def account(self) -> Account:
        """Whom the calls are made as. Raises RuntimeError outside a delivery."""
        gateway = _delivery.get()
        if gateway is None:
            raise RuntimeError("no delivery is at hand, so no workspace is meant")
        return gateway.account


def authorize_by(teams: Teams) -> Callable[..., Awaitable[Any]]:
    """Whom Bolt acts as: the bot of the workspace that a delivery came from; nobody where it is not ours."""

    async def authorize(team_id: str | None) -> AuthorizeResult | None:
        if not team_id:
            log.warning("a delivery names no workspace: installations of organizations are not supported")
            return None
        try:
            gateway = await teams.of(team_id)
        except (NotInstalled, TokenNotRenewed, TokenUnreadable) as error:
            log.warning("a delivery is turned away: %s", error)
            return None
        account = gateway.account
        return AuthorizeResult(
            enterprise_id=None,
            team_id=team_id,
            bot_token=account.client.token,
            bot_id=account.bot,
            bot_user_id=account.user,
        )

    return authorize


def delivery_middleware(teams: Teams) -> Callable[..., Awaitable[Any]]:
    """Bolt middleware that tells `DeliveryGateway` the workspace; deliveries about leaving have none.

    Bolt goes on with the listeners after this has returned, so nothing is set back here: each delivery says
    anew whose it is, and what it begins keeps that (a task copies the context it was made in).
    """

    async def at_hand(context: Any, next: Callable[[], Awaitable[Any]]) -> Any:
        _delivery.set(await teams.of(str(context.team_id)) if context.get("token") else None)
        return await next()

    return at_hand
