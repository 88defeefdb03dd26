"""Every part of a running workspace, in one value that request handlers get."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.workspace.base import Base
from bot.workspace.delivery import Delivery
from bot.workspace.events import Events
from bot.workspace.interactions import Interactions
from bot.workspace.messages import Messages
from bot.workspace.respond import Responder
from bot.workspace.socket_mode import SocketMode
from bot.workspace.triggers import Triggers
from bot.workspace.views import Views

#: Called with the seconds a person moved the clock forward.
ForwardHook = Callable[[float], Awaitable[None] | None]


@dataclass(kw_only=True)
class Parts:
    """The parts, wired."""

    base: Base
    sockets: SocketMode
    delivery: Delivery
    events: Events
    messages: Messages
    triggers: Triggers
    views: Views
    responder: Responder
    interactions: Interactions
    on_forward: ForwardHook | None = None

    async def forward(self, seconds: float) -> float:
        """Move the clock forward, an embedding app's first; every page hears of it. Returns the new time."""
        if seconds < 0:
            raise ValueError("time only moves forward")
        if self.on_forward is not None:
            moved = self.on_forward(seconds)
            if inspect.isawaitable(moved):
                await moved
        now = self.base.clock.forward(seconds)
        self.base.store.put("clock", "offset", self.base.clock.offset)
        self.base.audience.tell_all({"type": "clock", "now": now})
        return now


def wire(base: Base, on_forward: ForwardHook | None = None, *, sockets: SocketMode | None = None) -> Parts:
    """Put the parts together. A second team's envelopes go over the first one's `sockets`: an app has one
    connection for all."""
    sockets = sockets or SocketMode(base)
    delivery = Delivery(base, sockets)
    events = Events(base, delivery)
    messages = Messages(base, events)
    triggers = Triggers(base)
    views = Views(base)
    responder = Responder(base, messages, triggers)
    interactions = Interactions(
        base,
        delivery=delivery,
        messages=messages,
        triggers=triggers,
        views=views,
        responder=responder,
    )
    return Parts(
        base=base,
        sockets=sockets,
        delivery=delivery,
        events=events,
        messages=messages,
        triggers=triggers,
        views=views,
        responder=responder,
        interactions=interactions,
        on_forward=on_forward,
    )
