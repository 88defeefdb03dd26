"""`deploybot backtest --prometheus`: what the declared triggers would have done in the past."""

from __future__ import annotations

import asyncio
import json

from rich.console import Console

from bot.cli import settings as cli_settings
from bot.cli.naming import library_for
from bot.services import rehearsing
from bot.services.ports import SystemClock
from bot.services.rehearsing import Rehearsed
from bot.services.verifying import SidecarVerifier

#: Most instants named a signal.
NAMED = 5


def rehearse(
    checklist: str, *, environment: str, service: str, prometheus: str, days: float, as_json: bool
) -> None:
    """Ask, and print. Raises ChecklistUnusable, SidecarUnusable."""
    settings = cli_settings.load()
    library, name = library_for(checklist, settings)
    clock = SystemClock()
    found = asyncio.run(
        rehearsing.rehearse(
            SidecarVerifier(library, clock, secrets=settings.secrets),
            name,
            environment=environment,
            service=service,
            prometheus=prometheus,
            days=days,
            now=clock.now(),
        )
    )
    if as_json:
        print(json.dumps([_json(one) for one in found], indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for one in found:
        console.print(f"{one.trigger} ({one.label}): {said(one)}", markup=False)
    if not found:
        console.print(f"{name} declares nothing to watch: see “watch” in reference.yaml.")


def said(one: Rehearsed) -> str:
    """One signal in words."""
    if one.problem:
        return one.problem
    if not one.deploys:
        return "no samples that far back"
    fired = len(one.fired)
    share = (
        f"would have fired at {fired} of {one.deploys} pretended deploys ({100 * fired / one.deploys:.1f} %)"
    )
    unjudged = f", {one.unjudged} could not be judged" if one.unjudged else ""
    instants = ", ".join(f"{at:%Y-%m-%d %H:%M}" for at in one.fired[:NAMED])
    more = f" and {fired - NAMED} more" if fired > NAMED else ""
    return f"{share}{unjudged}{f'; at {instants}{more} (UTC)' if instants else ''}"


def _json(one: Rehearsed) -> dict[str, object]:
    return {
        "trigger": one.trigger,
        "signal": one.label,
        "deploys": one.deploys,
        "fired": [at.isoformat() for at in one.fired],
        "unjudged": one.unjudged,
        "problem": one.problem,
    }
