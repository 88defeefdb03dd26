"""What search engines read of a page: title, description, robots, canonical address, Open Graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser

from bot.checks.kind import Broken, Context, Refused, TargetDown

#: Names under which a page speaks to robots that matter for being found.
_ROBOTS = ("robots", "googlebot", "bingbot")
#: What a shared link needs to look right (the Open Graph protocol's required and customary properties).
OPEN_GRAPH = ("og:title", "og:type", "og:image", "og:url")


@dataclass(frozen=True, kw_only=True)
class Tags:
    """What one page says."""

    title: str
    description: str
    #: Where it says that it must not be found: `meta robots`, `X-Robots-Tag`; empty where it does not.
    noindex: str
    canonical: str
    #: Open Graph properties that are missing.
    missing_open_graph: tuple[str, ...]


def read_tags(tree: LexborHTMLParser, url: str, headers: Mapping[str, str]) -> Tags:
    """The tags of a page."""
    title = tree.css_first("head title") or tree.css_first("title")
    described = _meta(tree, "name", "description")
    canonical = tree.css_first("link[rel~='canonical'][href]")
    return Tags(
        title=title.text(strip=True) if title is not None else "",
        description=described,
        noindex=_noindex(tree, headers),
        canonical=urljoin(url, (canonical.attributes.get("href") or "").strip())
        if canonical is not None
        else "",
        missing_open_graph=tuple(name for name in OPEN_GRAPH if not _meta(tree, "property", name)),
    )


def forbids_all(robots: str) -> bool:
    """Whether a robots.txt keeps every robot, or Google's, out of the whole site (RFC 9309)."""
    agents: set[str] = set()
    reading_rules = False
    rules: dict[str, list[tuple[str, str]]] = {}
    for line in robots.splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().casefold(), value.strip()
        if not colon:
            continue
        if name == "user-agent":
            agents, reading_rules = (agents if not reading_rules else set()) | {value.casefold()}, False
            rules.update({agent: rules.get(agent, []) for agent in agents})
        elif name in ("allow", "disallow"):
            reading_rules = True
            for agent in agents:
                rules[agent].append((name, value))
    for agent in ("googlebot", "*"):
        if agent in rules:
            paths = {value: name for name, value in rules[agent] if value in ("/", "/*", "*")}
            # Of equally long paths the one that allows wins.
            return bool(paths) and "allow" not in paths.values()
    return False


def sitemaps(robots: str) -> list[str]:
    """The sitemaps a robots.txt names."""
    return re.findall(r"(?im)^\s*sitemap\s*:\s*(\S+)", robots)


def is_robots_txt(text: str, content_type: str) -> bool:
    """Whether an answer is a robots.txt and not a page in its place."""
    if "html" in content_type.casefold() or text.lstrip()[:1] == "<":
        return False
    return re.search(r"(?im)^\s*(user-agent|sitemap)\s*:", text) is not None


def is_sitemap(text: str) -> bool:
    """Whether an answer is a sitemap: XML, or one address a line."""
    head = text.lstrip("\ufeff \r\n\t")[:2000]
    if re.search(r"<(?:\w+:)?(urlset|sitemapindex)[\s>]", head):
        return True
    return bool(head) and all(line.startswith(("http://", "https://")) for line in head.splitlines()[:3])


async def robots_and_sitemap(url: str, context: Context) -> tuple[str | None, bool | None]:
    """A site's robots.txt or None, and whether it has a sitemap; None where that may not be fetched."""
    answer = await context.web.request("GET", urljoin(url, "/robots.txt"))
    is_one = answer.status == 200 and is_robots_txt(answer.text, answer.headers.get("content-type", ""))
    robots = answer.text if is_one else None
    for where in [*(sitemaps(robots) if robots else []), urljoin(url, "/sitemap.xml")]:
        try:
            found = await context.web.request("GET", urljoin(url, where))
        except Refused:
            return robots, None
        except (TargetDown, Broken):
            continue
        packed = where.endswith(".gz")
        if found.status == 200 and (packed or is_sitemap(found.text)):
            return robots, True
    return robots, False


def host_of(url: str) -> str:
    """The host of an address, in lower case."""
    return (urlsplit(url).hostname or "").casefold()


def _meta(tree: LexborHTMLParser, attribute: str, name: str) -> str:
    for node in tree.css(f"meta[{attribute}]"):
        if (node.attributes.get(attribute) or "").strip().casefold() == name:
            return (node.attributes.get("content") or "").strip()
    return ""


def _noindex(tree: LexborHTMLParser, headers: Mapping[str, str]) -> str:
    for name in _ROBOTS:
        if _says_noindex(_meta(tree, "name", name)):
            return f"meta {name}"
    # `otherbot: noindex` speaks to one robot only. Several headers come joined by commas, so that a bare
    # rule after a named one may belong to either: it counts for everybody, the graver reading.
    for part in headers.get("x-robots-tag", "").split(","):
        named, colon, rest = (piece.strip().casefold() for piece in part.partition(":"))
        if _says_noindex(rest if colon else named) and (not colon or named in _ROBOTS):
            return "X-Robots-Tag"
    return ""


def _says_noindex(rules: str) -> bool:
    return any(rule.strip().casefold() in ("noindex", "none") for rule in rules.split(","))
