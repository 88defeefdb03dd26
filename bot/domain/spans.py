"""Spans of time in words and from lists, for reports and figures."""

from __future__ import annotations

from datetime import timedelta


def spoken(span: timedelta) -> str:
    """A span in the two units that matter: `12 s`, `4 min 12 s`, `1 h 20 min`, `2 d 3 h`."""
    seconds = max(0, round(span.total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {seconds % 60} s" if seconds % 60 else f"{minutes} min"
    return f"{seconds} s"
