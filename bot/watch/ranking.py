"""Two groups of values compared by rank: whether one is higher, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from bot.watch.counting import Z95
from bot.watch.spreads import leaning, ranks, stretched


def higher(values: Sequence[float], before: Sequence[float]) -> float:
    """Probability that chance alone lifts `values` so far above `before`: small means they are higher.

    One-sided Mann–Whitney test, normal approximation with ties and continuity (Lehmann, Nonparametrics,
    1.5). Series that lean on themselves say less than their number; the statistic is divided by what that
    stretches it.
    """
    m, n = len(values), len(before)
    pooled = [*values, *before]
    total = m + n
    statistic = sum(ranks(pooled)[:m]) - m * (m - 1) / 2
    ties = sum(size**3 - size for size in (len(list(group)) for _, group in groupby(sorted(pooled))))
    variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = (statistic - m * n / 2 - 0.5) / math.sqrt(variance)
    return 0.5 * math.erfc(z / stretched(leaning(values, before)) / math.sqrt(2))


def shift(values: Sequence[float], before: Sequence[float]) -> tuple[float, float, float]:
    """By how much `values` lie above `before`: the estimate and its 95 % interval.

    The median of all differences and the rank interval that belongs to it (Hodges and Lehmann 1963;
    Lehmann, Nonparametrics, 2.6). With so few values that no rank reaches 95 %, the interval spans all
    differences.
    """
    differences = sorted(value - earlier for value in values for earlier in before)
    pairs = len(differences)
    middle = (differences[(pairs - 1) // 2] + differences[pairs // 2]) / 2
    half = Z95 * math.sqrt(pairs * (len(values) + len(before) + 1) / 12) * stretched(leaning(values, before))
    cut = max(0, math.floor(pairs / 2 - half))
    return middle, differences[cut], differences[pairs - 1 - cut]
