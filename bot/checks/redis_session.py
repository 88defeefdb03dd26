"""A connection to Redis at a checked address, and its errors in words."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import exceptions
from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from bot.checks.kind import Address, Broken, Context, NoData, TargetDown

#: Seconds to connect, and to wait for one answer.
CONNECT_S = ANSWER_S = 5.0


class PinnedConnection(Connection):
    """Connects to the checked address; the name stays in TLS."""

    def __init__(self, *, ip: str, tls: ssl.SSLContext | None, **given: Any) -> None:
        super().__init__(**given)
        self._ip = ip
        self._tls = tls

    def _connection_arguments(self) -> Mapping[str, Any]:
        where: dict[str, Any] = {"host": self._ip, "port": self.port}
        if self._tls is not None:
            # Without a check of the name there is none to ask for, only one to announce.
            where |= {"ssl": self._tls, "server_hostname": self.host}
        return where


class RedisUrl:
    """What a Redis URL says. Raises Broken, whose text quotes nothing of the URL but its scheme."""

    def __init__(self, url: str) -> None:
        self.scheme = url.partition("://")[0].casefold() if "://" in url else ""
        if self.scheme not in ("redis", "rediss"):
            why = (
                "checks do not use UNIX sockets" if self.scheme == "unix" else "write redis://… or rediss://…"
            )
            raise Broken(f"the Redis URL cannot be used: {why}")
        try:
            parts = urlsplit(url)
            port = parts.port or 6379
        except ValueError:
            raise Broken("the Redis URL cannot be read: its host or port is none") from None
        if not parts.hostname:
            raise Broken("the Redis URL names no host")
        number = parts.path.strip("/") or "0"
        if not number.isdecimal():
            raise Broken("the Redis URL's database is no number")
        self.host, self.port, self.db = parts.hostname, port, int(number)
        self.user = unquote(parts.username or "")
        self.password = unquote(parts.password or "")

    @property
    def shown(self) -> str:
        """Without the password."""
        return f"{self.host}:{self.port}/{self.db}"


@contextlib.asynccontextmanager
async def connected(
    url: RedisUrl, context: Context, *, ca_file: str = "", anonymous: bool = False
) -> AsyncIterator[Any]:
    """A client with one connection; `anonymous` does not log in.

    Raises TargetDown where nothing answers, NoData where a login or a command is refused.
    """
    address = await context.egress.resolve(url.host, url.port)
    tls = _tls(context, ca_file) if url.scheme == "rediss" else None
    client = await _client(url, address, tls, anonymous=anonymous)
    try:
        yield client
    except exceptions.NoPermissionError as error:
        raise NoData(f"{url.user or 'the default user'} has no permission at {url.shown}: {error}") from error
    except exceptions.AuthenticationError as error:
        raise NoData(f"{url.shown} does not let {url.user or 'the default user'} in: {error}") from error
    except exceptions.TimeoutError as error:
        raise TargetDown(f"no answer from {url.shown} within {ANSWER_S:g} s") from error
    except exceptions.ConnectionError as error:
        raise TargetDown(_in_words(url, error)) from error
    except exceptions.ResponseError as error:
        raise NoData(f"{url.shown} refuses: {error}") from error
    finally:
        await client.aclose(close_connection_pool=True)


async def _client(url: RedisUrl, address: Address, tls: ssl.SSLContext | None, *, anonymous: bool) -> Any:
    """A client on the first checked address that takes a connection; its last error shows when it is used."""
    client: Any = None
    for ip in address.ips:
        pool = ConnectionPool(
            connection_class=PinnedConnection,
            max_connections=1,
            ip=ip,
            tls=tls,
            host=url.host,
            port=url.port,
            db=0 if anonymous else url.db,
            username=None if anonymous else url.user or None,
            password=None if anonymous else url.password or None,
            socket_connect_timeout=CONNECT_S,
            socket_timeout=ANSWER_S,
            decode_responses=True,
            # A retry would hide a flapping server; the engine decides about tries.
            retry=Retry(NoBackoff(), 0),
            # Announcing the library costs two commands and needs rights of its own.
            driver_info=None,
        )
        client = Redis(connection_pool=pool)
        if ip == address.ips[-1]:
            break
        try:
            await client.ping()
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            if isinstance(error, exceptions.AuthenticationError):
                break
            await client.aclose(close_connection_pool=True)
        except exceptions.RedisError:
            break
        else:
            break
    return client


def _tls(context: Context, ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=context.path(ca_file) if ca_file else None)
    except OSError as error:
        raise Broken(f"the CA file {ca_file} cannot be used: {error.strerror or error}") from error


def _in_words(url: RedisUrl, error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{url.shown}: its certificate is not accepted ({cause.verify_message})"
        if isinstance(cause, ConnectionRefusedError):
            return f"nothing listens at {url.host}:{url.port}"
        if isinstance(cause, ssl.SSLError):
            return f"{url.shown} does not speak TLS"
        cause = cause.__cause__ or cause.__context__
    return f"{url.shown} broke off: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
