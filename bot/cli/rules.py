"""The rules people keep to, for `deploybot checklist explain`."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape

from bot.domain.conduct import DEEDS, Conduct, conduct_to_json

_HOLDS = {"go": "Go", "next": "later items", "finish": "the end"}


def told(conduct: Conduct) -> dict[str, Any]:
    """The rules as JSON."""
    return conduct_to_json(conduct)


def show(conduct: Conduct) -> None:
    """Print the rules; nothing where everything is open to everybody."""
    lines = [
        f"🚧 {gate.title}: before {', '.join(_HOLDS[hold] for hold in sorted(gate.holds))}"
        for gate in conduct.gates
    ]
    if conduct.optional:
        count = len(conduct.optional)
        lines.append(f"{count} item{'' if count == 1 else 's'} nobody has to do")
    if conduct.approval is not None:
        whom = f"one of {conduct.approval.group}" if conduct.approval.group else "anybody"
        lines.append(f"Go takes four eyes: {whom} but the lead")
    lines += [
        f"items {one.first + 1}–{one.last + 1} are owned by {', '.join(one.owners)}" for one in conduct.owned
    ]
    for permission, allowed in conduct.permissions.items():
        who = ", ".join(allowed.people) or "everybody"
        where = f" in {', '.join(allowed.channels)}" if allowed.channels else ""
        lines.append(f"to {DEEDS[permission]}: {who}{where}")
    if lines:
        console = Console(highlight=False, soft_wrap=True)
        console.print("\n[bold]Rules[/]")
        for line in lines:
            console.print(f"  {escape(line)}")
