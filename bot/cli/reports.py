"""The results of a run in the forms programs and people read: text, JSON, JUnit, TAP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from bot.domain.check import SEVERITY, ItemResult, Outcome, result_to_json
from bot.slack.blocks.results import MARKS

_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished run."""

    checklist: str
    environment: str
    #: Item texts by key, in the order of the checklist.
    texts: Mapping[str, str]
    results: Mapping[str, ItemResult]
    #: Seconds the whole run took.
    seconds: float

    @property
    def ordered(self) -> list[ItemResult]:
        """The results in the order of the checklist."""
        return [self.results[key] for key in self.texts if key in self.results]

    def count(self, outcome: Outcome) -> int:
        """How many items came to it."""
        return sum(result.outcome is outcome for result in self.results.values())

    @property
    def exit_code(self) -> int:
        """0: everything passed, or is not to be checked here. 1: something failed. 2: unverified."""
        if self.count(Outcome.FAIL):
            return 1
        fine = [result.outcome.ticks or result.outcome is Outcome.SKIPPED for result in self.results.values()]
        verified = any(result.outcome.ticks for result in self.results.values())
        return 0 if verified and all(fine) else 2


def text(report: Report) -> str:
    """For people: what does not pass first, then one line with the counts."""
    lines = []
    for result in sorted(report.ordered, key=lambda result: SEVERITY.index(result.outcome)):
        lines.append(f"{MARKS[result.outcome]} {report.texts[result.key]}  ({result.ms:.0f} ms)")
        lines.extend(f"    {line}" for line in _said(result))
    lines.append(summary(report))
    return "\n".join(lines)


def summary(report: Report) -> str:
    """The counts, failures first."""
    counts = [f"{report.count(o)} {o.value}" for o in SEVERITY if report.count(o)]
    found = ", ".join(counts) or "nothing to check"
    count = len(report.results)
    where = f"{count} item{'' if count == 1 else 's'} of {report.checklist} in {report.environment}"
    return f"{where}: {found} ({report.seconds:.1f} s)"


def _said(result: ItemResult) -> list[str]:
    said = []
    for part in result.evidence:
        name = f"{part.id}: " if part.id else ""
        if part.outcome is Outcome.PASS:
            said.append(f"{name}{part.observed}")
        else:
            said.append(f"{name}{part.reason}" + (f" (expected {part.expected})" if part.expected else ""))
    return [line for line in said if line]


def as_json(report: Report) -> str:
    """For programs: everything."""
    told = {
        "checklist": report.checklist,
        "environment": report.environment,
        "seconds": round(report.seconds, 3),
        "counts": {outcome.value: report.count(outcome) for outcome in Outcome if report.count(outcome)},
        "items": [{"text": report.texts[result.key], **result_to_json(result)} for result in report.ordered],
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def junit(report: Report) -> str:
    """JUnit XML as CI systems read it: unknown and error are errors there, skipped is skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"{report.checklist} ({report.environment})",
        tests=str(len(report.results)),
        failures=str(report.count(Outcome.FAIL)),
        errors=str(report.count(Outcome.ERROR) + report.count(Outcome.UNKNOWN)),
        skipped=str(report.count(Outcome.SKIPPED)),
        time=f"{report.seconds:.3f}",
    )
    for result in report.ordered:
        group, _, name = result.key.rpartition("/")
        case = ElementTree.SubElement(
            suite, "testcase", classname=group.replace("/", "."), name=name, time=f"{result.ms / 1000:.3f}"
        )
        said = "\n".join(_said(result))
        tag = {
            Outcome.FAIL: "failure",
            Outcome.ERROR: "error",
            Outcome.UNKNOWN: "error",
            Outcome.SKIPPED: "skipped",
        }.get(result.outcome)
        if tag is not None:
            part = result.decisive
            message = _clean(part.reason if part is not None else "")
            trouble = ElementTree.SubElement(case, tag, type=result.outcome.value, message=message)
            trouble.text = _clean(said)
        elif said:
            ElementTree.SubElement(case, "system-out").text = _clean(said)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _clean(value: str) -> str:
    """Without what XML 1.0 cannot hold (its production 2, Char)."""
    return _NOT_XML.sub("", value)


def tap(report: Report) -> str:
    """Test Anything Protocol, version 13."""
    lines = ["TAP version 13", f"1..{len(report.results)}"]
    for number, result in enumerate(report.ordered, start=1):
        name = report.texts[result.key].replace("#", "\\#")
        good = "ok" if result.outcome.ticks else "not ok"
        directive = " # SKIP" if result.outcome is Outcome.SKIPPED else ""
        lines.append(f"{good} {number} - {name}{directive}")
        lines.append(f"# {result.outcome.value}")
        lines.extend(f"# {line}" for line in _lines(_said(result)))
    return "\n".join(lines)


def _lines(said: Sequence[str]) -> list[str]:
    return [line for entry in said for line in entry.splitlines()]


FORMATS = {"text": text, "json": as_json, "junit": junit, "tap": tap}
