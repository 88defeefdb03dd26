"""The HTTP side: health pages, Slack's signed deliveries in HTTP mode, other systems' hooks, installing."""

from bot.web.ci_hooks import CiHooks
from bot.web.hooks import Hooks
from bot.web.install import InstallPages
from bot.web.server import WebServer, application

__all__ = ["CiHooks", "Hooks", "InstallPages", "WebServer", "application"]
