"""One page and the files it names: what a browser would load first, seen without a browser.

What scripts add later is not seen: a page that is built by JavaScript shows its scripts and styles here, not
its images. Every request goes through the allow-list; how many and how much is bounded.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urldefrag, urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from bot.checks.kind import Answer, Broken, Context, NoData, Refused, TargetDown

#: Most files fetched of one page, most bytes of one file and of all together.
FILES, FILE_BYTES, ALL_BYTES = 80, 8_000_000, 60_000_000
#: Files fetched at once: what a browser opens to one host over HTTP/1.1.
AT_ONCE = 6
PAGE_BYTES = 4_000_000

#: `type` attributes that make a script JavaScript (HTML standard, 4.12.1).
_JAVASCRIPT = frozenset(
    {"", "module", "text/javascript", "application/javascript", "text/ecmascript", "application/x-javascript"}
)
_NOSCRIPT = re.compile(rb"<noscript\b[^>]*>.*?</noscript\s*>", re.IGNORECASE | re.DOTALL)
_CSS_URL = re.compile(r"""url\(\s*(['"]?)([^'")]+)\1\s*\)""")
_CSS_IMPORT = re.compile(r"""@import\s+(?:url\(\s*)?['"]?([^'")\s;]+)""")


class Role(StrEnum):
    """What a page loads a file as."""

    SCRIPT = "script"
    STYLE = "style"
    IMAGE = "image"
    FONT = "font"
    MANIFEST = "manifest"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A file that a page names."""

    url: str
    role: Role
    #: Width in CSS pixels it is shown at, where the page says so and offers one file only.
    shown_width: int | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page as the server sent it."""

    url: str
    answer: Answer
    tree: LexborHTMLParser
    references: tuple[Reference, ...]
    #: The scripts and styles written into the page itself.
    inline_scripts: tuple[str, ...]
    inline_styles: tuple[str, ...]

    def of(self, *roles: Role) -> tuple[Reference, ...]:
        """Its files of these roles."""
        return tuple(one for one in self.references if one.role in roles)


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file of a page, or why it could not be had."""

    reference: Reference
    answer: Answer | None = None
    #: Why it could not be had; empty where it was.
    trouble: str = ""
    #: Not asked for at all: outside the allow-list, or beyond the bounds.
    left_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether the file came."""
        return self.answer is not None and self.answer.status == 200 and not self.trouble

    @property
    def body(self) -> bytes:
        """Its bytes without content encoding; none where it did not come."""
        return self.answer.body if self.answer is not None and self.ok else b""

    @property
    def name(self) -> str:
        """Its path, or its whole address where it is on another host."""
        return self.reference.url


@dataclass(frozen=True, kw_only=True)
class Fetches:
    """What came of fetching the files of a page."""

    all: tuple[Fetched, ...]

    @property
    def came(self) -> tuple[Fetched, ...]:
        """The files that came."""
        return tuple(one for one in self.all if one.ok)

    @property
    def broken(self) -> tuple[Fetched, ...]:
        """The files the page names and the server does not have, or does not give."""
        return tuple(one for one in self.all if not one.ok and not one.left_out)

    @property
    def left_out(self) -> tuple[Fetched, ...]:
        """The files nobody asked for."""
        return tuple(one for one in self.all if one.left_out)

    def values(self) -> dict[str, int]:
        """What every kind that fetches files observes besides its own."""
        return {"broken_files": len(self.broken), "files_left_out": len(self.left_out)}

    def remarks(self) -> list[str]:
        """A line for each file that did not come."""
        lines = [f"broken    {one.name}: {one.trouble}" for one in self.broken]
        return lines + [f"left out  {one.name}: {one.trouble}" for one in self.left_out]

    def remark(self) -> str:
        """The same in a few words, to end a summary with; empty where all came."""
        said = f"; {len(self.broken)} did not come" if self.broken else ""
        return said + (f"; {len(self.left_out)} not looked at" if self.left_out else "")

    def spoilt(self, which: Fetched, trouble: str) -> Fetches:
        """With one file that came and turned out to be something else."""
        broken = Fetched(reference=which.reference, answer=which.answer, trouble=trouble)
        return Fetches(all=tuple(broken if one is which else one for one in self.all))


#: What the values of `Fetches.values` mean.
FETCH_VALUES = {
    "broken_files": "files the page names that do not come, or come as an error page",
    "files_left_out": "files that were not looked at: on hosts that are not allowed, or beyond the bounds",
}


async def visit(url: str, context: Context) -> Page:
    """A page that answers 200 with HTML. Raises TargetDown for an error, Broken for a redirect, NoData."""
    answer = await context.web.request("GET", url, headers={"Accept": "text/html"}, max_bytes=PAGE_BYTES)
    if 300 <= answer.status < 400:
        where = urljoin(answer.url, answer.headers.get("location", ""))
        raise Broken(f"{url} redirects to {where}: give the page's final address")
    if answer.status != 200:
        raise TargetDown(f"{url} answers {answer.status}")
    media = answer.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if media not in ("text/html", "application/xhtml+xml"):
        raise Broken(f"{url} is no HTML page: its content type is {media or 'missing'}")
    if answer.truncated or len(answer.body) >= PAGE_BYTES:
        raise NoData(f"{url} is longer than {PAGE_BYTES // 1_000_000} MB")
    return read(answer)


def read(answer: Answer) -> Page:
    """A page from its answer."""
    # With scripts on, as in a browser, what stands in <noscript> is text; this parser has them off.
    tree = LexborHTMLParser(_NOSCRIPT.sub(b"", answer.body))
    base = tree.css_first("base[href]")
    root = urljoin(answer.url, (base.attributes.get("href") or "") if base is not None else "")
    found: dict[tuple[str, Role], Reference] = {}
    for node in tree.css("script[src], link[href], img, source[srcset], video[poster], [style*='url(']"):
        for role, target, width in _named_by(node):
            url = _absolute(root, target)
            if url:
                found.setdefault((url, role), Reference(url=url, role=role, shown_width=width))
    return Page(
        url=answer.url,
        answer=answer,
        tree=tree,
        references=tuple(found.values()),
        inline_scripts=tuple(
            node.text() for node in tree.css("script:not([src])") if _is_javascript(node) and node.text()
        ),
        inline_styles=tuple(node.text() for node in tree.css("style") if node.text()),
    )


async def fetch(references: Iterable[Reference], context: Context) -> Fetches:
    """Fetch files side by side, within the bounds. A file that does not come is a result, not an error."""
    wanted = tuple(dict.fromkeys(references))
    places = asyncio.Semaphore(AT_ONCE)
    budget = ALL_BYTES

    async def one(reference: Reference) -> Fetched:
        nonlocal budget
        async with places:
            if budget <= 0:
                return Fetched(reference=reference, trouble="too much to look at in all", left_out=True)
            try:
                answer = await context.web.request("GET", reference.url, max_bytes=FILE_BYTES)
            except (Refused, Broken) as refused:
                return Fetched(reference=reference, trouble=str(refused), left_out=True)
            except TargetDown as down:
                return Fetched(reference=reference, trouble=str(down))
            budget -= len(answer.body)
            return Fetched(reference=reference, answer=answer, trouble=_trouble(reference, answer))

    fetched = await asyncio.gather(*map(one, wanted[:FILES]))
    beyond = [
        Fetched(reference=reference, trouble=f"more than {FILES} files", left_out=True)
        for reference in wanted[FILES:]
    ]
    return Fetches(all=(*fetched, *beyond))


async def fetch_styles(page: Page, context: Context) -> Fetches:
    """The styles of a page and what they import, one level deep."""
    first = await fetch(page.of(Role.STYLE), context)
    known = {one.reference.url for one in first.all}
    imported = [
        Reference(url=url, role=Role.STYLE)
        for one in first.came
        for url in css_imports(one.body.decode("utf-8", "replace"), one.reference.url)
        if url not in known
    ]
    more = await fetch(imported, context)
    return Fetches(all=first.all + more.all)


def demand_some(page: Page, fetches: Fetches) -> None:
    """Raises NoData where every file was left out: nothing seen is not nothing wrong."""
    if fetches.all and len(fetches.left_out) == len(fetches.all):
        raise NoData(f"none of the {len(fetches.all)} files of {page.url} is on a host that is allowed")


def css_imports(css: str, base: str) -> list[str]:
    """The style sheets that a style sheet imports."""
    return [url for target in _CSS_IMPORT.findall(css) if (url := _absolute(base, target))]


def css_images(css: str, base: str) -> list[Reference]:
    """The images that a style sheet names."""
    urls = (_absolute(base, match[1].strip()) for match in _CSS_URL.findall(css))
    return [
        Reference(url=url, role=Role.IMAGE)
        for url in dict.fromkeys(urls)
        if url and urlsplit(url).path.casefold().endswith(IMAGE_ENDINGS)
    ]


IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".bmp", ".svg")


def path_of(url: str, page: str) -> str:
    """A file's address as people read it next to its page: without the host where that is the page's."""
    parts = urlsplit(url)
    return parts.path or "/" if parts.netloc == urlsplit(page).netloc else url


def _named_by(node: LexborNode) -> list[tuple[Role, str, int | None]]:
    given = {name: (value or "").strip() for name, value in node.attributes.items()}
    match node.tag:
        case "script":
            # `nomodule` scripts are for browsers older than 2018: nobody's first load.
            return (
                [(Role.SCRIPT, given["src"], None)]
                if _is_javascript(node) and "nomodule" not in given
                else []
            )
        case "link":
            return [(role, given["href"], None) for role in _roles_of_link(given)]
        case "img" | "source" | "video":
            several = _srcset(given.get("srcset", ""))
            width = int(given["width"]) if given.get("width", "").isdecimal() and not several else None
            own = [given.get("src", "") if node.tag == "img" else given.get("poster", "")]
            return [(Role.IMAGE, target, width) for target in [*own, *several] if target]
    return [(Role.IMAGE, match[1], None) for match in _CSS_URL.findall(given.get("style", ""))]


def _roles_of_link(given: dict[str, str]) -> Sequence[Role]:
    rels = set(given.get("rel", "").casefold().split())
    if "stylesheet" in rels and "alternate" not in rels:
        return (Role.STYLE,)
    if "modulepreload" in rels:
        return (Role.SCRIPT,)
    if "manifest" in rels:
        return (Role.MANIFEST,)
    if "preload" in rels:
        kinds = {"script": Role.SCRIPT, "style": Role.STYLE, "image": Role.IMAGE, "font": Role.FONT}
        found = kinds.get(given.get("as", "").casefold())
        return (found,) if found else ()
    return ()


def _srcset(value: str) -> list[str]:
    return [part.split()[0] for part in value.split(", ") if part.split()]


def _is_javascript(node: LexborNode) -> bool:
    return (node.attributes.get("type") or "").partition(";")[0].strip().casefold() in _JAVASCRIPT


def _absolute(base: str, target: str) -> str:
    """The http(s) address a page means, without its fragment; empty for `data:` and the like."""
    try:
        url = urldefrag(urljoin(base, target.strip())).url
    except ValueError:
        return ""
    return url if urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname else ""


def _trouble(reference: Reference, answer: Answer) -> str:
    """Why an answer is not the file: single-page applications answer with their page what they lack."""
    if answer.status != 200:
        return f"answers {answer.status}"
    if not answer.body:
        return "is empty"
    if "text/html" in answer.headers.get("content-type", "").casefold():
        return f"is an HTML page instead of a {reference.role}"
    return ""
