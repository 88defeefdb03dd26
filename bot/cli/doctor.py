"""`deploybot doctor`: what is missing, and how to mend it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import aiohttp
import typer
from rich.console import Console
from rich.markup import escape

from bot.app import announced_to, make_ports
from bot.cli import settings as cli_settings
from bot.cli.checklist import counted
from bot.cli.installations import listed, state_of
from bot.cli.serve import missing_settings, run
from bot.config import Settings
from bot.domain.errors import (
    DeploybotError,
    DestinationsUnusable,
    EncryptionKeyUnusable,
    SidecarUnusable,
)
from bot.services.outgoing import GIVEN_UP_SHOWN
from bot.services.ports import Ports
from bot.slack.gateway import CALL_S, Gateway, SlackFailure, web_client
from bot.slack.manifest import OPTIONAL_SCOPES, SCOPES
from bot.storage import migrating, outbound
from bot.storage.sealing import Vault


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One thing looked at."""

    what: str
    #: True fine, False broken, None could not be looked at.
    fine: bool | None
    #: What was seen, and what to do where it is not fine.
    said: str


def doctor(
    channel: Annotated[str, typer.Option(help="Also check this channel, by its id (C…).")] = "",
) -> None:
    """Say what is missing (token, scope, channel, database, checklists) and how to fix it."""
    run(_doctor(cli_settings.load(), channel))


async def _doctor(settings: Settings, channel: str) -> None:
    console = Console()
    wrong = 0
    async for diagnosis in diagnose(settings, channel):
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}[diagnosis.fine]
        wrong += diagnosis.fine is False
        console.print(f"{mark} [bold]{escape(diagnosis.what)}[/]: {escape(diagnosis.said)}", soft_wrap=True)
    console.print("Everything is in place." if not wrong else f"{wrong} to fix.")
    sys.exit(1 if wrong else 0)


async def diagnose(settings: Settings, channel: str = "") -> AsyncIterator[Diagnosis]:
    """Look at everything a running bot needs, one after the other."""
    for sentence in missing_settings(settings):
        yield Diagnosis(what="Settings", fine=False, said=sentence)
    try:
        ports, _ = make_ports(settings)
    except DestinationsUnusable as error:
        yield Diagnosis(what="Other systems", fine=False, said=str(error))
    except DeploybotError as error:
        yield Diagnosis(what="Database", fine=False, said=str(error))
    else:
        try:
            yield await _database(ports)
            yield _checklists(ports)
            yield await _checks(ports)
            yield _services(ports)
            yield await _outside(settings, ports)
        finally:
            await ports.database.close()
    if settings.many_teams:
        async for diagnosis in _workspaces(settings):
            yield diagnosis
    token = settings.slack_bot_token.get_secret_value()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_S)) as session:
        gateway = Gateway(web_client(token, settings.api_url, session))
        if token:
            async for diagnosis in _slack(gateway, settings, channel):
                yield diagnosis
        if settings.socket_mode:
            yield await _app_token(gateway, settings)


async def _database(ports: Ports) -> Diagnosis:
    where = ports.database.url.render_as_string(hide_password=True)
    try:
        async with asyncio.timeout(5):
            revision = await migrating.revision_of(ports.database)
    except (DeploybotError, TimeoutError) as error:
        said = f"{where}: {error or 'no answer within 5 s'}"
        return Diagnosis(what="Database", fine=False, said=f"{said} Check DATABASE_URL.")
    if revision != migrating.newest():
        said = f"{where} is at {revision or 'nothing'}; `deploybot serve` or `deploybot migrate` updates it."
        return Diagnosis(what="Database", fine=True, said=said)
    return Diagnosis(what="Database", fine=True, said=f"{where}, schema {revision}")


def _checklists(ports: Ports) -> Diagnosis:
    names = ports.library.names()
    if not names:
        said = "no checklist found: put a Markdown file with `- [ ]` items into checklists/."
        return Diagnosis(what="Checklists", fine=False, said=said)
    good, bad = [], []
    for name in names:
        try:
            good.append(f"{name} ({len(ports.library.load(name).items)} items)")
        except DeploybotError as error:
            bad.append(str(error))
    return Diagnosis(what="Checklists", fine=not bad, said="; ".join([*bad, *good]))


async def _checks(ports: Ports) -> Diagnosis:
    """Whether the checks that belong to the checklists can be used, and how many of them are set up."""
    said, fine = [], True
    for name in ports.library.names():
        try:
            bound = await ports.verifier.bindings(
                name, service="service", version="v0", environment="production"
            )
        except SidecarUnusable as error:
            said.append(str(error))
            fine = False
        except DeploybotError:
            continue  # the checklist itself is the trouble, and has been told
        else:
            checked = [binding for binding in bound.values() if binding.checks]
            ready = sum(not binding.missing and not binding.forbidden for binding in checked)
            if checked:
                hint = "" if ready == len(checked) else f" (`deploybot checklist explain {name}` says more)"
                said.append(f"{name}: {ready} of {len(checked)} are set up in production{hint}")
    return Diagnosis(what="Checks", fine=fine, said="; ".join(said) or "no checklist has any")


def _services(ports: Ports) -> Diagnosis:
    """Whether services.yaml can be used."""
    try:
        routing = ports.library.routing()
    except DeploybotError as error:
        return Diagnosis(what="Services", fine=False, said=str(error))
    said = f"{len(routing.services)} rules for services, {len(routing.github)} for GitHub's deployments"
    return Diagnosis(what="Services", fine=True, said=said)


async def _outside(settings: Settings, ports: Ports) -> Diagnosis:
    """Who is told what happens, and whether they could be."""
    told = announced_to(settings)
    places = [counted(len(told.webhooks), "webhook")] if told.webhooks else []
    places += ["GitHub's deployments"] if told.github_token else []
    if not places:
        return Diagnosis(what="Other systems", fine=True, said="nobody is told (DEPLOYBOT_WEBHOOK_URLS)")
    try:
        async with ports.database.read() as tx:
            figures = await outbound.figures(tx, since=ports.clock.now() - GIVEN_UP_SHOWN)
    except DeploybotError as error:
        return Diagnosis(what="Other systems", fine=None, said=str(error))
    said = f"told: {' and '.join(places)}; waiting: {figures.waiting}, "
    said += f"given up within {GIVEN_UP_SHOWN.days} days: {figures.given_up}"
    said += f" ({figures.problem})" if figures.problem else ""
    return Diagnosis(what="Other systems", fine=not figures.given_up, said=said)


async def _workspaces(settings: Settings) -> AsyncIterator[Diagnosis]:
    """What many workspaces need: the app's id, the keys, and what each of them granted."""
    if not re.fullmatch(r"\d+\.\d+", settings.slack_client_id):
        said = "SLACK_CLIENT_ID is two numbers with a dot between them, under “Basic Information”."
        yield Diagnosis(what="Client ID", fine=False, said=said)
    if not settings.allowed:
        said = "any workspace that finds the page can install the bot and run its checks: name yours."
        yield Diagnosis(what="DEPLOYBOT_ALLOWED_TEAMS", fine=None, said=said)
    if settings.public_url and not settings.public_url.startswith("https://"):
        said = f"{settings.public_url} is no https:// address: Slack sends people back to those only."
        yield Diagnosis(what="DEPLOYBOT_URL", fine=False, said=said)
    try:
        vault = Vault(settings.encryption_key.get_secret_value())
        found = await listed(settings)
    except EncryptionKeyUnusable:
        return  # told with the settings
    except DeploybotError as error:
        yield Diagnosis(what="Workspaces", fine=None, said=str(error))
        return
    yield Diagnosis(what="Keys", fine=True, said=f"{vault.keys}, the first one encrypts")
    if not found:
        said = f"none yet; they install the bot at {settings.public_url or '…'}/slack/install"
        yield Diagnosis(what="Workspaces", fine=True, said=said)
    for one in found:
        fine, said = state_of(one, vault)
        if settings.allowed and one.team not in settings.allowed:
            fine, said = False, f"not in DEPLOYBOT_ALLOWED_TEAMS, so it is not served; {said}"
        yield Diagnosis(what=f"Workspace {one.name} ({one.team})", fine=fine is not False, said=said)


async def _slack(gateway: Gateway, settings: Settings, channel: str) -> AsyncIterator[Diagnosis]:
    try:
        identity = await gateway.identity()
    except SlackFailure as failure:
        where = f" at {settings.api_url}" if failure.code == "connection" else ""
        said = f"auth.test{where}: {failure.code}. {failure.hint}"
        yield Diagnosis(what="Bot token", fine=False, said=said)
        return
    yield Diagnosis(what="Bot token", fine=True, said=f"@{identity.name} in {identity.team_name}")
    missing = [f"{scope} (to {why})" for scope, why in SCOPES.items() if scope not in identity.scopes]
    if missing:
        said = f"missing {', '.join(missing)}. Update the app with `deploybot manifest` and reinstall it."
        yield Diagnosis(what="Scopes", fine=False, said=said)
    else:
        without = [
            f"{scope} (to {why})" for scope, why in OPTIONAL_SCOPES.items() if scope not in identity.scopes
        ]
        said = f"all {len(SCOPES)} are granted{', without ' if without else ''}{', '.join(without)}"
        yield Diagnosis(what="Scopes", fine=True, said=said)
    if channel:
        try:
            member = await gateway.is_member(channel)
            said = "the bot is in it" if member else f"the bot is not in it: /invite @{identity.name} there."
            yield Diagnosis(what=f"Channel {channel}", fine=member, said=said)
        except SlackFailure as failure:
            yield Diagnosis(what=f"Channel {channel}", fine=False, said=f"{failure.code}. {failure.hint}")


async def _app_token(gateway: Gateway, settings: Settings) -> Diagnosis:
    try:
        async with asyncio.timeout(CALL_S):
            await gateway.client.apps_connections_open(app_token=settings.slack_app_token.get_secret_value())
    except Exception as error:  # the SDK's, the network's: all mean the same here
        code = getattr(error, "response", {}).get("error") or type(error).__name__
        said = (
            f"{code}. Make an app-level token with connections:write under “Basic Information”, "
            "set SLACK_APP_TOKEN, and see that Socket Mode is on."
        )
        return Diagnosis(what="App token", fine=False, said=said)
    return Diagnosis(what="App token", fine=True, said="Socket Mode connections can be opened")
