"""The proxy that is Chromium's only way out."""

from __future__ import annotations

import asyncio

import pytest

from bot.checks.egress import AllowList
from bot.checks.gate import GRANTED, NOT_ALLOWED, UNREACHABLE, UNSUPPORTED, Gate
from bot.example.programs import free_port
from tests.servers.site import serve_site


async def ask(
    gate: Gate, host: str, port: int, *, command: int = 1
) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a host by its name, as Chromium does; what the proxy answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"\x05\x01\x00")
    assert await reader.readexactly(2) == b"\x05\x00"
    name = host.encode()
    writer.write(bytes((5, command, 0, 3, len(name))) + name + port.to_bytes(2, "big"))
    return (await reader.readexactly(10))[1], reader, writer


async def test_an_allowed_host_is_spoken_to() -> None:
    async with serve_site() as site, Gate(AllowList(["127.0.0.0/8"])) as gate:
        site.put("/a.txt", "hello", compressed=False)
        answer, reader, writer = await ask(gate, "127.0.0.1", int(site.url.rpartition(":")[2]))
        assert answer == GRANTED
        writer.write(b"GET /a.txt HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"hello")
        assert gate.refused == {}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "2130706433", "0x7f.1"])
async def test_a_host_that_is_not_allowed_is_refused_however_it_is_written(host: str) -> None:
    async with serve_site() as site, Gate(AllowList(["shop.example", "10.0.0.0/8"])) as gate:
        answer, _, _ = await ask(gate, host, int(site.url.rpartition(":")[2]))
        assert answer in (NOT_ALLOWED, UNREACHABLE)
        assert not site.hits


async def test_a_host_where_nothing_listens_is_told_apart() -> None:
    async with Gate(AllowList(["127.0.0.0/8"])) as gate:
        port = free_port()
        answer, _, _ = await ask(gate, "127.0.0.1", port)
        assert answer == UNREACHABLE
        assert gate.unreachable == {f"127.0.0.1:{port}": "nothing listens there"}


async def test_nothing_but_connecting_is_done() -> None:
    async with Gate(AllowList(["127.0.0.0/8"])) as gate:
        answer, _, _ = await ask(gate, "127.0.0.1", 80, command=2)
        assert answer == UNSUPPORTED


async def test_what_chromium_asks_for_by_itself_is_no_pages_doing() -> None:
    async with Gate(AllowList(["shop.example"])) as gate:
        await ask(gate, "update.googleapis.com", 443)
        await ask(gate, "fonts.googleapis.com", 443)
        assert list(gate.refused) == ["fonts.googleapis.com:443"]
