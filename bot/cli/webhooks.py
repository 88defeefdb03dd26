"""`deploybot webhook-schema`: what receivers of the bot's webhooks get."""

from __future__ import annotations

import json
import sys

from bot.domain.outbound import message_schema


def schema() -> None:
    """Print the JSON Schema of the bodies that are sent to DEPLOYBOT_WEBHOOK_URLS."""
    json.dump(message_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")
