"""Inline Markdown as Slack's mrkdwn, and as plain text (Slack docs: formatting text for app surfaces)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import quote

from markdown_it.token import Token

from bot.checklists.inline import is_formatting_tag, tokens
from bot.templates import escape

#: Keeps Slack from reading formatting into literal characters; takes no room.
BREAK = "\u2060"
#: Schemes Slack makes links of.
_SCHEMES = ("http://", "https://", "mailto:")
_MARKS = {
    "strong_open": "*",
    "strong_close": "*",
    "em_open": "_",
    "em_close": "_",
    "s_open": "~",
    "s_close": "~",
}
#: Where Slack would see formatting in literal text: a mark after a boundary, and its twin before one.
_WOULD_FORMAT = re.compile(r"(?<![\w*_~`])([*_~`])(?=[^\s])([^\n]*?)(?<=[^\s])\1(?![\w*_~`])")


def mrkdwn(text: str) -> str:
    """One line of inline Markdown as mrkdwn. What the author typed literally stays literal."""
    return _drawn(tokens(text)).strip()


def _drawn(line: Sequence[Token]) -> str:
    parts: list[str] = []
    hrefs: list[tuple[str, int]] = []
    for token in line:
        match token.type:
            case "text" | "text_special":
                parts.append(_literal(token.content))
            case "code_inline":
                content = escape(token.content.replace("`", "ˋ"))
                parts.append(f"`{content}`")
            case "softbreak" | "hardbreak":
                parts.append(" ")
            case "link_open":
                hrefs.append((str(token.attrGet("href") or ""), len(parts)))
            case "link_close":
                href, start = hrefs.pop()
                label = "".join(parts[start:])
                parts[start:] = [_link(href, label)]
            case "image":
                parts.append(_link(str(token.attrGet("src") or ""), escape(token.content) or "image"))
            case "html_inline" if not is_formatting_tag(token.content):
                parts.append(escape(token.content))
            case kind if kind in _MARKS:
                parts.append(_MARKS[kind])
    return _marks_apart(parts)


def _marks_apart(parts: Sequence[str]) -> str:
    """The parts joined, with a break where a mark touches a letter: Slack formats whole words only."""
    joined = ""
    marks = set(_MARKS.values())
    opened: list[str] = []
    for part in parts:
        if part in marks:
            closing = bool(opened) and opened[-1] == part
            if closing:
                opened.pop()
            else:
                opened.append(part)
                if joined and (joined[-1].isalnum() or (joined[-1] in marks and joined[-1] == part)):
                    joined += BREAK
            joined += part
            if closing:
                joined += "\0"  # a break if a letter follows
            continue
        if part:
            follows = joined.endswith("\0") and part[0].isalnum()
            joined = joined.removesuffix("\0") + (BREAK if follows else "") + part
    return joined.replace("\0", "")


def _literal(text: str) -> str:
    broken = _WOULD_FORMAT.sub(lambda m: f"{m[1]}{BREAK}{m[2]}{m[1]}", text)
    return escape(broken)


def _link(href: str, label: str) -> str:
    if not href.startswith(_SCHEMES):
        return f"{label} ({escape(href)})" if href and href not in label else label
    url = quote(href, safe="!#$%&'()*+,/:;=?@[]~-._").replace("&", "&amp;").replace("|", "%7C")
    return f"<{url}|{label.replace('|', '¦').replace('>', '›') if '<' in label else label.replace('|', '¦')}>"


def plain(text: str) -> str:
    """One line of inline Markdown as plain text; a link is its label with the address after it."""
    parts: list[str] = []
    hrefs: list[tuple[str, int]] = []
    for token in tokens(text):
        match token.type:
            case "text" | "text_special" | "code_inline":
                parts.append(token.content)
            case "softbreak" | "hardbreak":
                parts.append(" ")
            case "link_open":
                hrefs.append((str(token.attrGet("href") or ""), len(parts)))
            case "link_close":
                href, start = hrefs.pop()
                label = "".join(parts[start:])
                parts[start:] = [
                    label if not href or href in (label, f"mailto:{label}") else f"{label} ({href})"
                ]
            case "image":
                parts.append(token.content)
            case "html_inline" if not is_formatting_tag(token.content):
                parts.append(token.content)
    return " ".join("".join(parts).split())


def length(text: str) -> int:
    """The length as Slack may count it: characters or UTF-16 units, whichever are more."""
    return max(len(text), len(text.encode("utf-16-le", "surrogatepass")) // 2)


def shorten(text: str, limit: int) -> str:
    """The text, cut with an ellipsis where it is longer than `limit`.

    Cuts between words where it can; never inside an entity, a link, or what people see as one character.
    """
    if length(text) <= limit:
        return text
    end = min(limit - 1, len(text))
    while end > 0 and (length(text[:end]) > limit - 1 or _joined(text, end)):
        end -= 1
    space = text.rfind(" ", int(end * 0.6), end)
    end = space if space > 0 else end
    for opening, closing in (("<", ">"), ("&", ";")):
        start = text.rfind(opening, 0, end)
        if start >= 0 and closing not in text[start:end] and closing in text[start:]:
            inside = text[start : text.index(closing, start)]
            if opening == "<" or re.fullmatch(r"&#?\w{1,8}", inside):
                end = start
    return f"{text[:end].rstrip()}…"


def _joined(text: str, at: int) -> bool:
    """Whether the character at this place belongs to the one before it."""
    if at >= len(text):
        return False
    char, before = text[at], text[at - 1]
    return (
        unicodedata.combining(char) != 0
        or char in "\u200d\ufe0e\ufe0f"
        or before == "\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or ("\U0001f1e6" <= char <= "\U0001f1ff" and "\U0001f1e6" <= before <= "\U0001f1ff")
    )
