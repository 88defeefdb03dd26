"""The rules people keep to in a deployment: gates, who owns and approves what, who may do what.

Read from the sidecar at the start and kept with the deployment's copy of the checklist: a change of the file
counts from the next deployment on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Hold(StrEnum):
    """What a gate keeps from happening while one of its required items is open."""

    #: Go.
    GO = "go"
    #: People's ticks of the items that stand after it; what a machine verifies may come early.
    NEXT = "next"
    #: The end of the deployment as one that went through.
    FINISH = "finish"


class Permission(StrEnum):
    """What somebody may be allowed to do."""

    #: Start a deployment.
    START = "start"
    #: Tick and untick items, confirm what checks found.
    TICK = "tick"
    #: Waive items, and overrule checks.
    WAIVE = "waive"
    #: Give Go, or say No-go.
    APPROVE = "approve"
    #: Start a rollback.
    ROLL_BACK = "roll_back"
    #: Ask for an emergency override, or be its second name.
    OVERRIDE = "override"
    #: Lock a service, and unlock it.
    LOCK = "lock"
    #: Finish or abort.
    END = "end"


#: How each permission is said in a sentence: "may … here".
DEEDS = {
    Permission.START: "start a deployment",
    Permission.TICK: "tick items",
    Permission.WAIVE: "waive items or overrule checks",
    Permission.APPROVE: "give Go",
    Permission.ROLL_BACK: "start a rollback",
    Permission.OVERRIDE: "override in an emergency",
    Permission.LOCK: "lock or unlock",
    Permission.END: "finish or abort",
}


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Whom a permission is given to, and where. What is empty restricts nothing."""

    #: Slack ids of people (`U…`) and user groups (`S…`).
    people: tuple[str, ...] = ()
    #: Slack ids of channels (`C…`) it can be done in.
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Items that have to be done or waived before things go on."""

    #: What people call it: the section's or group's title.
    title: str
    #: Positions of its first and last item.
    first: int
    last: int
    holds: frozenset[Hold]

    @property
    def positions(self) -> range:
        """The positions of its items."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, kw_only=True)
class Approval:
    """Four eyes: Go is given by somebody else than the lead."""

    #: Slack id of the user group they must be in; empty for anybody.
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """Who owns a section or group."""

    first: int
    last: int
    #: Slack ids of people (`U…`) and user groups (`S…`).
    owners: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """All rules of one deployment."""

    #: Positions of the items nobody has to do.
    optional: frozenset[int] = frozenset()
    gates: tuple[Gate, ...] = ()
    owned: tuple[Ownership, ...] = ()
    #: None where anybody may give Go.
    approval: Approval | None = None
    #: What is restricted; anything else is open to everybody.
    permissions: Mapping[Permission, Allowed] = field(default_factory=dict)

    def owners(self, position: int) -> tuple[str, ...]:
        """Who owns an item: of the smallest part that has owners."""
        around = [one for one in self.owned if one.first <= position <= one.last]
        return min(around, key=lambda one: one.last - one.first).owners if around else ()

    def gates_before(self, position: int) -> tuple[Gate, ...]:
        """The gates that have to be passed before this item may be ticked."""
        return tuple(gate for gate in self.gates if Hold.NEXT in gate.holds and gate.last < position)


def conduct_to_json(conduct: Conduct) -> dict[str, Any]:
    """As the first event keeps it; what says nothing is left out."""
    told: dict[str, Any] = {
        "optional": sorted(conduct.optional),
        "gates": [
            {"title": gate.title, "first": gate.first, "last": gate.last, "holds": sorted(gate.holds)}
            for gate in conduct.gates
        ],
        "owned": [{"first": o.first, "last": o.last, "owners": list(o.owners)} for o in conduct.owned],
        "permissions": {
            permission.value: {"people": list(allowed.people), "channels": list(allowed.channels)}
            for permission, allowed in sorted(conduct.permissions.items())
        },
    }
    told = {name: value for name, value in told.items() if value}
    if conduct.approval is not None:
        told["approval"] = {"group": conduct.approval.group}
    return told


def conduct_from_json(data: Mapping[str, Any]) -> Conduct:
    """From the first event; a deployment started before there were rules has none."""
    return Conduct(
        optional=frozenset(data.get("optional", ())),
        gates=tuple(
            Gate(
                title=gate["title"],
                first=gate["first"],
                last=gate["last"],
                holds=frozenset(Hold(hold) for hold in gate["holds"]),
            )
            for gate in data.get("gates", ())
        ),
        owned=tuple(
            Ownership(first=o["first"], last=o["last"], owners=tuple(o["owners"]))
            for o in data.get("owned", ())
        ),
        approval=Approval(group=data["approval"]["group"]) if "approval" in data else None,
        permissions={
            Permission(name): Allowed(people=tuple(one["people"]), channels=tuple(one["channels"]))
            for name, one in data.get("permissions", {}).items()
        },
    )
