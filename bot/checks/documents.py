"""What a Markdown document has: filled sections, links, names; and whether a changelog tells of a version."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

#: Tokens that are content of a section, unless they are its heading's.
_CONTENT = ("inline", "fence", "code_block", "html_block")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document, read."""

    #: Headings that have text, a list, a table or code under them.
    filled: tuple[str, ...]
    #: Headings with nothing under them.
    empty: tuple[str, ...]
    links: tuple[str, ...]
    text: str

    def missing_headings(self, wanted: Iterable[str]) -> list[str]:
        """Those that no filled heading names."""
        return [
            f"{name} (empty)" if _named(name, self.empty) else name
            for name in wanted
            if not _named(name, self.filled)
        ]

    def missing_names(self, wanted: Iterable[str]) -> list[str]:
        """Those that do not appear as a word of their own."""
        return [name for name in wanted if not _word(name, self.text)]


def read(text: str) -> Document:
    """A Markdown document."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings: list[tuple[int, str, bool]] = []
    links: dict[str, None] = {}
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            headings.append((int(token.tag[1:]), _plain(tokens[at + 1].content), False))
        elif token.type in _CONTENT and (at == 0 or tokens[at - 1].type != "heading_open"):
            headings = _fill(headings)
        links |= dict.fromkeys(_links(token))
    return Document(
        filled=tuple(title for _, title, full in headings if full),
        empty=tuple(title for _, title, full in headings if not full),
        links=tuple(links),
        text=text,
    )


def changelog_lines(text: str, tag: str) -> int | None:
    """Lines of content in a changelog's section for a tag (`## [1.4.2] – …`); None where it has none."""
    tokens = MarkdownIt("commonmark").parse(text)
    level, count = 0, None
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            depth = int(token.tag[1:])
            if count is not None and depth <= level:
                break
            if count is None and _word(tag.removeprefix("v"), tokens[at + 1].content, prefix="v?"):
                level, count = depth, 0
        elif count is not None and token.map and token.type in _CONTENT:
            heading = tokens[at - 1].type == "heading_open"
            count += 0 if heading else token.map[1] - token.map[0]
    return count


def relative(document: str, link: str) -> str | None:
    """The path in the repository a relative link leads to; None for any other link."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or not parts.path:
        return None
    path = unquote(parts.path)
    if path.startswith("/"):
        return posixpath.normpath(path.lstrip("/"))
    return posixpath.normpath(posixpath.join(posixpath.dirname(document), path))


def _fill(headings: Sequence[tuple[int, str, bool]]) -> list[tuple[int, str, bool]]:
    """Content belongs to the last heading and to those it lies under."""
    filled = list(headings)
    depth = 7
    for at in reversed(range(len(filled))):
        level, title, full = filled[at]
        if level < depth:
            depth = level
            filled[at] = (level, title, True)
            if full:
                break
    return filled


def _links(token: Token) -> Iterable[str]:
    for child in token.children or ():
        target = child.attrs.get("href") if child.type == "link_open" else child.attrs.get("src")
        if target:
            yield str(target)


def _plain(heading: str) -> str:
    return re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip()


def _named(name: str, headings: Iterable[str]) -> bool:
    return any(_word(name.casefold(), heading.casefold()) for heading in headings)


def _word(name: str, text: str, *, prefix: str = "") -> bool:
    """Whether a name stands in a text by itself: 1.4.2 neither in 1.4.20 nor in 1.4.2-rc1."""
    return re.search(rf"(?<![\w.-]){prefix}{re.escape(name)}(?!\w|[.-]\w)", text) is not None
