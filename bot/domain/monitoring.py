"""What a watch measures, as plain values: a measure, its samples, and what they say about a deployment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """What a series of samples counts; in all of them higher is worse."""

    #: Failed requests in per cent of all.
    ERRORS = "error_pct"
    #: A latency in milliseconds: a mean, a median, a percentile.
    LATENCY = "latency_ms"
    #: Any other number, e.g. a saturation or the depth of a queue.
    OTHER = "other"


class Verdict(StrEnum):
    """What the samples after a deployment say, against those before it."""

    #: There was enough to judge by, and nothing worse than before.
    HEALTHY = "healthy"
    #: Worse than before, beyond chance and large enough to matter.
    DEGRADED = "degraded"
    #: Nothing can be said: no data, no traffic, too few samples. Never a green light, never a call to roll
    #: back.
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One measurement."""

    #: Seconds since the deploy; negative before it.
    at: float
    #: In the measure's unit; None where there was no data.
    value: float | None
    #: Requests it rests on; None where nobody counted them.
    count: int | None = None

    @property
    def known(self) -> float | None:
        """The value if it can be judged by: a finite number that, as far as is known, rests on a request."""
        if self.value is None or not math.isfinite(self.value) or self.count == 0:
            return None
        return self.value
