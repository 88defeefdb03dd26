"""Ports and names, on loopback."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from bot.domain.check import Evidence, Outcome
from bot.example.programs import free_port
from tests.checking import examine, make_context

#: A name that never resolves (RFC 6761), allowed all the same.
NOWHERE = make_context(allow=["127.0.0.0/8", "db.invalid", "::1/128", "localhost"])


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that answers nothing: its queue of connections is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        waiting = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            waiting.append(client)
        yield port
        for client in waiting:
            client.close()


async def net(port: int, *, host: str = "127.0.0.1", **more: Any) -> Evidence:
    rules = {name: more.pop(name) for name in ("expect", "fail", "warn", "context") if name in more}
    return await examine("net", {"host": host, "port": port, **more}, **rules)


async def test_an_open_port_passes_where_it_is_to_be_open(listening: int) -> None:
    seen = await net(listening)
    assert (seen.outcome, seen.values["answer"]) == (Outcome.PASS, "open")
    assert "seen from where the bot runs" in seen.observed
    assert (await net(listening, expect={"reachable": False})).outcome is Outcome.FAIL
    assert (await net(listening, warn={"ms": ">= 0"})).outcome is Outcome.WARN


async def test_a_closed_port_passes_where_it_is_to_be_closed() -> None:
    port = free_port()
    seen = await net(port, expect={"reachable": False})
    assert (seen.outcome, seen.values["answer"]) == (Outcome.PASS, "refused")
    assert (await net(port)).outcome is Outcome.FAIL


async def test_one_open_address_of_a_name_makes_it_open(listening: int) -> None:
    """False green: the name has an IPv6 address that is closed, and is open at the other."""
    seen = await net(listening, host="localhost", expect={"reachable": False})
    assert seen.outcome is Outcome.FAIL


async def test_silence_counts_as_closed_only_while_the_host_answers_elsewhere(
    silent: int, listening: int
) -> None:
    closed = {"reachable": False}
    seen = await net(silent, wait="200ms", expect=closed)
    assert (seen.outcome, seen.values["answer"]) == (Outcome.PASS, "silent")
    seen = await net(silent, wait="200ms", control_port=listening, expect=closed)
    assert seen.outcome is Outcome.PASS
    seen = await net(silent, wait="200ms", control_port=free_port(), expect=closed)
    assert (seen.outcome, "proves nothing" in seen.reason) == (Outcome.UNKNOWN, True)
    assert (await net(silent, wait="200ms")).outcome is Outcome.FAIL


@pytest.mark.parametrize("reachable", [True, False])
async def test_a_name_that_does_not_resolve_is_unknown(reachable: bool) -> None:
    """False green: nothing answers at a misspelt name, so its port looks closed."""
    seen = await net(5432, host="db.invalid", expect={"reachable": reachable}, context=NOWHERE)
    assert (seen.outcome, "does not resolve" in seen.reason) == (Outcome.UNKNOWN, True)


def way_to(ip: str) -> int:
    """The error of a connection to an IPv6 address, 0 for none."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((ip, 80))


async def test_a_network_without_a_way_there_is_unknown() -> None:
    """False green: packets do not leave this machine, so every port looks closed."""
    if way_to("100::1") not in (errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        pytest.skip("this machine has a way to every IPv6 address")
    context = make_context(allow=["100::/64"])
    seen = await net(80, host="100::1", expect={"reachable": False}, context=context)
    assert (seen.outcome, "no route" in seen.reason) == (Outcome.UNKNOWN, True)


async def test_a_host_that_is_not_allowed_is_an_error() -> None:
    for host in ("192.0.2.1", "169.254.169.254"):
        assert (await net(80, host=host)).outcome is Outcome.ERROR


async def dns(host: str, **more: Any) -> Evidence:
    rules = {name: more.pop(name) for name in ("expect", "warn") if name in more}
    return await examine("net.dns", {"host": host, **more}, context=NOWHERE, **rules)


async def test_a_name_that_resolves_passes() -> None:
    seen = await dns("localhost")
    assert seen.outcome is Outcome.PASS
    assert "127.0.0.1" in seen.values["addresses"]
    assert "127.0.0.1" in seen.facts["addresses"]
    assert (await dns("localhost", warn={"addresses": "127.0.0.1"})).outcome is Outcome.WARN


async def test_other_addresses_than_expected_fail() -> None:
    known = (await dns("localhost")).values["addresses"]
    assert (await dns("localhost", addresses=known)).outcome is Outcome.PASS
    seen = await dns("localhost", addresses=["127.0.0.9"])
    assert (seen.outcome, seen.values["missing"]) == (Outcome.FAIL, 1)
    seen = await dns("localhost", addresses=[*known, "127.0.0.9"])
    assert (seen.outcome, seen.values["unexpected"]) == (Outcome.FAIL, 0)


async def test_a_name_without_an_address_fails_where_the_resolver_says_so() -> None:
    try:
        socket.getaddrinfo("db.invalid", None)
    except socket.gaierror as error:
        # A resolver that cannot be reached knows nothing of the name.
        expected = Outcome.UNKNOWN if error.errno == socket.EAI_AGAIN else Outcome.FAIL
    assert (await dns("db.invalid")).outcome is expected


async def test_a_name_that_is_not_allowed_or_is_none_is_an_error() -> None:
    assert (
        await examine("net.dns", {"host": "other.example.com"}, context=make_context(allow=["x.y"]))
    ).outcome is (Outcome.ERROR)
    for params in ({"host": "127.0.0.1"}, {"host": "localhost", "addresses": ["home"]}):
        with pytest.raises(AssertionError, match="address"):
            await examine("net.dns", params)
