"""One redactor for everything a check brings back: evidence, errors, log lines."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

from bot.domain.check import Secret

#: Shorter secrets cannot be told from ordinary text.
SHORTEST = 4
MASK = "•••"

#: (words of which one must occur, pattern, what stays of it). Most texts hold none of the words, and looking
#: for those costs a tenth of the patterns. Those are the catalogue's: headers that carry credentials,
#: user:pass@, JSON Web Tokens, and key=value pairs that name a secret.
_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (
        ("auth", "cookie", "x-api"),
        re.compile(
            r"(?im)^([ \t]*[\"']?(?:proxy-)?(?:authorization|(?:set-)?cookie|x-api-key|x-auth-token)[\"']?"
            r"[ \t]*[:=][ \t]*).+$"
        ),
        r"\1" + MASK,
    ),
    (
        ("auth", "cookie"),
        # The same in the middle of a line: in a command, or in headers printed as a mapping.
        re.compile(
            r"(?i)(?<![\w/])((?:proxy-)?authorization[\"']?[ \t]*[:=,][ \t]*b?[\"']?|"
            r"(?:set-)?cookie[\"']?[ \t]*[:=,][ \t]*b?[\"']?(?=[^\s=;,\"']+=))(?!•)[^\"'\r\n]+"
        ),
        r"\1" + MASK,
    ),
    (("bearer", "basic"), re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 " + MASK),
    (("@",), re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@"), r"\1:" + MASK + "@"),
    (("eyj",), re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"), MASK),
    (
        ("xox", "xapp", "gh", "sk_live", "akia"),
        re.compile(r"\b(xox[a-z]-|xapp-|gh[pousr]_|github_pat_|sk_live_|AKIA)[\w-]{6,}"),
        r"\1" + MASK,
    ),
    (
        ("key", "secret", "token", "passw", "pwd"),
        re.compile(
            r"(?i)((?:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d|pwd)"
            r"[\"']?\s*[=:]\s*[\"']?)(?!•)([^\s\"'&,;<>]{3,})"
        ),
        r"\1" + MASK,
    ),
)


#: Any of the words: most texts are done with after this one look.
_ANY_WORD = re.compile(
    "|".join(re.escape(word) for words, _, _ in _PATTERNS for word in words), re.IGNORECASE
)


class Redactor:
    """Takes the secrets of a checklist, and what looks like one, out of texts."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        forms = {form for secret in secrets for part in _parts(secret.reveal()) for form in _forms(part)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def clean(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if _ANY_WORD.search(text) is None:
            return text
        folded = text.casefold()
        for words, pattern, kept in _PATTERNS:
            if any(word in folded for word in words):
                text = pattern.sub(kept, text)
        return text


def _parts(value: str) -> Iterator[str]:
    """The secret, and the password in one that is a URL: a server's message repeats that one alone."""
    yield value
    with contextlib.suppress(ValueError):
        password = urlsplit(value).password if "://" in value else None
        if password:
            yield password
            yield unquote(password)


def _forms(value: str) -> set[str]:
    """The ways in which a secret comes back: as it is, and as URLs, JSON, HTML and base64 write it."""
    if len(value) < SHORTEST:
        return set()
    raw = value.encode()
    forms = {value, value.encode("unicode_escape").decode(), html.escape(value)}
    forms |= {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    for quoted in (quote(value, safe=""), quote_plus(value)):
        forms |= {quoted, re.sub("%..", lambda code: code[0].lower(), quoted)}
    forms |= {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    # Inside the base64 of a longer text (`user:password`) it stands at one of three alignments, and shares
    # its first and last characters with what is around it.
    for shift in range(3):
        whole = slice(4 if shift else 0, (shift + len(raw)) // 3 * 4)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            inner = encode(bytes(shift) + raw).decode()[whole]
            forms |= {inner} if len(inner) >= 8 else set()
    return forms
