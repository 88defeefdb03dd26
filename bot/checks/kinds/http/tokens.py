"""Whether a guarded route refuses tokens that prove nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.calls import place
from bot.checks.kind import Context, Kind, NoData, Params, SecretValue
from bot.domain.check import Observation, Rules

#: Keys that tutorials use.
_GUESSES = ("secret", "your-256-bit-secret", "changeme")


class TokensParams(Params):
    """Which route, and how a token is sent."""

    url: str = Field(min_length=1, description="Route that needs a token; asked for with GET.")
    token: SecretValue | None = Field(
        None, description="Valid token: must be accepted, and is what the forged ones are made from."
    )
    expired: SecretValue | None = Field(None, description="Token that was valid once and has expired.")
    header: str = Field("Authorization", description="Header the token is sent in.")
    prefix: str = Field("Bearer ", description="What stands before the token in it.")
    refusals: list[int] = Field([401, 403], min_length=1, description="Statuses that are a refusal.")


class Tokens(Kind[TokensParams]):
    """No token, nonsense, unsigned, signed with a wrong key, altered, expired: each must be refused."""

    name = "http.tokens"
    about = "A guarded route must refuse missing, unsigned, forged, altered and expired tokens."
    params = TokensParams
    values: ClassVar[Mapping[str, str]] = {
        "accepted": "worthless tokens that were not refused: any status below 400",
        "server_errors": "worthless tokens answered with a 5xx",
        "unclear": "worthless tokens answered with a 4xx that is no refusal",
        "valid_token": "accepted or refused; only with token",
        "cases": "how many worthless tokens were tried",
    }

    def defaults(self, params: TokensParams) -> Rules:
        """Catalogue S2. A route that refuses the valid token too proves nothing."""
        return Rules(
            must={"valid_token": "accepted"} if params.token is not None else {},
            fail={"accepted": "> 0", "server_errors": "> 0"},
            warn={"unclear": "> 0"},
        )

    async def observe(self, params: TokensParams, context: Context) -> Observation:
        """Try them. Raises NoData where the answers say nothing about tokens."""
        values: dict[str, Any] = {"accepted": 0, "server_errors": 0, "unclear": 0}
        rows: list[str] = []
        if params.token is not None:
            status = await _ask(params.token.reveal(), params, context)
            values["valid_token"] = "accepted" if status < 300 else "refused"
            rows.append(f"{'valid token':<22} {status}  {values['valid_token']}")
        worthless = _worthless(params, context.now())
        for name, token in worthless.items():
            status = await _ask(token, params, context)
            if status == 429:
                raise NoData(f"{place(params.url)} limits the rate of requests: try again later")
            if status in params.refusals:
                said = "refused"
            else:
                said = "accepted" if status < 400 else "server_errors" if status >= 500 else "unclear"
                values[said] += 1
            rows.append(f"{name:<22} {status}  {said.replace('_', ' ')}")
        if values["unclear"] == len(worthless):
            raise NoData(f"{place(params.url)} neither accepts nor refuses a token: is it the right route?")
        values["cases"] = len(worthless)
        said = ", ".join(row.strip() for row in rows if not row.endswith("refused"))
        return Observation(
            target=place(params.url),
            values=values,
            summary=f"{len(worthless)} worthless tokens: {said or 'all refused'}",
            excerpt="\n".join(rows),
        )


async def _ask(token: str | None, params: TokensParams, context: Context) -> int:
    headers = {} if token is None else {params.header: f"{params.prefix}{token}"}
    answer = await context.web.request("GET", params.url, headers=headers, timeout=context.timeout / 4)
    return answer.status


def _worthless(params: TokensParams, now: datetime) -> dict[str, str | None]:
    """Tokens that no service may accept, by what is wrong with them."""
    claims, genuine = _claims(params.token.reveal() if params.token else ""), params.token is not None
    if claims is None:
        later = int((now + timedelta(hours=1)).timestamp())
        claims, genuine = {"sub": "1", "name": "admin", "role": "admin", "exp": later}, False
    found: dict[str, str | None] = {
        "no token": None,
        "nonsense": "nonsense",
        "unsigned (none)": jwt({"alg": "none", "typ": "JWT"}, claims),
        "unsigned (nOnE)": jwt({"alg": "nOnE", "typ": "JWT"}, claims),
        "signed by nobody": jwt({"alg": "HS256", "typ": "JWT"}, claims, key=secrets.token_hex(16)),
    }
    for guess in _GUESSES:
        found[f"signed with '{guess[:11]}'"] = jwt({"alg": "HS256", "typ": "JWT"}, claims, key=guess)
    if genuine and params.token is not None:
        head, _, rest = params.token.reveal().partition(".")
        signature = rest.partition(".")[2]
        altered = _encoded(json.dumps({**claims, "deploybot": "altered"}).encode())
        found["altered"] = f"{head}.{altered}.{signature}"
    if params.expired is not None:
        found["expired"] = params.expired.reveal()
    return found


def jwt(header: Mapping[str, Any], claims: Mapping[str, Any], *, key: str | None = None) -> str:
    """A JSON Web Token (RFC 7519): signed with HMAC-SHA-256 where a key is given, else unsigned."""
    text = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    if key is None:
        return f"{text}."
    return f"{text}.{_encoded(hmac.digest(key.encode(), text.encode(), hashlib.sha256))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(token: str) -> dict[str, Any] | None:
    """The claims of a JWT; None for a token of another kind."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
