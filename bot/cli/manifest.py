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
    distribute: Annotated[
        bool, typer.Option("--distribute", help="For several workspaces, which install it at --url.")
    ] = False,
    socket: Annotated[
        bool, typer.Option("--socket", help="With --distribute: deliver over Socket Mode all the same.")
    ] = False,
    rotate_tokens: Annotated[
        bool, typer.Option("--rotate-tokens", help="Tokens expire and are renewed; Slack can't undo it.")
    ] = False,
) -> None:
    """Print the app manifest as JSON: Socket Mode, or HTTP delivery with --url."""
    if not 1 <= len(name) <= 35:
        raise typer.BadParameter("the name has 1 to 35 characters", param_hint="--name")
    if not command.startswith("/") or not 2 <= len(command) <= 32 or " " in command:
        raise typer.BadParameter("a command is like /deploy, up to 32 characters", param_hint="--command")
    if url is not None and not url.startswith("https://"):
        raise typer.BadParameter("Slack delivers to https:// addresses only", param_hint="--url")
    if distribute and url is None:
        raise typer.BadParameter("workspaces install the app at the bot's own address", param_hint="--url")
    if (socket or rotate_tokens) and not distribute:
        raise typer.BadParameter("this is for an app of several workspaces", param_hint="--distribute")
    made = manifest(
        name=name,
        command=command,
        url=None if socket else url,
        install_url=url if distribute else None,
        rotate_tokens=rotate_tokens,
    )
    print(json.dumps(made, indent=2))
