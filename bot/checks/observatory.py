"""A grade for a page's security headers, after the published scoring of the HTTP Observatory (MDN).

From 100 points, faults cost points; bonuses count only for who has 90 without them; letters go by steps of 5.
Preload lists are not looked up, so their bonus cannot be earned here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser

from bot.checks.cookies import Cookie, cookies_of
from bot.checks.csp import Policy, effective, read_policies
from bot.checks.kind import Answer
from bot.checks.redirects import WayToHttps

GRADES = ("F", "D-", "D", "D+", "C-", "C", "C+", "B-", "B", "B+", "A-", "A", "A+")
#: Lowest score of each grade, from the best.
_FROM = (
    *((100, "A+"), (90, "A"), (85, "A-"), (80, "B+"), (70, "B"), (65, "B-"), (60, "C+"), (50, "C")),
    *((45, "C-"), (40, "D+"), (30, "D"), (25, "D-"), (0, "F")),
)
#: Score without bonuses from which they count.
_BONUS_FROM = 90
SIX_MONTHS_S = 15768000
_BROAD = frozenset({"ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"})
_UNSAFE = _BROAD | {"'unsafe-inline'", "data:"}


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What one look at a page brought."""

    page: Answer
    #: The page asked for on behalf of a foreign origin, and that origin.
    foreign: Answer
    origin: str
    #: What http:// leads to; None where nothing answers there or it was not asked.
    way: WayToHttps | None = None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What one test gave."""

    test: str
    points: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Grade:
    """The result of all tests."""

    score: int
    grade: str
    marks: tuple[Mark, ...]


def grade(visit: Visit) -> Grade:
    """Mark a visit."""
    marks = tuple(
        Mark(test=name, points=points, text=text)
        for name, test in _TESTS.items()
        for points, text in [test(visit)]
    )
    score = 100 + sum(mark.points for mark in marks if mark.points < 0)
    if score >= _BONUS_FROM:
        score += sum(mark.points for mark in marks if mark.points > 0)
    score = max(score, 0)
    letter = next(name for least, name in _FROM if score >= least)
    return Grade(score=score, grade=letter, marks=marks)


def policies_of(page: Answer) -> list[Policy]:
    """The enforced policies of a page, from its header and its `<meta>` elements."""
    found = read_policies(page.headers.get("content-security-policy", ""))
    for content in _meta(page, "http-equiv", "content-security-policy"):
        found += read_policies(content, meta=True)
    return found


def hsts_max_age(answer: Answer) -> int | None:
    """Seconds of Strict-Transport-Security (RFC 6797); None where it is absent or cannot be read."""
    found = re.search(
        r'(?:^|;)\s*max-age\s*=\s*"?(\d+)"?\s*(?:;|$)',
        answer.headers.get("strict-transport-security", ""),
        re.IGNORECASE,
    )
    return int(found[1]) if found else None


def _meta(page: Answer, attribute: str, name: str) -> list[str]:
    if "html" not in page.headers.get("content-type", ""):
        return []
    return [
        node.attributes.get("content") or ""
        for node in LexborHTMLParser(page.text).css(f"meta[{attribute}]")
        if (node.attributes.get(attribute) or "").casefold() == name
    ]


def _csp(visit: Visit) -> tuple[int, str]:
    policies = policies_of(visit.page)
    if not policies:
        if "content-security-policy-report-only" in visit.page.headers:
            return -25, "reported only, not enforced"
        return -25, "missing"
    # All are enforced, so the page is as well protected as by the strictest.
    secure = visit.page.url.startswith("https:")
    return max((_one_csp(policy, secure=secure) for policy in policies), key=lambda result: result[0])


def _one_csp(policy: Policy, *, secure: bool) -> tuple[int, str]:
    script, objects = effective(policy, "script-src"), effective(policy, "object-src")
    style = effective(policy, "style-src")
    if script is None or objects is None or _UNSAFE & set(script) or _BROAD & set(objects):
        return (
            -20,
            "lets scripts or plugins in: 'unsafe-inline', data:, broad or missing sources",
        )
    active = [
        value
        for name, values in policy.items()
        if name not in ("img-src", "media-src", "script-src", "report-uri")
        for value in values
    ]
    if secure and any(value.startswith(("http:", "ftp:")) for value in (*active, *script)):
        return -20, "allows resources without TLS"
    if "'unsafe-eval'" in (*script, *(style or ())):
        return -10, "allows 'unsafe-eval'"
    passive = [*(effective(policy, "img-src") or ()), *(effective(policy, "media-src") or ())]
    if secure and any(value.startswith(("http:", "ftp:")) for value in passive):
        return -10, "allows images or media without TLS"
    if style is None or _UNSAFE & set(style):
        return 0, "allows unsafe styles"
    if policy.get("default-src") == ("'none'",):
        return 10, "strict, from default-src 'none'"
    return 5, "without unsafe sources"


def _cookies(visit: Visit) -> tuple[int, str]:
    cookies = [cookie for cookie in cookies_of(visit.page) if not cookie.removed]
    if not cookies:
        return 0, "none"
    hsts = (hsts_max_age(visit.page) or 0) >= SIX_MONTHS_S and visit.page.url.startswith("https:")
    worst = min(
        (result for cookie in cookies for result in _cookie(cookie, hsts=hsts)),
        default=(0, "Secure, sessions HttpOnly"),
    )
    if worst[0] == 0 and all(cookie.same_site for cookie in cookies):
        return 5, "Secure, sessions HttpOnly, SameSite"
    return worst


def _cookie(cookie: Cookie, *, hsts: bool) -> list[tuple[int, str]]:
    name = cookie.name.casefold()
    session = "login" in name or "sess" in name
    found = []
    given = cookie.attributes.get("samesite")
    if (given is not None and cookie.same_site is None) or (cookie.same_site == "none" and not cookie.secure):
        found.append((-20, f"{cookie.name} has an invalid SameSite"))
    if not cookie.secure:
        points = (-10 if session else -5) if hsts else (-40 if session else -20)
        found.append((points, f"{cookie.name} without Secure"))
    if "csrf" in name and cookie.same_site is None:
        found.append((-20, f"{cookie.name} without SameSite"))
    if session and not cookie.http_only:
        found.append((-30, f"{cookie.name} without HttpOnly"))
    return found


def _cors(visit: Visit) -> tuple[int, str]:
    allowed = visit.foreign.headers.get("access-control-allow-origin", "")
    credentials = (
        visit.foreign.headers.get("access-control-allow-credentials", "").strip().casefold() == "true"
    )
    if allowed in (visit.origin, "null") and credentials:
        return -50, "any origin may read it with the visitor's credentials"
    if allowed:
        return 0, "readable for other origins, without credentials" if allowed == "*" else "for some origins"
    return 0, "not readable for other origins"


def _redirection(visit: Visit) -> tuple[int, str]:
    way = visit.way
    if way is None:
        if visit.page.url.startswith("http:"):
            return -20, "no redirect to https"
        return 0, "not needed, or not looked at"
    if len(way.urls) == 1:
        return -20, "no redirect to https"
    if not way.secure:
        return -20, "redirects, but not to https"
    if way.same_host_first:
        return 0, "to https on the same host"
    if way.urls[1].startswith("https:"):
        return -5, "to https on another host, so HSTS cannot hold for this one"
    return -10, "to https in the end, not at once"


def _referrer(visit: Visit) -> tuple[int, str]:
    told = [visit.page.headers.get("referrer-policy", ""), *_meta(visit.page, "name", "referrer")]
    words = [word.strip().casefold() for text in told for word in text.split(",") if word.strip()]
    if not words:
        return 0, "missing"
    private = {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"}
    unsafe = {"origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade"}
    known = [word for word in words if word in private | unsafe]
    if not known:
        return -5, "not understood"
    return (5, known[-1]) if known[-1] in private else (-5, f"{known[-1]} tells other sites too much")


def _hsts(visit: Visit) -> tuple[int, str]:
    if not visit.page.url.startswith("https:"):
        return -20, "the page is not served over https"
    if "strict-transport-security" not in visit.page.headers:
        return -20, "missing"
    seconds = hsts_max_age(visit.page)
    if seconds is None:
        return -20, "not understood"
    return (0, "six months or more") if seconds >= SIX_MONTHS_S else (-10, "less than six months")


def _sri(visit: Visit) -> tuple[int, str]:
    if "html" not in visit.page.headers.get("content-type", ""):
        return 0, "no HTML"
    scripts = LexborHTMLParser(visit.page.text).css("script[src]")
    results: list[tuple[int, str]] = []
    own = True
    for node in scripts:
        source = (node.attributes.get("src") or "").strip()
        integrity = bool(node.attributes.get("integrity"))
        absolute = urljoin(visit.page.url, source)
        if not source.startswith("//") and _same_site(absolute, visit.page.url):
            if integrity and absolute.startswith("https:"):
                results.append((5, "used, scripts are the site's own"))
            continue
        own = False
        secure = source.startswith("https:")
        if integrity and not secure:
            results.append((-20, "foreign scripts are not loaded over https"))
        elif not integrity:
            results.append(
                (-5, "foreign scripts without it") if secure else (-50, "foreign scripts, no https")
            )
    bad = [result for result in results if result[0] < 0]
    if bad:
        return min(bad)
    if not scripts or (own and not results):
        return 0, "no foreign scripts"
    return 5, "used"


def _same_site(one: str, other: str) -> bool:
    """Whether two URLs share their last two labels, which is near enough to a registrable domain."""
    left, right = urlsplit(one).hostname or "", urlsplit(other).hostname or ""
    return left == right or (left.count(".") > 0 and left.split(".")[-2:] == right.split(".")[-2:])


def _nosniff(visit: Visit) -> tuple[int, str]:
    told = visit.page.headers.get("x-content-type-options", "").strip().casefold()
    return (0, "nosniff") if told == "nosniff" else (-5, "not understood" if told else "missing")


def _framing(visit: Visit) -> tuple[int, str]:
    for policy in read_policies(visit.page.headers.get("content-security-policy", "")):
        if "frame-ancestors" in policy and not _BROAD & set(policy["frame-ancestors"]):
            return 5, "by frame-ancestors"
    told = visit.page.headers.get("x-frame-options", "").strip().casefold()
    if told in ("deny", "sameorigin") or told.startswith("allow-from "):
        return 0, told
    return -20, "not understood" if told else "missing"


def _resource_policy(visit: Visit) -> tuple[int, str]:
    told = visit.page.headers.get("cross-origin-resource-policy", "").strip().casefold()
    if told in ("same-origin", "same-site"):
        return 10, told
    if told in ("", "cross-origin"):
        return 0, told or "missing"
    return -5, "not understood"


_TESTS: dict[str, Callable[[Visit], tuple[int, str]]] = {
    "Content-Security-Policy": _csp,
    "Cookies": _cookies,
    "CORS": _cors,
    "Redirection": _redirection,
    "Referrer-Policy": _referrer,
    "Strict-Transport-Security": _hsts,
    "Subresource integrity": _sri,
    "X-Content-Type-Options": _nosniff,
    "X-Frame-Options": _framing,
    "Cross-Origin-Resource-Policy": _resource_policy,
}


def faults(marks: Sequence[Mark]) -> list[str]:
    """What cost points, the dearest first."""
    lost = sorted((mark for mark in marks if mark.points < 0), key=lambda mark: mark.points)
    return [f"{mark.test}: {mark.text} ({mark.points})" for mark in lost]
