"""`deploybot checklist explain` and `schema`: what verifies which item, what is missing, and the form."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from bot.checklists.binding import BoundChecklist
from bot.checklists.schema import sidecar_schema
from bot.checks.catalogue import Catalogue
from bot.cli import rules
from bot.cli import settings as cli_settings
from bot.cli.naming import library_for
from bot.domain.check import Binding
from bot.domain.checklist import Checklist
from bot.domain.errors import SidecarUnusable
from bot.domain.freezing import Freeze
from bot.domain.policy import Policy
from bot.domain.reminding import zone
from bot.domain.signals import Signal, WatchPlan
from bot.services.planning import SidecarPolicies, SidecarRulebook
from bot.services.ports import SystemClock
from bot.services.verifying import SidecarVerifier


def explain(
    checklist: Annotated[str, typer.Argument(help="Name of a checklist, or the path of its Markdown file.")],
    environment: Annotated[str, typer.Option(help="Environment, as its YAML file names it.")] = "production",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say of every item what verifies it, what is missing, and what to fill in.

    Exit code 0: the YAML file beside the checklist can be used. 2: it cannot; what is wrong is listed.
    """
    library, name = library_for(checklist, cli_settings.load())
    loaded = library.load(name)
    try:
        bound = SidecarVerifier(library, SystemClock()).bound(name, environment=environment)
    except SidecarUnusable as error:
        for problem in error.problems:
            print(f"{error.path}: {problem}", file=sys.stderr)
        raise typer.Exit(2) from error
    conduct = asyncio.run(
        SidecarRulebook(library).conduct(name, service="service", version="v0", environment=environment)
    )
    rows = [_row(item.key, item.text, bound.bindings.get(item.key)) for item in loaded.items]
    steps = [_row(step.key, step.text, bound.bindings.get(step.key)) for step in loaded.runbook]
    watched = [_signal(signal) for signal in (bound.watch or WatchPlan()).signals]
    policy = asyncio.run(SidecarPolicies(library).policy(name))
    frozen = [_freeze(freeze, environment) for freeze in policy.freezes]
    if as_json:
        told = {
            "checklist": name,
            "environment": environment,
            "items": rows,
            "rollback": steps,
            "watch": watched,
            "people": rules.told(conduct),
            "freezes": frozen,
            "quiet_lead_seconds": policy.quiet_lead and policy.quiet_lead.total_seconds(),
        }
        json.dump(told, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    _print(loaded, bound, rows, environment)
    _print_after(steps, watched)
    rules.show(conduct)
    _print_policy(frozen, policy)
    if not bound.digest:
        missing = f"there is no {name}.yaml beside it. reference.yaml shows how to write one."
        print(f"\nNothing verifies it: {missing}")


def _row(key: str, text: str, binding: Binding | None) -> dict[str, Any]:
    row: dict[str, Any] = {"key": key, "text": text, "kinds": [], "missing": [], "human": ""}
    if binding is None:
        return {**row, "state": "unbound"}
    row |= {
        "kinds": list(dict.fromkeys(spec.kind for spec in binding.checks)),
        "missing": list(binding.missing),
        "human": binding.human,
        "cheap": binding.cheap,
        "freshness_seconds": binding.freshness.total_seconds(),
    }
    if not binding.checks:
        return {**row, "state": "person"}
    if binding.forbidden:
        return {**row, "state": "forbidden", "why": binding.forbidden}
    return {**row, "state": "missing" if binding.missing else "ready"}


def _print(loaded: Checklist, bound: BoundChecklist, rows: list[dict[str, Any]], environment: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    by_key = {row["key"]: row for row in rows}
    for section in loaded.sections:
        for group in section.groups:
            titles = " ▸ ".join(escape(title) for title in (section.title, group.title) if title)
            console.print(f"\n[bold]{titles or 'Checklist'}[/]")
            for item in group.items:
                console.print(_line(by_key[item.key]))
    steps = [by_key[step.key] for step in loaded.runbook if step.key in by_key]
    if steps:
        console.print("\n[bold]Rollback steps[/]")
        for row in steps:
            console.print(_line(row))
    states = Counter(row["state"] for row in rows)
    partly = sum(bool(row["human"]) and bool(row["kinds"]) for row in rows)
    console.print(
        f"\n{len(rows)} items in {escape(environment)}: {states['ready']} ready to be verified, "
        f"{states['missing']} wait for something to be filled in, {states['forbidden']} forbidden here, "
        f"{states['person']} for a person, {states['unbound']} not bound; {partly} need a person besides."
    )
    wanted = Counter(name for row in rows for name in row["missing"])
    if wanted:
        console.print("\nFill in, and so many items more can be verified:")
        for name, count in wanted.most_common():
            console.print(f"  {count:>3}  {escape(name)}")
    if bound.allow:
        console.print(f"\nChecks may connect to: {escape(', '.join(bound.allow))}")


def _signal(signal: Signal) -> dict[str, Any]:
    return {
        "signal": signal.name,
        "text": signal.label,
        "trigger": signal.trigger,
        "kinds": [signal.check.kind],
        "missing": list(signal.missing),
        "human": "",
        "state": "missing" if signal.missing else "ready",
    }


def _print_after(steps: list[dict[str, Any]], watched: list[dict[str, Any]]) -> None:
    """What is watched after the deploy, and the rollback steps."""
    console = Console(highlight=False, soft_wrap=True)
    if watched:
        console.print("\n[bold]Watched after the deploy[/]")
        for row in watched:
            console.print(f"{_line(row)}  [dim]raises “{escape(row['trigger'])}”[/]")
    if steps:
        console.print("\n[bold]Rollback steps[/]")
        for row in steps:
            console.print(_line(row))


def _freeze(freeze: Freeze, environment: str) -> dict[str, Any]:
    """A freeze, whether it is about this environment, and whether it holds now for the services it names."""
    now = SystemClock().now()
    here = any(fnmatchcase(environment.casefold(), one.casefold()) for one in freeze.environments)
    end = freeze.ends(now)
    when = (
        f"{freeze.cron} for {in_words(freeze.duration)}, {freeze.timezone}"
        if freeze.cron
        else f"{freeze.start} to {freeze.end}"
    )
    return {
        "name": freeze.name,
        "reason": freeze.reason,
        "when": when,
        "environments": list(freeze.environments),
        "services": list(freeze.services),
        "here": here,
        "active": here and end is not None,
        "until": end.astimezone(zone(freeze.timezone)).isoformat() if here and end is not None else None,
    }


def in_words(span: timedelta) -> str:
    """A span as a sidecar writes it: `64h`, `90m`."""
    minutes = int(span.total_seconds()) // 60
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def _print_policy(freezes: list[dict[str, Any]], policy: Policy) -> None:
    """When nothing is deployed, and when a lead is asked."""
    console = Console(highlight=False, soft_wrap=True)
    if freezes:
        console.print("\n[bold]Freezes[/]")
    for row in freezes:
        state = "not here" if not row["here"] else "not active now"
        mark = "[dim]·[/]"
        if row["active"]:
            state, mark = f"active now, until {row['until']}", "❄"
        services = "" if row["services"] == ["*"] else f" [dim]for {escape(', '.join(row['services']))}[/]"
        where = escape(", ".join(row["environments"]))
        console.print(
            f"  {mark} {escape(row['name'])}  [cyan]{escape(row['when'])}[/] in {where}{services}: {state}"
        )
    quiet = "never" if policy.quiet_lead is None else f"after {in_words(policy.quiet_lead)} without a word"
    console.print(f"\nA lead who goes quiet is asked: {quiet}.")


def _line(row: dict[str, Any]) -> str:
    kinds = ", ".join(row["kinds"])
    human = f" [dim]and a person: {escape(row['human'])}[/]" if row["human"] and row["kinds"] else ""
    match row["state"]:
        case "ready":
            said = f"[green]●[/] {escape(row['text'])}  [cyan]{kinds}[/]{human}"
        case "missing":
            fill_in = f"[yellow]fill in {escape(', '.join(row['missing']))}[/]"
            said = f"[yellow]○[/] {escape(row['text'])}  [cyan]{kinds}[/] {fill_in}{human}"
        case "forbidden":
            said = f"[dim]–[/] {escape(row['text'])}  [cyan]{kinds}[/] {escape(row['why'])}"
        case "person":
            said = f"☺ {escape(row['text'])}  [dim]for a person: {escape(row['human'])}[/]"
        case _:
            said = f"[dim]·[/] {escape(row['text'])}  [dim]not bound[/]"
    return f"  {said}"


def schema() -> None:
    """Print the JSON Schema of a checklist's YAML of checks, for editors."""
    json.dump(sidecar_schema(Catalogue().all()), sys.stdout, indent=2)
    sys.stdout.write("\n")
