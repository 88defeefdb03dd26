"""The rules of a sidecar's `people` for one checklist, or everything that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bot.checklists.filling import fill_in, values_for
from bot.checklists.sidecar import SidecarFile, did_you_mean
from bot.domain.checklist import Checklist
from bot.domain.conduct import Allowed, Approval, Conduct, Gate, Ownership
from bot.domain.errors import SidecarUnusable

_PEOPLE = re.compile(r"[UWS][A-Z0-9]{2,}")
_GROUP = re.compile(r"S[A-Z0-9]{2,}")
_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,}")
#: An item nobody has to do, as its author marks it.
_OPTIONAL = re.compile(r"\(optional\)\W*$", re.IGNORECASE)


def optional_by_text(checklist: Checklist) -> frozenset[int]:
    """The positions of the items whose text ends in “(optional)”."""
    return frozenset(at for at, item in enumerate(checklist.items) if _OPTIONAL.search(item.text))


def conduct_of(
    file: SidecarFile,
    checklist: Checklist,
    *,
    environment: str,
    service: str,
    version: str,
    process: Mapping[str, str],
) -> Conduct:
    """The rules in this environment. Raises SidecarUnusable with every problem at once."""
    built_in = {"service": service, "version": version, "environment": environment}
    reader = _Reader(checklist, values_for(file.content, environment, process, built_in))
    conduct = reader.read(file)
    if reader.problems:
        raise SidecarUnusable(file.path.name, tuple(dict.fromkeys(reader.problems)))
    return conduct


class _Reader:
    def __init__(self, checklist: Checklist, values: Any) -> None:
        self.problems: list[str] = []
        self._checklist = checklist
        self._values = values
        self._parts = parts_of(checklist)

    def read(self, file: SidecarFile) -> Conduct:
        written = file.content.people
        gates = []
        for at, rule in enumerate(written.gates):
            part = self._part(f"people/gates/{at}/part", rule.part)
            if part is not None:
                title, first, last = part
                gates.append(Gate(title=title, first=first, last=last, holds=frozenset(rule.holds)))
        owned = []
        for key, owners in written.owners.items():
            part = self._part("people/owners", key)
            ids = self._ids(f"people/owners/{key}", owners, _PEOPLE, "a person's (U…) or user group's (S…)")
            if part is not None and ids:
                owned.append(Ownership(first=part[1], last=part[2], owners=ids))
        return Conduct(
            optional=optional_by_text(self._checklist) | self._optional(written.optional),
            gates=tuple(sorted(gates, key=lambda gate: (gate.first, gate.last))),
            owned=tuple(owned),
            approval=self._approval(file),
            permissions={
                permission: Allowed(
                    people=self._ids(
                        f"people/permissions/{permission}/people",
                        rule.people,
                        _PEOPLE,
                        "a person's (U…) or user group's (S…)",
                    ),
                    channels=self._ids(
                        f"people/permissions/{permission}/channels",
                        rule.channels,
                        _CHANNEL,
                        "a channel's (C…)",
                    ),
                )
                for permission, rule in written.permissions.items()
            },
        )

    def _approval(self, file: SidecarFile) -> Approval | None:
        written = file.content.people.approval
        if written is None:
            return None
        ids = self._ids(
            "people/approval/group", [written.group] if written.group else [], _GROUP, "a user group's (S…)"
        )
        return Approval(group=ids[0] if ids else "")

    def _optional(self, keys: Iterable[str]) -> frozenset[int]:
        items = [item.key for item in self._checklist.items]
        found: set[int] = set()
        for key in keys:
            if key in items:
                found.add(items.index(key))
            elif (part := self._part("people/optional", key, also=items)) is not None:
                found.update(range(part[1], part[2] + 1))
        return frozenset(found)

    def _part(self, where: str, key: str, *, also: Iterable[str] = ()) -> tuple[str, int, int] | None:
        part = self._parts.get(key.strip("/"))
        if part is None:
            hint = did_you_mean(key, [*self._parts, *also])
            self.problems.append(f"{where}: the checklist has no section or group “{key}”{hint}")
        return part

    def _ids(self, where: str, written: Iterable[str], form: re.Pattern[str], what: str) -> tuple[str, ...]:
        ids: list[str] = []
        for value in written:
            filled = fill_in(value, self._values)
            self.problems.extend(f"{where}: {problem}" for problem in filled.unknown)
            if filled.unset:
                # A rule must not open because nobody filled it in.
                self.problems.append(
                    f"{where}: {', '.join(filled.unset)} is not set, so nobody would be meant"
                )
                continue
            one = str(filled.value).strip()
            if not form.fullmatch(one):
                self.problems.append(
                    f"{where}: “{one}” is no Slack id: write {what}; Slack shows it under “Copy … ID”"
                )
            ids.append(one)
        return tuple(dict.fromkeys(ids))


def parts_of(checklist: Checklist) -> dict[str, tuple[str, int, int]]:
    """Sections and groups by key, as (title, first, last position); a key is what their items' keys share."""
    found: dict[str, tuple[str, int, int]] = {}
    start = 0
    for section in checklist.sections:
        first = start
        for group in section.groups:
            if group.items and group.title:
                key = group.items[0].key.rpartition("/")[0]
                found.setdefault(key, (group.title, start, start + len(group.items) - 1))
            start += len(group.items)
        if section.items:
            key = section.items[0].key.partition("/")[0]
            found[key] = (section.title or checklist.title, first, start - 1)
    return found
