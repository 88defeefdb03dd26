"""`deploybot check`: verify a checklist by machine, without Slack; for a terminal and for CI."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bot.checklists.library import ChecklistLibrary
from bot.checks.kind import Nothing
from bot.cli import settings as cli_settings
from bot.cli.naming import library_for
from bot.cli.reports import FORMATS, Report
from bot.config import Settings
from bot.domain.check import Binding, ItemResult
from bot.domain.checking import in_scope
from bot.domain.errors import NoChecks
from bot.services.ports import SystemClock
from bot.services.verifying import SidecarVerifier


def check(
    checklist: Annotated[str, typer.Argument(help="Name of a checklist, or the path of its Markdown file.")],
    environment: Annotated[str, typer.Option(help="Environment to verify, as the YAML file names it.")],
    section: Annotated[str, typer.Option(help="Only this section, group or item, by title or key.")] = "",
    service: Annotated[str, typer.Option(help="Service, for ${service}.")] = "service",
    version: Annotated[str, typer.Option(help="Version that should be running, for ${version}.")] = "v0",
    form: Annotated[str, typer.Option("--format", help="text, json, junit or tap.")] = "text",
    only_set_up: Annotated[
        bool, typer.Option("--only-set-up", help="Leave out what has variables or secrets missing.")
    ] = False,
) -> None:
    """Run the checks of a checklist and print what they found; progress goes to standard error.

    Exit code 0: everything passed, perhaps with warnings, or is forbidden or out of place here. 1: something
    failed. 2: something could not be verified, or the checklist cannot be used.
    """
    if form not in FORMATS:
        raise typer.BadParameter(f"there are {', '.join(FORMATS)}", param_hint="--format")
    settings = cli_settings.load()
    library, name = library_for(checklist, settings)
    report = asyncio.run(
        _check(
            library,
            name,
            settings,
            environment=environment,
            section=section,
            service=service,
            version=version,
            only_set_up=only_set_up,
        )
    )
    print(FORMATS[form](report))
    sys.exit(report.exit_code)


async def _check(
    library: ChecklistLibrary,
    name: str,
    settings: Settings,
    *,
    environment: str,
    section: str,
    service: str,
    version: str,
    only_set_up: bool,
) -> Report:
    verifier = SidecarVerifier(library, SystemClock(), secrets=settings.secrets)
    bound = verifier.bound(name, environment=environment, service=service, version=version)
    loaded = library.load(name)
    wanted = {loaded.items[position].key for position in in_scope(loaded, section)}
    bindings = [
        binding
        for key, binding in bound.bindings.items()
        if key in wanted and binding.automatic and not (only_set_up and binding.missing)
    ]
    if not bindings:
        raise NoChecks(name, section)
    found: dict[str, ItemResult] = {}
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    began = time.perf_counter()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Checking", total=len(bindings))

        async def on_result(item: ItemResult) -> None:
            found[item.key] = item
            progress.advance(task)

        def on_start(binding: Binding) -> None:
            progress.update(task, description=f"Checking {binding.text[:40]}")

        await verifier.run_bound(
            bound,
            bindings,
            environment=environment,
            service=service,
            version=version,
            deeds=Nothing(),
            on_result=on_result,
            on_start=on_start,
        )
    return Report(
        checklist=name,
        environment=environment,
        texts={item.key: item.text for item in loaded.items},
        results=found,
        seconds=time.perf_counter() - began,
    )
