"""How far the values of a quiet series lie apart, and how much each leans on the one before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

#: Makes the median absolute deviation, the interquartile range and the mean absolute step estimate the
#: standard deviation of a normal law: 1/Φ⁻¹(¾), 1/(2 Φ⁻¹(¾)) and √π/2.
_OF_DEVIATION, _OF_QUARTILES, _OF_STEPS = 1.4826, 0.7413, 0.8862
#: No series is taken to lean on itself more than so: a scale ten times its spread would see nothing.
_MOST = 0.9


def spread(values: Sequence[float]) -> float:
    """The largest of three robust estimates of the standard deviation; 0 for a constant.

    Each is blind to something: the median deviation to a series with two levels, the quartiles to one that
    is mostly constant, steps to a slow drift. A spread taken too small makes false alarms, so the largest
    counts.
    """
    if len(values) < 2:
        return 0.0
    middle, ordered = median(values), sorted(values)
    last = len(ordered) - 1
    quartiles = ordered[int(0.75 * last + 0.5)] - ordered[int(0.25 * last + 0.5)]
    steps = sum(abs(later - value) for value, later in pairwise(values)) / last
    return max(
        _OF_DEVIATION * median(abs(value - middle) for value in values),
        _OF_QUARTILES * quartiles,
        _OF_STEPS * steps,
    )


def leaning(*series: Sequence[float]) -> float:
    """Lag-one correlation within the series, from their ranks, with the bias of short series taken off.

    The estimate of a short series is too small by about (1 + 3ρ)/n (Kendall 1954, "Note on bias in the
    estimation of autocorrelation"). Between -1 and 0.9.
    """
    together, square, count = 0.0, 0.0, 0
    for values in series:
        order = ranks(values)
        middle = (len(order) - 1) / 2
        centred = [rank - middle for rank in order]
        together += sum(value * later for value, later in pairwise(centred))
        square += sum(value * value for value in centred)
        count += len(values)
    if square <= 0:
        return 0.0
    found = together / square
    return min(_MOST, found + (1 + 3 * found) / count) if found > 0 else found


def stretched(correlation: float) -> float:
    """By how much a mean of values that lean on each other strays more than one of independent values."""
    held = max(0.0, min(_MOST, correlation))
    return math.sqrt((1 + held) / (1 - held))


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 0, equal ones sharing theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for position in order[start:end]:
            found[position] = (start + end - 1) / 2
        start = end
    return found
