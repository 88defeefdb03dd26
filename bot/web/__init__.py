"""The HTTP side: health pages, Slack's signed deliveries in HTTP mode, and hooks for other systems."""

from bot.web.ci_hooks import CiHooks
from bot.web.hooks import Hooks
from bot.web.server import WebServer, application

__all__ = ["CiHooks", "Hooks", "WebServer", "application"]
