"""Content security policies: reading them as browsers do, and what weakens them.

The findings are those of Google's csp_evaluator that matter most, with its severities: `high` lets scripts
in, `medium` is weaker than it looks, `…_maybe` depends on the site, `syntax` does not do what was meant. Its
list of bypassable hosts is not copied; only hosts that serve any published package are named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: Directive → its values; the first of a name counts (CSP 3, 2.2.1).
Policy = Mapping[str, tuple[str, ...]]

SEVERITIES = ("high", "syntax", "medium", "high_maybe", "medium_maybe", "info")

_FETCH = frozenset(
    {
        *("child-src", "connect-src", "default-src", "font-src", "frame-src", "img-src", "manifest-src"),
        *("media-src", "object-src", "script-src", "script-src-attr", "script-src-elem", "style-src"),
        *("style-src-attr", "style-src-elem", "worker-src", "fenced-frame-src", "prefetch-src"),
    }
)
_OTHERS = frozenset(
    {
        *("base-uri", "sandbox", "form-action", "frame-ancestors", "navigate-to", "report-to", "report-uri"),
        *("block-all-mixed-content", "upgrade-insecure-requests", "require-trusted-types-for"),
        *("trusted-types", "plugin-types", "require-sri-for", "referrer", "reflected-xss", "disown-opener"),
    }
)
_KEYWORDS = frozenset(
    {
        *("'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "'wasm-unsafe-eval'", "'strict-dynamic'"),
        *("'unsafe-hashes'", "'report-sample'", "'inline-speculation-rules'", "'script'"),
        *("'allow-duplicates'", "'unsafe-allow-redirects'", "'trusted-types-eval'", "'report-sha256'"),
    }
)
#: Ignored in a `<meta>` element (CSP 3, 3.3).
_HEADER_ONLY = frozenset({"frame-ancestors", "report-uri", "sandbox"})
#: Where scripts, or what runs like them, may come from.
_SCRIPT_LIKE = ("script-src", "script-src-attr", "script-src-elem", "object-src", "base-uri")
_NONCE_OR_HASH = re.compile(r"'(?:nonce|sha256|sha384|sha512)-.+'", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
#: Serve every published package, AngularJS among them, which runs expressions that the page holds.
_PACKAGE_HOSTS = ("cdn.jsdelivr.net", "unpkg.com", "esm.sh", "cdnjs.cloudflare.com", "ajax.googleapis.com")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that weakens a policy."""

    #: One of SEVERITIES.
    severity: str
    directive: str
    #: The source or word it is about; empty for a directive that is missing.
    value: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.directive} {self.value}".rstrip() + f" - {self.text}"


def read_policies(header: str, *, meta: bool = False) -> list[Policy]:
    """The policies in a header's value, which commas separate, or in a `<meta>` element."""
    found: list[Policy] = []
    for text in header.split(","):
        directives: dict[str, tuple[str, ...]] = {}
        for part in text.split(";"):
            words = part.split()
            if not words:
                continue
            name = words[0].casefold()
            if name not in directives and not (meta and name in _HEADER_ONLY):
                directives[name] = tuple(map(_normal, words[1:]))
        if directives:
            found.append(directives)
    return found


def _normal(value: str) -> str:
    """Keywords and schemes in lower case; nonces, hashes and paths as they are."""
    lower = value.casefold()
    return lower if lower in _KEYWORDS or _SCHEME.fullmatch(lower) else value


def nonces(policies: Iterable[Policy]) -> set[str]:
    """The nonces they hold."""
    return {
        value
        for policy in policies
        for values in policy.values()
        for value in values
        if value.casefold().startswith("'nonce-")
    }


def effective(policy: Policy, directive: str) -> tuple[str, ...] | None:
    """The sources a browser goes by: those of `default-src` where the directive is missing, without what
    nonces, hashes and 'strict-dynamic' switch off. None where nothing restricts it."""
    for name in (directive, *_fallbacks(directive)):
        if name in policy:
            values = policy[name]
            break
    else:
        return None
    if not directive.startswith(("script-src", "style-src", "worker-src")):
        return values
    if any(map(_NONCE_OR_HASH.fullmatch, values)):
        values = tuple(value for value in values if value != "'unsafe-inline'")
    if "'strict-dynamic'" in values and directive.startswith("script-src"):
        values = tuple(
            value for value in values if value.startswith("'") and value not in ("'self'", "'unsafe-inline'")
        )
    return values


def _fallbacks(directive: str) -> Sequence[str]:
    if directive not in _FETCH:
        return ()
    if directive.startswith(("script-src-", "style-src-")):
        return (directive.rpartition("-")[0], "default-src")
    return ("default-src",)


def evaluate(policies: Sequence[Policy]) -> list[Finding]:
    """What weakens the policies together, the worst first: every one of them is enforced, so what one lets
    through another may stop."""
    if not policies:
        return []
    each = [_findings(policy) for policy in policies]
    common = set.intersection(*({(one.severity, one.directive) for one in found} for found in each))
    kept = [
        finding
        for found in each
        for finding in found
        if (finding.severity, finding.directive) in common or finding.severity in ("syntax", "info")
    ]
    unique = {(one.directive, one.value, one.text): one for one in kept}
    return sorted(unique.values(), key=lambda one: SEVERITIES.index(one.severity))


def _findings(policy: Policy) -> list[Finding]:
    found = [*_syntax(policy), *_missing(policy)]
    for directive in _SCRIPT_LIKE:
        if directive in ("script-src-attr", "script-src-elem") and directive not in policy:
            continue
        sources = effective(policy, directive)
        for value in sources or ():
            found += _of_source(directive, value)
    for directive, values in policy.items():
        for value in values:
            nonce = re.fullmatch(r"'nonce-(.+)'", value, re.IGNORECASE)
            if nonce and len(nonce[1]) < 8:
                found.append(_find("medium", directive, value, "a nonce this short can be guessed"))
            if value.startswith("http://"):
                found.append(_find("medium", directive, value, "is loaded without TLS"))
    for directive in (
        "reflected-xss",
        "referrer",
        "disown-opener",
        "plugin-types",
        "block-all-mixed-content",
    ):
        if directive in policy:
            found.append(_find("info", directive, "", "browsers no longer support it"))
    return found


def _of_source(directive: str, value: str) -> list[Finding]:
    bare = value.casefold().split("://")[-1]
    if directive.startswith("script-src"):
        if value == "'unsafe-inline'":
            return [_find("high", directive, value, "lets injected scripts run")]
        if value == "'unsafe-eval'":
            return [_find("medium_maybe", directive, value, "lets injected text become code")]
        if value == "'unsafe-hashes'":
            return [_find("medium_maybe", directive, value, "lets event handlers with known hashes run")]
    if value in ("data:", "http:", "https:"):
        return [_find("high", directive, value, "anybody can supply scripts by this scheme")]
    if bare in ("*", "*.*", "*:*"):
        return [_find("high", directive, value, "any host can supply scripts")]
    if directive.startswith("script-src"):
        if value == "'self'":
            return [_find("medium_maybe", directive, value, "is unsafe with uploads or JSONP on this host")]
        if not value.startswith("'") and "." in value:
            host, _, path = bare.partition("/")
            if host.partition(":")[0] in _PACKAGE_HOSTS and not path:
                return [
                    _find("high", directive, value, "serves any package, also ones that run text as code")
                ]
            return [_find("medium_maybe", directive, value, "is safe only without JSONP and old libraries")]
    if directive == "object-src" and not value.startswith("'"):
        return [_find("medium_maybe", directive, value, "'none' would do")]
    return []


def _missing(policy: Policy) -> list[Finding]:
    found: list[Finding] = []
    if effective(policy, "script-src") is None:
        found.append(_find("high", "script-src", "", "is missing: scripts may come from anywhere"))
    if effective(policy, "object-src") is None:
        found.append(_find("high", "object-src", "", "is missing: plugins may come from anywhere"))
    values = effective(policy, "script-src") or ()
    trusts = [value.casefold() for value in values if _NONCE_OR_HASH.fullmatch(value)]
    by_nonce = any(value.startswith("'nonce-") for value in trusts)
    if (by_nonce or (trusts and "'strict-dynamic'" in values)) and "base-uri" not in policy:
        text = "is missing: an injected <base> redirects the scripts that nonces let in"
        found.append(_find("high", "base-uri", "", text))
    if "'strict-dynamic'" in values and not trusts:
        found.append(
            _find("info", "script-src", "'strict-dynamic'", "without a nonce or hash stops all scripts")
        )
    return found


def _syntax(policy: Policy) -> list[Finding]:
    found: list[Finding] = []
    words = {keyword.strip("'") for keyword in _KEYWORDS} - {"script"}
    for directive, values in policy.items():
        if directive not in _FETCH | _OTHERS:
            found.append(_find("syntax", directive, "", "is no directive"))
        for value in values:
            if value in _FETCH | _OTHERS and directive != "trusted-types":
                found.append(_find("syntax", directive, value, "is a directive: a semicolon is missing"))
            elif value in words or re.match(r"(?:nonce|sha256|sha384|sha512)-", value):
                if directive in _FETCH | {"base-uri", "form-action", "frame-ancestors"}:
                    found.append(_find("syntax", directive, value, "needs single quotes around it"))
            elif (
                value.startswith("'")
                and value not in _KEYWORDS
                and not _NONCE_OR_HASH.fullmatch(value)
                and directive in _FETCH | {"base-uri", "form-action", "frame-ancestors"}
            ):
                found.append(_find("syntax", directive, value, "is no keyword"))
    return found


def _find(severity: str, directive: str, value: str, text: str) -> Finding:
    return Finding(severity=severity, directive=directive, value=value, text=text)
