"""Documents made of templates: HTML with everything escaped, and Markdown with everything escaped.

What people wrote (items, reasons, notes) is text in both: it can make no element, link, table or heading.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bot.domain.reminding import zone
from bot.domain.spans import spoken

#: What Markdown gives a meaning to (CommonMark 2.4: any ASCII punctuation may be escaped), and `@`, which
#: mentions people on GitHub.
_MEANT = re.compile(r"([\\`*_{}\[\]<>#+!|~$&@^=-])")
_SCHEME = re.compile(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])")
#: Control characters, which have no place in a document; a line break becomes a space.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class Ready(str):
    """Text that is Markdown already and must not be escaped again."""

    __slots__ = ()


def clean(text: str) -> str:
    """Text on one line, without control characters and what turns its direction around."""
    return _CONTROL.sub("\ufffd", " ".join(text.split()))


def escape_markdown(text: str) -> Ready:
    """Text as Markdown shows it literally."""
    escaped = _MEANT.sub(r"\\\1", clean(text))
    # A bare address becomes a link in GitHub's Markdown: an entity in it keeps it text.
    return Ready(_SCHEME.sub(lambda match: f"{match[1][:-1]}&#{ord(match[1][-1])};", escaped))


def _finalize(value: Any) -> Any:
    return escape_markdown(value) if isinstance(value, str) and not isinstance(value, Ready) else value


def html(name: str, /, **values: Any) -> str:
    """The template `name` (without `.j2`) with these values, as HTML."""
    return _environment("html").get_template(f"{name}.j2").render(values)


def markdown(name: str, /, **values: Any) -> str:
    """The template `name` (without `.j2`) with these values, as Markdown."""
    return f"{_environment('markdown').get_template(f'{name}.j2').render(values).strip()}\n"


@cache
def _environment(form: str) -> Environment:
    as_html = form == "html"
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=as_html,
        finalize=(lambda value: clean(value) if type(value) is str else value) if as_html else _finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["spoken"] = _spoken
    made.filters["clock"] = clock
    made.filters["iso"] = lambda at: at.astimezone(UTC).isoformat(timespec="seconds")
    made.filters["plural"] = lambda n, one, many=None: f"{n} {one if n == 1 else many or one + 's'}"
    made.filters["verbatim"] = lambda text: Markup(escape(_CONTROL.sub("\ufffd", text)))
    made.filters["number"] = lambda value: f"{value:.3g}"
    return made


def _spoken(span: timedelta | None) -> str:
    return "–" if span is None else spoken(span)


def clock(at: datetime | None, timezone: str, form: str = "second") -> str:
    """An instant in a time zone: `2 Mar 12:04:05`, with the year and the zone in its `long` form."""
    if at is None:
        return "–"
    local = at.astimezone(zone(timezone))
    if form == "long":
        return f"{local.day} {local:%b %Y, %H:%M:%S %Z}"
    return f"{local.day} {local:%b %H:%M:%S}"
