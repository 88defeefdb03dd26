"""Writes a report as a document: HTML that needs nothing but itself, or Markdown."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from markupsafe import Markup

from bot import __version__
from bot.domain.report import ItemStory, Report
from bot.domain.retelling import counted
from bot.templates import recorder_svg
from bot.templates.documents import html, markdown

#: The standing of an item in Markdown.
MARKS = {
    "done": "✓ done",
    "open": "☐ open",
    "waived": "⊘ waived",
    "contradicted": "✗ ticked, its check fails",
}


def as_html(report: Report) -> str:
    """A page without scripts and without requests, under a content policy that allows its own style alone."""
    style, style_hash = _style()
    return html(
        "report.html",
        r=report,
        counts=counted(report),
        exceptions=_exceptions(report),
        sections=_sections(report),
        svg=recorder_svg.draw(report.recorder, label="recorder-says"),
        style=Markup(style),
        style_hash=style_hash,
        version=__version__,
    )


def as_markdown(report: Report) -> str:
    """GitHub's Markdown, with the long timeline folded."""
    return markdown(
        "report.md",
        r=report,
        counts=counted(report),
        exceptions=_exceptions(report),
        sections=_sections(report),
        marks=MARKS,
        version=__version__,
    )


def _exceptions(report: Report) -> bool:
    return bool(report.waived or report.overruled or report.overrides)


def _sections(report: Report) -> list[tuple[str, list[ItemStory]]]:
    """The items under their section's title, in order."""
    found, first = [], 0
    for section in report.sections:
        found.append((section.title, list(report.items[first : first + section.total])))
        first += section.total
    return found


@cache
def _style() -> tuple[str, str]:
    """The style sheet, and its hash as a content policy names it (CSP level 3, hash-source)."""
    text = (Path(__file__).parent / "report.css").read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, f"sha256-{digest}"
