"""`deploybot verify`: do the histories add up?"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from bot.app import make_ports
from bot.cli import settings as cli_settings
from bot.cli.serve import run
from bot.config import Settings
from bot.services import auditing
from bot.storage import migrating


def verify(
    name: Annotated[
        str, typer.Argument(help="A deployment, e.g. storefront-12 or 12; all if left out.")
    ] = "",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make projections that differ again from the events.")
    ] = False,
) -> None:
    """Check the chain of events, and that what is shown is what the events say.

    Exit code 0: all add up. 1: something does not. 2: it could not be checked.
    """
    number = name.rsplit("-", 1)[-1]
    if name and not number.isdecimal():
        raise typer.BadParameter("a deployment is like storefront-12, or 12", param_hint="NAME")
    run(_verify(cli_settings.load(), int(number) if name else None, rebuild=rebuild))


async def _verify(settings: Settings, deployment_id: int | None, *, rebuild: bool) -> None:
    ports, _ = make_ports(settings)
    console = Console(stderr=True)
    try:
        if await migrating.revision_of(ports.database) != migrating.newest():
            console.print("The database is not at the newest schema: run `deploybot migrate` first.")
            sys.exit(2)
        verdicts = [v async for v in auditing.verify(ports, deployment_id=deployment_id, rebuild=rebuild)]
    finally:
        await ports.database.close()
    if deployment_id is not None and verdicts and not verdicts[0].events:
        console.print(f"There is no deployment {deployment_id}.")
        sys.exit(2)
    broken = 0
    for verdict in verdicts:
        if verdict.problems:
            broken += 1
            for problem in verdict.problems:
                print(f"{verdict.name}: {problem}")
    events = sum(verdict.events for verdict in verdicts)
    result = f"{broken} do not add up" if broken else "all add up"
    print(f"{len(verdicts)} deployments, {events} events: {result}.")
    sys.exit(1 if broken else 0)
