"""Where checks may connect to: an allow-list of names and networks, each host resolved once a run.

Targets are mostly internal, so private addresses are not refused as such; what is refused always is what no
deployment is verified at: link-local and metadata addresses, this-network, multicast. An allowed name that
resolves to loopback is refused unless loopback itself is allowed: that is what a rebinding attack looks like.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from bot.checks.kind import Address, Refused, TargetDown

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Never a target: link-local with the cloud metadata services (RFC 3927, RFC 4291, AWS `fd00:ec2::254`,
#: Alibaba 100.100.100.200, Oracle 192.0.0.192, Azure 168.63.129.16, Google `fd20:ce::254`), "this network"
#: (RFC 1122), multicast, broadcast.
NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "168.63.129.16/32",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        "ff00::/8",
    )
)
#: Prefixes before an IPv4 address: NAT64 (RFC 6052, RFC 8215) and the old IPv4-compatible form (RFC 4291).
_BEFORE_IPV4 = tuple(ipaddress.IPv6Network(prefix) for prefix in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))


class AllowList:
    """Resolves hosts and lets only allowed ones through."""

    def __init__(
        self, entries: Iterable[str], *, look_up: Callable[[str], Awaitable[tuple[str, ...]]] | None = None
    ) -> None:
        self._addresses = look_up or _addresses
        self._names: dict[str, set[int | None]] = {}
        self._suffixes: list[tuple[str, int | None]] = []
        self._networks: list[tuple[Network, int | None]] = []
        self._resolving: dict[str, asyncio.Future[tuple[str, ...]]] = {}
        self._checked: dict[tuple[str, int], Address] = {}
        for entry in entries:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        if "://" not in entry:
            try:
                self._networks.append((ipaddress.ip_network(entry, strict=False), None))
            except ValueError:
                entry = f"//{entry}"
            else:
                return
        parts = urlsplit(entry)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        if not host:
            raise ValueError(f"'{entry}' names no host")
        try:
            self._networks.append((ipaddress.ip_network(host), port))
        except ValueError:
            if host.startswith("*."):
                self._suffixes.append((host[1:], port))
            else:
                self._names.setdefault(host, set()).add(port)

    async def resolve(self, host: str, port: int) -> Address:
        """The checked addresses of a host. Raises Refused, TargetDown where the name does not resolve."""
        known = self._checked.get((host, port))
        if known is None:
            known = self._checked[host, port] = await self._check(host, port)
        return known

    async def _check(self, host: str, port: int) -> Address:
        name = host.strip("[]").rstrip(".").casefold()
        if not name or not 0 < port < 65536:
            raise Refused(f"{host}:{port} is no address to connect to")
        by_name = self._allows_name(name, port)
        if not by_name and not self._networks:
            raise self._refusal(host, port, "is not on the list of allowed hosts")
        ips = await self._look_up(name)
        for text in ips:
            ip = _effective(ipaddress.ip_address(text.partition("%")[0]))
            if any(ip in network for network in NEVER):
                raise self._refusal(host, port, f"leads to {ip}, which is never a target")
            in_network = any(
                ip in network and port_ in (None, port)
                for network, port_ in self._networks
                if network.version == ip.version
            )
            if in_network or (by_name and (not ip.is_loopback or name == "localhost")):
                continue
            why = f"leads to {ip}, this machine" if by_name else "is not on the list of allowed hosts"
            raise self._refusal(host, port, why)
        return Address(host=name, port=port, ips=ips)

    def _allows_name(self, name: str, port: int) -> bool:
        if self._names.get(name, set()) & {None, port}:
            return True
        return any(name.endswith(suffix) and port_ in (None, port) for suffix, port_ in self._suffixes)

    @staticmethod
    def _refusal(host: str, port: int, why: str) -> Refused:
        return Refused(f"{host}:{port} {why}; nothing was contacted. Add it under `allow` if it is meant.")

    async def _look_up(self, name: str) -> tuple[str, ...]:
        """Every address of a name, asked once: no second answer can differ from the checked one."""
        try:
            return (str(ipaddress.ip_address(name)),)
        except ValueError:
            pass
        known = self._resolving.get(name)
        if known is None:
            known = self._resolving[name] = asyncio.ensure_future(self._addresses(name))
        try:
            return await asyncio.shield(known)
        except (OSError, UnicodeError) as error:
            if self._resolving.get(name) is known:
                del self._resolving[name]  # nothing was found that a later answer could differ from
            why = error.strerror if isinstance(error, OSError) else "it is no host name"
            raise TargetDown(f"{name} does not resolve: {why}") from error


async def _addresses(name: str) -> tuple[str, ...]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _effective(ip: IP) -> IP:
    """The IPv4 address inside an IPv6 one, where that is where packets go."""
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and not ip.is_loopback and any(ip in prefix for prefix in _BEFORE_IPV4):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return inner or ip
    return ip
