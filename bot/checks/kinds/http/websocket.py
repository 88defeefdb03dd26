"""Whether real-time messages arrive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from bot.checks.calls import CallParams, Credentials, call, place, revealed
from bot.checks.handshakes import open_socket
from bot.checks.kind import Context, Duration, Kind, TargetDown
from bot.checks.web import host_and_port
from bot.domain.check import Observation, Rules

#: What stands for the run's marker in messages, trigger and expectation.
MARKER = "{marker}"


class WebSocketParams(Credentials):
    """Where to connect, what causes a message, and which message must come."""

    url: str = Field(pattern=r"^wss?://", description="WebSocket URL, ws:// or wss://.")
    subprotocols: list[str] = Field(default_factory=list, description="Subprotocols to offer.")
    send: Any = Field(
        None, description="Message to send once connected; anything but a text is sent as JSON."
    )
    trigger: CallParams | None = Field(
        None, description="HTTP request that makes the service send a message."
    )
    message: str = Field(
        ".", description="Regular expression found in the message; `{marker}` is this run's marker."
    )
    within: Duration = Field(5.0, gt=0, le=60, description="How long to wait for it.")


class WebSocket(Kind[WebSocketParams]):
    """Connects, causes a message and waits for it. Messages from before the cause do not count."""

    name = "http.ws"
    about = "WebSocket: connects, optionally makes an HTTP request, and expects a message in time."
    params = WebSocketParams
    values: ClassVar[Mapping[str, str]] = {
        "received": "whether the message came in time",
        "delay_ms": "milliseconds from the cause to the message; absent where it did not come",
        "connect_ms": "milliseconds until the connection was open",
        "messages": "messages that came and were not the expected one",
    }
    #: The trigger does something.
    repeatable = False
    cheap = False
    timeout = 20.0

    def defaults(self, params: WebSocketParams) -> Rules:
        """Catalogue Q3."""
        return Rules(must={"received": True})

    def problem(self, params: WebSocketParams) -> str | None:
        """An expression that is none, credentials that exclude each other."""
        try:
            re.compile(params.message.replace(MARKER, "marker"))
        except re.error as error:
            return f"message: '{params.message}' is no regular expression: {error}"
        return (params.trigger.call_problem() if params.trigger else None) or params.credentials_problem()

    async def observe(self, params: WebSocketParams, context: Context) -> Observation:
        """Connect and wait. Raises TargetDown where the connection is refused or the trigger fails."""
        began = time.perf_counter()
        async with await _connected(params, context) as connection:
            connect_ms = (time.perf_counter() - began) * 1000
            inbox: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
            reader = asyncio.create_task(_read(connection, inbox))
            try:
                caused = await _cause(params, context, connection)
                wanted = re.compile(params.message.replace(MARKER, re.escape(context.marker)), re.DOTALL)
                found, others = await _await(inbox, wanted, caused, params.within)
            finally:
                reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reader
        delay = None if found is None else round((found[0] - caused) * 1000, 1)
        came = f"message after {delay:.0f} ms" if delay is not None else f"no message in {params.within:g} s"
        return Observation(
            target=place(params.url),
            values={
                "received": found is not None,
                "delay_ms": delay,
                "connect_ms": round(connect_ms, 1),
                "messages": len(others),
            },
            summary=f"connected in {connect_ms:.0f} ms, {came}"
            + (f", {len(others)} others" if others else ""),
            excerpt=found[1][:400] if found is not None else "\n".join(text[:200] for text in others[:5]),
        )


async def _connected(params: WebSocketParams, context: Context) -> ClientConnection:
    """An open connection to a checked address; a given socket also keeps the library from following
    redirects to unchecked ones."""
    host, port = host_and_port(params.url)
    limit = context.timeout / 3
    link = await open_socket(context.egress, host, port, timeout=limit)
    secure: dict[str, Any] = {"ssl": context.web.tls()} if params.url.startswith("wss:") else {}
    try:
        return await connect(
            params.url,
            sock=link,
            proxy=None,
            open_timeout=limit,
            close_timeout=1,
            additional_headers=params.sent_headers(),
            subprotocols=[Subprotocol(name) for name in params.subprotocols] or None,
            **secure,
        )
    except InvalidStatus as error:
        raise _for_good(f"{place(params.url)} answers {error.response.status_code}: no WebSocket") from error
    except TimeoutError as error:
        raise TargetDown(f"{place(params.url)}: no WebSocket within {limit:.0f} s") from error
    except ssl.SSLCertVerificationError as error:
        raise _for_good(
            f"{place(params.url)}: its certificate is not accepted ({error.verify_message})"
        ) from error
    except (InvalidHandshake, InvalidURI, ValueError) as error:
        raise _for_good(f"{place(params.url)} does not open a WebSocket: {error}") from error
    except (OSError, EOFError) as error:
        raise TargetDown(f"{place(params.url)} breaks off the WebSocket handshake") from error
    finally:
        if link.fileno() != -1 and not _in_use(link):
            link.close()


def _in_use(link: Any) -> bool:
    try:
        link.getpeername()
    except OSError:
        return False
    return True


async def _cause(params: WebSocketParams, context: Context, connection: ClientConnection) -> float:
    """Make the service send the message; when that began. Raises TargetDown where it cannot be made to."""
    caused = time.perf_counter()
    if params.send is not None:
        said = _marked(revealed(params.send), context.marker)
        try:
            await connection.send(said if isinstance(said, str) else json.dumps(said))
        except ConnectionClosed as error:
            raise _for_good(f"{place(params.url)} closed the connection at once") from error
    if params.trigger is not None:
        parts = ("url", "query", "headers", "json_body", "form", "body")
        trigger = params.trigger.model_copy(
            update={part: _marked(getattr(params.trigger, part), context.marker) for part in parts}
        )
        answer = await call(trigger, context, timeout=context.timeout / 3)
        if answer.status >= 400:
            raise _for_good(f"the trigger {place(trigger.url)} answers {answer.status}")
    return caused


def _marked(value: Any, marker: str) -> Any:
    match value:
        case str():
            return value.replace(MARKER, marker)
        case Mapping():
            return {name: _marked(inner, marker) for name, inner in value.items()}
        case list() | tuple():
            return [_marked(inner, marker) for inner in value]
        case _:
            return value


async def _read(connection: ClientConnection, inbox: asyncio.Queue[tuple[float, str] | None]) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            text = message if isinstance(message, str) else message.decode("utf-8", "replace")
            inbox.put_nowait((time.perf_counter(), text))
    inbox.put_nowait(None)


async def _await(
    inbox: asyncio.Queue[tuple[float, str] | None], wanted: re.Pattern[str], since: float, within: float
) -> tuple[tuple[float, str] | None, list[str]]:
    """The first message that is wanted and came after the cause, and the others."""
    others: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(since + within - time.perf_counter(), 0.01)):
            while (message := await inbox.get()) is not None:
                if message[0] >= since and wanted.search(message[1]):
                    return message, others
                others.append(message[1])
    return None, others


def _for_good(why: str) -> TargetDown:
    """Trouble that asking again will not mend."""
    down = TargetDown(why)
    down.retryable = False
    return down
