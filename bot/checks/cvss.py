"""CVSS version 3 base scores from their vectors, and severities by name.

The equations and weights are those of the CVSS v3.1 specification, section 7.1; the names of the ranges are
those of its section 5. Version 4 vectors need a table of hundreds of entries and are not scored here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Ascending.
SEVERITIES: Sequence[str] = ("none", "unrated", "low", "medium", "high", "critical")

_WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}


def base_score(vector: str) -> float | None:
    """The base score of a CVSS 3.0 or 3.1 vector, 0 to 10; None for any other text."""
    metrics = dict(part.split(":", 1) for part in vector.split("/") if ":" in part)
    if metrics.get("CVSS") not in ("3.0", "3.1"):
        return None
    try:
        scope = metrics["S"]
        weight = {name: values[metrics[name]] for name, values in _WEIGHTS.items()}
        privileges = _PRIVILEGES[scope][metrics["PR"]]
    except KeyError:
        return None
    iss = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    impact = 6.42 * iss if scope == "U" else 7.52 * (iss - 0.029) - 3.25 * (iss - 0.02) ** 15
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * weight["AV"] * weight["AC"] * privileges * weight["UI"]
    total = impact + exploitability if scope == "U" else 1.08 * (impact + exploitability)
    return _round_up(min(total, 10))


def severity_of(score: float) -> str:
    """The name of a score's range."""
    bounds = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
    return next((name for least, name in bounds if score >= least), "none")


def _round_up(value: float) -> float:
    """To one decimal, upwards, as the specification's appendix A does it without floating-point surprises."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (math.floor(whole / 10_000) + 1) / 10
