"""Whether a CDN serves files from its cache, and none that are older than the deployment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.caching import age, encoding, was_hit
from bot.checks.calls import Credentials, media_type, place
from bot.checks.handshakes import handshake
from bot.checks.kind import Answer, Context, Duration, Kind, NoData, TargetDown
from bot.checks.kinds.headers.pages import own_assets, page
from bot.checks.web import host_and_port
from bot.domain.check import Observation, Rules

#: Smaller texts gain nothing from compression.
_WORTH_COMPRESSING = 1024
#: Asked for explicitly; what comes is not decoded, as only its headers and length count.
_ENCODINGS = {"Accept-Encoding": "br, gzip"}


class CdnParams(Credentials):
    """Which files."""

    url: str = Field(min_length=1, description="A page, whose files are looked at, or one file.")
    urls: list[str] = Field(default_factory=list, description="Files to look at, instead of those found.")
    hosts: list[str] = Field(
        default_factory=list, description="Further hosts the page's own files come from, e.g. the CDN."
    )
    hit_headers: list[str] = Field(
        default_factory=list, description="Further response headers that tell HIT or MISS."
    )
    most: int = Field(20, ge=1, le=100, description="Most files to look at.")


class Cdn(Kind[CdnParams]):
    """Asks twice for each file; the second time it must come from the cache."""

    name = "headers.cdn"
    about = "CDN: the second request for each file is a HIT, texts are compressed, HTTP/2 is spoken."
    params = CdnParams
    values: ClassVar[Mapping[str, str]] = {
        "hit_share": "share of files whose second answer was a HIT, 0 to 1; left out where none tells",
        "uncompressed": "texts over 1 KiB sent without compression",
        "protocol": "h2 or http/1.1",
        "assets": "files looked at",
        "oldest_age_s": "oldest Age among the second answers, in seconds; absent where none tells",
        "missing": "files that do not answer 200",
    }
    timeout = 30.0

    def defaults(self, params: CdnParams) -> Rules:
        """Catalogue A5."""
        return Rules(
            fail={"hit_share": "<= 0"},
            warn={"hit_share": "< 0.8", "uncompressed": "> 0", "protocol": "http/1.1", "missing": "> 0"},
        )

    def problem(self, params: CdnParams) -> str | None:
        """Credentials that exclude each other."""
        return params.credentials_problem()

    async def observe(self, params: CdnParams, context: Context) -> Observation:
        """Ask twice for each. Raises NoData where there is no file."""
        urls = await _files(params, context)
        hits, told, plain, missing = 0, 0, 0, 0
        ages: list[int] = []
        rows: list[str] = []
        for url in urls:
            answer = await _second(url, params, context)
            if answer is None or answer.status != 200:
                missing += 1
                rows.append(f"missing  {answer.status if answer else 'no answer'}  {place(url)}")
                continue
            hit, seconds = was_hit(answer, params.hit_headers), age(answer)
            hits, told = hits + (hit is True), told + (hit is not None)
            ages += [] if seconds is None else [seconds]
            squeezed = encoding(answer.headers)
            if squeezed == "identity" and _is_text(answer) and answer.wire_bytes > _WORTH_COMPRESSING:
                plain += 1
            said = {True: "HIT", False: "MISS", None: "untold"}[hit]
            rows.append(f"{said:<7}  Age {seconds if seconds is not None else '-'}  {squeezed}  {place(url)}")
        values: dict[str, Any] = {
            "uncompressed": plain,
            "assets": len(urls),
            "missing": missing,
            "oldest_age_s": max(ages, default=None),
        }
        if told:
            values["hit_share"] = round(hits / len(urls), 3)
        protocol = await _protocol(urls[0], context)
        if protocol is not None:
            values["protocol"] = protocol
        said = f"{hits} of {len(urls)} files are a HIT" if told else "no answer tells whether it is a HIT"
        return Observation(
            target=place(params.url),
            values=values,
            summary=f"{said}, {plain} uncompressed, {protocol or 'protocol not told'}",
            excerpt="\n".join(rows),
        )


class PurgedParams(Credentials):
    """Which files, and since when there must be no older copy."""

    url: str = Field(min_length=1, description="File or page whose cached copy must be new.")
    urls: list[str] = Field(default_factory=list, description="More of them.")
    since: Duration | None = Field(
        None, gt=0, description="Copies must be younger than this; without it, than the deployment."
    )
    hit_headers: list[str] = Field(
        default_factory=list, description="Further response headers that tell HIT or MISS."
    )


class Purged(Kind[PurgedParams]):
    """Asks once for each URL: a copy from before the deployment means that the cache was not cleared."""

    name = "headers.purged"
    about = "CDN cache was cleared: no copy is older than the deployment."
    params = PurgedParams
    values: ClassVar[Mapping[str, str]] = {
        "stale": "copies from before; left out where that is not told",
        "oldest_age_s": "age of the oldest copy in seconds; absent where none tells",
        "since_s": "seconds since the deployment, or as given",
    }

    def defaults(self, params: PurgedParams) -> Rules:
        """Catalogue H6, K4."""
        return Rules(fail={"stale": "> 0"})

    def problem(self, params: PurgedParams) -> str | None:
        """Credentials that exclude each other."""
        return params.credentials_problem()

    async def observe(self, params: PurgedParams, context: Context) -> Observation:
        """Ask once for each. Raises NoData outside a deployment without `since`."""
        since = params.since
        if since is None:
            if context.started_at is None:
                raise NoData("there is no deployment to be older than: give `since`")
            since = (context.now() - context.started_at).total_seconds()
        stale, untold = 0, 0
        ages: list[int] = []
        rows: list[str] = []
        urls = list(dict.fromkeys([params.url, *params.urls]))
        for url in urls:
            answer = await context.web.request(
                "GET", url, headers=params.sent_headers(), max_bytes=1000, timeout=context.timeout / 4
            )
            if answer.status >= 400:
                raise TargetDown(f"{place(url)} answers {answer.status}")
            seconds = age(answer)
            if seconds is None and was_hit(answer, params.hit_headers) is False:
                seconds = 0  # straight from the origin
            if seconds is None:
                untold += 1
            else:
                ages.append(seconds)
                stale += seconds > since
            rows.append(f"Age {'untold' if seconds is None else seconds}  {place(url)}")
        values: dict[str, Any] = {"oldest_age_s": max(ages, default=None), "since_s": round(since)}
        if stale or not untold:
            values["stale"] = stale
        said = f"{stale} of {len(urls)} copies are older than {since:.0f} s"
        return Observation(
            target=place(params.url) + (f" and {len(urls) - 1} more" if len(urls) > 1 else ""),
            values=values,
            summary=said + (f", {untold} do not tell their age" if untold else ""),
            excerpt="\n".join(rows),
        )


async def _files(params: CdnParams, context: Context) -> list[str]:
    if params.urls:
        return list(dict.fromkeys(params.urls))[: params.most]
    answer = await page(context, params.url, params.sent_headers())
    if "html" not in (media_type(answer) or ""):
        return [params.url]
    found = own_assets(answer, params.hosts)
    if not found:
        raise NoData(f"{place(params.url)} loads no files of its own: name some in `urls`")
    return found[: params.most]


async def _second(url: str, params: CdnParams, context: Context) -> Answer | None:
    """The second answer, over the connection of the first, so that it comes from the same edge."""
    headers = {**_ENCODINGS, **params.sent_headers()}
    answer = None
    for _ in range(2):
        try:
            answer = await context.web.request(
                "GET", url, headers=headers, max_bytes=3_000_000, timeout=context.timeout / 4
            )
        except TargetDown:
            answer = None
    return answer


def _is_text(answer: Answer) -> bool:
    kind = media_type(answer) or ""
    return kind.startswith("text/") or kind.endswith(("javascript", "json", "xml"))


async def _protocol(url: str, context: Context) -> str | None:
    """What a server chooses of HTTP/2 and HTTP/1.1; None where the handshake fails."""
    if not url.startswith("https:"):
        return "http/1.1"
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE  # the requests before it checked the certificate; this asks for ALPN only
    tls.set_alpn_protocols(["h2", "http/1.1"])
    host, port = host_and_port(url)
    try:
        seen = await handshake(context.egress, host, port, tls, name=host, timeout=context.timeout / 4)
    except (ssl.SSLError, ConnectionError, TargetDown):
        return None
    return seen.alpn or "http/1.1"
