"""`deploybot local`: a small Slack on this machine with the bot in it; no account, one process."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape

from bot.app import Application
from bot.cli import settings as cli_settings
from bot.cli.serve import run, until_stopped
from bot.config import Settings
from bot.domain.errors import DeploybotError
from bot.example.programs import ExampleTrouble, free_port
from bot.example.running import Example, example_service
from bot.example.service import ENVIRONMENT, SERVICE
from bot.services.ports import ShiftedClock
from bot.slack.manifest import manifest
from bot.storage.sealing import new_key
from bot.web.hooks import ALERTMANAGER_PATH
from bot.workspace.manifest import Installation
from bot.workspace.server import Workspace
from bot.workspace.state import SECOND_TEAM

DATABASE = Path("deploybot.db")
#: Who is shown first on the second workspace's page.
SECOND_USER = SECOND_TEAM.people[0][0]


def local(
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes a free one.", min=0, max=65535)] = 3210,
    db: Annotated[Path, typer.Option(help="SQLite file that keeps everything.")] = DATABASE,
    checklists: Annotated[Path | None, typer.Option(help="Folder with checklists.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; anybody there can act.")] = "127.0.0.1",
    example: Annotated[
        bool, typer.Option("--example-service", help="Also run a small shop for the checks to verify.")
    ] = False,
    second: Annotated[
        bool,
        typer.Option("--second-workspace", help="Also open a workspace that has yet to install the bot."),
    ] = False,
) -> None:
    """Open the local workspace with the bot in it, and print its address."""
    settings = cli_settings.load(database_url=f"sqlite:///{db}", checklists=checklists)
    folder = db.with_name(f"{db.name}.example") if example else None
    run(_local(settings, host, port, db.with_name(f"{db.name}.workspace"), folder, second=second))


async def _local(
    settings: Settings, host: str, port: int, state: Path, example_folder: Path | None, *, second: bool
) -> None:
    console = Console()
    clock = ShiftedClock()
    application: Application | None = None

    async def forward(seconds: float) -> None:
        clock.forward(timedelta(seconds=seconds))
        if application is not None:
            application.ports.bell.ring()

    async with contextlib.AsyncExitStack() as stack:
        state.parent.mkdir(parents=True, exist_ok=True)
        example = None
        if example_folder is not None:
            console.print("\n  Starting the example service …")
            example = await stack.enter_async_context(_example(example_folder))
        workspace = Workspace(state_path=state, on_forward=forward)
        clock.forward(timedelta(seconds=workspace.clock.offset))  # as far as it was moved the last time
        stack.push_async_callback(workspace.stop)
        url = await workspace.start(host, port)
        bot_port = free_port() if second else 0
        bot_url = f"http://127.0.0.1:{bot_port}"
        made = manifest(command=settings.command, install_url=bot_url if second else None)
        installed = workspace.install(made)
        distributed: dict[str, object] = {}
        if second:
            beside = Workspace(state_path=state.with_suffix(".second"), on_forward=forward, beside=workspace)
            stack.push_async_callback(beside.stop)
            second_url = await beside.start(host, port + 1 if port else 0)
            distributed = _distributed(installed, bot_url, kept=state.with_suffix(".key"))
        hook_token = settings.hook_token.get_secret_value() or secrets.token_urlsafe(24)
        application = Application(
            settings.model_copy(
                update={
                    "slack_bot_token": SecretStr(installed.bot_token),
                    "slack_app_token": SecretStr(installed.app_token),
                    "slack_api_url": installed.api_url,
                    "hook_token": SecretStr(hook_token),
                    "host": "127.0.0.1",
                    "port": bot_port,
                    **distributed,
                }
            ),
            clock=clock,
            process=None if example is None else {**os.environ, **example.environment},
        )
        stack.push_async_callback(application.stop)
        await application.start()
        if example is not None:
            # Only now: the bot takes any free port.
            hook = f"http://127.0.0.1:{application.port}{ALERTMANAGER_PATH}"
            await example.service.deliver_alerts_to(hook, hook_token)
        start = f"{settings.command} start"
        if example is not None:
            start += f" {SERVICE} {example.service.version} {ENVIRONMENT}"
        console.print(f"\n  Open [bold]{escape(url)}[/]  and type  [bold]{escape(start)}[/]", soft_wrap=True)
        for line in () if example is None else _about(example, settings.command):
            console.print(f"  {line}", soft_wrap=True)
        if second:
            console.print(
                f"  Second workspace  [bold]{escape(second_url)}/?user={SECOND_USER}[/]", soft_wrap=True
            )
            console.print(f"  It installs the bot at  [bold]{bot_url}/slack/install[/]", soft_wrap=True)
        console.print(f"  Kept in {escape(str(state.with_suffix('')))}; Ctrl+C stops.\n", soft_wrap=True)
        await until_stopped()


def _distributed(installed: Installation, bot_url: str, *, kept: Path) -> dict[str, object]:
    """What a bot of two workspaces is set up with; as a rehearsal it keeps its key beside the database."""
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(new_key())
    return {
        "slack_client_id": installed.client_id,
        "slack_client_secret": SecretStr(installed.client_secret),
        "encryption_key": SecretStr(kept.read_text().strip()),
        "public_url": bot_url,
        "allowed_teams": "",
    }


@contextlib.asynccontextmanager
async def _example(folder: Path) -> AsyncIterator[Example]:
    """The example service while the bot runs. Raises DeploybotError where it cannot be started."""
    try:
        async with example_service(folder) as example:
            yield example
    except ExampleTrouble as trouble:
        raise DeploybotError(f"The example service cannot be run: {trouble}") from trouble


def _about(example: Example, command: str) -> Iterator[str]:
    """Where the example service is, and what to do with it."""
    yield f"then  [bold]{escape(command)} check[/]  in its thread or here."
    service = example.service
    yield f"The shop  [bold]{escape(service.base_url)}[/]"
    if service.ca_file is not None:
        yield f"          its certificate is by an authority of its own: {escape(str(service.ca_file))}"
    yield f"Break it  [bold]{escape(service.page_url)}[/]"
    for line in service.left_out:
        yield f"Left out: {escape(line)}"
