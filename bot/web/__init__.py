"""The HTTP side: health pages, Slack's signed deliveries in HTTP mode, other systems' alerts, installing."""

from bot.web.hooks import Hooks
from bot.web.install import InstallPages
from bot.web.server import WebServer, application

__all__ = ["Hooks", "InstallPages", "WebServer", "application"]
