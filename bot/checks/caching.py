"""What caches do with answers: how long they keep them, whether they held them, which files never change."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser

from bot.checks.kind import Answer

YEAR_S = 365 * 86400
#: Headers in which caches tell whether they held an answer.
HIT_HEADERS = (
    *("cf-cache-status", "x-cache", "x-cache-status", "x-proxy-cache", "x-vercel-cache", "cdn-cache"),
    *("x-nextjs-cache", "x-cdn-cache", "x-cache-lookup", "x-rack-cache", "x-drupal-cache", "x-varnish-cache"),
)
_HIT = re.compile(r"hit\b|\b(?:revalidated|updating|stale)\b", re.IGNORECASE)
_MISS = re.compile(r"miss\b|\b(?:expired|bypass|pass|dynamic|none|prerender|error)\b", re.IGNORECASE)
#: The last part of a file name before its extensions, where bundlers put the hash.
_HASH = re.compile(
    r"[.~_-](?P<hash>[A-Za-z0-9_-]{8,64})(?:\.(?:min|chunk|bundle|module))*(?:\.[a-z0-9]{1,8}){1,2}$"
)


def directives(answer: Answer) -> dict[str, str]:
    """Cache-Control's directives, lower-case, with their values."""
    found: dict[str, str] = {}
    for part in answer.headers.get("cache-control", "").split(","):
        name, _, value = part.strip().partition("=")
        if name:
            found.setdefault(name.casefold(), value.strip('" '))
    return found


def freshness(answer: Answer, *, shared: bool = False) -> float:
    """Seconds a cache serves the answer without asking again (RFC 9111, 4.2); `shared` for a CDN.

    Without a lifetime, browsers take a tenth of the time since the last change (RFC 9111, 4.2.2).
    """
    told = directives(answer)
    if "no-store" in told or "no-cache" in told or (shared and "private" in told):
        return 0.0
    for name in ("s-maxage", "max-age") if shared else ("max-age",):
        if told.get(name, "").isdecimal():
            return float(told[name])
    date = _date(answer.headers.get("date"))
    if date is None:
        return 0.0
    if "expires" in answer.headers:
        expires = _date(answer.headers["expires"])
        return max((expires - date).total_seconds(), 0.0) if expires is not None else 0.0
    changed = _date(answer.headers.get("last-modified"))
    return max((date - changed).total_seconds() / 10, 0.0) if changed is not None else 0.0


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def age(answer: Answer) -> int | None:
    """Seconds since the origin gave the answer, as a cache tells it; None where none does."""
    told = answer.headers.get("age", "").strip()
    return int(told) if told.isdecimal() else None


def was_hit(answer: Answer, extra: Sequence[str] = ()) -> bool | None:
    """Whether a cache held the answer; None where none tells. `extra` are more headers that do."""
    status = answer.headers.get("cache-status", "").casefold()
    if status:  # RFC 9211
        return re.search(r";\s*hit\b(?!\s*=\s*\?0)", status) is not None
    timing = re.search(
        r'cdn-cache\s*;\s*desc="?(\w+)', answer.headers.get("server-timing", ""), re.IGNORECASE
    )
    told = [answer.headers.get(name.casefold(), "") for name in (*extra, *HIT_HEADERS)]
    if timing:
        told.append(timing[1])
    for value in told:
        # Tiers answer together (`MISS, HIT`): a hit at one of them kept the request from the origin.
        if value and _HIT.search(value):
            return True
    for value in told:
        if value and _MISS.search(value):
            return False
    return True if (age(answer) or 0) > 0 else None


def names_its_content(url: str) -> bool:
    """Whether a file's name holds a hash of its content, as bundlers write it.

    Hexadecimal with digits and letters (webpack, Parcel), eight of base64url (Vite) or of base32 (esbuild).
    The latter two must change between kinds of characters too often for a word with a number, `iPhone15`.
    """
    name = urlsplit(url).path.rpartition("/")[2]
    found = _HASH.search(name)
    if found is None:
        return False
    # A separator may also stand inside a base64url hash; what follows the last one is tried as well.
    for text in {found["hash"], re.split(r"[_-]", found["hash"])[-1]}:
        kinds = [0 if c.isdigit() else 1 if c.isupper() else 2 if c.islower() else 3 for c in text]
        if len(text) < 8 or 0 not in kinds or re.fullmatch(r"\d+[xX]\d+", text):
            continue
        if re.fullmatch(r"[0-9a-f]+", text) and 2 in kinds:
            return True
        changes = sum(left != right for left, right in itertools.pairwise(kinds))
        if len(text) == 8 and 1 in kinds and changes >= (4 if {2, 3} & set(kinds) else 2):
            return True
    return False


def linked_assets(html: str, url: str) -> list[str]:
    """The scripts, styles, preloads, icons and images a page loads, as absolute http(s) URLs, in order."""
    page = LexborHTMLParser(html)
    base = page.css_first("base[href]")
    start = urljoin(url, (base.attributes.get("href") or "") if base is not None else "")
    found: dict[str, None] = {}
    for node in page.css("script[src], link[href], img[src]"):
        attributes = node.attributes
        if node.tag == "link":
            relations = (attributes.get("rel") or "").casefold().split()
            if not {"stylesheet", "modulepreload", "preload", "icon"} & set(relations):
                continue
        target = (attributes.get("href") if node.tag == "link" else attributes.get("src")) or ""
        absolute = urljoin(start, target.strip()).partition("#")[0]
        if target.strip() and absolute.startswith(("http://", "https://")):
            found.setdefault(absolute)
    return list(found)


def host_of(url: str) -> str:
    """The host and port of a URL, lower-case."""
    return urlsplit(url).netloc.rpartition("@")[2].casefold()


def encoding(headers: Mapping[str, str]) -> str:
    """The content encoding, `identity` where there is none."""
    return headers.get("content-encoding", "").strip().casefold() or "identity"
