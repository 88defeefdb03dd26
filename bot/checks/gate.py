"""The only way out for Chromium: a SOCKS5 proxy on loopback that connects to checked addresses.

Chromium asks the proxy for a host by its name and resolves nothing itself, so that pages, frames, workers,
WebSockets and prefetches all pass the allow-list of `Egress`, and a name cannot lead elsewhere between the
check and the connection. Speaks the part of RFC 1928 that Chromium uses: CONNECT without authentication.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from types import TracebackType

from bot.checks.kind import CheckTrouble, Egress, Refused

VERSION, NO_AUTHENTICATION, CONNECT = 5, 0, 1
IPV4, NAME, IPV6 = 1, 3, 4
GRANTED, NOT_ALLOWED, UNREACHABLE, UNSUPPORTED = 0, 2, 4, 7
#: Whom Chromium itself calls in spite of its flags (seen with 156): let through or not like any other, but no
#: page's doing, so that nothing is said about them.
OWN_CALLS = frozenset(
    {
        "accounts.google.com",
        "android.clients.google.com",
        "clients2.google.com",
        "content-autofill.googleapis.com",
        "mtalk.google.com",
        "optimizationguide-pa.googleapis.com",
        "redirector.gvt1.com",
        "safebrowsing.googleapis.com",
        "update.googleapis.com",
    }
)
#: Seconds a connection to a target may take.
PATIENCE_S = 10.0


class Gate:
    """The proxy, open while it is entered."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        #: `host:port` of what pages asked for and was refused, in the order it was first asked for.
        self.refused: dict[str, None] = {}
        #: `host:port` of what could not be reached, and why.
        self.unreachable: dict[str, str] = {}
        self.port = 0

    async def __aenter__(self) -> Gate:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # either side hung up
        except asyncio.CancelledError:
            pass  # the gate closes; asyncio's streams would log a handler that ends as cancelled
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        if version != VERSION:
            return
        writer.write(bytes((VERSION, NO_AUTHENTICATION)))
        _, command, _, kind = await reader.readexactly(4)
        host = await _host(reader, kind)
        port = int.from_bytes(await reader.readexactly(2), "big")
        if command != CONNECT or not host:
            await _reply(writer, UNSUPPORTED)
            return
        try:
            onward = await self._connect(host, port)
        except Refused:
            if host not in OWN_CALLS:
                self.refused[f"{host}:{port}"] = None
            await _reply(writer, NOT_ALLOWED)
            return
        except (CheckTrouble, OSError, TimeoutError) as trouble:
            if host not in OWN_CALLS:
                self.unreachable[f"{host}:{port}"] = _in_words(trouble)
            await _reply(writer, UNREACHABLE)
            return
        try:
            await _reply(writer, GRANTED)
            await asyncio.gather(_pass(reader, onward[1]), _pass(onward[0], writer))
        finally:
            onward[1].close()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = await self._egress.resolve(host, port)
        error: Exception = OSError(f"{host} has no address")
        for ip in address.ips:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await asyncio.open_connection(ip, port)
            except (OSError, TimeoutError) as refused:
                error = refused
        raise error


async def _host(reader: asyncio.StreamReader, kind: int) -> str:
    match kind:
        case 1:
            return str(ipaddress.IPv4Address(await reader.readexactly(4)))
        case 3:
            length = (await reader.readexactly(1))[0]
            return (await reader.readexactly(length)).decode("ascii", "replace")
        case 4:
            return str(ipaddress.IPv6Address(await reader.readexactly(16)))
    return ""


async def _reply(writer: asyncio.StreamWriter, answer: int) -> None:
    writer.write(bytes((VERSION, answer, 0, IPV4)) + bytes(6))
    await writer.drain()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on everything until one side ends, then end the other's half."""
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    finally:
        with contextlib.suppress(OSError):
            if writer.can_write_eof():
                writer.write_eof()


def _in_words(trouble: Exception) -> str:
    if isinstance(trouble, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(trouble, TimeoutError):
        return "it does not answer"
    return str(trouble)
