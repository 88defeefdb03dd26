"""Inline Markdown: a line's tokens, its plain text, its source on one line."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

#: Tags that only format; anything else in angle brackets is the author's text, e.g. `<service>`.
FORMATTING = frozenset(
    [
        "a",
        "abbr",
        "b",
        "br",
        "cite",
        "code",
        "dd",
        "del",
        "details",
        "dl",
        "dt",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "mark",
        "p",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
_TAG = re.compile(r"</?([A-Za-z][\w-]*)[^>]*>")
_COMMENT = re.compile(r"[ \t]*<!--.*?-->[ \t]*", re.DOTALL)
_KEY = re.compile(r"<!--\s*id:\s*([^\s>]+)\s*-->")


@cache
def parser() -> MarkdownIt:
    """CommonMark with GFM's tables and strikethrough. Links are taken as written, whatever their scheme."""
    markdown = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])
    markdown.use(front_matter_plugin)
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]
    return markdown


def tokens(text: str) -> Sequence[Token]:
    """The tokens of one line of inline Markdown."""
    [inline] = parser().parseInline(text)
    return inline.children or ()


def is_formatting_tag(source: str) -> bool:
    """Whether an inline HTML token is a comment or only formats."""
    tag = _TAG.fullmatch(source)
    return source.startswith("<!--") or (tag is not None and tag[1].casefold() in FORMATTING)


def plain(text: str) -> str:
    """What a reader of the rendered line reads; a link is its label, an image its description."""
    return " ".join("".join(_words(tokens(text))).split())


def _words(line: Sequence[Token]) -> Iterator[str]:
    for token in line:
        if token.type in ("text", "text_special", "code_inline"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type == "image":
            yield token.content
        elif token.type == "html_inline" and not is_formatting_tag(token.content):
            yield html.unescape(token.content)


def one_line(source: str, references: Mapping[str, Any] | None = None) -> str:
    """The source on one line, without comments, with reference links written out."""
    text = _COMMENT.sub(" ", source) if "<!--" in source else source
    # A backslash or two spaces at the end of a line is a line break.
    text = re.sub(r"\\?[ \t]*\n[ \t]*", " ", text).strip()
    return _written_out(text, references) if references else text


def explicit_key(source: str) -> str | None:
    """The key of `<!-- id: key -->` in the line, or None."""
    found = _KEY.search(source)
    return found[1] if found else None


_REFERENCE = re.compile(
    r"(`+)[^`].*?\1|(?<!\\)(!?)\[((?:[^\[\]\\]|\\.)+)\](?:\[((?:[^\[\]\\]|\\.)*)\])?(?![(:])"
)


def _written_out(text: str, references: Mapping[str, Any]) -> str:
    def link(match: re.Match[str]) -> str:
        if match[3] is None:
            return match[0]  # a code span
        known = references.get(normalizeReference(match[4] or match[3]))
        return match[0] if known is None else f"{match[2]}[{match[3]}](<{known['href']}>)"

    return _REFERENCE.sub(link, text)
