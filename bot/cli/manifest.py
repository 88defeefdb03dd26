"""`deploybot manifest`: what Slack needs to know to make the app."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bot.slack.manifest import manifest


def print_manifest(
    name: Annotated[str, typer.Option(help="The app's name in Slack, up to 35 characters.")] = "Deploybot",
    command: Annotated[str, typer.Option(help="The slash command, if /deploy is taken.")] = "/deploy",
    url: Annotated[
        str | None, typer.Option(help="Public https address of the bot, for HTTP delivery.")
    ] = None,
) -> None:
    """Print the app manifest as JSON: Socket Mode, or HTTP delivery with --url."""
    if not 1 <= len(name) <= 35:
        raise typer.BadParameter("the name has 1 to 35 characters", param_hint="--name")
    if not command.startswith("/") or not 2 <= len(command) <= 32 or " " in command:
        raise typer.BadParameter("a command is like /deploy, up to 32 characters", param_hint="--command")
    if url is not None and not url.startswith("https://"):
        raise typer.BadParameter("Slack delivers to https:// addresses only", param_hint="--url")
    print(json.dumps(manifest(name=name, command=command, url=url), indent=2))
