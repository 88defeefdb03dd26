"""A checklist as the outline people and programs read."""

from __future__ import annotations

from typing import Any

from bot.checklists.markdown import Parsed
from bot.checklists.variables import trouble
from bot.domain.checklist import Checklist
from bot.domain.errors import Finding


def findings(parsed: Parsed) -> tuple[Finding, ...]:
    """Everything noticed in a file, variables that cannot be filled in included, by line."""
    checklist = parsed.checklist
    texts = [(item.line, item.text) for item in checklist.items]
    texts += [(0, text) for text in (checklist.title, *checklist.triggers, *checklist.rollback_steps)]
    for section in checklist.sections:
        texts += [(0, title) for title in (section.title, *(group.title for group in section.groups))]
    more = [
        Finding(line=line, message=problem, fatal=True)
        for line, text in texts
        if (problem := trouble(text)) is not None
    ]
    return tuple(sorted([*parsed.findings, *more], key=lambda finding: finding.line))


def outline(checklist: Checklist) -> dict[str, Any]:
    """The checklist as JSON values: the published form of `deploybot checklist lint --json`."""
    return {
        "title": checklist.title,
        "sections": [
            {
                "title": section.title,
                "groups": [
                    {
                        "title": group.title,
                        "items": [
                            {
                                "key": item.key,
                                "text": item.text,
                                "ordered": item.ordered,
                                "checked": item.checked,
                            }
                            for item in group.items
                        ],
                    }
                    for group in section.groups
                ],
            }
            for section in checklist.sections
        ],
        "triggers": list(checklist.triggers),
        "rollback_steps": list(checklist.rollback_steps),
        "items": len(checklist.items),
    }
