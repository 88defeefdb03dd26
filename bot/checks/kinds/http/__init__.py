"""Checks over HTTP and WebSocket: one module per kind, as there are many."""

from __future__ import annotations

from bot.checks.kinds.http.cookies import LoginCookies
from bot.checks.kinds.http.latency import Latency
from bot.checks.kinds.http.negative import Negative
from bot.checks.kinds.http.openapi import OpenApi
from bot.checks.kinds.http.plain import Http
from bot.checks.kinds.http.tokens import Tokens
from bot.checks.kinds.http.version import Version
from bot.checks.kinds.http.websocket import WebSocket
from bot.checks.kinds.http.whoami import WhoAmI

KINDS = (
    Http(),
    Version(),
    Latency(),
    Negative(),
    Tokens(),
    LoginCookies(),
    WhoAmI(),
    OpenApi(),
    WebSocket(),
)
