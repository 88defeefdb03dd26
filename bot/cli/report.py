"""`deploybot report`: what happened in a deployment, for people, programs and spreadsheets."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import aiohttp
import typer

from bot.app import make_ports
from bot.cli import settings as cli_settings
from bot.cli.serve import run
from bot.config import Settings
from bot.domain.errors import CannotWrite, DatabaseNotCurrent, NoSuchDeployment
from bot.domain.report_schema import SCHEMA
from bot.services import reporting
from bot.services.exporting import Form, written
from bot.services.reporting import Names
from bot.slack.gateway import Gateway, web_client
from bot.storage import migrating


def report(
    name: Annotated[str, typer.Argument(help="A deployment, e.g. storefront-12 or 12.")] = "",
    form: Annotated[Form, typer.Option("--format", help="How it is written.")] = Form.MARKDOWN,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else it is printed.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of --format json.")] = False,
) -> None:
    """Tell what happened: who did what and when, the evidence, alerts, waivers, the rollback, the times.

    With a bot token in the settings people have their names, else their Slack ids.
    """
    if schema:
        print(json.dumps(SCHEMA, indent=2))
        return
    number = name.rsplit("-", 1)[-1]
    if not number.isdecimal():
        raise typer.BadParameter("a deployment is like storefront-12, or 12", param_hint="NAME")
    run(_report(cli_settings.load(), name, int(number), form, output))


async def _report(settings: Settings, name: str, number: int, form: Form, output: Path | None) -> None:
    ports, _ = make_ports(settings)
    try:
        if await migrating.revision_of(ports.database) != migrating.newest():
            raise DatabaseNotCurrent
        async with _names(settings) as names:
            made = await reporting.report(ports, number, names=names)
    finally:
        await ports.database.close()
    if name.casefold() not in (str(number), made.name.casefold()):
        raise NoSuchDeployment(name, nearest=made.name)
    document = written(made, form)
    if output is None:
        sys.stdout.buffer.write(document.data)
        return
    try:
        output.write_bytes(document.data)  # noqa: ASYNC240 - nothing else is going on
    except OSError as error:
        raise CannotWrite(str(output), error.strerror or str(error)) from error


@asynccontextmanager
async def _names(settings: Settings) -> AsyncIterator[Names]:
    """Looks names up in Slack where there is a token; people keep their ids where Slack does not answer."""
    token = settings.slack_bot_token.get_secret_value()
    if not token:
        yield reporting.nobody
        return
    async with aiohttp.ClientSession() as session:
        yield Gateway(web_client(token, settings.api_url, session)).names
