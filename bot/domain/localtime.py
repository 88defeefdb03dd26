"""Times as one person writes them: their zone, their 12 or 24 hours, their order of day and month. Pure.

Only for what one person gets to see and where Slack's `<!date…>` cannot be used; what all see keeps the
deployment's zone. The forms are CLDR's (https://cldr.unicode.org, through Babel), not a table of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton, format_time, get_datetime_format

from bot.domain.reminding import zone

#: Where Slack names no locale, or one CLDR does not know: English with 24 hours and the day first.
FALLBACK = "en-GB"


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Who reads a time."""

    #: IANA time zone.
    timezone: str = "UTC"
    #: As Slack writes it: `de-DE`.
    locale: str = FALLBACK


@cache
def _locale(name: str) -> Locale:
    for tag in (name, name.partition("-")[0], FALLBACK):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    raise ValueError(f"CLDR does not know {FALLBACK}")


def moment(at: datetime, reader: Reader, *, now: datetime | None = None) -> str:
    """Hour and minute where the reader is, with the day where it is not the one of `now` there.

    Without `now` always with the day.
    """
    tz, locale = zone(reader.timezone), _locale(reader.locale)
    hour = format_time(at, "short", tzinfo=tz, locale=locale)
    if now is not None and at.astimezone(tz).date() == now.astimezone(tz).date():
        return hour
    day = format_skeleton("MMMd", at, tzinfo=tz, locale=locale)
    return str(get_datetime_format("medium", locale=locale)).replace("{1}", day).replace("{0}", hour)


def on_the_clock(hour: int, minute: int, reader: Reader) -> str:
    """A time of day as the reader writes it, e.g. `9:00 AM`."""
    return format_time(time(hour, minute), "short", locale=_locale(reader.locale))
