"""PgBouncer's admin console: a few SHOW commands over PostgreSQL's simple query protocol.

The console understands nothing else, and the driver the other checks use speaks the extended protocol only.
Messages after the PostgreSQL documentation, "Frontend/Backend Protocol"; SCRAM after RFC 5802 and RFC 7677.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
import ssl
import struct
from collections.abc import AsyncIterator

from bot.checks.kind import Context, NoData, TargetDown
from bot.checks.postgres.dsn import PostgresDsn
from bot.checks.postgres.session import APPLICATION, CONNECT_S, tls_context

#: Longest message taken, in bytes.
LARGEST = 4 * 1024 * 1024


class ConsoleRefused(Exception):
    """An error the server answers with; `str()` is its text."""


class Console:
    """A logged-in connection to the console."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def show(self, what: str) -> list[dict[str, str]]:
        """The rows of `SHOW what`, all as text. Raises ConsoleRefused."""
        self._send(b"Q", f"SHOW {what}".encode() + b"\0")
        names: list[str] = []
        rows: list[dict[str, str]] = []
        refused = ""
        while True:
            kind, body = await self._receive()
            match kind:
                case b"T":
                    names = _names(body)
                case b"D":
                    rows.append(dict(zip(names, _fields(body), strict=False)))
                case b"E":
                    refused = _error(body)
                case b"Z":
                    if refused:
                        raise ConsoleRefused(refused)
                    return rows

    async def log_in(self, dsn: PostgresDsn) -> None:
        """Startup and the login that is asked for: none, password, MD5, SCRAM-SHA-256.

        Raises ConsoleRefused.
        """
        startup = {"user": dsn.user, "database": dsn.database, "application_name": APPLICATION}
        said = b"".join(f"{name}\0{value}\0".encode() for name, value in startup.items())
        self._send(b"", struct.pack("!i", 196608) + said + b"\0")
        scram: _Scram | None = None
        while True:
            kind, body = await self._receive()
            if kind == b"E":
                raise ConsoleRefused(_error(body))
            if kind == b"Z":
                return
            if kind != b"R":
                continue
            code, rest = struct.unpack("!i", body[:4])[0], body[4:]
            match code:
                case 0:
                    continue
                case 3:
                    self._send(b"p", dsn.password.encode() + b"\0")
                case 5:
                    self._send(b"p", _md5(dsn, rest[:4]) + b"\0")
                case 10:
                    scram = _Scram(dsn.password)
                    first = scram.first()
                    self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
                case 11 if scram is not None:
                    self._send(b"p", scram.answer(rest))
                case 12 if scram is not None:
                    scram.check(rest)
                case _:
                    raise ConsoleRefused(f"it asks for a login of type {code}, which checks do not speak")

    def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + struct.pack("!i", len(body) + 4) + body)

    async def _receive(self) -> tuple[bytes, bytes]:
        await self._writer.drain()
        head = await self._reader.readexactly(5)
        length = struct.unpack("!i", head[1:])[0] - 4
        if not 0 <= length <= LARGEST:
            raise ConsoleRefused("it does not speak PostgreSQL's protocol")
        return head[:1], await self._reader.readexactly(length)


@contextlib.asynccontextmanager
async def console(dsn: PostgresDsn, context: Context, *, ca_file: str = "") -> AsyncIterator[Console]:
    """The console at a checked address. Raises TargetDown, NoData where the login is refused."""
    where = f"{dsn.host}:{dsn.port}"
    address = await context.egress.resolve(dsn.host, dsn.port)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(min(CONNECT_S, context.timeout)):
            reader, writer = await _open(address.ips, dsn)
            if dsn.sslmode != "disable":
                await _encrypt(reader, writer, dsn, context, ca_file)
            found = Console(reader, writer)
            await found.log_in(dsn)
        yield found
    except ConsoleRefused as error:
        raise NoData(f"{where}: {error}") from error
    except ssl.SSLCertVerificationError as error:
        raise TargetDown(f"{where}: its certificate is not accepted ({error.verify_message})") from error
    except asyncio.IncompleteReadError as error:
        raise TargetDown(f"{where} broke off") from error
    except ConnectionRefusedError as error:
        raise TargetDown(f"nothing listens at {where}") from error
    except TimeoutError as error:
        raise TargetDown(f"no answer from {where} within {CONNECT_S:g} s") from error
    except OSError as error:
        raise TargetDown(f"{where}: {error.strerror or error}") from error
    finally:
        if writer is not None:
            writer.close()


async def _open(ips: tuple[str, ...], dsn: PostgresDsn) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    error: OSError | None = None
    for ip in ips:
        try:
            return await asyncio.open_connection(ip, dsn.port)
        except OSError as refused:
            error = refused
    raise error or OSError(f"{dsn.host} has no address")


async def _encrypt(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    dsn: PostgresDsn,
    context: Context,
    ca_file: str,
) -> None:
    writer.write(struct.pack("!ii", 8, 80877103))
    await writer.drain()
    answer = await reader.readexactly(1)
    if answer == b"S":
        await writer.start_tls(tls_context(dsn, context, ca_file), server_hostname=dsn.host)
    elif dsn.sslmode not in ("allow", "prefer"):
        raise TargetDown(f"{dsn.host}:{dsn.port} offers no TLS, which sslmode={dsn.sslmode} demands")


def _names(body: bytes) -> list[str]:
    count = struct.unpack("!h", body[:2])[0]
    names, at = [], 2
    for _ in range(count):
        end = body.index(b"\0", at)
        names.append(body[at:end].decode("utf-8", "replace"))
        at = end + 1 + 18
    return names


def _fields(body: bytes) -> list[str]:
    count = struct.unpack("!h", body[:2])[0]
    fields, at = [], 2
    for _ in range(count):
        length = struct.unpack("!i", body[at : at + 4])[0]
        at += 4
        fields.append(body[at : at + max(length, 0)].decode("utf-8", "replace"))
        at += max(length, 0)
    return fields


def _error(body: bytes) -> str:
    parts = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return parts.get(b"M", "it answers with an error")


def _md5(dsn: PostgresDsn, salt: bytes) -> bytes:
    inner = hashlib.md5((dsn.password + dsn.user).encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


class _Scram:
    """The client's side of SCRAM-SHA-256 without channel binding."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._nonce = secrets.token_urlsafe(18)
        self._bare = f"n=,r={self._nonce}"
        self._proof_of_server = b""

    def first(self) -> bytes:
        """The first message."""
        return f"n,,{self._bare}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """The proof of the password for the server's challenge. Raises ConsoleRefused."""
        said = _attributes(challenge)
        try:
            nonce, salt, rounds = said["r"], base64.b64decode(said["s"]), int(said["i"])
        except (KeyError, ValueError):
            raise ConsoleRefused("its SCRAM challenge cannot be read") from None
        if not nonce.startswith(self._nonce) or not 0 < rounds <= 1_000_000:
            raise ConsoleRefused("its SCRAM challenge is none")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)
        client_key = _hmac(salted, b"Client Key")
        final = f"c=biws,r={nonce}"
        signed = f"{self._bare},{challenge.decode()},{final}".encode()
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._proof_of_server = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def check(self, final: bytes) -> None:
        """Raises ConsoleRefused where the server does not know the password either."""
        said = base64.b64decode(_attributes(final).get("v", ""))
        if not hmac.compare_digest(said, self._proof_of_server):
            raise ConsoleRefused("its proof of the password is wrong")


def _attributes(message: bytes) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.decode("utf-8", "replace").split(",") if "=" in part)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
