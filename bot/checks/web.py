"""HTTP for checks: httpx's requests and answers over httpcore connections to checked addresses only.

One TLS context and one pool an environment: making either for every check costs 18 ms each (measured on two
cores), a hundred times what a request on loopback costs. Nothing follows redirects, keeps cookies or reads
proxy settings from the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from bot.checks.kind import Answer, Broken, Egress, TargetDown
from bot.checks.streams import connect

USER_AGENT = "Deploybot-check/1"
#: Connections kept and in use at once, over all hosts.
CONNECTIONS = 20


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the checked address; the name stays in Host, SNI and the certificate check."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first checked address that answers."""
        address = await self._egress.resolve(host, port)
        error: Exception | None = None
        for ip in address.ips:
            try:
                return await connect(ip, port, timeout)
            except httpcore.ConnectError as refused:
                error = refused
        raise error or httpcore.ConnectError(f"{host} has no address")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.AsyncNetworkStream:
        """Never: checks speak to hosts."""
        raise httpcore.ConnectError("checks do not use UNIX sockets")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class WebClient:
    """The `Web` of one environment."""

    def __init__(self, egress: Egress, *, ca_file: Path | None = None, timeout: float = 10.0) -> None:
        self._backend = PinnedBackend(egress)
        self._ca_file = ca_file
        self._timeout = timeout
        self._contexts: dict[tuple[bool, bool], ssl.SSLContext] = {}
        self._pools: dict[bool, httpcore.AsyncConnectionPool] = {}

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
        limit = timeout or self._timeout
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": {"connect": limit, "read": limit, "write": limit, "pool": limit}},
        )
        began = time.perf_counter()
        try:
            async with contextlib.AsyncExitStack() as stack:
                connection = self._connection(sent, fresh=fresh, verify=verify)
                if fresh:
                    stack.push_async_callback(connection.aclose)
                answer = await connection.handle_async_request(sent)
                first_byte = time.perf_counter()
                stack.push_async_callback(answer.aclose)
                stream = answer.extensions.get("network_stream")
                peer = stream.get_extra_info("server_addr") if stream is not None else None
                body, truncated = await _body(answer, max_bytes)
        except httpcore.TimeoutException as error:
            raise TargetDown(f"no answer from {_where(request.url)} within {limit:g} s") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
            raise TargetDown(f"{_where(request.url)}: {_in_words(error)}") from error
        except (ssl.SSLError, OSError) as error:
            raise TargetDown(f"{_where(request.url)}: {_in_words(error)}") from error
        done = time.perf_counter()
        received = httpx.Headers(answer.headers)
        plain_body, cut = _decoded(body, received.get("content-encoding", ""), max_bytes)
        plain = {name: received[name] for name in received}
        if "set-cookie" in received:
            plain["set-cookie"] = "\n".join(received.get_list("set-cookie"))
        return Answer(
            status=answer.status,
            headers=plain,
            body=plain_body,
            truncated=truncated or cut,
            wire_bytes=len(body),
            url=str(request.url),
            http_version=bytes(answer.extensions.get("http_version", b"HTTP/1.1")).decode(),
            ms=(done - began) * 1000,
            first_byte_ms=(first_byte - began) * 1000,
            peer=str(peer[0]) if peer else "",
        )

    def _connection(self, request: httpcore.Request, *, fresh: bool, verify: bool) -> Any:
        context = self.tls(verify=verify) if request.url.scheme == b"https" else None
        if fresh:
            return httpcore.AsyncHTTPConnection(
                origin=request.url.origin, ssl_context=context, network_backend=self._backend
            )
        if verify not in self._pools:
            self._pools[verify] = httpcore.AsyncConnectionPool(
                ssl_context=self.tls(verify=verify),
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=15,
                network_backend=self._backend,
            )
        return self._pools[verify]

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()


def _request(method: str, url: str, headers: Mapping[str, str] | None, **given: Any) -> httpx.Request:
    base = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    try:
        request = httpx.Request(method, url, headers={**base, **(headers or {})}, **given)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise Broken(f"'{url}' is no URL: {error}") from error
    if request.url.scheme not in ("http", "https") or not request.url.host:
        raise Broken(f"'{url}' is no http:// or https:// URL")
    return request


async def _body(answer: httpcore.Response, most: int) -> tuple[bytes, bool]:
    kept = bytearray()
    async for chunk in answer.aiter_stream():
        kept += chunk
        if len(kept) > most:
            return bytes(kept[:most]), True
    return bytes(kept), False


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
    cause = error.__cause__ or error.__context__
    text = str(error) or (str(cause) if cause else "") or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate is not accepted ({text.rpartition('failed: ')[2].split(' (_ssl')[0]})"
    if "All connection attempts failed" in text or "Connect call failed" in text:
        return "nothing listens there"
    return text


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
