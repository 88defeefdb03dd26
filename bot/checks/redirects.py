"""Following redirects where that is the question: every hop through the allow-list, none unasked."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from bot.checks.kind import Answer, Context

REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, kw_only=True)
class WayToHttps:
    """What a visitor who typed an http:// URL meets."""

    #: The URLs in order; the last is the first https:// one, or where it ended.
    urls: tuple[str, ...]
    statuses: tuple[int, ...]

    @property
    def secure(self) -> bool:
        """Whether it ends at https://."""
        return self.urls[-1].startswith("https://")

    @property
    def same_host_first(self) -> bool:
        """Whether the first hop is to https:// on the same host, so that HSTS holds for it."""
        first, second = self.urls[0], self.urls[1] if len(self.urls) > 1 else ""
        return second.startswith("https://") and urlsplit(first).hostname == urlsplit(second).hostname

    @property
    def permanent(self) -> bool:
        """Whether browsers may remember it."""
        return bool(self.statuses) and self.statuses[0] in (301, 308)


def target(answer: Answer) -> str | None:
    """Where an answer redirects to, absolute; None where it does not."""
    location = answer.headers.get("location", "").strip()
    return urljoin(answer.url, location) if answer.status in REDIRECTS and location else None


async def way_to_https(context: Context, url: str, *, most: int = 5) -> WayToHttps:
    """From an http:// URL to the first https:// one, which is not asked. Raises TargetDown, Refused."""
    urls, statuses = [url], list[int]()
    while not urls[-1].startswith("https://") and len(urls) <= most:
        answer = await context.web.request("GET", urls[-1], max_bytes=1000, timeout=context.timeout / 3)
        statuses.append(answer.status)
        following = target(answer)
        if following is None:
            break
        urls.append(following)
    return WayToHttps(urls=tuple(urls), statuses=tuple(statuses))
