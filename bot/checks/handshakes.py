"""TLS handshakes with checked addresses, for what HTTP does not show: certificates, versions, protocols."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from bot.checks.kind import Egress, TargetDown

#: From the oldest that an OpenSSL of today can still speak.
VERSIONS: dict[str, ssl.TLSVersion] = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

#: Reasons OpenSSL gives where the server would not speak the one version it was offered: an alert, another
#: version, or the end of the connection. Any other error arose here, after the server had agreed.
_REFUSALS = ("ALERT", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION", "WRONG_SSL_VERSION", "UNEXPECTED_EOF")


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """What a completed handshake showed."""

    #: The leaf certificate, DER.
    certificate: bytes
    #: `TLSv1.3` and so on.
    version: str
    cipher: str
    #: The protocol chosen by ALPN; empty where none was.
    alpn: str


async def open_socket(egress: Egress, host: str, port: int, *, timeout: float) -> socket.socket:
    """A non-blocking socket connected to the first checked address that answers.

    Raises TargetDown, Refused.
    """
    address = await egress.resolve(host, port)
    loop = asyncio.get_running_loop()
    why = "it has no address"
    for ip in address.ips:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        link = socket.socket(family, socket.SOCK_STREAM)
        link.setblocking(False)
        try:
            async with asyncio.timeout(timeout):
                await loop.sock_connect(link, (ip, port))
        except TimeoutError:
            why = f"no connection within {timeout:g} s"
        except OSError as error:
            why = (
                "nothing listens there" if isinstance(error, ConnectionRefusedError) else str(error.strerror)
            )
        except BaseException:
            link.close()
            raise
        else:
            return link
        link.close()
    raise TargetDown(f"{host}:{port}: {why}")


async def handshake(
    egress: Egress, host: str, port: int, context: ssl.SSLContext, *, name: str, timeout: float
) -> Handshake:
    """One handshake, in which `name` is asked for.

    Raises TargetDown where there is no connection or no answer in it, ssl.SSLError and ConnectionError where
    the handshake fails.
    """
    link = await open_socket(egress, host, port, timeout=timeout)
    _, writer = await asyncio.open_connection(sock=link)
    try:
        async with asyncio.timeout(timeout):
            await writer.start_tls(context, server_hostname=name)
        done: ssl.SSLObject = writer.get_extra_info("ssl_object")
        cipher = done.cipher()
        return Handshake(
            certificate=done.getpeercert(binary_form=True) or b"",
            version=done.version() or "",
            cipher=cipher[0] if cipher else "",
            alpn=done.selected_alpn_protocol() or "",
        )
    except TimeoutError as error:
        raise TargetDown(f"{host}:{port}: no TLS handshake within {timeout:g} s") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


async def accepts(
    egress: Egress, host: str, port: int, version: str, *, name: str, timeout: float
) -> bool | None:
    """Whether a server speaks this version of TLS; None where this cannot be told from here.

    Raises TargetDown where there is no connection at all.
    """
    context = pinned(version)
    if context is None:
        return None
    try:
        await handshake(egress, host, port, context, name=name, timeout=timeout)
    except ssl.SSLError as error:
        reason = (error.reason or "").upper().replace(" ", "_")
        refused = isinstance(error, ssl.SSLEOFError) or any(word in reason for word in _REFUSALS)
        return False if refused else None
    except ConnectionError:
        return False
    return True


def pinned(version: str) -> ssl.SSLContext | None:
    """A context that offers this version only and trusts anybody; None where OpenSSL here cannot offer it."""
    context = lenient(lowest=version, highest=version)
    if context is None:
        return None
    sent = ssl.MemoryBIO()
    probe = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    try:
        probe.do_handshake()
    except ssl.SSLWantReadError:
        return context if sent.pending else None
    except ssl.SSLError:
        pass
    return None


def lenient(*, lowest: str = "TLSv1", highest: str = "TLSv1.3") -> ssl.SSLContext | None:
    """A context that trusts anybody and speaks these versions; None where OpenSSL here was built without one.

    Security level 0 lifts what distributions forbid, so that a refusal is the server's and not our own.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        # Python warns of the old versions; finding them out is what this is for.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            context.minimum_version = VERSIONS[lowest]
            context.maximum_version = VERSIONS[highest]
            context.set_ciphers("ALL:@SECLEVEL=0")
        except (ValueError, ssl.SSLError):
            return None
    return context


def floor(spoken: Mapping[str, bool | None]) -> str | None:
    """The oldest version that is accepted, by what `accepts` told of each; None where that is not proven.

    A version that could not be offered leaves the floor open, unless what is accepted is too old already.
    """
    older: list[str] = []
    for version in VERSIONS:
        if spoken[version]:
            proven = all(spoken[one] is False for one in older)
            return version if proven or version in ("TLSv1", "TLSv1.1") else None
        older.append(version)
    return None


def names_host(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate is for a host, by its subject alternative names (RFC 9525: no common name, and a
    wildcard stands for the whole leftmost label only)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ipaddress.ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    wanted = host.rstrip(".").casefold()
    for name in names.get_values_for_type(x509.DNSName):
        pattern = name.rstrip(".").casefold()
        if pattern == wanted:
            return True
        if pattern.startswith("*.") and pattern.count(".") >= 2 and wanted.partition(".")[2] == pattern[2:]:
            return True
    return False
