"""Checks of JSON values, built from small pieces; each adds its problems, with JSON pointers, to a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """One thing Slack would refuse."""

    #: Where, as a JSON pointer.
    pointer: str
    #: What it must be instead.
    message: str
    #: Slack's error code for it.
    code: str = "invalid_blocks"

    def for_slack(self, prefix: str = "") -> str:
        """In the form of `response_metadata.messages`."""
        return f"[ERROR] {self.message} [json-pointer:{prefix}{self.pointer}]"

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}"


@dataclass
class Report:
    """The problems found so far, and where the checked value is to be used."""

    #: `message`, `modal` or `home`.
    surface: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, pointer: str, message: str, code: str = "invalid_blocks") -> None:
        """Note a problem."""
        self.problems.append(Problem(pointer, message, code))


#: Checks a value found at a pointer.
Check = Callable[[Any, str, Report], None]


def string(low: int = 0, high: int = 10**9) -> Check:
    """A string of so many characters."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, str):
            report.add(at, "must be a string")
        elif len(value) > high:
            report.add(at, f"must be at most {high} characters")
        elif len(value) < low:
            report.add(at, "must not be empty" if low == 1 else f"must be at least {low} characters")

    return check


def pattern(expression: str, meaning: str, high: int = 10**9) -> Check:
    """A string of a certain form."""
    compiled, length = re.compile(expression), string(1, high)

    def check(value: Any, at: str, report: Report) -> None:
        length(value, at, report)
        if isinstance(value, str) and value and not compiled.fullmatch(value):
            report.add(at, f"must be {meaning}")

    return check


def integer(low: int, high: int) -> Check:
    """A whole number within bounds."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            report.add(at, "must be an integer")
        elif not low <= value <= high:
            report.add(at, f"must be between {low} and {high}")

    return check


def number(value: Any, at: str, report: Report) -> None:
    """A number, whole or not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        report.add(at, "must be a number")


def boolean(value: Any, at: str, report: Report) -> None:
    """True or false."""
    if not isinstance(value, bool):
        report.add(at, "must be true or false")


def one_of(*allowed: str) -> Check:
    """One of these words."""

    def check(value: Any, at: str, report: Report) -> None:
        if value not in allowed:
            report.add(at, "must be one of " + ", ".join(allowed))

    return check


def items(check: Check, low: int, high: int) -> Check:
    """A list of so many."""

    def check_items(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, list):
            report.add(at, "must be a list")
            return
        if len(value) > high:
            report.add(at, f"must have at most {high} items")
        elif len(value) < low:
            report.add(at, f"must have at least {low} item{'s' if low > 1 else ''}")
        for index, item in enumerate(value):
            check(item, f"{at}/{index}", report)

    return check_items


def nullable(check: Check) -> Check:
    """This, or null."""

    def check_unless_null(value: Any, at: str, report: Report) -> None:
        if value is not None:
            check(value, at, report)

    return check_unless_null


def record(
    required: Mapping[str, Check] | None = None,
    optional: Mapping[str, Check] | None = None,
    *also: Check,
) -> Check:
    """An object with these keys and no others. `also` looks at the whole once its keys are right."""
    needed, known = dict(required or {}), {**(required or {}), **(optional or {})}

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, dict):
            report.add(at, "must be an object")
            return
        before = len(report.problems)
        for key in needed:
            if key not in value:
                report.add(at, f"missing required field: {key}")
        for key, item in value.items():
            if key in known:
                known[key](item, f"{at}/{key}", report)
            else:
                report.add(f"{at}/{key}", "unknown field")
        if len(report.problems) == before:
            for whole in also:
                whole(value, at, report)

    return check


def typed(kinds: Mapping[str, Check], what: str) -> Check:
    """An object whose `type` says which of these it is."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, dict):
            report.add(at, "must be an object")
            return
        kind = value.get("type")
        if not isinstance(kind, str) or kind not in kinds:
            report.add(f"{at}/type", f"unsupported {what} type: {kind!r}")
            return
        kinds[kind](value, at, report)

    return check


def only_on(*surfaces: str) -> Check:
    """Not allowed elsewhere than on these surfaces."""

    def check(value: Any, at: str, report: Report) -> None:
        if report.surface not in surfaces:
            report.add(at, f"not allowed in a {report.surface}; only in: {', '.join(surfaces)}")

    return check


def exactly_one(*keys: str) -> Check:
    """One of these keys, not several and not none."""

    def check(value: Any, at: str, report: Report) -> None:
        if sum(1 for key in keys if key in value) != 1:
            report.add(at, "must have exactly one of " + ", ".join(keys))

    return check


def any_of(*keys: str) -> Check:
    """At least one of these keys."""

    def check(value: Any, at: str, report: Report) -> None:
        if not any(key in value for key in keys):
            report.add(at, "must have at least one of " + ", ".join(keys))

    return check
