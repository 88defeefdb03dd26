"""Lines of mrkdwn for those who hear them instead of seeing them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from bot.slack.blocks import words


def heard(line: str, names: Mapping[str, str]) -> str:
    """Plain text: names for mentions, the fallback of dates, the words of links, no marks of bold text."""
    named = re.sub(r"<@([UW]\w+)>", lambda found: words.name_of(found[1], names), line)
    named = re.sub(r"<!subteam\^(\w+)>", lambda found: names.get(found[1], "the user group"), named)
    dated = re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", named)
    linked = re.sub(r"<https?:[^|>]*\|([^>]*)>", r"\1", dated)
    return html.unescape(linked.replace("*", ""))
