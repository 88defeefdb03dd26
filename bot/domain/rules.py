"""Rules: conditions on observed values, and the outcome they make.

A condition is written as YAML: `"< 7"`, `">= B"`, `"!= on"`, `"~ ^HIT"` (a regular expression that is found),
a list (one of these), or a plain value (equal). Where a value is a list, a `fail` or `warn` rule is true when
any element meets it, a demanded rule when all do. A rule whose value is missing cannot be decided, and what
cannot be decided is never a pass: nor is a difference between things of two types (`true` and 1), where being
different would be what passes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.domain.check import Outcome, Rules

#: Ascending order of names that are not numbers, per value name, e.g. grades or TLS versions.
Scales = Mapping[str, Sequence[str]]

_OPERATOR = re.compile(r"\s*(<=|>=|<|>|==|!=|~)\s*(.*?)\s*", re.DOTALL)
#: What begins like a comparison and is none; as a plain value it would equal nothing, and a `fail` rule with
#: it could never fail.
_LIKE_AN_OPERATOR = ("=", "!", "≤", "≥", "≠")
#: Words for a value that is not there.
_ABSENT = frozenset({"null", "missing", "absent"})


class Undecidable(Exception):
    """A rule that says nothing about what was observed; `str()` is why, in a few words."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the rules make of the values."""

    outcome: Outcome
    #: What was demanded, in one line.
    expected: str
    #: Why it is not a pass; empty for a pass.
    reason: str = ""
    #: Whether the reason is only that something is so or is not so: the summary says more.
    yes_or_no: bool = False


def problem_with(condition: Any) -> str | None:
    """What is wrong with a condition as written, or None; found at start-up, not during a deployment."""
    if isinstance(condition, list):
        return next(filter(None, map(problem_with, condition)), None) if condition else "it lists nothing"
    if isinstance(condition, dict):
        return "a condition is a value, a list, or a comparison like '< 7'"
    operator, operand = _split(condition)
    misspelt = (
        operator is None and isinstance(operand, str) and operand.lstrip().startswith(_LIKE_AN_OPERATOR)
    )
    doubled = operator in ("<", "<=", ">", ">=") and operand.startswith(("<", ">", "=", "!", "~"))
    if misspelt or doubled:
        return f"'{condition}' is no comparison: there are <, <=, >, >=, ==, != and ~"
    if operator == "~":
        try:
            re.compile(str(operand))
        except re.error as error:
            return f"'{operand}' is no regular expression: {error}"
    if operator is not None and operand == "":
        return f"'{condition}' compares with nothing"
    return None


def look_up(values: Mapping[str, Any], name: str) -> Any:
    """The value called `name`: as it stands, else by its dots (`0.count`, `rows.0.name`).

    Raises Undecidable where there is none.
    """
    if name in values:
        return values[name]
    at: Any = values
    for step in name.split("."):
        if isinstance(at, Mapping) and step in at:
            at = at[step]
        elif isinstance(at, (list, tuple)) and step.isdecimal() and int(step) < len(at):
            at = at[int(step)]
        else:
            raise Undecidable(f"{name} was not observed")
    return at


def holds(condition: Any, value: Any, *, scale: Sequence[str] = (), every: bool = False) -> bool:
    """Whether a value meets a condition; `every` marks a demand, which each element of a list must meet.

    Raises Undecidable for a comparison that has no answer: with nothing, with NaN, across types.
    """
    if isinstance(value, (list, tuple)):
        if every and not value:
            raise Undecidable("nothing was observed")
        if every:
            return all(holds(condition, element, scale=scale, every=True) for element in value)
        return _any([(condition, element) for element in value], scale=scale, every=False)
    if isinstance(condition, (list, tuple)):
        return _any([(one, value) for one in condition], scale=scale, every=every)
    if isinstance(value, float) and math.isnan(value):
        raise Undecidable("the value is NaN")
    operator, operand = _split(condition)
    match operator:
        case None | "==":
            equal = _equal(value, operand)
            if not equal and not every and _of_two_types(value, operand):
                raise Undecidable(f"{show(value)} cannot be compared with {show(operand)}")
            return equal
        case "!=":
            equal = _equal(value, operand)
            if not equal and every and _of_two_types(value, operand):
                raise Undecidable(f"{show(value)} cannot be compared with {show(operand)}")
            return not equal
        case "~":
            if value is None:
                raise Undecidable("there is no text to search")
            return re.search(str(operand), str(value)) is not None
    left, right = _comparable(value, operand, scale)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def _any(pairs: Sequence[tuple[Any, Any]], *, scale: Sequence[str], every: bool) -> bool:
    """Whether a condition of these is met by its value; one without an answer counts only where none is."""
    undecided: Undecidable | None = None
    for condition, value in pairs:
        try:
            if holds(condition, value, scale=scale, every=every):
                return True
        except Undecidable as why:
            undecided = why
    if undecided is not None:
        raise undecided
    return False


def judge(values: Mapping[str, Any], rules: Rules, *, scales: Scales | None = None) -> Judgement:
    """The outcome these rules make of these values."""
    scales = scales or {}
    expected = in_words(rules)
    undecided: list[str] = []
    broken: list[str] = []
    for name, condition in rules.fail.items():
        try:
            value = look_up(values, name)
            if holds(condition, value, scale=scales.get(name, ())):
                broken.append(_offence(name, value, condition))
        except Undecidable as why:
            undecided.append(_named(name, why))
    for name, condition in rules.must.items():
        try:
            value = look_up(values, name)
            if not holds(condition, value, scale=scales.get(name, ()), every=True):
                broken.append(
                    f"{name} is {show(value)}"
                    if isinstance(value, bool)
                    else f"{name} is {show(value)}, not {show_condition(condition)}"
                )
        except Undecidable as why:
            undecided.append(_named(name, why))
    if broken:
        return Judgement(
            outcome=Outcome.FAIL,
            expected=expected,
            reason="; ".join(broken),
            yes_or_no=all(said.endswith((" is no", " is yes")) for said in broken),
        )
    noticed: list[str] = []
    for name, condition in rules.warn.items():
        try:
            value = look_up(values, name)
            if holds(condition, value, scale=scales.get(name, ())):
                noticed.append(_offence(name, value, condition))
        except Undecidable as why:
            undecided.append(_named(name, why))
    if undecided:
        return Judgement(outcome=Outcome.UNKNOWN, expected=expected, reason="; ".join(undecided))
    if noticed:
        return Judgement(outcome=Outcome.WARN, expected=expected, reason="; ".join(noticed))
    return Judgement(outcome=Outcome.PASS, expected=expected)


def in_words(rules: Rules) -> str:
    """What is demanded, in one line."""
    said = [f"{name} {show_condition(condition)}" for name, condition in rules.must.items()]
    said += [f"{name} not {show_condition(condition)}" for name, condition in rules.fail.items()]
    said += [f"better not {name} {show_condition(condition)}" for name, condition in rules.warn.items()]
    return ", ".join(said)


def show_condition(condition: Any) -> str:
    """A condition as people read it."""
    if isinstance(condition, (list, tuple)):
        return " or ".join(show(one) for one in condition)
    return show(condition)


def show(value: Any) -> str:
    """A value as people read it: short, numbers without noise."""
    match value:
        case None:
            return "absent"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            shown = ", ".join(show(one) for one in value[:8])
            return f"{shown}, … ({len(value)})" if len(value) > 8 else shown or "none"
        case _:
            text = str(value)
            return text if len(text) <= 120 else f"{text[:119]}…"


def _named(name: str, why: Undecidable) -> str:
    said = str(why)
    return said if said.startswith(name) else f"{name}: {said}"


def _offence(name: str, value: Any, condition: Any) -> str:
    """That a value is as it must not be."""
    compares = isinstance(condition, str) and _split(condition)[0] is not None
    if isinstance(value, bool) or not compares:
        return f"{name} is {show(value)}"
    return f"{name} is {show(value)}, must not be {show_condition(condition)}"


def _split(condition: Any) -> tuple[str | None, Any]:
    if not isinstance(condition, str):
        return None, condition
    match = _OPERATOR.fullmatch(condition)
    return (match[1], match[2]) if match else (None, condition)


def _equal(value: Any, operand: Any) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool):
        return str(value).casefold() == str(operand).casefold()
    if value is None or operand is None:
        return value is None and (operand is None or str(operand).casefold() in _ABSENT)
    if isinstance(value, str) and isinstance(operand, str):
        return value == operand  # as numbers, version 1.10 would be 1.1
    left, right = _number(value), _number(operand)
    if left is not None and right is not None:
        return left == right
    return str(value) == str(operand)


def _of_two_types(value: Any, operand: Any) -> bool:
    """Whether a difference says nothing: a truth value beside a number, a number beside a word."""
    if value is None or operand is None or (isinstance(operand, str) and operand.casefold() in _ABSENT):
        return False
    for one, other in ((value, operand), (operand, value)):
        if isinstance(one, bool):
            return not isinstance(other, bool) and str(other).casefold() not in ("true", "false")
        if isinstance(one, Mapping):
            return not isinstance(other, Mapping)
        if not isinstance(one, str) and isinstance(other, str):
            number = _number(other)
            return number is None or math.isnan(number)
    return False


def _comparable(value: Any, operand: Any, scale: Sequence[str]) -> tuple[float, float]:
    if value is None:
        raise Undecidable("there is no value to compare")
    if scale:
        if str(value) not in scale or str(operand) not in scale:
            raise Undecidable(f"{show(value)} and {operand} are not both on the scale {' < '.join(scale)}")
        return scale.index(str(value)), scale.index(str(operand))
    left, right = _number(value), _number(operand)
    if left is None or right is None or math.isnan(left) or math.isnan(right):
        raise Undecidable(f"{show(value)} cannot be compared with {operand}")
    return left, right


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
