"""The HTTP side: health pages, Slack's signed deliveries in HTTP mode, and alerts of other systems."""

from bot.web.hooks import Hooks
from bot.web.server import WebServer, application

__all__ = ["Hooks", "WebServer", "application"]
