"""What every hook does with a request: its bearer token, its body, its refusal in a sentence."""

from __future__ import annotations

import hmac
import json
from typing import Any

from aiohttp import web

from bot.domain.errors import InboundUnusable


def authorized(request: web.Request, token: str) -> bool:
    """Whether the request carries the bearer token, compared in constant time."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # aiohttp keeps bytes that are no UTF-8 as surrogates.
    sent = given.strip().encode("utf-8", "surrogateescape")
    wanted = token.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(sent, wanted) and scheme.casefold() == "bearer"


async def read_body(request: web.Request, limit: int) -> bytes | None:
    """The body; None where it is too large, of which no more than that is read."""
    if (request.content_length or 0) > limit:
        return None
    read = bytearray()
    async for chunk in request.content.iter_any():
        read += chunk
        if len(read) > limit:
            return None
    return bytes(read)


def json_of(body: bytes, *, what: str) -> Any:
    """What the body, an alert or a request, holds. Raises InboundUnusable."""
    try:
        return json.loads(body)
    except RecursionError:
        problem = "it is nested too deeply"
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except json.JSONDecodeError as error:
        problem = f"it is no JSON at line {error.lineno}, column {error.colno}"
    except ValueError:  # a number of thousands of digits
        problem = "it has a number that is too long"
    raise InboundUnusable((problem,), advice="Send a JSON object", what=what)


def refusal(
    status: int, sentence: str, *, headers: dict[str, str] | None = None, **more: Any
) -> web.Response:
    """A sentence in JSON."""
    return web.json_response({"error": sentence, **more}, status=status, headers=headers)


def too_large(limit: int, advice: str) -> web.Response:
    """The refusal of a body that is not read to its end."""
    return refusal(413, f"The request is larger than {limit} bytes: {advice}.")
