"""Failed requests out of so many: how surprising they are, and how sure a rate or a difference is."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Normal quantile of a two-sided 95 % interval.
Z95 = 1.959964
#: Requests don't fail independently, so their counts scatter more than a binomial law says. Beyond four
#: times its variance, though, it is no longer chance around one rate but a rate that changes.
MOST_DISPERSION = 4.0


def dispersion(counts: Sequence[tuple[float, float]]) -> float:
    """How many times a binomial variance the counts of (failed, requests) scatter, from 1 to 4.

    Pearson's χ² over its degrees of freedom (McCullagh and Nelder, Generalized Linear Models, 4.5).
    """
    failed, requests = sum(x for x, _ in counts), sum(n for _, n in counts)
    if len(counts) < 2 or requests <= 0:
        return 1.0
    rate = (failed + 0.5) / (requests + 1)
    square = sum((x - n * rate) ** 2 / (n * rate * (1 - rate)) for x, n in counts)
    return min(MOST_DISPERSION, max(1.0, square / (len(counts) - 1)))


def surprise(failed: float, requests: float, before: float, of: float) -> float:
    """How many standard deviations `failed` of `requests` lie above `before` of `of`; negative below.

    The signed root of the likelihood ratio of two binomials against one, with half a request taken off as
    continuity correction. Unlike (p₁ - p₂)/σ it holds where nothing failed before: one failure after a
    quiet baseline of twenty times its requests is 1.7 (exactly: probability 1/21), not infinity.
    """
    expected = requests * before / of
    above = failed >= expected
    moved = max(failed - 0.5, expected) if above else min(failed + 0.5, expected)
    rate = (moved + before) / (requests + of)
    ratio = 2 * (_fit(moved, requests, rate) + _fit(before, of, rate))
    return math.copysign(math.sqrt(max(0.0, ratio)), 1.0 if above else -1.0)


def _fit(failed: float, requests: float, rate: float) -> float:
    """By how much their own rate explains the counts better than `rate`, in log-likelihood."""
    fit = 0.0
    if failed > 0:
        fit += failed * math.log(failed / (requests * rate))
    if requests > failed and rate < 1:
        fit += (requests - failed) * math.log((requests - failed) / (requests * (1 - rate)))
    return fit


def wilson(failed: float, requests: float) -> tuple[float, float]:
    """95 % interval of a rate, 0 to 1 (Wilson 1927, "Probable inference"); all of it without requests."""
    if requests <= 0:
        return 0.0, 1.0
    rate, z2 = failed / requests, Z95 * Z95
    middle = (rate + z2 / (2 * requests)) / (1 + z2 / requests)
    half = Z95 / (1 + z2 / requests) * math.sqrt(rate * (1 - rate) / requests + z2 / (4 * requests**2))
    # At 0 and at all the bounds are exact; rounding would leave 1e-17.
    return (0.0 if failed <= 0 else middle - half), (1.0 if failed >= requests else middle + half)


def difference(
    failed: float, requests: float, before: float, of: float, *, dispersed: float = 1.0
) -> tuple[float, float]:
    """95 % interval of the difference of two rates, -1 to 1.

    Newcombe's hybrid of the Wilson intervals (Newcombe 1998, "Interval estimation for the difference
    between independent proportions", method 10). Counts that scatter `dispersed` times a binomial variance
    say as much as so many times fewer requests.
    """
    rate, earlier = failed / requests, before / of
    low, high = wilson(failed / dispersed, requests / dispersed)
    earlier_low, earlier_high = wilson(before / dispersed, of / dispersed)
    return (
        rate - earlier - math.hypot(rate - low, earlier_high - earlier),
        rate - earlier + math.hypot(high - rate, earlier - earlier_low),
    )
