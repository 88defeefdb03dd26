"""Whether a key is still accepted by who issued it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.calls import CallParams, call, expression_problem, extract, parsed, place
from bot.checks.kind import Answer, Broken, Context, Kind, NoData
from bot.domain.check import Observation, Rules


class WhoAmIParams(CallParams):
    """A request that only a valid key can make, at the provider of the key."""

    accepted: str | None = Field(
        None,
        description="JMESPath that is true for a valid key, where the provider answers 200 to a bad one.",
    )
    account: str | None = Field(None, description="JMESPath to whom the key belongs, shown as evidence.")
    expiry: str | None = Field(None, description="JMESPath to when the key expires: a date or a time stamp.")
    expiry_header: str | None = Field(None, description="Response header with when the key expires.")
    absent_means_never: bool = Field(
        False, description="Whether a key without an expiry never expires; otherwise that is unknown."
    )


class WhoAmI(Kind[WhoAmIParams]):
    """Asks a provider who the key belongs to. That the provider is down says nothing about the key."""

    name = "http.whoami"
    about = "Asks a provider whether an API key is valid, and when it expires."
    params = WhoAmIParams
    values: ClassVar[Mapping[str, str]] = {
        "valid": "whether the provider accepts the key",
        "status": "status code of the answer",
        "expires_days": "days until the key expires; only with expiry or expiry_header",
        "account": "whom it belongs to; only with account",
    }
    indirect = True

    def defaults(self, params: WhoAmIParams) -> Rules:
        """Catalogue S3: refused fails, fewer than 14 days left warns."""
        expires = params.expiry is not None or params.expiry_header is not None
        return Rules(must={"valid": True}, warn={"expires_days": "< 14"} if expires else {})

    def problem(self, params: WhoAmIParams) -> str | None:
        """No key, expressions that are none."""
        if not (params.bearer or params.user or params.headers or params.query):
            return "there is no key: give bearer, user and password, or a header"
        if params.expiry is not None and params.expiry_header is not None:
            return "expiry and expiry_header exclude each other"
        for name in ("accepted", "account", "expiry"):
            if wrong := expression_problem(name, getattr(params, name)):
                return wrong
        return params.call_problem()

    async def observe(self, params: WhoAmIParams, context: Context) -> Observation:
        """Ask. Raises NoData where the provider answers neither yes nor no, Broken for a wrong URL."""
        answer = await call(params, context)
        where = place(params.url)
        if answer.status in (401, 403) and not _limited(answer):
            values: dict[str, Any] = {"valid": False, "status": answer.status}
            if params.expiry or params.expiry_header:
                values["expires_days"] = None
            return Observation(
                target=where, values=values, summary=f"the provider refuses the key ({answer.status})"
            )
        if answer.status >= 500 or answer.status in (403, 429):
            raise NoData(f"{where} answers {answer.status}: that says nothing about the key", retryable=True)
        if not 200 <= answer.status < 300:
            raise Broken(f"{where} answers {answer.status}: is it the right URL?")
        return self._accepted(params, answer, context.now())

    @staticmethod
    def _accepted(params: WhoAmIParams, answer: Answer, now: datetime) -> Observation:
        try:
            data = parsed(answer)
        except ValueError:
            if params.accepted or params.account or params.expiry:
                raise NoData(f"{place(params.url)} answers with something that is not JSON") from None
            data = None
        valid = params.accepted is None or bool(extract(params.accepted, data))
        values: dict[str, Any] = {"valid": valid, "status": answer.status}
        said = ["the provider accepts the key" if valid else "the provider answers that the key is not valid"]
        if params.account is not None:
            values["account"] = extract(params.account, data)
            said.append(f"account {values['account']}")
        if params.expiry is not None or params.expiry_header is not None:
            if params.expiry is not None:
                when = extract(params.expiry, data)
            else:
                when = answer.headers.get((params.expiry_header or "").casefold())
            if when is not None:
                left = math.floor((moment(when) - now).total_seconds() / 86400)
                values["expires_days"] = left
                said.append(f"{left} days left")
            elif params.absent_means_never:
                values["expires_days"] = math.inf
                said.append("never expires")
        return Observation(target=place(params.url), values=values, summary=", ".join(said))


def _limited(answer: Answer) -> bool:
    """Whether a 403 is a rate limit, as GitHub's is: nothing remaining, or a time to come back."""
    remaining = answer.headers.get("x-ratelimit-remaining", "")
    return answer.status == 403 and (remaining.strip() == "0" or "retry-after" in answer.headers)


def moment(value: Any) -> datetime:
    """A point in time: seconds or milliseconds since 1970, ISO 8601, HTTP date, `2026-03-02 12:00:00 UTC`.

    Without a zone it is UTC. Raises NoData for anything else.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    try:
        if not math.isnan(number):
            return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
        text = re.sub(r"\s*\b(?:UTC|GMT)$", "+00:00", str(value).strip())
        try:
            found = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
        except ValueError:
            found = parsedate_to_datetime(str(value))
    except (ValueError, OverflowError, OSError) as error:
        raise NoData(f"'{str(value)[:40]}' is no date that is understood") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
