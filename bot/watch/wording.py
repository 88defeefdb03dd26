"""Numbers of a watch as people read them."""

from __future__ import annotations

from bot.domain.monitoring import Measure

#: What a measure is called at the beginning of a sentence's part.
NAMES = {Measure.ERRORS: "errors", Measure.LATENCY: "latency", Measure.OTHER: "value"}


def amount(measure: Measure, value: float) -> str:
    """A value with its unit: `3.1 %`, `0.25 %`, `214 ms`, `1,280 ms`, `17`."""
    unit = {Measure.ERRORS: " %", Measure.LATENCY: " ms", Measure.OTHER: ""}[measure]
    return number(value) + unit


def number(value: float) -> str:
    """Three digits that count, thousands set apart, no more than two after the point."""
    size = abs(value)
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 1 else 2
    shown = f"{value:,.{digits}f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return "0" if shown == "-0" else shown


def counted(count: int, noun: str) -> str:
    """`1 sample`, `12 samples`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h`: whole and rounded up, since it says how long something takes at most."""
    whole = -int(-seconds // 1)
    if whole < 60:
        return f"{whole} s"
    minutes = -(-whole // 60)
    return f"{minutes} min" if minutes < 120 else f"{-(-minutes // 60)} h"
