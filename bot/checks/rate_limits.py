"""Rate limits as answers advertise them: the IETF draft in each of its shapes, and the X- forms before it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: `X-RateLimit-Limit-Minute` and the like (Kong): the window is in the name.
_WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One advertised limit."""

    requests: int
    #: Seconds; None where the window is not told.
    window_s: float | None
    #: The header it stands in.
    header: str

    def __str__(self) -> str:
        window = "an untold window" if self.window_s is None else f"{self.window_s:g} s"
        return f"{self.requests} in {window} ({self.header})"


def advertised(headers: Mapping[str, str]) -> list[Limit]:
    """The limits in an answer's headers, by lower-case name; those with a window first."""
    found = [
        *_policies(headers.get("ratelimit-policy", ""), "RateLimit-Policy"),
        *_policies(headers.get("ratelimit-limit", ""), "RateLimit-Limit"),
        *_combined(headers.get("ratelimit", "")),
    ]
    for name, value in headers.items():
        match = re.fullmatch(r"x-rate-?limit-limit(?:-(second|minute|hour|day))?", name)
        if match is None:
            continue
        found += [
            Limit(
                requests=limit.requests,
                window_s=_WINDOWS[match[1]] if match[1] else limit.window_s,
                header=name,
            )
            for limit in _policies(value, name)
        ]
    known = [limit for limit in found if limit.window_s is not None]
    told = {limit.requests for limit in known}
    return known + [limit for limit in found if limit.window_s is None and limit.requests not in told]


def _policies(value: str, header: str) -> list[Limit]:
    """`100;w=60, 1000;w=3600` (to draft 07) and `"burst";q=100;w=60` (from draft 08)."""
    found = []
    for item in value.split(","):
        head, *parameters = (part.strip() for part in item.split(";"))
        named = dict(part.partition("=")[::2] for part in parameters)
        number = named.get("q", "").strip() if head.startswith('"') else head
        if re.fullmatch(r"\d+", number):
            window = named.get("w", "").strip()
            seconds = float(window) if re.fullmatch(r"\d+(\.\d+)?", window) else None
            found.append(Limit(requests=int(number), window_s=seconds, header=header))
    return found


def _combined(value: str) -> list[Limit]:
    """`limit=100, remaining=50, reset=5` (draft 07); later drafts keep only what remains here."""
    match = re.search(r"(?:^|[,;\s])limit=(\d+)", value)
    return [Limit(requests=int(match[1]), window_s=None, header="RateLimit")] if match else []


def closest(limits: list[Limit], *, requests: int, window_s: float | None) -> Limit:
    """The limit that was most likely meant: the same, else one of as many requests."""

    def distance(one: Limit) -> tuple[bool, bool]:
        return one.requests != requests, window_s is not None and one.window_s != window_s

    return min(limits, key=distance)
