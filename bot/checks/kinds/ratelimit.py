"""Rate limits: what a route advertises, and whether it limits."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.calls import CallParams, call, place
from bot.checks.kind import Answer, Broken, CheckTrouble, Context, Duration, Kind, NoData
from bot.checks.rate_limits import advertised, closest
from bot.domain.check import Observation, Rules

#: Requests under way at once in a burst.
_AT_ONCE = 10
#: So many broken connections end a burst: the target has other troubles.
_MOST_TROUBLES = 3


class InspectParams(CallParams):
    """One request, and the limit it should advertise."""

    limit: int = Field(gt=0, description="Requests allowed in the window, as declared.")
    window: Duration | None = Field(
        None, gt=0, description="The window; leave it out where the service does not advertise one."
    )


class Inspect(Kind[InspectParams]):
    """Compares the declared limit with the advertised one. Whether it is enforced, only a burst shows."""

    name = "ratelimit.inspect"
    about = "Compares a declared rate limit with the one a route advertises in its headers."
    params = InspectParams
    values: ClassVar[Mapping[str, str]] = {
        "limit": "requests allowed, of the advertised limit that comes closest",
        "window_s": "its window in seconds; left out where it is not advertised",
        "limits": "all advertised limits, in words",
        "status": "status code of the answer",
    }

    def defaults(self, params: InspectParams) -> Rules:
        """Catalogue A6: advertised as declared."""
        window = {} if params.window is None else {"window_s": params.window}
        return Rules(must={"limit": params.limit, **window})

    def problem(self, params: InspectParams) -> str | None:
        """Parts of the request that exclude each other."""
        return params.call_problem()

    async def observe(self, params: InspectParams, context: Context) -> Observation:
        """Ask once. Raises NoData where nothing is advertised."""
        answer = await call(params, context)
        limits = advertised(answer.headers)
        if not limits:
            raise NoData(
                f"{place(params.url)} answers {answer.status} and advertises no limit; "
                "whether it limits, ratelimit.burst finds out"
            )
        limit = closest(limits, requests=params.limit, window_s=params.window)
        values: dict[str, Any] = {
            "limit": limit.requests,
            "limits": [str(one) for one in limits],
            "status": answer.status,
        }
        if limit.window_s is not None:
            values["window_s"] = limit.window_s
        return Observation(
            target=f"{params.method.upper()} {place(params.url)}",
            values=values,
            summary=f"advertised: {limit}",
            excerpt="\n".join(_shown(answer)),
        )


def _shown(answer: Answer) -> list[str]:
    """The headers that speak of limits."""
    return [
        f"{name}: {value}"
        for name, value in answer.headers.items()
        if "ratelimit" in name.replace("-", "") or name == "retry-after"
    ]


class BurstParams(CallParams):
    """The request to repeat, how often and how fast."""

    max_requests: int = Field(
        40, ge=2, le=500, description="Most requests; more than the limit lets through at once."
    )
    per_second: float = Field(20.0, gt=0, le=200, description="Requests a second.")


@dataclass(kw_only=True)
class _Burst:
    """What came back so far."""

    sent: int = 0
    answers: dict[int, Answer] = field(default_factory=dict)
    troubles: list[CheckTrouble] = field(default_factory=list)

    @property
    def first_429(self) -> int | None:
        """The number of the first request that was limited."""
        return min((number for number, answer in self.answers.items() if answer.status == 429), default=None)

    @property
    def over(self) -> bool:
        """Whether more requests would tell nothing new, or do harm."""
        return self.first_429 is not None or len(self.troubles) >= _MOST_TROUBLES


class Burst(Kind[BurstParams]):
    """Repeats a request until the first 429, never more often than allowed."""

    name = "ratelimit.burst"
    about = "Repeats a request until it is answered with 429; bounded, and it stops there."
    params = BurstParams
    values: ClassVar[Mapping[str, str]] = {
        "limited": "whether a 429 came",
        "first_429": "number of the first request answered with 429; absent where none was",
        "retry_after": "present or missing in the first 429; absent where there was none",
        "requests": "requests made",
        "per_second": "requests a second that were reached",
    }
    repeatable = False
    cheap = False
    timeout = 60.0

    def defaults(self, params: BurstParams) -> Rules:
        """Catalogue B5, S4. Limited from the first request on: still from before, or nobody gets through."""
        return Rules(must={"limited": True}, warn={"retry_after": "missing", "first_429": "< 2"})

    def problem(self, params: BurstParams) -> str | None:
        """A burst that takes too long."""
        if params.max_requests / params.per_second > 45:
            return "max_requests at per_second takes longer than 45 s"
        return params.call_problem()

    async def observe(self, params: BurstParams, context: Context) -> Observation:
        """Repeat it. Raises TargetDown where connections break, Broken for a route that is not there, NoData
        where the target was too slow to be hurried."""
        burst = _Burst()
        began = time.perf_counter()
        await _fire(params, context, burst)
        took = max(time.perf_counter() - began, 0.001)
        first = burst.first_429
        where = place(params.url)
        if first is None and burst.troubles:
            raise burst.troubles[-1]
        statuses = Counter(answer.status for answer in burst.answers.values())
        if first is None and set(statuses) <= {404, 405, 501}:
            raise Broken(
                f"{where} answers {next(iter(statuses))} to {params.method.upper()}: is it the route?"
            )
        speed = burst.sent / took
        if first is None and speed < params.per_second / 2 and burst.sent > 2:
            raise NoData(
                f"{where} is too slow to be hurried: {speed:.1f} of {params.per_second:g} requests a second"
            )
        told = ", ".join(f"{status} ×{count}" for status, count in sorted(statuses.items()))
        values: dict[str, Any] = {
            "limited": first is not None,
            "first_429": first,
            "retry_after": None,
            "requests": burst.sent,
            "per_second": round(speed, 1),
        }
        excerpt = told
        if first is not None:
            answer = burst.answers[first]
            values["retry_after"] = "present" if "retry-after" in answer.headers else "missing"
            said = f"first 429 at request {first}, Retry-After {values['retry_after']}"
            excerpt = "\n".join([told, *_shown(answer)])
        else:
            said = f"no 429 in {burst.sent} requests ({told})"
            if 503 in statuses:
                said += "; the 503 may be a limit: nginx answers so unless limit_req_status is set"
        return Observation(
            target=f"{params.method.upper()} {where}", values=values, summary=said, excerpt=excerpt
        )


async def _fire(params: BurstParams, context: Context, burst: _Burst) -> None:
    """Send requests at the pace asked for, some side by side, until the burst is over."""
    places = asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(number: int) -> None:
        try:
            burst.answers[number] = await call(params, context, max_bytes=1000, timeout=10.0)
        except CheckTrouble as trouble:
            burst.troubles.append(trouble)
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        for number in range(1, params.max_requests + 1):
            await places.acquire()
            wait = began + (number - 1) / params.per_second - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if burst.over:
                places.release()
                break
            burst.sent += 1
            group.create_task(one(number))


KINDS = (Inspect(), Burst())
