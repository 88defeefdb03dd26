"""Every error a person may meet, worded once: what is wrong, where, and what to do next.

`str(error)` is the sentence shown to the person, in plain text; nobody sees a stack trace.
"""

from __future__ import annotations

from dataclasses import dataclass


class DeploybotError(Exception):
    """Something a person can understand and act on."""

    #: Whether the same request may succeed later without anybody changing anything.
    retryable = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something in a checklist file that could not be used, or deserves a second look."""

    #: 1-based line, 0 for the file as a whole.
    line: int
    #: One sentence: what it is and what to do about it.
    message: str
    #: True where the file cannot be used at all.
    fatal: bool = False


class ChecklistUnusable(DeploybotError):
    """A checklist that is missing, unreadable or empty."""

    def __init__(self, path: str, findings: tuple[Finding, ...]) -> None:
        self.path = path
        self.findings = findings
        first = next((f for f in findings if f.fatal), findings[0])
        where = f"{path}:{first.line}" if first.line else path
        super().__init__(f"{where}: {first.message}")
