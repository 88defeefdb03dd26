"""Clean deployments made up: nothing changes in them, so whatever alarms is a false alarm.

Three series each (counted errors, two latencies) of 30 to 60 samples after a baseline of 20 to 60, at 5 to 5,000
requests a sample, with what real series do: drift over the day, values that lean on the one before, heavy
tails, single spikes, rates that wander, constants, holes. With shared shocks the series of a deployment also move
together, as those of one service do: its two latencies have half of their noise in common, and now and then all
three are worse for one sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from bot.domain.monitoring import Measure, Sample
from bot.watch.history import Deploy, Series

#: Share of requests that fails at most in a shock.
MOST_FAILING = 0.1


@dataclass(frozen=True, kw_only=True)
class _Together:
    """What the series of a deployment have in common, sample by sample."""

    #: Noise, standard normal, and the share of a latency's variance that it makes.
    noise: list[float]
    share: float
    #: How many times worse everything is.
    shocks: list[float]


def clean_deploys(count: int, *, seed: int, shared: bool = False) -> list[Deploy]:
    """So many of them, the same for the same seed; with `shared`, series that move together."""
    random = Random(seed)
    return [_deploy(random, f"synthetic-{number}", shared) for number in range(count)]


def _deploy(random: Random, unit_id: str, shared: bool) -> Deploy:
    before, after = random.choice((20, 30, 60)), random.randint(30, 60)
    traffic = math.exp(random.uniform(math.log(5), math.log(5000)))
    length = before + after
    together = _together(random, length) if shared else None
    series = (
        _series("errors", Measure.ERRORS, _errors(random, length, traffic, together), before),
        _series("p50", Measure.LATENCY, _latencies(random, length, together, tail=False), before),
        _series("p95", Measure.LATENCY, _latencies(random, length, together, tail=True), before),
    )
    return Deploy(unit_id=unit_id, source="synthetic", degraded=False, series=series)


def _series(
    metric: str, measure: Measure, points: list[tuple[float | None, int | None]], before: int
) -> Series:
    samples = tuple(
        Sample(at=60.0 * (number - before), value=value, count=count)
        for number, (value, count) in enumerate(points)
    )
    return Series(
        metric=metric,
        measure=measure,
        baseline=samples[:before],
        after=samples[before:],
        numbers=tuple(range(len(samples) - before)),
    )


def _together(random: Random, length: int) -> _Together:
    """Half of the noise, and a shock in none, one or two of a hundred samples."""
    often = random.choice((0.0, 0.01, 0.02))
    return _Together(
        noise=[random.gauss(0, 1) for _ in range(length)],
        share=0.5,
        shocks=[random.uniform(1.5, 10) if random.random() < often else 1.0 for _ in range(length)],
    )


def _errors(
    random: Random, length: int, traffic: float, together: _Together | None
) -> list[tuple[float | None, int | None]]:
    rate, wander = random.choice((0.0, 0.0005, 0.002, 0.01, 0.03)), random.choice((0.0, 0.3))
    hole, day = _hole(random), _day(random, length)
    points: list[tuple[float | None, int | None]] = []
    for number in range(length):
        count = _poisson(random, traffic * day[number])
        if random.random() < hole:
            points.append((None, None))
        elif not count:
            points.append((None, 0))
        else:
            now = rate * math.exp(wander * random.gauss(0, 1) - wander * wander / 2)
            if together is not None:
                # More failing at once than this is no shock but an outage.
                now = min(now * together.shocks[number], MOST_FAILING)
            points.append((100 * min(count, _poisson(random, count * now)) / count, count))
    return points


def _latencies(
    random: Random, length: int, together: _Together | None, *, tail: bool
) -> list[tuple[float | None, int | None]]:
    level = math.exp(random.uniform(math.log(4), math.log(2000)))
    lean, spread = random.choice((0.0, 0.3, 0.5)), random.choice((0.03, 0.1, 0.2))
    spikes, constant = random.choice((0.0, 0.01)) if tail else 0.0, random.random() < 0.05
    hole, day, state = _hole(random), _day(random, length), 0.0
    points: list[tuple[float | None, int | None]] = []
    for number in range(length):
        state = lean * state + math.sqrt(1 - lean * lean) * random.gauss(0, 1)
        noise = state
        if tail:
            # Student's t with three degrees of freedom, brought to a standard deviation near 1.
            heavy = random.gauss(0, 1) / math.sqrt(random.gammavariate(1.5, 1) / 1.5) / 1.7
            noise = (state + heavy) / math.sqrt(2)
        if together is not None:
            own = math.sqrt(1 - together.share)
            noise = own * noise + math.sqrt(together.share) * together.noise[number]
        value = level * math.sqrt(day[number]) * math.exp(spread * noise)
        if together is not None:
            value *= together.shocks[number]
        if random.random() < spikes:
            value *= random.uniform(2, 10)
        if random.random() < hole:
            points.append((None, None))
        else:
            points.append((level if constant else value, None))
    return points


def _hole(random: Random) -> float:
    return random.choice((0.0, 0.0, 0.03, 0.1))


def _day(random: Random, length: int) -> list[float]:
    swing, phase = random.choice((0.0, 0.1, 0.2)), random.uniform(0, 2 * math.pi)
    return [1 + swing * math.sin(2 * math.pi * number / 1440 + phase) for number in range(length)]


def _poisson(random: Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    found, product, floor = 0, random.random(), math.exp(-mean)
    while product > floor:
        found += 1
        product *= random.random()
    return found
