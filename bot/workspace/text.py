"""Slack's text: escaping what people type, resolving names, finding mentions (Slack docs: Formatting)."""

from __future__ import annotations

import json
import re
from typing import Any

from bot.workspace.state import State

Json = dict[str, Any]

_URL = re.compile(r"https?://[^\s<>|]+[^\s<>|.,;:!?)\]'\"]")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
_GROUP = re.compile(r"<!subteam\^(S[A-Z0-9]+)(?:\|[^>]*)?>")
_CHANNEL_WORD = re.compile(r"<!(?:channel|here|everyone)(?:\|[^>]*)?>")
_CHANNEL = re.compile(r"(?<![\w<#&])#([\w-]+)")
_REFERENCE = re.compile(r"<([@#])([A-Z0-9]+)(?:\|[^>]*)?>")


def escape(text: str) -> str:
    """The three characters Slack escapes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _names(state: State) -> dict[str, str]:
    found: dict[str, str] = {}
    for user_id, user in state.users.items():
        for name in (user["name"], user["display_name"], user["real_name"]):
            found.setdefault(name.lower(), user_id)
    for group_id, group in state.usergroups.items():
        found.setdefault(group["handle"].lower(), group_id)
    return found


def _user_pattern(names: dict[str, str]) -> re.Pattern[str]:
    words = "|".join(re.escape(escape(name)) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![\w<@])@({words})(?![\w-])", re.IGNORECASE)


def compose(state: State, text: str, *, labelled: bool = False) -> str:
    """What a person typed, as Slack sends it on: escaped, links in brackets, names resolved to ids.

    `labelled` gives the form of escaped command text: `<@U…|name>`, `<#C…|name>`.
    """
    names = _names(state)
    channels = {c["name"]: c["id"] for c in state.channels.values() if c["name"]}

    def user(found: re.Match[str]) -> str:
        user_id = names[found[1].lower()]
        if user_id in state.usergroups:
            return f"<!subteam^{user_id}{f'|@{found[1]}' if labelled else ''}>"
        label = f"|{state.users[user_id]['name']}" if labelled else ""
        return f"<@{user_id}{label}>"

    def channel(found: re.Match[str]) -> str:
        channel_id = channels.get(found[1])
        if channel_id is None:
            return found[0]
        return f"<#{channel_id}|{found[1] if labelled else ''}>"

    parts: list[str] = []
    rest = text
    pattern = _user_pattern(names)
    while rest:
        link = _URL.search(rest)
        plain = rest if link is None else rest[: link.start()]
        done = escape(plain)
        done = _CHANNEL.sub(channel, pattern.sub(user, done))
        if not labelled:
            done = re.sub(r"(?<![\w<])@(channel|here|everyone)(?!\w)", r"<!\1>", done)
        parts.append(done)
        if link is None:
            break
        parts.append(f"<{escape(link[0])}>")
        rest = rest[link.end() :]
    return "".join(parts)


def mentioned(state: State, message: Json) -> set[str]:
    """Ids of the users a message mentions: by name, by user group, in text or blocks."""
    text = str(message.get("text") or "")
    blocks = message.get("blocks")
    if blocks:
        text += json.dumps(blocks)
    users = set(_MENTION.findall(text))
    users.update(re.findall(r'"user_id": "([UW][A-Z0-9]+)"', text))
    for group in _GROUP.findall(text):
        users.update(state.usergroups.get(group, {}).get("users", []))
    return users


def alerts_channel(message: Json) -> bool:
    """Whether a message calls everybody (`<!here>`, `<!channel>`)."""
    return bool(
        _CHANNEL_WORD.search(str(message.get("text") or "") + json.dumps(message.get("blocks") or []))
    )


def unknown_references(state: State, text: str) -> list[str]:
    """Mentions of users and channels that do not exist: Slack would show them as they stand."""
    known = {"@": state.users, "#": state.channels}
    return [found[0] for found in _REFERENCE.finditer(text) if found[2] not in known[found[1]]]


def plain(state: State, text: str) -> str:
    """Text as a notification shows it: names instead of ids, entities undone."""

    def name(found: re.Match[str]) -> str:
        if found[1] == "@":
            return "@" + str(state.users.get(found[2], {}).get("display_name", found[2]))
        return "#" + str(state.channels.get(found[2], {}).get("name", found[2]))

    shown = _REFERENCE.sub(name, text)
    shown = _GROUP.sub(lambda found: f"@{state.usergroups.get(found[1], {}).get('handle', 'group')}", shown)
    shown = re.sub(r"<!(\w+)[^>]*>", r"@\1", shown)
    shown = re.sub(r"<[^|>]+\|([^>]+)>", r"\1", shown)
    shown = re.sub(r"<([^>]+)>", r"\1", shown)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
