"""A small Slack on loopback: the Web API, Socket Mode, signed HTTP delivery and a page for people.

It knows nothing of any app in particular: an app is registered from its manifest and talks over the wire.
"""

from bot.workspace.manifest import Installation
from bot.workspace.server import Workspace

__all__ = ["Installation", "Workspace"]
