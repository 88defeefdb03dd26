"""HTTP for checks: httpx makes the requests, aiohttp carries them to checked addresses only.

httpx's own transport costs twice as much for a new connection and has no public place for the address that
was checked; aiohttp has one, its resolver. One TLS context and one set of connections an environment: making
either for every check costs 18 ms each (measured on two cores), a hundred times what a request on loopback
costs. Nothing follows redirects, keeps cookies or reads proxy settings from the environment.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from yarl import URL

from bot.checks.kind import Answer, Broken, Egress, TargetDown

#: What every request says of itself unless it is told otherwise.
USER_AGENT = "Deploybot-check/1"
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
#: Connections kept and in use at once, over all hosts, and seconds an idle one is kept.
CONNECTIONS, KEPT_S = 20, 15.0
#: Longest header line that is read, in bytes: policies of 10 kB are in use.
HEADER_LINE = 65_536


class PinnedResolver(AbstractResolver):
    """The addresses that were checked; the name stays in Host, SNI and the certificate check."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The checked addresses of a host."""
        address = await self._egress.resolve(host, port)
        return [
            ResolveResult(
                hostname=host,
                host=ip,
                port=port,
                family=socket.AF_INET6 if ":" in ip else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for ip in address.ips
        ]

    async def close(self) -> None:
        """Nothing to close."""


class _Response(aiohttp.ClientResponse):
    """An answer that remembers who gave it: a short one is complete, and its connection gone, at once."""

    peer = ""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head."""
        name = connection.transport.get_extra_info("peername") if connection.transport is not None else None
        self.peer = str(name[0]) if name else ""
        return await super().start(connection)


class _OnlyAnswer(_Response):
    """The answer of a connection that serves one request: what cuts it off is told and not tried again.

    aiohttp asks again without a word where a connection was closed, which is right for one that was kept.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head."""
        try:
            return await super().start(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise _CutOff(_in_words(error)) from error


class _CutOff(aiohttp.ClientConnectionError):
    """A connection ended before its answer."""


class WebClient:
    """The `Web` of one environment."""

    def __init__(self, egress: Egress, *, ca_file: Path | None = None, timeout: float = 10.0) -> None:
        self._egress = egress
        self._ca_file = ca_file
        self._timeout = timeout
        self._contexts: dict[tuple[bool, bool], ssl.SSLContext] = {}
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def tls(self, *, verify: bool = True, any_name: bool = False) -> ssl.SSLContext:
        """The TLS context, made once. Raises Broken where the CA file cannot be used."""
        key = (verify, any_name)
        if key not in self._contexts:
            context = ssl.create_default_context()
            if self._ca_file is not None:
                try:
                    context.load_verify_locations(self._ca_file)
                except OSError as error:
                    raise Broken(f"the CA file {self._ca_file} cannot be used: {error.strerror}") from error
            if any_name or not verify:
                context.check_hostname = False
            if not verify:
                context.verify_mode = ssl.CERT_NONE
            self._contexts[key] = context
        return self._contexts[key]

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        json: Any = None,
        content: bytes | None = None,
        fresh: bool = False,
        max_bytes: int = 1_000_000,
        timeout: float | None = None,
        verify: bool = True,
    ) -> Answer:
        """One request. Raises TargetDown, Refused, Broken."""
        request = _request(method, url, headers, params=params, json=json, content=content)
        secure = request.url.scheme == "https"
        limit = timeout or self._timeout
        began = time.perf_counter()
        try:
            async with asyncio.timeout(limit):
                # aiohttp asks no resolver for a numeric address.
                await self._egress.resolve(request.url.host, _port(request.url))
                async with self._session(fresh=fresh).request(
                    request.method,
                    URL(str(request.url), encoded=True),
                    headers=request.headers.multi_items(),
                    data=request.content or None,
                    ssl=self.tls(verify=verify) if secure else True,
                    allow_redirects=False,
                ) as answer:
                    first_byte = time.perf_counter()
                    assert isinstance(answer, _Response)
                    body, truncated = await _body(answer, max_bytes)
        except TimeoutError as error:
            raise TargetDown(f"no answer from {_where(request.url)} within {limit:.3g} s") from error
        except aiohttp.InvalidURL as error:
            raise Broken(f"{_where(request.url)} cannot be asked: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TargetDown(f"{_where(request.url)}: {_in_words(error)}") from error
        except ValueError as error:
            raise Broken(f"{_where(request.url)} cannot be asked so: {error}") from error
        done = time.perf_counter()
        plain_body, cut = _decoded(body, answer.headers.get("Content-Encoding", ""), max_bytes)
        version = answer.version or aiohttp.HttpVersion11
        return Answer(
            status=answer.status,
            headers=_joined(answer),
            body=plain_body,
            truncated=truncated or cut,
            wire_bytes=len(body),
            url=str(request.url),
            http_version=f"HTTP/{version.major}.{version.minor}",
            ms=(done - began) * 1000,
            first_byte_ms=(first_byte - began) * 1000,
            peer=answer.peer,
        )

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        """A session without a memory; a fresh one's connections serve one request each.

        How many connections are open at once is the engine's affair, which counts per host.
        """
        if fresh not in self._sessions:
            kept: dict[str, Any] = {"force_close": True} if fresh else {"keepalive_timeout": KEPT_S}
            self._sessions[fresh] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=PinnedResolver(self._egress),
                    use_dns_cache=False,
                    happy_eyeballs_delay=None,
                    limit=0 if fresh else CONNECTIONS,
                    **kept,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(),
                response_class=_OnlyAnswer if fresh else _Response,
                max_line_size=HEADER_LINE,
                max_field_size=HEADER_LINE,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._sessions[fresh]

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


def _request(method: str, url: str, headers: Mapping[str, str] | None, **given: Any) -> httpx.Request:
    try:
        request = httpx.Request(method, url, headers={**_HEADERS, **(headers or {})}, **given)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise Broken(f"'{url}' is no URL: {error}") from error
    if request.url.scheme not in ("http", "https") or not request.url.host:
        raise Broken(f"'{url}' is no http:// or https:// URL")
    return request


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


async def _body(answer: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    kept = bytearray()
    async for chunk in answer.content.iter_any():
        kept += chunk
        if len(kept) > most:
            return bytes(kept[:most]), True
    return bytes(kept), False


def _joined(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers by lower-case name, several of one name in one value."""
    joined: dict[str, str] = {}
    for name, value in answer.headers.items():
        key = name.lower()
        between = "\n" if key == "set-cookie" else ", "
        text = value if value.isascii() else _text(value)
        joined[key] = f"{joined[key]}{between}{text}" if key in joined else text
    return joined


def _text(value: str) -> str:
    """A header that is not ASCII: UTF-8 where it is that, else Latin-1 (RFC 9110, 5.5)."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _decoded(body: bytes, encoding: str, most: int) -> tuple[bytes, bool]:
    """Gzip and deflate undone, never beyond `most` bytes, and whether there was more; anything else, and
    broken data, as it came."""
    if encoding.strip().casefold() not in ("gzip", "x-gzip", "deflate"):
        return body, False
    undoing = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        return undoing.decompress(body, most), bool(undoing.unconsumed_tail)
    except zlib.error:
        return body, False


def _where(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii').rpartition('@')[2]}{url.path}"


def _in_words(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as why):
            return f"its certificate is not accepted ({why.verify_message})"
        case aiohttp.ClientConnectorError(os_error=inner):
            if isinstance(inner, ConnectionRefusedError) or "Connect call failed" in str(inner):
                return "nothing listens there"
            return inner.strerror or str(inner)
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "its answer ended before it was complete"
        case aiohttp.ClientResponseError(message=message):
            return f"its answer is no HTTP: {message.strip().splitlines()[0] if message.strip() else '?'}"
    return str(error) or type(error).__name__


def host_and_port(url: str) -> tuple[str, int]:
    """The host and port of a URL. Raises Broken for one that has none."""
    parts = urlsplit(url)
    ports = {"http": 80, "https": 443, "ws": 80, "wss": 443, "redis": 6379, "rediss": 6379}
    try:
        port = parts.port or ports.get(parts.scheme, 5432 if parts.scheme.startswith("postgres") else 0)
    except ValueError as error:
        raise Broken(f"the URL's port is no number: {error}") from error
    if not parts.hostname or not port:
        raise Broken(f"'{parts.scheme}://{parts.hostname or ''}' names no host and port")
    return parts.hostname, port
