"""A report in the forms it can be had in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.report import Report
from bot.domain.report_data import report_to_json, rows
from bot.templates.report_documents import as_html, as_markdown


class Form(StrEnum):
    """What a report can be written as."""

    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"
    CSV = "csv"

    @property
    def suffix(self) -> str:
        """Of a file that holds it."""
        return "md" if self is Form.MARKDOWN else self.value


def as_json(report: Report) -> str:
    """For programs; see `deploybot report --schema`."""
    return json.dumps(report_to_json(report), indent=2, ensure_ascii=False) + "\n"


def as_csv(report: Report) -> str:
    """For spreadsheets: one row an event of the timeline."""
    made = io.StringIO(newline="")
    csv.writer(made, quoting=csv.QUOTE_ALL).writerows(rows(report))
    return made.getvalue()


_WRITTEN: Mapping[Form, Callable[[Report], str]] = {
    Form.MARKDOWN: as_markdown,
    Form.HTML: as_html,
    Form.JSON: as_json,
    Form.CSV: as_csv,
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """A report, written."""

    #: A name for the file.
    name: str
    text: str

    @property
    def data(self) -> bytes:
        """As it is stored: what is no character is replaced."""
        return self.text.encode("utf-8", "replace")


def written(report: Report, form: Form) -> Document:
    """The report in one form. Takes some 100 ms for a large one: call it in a thread."""
    return Document(name=f"{report.name}-report.{form.suffix}", text=_WRITTEN[form](report))
