"""`deploybot stats`: how often it is deployed, how often that fails, what boxes and alerts are worth."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from bot.app import make_ports
from bot.cli import settings as cli_settings
from bot.cli.serve import run
from bot.config import Settings
from bot.domain.errors import DatabaseNotCurrent
from bot.domain.figures_data import figures_to_json
from bot.services import measuring
from bot.slack.commands import LONGEST_STATS_DAYS
from bot.storage import migrating
from bot.templates.figures_text import in_words


class Form(StrEnum):
    """What figures can be printed as."""

    TEXT = "text"
    JSON = "json"


def stats(
    service: Annotated[str, typer.Option("--service", help="Of one service; all if left out.")] = "",
    environment: Annotated[
        str,
        typer.Option("--environment", help="Of one environment, or all; production if left out."),
    ] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=LONGEST_STATS_DAYS, help="How far back.")] = 90,
    form: Annotated[Form, typer.Option("--format", help="For people or for programs.")] = Form.TEXT,
) -> None:
    """Figures over many deployments, after DORA, each with the number of cases it rests on.

    Deployment frequency, change lead time (where commits are linked), change fail rate, time to restore, the
    median of each section, boxes that are ticked without looking, checks that never fail, alert precision. A
    deployment failed if it was rolled back, or a real alert after it was live was not cleared as "not this
    deploy", or it was aborted after it was live (definitions: dora.dev). Fewer than five cases make no claim.
    """
    run(_stats(cli_settings.load(), service, environment, days, form))


async def _stats(settings: Settings, service: str, environment: str, days: int, form: Form) -> None:
    ports, _ = make_ports(settings)
    try:
        if await migrating.revision_of(ports.database) != migrating.newest():
            raise DatabaseNotCurrent
        made = await measuring.figures(ports, service=service, environment=environment, days=days)
    finally:
        await ports.database.close()
    if form is Form.JSON:
        print(json.dumps(figures_to_json(made), indent=2, ensure_ascii=False))
    else:
        print(in_words(made))
