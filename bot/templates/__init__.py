"""The words: Jinja templates for messages (`.j2`) and for web pages (`.html.j2`).

Values in messages are escaped for Slack unless they are marked as mrkdwn, those in pages for HTML.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


class Mrkdwn(str):
    """Text that is Slack mrkdwn already and must not be escaped again."""

    __slots__ = ()


def escape(text: str) -> str:
    """Text as Slack shows it literally (Slack docs: formatting, "Escaping text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _finalize(value: Any) -> Any:
    return escape(value) if isinstance(value, str) and not isinstance(value, Mrkdwn) else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # HTML escaping is not Slack's: see _finalize
    )
    environment.filters["user"] = lambda user: Mrkdwn(f"<@{user}>")
    environment.filters["mrkdwn"] = Mrkdwn
    environment.filters["plural"] = lambda n, one, many=None: f"{n} {one if n == 1 else many or one + 's'}"
    return environment


def render(name: str, /, **values: Any) -> str:
    """The template `name` (without `.j2`) with these values, as Slack mrkdwn, trimmed."""
    return _environment().get_template(f"{name}.j2").render(values).strip()


@cache
def _pages() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )


def page(name: str, /, **values: Any) -> str:
    """The template `name` (without `.html.j2`) with these values, as a web page."""
    return _pages().get_template(f"{name}.html.j2").render(values)
