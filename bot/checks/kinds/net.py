"""The network as it looks from where the bot runs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.kind import Broken, Context, Duration, Kind, NoData, Params, TargetDown
from bot.domain.check import Observation, Rules

#: What means that packets did not leave, or came back from a router: nothing was learnt of the port.
_NO_ROUTE = frozenset(
    {
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.EHOSTDOWN,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
    }
)


class NetParams(Params):
    """Which port."""

    host: str = Field(min_length=1, description="Name or address.")
    port: int = Field(ge=1, le=65535, description="TCP port.")
    wait: Duration = Field(default=3.0, gt=0, le=30, description="How long to wait for an answer.")
    control_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="A port of the same host that must answer, or silence of the other proves nothing.",
    )


class Net(Kind[NetParams]):
    """Whether a TCP port can be reached from here (catalogue B6).

    A name that does not resolve and a network without a way there say nothing of the port: unknown, whether
    it is to be open or closed.
    """

    name = "net"
    about = "Whether a TCP port can be reached from where the bot runs."
    params = NetParams
    values: ClassVar[Mapping[str, str]] = {
        "reachable": "whether any address of the host takes a connection",
        "answer": "open, refused, or silent (nothing came back)",
        "addresses": "the host's addresses",
        "ms": "milliseconds until the connection stood; absent where none did",
    }

    def defaults(self, params: NetParams) -> Rules:
        """It can be reached; write `expect: {reachable: false}` for a port that must be closed."""
        return Rules(must={"reachable": True})

    async def observe(self, params: NetParams, context: Context) -> Observation:
        """Try every address."""
        where = f"{params.host}:{params.port}"
        try:
            address = await context.egress.resolve(params.host, params.port)
        except TargetDown as error:
            raise NoData(f"{error}, so nothing is known of port {params.port}", retryable=True) from error
        tried = await asyncio.gather(*(_try(ip, params.port, params.wait) for ip in address.ips))
        opened = [ms for answer, ms in tried if answer == "open"]
        answers = dict(zip(address.ips, (answer for answer, _ in tried), strict=True))
        if not opened and all(answer == "no route" for answer in answers.values()):
            raise NoData(f"there is no way from here to {where}: no route")
        # One address that refuses shows that the host is there; silence alone may be our own network's.
        answer = "open" if opened else "refused" if "refused" in answers.values() else "silent"
        if answer == "silent" and params.control_port is not None:
            await self._control(params, context)
        ms = round(min(opened), 1) if opened else None
        took = f" in {ms:g} ms" if ms is not None else f" after {params.wait:g} s" * (answer == "silent")
        return Observation(
            target=where,
            values={"reachable": bool(opened), "answer": answer, "addresses": list(address.ips), "ms": ms},
            summary=f"{where} is {answer}{took}, seen from where the bot runs",
            excerpt="\n".join(f"{ip}: {said}" for ip, said in answers.items()),
        )

    @staticmethod
    async def _control(params: NetParams, context: Context) -> None:
        assert params.control_port is not None
        address = await context.egress.resolve(params.host, params.control_port)
        tried = await asyncio.gather(*(_try(ip, params.control_port, params.wait) for ip in address.ips))
        if not any(answer == "open" for answer, _ in tried):
            raise NoData(
                f"port {params.control_port} of {params.host} does not answer either, so that the silence of "
                f"{params.port} proves nothing"
            )


async def _try(ip: str, port: int, wait: float) -> tuple[str, float]:
    """How an address answers (open, refused, silent, no route), and after how many milliseconds."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(wait):
            _, writer = await asyncio.open_connection(ip, port)
    except TimeoutError:
        return "silent", 0.0
    except ConnectionRefusedError:
        return "refused", 0.0
    except OSError as error:
        return ("no route" if error.errno in _NO_ROUTE else "silent"), 0.0
    ms = (time.perf_counter() - began) * 1000
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return "open", ms


class DnsParams(Params):
    """Which name."""

    host: str = Field(min_length=1, description="The name.")
    port: int = Field(default=443, ge=1, le=65535, description="Port it is allowed for.")
    addresses: list[str] = Field(default_factory=list, description="Addresses it must have, and no others.")


class Dns(Kind[DnsParams]):
    """What a name resolves to, by the resolver of the machine the bot runs on."""

    name = "net.dns"
    about = "Whether a name resolves, and to which addresses."
    params = DnsParams
    values: ClassVar[Mapping[str, str]] = {
        "resolves": "whether it has an address",
        "addresses": "its addresses, in order",
        "missing": "expected addresses it does not have; 0 where none are named",
        "unexpected": "addresses it has beyond the expected; 0 where none are named",
    }

    def defaults(self, params: DnsParams) -> Rules:
        """It resolves, to the expected addresses where any are named."""
        return Rules(must={"resolves": True}, fail={"missing": "> 0", "unexpected": "> 0"})

    def problem(self, params: DnsParams) -> str | None:
        """An address, which needs no resolving."""
        if _is_address(params.host):
            return f"{params.host} is an address; there is nothing to resolve"
        bad = [text for text in params.addresses if not _is_address(text)]
        return f"{bad[0]} is no address" if bad else None

    async def observe(self, params: DnsParams, context: Context) -> Observation:
        """Resolve it."""
        found: list[str] = []
        try:
            found = sorted((await context.egress.resolve(params.host, params.port)).ips)
        except TargetDown as error:
            cause = error.__cause__
            if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
                raise NoData(f"the resolver does not answer for {params.host}", retryable=True) from error
            if not isinstance(cause, socket.gaierror):
                raise Broken(str(error)) from error
        wanted = set(params.addresses)
        values: dict[str, Any] = {
            "resolves": bool(found),
            "addresses": found,
            "missing": len(wanted - set(found)),
            "unexpected": len(set(found) - wanted) if wanted else 0,
        }
        return Observation(
            target=params.host,
            values=values,
            summary=", ".join(found) if found else f"{params.host} does not resolve",
            facts={"addresses": ", ".join(found)},
        )


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, text)
            return True
    return False


KINDS = (Net(), Dns())
